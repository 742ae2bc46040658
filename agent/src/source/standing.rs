//! How a certificate stands with its server.

/// What its server says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Good,
    /// It is revoked: another key too.
    Revoked,
    /// It is to be replaced now, before its time.
    Due(&'static str),
}
