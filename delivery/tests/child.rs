//! The program: its exit code, its signals, what it prints, and what it learns of changes while it runs.

#[allow(dead_code)]
#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal};
use support::{FIRST, Home, NEWER, Parent, SECOND, is_killed_by, lives, ran, sh, until};

#[test]
fn exit_codes_and_signals_pass_through() {
    for bound in [&[][..], &["bound"]] {
        for code in [0, 1, 3, 125, 255] {
            let (status, _, _) = sh(&[], bound, &format!("exit {code}"));
            assert_eq!(status.code(), Some(code));
        }
        for signal in [Signal::TERM, Signal::KILL, Signal::INT, Signal::HUP, Signal::PIPE, Signal::SEGV, Signal::ABORT]
        {
            let (status, _, _) = sh(&[], bound, &format!("kill -{} $$", signal.as_raw()));
            assert_eq!(status.signal(), Some(signal.as_raw()), "{bound:?} {status}");
        }
    }
}

#[test]
fn what_is_not_there_is_127_and_what_cannot_be_executed_is_126() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "echo through a shell\n").unwrap();
    let text = text.to_str().unwrap();
    assert_eq!(ran(&[], &[], &["nothing-of-this-name"]).0.code(), Some(127));
    assert_eq!(ran(&[], &[], &[text]).0.code(), Some(126));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(text, std::fs::Permissions::from_mode(0o755)).unwrap();
    for plan in [&[][..], &["bound"]] {
        let (status, out, _) = ran(&[], plan, &[text]);
        assert_eq!((status.code(), out.as_str()), (Some(126), ""), "no shell tries it");
    }
    let (status, out, _) = ran(&[], &[], &["/bin/echo", "$HOME", "a b", "*"]);
    assert_eq!((status.code(), out.as_str()), (Some(0), "$HOME a b *\n"));
}

#[test]
fn each_signal_reaches_the_program_once() {
    for plan in [&[][..], &["bound"], &["inherited"]] {
        for (signal, name) in [
            (Signal::TERM, "TERM"),
            (Signal::INT, "INT"),
            (Signal::HUP, "HUP"),
            (Signal::QUIT, "QUIT"),
            (Signal::USR1, "USR1"),
            (Signal::USR2, "USR2"),
            (Signal::ALARM, "ALRM"),
            (Signal::VTALARM, "VTALRM"),
            (Signal::PROF, "PROF"),
            (Signal::WINCH, "WINCH"),
            (Signal::CONT, "CONT"),
        ] {
            // Ends at USR1 when that is not what is counted.
            let script = format!(
                "n=0; trap 'n=$((n+1)); echo got' {name}; echo ready; while [ $n -lt 1 ]; do sleep 0.01; done; sleep 0.05; exit $n"
            );
            let mut parent = Parent::start(&[], plan, &["/bin/sh", "-c", &script]);
            assert_eq!(parent.line(), "ready");
            parent.send(signal);
            assert_eq!(parent.line(), "got", "{plan:?} {name}");
            assert_eq!(parent.end().0.code(), Some(1), "{plan:?} {name}");
        }
    }
}

#[test]
fn a_program_that_is_stopped_stops_us_and_goes_on_with_us() {
    for plan in [&[][..], &["bound"]] {
        let mut parent = Parent::start(
            &[],
            plan,
            &["/bin/sh", "-c", "echo $$; while [ ! -e $XDG_RUNTIME_DIR/go ]; do sleep 0.01; done; echo on"],
        );
        let program = parent.line();
        let state = |pid: &str| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().find_map(|line| line.strip_prefix("State:\t")).unwrap_or_default().chars().next()
        };
        let ours = parent.pid().as_raw_nonzero().to_string();
        parent.send(Signal::TSTP);
        until(|| state(&program) == Some('T') && state(&ours) == Some('T'));
        std::fs::write(parent.home.runtime().join("go"), "").unwrap();
        parent.send_to_group(Signal::CONT);
        assert_eq!(parent.line(), "on");
        std::fs::remove_file(parent.home.runtime().join("go")).unwrap();
        assert!(parent.end().0.success());
    }
}

#[test]
fn what_was_ignored_stays_ignored_as_under_nohup() {
    let home = Home::new(&[]);
    let mut inner = vec!["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_chancery-delivery-parent"), "--"];
    inner.extend(["/bin/sh", "-c", "echo ready; grep SigIgn /proc/$$/status; sleep 0.05; echo still"]);
    let mut command = home.command(&[], &[]);
    let mut under = std::process::Command::new("/bin/sh");
    under.args(&inner).envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    under.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    std::mem::swap(&mut command, &mut under);
    let mut parent = Parent::of(command, home);
    assert_eq!(parent.line(), "ready");
    let set = u64::from_str_radix(parent.line().trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(set & 1, 1, "HUP is ignored by the program");
    parent.send(Signal::HUP);
    let (status, out, _, _) = parent.end();
    assert!(status.success() && out == "still\n");
}

#[test]
fn input_passes_through_and_output_is_masked_on_both_streams() {
    let home = Home::new(&[FIRST, SECOND]);
    let script = "cat; printf 'key=%s' \"$KEY\" >&2; printf %s \"$KEY\" | base64; printf %s \"$KEY\" | od -An -v -tx1 | tr -d ' \\n'; cat $FILE";
    let mut command = home.command(&["env=KEY", "memory=FILE"], &["/bin/sh", "-c", script]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let text = format!("before {FIRST} after\n");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(out, "before [hidden] after\n[hidden]\n[hidden]");
    assert!(err.ends_with("key=[hidden]"), "{err}");
}

#[test]
fn unmasked_is_what_was_asked_for_and_short_values_are_said() {
    let (_, out, _) = sh(&[FIRST], &["env=KEY", "inherited"], "echo $KEY");
    assert_eq!(out.trim_end(), FIRST);
    let (_, out, err) = sh(&["abc"], &["env=KEY"], "echo $KEY");
    assert_eq!(out, "abc\n");
    assert!(err.contains("notice: chy://s0 is too short to be masked"), "{err}");
}

#[test]
fn a_prompt_comes_before_its_answer() {
    let home = Home::new(&[FIRST]);
    let mut command = home.command(&["env=KEY"], &["/bin/sh", "-c", "printf 'Name: '; read -r name; echo hello $name"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut prompt = [0; 6];
    std::io::Read::read_exact(&mut out, &mut prompt).unwrap();
    assert_eq!(&prompt, b"Name: ");
    child.stdin.take().unwrap().write_all(b"you\n").unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    assert_eq!(rest, "hello you\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_program_whose_reader_goes_away_is_told_and_what_it_leaves_behind_is_not_waited_for() {
    let home = Home::new(&[FIRST]);
    let mut child = home.command(&["env=KEY"], &["/usr/bin/yes"]).spawn().unwrap();
    drop(child.stdout.take());
    assert!(is_killed_by(child.wait().unwrap(), Signal::PIPE));
    let mut parent = Parent::start(&[FIRST], &["env=KEY"], &["/bin/sh", "-c", "sleep 1000 & echo $!; echo last"]);
    let behind = parent.line();
    let (status, out, _, _) = parent.end();
    assert!(status.success() && out == "last\n");
    assert!(lives(&behind));
    rustix::process::kill_process(Pid::from_raw(behind.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_program_that_is_bound_ends_with_a_killed_parent_and_another_does_not() {
    for (plan, script, is_bound) in [
        (&["bound"][..], "echo $$; exec sleep 1000", true),
        (&["bound"], "trap '' TERM; echo $$; while :; do sleep 0.1; done", true),
        (&["bound", "inherited"], "echo $$; exec sleep 1000", true),
        (&[], "echo $$; exec sleep 1000", false),
    ] {
        let mut parent = Parent::start(&[FIRST], plan, &["/bin/sh", "-c", script]);
        let program = parent.line();
        parent.send(Signal::KILL);
        if is_bound {
            until(|| !lives(&program));
        } else {
            until(|| !lives(&parent.pid().as_raw_nonzero().to_string()));
            assert!(lives(&program));
            rustix::process::kill_process(Pid::from_raw(program.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        }
        assert!(is_killed_by(parent.end().0, Signal::KILL));
    }
}

/// A real-time signal cannot be passed on: no safe code sends one.
#[test]
fn what_ends_the_parent_without_being_passed_on_leaves_no_program_behind() {
    const REAL_TIME: i32 = 40;
    let mut parent = Parent::start(&[FIRST], &["bound"], &["/bin/sh", "-c", "echo $$; exec sleep 1000"]);
    let program = parent.line();
    let ours = parent.pid().as_raw_nonzero().to_string();
    let sent = std::process::Command::new("kill").args([format!("-{REAL_TIME}"), ours]).status().unwrap();
    assert!(sent.success());
    until(|| !lives(&program));
    assert_eq!(parent.end().0.signal(), Some(REAL_TIME));
}

#[test]
fn orphans_are_waited_for_when_that_is_asked() {
    // The middle shell ends at once; its child becomes ours, ends, and is no zombie.
    let script =
        "sh -c 'sleep 0.05 & echo $!'; while [ ! -e $XDG_RUNTIME_DIR/go ]; do sleep 0.01; done; rm $XDG_RUNTIME_DIR/go";
    let mut parent = Parent::start(&[], &["reaps"], &["/bin/sh", "-c", script]);
    let orphan = parent.line();
    until(|| !std::path::Path::new("/proc").join(&orphan).exists());
    std::fs::write(parent.home.runtime().join("go"), "").unwrap();
    assert!(parent.end().0.success());
}

#[test]
fn new_values_stand_before_the_signal_and_both_are_masked() {
    let script = "d=$CREDENTIALS_DIRECTORY; was=$(cat $d/a $d/b); trap 'go=1' HUP; echo ready; while [ -z \"$go\" ]; do sleep 0.01; done; \
                  echo $was; cat $d/a $d/b; echo; cut -c 8-15 $d/a; cat $FILE | cut -c 8-15";
    let values = [FIRST, SECOND, FIRST];
    let mut parent = Parent::start(&values, &["file=a", "file=b", "fifo=FILE", "signal"], &["/bin/sh", "-c", script]);
    assert_eq!(parent.line(), "ready");
    parent.home.change(&[NEWER, SECOND, NEWER]);
    let (status, out, err, home) = parent.end();
    assert!(status.success(), "{err}");
    assert_eq!(out, format!("[hidden]\n[hidden]\n{0}\n{0}\n", &NEWER[7..15]));
    assert!(err.contains("notice: new values stand in their places"), "{err}");
    assert_eq!(home.left(), Vec::<String>::new());
}

#[test]
fn whatever_a_program_was_given_stays_masked_while_it_runs() {
    let script = format!(
        "d=$CREDENTIALS_DIRECTORY; was=$(cat $d/a); trap : HUP; echo ready; \
         for value in {SECOND} {NEWER}; do until grep -q $value $d/a; do sleep 0.01; done; \
         echo \"$was $(cut -c 8-15 $d/a)\"; done; exit 9"
    );
    for on_change in ["replace", "signal"] {
        let mut parent = Parent::start(&[FIRST], &["file=a", on_change], &["/bin/sh", "-c", &script]);
        assert_eq!(parent.line(), "ready");
        for value in [SECOND, NEWER] {
            parent.home.change(&[value]);
            assert_eq!(parent.line(), format!("[hidden] {}", &value[7..15]), "{on_change}");
        }
        let (status, _, err, _) = parent.end();
        assert_eq!(status.code(), Some(9), "{on_change}: {err}");
    }
}

/// A limit of the size of files is to whoever writes what a full disk is, and whoever is not root can set one.
#[test]
fn what_cannot_be_written_is_lost_which_is_said_once_and_the_program_goes_on() {
    let home = Home::new(&[]);
    let (log, go) = (home.runtime().join("log"), home.runtime().join("go"));
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let script = "printf '%03000d' 0; while [ ! -e $XDG_RUNTIME_DIR/go ]; do sleep 0.01; done; echo after; exit 7";
    let mut under = std::process::Command::new("/bin/sh");
    under.args(["-c", limited, "sh", env!("CARGO_BIN_EXE_chancery-delivery-parent"), "--", "/bin/sh", "-c", script]);
    let variables = home.command(&[], &[]);
    under.envs(variables.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
    let mut child = under.stdin(Stdio::null()).stdout(file).stderr(Stdio::piped()).spawn().unwrap();
    let (mut err, mut said) = (BufReader::new(child.stderr.take().unwrap()), String::new());
    while !said.contains("cannot be written") {
        assert_ne!(err.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // There is room again.
    std::fs::OpenOptions::new().write(true).truncate(true).open(&log).unwrap();
    std::fs::write(&go, "").unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{said}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "after\n");
    assert_eq!(said.matches("cannot be written").count(), 1, "{said}");
}

/// What it printed last may find no room either.
#[test]
fn what_is_lost_at_the_end_is_said_too() {
    let home = Home::new(&[]);
    let mut command = home.command(&[], &["/bin/sh", "-c", "echo last; exit 7"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.matches("cannot be written").count()), (Some(7), 1), "{said}");
}

#[test]
fn values_that_cannot_be_used_leave_the_program_as_it_is() {
    let script = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done";
    for plan in [&["env=KEY", "restart"][..], &["file=a", "replace"]] {
        let mut parent = Parent::start(&[FIRST], plan, &["/bin/sh", "-c", script]);
        assert_eq!(parent.line(), "ready");
        // None at all.
        parent.home.change(&[]);
        let mark = parent.home.values_file().with_file_name("change");
        until(|| !mark.exists());
        parent.send(Signal::USR1);
        let (status, _, err, _) = parent.end();
        assert_eq!(status.code(), Some(9), "{err}");
    }
}

#[test]
fn the_same_values_once_more_are_no_change() {
    let counts = "n=0; trap 'n=$((n+1))' HUP; echo ready; while [ $n -lt 1 ]; do sleep 0.01; done; exit 9".to_owned();
    let waits = format!("echo ready; until grep -q {NEWER} $CREDENTIALS_DIRECTORY/b; do sleep 0.01; done; exit 9");
    for (on_change, script) in [("signal", counts), ("replace", waits)] {
        let mut parent = Parent::start(&[FIRST, SECOND], &["file=a", "file=b", on_change], &["/bin/sh", "-c", &script]);
        assert_eq!(parent.line(), "ready");
        let mark = parent.home.values_file().with_file_name("change");
        for values in [[FIRST, SECOND], [FIRST, SECOND], [FIRST, NEWER]] {
            parent.home.change(&values);
            until(|| !mark.exists());
        }
        let (status, _, err, _) = parent.end();
        assert_eq!(status.code(), Some(9), "{on_change}: {err}");
        assert_eq!(err.matches("notice: new values stand in their places").count(), 1, "{on_change}: {err}");
    }
}
