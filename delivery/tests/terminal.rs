//! The program at a terminal: it has one, and so has whoever sits there; job control is as without us.

#[allow(dead_code)]
#[path = "support/mod.rs"]
mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use support::{FIRST, Home, until};

/// Somebody who sits at a terminal.
struct Seat {
    terminal: File,
    /// The other side, as those who run there have it.
    side: OwnedFd,
    child: Child,
    seen: String,
    home: Home,
}

impl Seat {
    /// With this program in a session of its own at a new terminal.
    fn take(make: impl FnOnce(&Home) -> Vec<String>) -> Seat {
        let home = Home::new(&[FIRST]);
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let side = ioctl_tiocgptpeer(&ours, flags).unwrap();
        let mut command = Command::new("setsid");
        command.arg("-c").arg("-w").args(make(&home));
        command
            .env("VALUES", home.values_file())
            .env("XDG_RUNTIME_DIR", home.runtime())
            .env("PS1", "prompt> ")
            .env("TERM", "dumb");
        let stdio = || Stdio::from(side.try_clone().unwrap());
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        Seat { terminal: File::from(ours), side, child, seen: String::new(), home }
    }

    fn parent(plan: &'static [&'static str], script: &'static str) -> Seat {
        Seat::take(|_| parent_words(plan, script))
    }

    /// A shell that one sits at.
    fn shell() -> Seat {
        Seat::take(|_| ["bash", "--norc", "--noprofile", "--noediting", "-i"].map(str::to_owned).to_vec())
    }

    fn write(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this is seen, and forgets what came up to its end.
    fn see(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut bytes = [0; 4096];
            let count = self.terminal.read(&mut bytes).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    fn end(mut self) -> i32 {
        let status = self.child.wait().unwrap();
        assert_eq!(self.home.left(), Vec::<String>::new());
        assert!(
            tcgetattr(&self.side).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO),
            "as it was"
        );
        status.code().unwrap()
    }
}

fn parent_words(plan: &[&str], script: &str) -> Vec<String> {
    let parent = env!("CARGO_BIN_EXE_chancery-delivery-parent");
    let words = [parent].into_iter().chain(plan.iter().copied()).chain(["--", "/bin/sh", "-c", script]);
    words.map(str::to_owned).collect()
}

#[test]
fn a_masked_program_has_a_terminal_and_its_exit_code_passes_through() {
    let script =
        "test -t 0 && test -t 1 && test -t 2 && echo all; tty; ps -o tpgid=,pgid= -p $$ | tr -s ' '; echo $KEY; exit 7";
    let mut seat = Seat::parent(&["env=KEY"], script);
    seat.see("all\r\n");
    let tty = seat.see("\r\n");
    assert!(tty.starts_with("/dev/pts/"), "{tty}");
    let groups = seat.see("\r\n");
    let groups: Vec<&str> = groups.split_whitespace().collect();
    assert_eq!(groups[0], groups[1], "it is in the foreground of its terminal");
    seat.see("[hidden]\r\n");
    assert_eq!(seat.end(), 7);
}

#[test]
fn unmasked_it_has_our_own_terminal() {
    let mut seat = Seat::parent(&["env=KEY", "inherited"], "readlink /proc/$$/fd/0 /proc/$PPID/fd/0; echo $KEY");
    let (own, ours) = (seat.see("\r\n"), seat.see("\r\n"));
    assert!(own == ours && own.starts_with("/dev/pts/"), "{own} {ours}");
    seat.see(FIRST);
    assert_eq!(seat.end(), 0);
}

#[test]
fn what_is_typed_reaches_it_and_an_interrupt_too() {
    let script = "trap 'echo interrupted; exit 5' INT; printf 'Name: '; read -r name; echo hello $name; while :; do sleep 0.01; done";
    let mut seat = Seat::parent(&["env=KEY"], script);
    seat.see("Name: ");
    seat.write("you\n");
    seat.see("hello you\r\n");
    seat.write("\x03");
    seat.see("interrupted");
    assert_eq!(seat.end(), 5);
}

#[test]
fn an_interrupt_at_a_shared_terminal_comes_once() {
    // A wait is ended by an interrupt at once (POSIX, wait), and one that came just before it is seen at the next; a second one has a while
    // to come.
    let script =
        "n=0; trap 'n=$((n+1))' INT; echo ready; while [ $n -lt 1 ]; do sleep 0.05 & wait $!; done; sleep 0.2; exit $n";
    for plan in [
        &["env=KEY", "inherited"][..],
        &["env=KEY", "inherited", "bound"],
        &["env=KEY", "inherited", "restart"],
        &["env=KEY"],
    ] {
        let mut seat = Seat::take(|_| parent_words(plan, script));
        seat.see("ready");
        seat.write("\x03");
        assert_eq!(seat.end(), 1, "{plan:?}");
    }
}

#[test]
fn what_the_terminal_sends_to_our_group_is_not_sent_again() {
    // It left the group, so the terminal's interrupt does not come to it, and is not ours to bring.
    let script = "exec setsid sh -c \"n=0; trap 'n=1' INT; echo ready; while [ ! -e $XDG_RUNTIME_DIR/go ]; do sleep 0.01; done; sleep 0.1; rm $XDG_RUNTIME_DIR/go; exit \\$n\"";
    for plan in [&["env=KEY", "inherited"][..], &["env=KEY", "inherited", "bound"]] {
        let mut seat = Seat::take(|_| parent_words(plan, script));
        seat.see("ready");
        seat.write("\x03");
        seat.see("^C");
        std::fs::write(seat.home.runtime().join("go"), "").unwrap();
        assert_eq!(seat.end(), 0, "{plan:?}");
    }
}

#[test]
fn a_new_size_is_passed_on() {
    let script = "trap 'stty size; exit 0' WINCH; stty size; while :; do sleep 0.01; done";
    for plan in [&["env=KEY"][..], &["inherited"]] {
        let mut seat = Seat::take(|_| parent_words(plan, script));
        seat.see("\r\n");
        let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&seat.terminal, size).unwrap();
        seat.see("33 77\r\n");
        assert_eq!(seat.end(), 0, "{plan:?}");
    }
}

#[test]
fn a_job_is_suspended_and_resumed_from_the_shell() {
    for plan in [
        &["env=KEY"][..],
        &["env=KEY", "inherited"],
        &["env=KEY", "inherited", "bound"],
        &["env=KEY", "restart"],
        &["env=KEY", "inherited", "restart"],
    ] {
        let mut seat = Seat::shell();
        let script = "echo be''gun; read -r line; echo got $line $KEY | cut -c 1-14; exit 3";
        let words: Vec<String> =
            parent_words(plan, script).iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        seat.write(&format!("{}\n", words.join(" ")));
        seat.see("begun\r\n");
        seat.write("\x1a");
        seat.see("Stopped");
        seat.write("echo the sh''ell answers\n");
        seat.see("the shell answers");
        seat.write("fg\n");
        seat.see("chancery-delivery-parent");
        seat.write("on\n");
        seat.see("got on");
        // What is typed before the program's end is typed to the program.
        seat.see("prompt> ");
        seat.write("echo code $?.\n");
        seat.see("code 3.");
        seat.write("exit 0\n");
        assert_eq!(seat.end(), 0, "{plan:?}");
    }
}

#[test]
fn a_job_in_the_background_leaves_the_terminal_alone() {
    let mut seat = Seat::shell();
    let script = "echo in the back''ground; sleep 0.3; echo do''ne";
    let words: Vec<String> =
        parent_words(&["env=KEY"], script).iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    seat.write(&format!("{} &\n", words.join(" ")));
    seat.see("in the background");
    seat.write("echo the sh''ell answers\n");
    seat.see("the shell answers");
    seat.see("done");
    seat.write("wait; exit $?\n");
    assert_eq!(seat.end(), 0);
}

#[test]
fn a_signal_to_us_reaches_a_program_in_its_own_session_and_a_hard_end_leaves_nobody() {
    let script = "trap 'echo asked; exit 6' TERM; echo $$ $PPID.; while :; do sleep 0.01; done";
    let ours = |seat: &mut Seat| {
        let line = seat.see(".\r\n");
        let usher = line.trim_end_matches(".\r\n").rsplit(' ').next().unwrap().to_owned();
        let status = std::fs::read_to_string(format!("/proc/{usher}/status")).unwrap();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
        (line.split(' ').next().unwrap().trim().to_owned(), Pid::from_raw(parent).unwrap())
    };
    let mut seat = Seat::parent(&["env=KEY"], script);
    let (_, parent) = ours(&mut seat);
    kill_process(parent, Signal::TERM).unwrap();
    seat.see("asked");
    assert_eq!(seat.end(), 6);
    // Without a word of ours the terminal goes, and with it whoever sits there.
    let mut seat = Seat::parent(&["env=KEY"], script);
    let (program, parent) = ours(&mut seat);
    kill_process(parent, Signal::KILL).unwrap();
    until(|| !support::lives(&program));
}
