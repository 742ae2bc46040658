//! What is logged, and that it holds nobody up.
//!
//! Logging is best effort: a full disk, a closed pipe or a reader who does not read costs lines and nothing else. A server's lines
//! go to a thread of their own through a bounded queue; what does not fit is counted and the next line says so.
//!
//! A warning that is said again and again says nothing new: the same one, word for word, is written at once, then after a minute, ten
//! minutes, and every hour, with how often it came meanwhile. That a condition changed is no repetition, however often it does: such a
//! line is always written, so that the last one of a condition says how it is.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt as lines, reload};

/// Decides what is logged, over the configuration.
const VARIABLE: &str = "CHANCERY_LOG";
/// Lines that wait for a slow reader; a burst fits.
const QUEUE: usize = 4_096;
/// So long the end of the process waits for its last lines.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);
const LAST_LINES_POLL: Duration = Duration::from_millis(5);
/// When the same warning is written again.
const AGAIN: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3_600)];
/// The name of an event by which a condition changes: whoever says it has said the opposite since it was said last. Crates that say
/// such lines write it beside them (`tracing::warn!(name: "edge", ...)`).
const EDGE: &str = "edge";
/// Warnings that are remembered; each is a few bytes.
const KNOWN_MAX: usize = 1_024;

/// What the running log can be told. A copy is the same log.
#[derive(Clone)]
pub struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: Option<Arc<Lines>>,
}

/// What is logged, in the words of `CHANCERY_LOG`: `info`, `debug`, `info,store=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    /// Refuses what is no filter.
    pub fn parse(text: &str) -> Result<LogLevel, ParseError> {
        filter(text).map(|_| LogLevel(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogLevel {
    fn default() -> LogLevel {
        LogLevel("info".to_owned())
    }
}

/// cryptoki calls every mechanism that it has no name for an error; `doctor` lists them without the alarm.
fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("cryptoki=off,{text}"))
}

impl Log {
    /// Begins to log. Servers say what happens; commands say what went wrong, unless standard error holds a JSON object alone.
    pub fn begin(server: bool, json: bool) -> Log {
        let fallback = match (server, json) {
            (true, _) => "info",
            (false, false) => "error",
            (false, true) => "off",
        };
        let given = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
        let chosen = given.and_then(|text| filter(&text).ok()).or_else(|| filter(fallback).ok());
        let (filter, handle) = reload::Layer::new(chosen.unwrap_or_default());
        let queue = server.then(Lines::begin).flatten();
        let format = lines::layer()
            .with_ansi(io::stderr().is_terminal() && crate::output::may_colour())
            .log_internal_errors(false)
            .with_writer(Way(queue.clone()))
            .event_format(Seldom::new())
            .with_filter(filter);
        tracing_subscriber::registry().with(format).init();
        Log { filter: handle, lines: queue }
    }

    /// From now on this is logged. `CHANCERY_LOG` has the last word: answers whether it was silent.
    pub fn set(&self, level: &LogLevel) -> bool {
        if std::env::var_os(VARIABLE).is_some_and(|text| !text.is_empty()) {
            return false;
        }
        // Parsed before; an error would mean that the log is gone.
        filter(level.as_str()).is_ok_and(|filter| self.filter.reload(filter).is_ok())
    }

    /// Waits for the last lines, which are the ones that say why.
    pub fn finish(&self) {
        let Some(lines) = &self.lines else { return };
        let until = Instant::now() + LAST_LINES_MAX;
        while lines.waiting.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(LAST_LINES_POLL);
        }
    }
}

/// The queue of a server's lines.
struct Lines {
    queue: SyncSender<Vec<u8>>,
    waiting: AtomicU64,
    lost: AtomicU64,
}

impl Lines {
    /// None where no thread is to be had: lines are then written by who says them.
    fn begin() -> Option<Arc<Lines>> {
        let (queue, taken) = sync_channel(QUEUE);
        let lines = Arc::new(Lines { queue, waiting: AtomicU64::new(0), lost: AtomicU64::new(0) });
        let shared = Arc::clone(&lines);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || shared.write(&taken));
        thread.ok().map(|_| lines)
    }

    fn write(&self, taken: &Receiver<Vec<u8>>) {
        while let Ok(line) = taken.recv() {
            let lost = self.lost.swap(0, Ordering::AcqRel);
            if lost > 0 {
                put(format!("{lost} lines of the log were lost: nobody took them\n").as_bytes());
            }
            put(&line);
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn take(&self, line: &[u8]) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if self.queue.try_send(line.to_vec()).is_err() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.lost.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Writes to standard error, or does not.
pub fn put(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// Where lines go: each is one write.
#[derive(Clone)]
struct Way(Option<Arc<Lines>>);

impl Write for Way {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(lines) if !line.is_empty() => lines.take(line),
            Some(_) => {}
            None => put(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Way {
    type Writer = Way;

    fn make_writer(&'a self) -> Way {
        self.clone()
    }
}

/// Writes a warning seldom, and a change always.
struct Seldom {
    lines: Format,
    said: Mutex<Said>,
}

impl Seldom {
    fn new() -> Seldom {
        Seldom { lines: Format::default().with_target(false), said: Mutex::default() }
    }
}

impl<S, N> FormatEvent<S, N> for Seldom
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if *event.metadata().level() > Level::WARN || event.metadata().name() == EDGE {
            return self.lines.format_event(context, out, event);
        }
        let mut words = Words(DefaultHasher::new());
        event.metadata().callsite().hash(&mut words.0);
        event.record(&mut words);
        let verdict = self.said.lock().unwrap_or_else(PoisonError::into_inner).judge(words.0.finish(), Instant::now());
        match verdict {
            None => Ok(()),
            Some(0) => self.lines.format_event(context, out, event),
            Some(times) => {
                let mut line = String::new();
                self.lines.format_event(context, Writer::new(&mut line), event)?;
                writeln!(out, "{} (and {times} times since it was written last)", line.trim_end())
            }
        }
    }
}

/// What an event says, as a number.
struct Words(DefaultHasher);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        field.name().hash(&mut self.0);
        // A hasher takes whatever it is given.
        let _ = write!(Hashed(&mut self.0), "{value:?}");
    }
}

struct Hashed<'a>(&'a mut DefaultHasher);

impl fmt::Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Which warnings were written, and when.
#[derive(Default)]
struct Said(HashMap<u64, Warning>);

struct Warning {
    written: Instant,
    /// How often it was written: the wait that is next.
    step: usize,
    /// How often it came since.
    held_back: u64,
}

impl Warning {
    fn due(&self) -> Instant {
        let last = AGAIN.len() - 1;
        self.written + AGAIN.get(self.step).copied().unwrap_or(AGAIN[last])
    }
}

impl Said {
    /// None: it is not written now. Else how often it was held back before.
    fn judge(&mut self, words: u64, now: Instant) -> Option<u64> {
        if let Some(warning) = self.0.get_mut(&words) {
            if now < warning.due() {
                warning.held_back += 1;
                return None;
            }
            let held_back = std::mem::take(&mut warning.held_back);
            // What was quiet for so long is news.
            warning.step = if held_back > 0 { warning.step + 1 } else { 0 };
            warning.written = now;
            return Some(held_back);
        }
        if self.0.len() >= KNOWN_MAX {
            self.0.retain(|_, warning| now < warning.due());
        }
        if self.0.len() < KNOWN_MAX {
            self.0.insert(words, Warning { written: now, step: 0, held_back: 0 });
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_warning_is_written_at_once_and_then_seldom() {
        let (mut said, start) = (Said::default(), Instant::now());
        let mut written = Vec::new();
        for second in 0..10_000 {
            if let Some(times) = said.judge(7, start + Duration::from_secs(second)) {
                written.push((second, times));
            }
        }
        assert_eq!(written, [(0, 0), (60, 59), (660, 599), (4_260, 3_599), (7_860, 3_599)]);
        assert_eq!(said.judge(8, start), Some(0), "another one is none of it");
        let later = start + Duration::from_secs(20_000);
        assert!(said.judge(7, later).is_some());
        assert_eq!(said.judge(7, later + Duration::from_secs(3_600)), Some(0), "quiet for an hour");
        assert_eq!(said.judge(7, later + Duration::from_secs(3_661)), Some(0), "and again from the first step on");
    }

    #[test]
    fn that_a_condition_changed_is_written_each_time_and_what_is_repeated_meanwhile_is_not() {
        let (queue, taken) = sync_channel(QUEUE);
        let way = Way(Some(Arc::new(Lines { queue, waiting: AtomicU64::new(0), lost: AtomicU64::new(0) })));
        let format = lines::layer().with_ansi(false).with_writer(way).event_format(Seldom::new());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(format), || {
            for is_last in [false, false, true] {
                tracing::warn!(name: EDGE, why = "refused", "the register is away");
                tracing::warn!("it will be tried again");
                if !is_last {
                    tracing::info!("the register is there again");
                }
            }
        });
        let written: Vec<String> = taken.try_iter().map(|line| String::from_utf8_lossy(&line).into_owned()).collect();
        let says = ["away", "tried again", "there again", "away", "there again", "away"];
        assert_eq!(written.len(), says.len(), "{written:?}");
        assert!(written.iter().zip(says).all(|(line, says)| line.contains(says)), "{written:?}");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut said, start) = (Said::default(), Instant::now());
        for words in 0..(3 * KNOWN_MAX as u64) {
            assert_eq!(said.judge(words, start), Some(0));
        }
        assert!(said.0.len() <= KNOWN_MAX);
    }

    #[test]
    fn a_level_is_refused_by_its_mistake() {
        assert!(LogLevel::parse("info,store=debug").is_ok());
        assert!(LogLevel::parse("info,store=loud").is_err());
    }
}
