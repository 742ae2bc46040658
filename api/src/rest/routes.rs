//! The table of the REST routes.

use axum::Router;
use axum::routing::{delete, get, post};

use super::certificates::{asking, ending, listing, requests, revocations};
use super::recovery;
use super::secrets;
use super::{
    audit, code, drills, imports, issuers, ocsp_proof, openapi, owners, profiles, report, second_factor, ssh, status,
    tokens, transit,
};
use crate::app::App;
use crate::public::log;

/// All of the REST surface.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/certificates", post(asking::post).get(listing::list))
        .route("/api/v1/certificates/revoke", post(ending::revoke_shown))
        .route("/api/v1/certificates/revoke-by-key", post(ending::revoke_by_key))
        .route("/api/v1/certificates/{serial}", get(listing::show))
        .route("/api/v1/certificates/{serial}/revoke", post(ending::revoke))
        .route("/api/v1/certificates/{serial}/release", post(ending::release))
        .route("/api/v1/certificates/{serial}/renew", post(asking::renew))
        .route("/api/v1/revocations", post(revocations::post).get(revocations::list))
        .route("/api/v1/revocations/{id}", get(revocations::show))
        .route("/api/v1/revocations/{id}/confirm", post(revocations::confirm))
        .route("/api/v1/requests", get(requests::list))
        .route("/api/v1/requests/{id}", get(requests::show))
        .route("/api/v1/requests/{id}/approve", post(requests::approve))
        .route("/api/v1/requests/{id}/refuse", post(requests::refuse))
        .route("/api/v1/requests/{id}/collect", post(requests::collect))
        .route("/api/v1/ssh/user", post(ssh::user))
        .route("/api/v1/ssh/host", post(ssh::host))
        .route("/api/v1/keys", post(code::post_key).get(code::list_keys))
        .route("/api/v1/sign", post(code::sign))
        .route("/api/v1/secrets", get(secrets::listing::list))
        .route(
            "/api/v1/secrets/{*path}",
            get(secrets::listing::show).put(secrets::writing::put).patch(secrets::writing::describe),
        )
        .route("/api/v1/secret-changes", get(secrets::changes::changes))
        .route("/api/v1/secret-values", post(secrets::reading::many))
        .route("/api/v1/secret-cache-reads", post(secrets::kept::tell))
        .route("/api/v1/secret-values/{*path}", get(secrets::reading::one))
        .route(
            "/api/v1/secret-rotations/{*path}",
            get(secrets::rotations::show).put(secrets::rotations::put).delete(secrets::rotations::end),
        )
        .route(
            "/api/v1/secret-refreshes/{*path}",
            get(secrets::refreshes::show)
                .put(secrets::refreshes::put)
                .post(secrets::refreshes::ask)
                .delete(secrets::refreshes::end),
        )
        .route("/api/v1/secret-rotations", get(secrets::rotations::list))
        .route(
            "/api/v1/secret-lease-roles/{*path}",
            get(secrets::lease_roles::show).put(secrets::lease_roles::put).delete(secrets::lease_roles::end),
        )
        .route("/api/v1/ssh-host-keys/{*path}", get(secrets::hosts::keys))
        .route(
            "/api/v1/ssh-host-reports/{*path}",
            get(secrets::hosts::reports).put(secrets::hosts::report).delete(secrets::hosts::forget),
        )
        .route("/api/v1/secret-leases", post(secrets::leases::post).get(secrets::leases::list))
        .route("/api/v1/secret-leases/{id}", get(secrets::leases::show).delete(secrets::leases::end))
        .route("/api/v1/secret-leases/{id}/renew", post(secrets::leases::renew))
        .route("/api/v1/secret-leases/{id}/forget", post(secrets::leases::forget))
        .route("/api/v1/secret-codes/{*path}", get(secrets::codes::show))
        .route("/.well-known/jwks/{*path}", get(secrets::codes::jwks))
        .route("/api/v1/secret-acts/{act}", post(secrets::acts::act))
        .route("/api/v1/recovery", get(recovery::show).post(recovery::take))
        .route("/api/v1/recovery/wrap", post(recovery::wrap))
        .route("/api/v1/transit/keys", post(transit::managing::create).get(transit::keys::list))
        .route(
            "/api/v1/transit/keys/{key}",
            get(transit::keys::show).patch(transit::managing::configure).delete(transit::managing::destroy),
        )
        .route("/api/v1/transit/keys/{key}/{act}", post(transit::managing::act))
        .route("/api/v1/transit/random", post(transit::batches::random))
        .route("/api/v1/transit/{key}/encrypt", post(transit::batches::encrypt))
        .route("/api/v1/transit/{key}/decrypt", post(transit::batches::decrypt))
        .route("/api/v1/transit/{key}/rewrap", post(transit::batches::rewrap))
        .route("/api/v1/transit/{key}/data-key", post(transit::batches::data_key))
        .route("/api/v1/transit/{key}/sign", post(transit::signing::sign))
        .route("/api/v1/transit/{key}/verify", post(transit::signing::verify))
        .route("/api/v1/issuers", post(issuers::create).get(issuers::list))
        .route("/api/v1/issuers/import", post(issuers::import))
        .route("/api/v1/issuers/import/begin", post(imports::begin))
        .route("/api/v1/issuers/{issuer}/{generation}/import", post(imports::some))
        .route("/api/v1/issuers/{issuer}/{generation}/import/done", post(imports::done))
        .route("/api/v1/issuers/import-crl", post(issuers::import_crl))
        .route("/api/v1/issuers/{issuer}", get(issuers::show))
        .route("/api/v1/issuers/{issuer}/rotate", post(issuers::rotate))
        .route("/api/v1/issuers/{issuer}/{generation}/request", post(issuers::request))
        .route("/api/v1/issuers/{issuer}/{generation}/export", get(issuers::export))
        .route("/api/v1/issuers/{issuer}/{generation}/{act}", post(issuers::act))
        .route("/api/v1/drills", post(drills::begin).get(drills::list))
        .route("/api/v1/drills/{id}", get(drills::show))
        .route("/api/v1/drills/{id}/end", post(drills::end))
        .route("/api/v1/tokens", post(tokens::post).get(tokens::list))
        .route("/api/v1/tokens/{id}", delete(tokens::delete))
        .route("/api/v1/tokens/{id}/second-factor/reset", post(second_factor::reset))
        .route(
            "/api/v1/second-factor",
            get(second_factor::show).post(second_factor::enrol).delete(second_factor::remove),
        )
        .route("/api/v1/second-factor/confirm", post(second_factor::confirm))
        .route("/api/v1/second-factor/prove", post(second_factor::prove))
        .route("/api/v1/second-factor/recovery-codes", post(second_factor::codes))
        .route("/api/v1/second-factors", get(second_factor::list))
        .route("/api/v1/audit", get(audit::list))
        .route("/api/v1/audit/ocsp-proof", post(ocsp_proof::prove))
        .route("/api/v1/audit/{index}", get(audit::show))
        .route("/api/v1/audit/texts/{hash}", get(audit::text))
        .route("/api/v1/report/secrets", get(report::secrets))
        .route("/api/v1/report/tokens", get(report::tokens))
        .route("/api/v1/owners", get(owners::list))
        .route("/api/v1/owners/{name}", get(owners::show))
        .route("/api/v1/profiles", get(profiles::list))
        .route("/api/v1/replay", post(profiles::replay))
        .route("/api/v1/fit", post(profiles::fit))
        .route("/api/v1/profiles/{name}", get(profiles::show))
        .route("/api/v1/profiles/{name}/test", post(profiles::test))
        .route("/api/v1/whoami", get(status::whoami))
        .route("/api/v1/status", get(status::status))
        .route("/api/openapi.json", get(openapi::document))
        .route("/metrics", get(status::metrics))
        .route("/log/tile/entries/{*path}", get(log::entries))
}
