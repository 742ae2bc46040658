//! What every page shares: its policy, its head, how it is drawn, where a browser is sent next, and whose forms are taken.

use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use policy::{Action, Actor, Resource, ResourceKind};

use crate::app::App;
use crate::observe::HsmStatus;
use crate::problem::{Kind, Problem};

/// The pages' policy: our stylesheet, images and script, our forms, nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);

/// Which page of the head's links is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Certificates,
    Ssh,
    Authorities,
    Secrets,
    Drills,
}

/// The head of a page: who looks, and how the service is, where the visitor may know.
pub(super) struct Head {
    pub(super) actor: String,
    pub(super) place: &'static str,
    /// Whether the visitor may see issuers and drills.
    pub(super) watches: bool,
    /// Whether the visitor may know of secrets.
    pub(super) knows_secrets: bool,
    /// That what is shown may not be what the log says.
    pub(super) held: Option<&'static str>,
    pub(super) pills: Vec<Pill>,
}

/// One word of how the service is.
pub(super) struct Pill {
    pub(super) text: String,
    pub(super) good: bool,
}

impl Head {
    /// The head for a visitor. For who may not read the status the words are simply not there, which is no refusal to write down.
    pub(super) fn of(app: &App, actor: &Actor, place: Place) -> Self {
        let on = Resource::plain(ResourceKind::Status);
        let mut pills = Vec::new();
        let watches = app.authority().policies().permits(actor, Action::ReadStatus, &on);
        if watches {
            let hsm = HsmStatus::of(app.authority().health().token).state;
            pills.push(Pill { text: format!("HSM {hsm}"), good: hsm == "ready" });
            if app.ledger().time_held().is_some() {
                pills.push(Pill { text: "clock not believed".to_owned(), good: false });
            }
            if app.lookout().held().is_some() {
                pills.push(Pill { text: "register held".to_owned(), good: false });
            }
        }
        let place = match place {
            Place::Overview => "overview",
            Place::Certificates => "certificates",
            Place::Ssh => "ssh",
            Place::Authorities => "authorities",
            Place::Secrets => "secrets",
            Place::Drills => "drills",
        };
        Self {
            actor: actor.id.clone(),
            place,
            watches,
            knows_secrets: knows_secrets(app, actor),
            held: app.lookout().held(),
            pills,
        }
    }
}

/// Whether a visitor may know of secrets.
pub(super) fn knows_secrets(app: &App, actor: &Actor) -> bool {
    let of = actor.owners.iter().next().cloned();
    app.authority().policies().permits(actor, Action::ListSecrets, &Resource::secret(of, ""))
}

/// A template as a page with its policy.
pub(super) fn render(status: StatusCode, template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(text) => {
            let mut response = (status, Html(text)).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
            // What it shows is of a moment and of a visitor.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// 303: the browser comes back with GET. The place is one of ours.
pub(super) fn see(place: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().extend(HeaderValue::from_str(place).ok().map(|place| (header::LOCATION, place)));
    response
}

/// A form of ours is sent by a page of ours. Browsers say so (Fetch Metadata, or Origin before there was that); other clients have
/// no cookie to steal.
pub(super) fn same_origin(headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let foreign = || Err(Problem::new(Kind::Refused, "This form was sent by another site."));
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => return Ok(()),
        Some(_) => return foreign(),
        None => {}
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    // HTTP/2 names the host in the target.
    let named = uri.authority().map(http::uri::Authority::as_str);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(named);
    match origin.as_ref().and_then(|origin| origin.authority()) {
        Some(authority) if host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str())) => Ok(()),
        Some(_) | None => foreign(),
    }
}

/// A value in a query.
pub(super) fn percent(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Form data has the syntax of a query.
pub(super) fn parse_form<T: serde::de::DeserializeOwned>(body: &[u8]) -> Option<T> {
    let uri: Uri = format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()?;
    axum::extract::Query::<T>::try_from_uri(&uri).ok().map(|axum::extract::Query(form)| form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_sites_form_is_refused() {
        let mut headers = HeaderMap::new();
        let (path, whole) = (Uri::from_static("/logout"), Uri::from_static("https://ca.example:8443/logout"));
        assert!(same_origin(&headers, &path).is_ok());
        for (origin, fine) in [("https://ca.example:8443", true), ("https://evil.example", false), ("null", false)] {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(same_origin(&headers, &whole).is_ok(), fine, "{origin}");
            assert!(same_origin(&headers, &path).is_err(), "no host to compare it with");
            headers.insert(header::HOST, HeaderValue::from_static("ca.example:8443"));
            assert_eq!(same_origin(&headers, &path).is_ok(), fine, "{origin}");
            headers.remove(header::HOST);
        }
        for (site, fine) in [("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false)] {
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            assert_eq!(same_origin(&headers, &path).is_ok(), fine, "{site}");
        }
    }

    #[test]
    fn a_value_stays_one_value() {
        assert_eq!(percent("a&b=\"<é"), "a%26b%3D%22%3C%C3%A9");
    }
}
