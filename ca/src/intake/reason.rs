//! Why a certificate is revoked.

use policy::Timestamp;

/// A reason of RFC 5280 section 5.3.1 that a certificate of ours may carry. `removeFromCRL` (8) is how a release is written, and
/// aACompromise (10) is of attribute authorities, which we are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// No reason given (0).
    Unspecified,
    /// The private key is known to others (1).
    KeyCompromise,
    /// The private key of a CA is known to others (2).
    CaCompromise,
    /// Names or other data changed (3).
    AffiliationChanged,
    /// A newer certificate took its place (4).
    Superseded,
    /// The service ended (5).
    CessationOfOperation,
    /// It does not count until somebody releases it or ends it for good (6).
    CertificateHold,
    /// The privilege was withdrawn (9).
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [RevocationReason; 8] = [
        RevocationReason::Unspecified,
        RevocationReason::KeyCompromise,
        RevocationReason::CaCompromise,
        RevocationReason::AffiliationChanged,
        RevocationReason::Superseded,
        RevocationReason::CessationOfOperation,
        RevocationReason::CertificateHold,
        RevocationReason::PrivilegeWithdrawn,
    ];

    /// The CRLReason number.
    pub fn code(self) -> u8 {
        match self {
            RevocationReason::Unspecified => 0,
            RevocationReason::KeyCompromise => 1,
            RevocationReason::CaCompromise => 2,
            RevocationReason::AffiliationChanged => 3,
            RevocationReason::Superseded => 4,
            RevocationReason::CessationOfOperation => 5,
            RevocationReason::CertificateHold => 6,
            RevocationReason::PrivilegeWithdrawn => 9,
        }
    }

    /// From the number that RFC 8555 section 7.6 and RFC 5280 use; `None` for numbers we never take (8 removeFromCRL,
    /// 10 aACompromise).
    pub fn from_code(code: u8) -> Option<RevocationReason> {
        RevocationReason::ALL.into_iter().find(|r| r.code() == code)
    }

    /// Whether a subscriber may give it: neither of a CA's key nor of a hold, which somebody here has to lift.
    pub fn is_a_subscribers(self) -> bool {
        match self {
            RevocationReason::CaCompromise | RevocationReason::CertificateHold => false,
            RevocationReason::Unspecified
            | RevocationReason::KeyCompromise
            | RevocationReason::AffiliationChanged
            | RevocationReason::Superseded
            | RevocationReason::CessationOfOperation
            | RevocationReason::PrivilegeWithdrawn => true,
        }
    }

    /// Whether it may be said of a CA: what it issued cannot count now and then, so it is never on hold.
    pub(crate) fn is_a_cas(self) -> bool {
        self != RevocationReason::CertificateHold
    }

    /// Whether it says that the key is in other hands: it is then refused for ever.
    pub fn is_compromise(self) -> bool {
        matches!(self, RevocationReason::KeyCompromise | RevocationReason::CaCompromise)
    }

    /// The stable name: `unspecified`, `key-compromise`, `ca-compromise`, `affiliation-changed`, `superseded`,
    /// `cessation-of-operation`, `certificate-hold`, `privilege-withdrawn`.
    pub fn as_str(self) -> &'static str {
        match self {
            RevocationReason::Unspecified => "unspecified",
            RevocationReason::KeyCompromise => "key-compromise",
            RevocationReason::CaCompromise => "ca-compromise",
            RevocationReason::AffiliationChanged => "affiliation-changed",
            RevocationReason::Superseded => "superseded",
            RevocationReason::CessationOfOperation => "cessation-of-operation",
            RevocationReason::CertificateHold => "certificate-hold",
            RevocationReason::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

/// Whether a CRLReason code says that the key is in other hands.
pub(crate) fn is_compromise(code: u8) -> bool {
    RevocationReason::from_code(code).is_some_and(RevocationReason::is_compromise)
}

/// Whether what was revoked for one reason may have another said of it: the key's compromise (RFC 5280 section 5.3.1), once.
pub(crate) fn is_raised(before: Option<u8>, code: u8) -> bool {
    is_compromise(code) && !before.is_some_and(is_compromise)
}

/// Why, and since when the key is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: RevocationReason,
    /// Since when its key is known or suspected to be in other hands (RFC 5280 section 5.3.2), where somebody knows.
    pub invalid: Option<Timestamp>,
}

impl From<RevocationReason> for Ending {
    fn from(reason: RevocationReason) -> Ending {
        Ending { reason, invalid: None }
    }
}

/// No such reason.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is no revocation reason; say one of unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation, certificate-hold, privilege-withdrawn"
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
