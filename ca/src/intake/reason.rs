//! Why a certificate is revoked.

/// A reason of RFC 5280 section 5.3.1 that a certificate of ours may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// No reason given (0).
    Unspecified,
    /// The private key is known to others (1).
    KeyCompromise,
    /// Names or other data changed (3).
    AffiliationChanged,
    /// A newer certificate took its place (4).
    Superseded,
    /// The service ended (5).
    CessationOfOperation,
    /// The privilege was withdrawn (9).
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [RevocationReason; 6] = [
        RevocationReason::Unspecified,
        RevocationReason::KeyCompromise,
        RevocationReason::AffiliationChanged,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
        RevocationReason::PrivilegeWithdrawn,
    ];

    /// The CRLReason number.
    pub fn code(self) -> u8 {
        match self {
            RevocationReason::Unspecified => 0,
            RevocationReason::KeyCompromise => 1,
            RevocationReason::AffiliationChanged => 3,
            RevocationReason::Superseded => 4,
            RevocationReason::CessationOfOperation => 5,
            RevocationReason::PrivilegeWithdrawn => 9,
        }
    }

    /// From the number that RFC 8555 section 7.6 and RFC 5280 use; `None` for numbers we never write (2 cACompromise,
    /// 6 certificateHold, 8 removeFromCRL, 10 aACompromise).
    pub fn from_code(code: u8) -> Option<RevocationReason> {
        RevocationReason::ALL.into_iter().find(|r| r.code() == code)
    }

    /// The stable name: `unspecified`, `key-compromise`, `affiliation-changed`, `superseded`,
    /// `cessation-of-operation`, `privilege-withdrawn`.
    pub fn as_str(self) -> &'static str {
        match self {
            RevocationReason::Unspecified => "unspecified",
            RevocationReason::KeyCompromise => "key-compromise",
            RevocationReason::AffiliationChanged => "affiliation-changed",
            RevocationReason::Superseded => "superseded",
            RevocationReason::CessationOfOperation => "cessation-of-operation",
            RevocationReason::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

/// No such reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no revocation reason; say one of unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation, privilege-withdrawn"
)]
pub struct UnknownReason(pub String);

impl std::str::FromStr for RevocationReason {
    type Err = UnknownReason;
    fn from_str(s: &str) -> Result<RevocationReason, UnknownReason> {
        RevocationReason::ALL.into_iter().find(|r| r.as_str() == s).ok_or_else(|| UnknownReason(s.to_owned()))
    }
}

impl std::fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
