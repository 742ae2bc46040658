//! The parent of the tests: a plan from its words, and what a command of the program does with it.
//!
//! Words: `memory=VAR`, `fifo=VAR` (unbounded), `once=VAR`, `file=NAME`, `stdin`, `env=VAR` give the next secret (`chy://s0`,
//! `chy://s1`, ...), whose values are the lines of the file that VALUES names (escapes of JSON strings). `restart`, `signal`, `replace`
//! say what a change does: each time that file's folder gets a file `change`, it is read anew. `bound`, `reaps`, `inherited`,
//! `resolve`, `disk`; then `--` and the program.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use chancery_delivery::{DiskRule, Given, OnChange, Place, Plan, Printing, Reads, Values, run, step};
use rustix::process::Signal;

fn main() -> std::process::ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = step(&words) {
        return code.into();
    }
    let (plan, values) = (plan(&words), PathBuf::from(std::env::var_os("VALUES").expect("VALUES names a file")));
    let (tell, changes) = mpsc::channel();
    let watched = values.clone();
    std::thread::spawn(move || {
        let mark = watched.with_file_name("change");
        loop {
            if mark.exists() {
                let changed = read(&watched);
                std::fs::remove_file(&mark).expect("the mark is ours");
                if tell.send(changed).is_err() {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    match run(&plan, read(&values), changes, &mut |notice| eprintln!("notice: {notice}")) {
        Ok(ended) => ended.leave(),
        Err(error) => {
            eprintln!("failed: {error}");
            error.exit_code().into()
        }
    }
}

fn read(file: &std::path::Path) -> Values {
    let text = std::fs::read_to_string(file).expect("the values");
    text.lines().enumerate().fold(Values::default(), |values, (number, line)| {
        let value: String = serde_json::from_str(&format!("\"{line}\"")).expect("a JSON string");
        values.with(format!("chy://s{number}").parse().expect("a reference"), value.into_bytes())
    })
}

fn plan(words: &[OsString]) -> Plan {
    let end = words.iter().position(|word| word == "--").expect("-- before the program");
    let mut plan = Plan::new(&words[end + 1]);
    plan.arguments = words[end + 2..].to_vec();
    plan.environment = std::env::vars_os().filter(|(name, _)| name != "VALUES").collect();
    for word in words[..end].iter().map(|word| word.to_str().expect("UTF-8")) {
        let (kind, name) = word.split_once('=').unwrap_or((word, ""));
        let variable = || name.parse().expect("a variable");
        let place = match kind {
            "memory" => Place::MemoryFile(variable()),
            "fifo" => Place::Fifo(variable(), Reads::Unbounded),
            "once" => Place::Fifo(variable(), Reads::Times(std::num::NonZeroU32::MIN)),
            "file" => Place::Directory(name.parse().expect("a file")),
            "stdin" => Place::StandardInput,
            "env" => Place::Environment(variable()),
            other => {
                option(&mut plan, other);
                continue;
            }
        };
        let reference = format!("chy://s{}", plan.given.len()).parse().expect("a reference");
        plan.given.push(Given { reference, place });
    }
    plan
}

fn option(plan: &mut Plan, word: &str) {
    match word {
        "restart" => plan.on_change = OnChange::Restart { grace: Duration::from_millis(300) },
        "signal" => plan.on_change = OnChange::Signal(Signal::HUP),
        "replace" => plan.on_change = OnChange::Replace,
        "bound" => plan.ends_with_us = true,
        "reaps" => plan.reaps = true,
        "inherited" => plan.printing = Printing::Inherited,
        "resolve" => plan.resolve_environment = true,
        "disk" => plan.disk = DiskRule::MayBeDisk,
        other => panic!("{other} is no word of a plan"),
    }
}
