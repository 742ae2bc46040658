//! What is asked of both servers: every way to list and search, the pages for people, and what machines read.

use crate::error::CompareError;
use crate::fleet::host_name;

/// What the answer may take, in the words of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    /// p95 over the large register at most so many times that over the small one.
    Times(f64),
    /// p95 over the large register at most so many milliseconds.
    Millis(f64),
    /// No bound: shown.
    None,
}

/// By whom it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The REST API with a token.
    Token,
    /// The pages with a session.
    Session,
}

#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) what: String,
    pub(super) path: String,
    pub(super) by: By,
    pub(super) bound: Bound,
}

impl Page {
    /// With at most so many rows.
    pub(super) fn of_rows(self, rows: usize) -> Self {
        Self { path: format!("{}&limit={rows}", self.path), what: format!("{}, {rows} rows", self.what), ..self }
    }
}

/// "any list or search page p95 at most 3 times".
const LISTS: Bound = Bound::Times(3.0);
/// "`status` and `/metrics` below 5 ms".
const READINGS: Bound = Bound::Millis(5.0);
/// A walk over names that is bounded by their number.
const SEARCH: Bound = Bound::Millis(50.0);
const DAY_SECS: u64 = 86_400;

/// Pages whose paths are the same for every register.
pub(super) fn fixed() -> Vec<Page> {
    let name = format!("dns:{}", host_name(500, "example.internal"));
    let month = 30 * DAY_SECS;
    let lists = [
        String::new(),
        "limit=1000".into(),
        "state=issued".into(),
        "state=intended".into(),
        "state=failed".into(),
        "state=revoked".into(),
        "owner=default".into(),
        "owner=acme".into(),
        "profile=tls-server".into(),
        "profile=tls-client".into(),
        "issuer=tls".into(),
        "issuer=code".into(),
        "kind=certificate".into(),
        "kind=ca-certificate".into(),
        "kind=ssh-user".into(),
        "kind=crl".into(),
        format!("name={name}"),
        "name=dns:nobody.example.internal".into(),
        format!("expiring_secs={DAY_SECS}"),
        format!("expiring_secs={month}"),
        format!("expiring_secs={month}&state=issued"),
        format!("expiring_secs={month}&state=revoked"),
        format!("expiring_secs={month}&owner=acme"),
        format!("expiring_secs={month}&profile=tls-client"),
        "owner=default&state=issued&profile=tls-server".into(),
        "owner=acme&state=revoked".into(),
        "profile=tls-client&state=issued".into(),
        "kind=certificate&state=failed".into(),
    ];
    let list = |query: &String| Page {
        what: if query.is_empty() { "certificates".to_owned() } else { query.clone() },
        path: format!("/api/v1/certificates?{query}"),
        by: By::Token,
        bound: LISTS,
    };
    let mut pages: Vec<Page> = lists.iter().map(list).collect();
    let others = [
        ("/api/v1/audit", By::Token, LISTS),
        ("/api/v1/tokens", By::Token, LISTS),
        ("/api/v1/keys", By::Token, LISTS),
        ("/api/v1/status", By::Token, READINGS),
        ("/metrics", By::Token, READINGS),
        ("/api/v1/whoami", By::Token, LISTS),
        ("/", By::Session, LISTS),
        ("/?owner=acme", By::Session, LISTS),
        ("/certificates", By::Session, LISTS),
        ("/certificates?state=issued", By::Session, LISTS),
        ("/certificates?state=act", By::Session, LISTS),
        ("/certificates?state=expired", By::Session, LISTS),
        ("/certificates?state=revoked", By::Session, LISTS),
        ("/certificates?owner=default&replaced=no", By::Session, LISTS),
        // A page walks so many names of the million: some ten milliseconds, whatever there is.
        ("/certificates?q=nobody.example.internal", By::Session, SEARCH),
        ("/api/v1/certificates?search=nobody.example.internal", By::Token, SEARCH),
        ("/api/v1/certificates?state=expired", By::Token, LISTS),
        ("/api/v1/certificates?act=true", By::Token, LISTS),
        ("/api/v1/certificates?serial=0101", By::Token, LISTS),
    ];
    pages.extend(others.map(|(path, by, bound)| {
        let what = if by == By::Session { format!("dashboard {path}") } else { path.to_owned() };
        Page { what, path: path.to_owned(), by, bound }
    }));
    pages.push(Page {
        what: "/crl/tls.crl, whole".into(),
        path: "/crl/tls.crl".into(),
        by: By::Token,
        bound: Bound::None,
    });
    pages
}

/// Pages that follow from the first list of a register: a later page, and one certificate.
pub(super) fn found(list: &serde_json::Value) -> Result<Vec<Page>, CompareError> {
    let text = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_str).map(str::to_owned);
    let serial = text(list.pointer("/items/0/serial"));
    let serial = serial.ok_or_else(|| CompareError::Failed("a register without certificates".into()))?;
    let mut pages = vec![Page {
        what: "one certificate".into(),
        path: format!("/api/v1/certificates/{serial}"),
        by: By::Token,
        bound: LISTS,
    }];
    if let Some(cursor) = text(list.get("next")) {
        pages.push(Page {
            what: "limit=100, the page after 200".into(),
            path: format!("/api/v1/certificates?limit=100&cursor={cursor}"),
            by: By::Token,
            bound: LISTS,
        });
    }
    Ok(pages)
}
