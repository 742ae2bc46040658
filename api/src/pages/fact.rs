//! One thing that is known of a credential, for a page.

use super::asked::Asked;

/// What it is, and what it is called.
pub(super) struct Fact {
    pub(super) what: &'static str,
    pub(super) value: String,
    /// Digits that are compared, not read.
    pub(super) mono: bool,
    /// A list that it leads to.
    pub(super) link: Option<String>,
}

/// Words.
pub(super) fn fact(what: &'static str, value: impl Into<String>) -> Fact {
    Fact { what, value: value.into(), mono: false, link: None }
}

/// Digits.
pub(super) fn mono(what: &'static str, value: impl Into<String>) -> Fact {
    Fact { mono: true, ..fact(what, value) }
}

impl Fact {
    /// The same, leading to a list.
    pub(super) fn to(self, asked: &Asked) -> Self {
        self.at(asked.link("/certificates"))
    }

    /// The same, leading to a page.
    pub(super) fn at(self, link: String) -> Self {
        Self { link: Some(link), ..self }
    }
}
