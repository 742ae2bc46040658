//! What is brought and what is taken: a file or standard input, whole or line by line; never the command line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrets::transit::{BATCH_MAX, ITEM_BYTES_MAX, KeyName};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::super::files::{Input, shown};
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::field;

/// A file or standard input.
#[derive(clap::Args)]
pub(super) struct Source {
    /// This file; standard input where nobody says
    file: Option<PathBuf>,
}

/// What it is bound to.
#[derive(clap::Args)]
pub(super) struct Binding {
    /// For which context, of a derived key
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// What else it is bound to: it has to be said again
    #[arg(long, value_name = "TEXT")]
    bind: Option<String>,
}

impl Source {
    /// All of it, byte for byte; of what is longer than one item is said what to do `instead`.
    pub fn whole(&self, instead: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let says = || format!("{} has more than {} MiB, the most of one item", self.name(), ITEM_BYTES_MAX >> 20);
        let none = || Failure::new(Exit::Usage, says()).help(instead);
        self.read(ITEM_BYTES_MAX as u64)?.ok_or_else(none)
    }

    /// Its lines; an empty one is one too.
    pub fn lines(&self) -> Result<Vec<Zeroizing<Vec<u8>>>, Failure> {
        let says =
            || format!("{} has more than {} MiB, the most that is taken at once", self.name(), LINES_BYTES_MAX >> 20);
        let none = || Failure::new(Exit::Usage, says()).help("divide it");
        Ok(lines_of(&self.read(LINES_BYTES_MAX)?.ok_or_else(none)?))
    }

    /// Its lines as texts that were answered once.
    pub fn texts(&self) -> Result<Vec<String>, Failure> {
        let lines = self.lines()?;
        let texts = lines.iter().map(|line| std::str::from_utf8(line).map(|text| text.trim().to_owned()));
        let texts: Result<Vec<String>, _> = texts.collect();
        let texts = texts.or_fail("this is none of the texts that were answered (chy:v1:...)")?;
        match texts.is_empty() {
            false => Ok(texts),
            true => Err(Failure::new(Exit::Usage, format!("there is nothing in {}", self.name()))),
        }
    }

    fn name(&self) -> String {
        self.file.as_deref().map_or_else(|| "standard input".to_owned(), shown)
    }

    /// None where it is longer.
    fn read(&self, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let file = self.file.as_deref().unwrap_or(Path::new(STANDARD_INPUT));
        Ok(Input::open(file)?.within(most)?.map(Zeroizing::new))
    }
}

impl Binding {
    /// An item, with what it is bound to.
    pub fn item(&self, name: &str, value: Value) -> Value {
        let mut item = json!({});
        item[name] = value;
        for (name, given) in [("context", &self.context), ("associated_data", &self.bind)] {
            if let Some(text) = given {
                item[name] = STANDARD.encode(text).into();
            }
        }
        item
    }
}

/// What came of each of these, in their order: in as many batches as it takes.
pub(super) async fn batches(
    client: &Client,
    key: &str,
    act: &str,
    (items, under): (Vec<Value>, Option<u32>),
) -> Result<Vec<Value>, Failure> {
    let place = place(key, act)?;
    let mut answers = Vec::with_capacity(items.len());
    let mut rest = items.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(item) = rest.next_if(|item| batch.is_empty() || bytes + length(item) <= BATCH_BYTES_MAX) {
            bytes += length(&item);
            batch.push(item);
            if batch.len() == BATCH_MAX {
                break;
            }
        }
        let mut body = json!({ "items": batch });
        if let Some(version) = under {
            body["version"] = version.into();
        }
        let answer = client.post_hidden(&place, &body).await.map_err(Failure::of_a_reading)?;
        let mut answer: Value = serde_json::from_slice(&answer).or_fail("the server's answer is no JSON")?;
        match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => answers.extend(items),
            _ => return Err(Failure::new(Exit::Failed, "the server's answer has no items")),
        }
    }
    Ok(answers)
}

/// Hands the field of each, with its place, to `print`: none of one that came to nothing, so that something else can stand in its place
/// and the others stay in theirs. Which came to nothing is told once all are printed.
pub(super) fn each(
    answers: &[Value],
    name: &str,
    print: impl Fn(usize, Option<&Value>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failed = Vec::new();
    for (at, answer) in answers.iter().enumerate() {
        let made = answer.get(name).filter(|made| !made.is_null());
        if made.is_none() {
            failed.push((at + 1, answer));
        }
        print(at, made)?;
    }
    let (numbers, why): (Vec<usize>, Vec<String>) =
        failed.into_iter().map(|(number, answer)| (number, field(answer, "error"))).unzip();
    match why.first() {
        None => Ok(()),
        Some(why) => Err(Failure::new(Exit::Failed, failures(&numbers, why))),
    }
}

/// Which came to nothing, and why the first did.
fn failures(numbers: &[usize], why: &str) -> String {
    let first = numbers.first().map(|first| format!("item {first}: {why}")).unwrap_or_default();
    if numbers.len() <= 1 {
        return first;
    }
    let named: Vec<String> = numbers.iter().take(FAILED_NAMED_MAX).map(ToString::to_string).collect();
    let more = match numbers.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} came to nothing, items {}{more}; {first}", numbers.len(), named.join(", "))
}

/// Lines; an empty one is one too, and of nothing there is none.
fn lines_of(bytes: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    text.split(|byte| *byte == b'\n').map(|line| Zeroizing::new(line.to_vec())).collect()
}

/// Bytes to standard output, byte for byte.
pub(super) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).or_fail("it was not printed")
}

/// The bytes of an answer's base64.
pub(super) fn decoded(value: &Value) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let text = value.as_str().unwrap_or_default();
    STANDARD.decode(text).map(Zeroizing::new).or_fail("the server's answer is no base64")
}

/// Where a key is used; what is no name is refused here.
pub(super) fn place(key: &str, act: &str) -> Result<String, Failure> {
    let key: KeyName = key.parse().or_usage("no transit key is called that")?;
    Ok(format!("/api/v1/transit/{key}/{act}"))
}

fn length(item: &Value) -> usize {
    let texts = item.as_object().into_iter().flatten();
    texts.map(|(name, value)| name.len() + value.as_str().map_or(0, str::len) + ITEM_ROOM).sum()
}

/// What an item takes beside its texts.
const ITEM_ROOM: usize = 8;
/// A batch stays below what the server takes.
const BATCH_BYTES_MAX: usize = 1_900_000;
/// Lines that are taken at once.
const LINES_BYTES_MAX: u64 = 256 << 20;
/// Items that came to nothing and are named; of the others there is a number.
const FAILED_NAMED_MAX: usize = 100;
/// As commands call it.
const STANDARD_INPUT: &str = "-";

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn an_empty_line_is_one_and_of_nothing_there_is_none() {
        let cases: [(&[u8], &[&[u8]]); 6] = [
            (b"", &[]),
            (b"\n", &[b""]),
            (b"a", &[b"a"]),
            (b"a\n", &[b"a"]),
            (b"a\n\n", &[b"a", b""]),
            (b"\na", &[b"", b"a"]),
        ];
        for (bytes, lines) in cases {
            let found: Vec<Vec<u8>> = lines_of(bytes).iter().map(|line| line.to_vec()).collect();
            assert_eq!(found, lines, "{bytes:?}");
        }
    }

    #[test]
    fn what_comes_to_nothing_leaves_its_place_to_something_else_and_is_named() {
        let answers = [json!({"text": "a"}), json!({"error": "altered"}), json!({"text": "c"}), json!({"text": null})];
        let printed = RefCell::new(Vec::new());
        let print = |at: usize, made: Option<&Value>| {
            printed.borrow_mut().push((at, made.and_then(Value::as_str).map(str::to_owned)));
            Ok(())
        };
        let failure = each(&answers, "text", print).expect_err("two failed");
        assert!(failure.to_string().contains("2 came to nothing, items 2, 4; item 2: altered"), "{failure}");
        assert_eq!(printed.take(), [(0, Some("a".to_owned())), (1, None), (2, Some("c".to_owned())), (3, None)]);
        assert!(each(&answers[..1], "text", |_, _| Ok(())).is_ok());
    }

    #[test]
    fn many_that_came_to_nothing_are_named_up_to_a_bound() {
        assert_eq!(failures(&[7], "altered"), "item 7: altered");
        let all: Vec<usize> = (1..=FAILED_NAMED_MAX + 3).collect();
        let said = failures(&all, "altered");
        assert!(
            said.starts_with("103 came to nothing, items 1, 2, ") && said.contains(", 100 and 3 more; item 1: "),
            "{said}"
        );
    }
}
