//! The tables of lints, together.

use crate::craft::ca::lints::CA;
use crate::craft::code::lints::CODE;
use crate::craft::crl::lints::CRL;
use crate::craft::leaf::lints::LEAF;
use crate::craft::lints::OURS;
use crate::craft::ocsp::lints::OCSP;
use crate::craft::request::REQUEST;
use crate::craft::ssh::lints::SSH;
use crate::lint::Lint;
use crate::lint::certificate::CERTIFICATE;

/// Every lint, table by table.
pub fn all() -> impl Iterator<Item = &'static Lint> {
    [CERTIFICATE, OURS, LEAF, CA, CRL, OCSP, SSH, CODE, REQUEST].into_iter().flatten().copied()
}
