//! What programs write of a value is masked. What they write they say themselves: Python, Node, and what a shell has, each asked for all
//! the forms that it knows of each value.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use chancery_delivery::{Filter, Mask, Values};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn what_python_writes_of_a_value_is_masked() {
    judge("/usr/bin/python3", "-c", include_str!("encoders/encode.py"), "C.UTF-8");
}

#[test]
fn what_node_writes_of_a_value_is_masked() {
    judge("/usr/bin/node", "-e", include_str!("encoders/encode.js"), "C.UTF-8");
}

#[test]
fn what_bash_openssl_od_and_jq_write_of_a_value_is_masked() {
    for locale in ["C.UTF-8", "C"] {
        judge("/bin/bash", "-c", include_str!("encoders/encode.sh"), locale);
    }
}

fn judge(program: &str, flag: &str, script: &str, locale: &str) {
    let values = values();
    let masks: Vec<Arc<Mask>> = values.iter().map(|value| Arc::new(mask(value))).collect();
    let mut forms = vec![0; values.len()];
    for record in written(program, flag, script, locale, &values).split(|byte| *byte == 0) {
        if record.is_empty() {
            continue;
        }
        let mut parts = record.splitn(3, |byte| *byte == b' ');
        let mut part = || parts.next().expect("NUMBER NAME FORM");
        let (number, name, form) = (part(), part(), part());
        let number: usize = String::from_utf8_lossy(number).parse().expect("a number");
        forms[number] += 1;
        let left = left(&masks[number], form);
        assert!(
            left.chars().count() <= LEFT_MAX,
            "{program} {}: of {:?} as {:?} is left {left:?}",
            String::from_utf8_lossy(name),
            values[number],
            String::from_utf8_lossy(form)
        );
    }
    assert!(forms.iter().all(|count| *count >= FORMS_MIN), "{program}: {forms:?}");
}

/// What the encoder writes: `NUMBER NAME FORM` with a NUL behind each.
fn written(program: &str, flag: &str, script: &str, locale: &str, values: &[String]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args([flag, script]).env("LC_ALL", locale).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}, which tests/run.sh installs: {error}"));
    let mut input = child.stdin.take().unwrap();
    let text: String = values.iter().map(|value| format!("{value}\0")).collect();
    let writer = thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    output.stdout
}

/// The same each time: of ASCII, beyond it, with control characters, of what one encoder or another writes otherwise.
fn values() -> Vec<String> {
    const LETTERS: [&str; 4] = [
        "[ -~]{6,48}",
        "[ -~äöß€日😀]{6,48}",
        "[ -~\n\t\u{1}\u{1b}]{6,48}",
        r##"['"`$\\/&<>+=%@:;,!*()~#{}\[\]|^ ?]{6,48}"##,
    ];
    let mut runner = TestRunner::deterministic();
    let mut one = |letters: &'static str| letters.new_tree(&mut runner).expect("a value").current();
    LETTERS.iter().cycle().take(VALUES).map(|letters| one(letters)).collect()
}

fn mask(value: &str) -> Mask {
    Mask::new(&Values::default().with("chy://s".parse().unwrap(), value.as_bytes().to_vec()))
}

/// What of a form comes through, without blanks and line ends: quotes, names, what base64 has at its ends, a few bytes of a dump.
fn left(mask: &Arc<Mask>, form: &[u8]) -> String {
    let (mut filter, mut out) = (Filter::new(mask.clone()), Vec::new());
    filter.feed(form, &mut out);
    filter.finish(&mut out);
    let out = String::from_utf8_lossy(&out).replace(&*String::from_utf8_lossy(mask.text()), "");
    out.chars().filter(|letter| !letter.is_whitespace()).collect()
}

const VALUES: usize = 100;
/// Characters. Half a value of usual length is more.
const LEFT_MAX: usize = 8;
/// Each program knows so many, whatever the value is.
const FORMS_MIN: usize = 10;
