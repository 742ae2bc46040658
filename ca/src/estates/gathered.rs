//! What stands in a source, before anybody judged it.

use policy::Timestamp;

/// That and how a certificate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// From when.
    pub at: Timestamp,
    /// The CRLReason code.
    pub reason: u8,
    /// Since when its key is not to be trusted, where that was said.
    pub invalid: Option<Timestamp>,
}

/// A revocation as the source tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where it stands.
    pub place: String,
    /// As an unsigned number.
    pub serial: Vec<u8>,
    /// How it ended.
    pub end: Ended,
    /// The end of the certificate itself, where the source says it.
    pub until: Option<Timestamp>,
}

/// What is not taken in, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it stands.
    pub place: String,
    /// Why.
    pub why: String,
}

/// What a reader found.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Where it was read, for the log.
    pub source: String,
    /// The CA's certificate first, and those above it, DER.
    pub authorities: Vec<Vec<u8>>,
    /// Each with where it stands, DER.
    pub certificates: Vec<(String, Vec<u8>)>,
    /// What is revoked.
    pub revoked: Vec<Told>,
    /// Serials that the source knows and has no certificate of, each with where.
    pub bare: Vec<(String, Vec<u8>)>,
    /// Serials that the source may hold for revoked, and does not say so that it can be understood; each with where.
    pub doubtful: Vec<(String, Vec<u8>)>,
    /// CRLs, each with where, DER.
    pub crls: Vec<(String, Vec<u8>)>,
    /// What should be a CRL and cannot be read, so that nobody knows what it lists.
    pub unread: Vec<Left>,
    /// Numbers that CRLs had, as something else than a CRL says; each with where.
    pub numbers: Vec<(String, u64)>,
    /// What could not be read.
    pub left: Vec<Left>,
    /// What is worth knowing, and hinders nothing.
    pub notes: Vec<String>,
}

impl Gathered {
    pub(super) fn leave(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.left.push(Left { place: place.into(), why: why.into() });
    }

    pub(super) fn leave_unread(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.unread.push(Left { place: place.into(), why: why.into() });
    }

    /// What a program says of a certificate's end cannot be understood: that certificate is none that holds.
    pub(super) fn doubt(&mut self, place: &str, serial: &[u8]) {
        self.doubtful.push((place.to_owned(), serial.to_vec()));
    }
}
