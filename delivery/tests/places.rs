//! Each place, read by real programs; and what the system shows of it to others.

#[allow(dead_code)]
#[path = "support/mod.rs"]
mod support;

use rustix::process::Signal;
use support::{FIRST, Home, Parent, SECOND, children, is_killed_by, lives, ran, sh, tells, until};

/// Prints it so that no mask knows it.
const ROT13: &str = "tr a-z n-za-m";
fn rot13(value: &str) -> String {
    let turn = |c: char| if c.is_ascii_lowercase() { char::from((c as u8 - b'a' + 13) % 26 + b'a') } else { c };
    value.chars().map(turn).collect()
}

#[test]
fn a_value_is_read_from_each_place() {
    for (plan, script) in [
        ("memory=FILE", "cat $FILE | ROT; cat $FILE | ROT"),
        ("fifo=FILE", "cat $FILE | ROT; cat $FILE | ROT"),
        ("file=key", "cat $CREDENTIALS_DIRECTORY/key | ROT; cat < $CREDENTIALS_DIRECTORY/key | ROT"),
        ("env=KEY", "printf %s \"$KEY\" | ROT; printf %s \"$KEY\" | ROT"),
        ("stdin", "read -r KEY; printf %s \"$KEY\" | ROT; printf %s \"$KEY\" | ROT"),
    ] {
        let (status, out, err) = sh(&[FIRST], &[plan], &script.replace("ROT", ROT13));
        assert!(status.success(), "{plan}: {err}");
        assert_eq!(out, rot13(FIRST).repeat(2), "{plan}");
    }
}

#[test]
fn binary_values_of_a_megabyte_come_whole() {
    let large = "\\u0000x".repeat(500_000);
    for (plan, script) in [
        ("memory=FILE", "wc -c < $FILE; head -c 3 $FILE | od -An -tx1"),
        ("fifo=FILE", "wc -c < $FILE; head -c 3 $FILE | od -An -tx1"),
        ("file=key", "cd $CREDENTIALS_DIRECTORY; wc -c < key; head -c 3 key | od -An -tx1"),
        ("stdin", "head -c 3 > /dev/null; wc -c; echo ' 00 78 00'"),
    ] {
        let (status, out, err) = sh(&[&large], &[plan], script);
        assert!(status.success(), "{plan}: {err}");
        let count = if plan == "stdin" { "" } else { "1000000" };
        assert!(out.starts_with(count) && out.trim_end().ends_with("00 78 00"), "{plan}: {out:?}");
    }
}

#[test]
fn a_memory_file_is_sealed_and_a_fifo_is_served_once() {
    let (status, out, _) = sh(&[FIRST], &["memory=FILE"], "echo x > $FILE || echo sealed; stat -L -c %a $FILE");
    assert!(status.success());
    assert_eq!(out, "sealed\n400\n");
    let script = format!("cat $FILE | {ROT13}; test -e $FILE || echo -gone");
    let (_, out, _) = sh(&[FIRST], &["once=FILE"], &script);
    assert_eq!(out, format!("{}-gone\n", rot13(FIRST)));
}

#[test]
fn the_credential_directory_is_as_systemd_makes_it() {
    let script = "cd $CREDENTIALS_DIRECTORY; stat -c %a . ; stat -L -c '%a %s' one two; ls; stat -f -c %T .";
    let (status, out, _) = sh(&[FIRST, SECOND], &["file=one", "file=two"], script);
    assert!(status.success());
    assert_eq!(out, format!("500\n400 {}\n400 {}\none\ntwo\ntmpfs\n", FIRST.len(), SECOND.len()));
}

#[test]
fn a_reference_in_the_environment_is_replaced_when_that_is_asked() {
    let home = |plan: &[&str], script: &str| {
        let home = Home::new(&[FIRST]);
        let mut command = home.command(plan, &["/bin/sh", "-c", script]);
        command.env("KEY", "chy://s0").env("TEXT", "see chy://s0");
        let (_, out, err, _) = Parent::of(command, home).end();
        (out, err)
    };
    let script = format!("printf '%s' \"$KEY$TEXT\" | {ROT13}");
    assert_eq!(home(&["resolve"], &script).0, format!("{}{}", rot13(FIRST), rot13("see chy://s0")));
    assert_eq!(home(&[], &script).0, rot13("chy://s0see chy://s0"));
}

#[test]
fn nobody_else_is_shown_a_value() {
    for plan in [&["memory=FILE"][..], &["fifo=FILE"], &["file=key"], &["stdin"], &["env=KEY"], &["env=KEY", "bound"]] {
        let mut parent = Parent::start(&[FIRST], plan, &["/bin/sh", "-c", "echo $$; exec sleep 1000"]);
        let program = parent.line();
        until(|| std::fs::read_to_string(format!("/proc/{program}/comm")).is_ok_and(|name| name == "sleep\n"));
        let ours = parent.pid().as_raw_nonzero().to_string();
        assert!(!tells(&ours, FIRST), "{plan:?}: the parent");
        assert_eq!(tells(&program, FIRST), plan[0] == "env=KEY", "{plan:?}: the program");
        for helper in children(&ours).into_iter().filter(|pid| *pid != program && !plan.contains(&"bound")) {
            assert!(!tells(&helper, FIRST), "{plan:?}: a helper");
        }
        let status = std::fs::read_to_string(format!("/proc/{ours}/limits")).unwrap();
        assert!(status.lines().any(|line| line.starts_with("Max core file size        0 ")), "{status}");
        parent.send(Signal::TERM);
        let (status, _, _, home) = parent.end();
        assert!(is_killed_by(status, Signal::TERM), "{plan:?}");
        assert_eq!(home.left(), Vec::<String>::new(), "{plan:?}");
    }
}

#[test]
fn a_program_inherits_the_memory_file_and_no_other() {
    let count = "ls /proc/self/fd | wc -l";
    let direct = std::process::Command::new("/bin/sh").args(["-c", count]).output().unwrap().stdout;
    let (_, without, _) = sh(&[], &[], count);
    assert_eq!(without.as_bytes(), direct, "what it has without us");
    let (_, with, _) = sh(&[FIRST], &["memory=FILE"], &format!("{count}; readlink $FILE | cut -c 1-16"));
    assert_eq!(with, format!("{}\n/memfd:chancery \n", without.trim().parse::<u32>().unwrap() + 1));
}

#[test]
fn a_killed_parent_leaves_nothing() {
    for plan in [&["file=key"][..], &["fifo=FILE"]] {
        let mut parent = Parent::start(&[FIRST], plan, &["/bin/sh", "-c", "echo $$; exec sleep 1000"]);
        let program = parent.line();
        assert_eq!(parent.home.left().len(), 1);
        parent.send(Signal::KILL);
        let (status, _, _, home) = {
            until(|| !lives(&parent.pid().as_raw_nonzero().to_string()));
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(program.parse().unwrap()).unwrap(),
                Signal::KILL,
            )
            .unwrap();
            parent.end()
        };
        assert!(is_killed_by(status, Signal::KILL));
        until(|| home.left().is_empty());
    }
}

#[test]
fn what_a_killed_parent_and_janitor_left_the_next_run_takes_away() {
    let home = Home::new(&[FIRST]);
    let stale = home.runtime().join("chancery-00000000000000000000000000000000");
    std::fs::create_dir_all(stale.join("..chancery-1")).unwrap();
    std::fs::write(stale.join("..chancery-1/key"), FIRST).unwrap();
    std::fs::create_dir(home.runtime().join("somebody-else")).unwrap();
    let command = home.command(&["file=key"], &["/bin/true"]);
    let (status, _, _, home) = Parent::of(command, home).end();
    assert!(status.success());
    assert_eq!(home.left(), ["somebody-else"]);
}

#[test]
fn one_run_leaves_the_folder_of_another_alone() {
    let home = Home::new(&[FIRST]);
    let script = "echo ready; read -r line < $GO; cat $CREDENTIALS_DIRECTORY/key | wc -c";
    let mut command = home.command(&["file=key"], &["/bin/sh", "-c", script]);
    let go = home.runtime().join("go");
    rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    command.env("GO", &go);
    let second = home.command(&["file=key"], &["/bin/true"]).output();
    let mut parent = Parent::of(command, home);
    assert_eq!(parent.line(), "ready");
    assert!(second.unwrap().status.success());
    let again = parent.home.command(&["file=key"], &["/bin/true"]).output().unwrap();
    assert!(again.status.success());
    std::fs::write(&go, "go\n").unwrap();
    let (status, out, _, home) = parent.end();
    assert!(status.success());
    assert_eq!((out.trim(), home.left()), (FIRST.len().to_string().as_str(), vec!["go".to_owned()]));
}

#[test]
fn a_place_that_cannot_hold_a_value_is_refused_and_nothing_is_left() {
    for (value, plan, because) in [
        ("a\\u0000b", &["env=KEY"][..], "it has a byte 0"),
        (&"x".repeat(128 * 1024), &["env=KEY"], "longer than 128 KiB"),
        (FIRST, &["file=a", "file=a"], "chy://s1 has no value"),
        (FIRST, &["env=KEY", "signal"], "KEY keeps the value it began with"),
    ] {
        let (status, out, err) = ran(&[value], plan, &["/bin/echo", "started"]);
        assert_eq!((status.code(), out.as_str()), (Some(125), ""), "{err}");
        let twice = plan.len() == 2 && plan[0] == plan[1];
        assert!(err.contains(if twice { "is given twice" } else { because }), "{err}");
        assert!(!err.contains(value), "{err}");
    }
}
