//! The log over HTTP, in the C2SP tlog-tiles paths: any client of that format can follow it.
//!
//! Checkpoints, the verifier key and hash tiles are public and name nobody. Entry bundles name people and need the
//! auditor's right.

use axum::extract::{Path, State as Shared};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use policy::{Action, Grant, Resource, ResourceKind};

use super::published::{Published, SHORT, TEXT};
use crate::app::App;
use crate::intake::{Caller, typed};
use crate::problem::{Kind, Problem};

/// Hashes or entries in a full tile.
const TILE_WIDTH: u16 = 256;
/// tlog-tiles allows levels up to 63; a tree of 2^64 leaves has eight.
const LEVEL_MAX: u8 = 63;
/// What never changes may be kept.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A head is signed each second while the log moves: whoever keeps one asks whether it is still the newest.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const OCTETS: &str = "application/octet-stream";
/// What names people is kept by nobody but its reader.
const OWN_COPY: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// The newest signed head: from memory, before the first there from the register.
pub(crate) async fn checkpoint(Shared(app): Shared<App>, asked: HeaderMap) -> Result<Response, Problem> {
    if let Some(head) = app.ledger().signed_head() {
        let note = Published::new(TEXT, head.note.as_bytes().to_vec(), ASK_AGAIN);
        // Several may be signed in a second, by several nodes.
        return Ok(note.since(head.since, false).answer(&asked));
    }
    let note = app.ledger().checkpoint().await?;
    let note = note.ok_or_else(|| Problem::new(Kind::NotFound, "No checkpoint has been signed yet."))?;
    Ok(Published::new(TEXT, note, ASK_AGAIN).answer(&asked))
}

/// The verifier key, C2SP signed-note.
pub(crate) async fn key(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    Published::new(TEXT, format!("{}\n", app.authority().log_verifier_key()), SHORT).answer(&asked)
}

/// The verifier keys of every generation of the log's key, a line each, the present one first.
pub(crate) async fn keys(Shared(app): Shared<App>, asked: HeaderMap) -> Response {
    let keys = app.authority().log_verifier_keys().join("\n");
    Published::new(TEXT, format!("{keys}\n"), SHORT).answer(&asked)
}

/// A hash tile: `/log/tile/<L>/<N>[.p/<W>]`.
pub(crate) async fn tile(
    Shared(app): Shared<App>,
    Path(path): Path<String>,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let (level, at) = path.split_once('/').ok_or_else(no_tile)?;
    let level = level_of(level).ok_or_else(no_tile)?;
    let (n, width) = place(at).ok_or_else(no_tile)?;
    let bytes = app.ledger().tile(level, n, width).await?.ok_or_else(no_tile)?;
    Ok(Published::new(OCTETS, bytes, FOR_EVER).answer(&asked))
}

/// An entry bundle: `/log/tile/entries/<N>[.p/<W>]`.
pub(crate) async fn entries(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let (n, width) = place(&path).ok_or_else(no_tile)?;
    let bytes = bundle(&grant, &app, n, width).await?.ok_or_else(no_tile)?;
    let mut response = typed(StatusCode::OK, OCTETS, bytes);
    response.headers_mut().insert(header::CACHE_CONTROL, OWN_COPY);
    Ok(response)
}

async fn bundle(_grant: &Grant, app: &App, n: u64, width: u16) -> Result<Option<Vec<u8>>, Problem> {
    Ok(app.ledger().entries(n, width).await?)
}

fn no_tile() -> Problem {
    Problem::new(Kind::NotFound, "The log has no such tile; paths are those of C2SP tlog-tiles.")
}

/// "<L> is the level of the tile, and MUST be a decimal ASCII integer between 0 and 63, with no additional leading
/// zeroes" (C2SP tlog-tiles).
fn level_of(text: &str) -> Option<u8> {
    canonical(text)?.try_into().ok().filter(|level| *level <= LEVEL_MAX)
}

/// `x001/x234/067[.p/<W>]`: index 1234067, and the width of a partial tile.
fn place(path: &str) -> Option<(u64, u16)> {
    let (index, width) = match path.split_once(".p/") {
        None => (path, TILE_WIDTH),
        Some((index, width)) => {
            let width = u16::try_from(canonical(width)?).ok()?;
            (index, Some(width).filter(|width| (1..TILE_WIDTH).contains(width))?)
        }
    };
    Some((index_of(index)?, width))
}

/// "zero-padded 3-digit path elements. All but the last path element MUST begin with an x" (C2SP tlog-tiles).
fn index_of(path: &str) -> Option<u64> {
    let mut parts = path.split('/').rev();
    let last = three_digits(parts.next()?)?;
    let (mut index, mut scale) = (last, 1_000_u64);
    let mut highest = None;
    for part in parts {
        let digits = three_digits(part.strip_prefix('x')?)?;
        index = digits.checked_mul(scale)?.checked_add(index)?;
        scale = scale.checked_mul(1_000)?;
        highest = Some(digits);
    }
    // A leading x000 would be a second name for the same tile.
    (highest != Some(0)).then_some(index)
}

fn three_digits(text: &str) -> Option<u64> {
    let is_three = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_three.then(|| text.parse().ok()).flatten()
}

/// A decimal number without leading zeroes or signs.
fn canonical(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_paths_are_read_as_tlog_tiles_writes_them() {
        assert_eq!(place("000"), Some((0, 256)));
        assert_eq!(place("067"), Some((67, 256)));
        assert_eq!(place("x001/x234/067"), Some((1_234_067, 256)));
        assert_eq!(place("x001/x234/067.p/5"), Some((1_234_067, 5)));
        assert_eq!(place("x001/000.p/255"), Some((1_000, 255)));
    }

    #[test]
    fn a_tile_has_one_name_only() {
        for path in [
            "",
            "0",
            "67",
            "0067",
            "x067",
            "x000/067",
            "001/067",
            "x1/067",
            "067.p/0",
            "067.p/256",
            "067.p/05",
            "067.p/",
            "067.p/-1",
            "067.p/+1",
            "x001/",
            "../001",
            "x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(place(path), None, "{path}");
        }
        for level in ["", "00", "64", "-1", "+1", "256", "a"] {
            assert_eq!(level_of(level), None, "{level}");
        }
        assert_eq!(level_of("63"), Some(63));
    }
}
