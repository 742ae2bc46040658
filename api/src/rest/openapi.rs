//! The REST surface as an OpenAPI document. `api/openapi.json` is its committed form: a change of the surface is a change
//! that a reviewer sees.

use std::sync::LazyLock;

use axum::response::Response;
use http::StatusCode;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::certificates::{asking, ending, listing, requests, revocations};
use super::refusals::{Problem, Refusals};
use super::shapes::Shapes;
use super::{
    audit, code, drills, imports, issuers, ocsp_proof, owners, profiles, recovery, report, second_factor, secrets, ssh,
    status, tokens, transit,
};
use crate::intake::typed;

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chancery",
        description = "Certificates from keys that live in an HSM, each with its proof. Errors are RFC 9457 problems whose type is urn:chancery:problem:NAME; 429 carries Retry-After, and 503 where waiting helps; type held says what somebody has to do.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        asking::post, listing::list, listing::show, ending::revoke, ending::revoke_shown, ending::revoke_by_key, ending::release, asking::renew,
        requests::list, requests::show, requests::approve, requests::refuse, requests::collect,
        revocations::post, revocations::list, revocations::show, revocations::confirm,
        secrets::listing::list, secrets::listing::show, secrets::changes::changes, secrets::writing::put, secrets::writing::describe, secrets::reading::one, secrets::reading::many, secrets::kept::tell, secrets::acts::act,
        secrets::rotations::list, secrets::rotations::show, secrets::rotations::put, secrets::rotations::end,
        secrets::refreshes::show, secrets::refreshes::put, secrets::refreshes::ask, secrets::refreshes::end,
        secrets::lease_roles::show, secrets::lease_roles::put, secrets::lease_roles::end,
        secrets::leases::post, secrets::leases::list, secrets::leases::show, secrets::leases::renew, secrets::leases::end,
        secrets::leases::forget, secrets::hosts::keys, secrets::hosts::reports, secrets::hosts::report, secrets::hosts::forget,
        recovery::show, recovery::take, recovery::wrap,
        secrets::codes::show, secrets::codes::jwks,
        report::secrets, report::tokens,
        transit::keys::list, transit::keys::show, transit::managing::create, transit::managing::configure, transit::managing::act, transit::managing::destroy,
        transit::batches::encrypt, transit::batches::decrypt, transit::batches::rewrap, transit::batches::data_key, transit::batches::random,
        transit::signing::sign, transit::signing::verify,
        ssh::user, ssh::host, code::post_key, code::list_keys, code::sign, tokens::post, tokens::list, tokens::delete,
        second_factor::show, second_factor::enrol, second_factor::confirm, second_factor::prove, second_factor::codes, second_factor::remove, second_factor::reset, second_factor::list,
        issuers::list, issuers::show, issuers::create, issuers::import, issuers::import_crl, issuers::rotate, issuers::act, issuers::request, issuers::export,
        imports::begin, imports::some, imports::done,
        drills::list, drills::show, drills::begin, drills::end,
        audit::list, audit::show, audit::text, ocsp_proof::prove, owners::list, owners::show, profiles::list, profiles::show, profiles::test, profiles::replay, profiles::fit,
        status::whoami, status::status, status::metrics,
    ),
    components(schemas(Problem)),
    modifiers(&Credentials, &Refusals, &Shapes),
    security(("token" = []), ("client_certificate" = []))
)]
struct Document;

/// The two ways to be somebody.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("chy_ID_SECRET").build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        components.add_security_scheme(
            "client_certificate",
            SecurityScheme::MutualTls { description: None, deprecated: None, extensions: None },
        );
    }
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    // Built from our own types alone: it always serializes, and a test compares it with its golden file.
    Document::openapi().to_pretty_json().map(|text| text + "\n").unwrap_or_default()
});

/// The document as text.
pub fn text() -> &'static str {
    &TEXT
}

/// `/api/openapi.json`.
pub(crate) async fn document() -> Response {
    typed(StatusCode::OK, "application/json", text())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn no_two_operations_have_one_id() {
        let document: serde_json::Value = serde_json::from_str(text()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths").values();
        let ids: Vec<_> =
            paths.flat_map(|path| path.as_object().expect("methods").values()).map(|o| &o["operationId"]).collect();
        let unique: std::collections::BTreeSet<_> = ids.iter().map(|id| id.as_str().expect("an id")).collect();
        assert_eq!(unique.len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn the_document_is_the_committed_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, text()).expect("writing the golden file");
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            golden == text(),
            "the API changed: look at it with `UPDATE_GOLDEN=1 cargo test -p chancery-api` and git diff"
        );
    }
}
