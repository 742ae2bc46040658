//! The last answers, by question.
//!
//! Policies see words only, never a clock or a counter, so an answer depends on its question alone: the names of a certificate
//! are not even part of it as long as they are inside the owner's rules. A service that issues ten thousand certificates for one
//! agent asks one question. Measured: a remembered answer costs about a tenth of an evaluated one.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::deciding::question::Question;
use crate::deciding::verdict::Verdict;

#[derive(Default)]
pub(crate) struct Memo(RwLock<HashMap<Vec<u8>, Verdict>>);

impl Memo {
    /// The remembered answer, or the one that `evaluate` gives.
    pub(crate) fn recall(&self, question: &Question<'_>, evaluate: impl FnOnce() -> Verdict) -> Verdict {
        let Some(key) = key(question) else { return evaluate() };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let verdict = evaluate();
            let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if answers.len() >= ANSWERS_MAX {
                answers.clear();
            }
            answers.insert(key, verdict.clone());
            verdict
        })
    }
}

/// Every word of the question behind its length, so that no two questions share a key. `None` for what is not worth
/// remembering: a question with names in it is seldom asked twice, and a long one would fill the memory.
fn key(question: &Question<'_>) -> Option<Vec<u8>> {
    if !question.says_nothing_of_names() {
        return None;
    }
    let Question {
        action, id, roles, owners, proof, strength, mfa, mfa_secs_ago, kind, owner, profile, key, path, ..
    } = question;
    let mut out = Vec::with_capacity(KEY_BYTES_USUAL);
    for list in [roles, owners] {
        out.extend_from_slice(&list.len().to_be_bytes());
        list.iter().for_each(|text| word(&mut out, text));
    }
    for text in [action.as_str(), id, proof, strength, kind, owner, profile, key, path] {
        word(&mut out, text);
    }
    out.push(u8::from(*mfa));
    out.extend_from_slice(&mfa_secs_ago.to_be_bytes());
    (out.len() <= KEY_BYTES_MAX).then_some(out)
}

fn word(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&text.len().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// With [`KEY_BYTES_MAX`], at most four megabytes. When full, all are forgotten: that costs one evaluation each.
const ANSWERS_MAX: usize = 4096;
const KEY_BYTES_MAX: usize = 1024;
const KEY_BYTES_USUAL: usize = 192;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::asking::Action;

    fn question<'a>(id: &'a str, roles: &[&'a str], owners: &[&'a str], profile: &'a str) -> Question<'a> {
        Question {
            action: Action::ReadCertificate,
            id,
            roles: roles.to_vec(),
            owners: owners.to_vec(),
            proof: "",
            strength: "",
            mfa: false,
            mfa_secs_ago: 0,
            kind: "",
            owner: "",
            profile,
            key: "",
            path: "",
            has_rules: true,
            outside: vec![],
            unproven: vec![],
            foreign: vec![],
        }
    }

    fn rule_of(verdict: Verdict) -> String {
        match verdict {
            Verdict::Permit { rule } | Verdict::Forbid { rule } | Verdict::Broken { rule } => rule,
            Verdict::Silence => String::new(),
        }
    }

    #[test]
    fn a_question_is_evaluated_once_and_another_one_again() {
        let memo = Memo::default();
        let ask = |id, rule: &str| {
            rule_of(memo.recall(&question(id, &[], &[], ""), || Verdict::Permit { rule: rule.to_owned() }))
        };
        assert_eq!(ask("a", "first"), "first");
        assert_eq!(ask("a", "second"), "first");
        assert_eq!(ask("b", "third"), "third");
    }

    #[test]
    fn a_question_with_names_is_evaluated_each_time() {
        let memo = Memo::default();
        let mut named = question("a", &[], &[], "");
        named.outside.push("dns:www.elsewhere".to_owned());
        let ask = |rule: &str| rule_of(memo.recall(&named, || Verdict::Forbid { rule: rule.to_owned() }));
        assert_eq!((ask("first"), ask("second")), ("first".to_owned(), "second".to_owned()));
    }

    #[test]
    fn the_memory_is_bounded() {
        let memo = Memo::default();
        for n in 0..ANSWERS_MAX + 10 {
            memo.recall(&question(&n.to_string(), &[], &[], ""), || Verdict::Silence);
        }
        assert!(memo.0.read().unwrap().len() <= ANSWERS_MAX);
        assert!(key(&question(&"a".repeat(KEY_BYTES_MAX), &[], &[], "")).is_none());
    }

    proptest! {
        #[test]
        fn different_questions_have_different_keys(
            a in ("[ab]{0,2}", prop::collection::vec("[ab]{0,2}", 0..3), prop::collection::vec("[ab]{0,2}", 0..3), "[ab]{0,2}"),
            b in ("[ab]{0,2}", prop::collection::vec("[ab]{0,2}", 0..3), prop::collection::vec("[ab]{0,2}", 0..3), "[ab]{0,2}"),
        ) {
            let key_of = |(id, roles, owners, profile): &(String, Vec<String>, Vec<String>, String)| {
                let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
                let owners: Vec<&str> = owners.iter().map(String::as_str).collect();
                key(&question(id, &roles, &owners, profile))
            };
            prop_assert_eq!(key_of(&a) == key_of(&b), a == b);
        }
    }
}
