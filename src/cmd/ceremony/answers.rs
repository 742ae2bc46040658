//! Where answers come from: the keyboard, or a file for rehearsals and tests, a line `step: answer` each.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::path::Path;

use super::telling::Telling;
use crate::cmd::files;
use crate::failure::{Exit, Failure, OrFail};

/// Where answers come from.
pub enum Answers {
    /// Who sits there, and where it is asked.
    Keyboard(Telling),
    /// In the order of the steps.
    File(VecDeque<(String, String)>, Telling),
}

impl Answers {
    /// From a file, or from the keyboard.
    pub fn open(file: Option<&Path>, telling: Telling) -> Result<Answers, Failure> {
        let Some(path) = file else { return Ok(Answers::Keyboard(telling)) };
        let mut all = VecDeque::new();
        for (number, line) in files::text(path, FILE_BYTES_MAX)?.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (step, answer) = line.split_once(':').ok_or_else(|| {
                let says = format!("{} line {}: no step is named", files::shown(path), number + 1);
                Failure::new(Exit::Failed, says).help("write `step: answer`, such as `time: yes`")
            })?;
            all.push_back((step.trim().to_owned(), answer.trim().to_owned()));
        }
        Ok(Answers::File(all, telling))
    }

    /// Whether somebody can be asked again.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Answers::Keyboard(_))
    }

    /// The answer to a step. Where there is none the ceremony is interrupted.
    pub fn next(&mut self, step: &str, prompt: &str, done: usize) -> Result<String, Failure> {
        let interrupted = || {
            Failure::new(Exit::Unavailable, format!("the ceremony is interrupted before step {} ({step})", done + 1))
                .help(format!("{done} steps are done and kept; give the same command again to go on"))
        };
        match self {
            Answers::Keyboard(telling) => {
                let mut out: Box<dyn Write> = match telling {
                    Telling::Text => Box::new(io::stdout().lock()),
                    Telling::Json | Telling::Aside => Box::new(io::stderr().lock()),
                };
                out.write_all(prompt.as_bytes()).and_then(|()| out.flush()).or_fail("cannot ask")?;
                drop(out);
                let mut line = String::new();
                let mut input = io::Read::take(io::stdin().lock(), LINE_BYTES_MAX);
                match input.read_line(&mut line).or_fail("cannot read the answer")? {
                    0 => Err(interrupted()),
                    _ => Ok(line.trim().to_owned()),
                }
            }
            Answers::File(all, telling) => match all.pop_front() {
                None => Err(interrupted()),
                Some((named, answer)) if named == step => {
                    telling.line(&format!("{prompt}{answer}"));
                    Ok(answer)
                }
                Some((named, _)) => Err(Failure::new(
                    Exit::Refused,
                    format!("the answers go on with `{named}`, and the script asks `{step}`"),
                )
                .help(format!("{done} steps are done and kept; the answers have to stand in the order of the steps"))),
            },
        }
    }

    /// What a file says of a step that was answered before, where it is something else.
    pub fn contradicts(&mut self, step: &str, before: &str) -> Result<Option<String>, Failure> {
        match self {
            Answers::Keyboard(_) => Ok(None),
            Answers::File(all, _) => match all.front() {
                Some((named, _)) if named == step => {
                    let said = all.pop_front().map(|(_, said)| said);
                    Ok(said.filter(|said| said != before))
                }
                Some(_) | None => Ok(None),
            },
        }
    }
}

const FILE_BYTES_MAX: u64 = 64 << 10;
const LINE_BYTES_MAX: u64 = 4 << 10;
