//! What is asked for, and which names it comes to.

use std::collections::BTreeSet;

use policy::{Name, Owner, Timestamp};

use crate::error::CaError;
use crate::intake::Csr;
use crate::profiles::{Profile, Rules};

/// A request for a certificate.
#[derive(Clone, Debug)]
pub struct CertifyRequest {
    /// Profile: `tls-server`, `tls-client` ...
    pub profile: String,
    /// Whose it is.
    pub owner: Owner,
    /// The key and its proof of possession.
    pub csr: Csr,
    /// The names; `None`: those the CSR asks for. The CSR may ask for fewer, never for others.
    pub names: Option<Vec<Name>>,
    /// Names whose control ACME proved.
    pub proven: BTreeSet<Name>,
    /// How long it is to live.
    pub lifetime: Lifetime,
    /// Whether the server renews it by itself.
    pub renew: bool,
    /// The serial, hex, of a certificate of the same owner that it takes the place of under other names; the same names need no word.
    pub replaces: Option<String>,
}

/// How long a certificate is to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// As its profile says where nothing is asked for.
    #[default]
    ByProfile,
    /// So many seconds, the first of them a little in the past.
    Secs(u64),
    /// Its last second is this one.
    Until(Timestamp),
}

impl From<Option<u64>> for Lifetime {
    /// Seconds, or what the profile says.
    fn from(secs: Option<u64>) -> Self {
        secs.map_or(Self::ByProfile, Self::Secs)
    }
}

/// A certificate that may be asked for later: everything but the key.
#[derive(Clone, Debug)]
pub struct Prospect {
    /// Profile.
    pub profile: String,
    /// Whose it would be.
    pub owner: Owner,
    /// The names, each of which will be proven by then.
    pub names: Vec<Name>,
    /// How long it is to live.
    pub lifetime: Lifetime,
}

/// The names to certify: those given, which must cover what the CSR asks for, or those of the CSR.
pub(crate) fn names(profile: &Profile, csr: &Csr, given: Option<Vec<Name>>) -> Result<Vec<Name>, CaError> {
    // Where the common name is given freely, or the profile has a subject of its own, it is a title and never a name.
    let titled = matches!(&profile.rules, Rules::X509(rules) if rules.subject.names_somebody());
    match given {
        None if titled => Ok(csr.alternative_names().to_vec()),
        None => match csr.unnamed() {
            Some(why) => Err(CaError::bad("csr", why.to_owned())),
            None => Ok(csr.names().to_vec()),
        },
        Some(names) => only_these(csr.alternative_names(), &names).map(|()| names),
    }
}

/// Whether a CSR asks for no name but these.
pub(crate) fn only_these(asked: &[Name], given: &[Name]) -> Result<(), CaError> {
    match asked.iter().find(|name| !given.contains(name)) {
        None => Ok(()),
        Some(other) => {
            Err(CaError::bad("names", format!("the CSR asks for {other}, which is not among the names of the request")))
        }
    }
}
