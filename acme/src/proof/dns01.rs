//! dns-01 (RFC 8555 section 8.4): a TXT record at `_acme-challenge.NAME` holds the digest of the key authorization.
//!
//! CNAMEs are followed, several records may stand there (an order for `example` and `*.example` needs two at once), and one that
//! matches is enough.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::DnsName;
use ring::digest;

use super::resolve::Resolver;
use crate::wire::{ErrorKind, Problem};

/// What the record must hold.
pub fn expected_txt(key_authorization: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, key_authorization.as_bytes()))
}

/// Whether it does.
pub async fn check(resolver: &Resolver, name: &DnsName, key_authorization: &str) -> Result<(), Problem> {
    let at = format!("_acme-challenge.{}", name.base());
    let records = resolver.txt(&at).await.map_err(|error| Problem::new(ErrorKind::Dns, error.to_string()))?;
    let expected = expected_txt(key_authorization);
    if records.iter().any(|record| record.as_slice() == expected.as_bytes()) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorKind::IncorrectResponse,
        format!("none of the {} TXT records at {at} is the digest of this account's key authorization", records.len()),
    ))
}

#[cfg(test)]
#[path = "dns01_tests.rs"]
mod tests;
