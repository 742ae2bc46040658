//! What certificates point to.

/// What certificates point to.
#[derive(Clone, Debug)]
pub struct Urls {
    /// `public_http` of the configuration: CRLs and issuer certificates are below it.
    pub http_base: String,
}
