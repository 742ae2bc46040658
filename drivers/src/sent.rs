//! The door by which words leave for others: what was sent to a target stands in none of them.
//!
//! Servers, programs and endpoints repeat what they were asked and did not take (Redis: `unknown command 'AUTH', with args beginning with:
//! 'root' 'PASSWORD'`). What is said of a step is kept in the register, goes with every backup, and is shown to people who may read none of
//! these secrets, as the last try, an alarm, or the answer to whoever asks for a lease. So an [`Outcome`] with words is made of a [`Fault`]
//! here and nowhere else (but of a login by SSH, which sends no secret): what was sent is taken out in each form in which answers repeat things, and only then are the words cut. Half a
//! secret is not found any more.
//!
//! It is no bar to who means to tell: whoever answers has the secret, and turns it round. Secrets are looked for as a whole and never in
//! parts, since a part that is found would tell whoever chose the words (the name of a user stands in many) that he guessed it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use policy::Secret;
use secrets::forms::{Form, whole};
use secrets::rotation::{Outcome, SAID_CHARS_MAX};
use zeroize::Zeroizing;

use crate::driver::Fault;

/// What a target was sent, in all its forms.
pub(crate) struct Sent {
    /// The longest first: a form that is part of another leaves nothing of it.
    forms: Vec<Zeroizing<String>>,
    /// Secrets that stand in any words by chance.
    short: Vec<Zeroizing<String>>,
}

impl Sent {
    /// Nothing: the words are ours.
    pub(crate) fn nothing() -> Sent {
        Sent { forms: Vec::new(), short: Vec::new() }
    }

    /// These secrets. An empty one is none.
    pub(crate) fn of<'a>(each: impl IntoIterator<Item = &'a Secret<String>>) -> Sent {
        let mut sent = Sent::nothing();
        for secret in each {
            let secret = secret.expose();
            if secret.chars().count() < FORM_CHARS_MIN && !secret.is_empty() {
                sent.short.push(Zeroizing::new(secret.clone()));
            }
            sent.forms.extend(forms(secret).filter(|form| form.chars().count() >= FORM_CHARS_MIN));
        }
        sent.forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.as_str().cmp(other.as_str())));
        sent.forms.dedup_by(|one, other| one.as_str() == other.as_str());
        sent
    }

    /// What may be told of a fault.
    pub(crate) fn told(&self, fault: Fault) -> Outcome {
        match fault {
            Fault::Refused(said) => Outcome::Refused(self.words(&said)),
            Fault::Away(said) => Outcome::Away(self.words(&said)),
            Fault::Unknown(said) => Outcome::Unknown(self.words(&said)),
        }
    }

    fn words(&self, said: &str) -> String {
        if said.len() > WORDS_BYTES_MAX || self.short.iter().any(|short| said.contains(short.as_str())) {
            return UNTOLD.to_owned();
        }
        let without = self.forms.iter().fold(said.to_owned(), |said, form| said.replace(form.as_str(), HIDDEN));
        brief(&without_verifiers(&without_digests(&without)))
    }
}

/// As people, logs, shells, queries and libraries write a text: all of it, and alone as base64 with the last character, which tells a part
/// of its last byte.
fn forms(secret: &str) -> impl Iterator<Item = Zeroizing<String>> {
    let alone = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| Zeroizing::new(engine.encode(secret)));
    // Of a text each form is a text.
    let as_text = |form: Form| std::str::from_utf8(&form).map(|text| Zeroizing::new(text.to_owned())).ok();
    whole(secret.as_bytes()).into_iter().filter_map(as_text).chain(alone)
}

/// A digest that is sent in a password's place opens nothing to most, and is for nobody to try passwords against.
fn without_digests(said: &str) -> String {
    let is_end = |c: char| !c.is_ascii_hexdigit();
    let each = said.split_inclusive(is_end).map(|part| {
        let run = part.trim_end_matches(is_end);
        match part.strip_prefix(run) {
            Some(end) if run.len() >= DIGEST_CHARS_MIN => format!("{HIDDEN}{end}"),
            Some(_) | None => part.to_owned(),
        }
    });
    each.collect()
}

/// Nor is a verifier (RFC 5803 section 2), as PostgreSQL is sent one.
fn without_verifiers(said: &str) -> String {
    let each = said.split_inclusive(|c: char| c.is_whitespace() || c == '\'' || c == '"').map(|part| {
        part.split_once(VERIFIER).map_or_else(|| part.to_owned(), |(before, _)| format!("{before}{HIDDEN}"))
    });
    each.collect()
}

/// Cut to what is kept, without characters that write over others.
fn brief(said: &str) -> String {
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect()
}

/// What stands where something was.
const HIDDEN: &str = "...";
/// Of longer words, and of such as hold a secret of fewer characters than are looked for.
const UNTOLD: &str = "what it said is not told: it is longer than 64 KiB, or has in it what was sent";
/// The longest words that are looked through: as long as a program's or a hook's answer.
const WORDS_BYTES_MAX: usize = 64 * 1024;
/// A shorter form stands in words by chance, and to take it out would tell where.
const FORM_CHARS_MIN: usize = 4;
/// SHA-1 in hex; what is longer too.
const DIGEST_CHARS_MIN: usize = 40;
const VERIFIER: &str = "SCRAM-SHA-256$";

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "p\u{e4}ss/w \"ord' <%&=\\";

    fn words(sent: &[&str], said: &str) -> String {
        let secrets: Vec<Secret<String>> = sent.iter().map(|text| Secret::new((*text).to_owned())).collect();
        match Sent::of(&secrets).told(Fault::Away(said.to_owned())) {
            Outcome::Away(said) => said,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_was_sent_is_taken_out_in_each_form_in_which_it_is_repeated() {
        for form in [
            SECRET,
            "70c3a4",
            "70c3a473732f7720226f726427203c25263d5c",
            "70C3A473732F7720226F726427203C25263D5C",
            "cMOkc3MvdyAib3JkJyA8JSY9XA",
            "p%C3%A4ss%2Fw%20%22ord%27%20%3C%25%26%3D%5C",
            "p%c3%a4ss%2fw%20%22ord%27%20%3c%25%26%3d%5c",
            "p%C3%A4ss%2Fw+%22ord%27+%3C%25%26%3D%5C",
            "p%C3%A4ss%2Fw%20%22ord'%20%3C%25%26%3D%5C",
            "p\u{e4}ss/w \\\"ord' <%&=\\\\",
            "p\\u00e4ss/w \\\"ord' <%&=\\\\",
            "p\\u00e4ss\\/w \\\"ord' <%&=\\\\",
            "p\u{e4}ss/w \\\"ord' \\u003c%\\u0026=\\\\",
            "p\\u00e4ss/w \\\"ord\\u0027 \\u003c%\\u0026\\u003d\\\\",
        ] {
            let is_part = form.len() < 10;
            let wanted = if is_part { format!("no: {form} .") } else { "no: ... .".to_owned() };
            assert_eq!(words(&["other secret", SECRET], &format!("no: {form} .")), wanted, "{form}");
        }
        // As queries, shells and markup have it within their quotes.
        let quoted = "adm'in&pw<1";
        for form in [
            "adm''in&pw<1",
            "adm\\'in&pw<1",
            "adm'\\''in&pw<1",
            "adm'in&amp;pw&lt;1",
            "adm&#39;in&amp;pw&lt;1",
            "adm&#x27;in&amp;pw&lt;1",
            "61 64 6d 27 69 6e 26 70 77 3c 31",
        ] {
            assert_eq!(words(&[quoted], &format!("near '{form}'")), "near '...'", "{form}");
        }
        // Whoever chose the words learns of no part that he guessed it.
        assert_eq!(words(&["0123456789abcdefWXYZ"], "no role 57 58 59 5a"), "no role 57 58 59 5a");
        // A name before it and something behind it, at each place of a group of base64.
        for before in ["", "x", "ab", "abc", "root:"] {
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let text = engine.encode(format!("{before}{SECRET}~~"));
                let said = words(&[SECRET], &text);
                assert!(said.contains(HIDDEN) && said.len() < before.len() * 2 + 12, "{before}: {said}");
            }
        }
        assert_eq!(words(&["hunter22", "hunter2244"], "hunter2244, hunter22"), "..., ...", "the longer one first");
        assert_eq!(words(&[], "nothing was sent"), "nothing was sent");
        assert_eq!(words(&["", "secret"], "it is away"), "it is away");
    }

    #[test]
    fn what_was_sent_is_taken_out_before_the_words_are_cut() {
        let secret = "s".repeat(40);
        for before in [SAID_CHARS_MAX - 20, SAID_CHARS_MAX - 1, 3 * SAID_CHARS_MAX] {
            let said = words(&[&secret], &format!("{}{secret}", "-".repeat(before)));
            assert!(!said.contains('s') && said.chars().count() <= SAID_CHARS_MAX, "{said}");
        }
        let said = words(&["secret"], &"x\n".repeat(WORDS_BYTES_MAX / 2));
        assert_eq!(said, "x ".repeat(SAID_CHARS_MAX / 2));
        assert_eq!(words(&["secret"], &"x".repeat(WORDS_BYTES_MAX + 1)), UNTOLD);
    }

    #[test]
    fn words_with_a_secret_that_stands_in_many_are_not_told() {
        assert_eq!(words(&["pw1"], "wrong: pw1"), UNTOLD);
        assert_eq!(words(&["pw1"], "it does not answer"), "it does not answer");
    }

    #[test]
    fn what_is_sent_in_a_passwords_place_is_not_told_either() {
        let sha1 = "2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19";
        assert_eq!(words(&[], &format!("near '*{sha1}' at")), "near '*...' at");
        assert_eq!(words(&[], &format!("modifier #{}", "ab".repeat(32))), "modifier #...");
        assert_eq!(words(&[], "lease 0123456789abcdef0123456789abcdef"), "lease 0123456789abcdef0123456789abcdef");
        let verifier = "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";
        assert_eq!(words(&[], &format!("no PASSWORD '{verifier}' here")), "no PASSWORD '... here");
    }
}
