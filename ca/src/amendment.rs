//! How what is in force is changed under a running service: policies, owners, profiles, and settings of the service itself.
//!
//! One path, whoever asks (a signal on the host; later the API). In this order: the present policies say whether the actor may;
//! what is proposed was checked before it came here, so that a mistake changes nothing; the texts are recorded by their hashes; each
//! part that differs from what the log last heard of it becomes a leaf, with its hash and what changed, all in one transaction; only
//! then is it in force. A crash before that leaves leaves of what the next start brings into force.

use std::collections::BTreeMap;

use policy::{Action, Actor, Policies, Resource, ResourceKind};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use store::{ActorStamp, Record, SETTING};

use crate::craft::Office;
use crate::difference::difference;
use crate::error::CaError;
use crate::profiles::Profiles;
use crate::texts;

/// What is to be in force from now on.
pub struct Amendment {
    /// Who may do what, owners included.
    pub policies: Policies,
    /// What may be made.
    pub profiles: Profiles,
    /// Settings of the service, by their names (`limits`, `log level`), as text.
    pub settings: BTreeMap<&'static str, String>,
}

impl Amendment {
    /// SHA-256 of the text of each part, hexadecimal, as the log has it once that is in force.
    ///
    /// # Errors
    /// [`CaError::Internal`]: a text that is none of its own form.
    pub fn hashes(&self) -> Result<BTreeMap<String, String>, CaError> {
        Ok(parts(self)?.into_iter().map(|(part, text)| (part, sha256_hex(&text))).collect())
    }

    /// The id of the record that says what of a part is in force at a node.
    pub fn record_id(part: &str, instance: u16) -> String {
        format!("{part}@{instance}")
    }
}

/// A part that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// `policies`, `owners`, `profile NAME`, or a setting.
    pub part: String,
    /// SHA-256 of its text, hex; none where it is gone.
    pub hash: Option<String>,
    /// The leaf that says so.
    pub leaf: u64,
}

/// Records of one call.
const PARTS_MAX: usize = 200;
/// A text that fits into its record's body beside what changed; of a longer one the hash stays.
const TEXT_BYTES_MAX: usize = 24 * 1024;

/// Brings it into force; answers what differed.
pub(crate) async fn amend(
    office: &Office,
    instance: u16,
    actor: &Actor,
    amendment: Amendment,
) -> Result<Vec<Amended>, CaError> {
    let authority = Resource::plain(ResourceKind::Authority);
    let _grant = office.gate.authorize(actor, Action::ManageAuthority, authority).await?;
    let stamp = ActorStamp::from(actor);
    let proposed = parts(&amendment)?;
    texts::record_rules(&office.ledger, &amendment.policies, &amendment.profiles, &stamp).await?;
    let known = known(office, instance).await?;
    let mut changes = Vec::new();
    for part in proposed.keys().chain(known.keys().filter(|part| !proposed.contains_key(*part))) {
        let (new, old) = (proposed.get(part), known.get(part));
        let hash = new.map(|text| sha256_hex(text));
        if old.is_some_and(|old| old.hash == hash) {
            continue;
        }
        let changed = match old {
            // All of it is new, and stands beside.
            None => Vec::new(),
            Some(Known { text: None, hash: Some(_), .. }) => vec!["(too long to be compared)".to_owned()],
            Some(old) => difference(old.text.as_deref().unwrap_or(""), new.map_or("", String::as_str)),
        };
        let text = new.filter(|text| text.len() <= TEXT_BYTES_MAX);
        let body = json!({
            "part": part, "hash": hash, "before": old.and_then(|old| old.hash.clone()), "changed": changed, "text": text,
        });
        let expect = Some(old.map_or(0, |old| old.version));
        let id = Amendment::record_id(part, instance);
        let record =
            Record { kind: SETTING, id, owner: None, lookup: None, expires: None, body, actor: stamp.clone(), expect };
        changes.push((part.clone(), hash, record));
    }
    if changes.len() > PARTS_MAX {
        return Err(CaError::bad("settings", format!("at most {PARTS_MAX} parts are changed at once")));
    }
    let mut amended = Vec::new();
    if !changes.is_empty() {
        let records = changes.iter().map(|(_, _, record)| record.clone()).collect();
        let versions = office.ledger.record(records).await?;
        amended.extend(changes.into_iter().zip(versions).map(|((part, hash, _), version)| Amended {
            part,
            hash,
            leaf: version.saturating_sub(1),
        }));
    }
    // A crash before this: the leaves speak of what the next start reads from the same files.
    office.gate.rules().exchange(amendment.policies, amendment.profiles);
    Ok(amended)
}

/// Each part, and its text as a reader wants to see it.
fn parts(amendment: &Amendment) -> Result<BTreeMap<String, String>, CaError> {
    let whole: Value =
        serde_json::from_str(amendment.policies.text()).map_err(|e| CaError::Internal(format!("policies: {e}")))?;
    let mut all = BTreeMap::new();
    let mut policies = String::new();
    for (name, text) in whole["policies"].as_object().into_iter().flatten() {
        policies.push_str(&format!("// {name}\n{}\n", text.as_str().unwrap_or_default().trim_end()));
    }
    let owners: Vec<String> = whole["owners"].as_array().into_iter().flatten().map(Value::to_string).collect();
    all.insert("policies".to_owned(), policies);
    all.insert("owners".to_owned(), owners.join("\n"));
    for profile in amendment.profiles.iter() {
        let text: Value = serde_json::from_str(profile.text())
            .map_err(|e| CaError::Internal(format!("profile {}: {e}", profile.name())))?;
        all.insert(format!("profile {}", profile.name()), format!("{:#}", text[1]));
    }
    all.extend(amendment.settings.iter().map(|(name, text)| ((*name).to_owned(), text.clone())));
    Ok(all)
}

/// What the log last heard of this node's parts.
struct Known {
    version: u64,
    hash: Option<String>,
    text: Option<String>,
}

async fn known(office: &Office, instance: u16) -> Result<BTreeMap<String, Known>, CaError> {
    let own = Amendment::record_id("", instance);
    let mut known = BTreeMap::new();
    for record in office.ledger.record_all(SETTING).await? {
        let Some(part) = record.id.strip_suffix(&own) else { continue };
        let text = |field: &str| record.body[field].as_str().map(str::to_owned);
        known.insert(part.to_owned(), Known { version: record.version, hash: text("hash"), text: text("text") });
    }
    Ok(known)
}

fn sha256_hex(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}
