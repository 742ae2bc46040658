//! The tables of lints, together.

use crate::craft::ca::lints::OUR_CAS;
use crate::craft::code::lints::CODE;
use crate::craft::crl::lints::OUR_CRLS;
use crate::craft::leaf::lints::LEAF;
use crate::craft::leaf::profiled_lints::PROFILED;
use crate::craft::lints::OURS;
use crate::craft::ocsp::lints::OUR_RESPONSES;
use crate::craft::request::REQUEST;
use crate::craft::ssh::lints::SSH;
use crate::lint::Lint;
use crate::lint::algorithms::ALGORITHMS;
use crate::lint::certificate::CERTIFICATE;
use crate::lint::crl::CRL;
use crate::lint::extensions::EXTENSIONS;
use crate::lint::names::NAMES;
use crate::lint::ocsp::OCSP;
use crate::lint::usage::USAGE;

/// Every lint, table by table: first what holds of any object, then what holds of ours.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    let any = [CERTIFICATE, ALGORITHMS, NAMES, EXTENSIONS, USAGE, CRL, OCSP];
    let ours = [OURS, LEAF, PROFILED, OUR_CAS, OUR_CRLS, OUR_RESPONSES, SSH, CODE, REQUEST];
    any.into_iter().chain(ours).flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Each lint has a name of its own, and names are words that stay.
    #[test]
    fn each_lint_has_one_name_and_a_clause() {
        let mut seen = BTreeSet::new();
        for lint in all() {
            assert!(seen.insert(lint.name), "{} stands twice", lint.name);
            let is_word = lint.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            assert!(is_word && lint.clauses.iter().any(|clause| clause.starts_with("CPS ")), "{}", lint.name);
        }
        assert!(seen.len() > 100, "{}", seen.len());
    }
}
