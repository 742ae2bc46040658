//! Lists that come page by page, and are shown so: a million rows take the memory of a thousand.

use clap::builder::RangedU64ValueParser;
use policy::Timestamp;
use serde_json::Value;

use crate::client::Client;
use crate::client::percent;
use crate::failure::Failure;
use crate::output;

/// What the server takes at most.
const PAGE: usize = 1_000;

/// The pages of a resource, one after the other.
pub struct Pages<'a> {
    client: &'a Client,
    path: &'a str,
    query: &'a [(&'a str, String)],
    /// So many more are wanted.
    left: usize,
    /// So many were given.
    given: usize,
    cursor: Cursor,
    /// What the server said of a register that is held.
    held: Option<String>,
    /// So many rows were left out that are not what the log says.
    altered: u64,
}

enum Cursor {
    Begins,
    GoesOn(String),
    Over,
}

/// A page.
pub struct Page {
    pub items: Vec<Value>,
    /// What operators said in them; the log has that alone.
    pub words: Vec<Value>,
    /// The server's time: whatever this host's clock shows, what ends soon ends soon there.
    pub now: Timestamp,
}

impl<'a> Pages<'a> {
    /// At most `limit` items.
    pub fn new(client: &'a Client, path: &'a str, query: &'a [(&'a str, String)], limit: usize) -> Self {
        Self { client, path, query, left: limit, given: 0, cursor: Cursor::Begins, held: None, altered: 0 }
    }

    /// The next page; none where all were given, or nobody reads them any more.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        if self.left == 0 || output::is_refused() {
            return Ok(None);
        }
        let limit = PAGE.min(self.left).to_string();
        let mut query: Vec<(&str, &str)> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.push(("limit", &limit));
        match &self.cursor {
            Cursor::Begins => {}
            Cursor::GoesOn(cursor) => {
                // Where the first one began is told once: of the log, both are the same parameter.
                query.retain(|(name, _)| *name != "after");
                query.push(("cursor", cursor));
            }
            Cursor::Over => return Ok(None),
        }
        let text: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let (mut page, now) = self.client.get_dated(&format!("{}?{}", self.path, text.join("&"))).await?;
        let mut list = |name: &str| match page.get_mut(name).map(Value::take) {
            Some(Value::Array(list)) => list,
            Some(_) | None => Vec::new(),
        };
        let (items, words) = (list("items"), list("words"));
        self.held = page.get("held").and_then(Value::as_str).map(str::to_owned).or(self.held.take());
        self.altered = self.altered.saturating_add(altered(&page));
        self.cursor = match page.get("next") {
            None | Some(Value::Null) => Cursor::Over,
            Some(next) => Cursor::GoesOn(next.as_str().map_or_else(|| next.to_string(), str::to_owned)),
        };
        self.left = self.left.saturating_sub(items.len());
        self.given = self.given.saturating_add(items.len());
        Ok(Some(Page { items, words, now }))
    }

    /// Says that it ended at `--limit`, where it did: what is left out would look like what is not there. A page may be short, and say
    /// where the next begins, so nobody knows here that there is more.
    pub fn tell_more(&self, as_json: bool) {
        if self.left == 0 && self.next_cursor().is_some() {
            let says = format!("there may be more than these {}: raise --limit, or leave it out", self.given);
            output::notice(&says, as_json);
        }
    }

    /// Where it goes on, in the server's words.
    pub fn next_cursor(&self) -> Option<&str> {
        match &self.cursor {
            Cursor::GoesOn(cursor) => Some(cursor),
            Cursor::Begins | Cursor::Over => None,
        }
    }

    /// Says beside them that the register is held, where it is, and how many were left out since somebody altered them.
    pub fn end(self, as_json: bool) {
        left_out(self.altered, as_json);
        if let Some(held) = self.held {
            output::notice(&held, as_json);
        }
    }
}

/// A count of rows: none would look like an empty register.
pub fn some() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// How many of a page were left out since somebody altered them.
pub fn altered(page: &Value) -> u64 {
    page.get("altered").and_then(Value::as_u64).unwrap_or(0)
}

/// Says how many were, where any was.
pub fn left_out(altered: u64, as_json: bool) {
    if altered > 0 {
        let what = format!("{altered} not shown, altered in the register: `chancery audit verify` names them");
        output::notice(&what, as_json);
    }
}
