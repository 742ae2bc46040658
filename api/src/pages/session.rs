//! Signing in and out: a token is pasted, checked, and forgotten; the browser keeps a cookie that stands for it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{FromRequestParts, Request, State as Shared};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use policy::{Actor, Proof};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::frame::{parse_form, render, same_origin, see};
use crate::app::App;
use crate::auth::AuthError;
use crate::edge::Peer;
use crate::intake::{expect_type, read};
use crate::problem::{Kind, Problem};
use crate::second;

/// A token and the name of its field, with room for what a hasty paste brings along.
const FORM_BYTES_MAX: usize = 1_024;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "second-factor.html")]
struct SecondFactor {
    wrong: Option<String>,
}

/// Somebody who may see pages; anybody else is sent to the form.
pub(super) struct Visitor(pub(super) Arc<Actor>);

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let session = app.sessions().token_id(&parts.headers, app.ledger().believed_time());
        let shown = parts.extensions.get::<Peer>().and_then(Peer::certificate);
        let known = match (session, shown) {
            (Some(id), _) => match (app.doorkeeper().by_session(&id).await, app.sessions().login(&parts.headers)) {
                (Ok(actor), Some(login)) => app.doorkeeper().with_session(actor, &login).await,
                (known, _) => known,
            },
            (None, Some(shown)) => app.doorkeeper().by_certificate(shown.serial(), shown.der()).await,
            (None, None) => return Err(see("/login")),
        };
        match known {
            Ok(actor) => Ok(Self(actor)),
            Err(error @ AuthError::Store(_)) => Err(Problem::from(error).into_response()),
            Err(_over) => Err(see("/login")),
        }
    }
}

/// The form.
pub(super) async fn form() -> Response {
    render(StatusCode::OK, &Login { wrong: None })
}

#[derive(Deserialize)]
struct Pasted {
    token: String,
}

/// Checks the pasted token and opens a session.
pub(super) async fn sign_in(Shared(app): Shared<App>, request: Request) -> Result<Response, Problem> {
    same_origin(request.headers(), request.uri())?;
    expect_type(request.headers(), &["application/x-www-form-urlencoded"])?;
    let from = request.extensions().get::<Peer>().map(Peer::ip);
    let body = read(request, FORM_BYTES_MAX, &app).await?;
    let pasted: Pasted =
        parse_form(&body).ok_or_else(|| Problem::field("token", "The form has one field, `token`."))?;
    match app.doorkeeper().by_token(pasted.token.trim(), from).await {
        Ok(actor) => Ok(opened(&actor, &app)),
        Err(AuthError::Store(error)) => Err(Problem::from(error)),
        Err(error) => {
            app.metrics().denied("login");
            let problem = Problem::from(error);
            let wrong = Some(problem.detail().to_owned());
            Ok(render(problem.kind().status(), &Login { wrong }))
        }
    }
}

fn opened(actor: &Actor, app: &App) -> Response {
    match &actor.proof {
        Proof::Token { id } => {
            with_cookie(see("/"), &app.sessions().open(id, app.world(), app.ledger().believed_time()))
        }
        Proof::ClientCertificate { .. } | Proof::AcmeKey { .. } | Proof::System => {
            Problem::new(Kind::Unauthenticated, "Sign in with an API token.").into_response()
        }
    }
}

/// Ends the session.
pub(super) async fn sign_out(Shared(app): Shared<App>, uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    same_origin(&headers, &uri)?;
    Ok(with_cookie(see("/login"), &app.sessions().close(&headers)))
}

/// The form for a code.
pub(super) async fn code_form(_visitor: Visitor) -> Response {
    render(StatusCode::OK, &SecondFactor { wrong: None })
}

#[derive(Deserialize)]
struct Typed {
    code: String,
}

/// Proves the second factor for this session.
pub(super) async fn step_up(
    Shared(app): Shared<App>,
    Visitor(actor): Visitor,
    request: Request,
) -> Result<Response, Problem> {
    same_origin(request.headers(), request.uri())?;
    expect_type(request.headers(), &["application/x-www-form-urlencoded"])?;
    let headers = request.headers().clone();
    let body = read(request, FORM_BYTES_MAX, &app).await?;
    let typed: Typed = parse_form(&body).ok_or_else(|| Problem::field("code", "The form has one field, `code`."))?;
    let code = Zeroizing::new(typed.code);
    match second::prove(&app, &actor, &code).await {
        Ok(proved) => {
            app.sessions().step_up(&headers, &proved.id);
            Ok(see("/"))
        }
        Err(problem) => {
            let status = problem.kind().status();
            Ok(render(status, &SecondFactor { wrong: Some(problem.detail().to_owned()) }))
        }
    }
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    response.headers_mut().extend(HeaderValue::from_str(cookie).ok().map(|value| (header::SET_COOKIE, value)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_token_is_read_as_browsers_send_it() {
        let parse = parse_form::<Pasted>;
        assert_eq!(parse(b"token=chy_ab_c-d").expect("pasted").token, "chy_ab_c-d");
        assert_eq!(parse(b"token=+chy_x%0A").expect("pasted").token.trim(), "chy_x");
        for wrong in [&b"tocken=x"[..], b"", b"\xff\xfe", b"token"] {
            assert!(parse(wrong).is_none_or(|pasted| pasted.token.is_empty()), "{wrong:?}");
        }
    }
}
