//! Certificates as comma-separated values (RFC 4180), for spreadsheets: a page, or a list whole.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode};
use policy::Timestamp;
use store::Page;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::intake::typed;
use crate::observe::inventory::{Entry, Standing};
use crate::problem::Problem;

const CSV: &str = "text/csv; charset=utf-8; header=present";
const NEXT: HeaderName = HeaderName::from_static("next-cursor");
const HEAD: &str = "serial,kind,state,replaced,profile,issuer,owner,subject,names,not_before,not_after,renewer,act_at,\
    revoked_at,actor,predecessor,successor\r\n";

/// The page, with the cursor of the next in a header.
pub(crate) fn answer(page: Page<Entry>, now: Timestamp) -> Response {
    let mut response = typed(StatusCode::OK, CSV, HEAD.to_owned() + &lines(&page, now));
    let next = page.next.and_then(|cursor| HeaderValue::try_from(cursor).ok());
    response.headers_mut().extend(next.map(|cursor| (NEXT, cursor)));
    response
}

/// The first page and all that follow it by their cursors, one in memory at a time. Where one cannot be had the answer breaks off,
/// which every client takes for a failure.
pub(crate) fn whole<F>(first: Page<Entry>, now: Timestamp, next: impl Fn(String) -> F + Send + 'static) -> Response
where
    F: Future<Output = Result<Page<Entry>, Problem>> + Send + 'static,
{
    let begin = HEAD.to_owned() + &lines(&first, now);
    let pages = stream::try_unfold((begin, first.next, next), move |(mut text, mut cursor, next)| async move {
        // A page may have looked through much and found nothing.
        while let Some(at) = cursor.take_if(|_| text.is_empty()) {
            let _turn = turn().await;
            let page = next(at).await.map_err(|problem| std::io::Error::other(problem.detail().to_owned()))?;
            (text, cursor) = (lines(&page, now), page.next);
        }
        let sent = (!text.is_empty()).then(|| (Bytes::from(text), (String::new(), cursor, next)));
        Ok::<_, std::io::Error>(sent)
    });
    typed(StatusCode::OK, CSV, Body::from_stream(pages))
}

/// Whose page is read: one after the other, so that lists and figures for eyes, which the same readers answer, wait for one of
/// these at most, however many fetch a file.
pub(crate) async fn turn() -> Option<SemaphorePermit<'static>> {
    static TURN: Semaphore = Semaphore::const_new(1);
    // It is never closed.
    TURN.acquire().await.ok()
}

fn lines(page: &Page<Entry>, now: Timestamp) -> String {
    page.items.iter().map(|entry| line(entry, now)).collect()
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

/// Quoted where it must be. What a spreadsheet would take for a formula is made a text by an apostrophe: others wrote it. One that
/// takes the semicolon for the separator, as half of Europe's do, begins a cell after each.
fn cell(text: &str) -> String {
    let (mut tamed, mut begins) = (String::with_capacity(text.len()), true);
    for c in text.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r') {
            tamed.push('\'');
        }
        tamed.push(c);
        begins = matches!(c, ';' | '\t' | '\n');
    }
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
            ("file:a;=HYPERLINK(1)", "file:a;'=HYPERLINK(1)"),
            ("a;b=c", "a;b=c"),
            ("", ""),
        ] {
            assert_eq!(cell(text), shown);
        }
    }
}
