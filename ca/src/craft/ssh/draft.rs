//! Drafts of SSH certificates.

use std::collections::BTreeSet;
use std::sync::Arc;

use hsm::Message;
use policy::{Grant, MAX_PRINCIPALS, Principal, Serial, Timestamp, Validity};
use serde_json::json;
use store::Kind;

use crate::craft::leaf::Lifetime;
use crate::craft::ssh::body::{Body, register_serial_tail};
use crate::craft::ssh::lint::Ssh;
use crate::drafting::{BACKDATE_SECS_MAX, Draft, Facts, ProfileStamp, until, validity};
use crate::error::DraftError;
use crate::intake::SshKey;
use crate::issuers::SshCa;
use crate::profiles::{Profile, Rules};

/// A granted request for an SSH certificate. Its principals are the grant's.
pub(crate) struct SshFacts {
    pub(crate) key: SshKey,
    pub(crate) key_id: String,
    pub(crate) life: Lifetime,
    pub(crate) nonce: [u8; 32],
}

/// Under what an SSH certificate is drafted.
pub(crate) struct Under {
    pub(crate) ca: Arc<SshCa>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) serial: Serial,
    pub(crate) now: Timestamp,
}

/// Drafts an SSH certificate.
pub(crate) fn draft(grant: Grant, under: Under, request: SshFacts) -> Result<Draft<Ssh>, DraftError> {
    let Under { ca, profile, serial, now } = under;
    let (kind, cert_type, rules) = match &profile.rules {
        Rules::SshUser(rules) => (Kind::SshUser, 1, rules),
        Rules::SshHost(rules) => (Kind::SshHost, 2, rules),
        Rules::X509(_) => {
            return Err(DraftError::new("profile", format!("{} makes no SSH certificates", profile.name)));
        }
    };
    profile.check_key(request.key.key.kind()).map_err(|e| DraftError::new("public_key", e))?;
    check_key_id(&request.key_id)?;
    let principals = principals(&grant)?;
    let validity = life(now, request.life, &profile)?;
    let seconds =
        |at: Timestamp| u64::try_from(at.unix()).map_err(|_| DraftError::new("validity", "it begins before 1970"));
    let body = Body {
        nonce: request.nonce,
        serial: register_serial_tail(serial.as_bytes()).unwrap_or_default(),
        cert_type,
        key_id: &request.key_id,
        principals: principals.iter().map(|p| p.as_str()).collect(),
        valid_after: seconds(validity.not_before())?,
        valid_before: seconds(validity.not_after().plus_secs(1))?,
        critical_options: &rules.critical_options,
        extensions: &rules.extensions,
    };
    let facts = Facts {
        kind,
        profile: ProfileStamp::from(&*profile),
        key: ca.key.clone(),
        message: Message::from(body.encode(&request.key, &ca.blob)),
        serial: serial.as_bytes().to_vec(),
        issuer: ca.standing.name.to_string(),
        owner: grant.resource().owner.clone(),
        names: principals.iter().map(|p| p.to_string()).collect(),
        key_hash: request.key.key.hash(),
        validity: Some(validity),
        covers: None,
        renews: None,
        details: json!({}),
        subject: request.key_id,
    };
    Ok(Draft::new(grant, facts, Ssh { ca, profile, key: request.key, now }))
}

/// From when to when it holds. An SSH CA has no end of its own.
fn life(now: Timestamp, asked: Lifetime, profile: &Profile) -> Result<Validity, DraftError> {
    let refused = |why: String| DraftError::new("validity", why);
    let secs = match asked {
        Lifetime::ByProfile => profile.lifetime_secs(None),
        Lifetime::Secs(secs) => profile.lifetime_secs(Some(secs)),
        Lifetime::Until(end) => {
            let longest = profile.max_validity_secs;
            let bounds = Validity::new(now.plus_secs(-longest), end).map_err(|why| refused(why.to_string()))?;
            let life = until(now, end, (longest, BACKDATE_SECS_MAX), bounds)?;
            if life.secs() < profile.min_validity_secs {
                return Err(refused(format!("it would end at {end}; {} s is the shortest", profile.min_validity_secs)));
            }
            // The end is what was asked for: an earlier beginning takes nothing of it, and a host whose clock is behind takes the shortest too.
            let early = now.plus_secs(-BACKDATE_SECS_MAX).max(end.plus_secs(1 - longest)).min(life.not_before());
            return Validity::new(early, end).map_err(|why| refused(why.to_string()));
        }
    };
    validity(now, secs.map_err(refused)?, None)
}

/// Principals, each once, in their order.
pub(crate) fn each_once(mut principals: Vec<Principal>) -> Vec<Principal> {
    let mut seen = BTreeSet::new();
    principals.retain(|principal| seen.insert(principal.clone()));
    principals
}

/// The grant's principals: at least one, each once.
fn principals(grant: &Grant) -> Result<Vec<Principal>, DraftError> {
    let principals = each_once(grant.resource().principals.clone());
    match principals.len() {
        // PROTOCOL.certkeys: "As a special case, a zero-length 'valid principals' field means the certificate is valid
        // for any principal of the specified type." Never that.
        0 => Err(DraftError::new(
            "principals",
            "there is none; a certificate without principals would be valid for every one",
        )),
        1..=MAX_PRINCIPALS => Ok(principals),
        many => Err(DraftError::new("principals", format!("{many} principals; {MAX_PRINCIPALS} is the most"))),
    }
}

pub(crate) fn check_key_id(key_id: &str) -> Result<(), DraftError> {
    match (1..=KEY_ID_MAX).contains(&key_id.len()) && key_id.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        true => Ok(()),
        false => Err(DraftError::new(
            "key_id",
            format!("1 to {KEY_ID_MAX} printable ASCII characters: sshd writes it into its log"),
        )),
    }
}

/// OpenSSH takes more, log lines do not.
const KEY_ID_MAX: usize = 128;
