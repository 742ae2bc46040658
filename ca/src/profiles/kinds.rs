//! The kinds of name, as a profile writes them.

use policy::Name;

/// Kinds of name a certificate may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NameKind {
    Dns,
    Ip,
    Email,
    Uri,
    Upn,
}

impl NameKind {
    pub(crate) fn of(name: &Name) -> NameKind {
        match name {
            Name::Dns(_) => NameKind::Dns,
            Name::Ip(_) => NameKind::Ip,
            Name::Email(_) => NameKind::Email,
            Name::Uri(_) => NameKind::Uri,
            Name::Upn(_) => NameKind::Upn,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            NameKind::Dns => "dns",
            NameKind::Ip => "ip",
            NameKind::Email => "email",
            NameKind::Uri => "uri",
            NameKind::Upn => "upn",
        }
    }
}
