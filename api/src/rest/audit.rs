//! The log's leaves over HTTP, for auditors: pages of leaves, and one leaf with the proof that it is in a signed head.
//!
//! A leaf is passed on byte for byte as the log hashed it; re-encoding it would break the proof. `entry` is the same
//! bytes in base64, for clients whose JSON parser does not keep the text.

use axum::extract::State as Shared;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use policy::{Action, Grant, Resource, ResourceKind, Timestamp};
use serde::{Deserialize, Serialize};
use store::{TextKind, Word};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::intake::{Caller, Params, Segment, json, page_rows, typed};
use crate::problem::{Kind, Problem};

/// Which leaves.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditParams {
    /// Only leaves with a greater index; absent: from the first. `next` of a page goes here (or into `cursor`, as in other lists).
    #[serde(alias = "cursor")]
    after: Option<u64>,
    /// At most so many, 1 to 1000; 100 by default.
    limit: Option<u32>,
    /// Only of this: a record's id, a serial, the path of a secret or the id of a transit key that was shown or used, or what was refused. One
    /// page looks at 10,000 leaves at most: `next` is where it goes on, also where it has none of them.
    of: Option<String>,
    /// Only by this actor, e.g. `token:shop`.
    by: Option<String>,
    /// Only of this event (`access`, `record`, `refuse` ...) or of this kind.
    event: Option<String>,
}

/// What is sought among the leaves. There is no index of it: leaves are looked at, so many for a page.
struct Sought {
    of: Option<String>,
    by: Option<String>,
    event: Option<String>,
}

/// As much of a leaf as tells whether it is sought.
#[derive(Deserialize)]
struct Brief {
    event: String,
    kind: String,
    actor: Option<BriefId>,
    id: Option<String>,
    serial: Option<String>,
    target: Option<String>,
    #[serde(default)]
    opened: Vec<BriefId>,
}

#[derive(Deserialize)]
struct BriefId {
    id: String,
}

impl Sought {
    /// None where everything is.
    fn of(params: &AuditParams) -> Option<Sought> {
        let AuditParams { after: _, limit: _, of, by, event } = params;
        let is_some = of.is_some() || by.is_some() || event.is_some();
        is_some.then(|| Sought { of: of.clone(), by: by.clone(), event: event.clone() })
    }

    /// What cannot be read is shown: nothing is hidden by being damaged.
    fn is(&self, leaf: &str) -> bool {
        let Ok(leaf) = serde_json::from_str::<Brief>(leaf) else { return true };
        self.event.as_ref().is_none_or(|event| leaf.event == *event || leaf.kind == *event)
            && self.by.as_ref().is_none_or(|by| leaf.actor.as_ref().is_some_and(|actor| actor.id == *by))
            && self.of.as_ref().is_none_or(|of| leaf.is_of(of))
    }
}

impl Brief {
    fn is_of(&self, sought: &str) -> bool {
        // The name of a version's key is the path, and after the last @ which version of it.
        let is_shown =
            |one: &BriefId| one.id == sought || one.id.rsplit_once('@').is_some_and(|(path, _)| path == sought);
        let is_asked = |word: &str| word == sought || word.split_once(' ').is_some_and(|(_, name)| name == sought);
        self.id.as_deref() == Some(sought)
            || self.serial.as_deref() == Some(sought)
            || self.opened.iter().any(is_shown)
            || self.target.iter().any(|target| target.split(", ").any(is_asked))
    }
}

/// A page of leaves.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the answer, which is put together from the leaves' own bytes")]
pub(crate) struct LeafList {
    /// The leaves, in their canonical form.
    items: Vec<serde_json::Value>,
    /// `after` of the next page, where there is one.
    next: Option<u64>,
    /// Leaves in the log; while the register is held, those that its database has.
    size: u64,
    /// What operators said in the leaves of this page.
    words: Vec<OperatorWord>,
    /// That the register is held, and what is listed may not be what the log says; null when all is well.
    held: Option<String>,
}

/// What an operator said: why a node went on after it had stopped, or that a clock is right whatever the log said.
#[derive(Serialize, ToSchema)]
pub(crate) struct OperatorWord {
    /// The leaf.
    index: u64,
    /// `resumption` or `clock`.
    kind: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    actor: String,
    /// Why.
    reason: String,
    /// What was before: the log's size that the node knew, or the time in force.
    from: Option<String>,
    /// What is since: the size from which it went on, or the time in force.
    to: Option<String>,
}

impl From<Word> for OperatorWord {
    fn from(word: Word) -> Self {
        let Word { index, kind, at, actor, reason, from, to } = word;
        Self { index, kind, at, actor, reason, from, to }
    }
}

/// Lists leaves of the log in their order.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", operation_id = "listLeaves", params(AuditParams),
    responses((status = 200, description = "A page", body = LeafList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<AuditParams>,
) -> Result<Response, Problem> {
    let grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let limit = page_rows(params.limit)?;
    let held = app.lookout().held();
    let size = match held {
        Some(_) => app.ledger().size_there().await?,
        None => app.ledger().head().size,
    };
    let first = params.after.map_or(0, |after| after.saturating_add(1)).min(size);
    let (leaves, next) = match Sought::of(&params) {
        None => {
            let end = first.saturating_add(limit as u64).min(size);
            let leaves = leaves(&grant, &app, first..end).await?;
            (leaves, (end < size).then_some(end.saturating_sub(1)).filter(|_| end > first))
        }
        Some(sought) => looked(&grant, &app, first..size, &sought, limit).await?,
    };
    let words = words(&app, &leaves).await;
    Ok(typed(StatusCode::OK, "application/json", page(&leaves, next, size, &words, held)))
}

/// What operators said in these leaves. A word that cannot be read is an alarm, and its leaf is listed like any other.
async fn words(app: &App, leaves: &[(u64, String)]) -> Vec<OperatorWord> {
    let mut words = Vec::new();
    for (index, leaf) in leaves {
        let kind = serde_json::from_str::<Kinded>(leaf).map(|leaf| leaf.kind).unwrap_or_default();
        if Word::is(&kind)
            && let Ok(word) = app.ledger().word(*index).await
        {
            words.extend(word.map(OperatorWord::from));
        }
    }
    words
}

/// As much of a leaf as tells whether an operator speaks in it.
#[derive(Deserialize)]
struct Kinded<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
}

/// Those that are sought, and after which leaf it goes on; none where all were looked at.
async fn looked(
    grant: &Grant,
    app: &App,
    range: std::ops::Range<u64>,
    sought: &Sought,
    limit: usize,
) -> Result<(Vec<(u64, String)>, Option<u64>), Problem> {
    let end = range.end.min(range.start.saturating_add(LEAVES_LOOKED_MAX));
    let (mut found, mut at) = (Vec::new(), range.start);
    while at < end {
        // So many as the store gives at once.
        let page = leaves(grant, app, at..end).await?;
        let Some((last, _)) = page.last() else { break };
        at = last.saturating_add(1);
        for (index, leaf) in page {
            if sought.is(&leaf) {
                found.push((index, leaf));
                if found.len() == limit {
                    return Ok((found, (index.saturating_add(1) < range.end).then_some(index)));
                }
            }
        }
    }
    let goes_on = at > range.start && at < range.end;
    Ok((found, goes_on.then_some(at.saturating_sub(1))))
}

/// So many leaves one page looks at for those that are sought: some 5 MB of them, and ten questions.
const LEAVES_LOOKED_MAX: u64 = 10_000;

async fn leaves(_grant: &Grant, app: &App, range: std::ops::Range<u64>) -> Result<Vec<(u64, String)>, Problem> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    Ok(app.ledger().leaves(range).await?)
}

/// Leaves are canonical JSON already: the page is put together around their bytes.
fn page(
    leaves: &[(u64, String)],
    next: Option<u64>,
    size: u64,
    words: &[OperatorWord],
    held: Option<&'static str>,
) -> String {
    let items = leaves.iter().map(|(_, leaf)| leaf.as_str()).collect::<Vec<_>>().join(",");
    let next = next.map_or_else(|| "null".to_owned(), |next| next.to_string());
    // Our own types, which always serialize.
    let (words, held) = (serde_json::json!(words), serde_json::json!(held));
    format!("{{\"items\":[{items}],\"next\":{next},\"size\":{size},\"words\":{words},\"held\":{held}}}")
}

/// A leaf with its proof.
#[derive(Serialize, ToSchema)]
pub(crate) struct Proven {
    /// The leaf's index.
    pub(crate) index: u64,
    /// The leaf's exact bytes, base64: what the log hashed.
    entry: String,
    /// The leaf.
    #[schema(value_type = serde_json::Value)]
    pub(crate) leaf: serde_json::Value,
    /// The size of the tree that the proof is for.
    pub(crate) size: u64,
    /// RFC 6962 audit path from the leaf to the root of that tree, base64.
    pub(crate) proof: Vec<String>,
    /// The signed head over that tree (C2SP tlog-checkpoint); null until one covers the leaf.
    pub(crate) checkpoint: Option<String>,
    /// What an operator said in it; null in other leaves.
    word: Option<OperatorWord>,
    /// What an operator put into force by it; null in other leaves.
    change: Option<SettingChange>,
}

/// A part of the service's rules and settings that changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingChange {
    /// `policies`, `owners`, `profile NAME`, `limits`, `log level`; of this node.
    part: String,
    /// SHA-256 of its text, hexadecimal; null where it is gone.
    hash: Option<String>,
    /// The hash before; null where there was none.
    before: Option<String>,
    /// Lines that went (`-`) and came (`+`).
    changed: Vec<String>,
}

impl SettingChange {
    fn of(body: &serde_json::Value) -> Self {
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let lines = body["changed"].as_array().into_iter().flatten();
        Self {
            part: text("part").unwrap_or_default(),
            hash: text("hash"),
            before: text("before"),
            changed: lines.filter_map(|line| line.as_str().map(str::to_owned)).collect(),
        }
    }
}

/// Shows one leaf with the proof that it is in the log.
#[utoipa::path(get, path = "/api/v1/audit/{index}", tag = "audit", operation_id = "showLeaf",
    params(("index" = u64, Path, description = "The leaf's index")),
    responses((status = 200, description = "The leaf and its proof", body = Proven),
        (status = 404, description = "No such leaf")))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(index): Segment,
) -> Result<Response, Problem> {
    let grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let index: u64 = index.parse().map_err(|_| Problem::field("index", "An index is a number."))?;
    Ok(json(StatusCode::OK, &proven(&grant, &app, index).await?))
}

/// A leaf with the proof that it is in the log. The grant is the reason why it may be read.
pub(crate) async fn proven(grant: &Grant, app: &App, index: u64) -> Result<Proven, Problem> {
    let head = app.ledger().head();
    if index >= head.size {
        return Err(Problem::new(Kind::NotFound, format!("The log has {} leaves.", head.size)));
    }
    let checkpoint = covering(index, app).await?;
    let size = checkpoint.as_ref().map_or(head.size, |(size, _)| *size);
    let leaf = leaves(grant, app, index..index.saturating_add(1)).await?;
    let proof = app.ledger().inclusion_proof(index, size).await?;
    let (Some((_, text)), Some(proof)) = (leaf.into_iter().next(), proof) else {
        return Err(Problem::new(Kind::NotFound, "The log cannot prove this leaf."));
    };
    Ok(Proven {
        index,
        entry: STANDARD.encode(&text),
        leaf: serde_json::from_str(&text).map_err(|error| Problem::internal(&error))?,
        size,
        proof: proof.iter().map(|hash| STANDARD.encode(hash)).collect(),
        checkpoint: checkpoint.map(|(_, note)| note),
        word: app.ledger().word(index).await?.map(OperatorWord::from),
        change: app.ledger().setting(index).await?.map(|setting| SettingChange::of(&setting.body)),
    })
}

/// A text behind a hash.
#[derive(Serialize, ToSchema)]
pub(crate) struct Text {
    /// SHA-256 of the text, as leaves name it.
    hash: String,
    /// `policy-text` or `profile-text`.
    kind: &'static str,
    /// The policies with the owners' rules, or the profile, in canonical form.
    text: String,
}

/// Shows the policies or the profile that leaves name by this hash, however old.
#[utoipa::path(get, path = "/api/v1/audit/texts/{hash}", tag = "audit", operation_id = "showText",
    params(("hash" = String, Path, description = "`grant.policy` or `profile.hash` of a leaf, hexadecimal")),
    responses((status = 200, description = "The text", body = Text), (status = 404, description = "No such text")))]
pub(crate) async fn text(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(hex): Segment,
) -> Result<Response, Problem> {
    let grant = app.authorize(&actor, Action::ReadAudit, Resource::plain(ResourceKind::Audit)).await?;
    let hash: Option<[u8; 32]> = hex::decode(&hex).ok().and_then(|bytes| bytes.try_into().ok());
    let hash = hash.ok_or_else(|| Problem::field("hash", "A hash is 64 hexadecimal digits."))?;
    match find_text(&grant, &app, &hash).await? {
        Some((kind, text)) => Ok(json(StatusCode::OK, &Text { hash: hex::encode(hash), kind: kind.as_str(), text })),
        None => Err(Problem::new(Kind::NotFound, "No policy or profile of this hash was recorded.")),
    }
}

async fn find_text(_grant: &Grant, app: &App, hash: &[u8; 32]) -> Result<Option<(TextKind, String)>, Problem> {
    for kind in [TextKind::Policy, TextKind::Profile] {
        if let Some(text) = app.ledger().text(kind, hash).await? {
            return Ok(Some((kind, text)));
        }
    }
    Ok(None)
}

/// The newest checkpoint, with its size, if it covers the leaf; one is signed now where it does not.
async fn covering(index: u64, app: &App) -> Result<Option<(u64, String)>, Problem> {
    let newest = app.ledger().checkpoint().await?.and_then(sized).filter(|(size, _)| *size > index);
    if newest.is_some() {
        return Ok(newest);
    }
    if let Err(error) = app.authority().checkpoint().await {
        tracing::debug!(%error, "no checkpoint for a proof");
    }
    Ok(app.ledger().checkpoint().await?.and_then(sized).filter(|(size, _)| *size > index))
}

/// C2SP tlog-checkpoint: origin, size and root hash, one a line.
fn sized(note: String) -> Option<(u64, String)> {
    let size = note.lines().nth(1)?.parse().ok()?;
    Some((size, note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_the_leaves_bytes() {
        let leaves = vec![(3, r#"{"v":1,"i":3}"#.to_owned()), (4, r#"{"v":1,"i":4}"#.to_owned())];
        let page = page(&leaves, Some(4), 9, &[], None);
        assert_eq!(page, r#"{"items":[{"v":1,"i":3},{"v":1,"i":4}],"next":4,"size":9,"words":[],"held":null}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&page).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&super::page(&[], None, 0, &[], None)).is_ok());
    }

    #[test]
    fn leaves_are_sought_by_what_they_are_of_by_whom_and_what_happened() {
        let access = r#"{"event":"access","kind":"secret","time":"x","actor":{"id":"token:shop","proof":"token","with":"1"},"opened":[{"id":"prod/api@2.0@1.3","version":7}]}"#;
        let refusal = r#"{"event":"refuse","kind":"refusal","time":"x","actor":{"id":"token:w"},"target":"secret, owner beta, key prod/db"}"#;
        let record = r#"{"event":"record","kind":"secret","time":"x","actor":{"id":"token:w"},"id":"prod/db"}"#;
        let is = |leaf: &str, [of, by, event]: [&str; 3]| {
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Sought { of: said(of), by: said(by), event: said(event) }.is(leaf)
        };
        assert!(is(access, ["prod/api@2.0", "token:shop", "access"]) && is(access, ["", "", "secret"]));
        assert!(
            !is(access, ["prod/api", "", ""]) && !is(access, ["", "token:w", ""]) && !is(access, ["", "", "record"])
        );
        assert!(
            is(refusal, ["prod/db", "", "refuse"]) && !is(refusal, ["prod", "", ""]) && is(refusal, ["beta", "", ""])
        );
        assert!(is(record, ["prod/db", "token:w", ""]) && !is(record, ["prod/db", "token:shop", ""]));
        assert!(is("no leaf", ["prod/db", "", ""]), "what is damaged is shown");
    }

    #[test]
    fn a_checkpoint_says_its_size_in_the_second_line() {
        assert_eq!(sized("log.example\n17\nAAAA\n\n-- x\n".into()).map(|(size, _)| size), Some(17));
        assert!(sized("log.example\nmany\n".into()).is_none());
        assert!(sized(String::new()).is_none());
    }
}
