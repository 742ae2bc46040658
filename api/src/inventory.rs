//! Lists of certificates, for the API and the dashboard.
//!
//! The register also holds CRLs and code signatures; a list that names no kind leaves them out, since nobody waits for
//! their expiry. They are dropped here after reading: the register's order by expiry or age has an index, a choice of
//! kinds has none.

use policy::Grant;
use store::{Credential, Filter, Kind, Page};

use crate::app::App;
use crate::limits::PAGE_ROWS_DEFAULT;
use crate::problem::Problem;

/// Reads of the register for one page. What is dropped is rare; a page may come short, with its cursor.
const READS_MAX: u32 = 8;

/// Whether a credential is a certificate of some kind, with an end that somebody waits for.
pub(crate) fn is_certificate(credential: &Credential) -> bool {
    match credential.kind {
        Kind::CaCertificate | Kind::Certificate | Kind::SshUser | Kind::SshHost => true,
        Kind::CodeSignature | Kind::Crl => false,
    }
}

/// A page of what the filter asks for. The grant is the reason why it may be read.
pub(crate) async fn page(_grant: &Grant, filter: Filter, app: &App) -> Result<Page<Credential>, Problem> {
    if filter.kind.is_some() {
        return Ok(app.ledger().list(filter).await?);
    }
    let wanted = if filter.limit == 0 { PAGE_ROWS_DEFAULT as usize } else { filter.limit };
    let (mut items, mut cursor) = (Vec::new(), filter.after_cursor.clone());
    for _ in 0..READS_MAX {
        let rest = wanted.saturating_sub(items.len());
        let page = app.ledger().list(Filter { after_cursor: cursor, limit: rest, ..filter.clone() }).await?;
        items.extend(page.items.into_iter().filter(is_certificate));
        cursor = page.next;
        if cursor.is_none() || items.len() >= wanted {
            break;
        }
    }
    Ok(Page { items, next: cursor })
}
