//! A page of certificates as comma-separated values (RFC 4180), for spreadsheets.

use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use policy::Timestamp;
use store::Page;

use crate::intake::typed;
use crate::observe::inventory::{Entry, Standing};

const CSV: &str = "text/csv; charset=utf-8; header=present";
const NEXT: HeaderName = HeaderName::from_static("next-cursor");
const HEAD: &str = "serial,kind,state,replaced,profile,issuer,owner,subject,names,not_before,not_after,renewer,act_at,\
    revoked_at,actor,predecessor,successor\r\n";

/// The page, with the cursor of the next in a header.
pub(crate) fn answer(page: Page<Entry>, now: Timestamp) -> Response {
    let mut text = HEAD.to_owned();
    for entry in &page.items {
        text.push_str(&line(entry, now));
    }
    let mut response = typed(StatusCode::OK, CSV, text);
    let next = page.next.and_then(|cursor| HeaderValue::try_from(cursor).ok());
    response.headers_mut().extend(next.map(|cursor| (NEXT, cursor)));
    response
}

fn line(Entry { credential, kin }: &Entry, now: Timestamp) -> String {
    let time = |at: Option<Timestamp>| at.map(Timestamp::rfc3339).unwrap_or_default();
    let cells = [
        credential.serial_hex(),
        credential.kind.as_str().to_owned(),
        Standing::of(credential, now).as_str().to_owned(),
        kin.replaced.to_string(),
        credential.profile.clone(),
        credential.issuer.clone(),
        credential.owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default(),
        credential.subject.clone(),
        credential.names.join(" "),
        time(credential.validity.map(|validity| validity.not_before())),
        time(credential.validity.map(|validity| validity.not_after())),
        credential.renewer().as_str().to_owned(),
        time(credential.look_at()),
        time(credential.revoked_at),
        credential.actor.id.clone(),
        kin.predecessor.clone().unwrap_or_default(),
        kin.successor.clone().unwrap_or_default(),
    ];
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

/// Quoted where it must be. What a spreadsheet would take for a formula is made a text by an apostrophe: others wrote it.
fn cell(text: &str) -> String {
    let tamed = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        Some(_) | None => text.to_owned(),
    };
    match tamed.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", tamed.replace('"', "\"\"")),
        false => tamed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_never_a_formula() {
        for (text, shown) in [
            ("a", "a"),
            ("CN=a, O=b", "\"CN=a, O=b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("@x,y", "\"'@x,y\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), shown);
        }
    }
}
