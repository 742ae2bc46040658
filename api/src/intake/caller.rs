//! The caller of a handler: a request becomes an [`Actor`], or ends here with a 401.
//!
//! The credential is the token of the `Authorization` header where there is one, with the second factor of `Chancery-Second-Factor`
//! beside it, else the certificate that the connection proved; whether it holds is for [`crate::auth`] to say. What did not hold is counted here and written nowhere.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use policy::{Action, Actor, Grant, Resource, ResourceKind};

use crate::app::App;
use crate::auth::{AuthError, LOGIN_HEADER};
use crate::edge::Peer;
use crate::problem::Problem;

/// The authenticated caller of a handler.
pub(crate) struct Caller(pub(crate) Arc<Actor>);

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match recognise(parts, app).await {
            Ok(actor) => Ok(Self(actor)),
            Err(error) => {
                app.metrics().denied(error.label());
                Err(Problem::from(error))
            }
        }
    }
}

/// What opens a handler whatever its body says.
pub(crate) trait Permission {
    /// What is done.
    const ACTION: Action;
    /// To what.
    fn on() -> Resource;
}

/// All of the log.
pub(crate) struct ReadsAudit;
/// The CAs.
pub(crate) struct ManagesAuthority;
/// Everybody's certificates.
pub(crate) struct ReadsAllCertificates;

impl Permission for ReadsAudit {
    const ACTION: Action = Action::ReadAudit;
    fn on() -> Resource {
        Resource::plain(ResourceKind::Audit)
    }
}

impl Permission for ManagesAuthority {
    const ACTION: Action = Action::ManageAuthority;
    fn on() -> Resource {
        Resource::plain(ResourceKind::Authority)
    }
}

impl Permission for ReadsAllCertificates {
    const ACTION: Action = Action::ReadCertificate;
    fn on() -> Resource {
        Resource::certificate(None, String::new(), Vec::new())
    }
}

/// The caller of such a handler: who may not is refused before a byte of the body is read. What is done then asks again, at its moment.
pub(crate) struct Permitted<P> {
    pub(crate) actor: Arc<Actor>,
    pub(crate) grant: Grant,
    _by: PhantomData<P>,
}

impl<P: Permission> FromRequestParts<App> for Permitted<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Caller(actor) = Caller::from_request_parts(parts, app).await?;
        let grant = app.authorize(&actor, P::ACTION, P::on()).await?;
        Ok(Self { actor, grant, _by: PhantomData })
    }
}

/// A token where there is one, else the connection's certificate.
async fn recognise(parts: &Parts, app: &App) -> Result<Arc<Actor>, AuthError> {
    let peer = parts.extensions.get::<Peer>();
    match (parts.headers.get(AUTHORIZATION), peer.and_then(Peer::certificate)) {
        (Some(header), _) => {
            let (text, from) = (header.to_str().ok().and_then(bearer).ok_or(AuthError::Malformed)?, peer.map(Peer::ip));
            let actor = app.doorkeeper().by_token(text, from).await?;
            match parts.headers.get(LOGIN_HEADER).and_then(|login| login.to_str().ok()) {
                Some(login) => Box::pin(app.doorkeeper().with_login(actor, login.trim(), from)).await,
                None => Ok(actor),
            }
        }
        (None, Some(shown)) => Box::pin(app.doorkeeper().by_certificate(shown.serial(), shown.der())).await,
        (None, None) => Err(AuthError::Missing),
    }
}

/// RFC 9110 section 11.1: the scheme is case-insensitive.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_a_bearer_header_has_no_case() {
        assert_eq!(bearer("bEaReR chy_x"), Some("chy_x"));
        assert_eq!(bearer("Basic chy_x"), None);
        assert_eq!(bearer("chy_x"), None);
    }
}
