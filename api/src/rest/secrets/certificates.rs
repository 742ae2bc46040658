//! A certificate as a field: what a bundle names by serial number or by name is answered with its chain.
//!
//! Here alone the two meet: `secrets` knows nothing of certificates, and the register of those nothing of secrets. A certificate is public;
//! whoever may read the bundle may have it, where it is the same owner's. That it is revoked, has ended or has a successor is said beside
//! it, and keeps nobody from reading: a key is needed after its certificate ends.

use ca::RevocationReason;
use policy::Timestamp;
use secrets::{CertificateSource, FieldName, Opened, Patch, SecretError};
use store::{Attested, Credential, Filter, State};

use crate::app::App;
use crate::problem::Problem;

/// The field of a bundle that may name a certificate.
const FIELD: &str = "certificate";

/// Puts the chain of the certificate that a bundle names in its place; answers what is to be said of that.
///
/// # Errors
/// [`SecretError::NotFound`]: the register has none such, or it is another owner's.
pub(super) async fn put_in(app: &App, opened: &mut Opened) -> Result<Vec<String>, Problem> {
    let source = opened.fields.text(FIELD).and_then(|text| text.parse::<CertificateSource>().ok());
    let found = match &source {
        Some(CertificateSource::Issued(serial)) => app.ledger().credential(serial).await?,
        Some(CertificateSource::Named(name)) => named(app, opened, name).await?,
        Some(CertificateSource::Pem | CertificateSource::Secret(_)) | None => return Ok(Vec::new()),
    };
    let (path, owner) = (opened.secret.path(), opened.secret.owner());
    let chain = found.as_ref().map(|found| app.authority().chain_pem(found)).filter(|chain| !chain.is_empty());
    // Another owner's is answered as what is not there.
    let (found, chain) =
        found.zip(chain).filter(|(found, _)| found.owner.as_ref() == Some(owner)).ok_or_else(|| {
            let named = source.map(|source| source.to_string()).unwrap_or_default();
            SecretError::NotFound(format!("{path} names {named}, and {owner} has no such certificate here"))
        })?;
    let said = said(app, &found);
    let name: FieldName =
        FIELD.parse().map_err(|error: secrets::NameError| Problem::field(FIELD, error.to_string()))?;
    let put = opened.fields.merge(Patch::new().set(name, chain.into_bytes()));
    put.map_err(|error| Problem::field(FIELD, error.to_string()))?;
    Ok(said)
}

/// The newest certificate with this name, of the bundle's owner, that was signed and is not revoked.
async fn named(app: &App, opened: &Opened, name: &str) -> Result<Option<Attested<Credential>>, Problem> {
    let filter = Filter {
        kind: Some(store::Kind::Certificate),
        owner: Some(opened.secret.owner().to_string()),
        name: Some(format!("dns:{name}")),
        state: Some(State::Issued),
        ..Filter::default()
    };
    Ok(app.ledger().newest(filter).await?)
}

/// What somebody who uses it should know.
fn said(app: &App, found: &Attested<Credential>) -> Vec<String> {
    let (now, serial) = (app.ledger().believed_time(), hex::encode(&found.serial));
    let revoked = app.ledger().revocation(found.operation).map(|(since, code)| {
        let reason = RevocationReason::from_code(code).map_or("unspecified", RevocationReason::as_str);
        format!("certificate {serial} is revoked since {since}: {reason}")
    });
    let end = found.validity.map(|validity| validity.not_after());
    let ended = end.filter(|end: &Timestamp| *end < now).map(|end| format!("certificate {serial} expired at {end}"));
    let renewed = app.ledger().renewed(found).map(|_| format!("certificate {serial} has a successor: name that"));
    revoked.into_iter().chain(ended).chain(renewed).collect()
}
