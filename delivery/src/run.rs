//! One run, from its plan to its end.
//!
//! First places get their values; then the program is started; signals, changes and stops are passed on until it ends; last, what it
//! printed is carried out, and the places go. A crash in between leaves at most a folder in memory, which the janitor takes away.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process, set_child_subreaper};

use crate::child::{Arrived, Change, ENDS, Ended, Listening, Live, Running, USHER, usher};
use crate::error::{DeliveryError, Doing};
use crate::masking::{Former, Mask, Unmasked};
use crate::nouns::Values;
use crate::places::{JANITOR, Stand, keep_house};
use crate::plan::{OnChange, Plan, Printing};
use crate::quiet::be_quiet;

/// The first word by which a program that uses this is called for [`step`].
pub const STEP: &str = "__delivery";

/// Something that somebody should know, on standard error.
#[derive(Debug)]
pub enum Notice {
    /// What the system did not grant (see [`Quiet`](crate::Quiet)).
    Open(&'static str),
    /// A value that is printed as it is.
    Unmasked(Unmasked),
    /// New values came; the program was ended, and began anew with them.
    Restarting,
    /// New values stand in their places.
    Replaced,
    /// New values came and could not be used: the program goes on with those before.
    NotReplaced(DeliveryError),
    /// Something that the program printed could not be written, and is lost; it is told once, whatever else is.
    Lost(io::Error),
}

impl Notice {
    /// Whether something failed: to be said to those too who want to hear of nothing else.
    pub fn is_failure(&self) -> bool {
        match self {
            Notice::NotReplaced(_) | Notice::Lost(_) => true,
            Notice::Open(_) | Notice::Unmasked(_) | Notice::Restarting | Notice::Replaced => false,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Open(what) => f.write_str(what),
            Notice::Unmasked(Unmasked::Short(of)) => write!(f, "{of} is too short to be masked in what is printed"),
            Notice::Unmasked(Unmasked::FormsOf(of)) => {
                write!(
                    f,
                    "{of} is masked as it is and line by line, not in encoded forms: it, or all values together, are too large"
                )
            }
            Notice::Unmasked(Unmasked::TooMany(of)) => {
                write!(f, "{of} is not masked: all values together are too large")
            }
            Notice::Unmasked(Unmasked::Former(of)) => {
                write!(
                    f,
                    "what {of} was before is no longer masked, or not in encoded forms: there were too many values"
                )
            }
            Notice::Restarting => f.write_str("new values: the program was restarted"),
            Notice::Replaced => f.write_str("new values stand in their places"),
            Notice::NotReplaced(error) => write!(f, "new values cannot be used, the old ones stay: {error}"),
            Notice::Lost(error) => {
                write!(f, "what the program prints cannot be written, and is lost until it can be again: {error}")
            }
        }
    }
}

/// Does what a child process of our own is for, if this is one: call it first in `main`, with the words after the program's name. `None`
/// for everybody else.
///
/// Where it was an usher it does not return: it ends as its program ended.
pub fn step(words: &[OsString]) -> Option<u8> {
    let [first, role, rest @ ..] = words else { return None };
    match (first == STEP, role.to_str()) {
        (false, _) => None,
        (true, Some(USHER)) => match usher(rest) {
            Ok(ended) => ended.leave(),
            Err(error) => {
                eprintln!("{error}");
                Some(error.exit_code())
            }
        },
        (true, Some(JANITOR)) => {
            rest.iter().for_each(|folder| keep_house(folder));
            Some(0)
        }
        (true, _) => Some(2),
    }
}

/// Carries a plan out: gives the values, runs the program, takes everything back. New values come through `changes`, each time all of
/// them; a sender that goes means that no more will come.
///
/// The caller's thread is the one that the program is bound to, when it is to end with us. One run at a time in a process: the program
/// inherits files in memory, and another that is started at that moment would too.
///
/// # Errors
/// The program was not started; nothing is left behind.
pub fn run(
    plan: &Plan,
    values: Values,
    changes: Receiver<Values>,
    say: &mut dyn FnMut(Notice),
) -> Result<Ended, DeliveryError> {
    plan.check()?;
    be_quiet().open().into_iter().for_each(|open| say(Notice::Open(open)));
    if plan.reaps {
        set_child_subreaper(Some(getpid())).doing("waiting for the children of others")?;
    }
    let (tell, events) = mpsc::channel();
    let (told, told_lost) = (tell.clone(), tell.clone());
    let _listening = Listening::begin(&[], move |arrived| {
        let _ = tell.send(Event::Signal(arrived));
    })?;
    let relay = move || changes.iter().map_while(|values| told.send(Event::Values(values)).ok()).for_each(drop);
    thread::Builder::new().name("changes".to_owned()).spawn(relay).doing("waiting for changes")?;

    let helper = [OsString::from(STEP)];
    let mask = Mask::new(&values);
    if plan.printing == Printing::Masked {
        mask.unmasked().iter().for_each(|unmasked| say(Notice::Unmasked(unmasked.clone())));
    }
    let live = Live::new(mask, move |error| {
        let _ = told_lost.send(Event::Lost(error));
    });
    let stand = Stand::build(plan, &values, &helper)?;
    let running = Running::start(plan, &stand, &live, &helper)?;
    let (next, kill_at, is_whole, is_over) = (None, None, true, false);
    let helper = helper.as_slice();
    let (current, former) = (values, Former::default());
    Run { plan, helper, live, current, former, is_whole, is_over, stand, running, next, kill_at, say }.watch(&events)
}

enum Event {
    Signal(Arrived),
    Values(Values),
    Lost(rustix::io::Errno),
}

struct Run<'a> {
    plan: &'a Plan,
    helper: &'a [OsString],
    live: Arc<Live>,
    /// What the program has.
    current: Values,
    /// What it was given before, in its places, and may have kept. One that begins anew has nothing of the kind.
    former: Former,
    /// Whether that stands; not after an exchange that failed, perhaps midway.
    is_whole: bool,
    /// Whether somebody ended us: nothing is started any more.
    is_over: bool,
    // The program goes before what stands for it.
    running: Running,
    stand: Stand,
    /// What stands for the program once it was ended and begins anew, and what it has then.
    next: Option<(Stand, Values)>,
    kill_at: Option<Instant>,
    say: &'a mut dyn FnMut(Notice),
}

impl Run<'_> {
    fn watch(mut self, events: &Receiver<Event>) -> Result<Ended, DeliveryError> {
        loop {
            let patience = self.kill_at.map_or(A_LONG_TIME, |at| at.saturating_duration_since(Instant::now()));
            match events.recv_timeout(patience) {
                Ok(Event::Values(values)) => self.change(values),
                Ok(Event::Signal(arrived)) => {
                    if let Some(ended) = self.signal(arrived)? {
                        self.finish(events);
                        return Ok(ended);
                    }
                }
                Ok(Event::Lost(error)) => self.tell_lost(error),
                Err(RecvTimeoutError::Timeout) => {
                    if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                        self.kill_at = None;
                        self.running.kill();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(rustix::io::Errno::PIPE).doing("listening for signals");
                }
            }
        }
    }

    /// What the program wrote last is carried out, and whether that was lost is said.
    fn finish(&mut self, events: &Receiver<Event>) {
        self.running.finish();
        for event in events.try_iter() {
            match event {
                Event::Lost(error) => self.tell_lost(error),
                Event::Signal(_) | Event::Values(_) => {}
            }
        }
    }

    fn tell_lost(&mut self, error: rustix::io::Errno) {
        (self.say)(Notice::Lost(error.into()));
    }

    fn signal(&mut self, arrived: Arrived) -> Result<Option<Ended>, DeliveryError> {
        match arrived.signal {
            Signal::CHILD => {
                while let Some(change) = self.running.look() {
                    match change {
                        Change::Stopped(by) => self.follow(by),
                        Change::Ended(ended) => match self.next.take() {
                            Some((stand, values)) => self.restart(stand, values)?,
                            None => return Ok(Some(ended)),
                        },
                    }
                }
            }
            Signal::CONT => {
                self.running.resume();
                self.running.send(Signal::CONT);
            }
            Signal::WINCH => self.running.resize(arrived),
            signal => {
                // Whoever ends us while the program is being restarted wants no new one, whatever values come yet. TERM is the end at any
                // time; an interrupt, a hangup or a quit may mean something else to a program that goes on.
                let is_restarting = self.kill_at.is_some() || self.next.is_some();
                if signal == Signal::TERM || (is_restarting && ENDS.contains(&signal)) {
                    self.is_over = true;
                    self.next = None;
                }
                self.running.pass(arrived);
            }
        }
        Ok(None)
    }

    /// A stop that job control asked for is the whole job's: the shell is to see us stop.
    fn follow(&mut self, by: i32) {
        let from_the_usher = by == Signal::STOP.as_raw() && self.running.has_usher();
        let by_job_control = [Signal::TSTP, Signal::TTIN, Signal::TTOU].iter().any(|signal| signal.as_raw() == by);
        if from_the_usher || by_job_control {
            self.running.pause();
            let _ = kill_process(getpid(), Signal::STOP);
        }
    }

    /// A version that has the same values is no change to the program.
    fn change(&mut self, values: Values) {
        let latest = self.next.as_ref().map_or(&self.current, |(_, values)| values);
        if self.is_whole && values.is_same(latest) {
            return;
        }
        let done = match self.plan.on_change {
            OnChange::Nothing => return,
            OnChange::Restart { .. } if self.is_over => return,
            OnChange::Restart { grace } => self.end_for(values, grace),
            OnChange::Replace => self.exchange(values, None),
            OnChange::Signal(signal) => self.exchange(values, Some(signal)),
        };
        self.is_whole = done.is_ok();
        if let Err(error) = done {
            (self.say)(Notice::NotReplaced(error));
        }
    }

    /// New values first stand, and only then the program is ended.
    fn end_for(&mut self, values: Values, grace: Duration) -> Result<(), DeliveryError> {
        let stand = Stand::build(self.plan, &values, self.helper)?;
        self.mask(&values);
        if self.next.replace((stand, values)).is_none() && self.kill_at.is_none() {
            self.kill_at = Some(Instant::now() + grace);
            self.running.end();
        }
        Ok(())
    }

    fn exchange(&mut self, values: Values, signal: Option<Signal>) -> Result<(), DeliveryError> {
        // Masked before it can be read.
        self.mask(&values);
        if let Err(error) = self.stand.replace(self.plan, &values) {
            // In some of its places they may stand, and have been read.
            self.former.take(values, &self.current);
            return Err(error);
        }
        let before = std::mem::replace(&mut self.current, values);
        self.former.take(before, &self.current);
        (self.say)(Notice::Replaced);
        if let Some(signal) = signal {
            self.running.send(signal);
        }
        Ok(())
    }

    /// From now on these too are masked, with whatever the program has and had, of which no more is kept than is masked.
    fn mask(&mut self, values: &Values) {
        match self.plan.printing {
            Printing::Masked => {
                let mask = Mask::over(&[values, &self.current], &self.former);
                self.former.keep(mask.formers());
                mask.unmasked().iter().for_each(|unmasked| (self.say)(Notice::Unmasked(unmasked.clone())));
                self.live.renew(mask);
            }
            Printing::Inherited => self.former = Former::default(),
        }
    }

    fn restart(&mut self, stand: Stand, values: Values) -> Result<(), DeliveryError> {
        self.kill_at = None;
        self.running.finish();
        self.running = Running::start(self.plan, &stand, &self.live, self.helper)?;
        (self.stand, self.current) = (stand, values);
        (self.say)(Notice::Restarting);
        Ok(())
    }
}

/// Between two looks at nothing.
const A_LONG_TIME: Duration = Duration::from_secs(3600);
