//! Lists of certificates, for the API and the dashboard.
//!
//! The register also holds CRLs and code signatures; a list that names no kind leaves them out, since nobody waits for
//! their expiry.

use policy::Grant;
use store::{Credential, Filter, Page};

use crate::app::App;
use crate::problem::Problem;

/// A page of what the filter asks for. The grant is the reason why it may be read.
pub(crate) async fn page(_grant: &Grant, filter: Filter, app: &App) -> Result<Page<Credential>, Problem> {
    let certificates = filter.kind.is_none();
    Ok(app.ledger().list(Filter { certificates, ..filter }).await?)
}
