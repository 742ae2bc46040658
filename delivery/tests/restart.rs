//! A restart with new values: who ends, who begins, and when nobody does.

#[allow(dead_code)]
#[path = "support/mod.rs"]
mod support;

use rustix::process::{Pid, Signal};
use support::{FIRST, NEWER, Parent, SECOND, is_killed_by, lives, until};

#[test]
fn new_values_restart_the_program_even_one_that_does_not_want_to_end() {
    for (trap, bound) in [("", ""), ("trap '' TERM;", ""), ("trap '' TERM;", "bound")] {
        let script = format!("{trap} echo $$; printf '%s' \"$KEY\" | cut -c 8-15; while :; do sleep 0.01; done");
        let plan: Vec<&str> = ["env=KEY", "restart", bound].into_iter().filter(|word| !word.is_empty()).collect();
        let mut parent = Parent::start(&[FIRST], &plan, &["/bin/sh", "-c", &script]);
        let before = parent.line();
        assert_eq!(parent.line(), FIRST[7..15]);
        parent.home.change(&[NEWER]);
        let now = parent.line();
        assert_ne!(now, before);
        assert_eq!(parent.line(), NEWER[7..15]);
        assert!(!lives(&before), "{plan:?}: there is one program at a time");
        let program = Pid::from_raw(now.parse().unwrap()).unwrap();
        parent.send(Signal::KILL);
        match bound {
            "" => {
                let pid = parent.pid().as_raw_nonzero().to_string();
                until(|| !lives(&pid));
                // Nobody bound it.
                rustix::process::kill_process(program, Signal::KILL).unwrap();
            }
            _ => until(|| !lives(&now)),
        }
        parent.end();
    }
}

#[test]
fn an_end_during_a_restart_starts_nothing() {
    let script = "trap 'echo asked' TERM; trap 'echo ended; exit 7' INT; echo begun; while :; do sleep 0.01; done";
    let mut parent = Parent::start(&[FIRST], &["memory=FILE", "restart"], &["/bin/sh", "-c", script]);
    assert_eq!(parent.line(), "begun");
    parent.home.change(&[NEWER]);
    assert_eq!(parent.line(), "asked");
    parent.send(Signal::INT);
    let (status, out, _, _) = parent.end();
    assert_eq!((status.code(), out.as_str()), (Some(7), "ended\n"));
}

#[test]
fn values_that_come_after_an_end_start_nothing() {
    let script = "trap 'echo asked' TERM; trap 'echo interrupted' INT; trap 'exit 7' USR1; echo begun; \
                  while :; do sleep 0.01; done";
    let start = || {
        let mut parent = Parent::start(&[FIRST], &["memory=FILE", "restart"], &["/bin/sh", "-c", script]);
        assert_eq!(parent.line(), "begun");
        parent
    };
    let take_up = |parent: &Parent, values: &[&str]| {
        let (mark, ours) =
            (parent.home.values_file().with_file_name("change"), parent.pid().as_raw_nonzero().to_string());
        // Those of the first mark have come when the second is seen; and a program whose grace is over has ended.
        for _ in 0..2 {
            parent.home.change(values);
            until(|| !mark.exists() || !lives(&ours));
        }
    };
    // While it runs, and takes its time to end.
    let mut parent = start();
    parent.send(Signal::TERM);
    assert_eq!(parent.line(), "asked");
    take_up(&parent, &[NEWER]);
    parent.send(Signal::USR1);
    let (status, out, _, _) = parent.end();
    assert_eq!((status.code(), out.as_str()), (Some(7), ""));
    // While it is ended to begin anew.
    for signal in [Signal::INT, Signal::TERM] {
        let mut parent = start();
        parent.home.change(&[NEWER]);
        assert_eq!(parent.line(), "asked");
        parent.send(signal);
        assert_eq!(parent.line(), if signal == Signal::INT { "interrupted" } else { "asked" });
        take_up(&parent, &[SECOND]);
        parent.send(Signal::USR1);
        let (_, out, _, _) = parent.end();
        assert!(!out.contains("begun"), "{out}");
    }
}

#[test]
fn an_interrupt_that_the_program_goes_on_after_keeps_no_restart_away() {
    let script = "trap 'echo interrupted' INT; trap 'exit 9' USR1; echo $$; while :; do sleep 0.01; done";
    let mut parent = Parent::start(&[FIRST], &["env=KEY", "restart"], &["/bin/sh", "-c", script]);
    let before = parent.line();
    parent.send(Signal::INT);
    assert_eq!(parent.line(), "interrupted");
    parent.home.change(&[NEWER]);
    assert_ne!(parent.line(), before);
    parent.send(Signal::USR1);
    assert_eq!(parent.end().0.code(), Some(9));
}

#[test]
fn a_restart_ends_whoever_descends_from_the_program_and_another_end_does_not() {
    // A child; one in a session of its own, whose parent is gone; a shell that does not want to end, and its child, which does not either.
    let script = r#"sleep 1000 & echo $!; sh -c 'setsid sleep 1000 & echo $!'; sh -c "trap '' TERM; echo \$\$; sleep 1000 & echo \$!; while :; do sleep 0.01; done" & echo last; wait"#;
    for plan in [&["env=KEY", "restart"][..], &["env=KEY", "restart", "bound"]] {
        let mut parent = Parent::start(&[FIRST], plan, &["/bin/sh", "-c", script]);
        let all = |parent: &mut Parent| {
            let lines: Vec<String> = (0..5).map(|_| parent.line()).filter(|line| line != "last").collect();
            assert_eq!(lines.len(), 4, "{lines:?}");
            lines
        };
        let before = all(&mut parent);
        parent.home.change(&[NEWER]);
        let now = all(&mut parent);
        assert!(before.iter().all(|pid| !lives(pid)), "{plan:?}: nobody of before beside the new one");
        parent.send(Signal::TERM);
        assert!(is_killed_by(parent.end().0, Signal::TERM));
        for pid in now {
            assert!(lives(&pid), "{plan:?}: what a program leaves at its end is its own affair");
            rustix::process::kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        }
    }
}

#[test]
fn a_restart_is_said_when_it_is_one_and_once() {
    let script = "trap 'exit 9' USR1; trap 'echo asked' TERM; echo begun $(printf %s \"$KEY\" | cut -c 8-15); \
                  while :; do sleep 0.01; done";
    let mut parent = Parent::start(&[FIRST], &["env=KEY", "restart"], &["/bin/sh", "-c", script]);
    assert_eq!(parent.line(), format!("begun {}", &FIRST[7..15]));
    parent.home.change(&[NEWER]);
    assert_eq!(parent.line(), "asked");
    // While the first is being ended.
    parent.home.change(&[SECOND]);
    let (mut restarts, last) = (0, format!("begun {}", &SECOND[7..15]));
    loop {
        let line = parent.line();
        restarts += usize::from(line.starts_with("begun"));
        if line == last {
            break;
        }
        assert!(line == "asked" || line.starts_with("begun"), "{line}");
    }
    parent.send(Signal::USR1);
    let (status, _, err, _) = parent.end();
    assert_eq!((status.code(), err.matches("the program was restarted").count()), (Some(9), restarts), "{err}");
}

#[test]
fn what_a_program_has_that_is_being_ended_stays_masked_whatever_comes_meanwhile() {
    let script = "trap 'echo asked' TERM; trap 'exit 9' USR1; \
                  while :; do echo \"has $KEY\"; echo \"is $(printf %s \"$KEY\" | cut -c 8-15)\"; sleep 0.01; done";
    let mut parent = Parent::start(&[FIRST], &["env=KEY", "restart"], &["/bin/sh", "-c", script]);
    let reads_to = |parent: &mut Parent, end: &str| loop {
        let line = parent.line();
        assert!(line == "has [hidden]" || line == "asked" || line.starts_with("is "), "{line}");
        if line == end {
            return;
        }
    };
    reads_to(&mut parent, &format!("is {}", &FIRST[7..15]));
    parent.home.change(&[NEWER]);
    reads_to(&mut parent, "asked");
    parent.home.change(&[SECOND]);
    reads_to(&mut parent, &format!("is {}", &SECOND[7..15]));
    parent.send(Signal::USR1);
    assert_eq!(parent.end().0.code(), Some(9));
}
