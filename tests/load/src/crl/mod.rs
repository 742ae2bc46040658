//! CRLs of a large issuer beside what they cannot do without, in one run: the signature of a token and the disk.
//!
//! A register is seeded, a tenth of it revoked, and its server started. After each of some revocations the server says in `/metrics`
//! how long it took to make the CRL that has it, from the first look at what is revoked until it was durable. In turns this process
//! has the same bytes signed by a token of its own, the signature verified, and writes them to the same disk, flushed. Then an
//! issuer is made whose revocations are parted, and one of its certificates is revoked: which CRLs changed?

mod alone;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::CompareError;
use crate::fleet;
use crate::house::{Filling, House};
use crate::memory::peak_kib;
use crate::rest::Rest;
use alone::Alone;
pub use table::Table;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The server's program.
    pub server: PathBuf,
    /// This program.
    pub seeder: PathBuf,
    /// Certificates of the register.
    pub certificates: u64,
    /// So many of them are revoked.
    pub revoked: u64,
    /// Into how many CRLs the revocations of the issuer that is made are parted.
    pub shards: u16,
    /// Revocations, each with its CRL.
    pub rounds: u32,
    /// Where the register is kept; none: nowhere.
    pub dir: Option<PathBuf>,
}

/// What was seen; times in milliseconds.
#[derive(Clone, Debug, Default)]
struct Seen {
    entries: u64,
    bytes: u64,
    /// The first CRL after a start, which reads and lints every entry.
    first: f64,
    /// Those after it.
    ours: Vec<f64>,
    /// The same bytes, signed and written and nothing else.
    alone: Vec<f64>,
    /// KiB by which the most that was ever resident grew from before the first CRL until after the last.
    grew_kib: u64,
    /// An issuer is made: how long the answer took, and whose CRLs changed meanwhile.
    created: f64,
    moved_by_creation: Vec<String>,
    /// A certificate of it is revoked: CRLs that changed, of how many.
    moved_by_revocation: Vec<String>,
    series: usize,
}

/// Measures.
pub async fn run(wish: &Wish) -> Result<Table, CompareError> {
    let nowhere = tempfile::tempdir().map_err(|e| CompareError::Io("a folder".into(), e))?;
    let dir = wish.dir.clone().unwrap_or_else(|| nowhere.path().join("crl"));
    let filling = Filling { certificates: wish.certificates, revoked: wish.revoked, ..Filling::default() };
    let mut house = House::make(&wish.server, &wish.seeder, &dir, &filling)?;
    house.start()?;
    let mut rest = Rest::new(&house)?;
    let mut seen = Seen::default();
    whole(wish, &house, &mut rest, &mut seen).await?;
    let parted = create(wish, &mut rest, &mut seen).await?;
    house.copy_profile("tls-server", &parted)?;
    house.stop()?;
    house.start()?;
    part(&mut Rest::new(&house)?, &parted, &mut seen).await?;
    house.stop()?;
    Ok(Table::new(wish, seen))
}

/// The whole CRL, beside its signature and its bytes on the disk alone.
async fn whole(wish: &Wish, house: &House, rest: &mut Rest, seen: &mut Seen) -> Result<(), CompareError> {
    let list = format!("/api/v1/certificates?kind=certificate&state=issued&owner=default&limit={}", wish.rounds + 20);
    let page = rest.json(&list).await?;
    let items = page["items"].as_array().cloned().unwrap_or_default();
    let seeded =
        items.iter().filter(|item| item["issuer"] == SEEDED && !item["names"].to_string().contains("localhost"));
    let serials: Vec<String> = seeded.filter_map(|item| Some(item["serial"].as_str()?.to_owned())).collect();
    let mut alone = Alone::open(house).await?;
    let pid = house.pid().ok_or_else(|| CompareError::Failed("no server".into()))?;
    let before = peak_kib(pid).unwrap_or_default();
    for (round, serial) in serials.iter().take(wish.rounds as usize + 1).enumerate() {
        eprintln!("CRL {} of {}", round + 1, wish.rounds + 1);
        let there = entries_of(&figures(rest).await?, SEEDED);
        rest.post(&format!("/api/v1/certificates/{serial}/revoke"), &json!({ "reason": "superseded" })).await?;
        let took = made(rest, SEEDED, there).await?;
        match round {
            0 => seen.first = took,
            _ => seen.ours.push(took),
        }
        let der = rest.get(&format!("/crl/{SEEDED}/0.crl")).await?.body;
        (seen.bytes, seen.entries) = (der.len() as u64, there + 1);
        if round > 0 {
            seen.alone.push(alone.sign_and_write(&der).await?.as_secs_f64() * 1e3);
        }
    }
    seen.grew_kib = peak_kib(pid).unwrap_or_default().saturating_sub(before);
    Ok(())
}

/// How long the CRL that has more entries than these took, once there is one.
async fn made(rest: &mut Rest, series: &str, there: u64) -> Result<f64, CompareError> {
    let began = Instant::now();
    while began.elapsed() < MADE_MAX {
        let figures = figures(rest).await?;
        let took = figures.get(&format!("chancery_crl_made_seconds{{issuer=\"{series}\"}}"));
        if let (true, Some(took)) = (entries_of(&figures, series) > there, took) {
            return Ok(took * 1e3);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(CompareError::Failed(format!("no CRL of {series} with more than {there} entries")))
}

fn entries_of(figures: &BTreeMap<String, f64>, series: &str) -> u64 {
    figures.get(&format!("chancery_crl_entries{{issuer=\"{series}\"}}")).map_or(0, |entries| *entries as u64)
}

/// `/metrics`, by name and labels.
async fn figures(rest: &mut Rest) -> Result<BTreeMap<String, f64>, CompareError> {
    let body = rest.get("/metrics").await?.body;
    let text = String::from_utf8_lossy(&body);
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    Ok(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}

/// When each series was published last, and with how many bytes.
async fn published(rest: &mut Rest) -> Result<BTreeMap<String, String>, CompareError> {
    let mut published = BTreeMap::<String, String>::new();
    for (name, value) in figures(rest).await? {
        let what = name.split_once('{');
        if let Some((MOVES | LENGTH, labels)) = what {
            published.entry(labels.to_owned()).or_default().push_str(&format!(" {value}"));
        }
    }
    Ok(published)
}

fn moved(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let changed = before.iter().filter(|(series, of)| after.get(*series) != Some(*of));
    changed.map(|(series, _)| series.trim_matches(|c| "{}\"".contains(c)).replace("issuer=\"", "")).collect()
}

/// Makes an issuer whose revocations are parted; answers its name.
async fn create(wish: &Wish, rest: &mut Rest, seen: &mut Seen) -> Result<String, CompareError> {
    eprintln!("another issuer");
    let issuers = rest.json("/api/v1/issuers").await?;
    let there = issuers["items"].as_array().into_iter().flatten().filter_map(|issuer| issuer["name"].as_str());
    let name = free_name(&there.collect::<Vec<_>>());
    let before = published(rest).await?;
    let issuer = json!({
        "name": name, "above": "root", "subject": format!("/CN={name}"), "purposes": ["server-auth"], "shards": wish.shards,
    });
    let (_, took) = rest.post("/api/v1/issuers", &issuer).await?;
    seen.created = took.as_secs_f64() * 1e3;
    seen.moved_by_creation = moved(&before, &published(rest).await?);
    Ok(name)
}

/// A name that no issuer has: a folder is measured in again.
fn free_name(there: &[&str]) -> String {
    let names = std::iter::once(PARTED.to_owned()).chain((2..).map(|number| format!("{PARTED}-{number}")));
    names.into_iter().find(|name| !there.contains(&name.as_str())).unwrap_or_default()
}

/// One certificate of the issuer whose revocations are parted.
async fn part(rest: &mut Rest, parted: &str, seen: &mut Seen) -> Result<(), CompareError> {
    eprintln!("one of its parts");
    let host = fleet::fleet("example.internal", 1).map_err(|e| CompareError::Failed(e.to_string()))?;
    let host = host.first().ok_or_else(|| CompareError::Failed("no host".into()))?;
    let csr = host.csr.pem().map_err(|e| CompareError::Failed(e.to_string()))?;
    let wish = json!({ "profile": parted, "owner": "default", "csr": csr });
    let (made_one, _) = rest.post("/api/v1/certificates", &wish).await?;
    let serial = made_one["serial"].as_str().ok_or_else(|| CompareError::Failed(format!("no serial: {made_one}")))?;
    let before = published(rest).await?;
    seen.series = before.len();
    let whole = format!("{parted}/1");
    let there = entries_of(&figures(rest).await?, &whole);
    rest.post(&format!("/api/v1/certificates/{serial}/revoke"), &json!({ "reason": "superseded" })).await?;
    made(rest, &whole, there).await?;
    seen.moved_by_revocation = moved(&before, &published(rest).await?);
    Ok(())
}

/// The issuer under which registers are seeded.
const SEEDED: &str = "tls/1";
const PARTED: &str = "parted";
const MOVES: &str = "chancery_crl_this_update_timestamp_seconds";
const LENGTH: &str = "chancery_crl_bytes";
/// A CRL that takes longer is none.
const MADE_MAX: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_in_again_under_a_name_that_is_free() {
        assert_eq!(free_name(&["root", "tls"]), "parted");
        assert_eq!(free_name(&["parted", "parted-2", "root"]), "parted-3");
    }
}
