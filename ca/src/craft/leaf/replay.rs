//! Changed profiles over the requests of the past: what would differ if they had been in force.
//!
//! The register keeps what was issued: bytes, names, key, lifetime, profile. What was refused then is not in it. A page looks at a
//! bounded number, so that a year of requests takes the memory of a page. Nothing is written.

use std::collections::HashMap;
use std::sync::Arc;

use policy::{Name, Timestamp, Validity};
use spki::ObjectIdentifier;
use store::{Credential, Filter, Kind, State, TextKind};
use x509_cert::ext::Extension;
use x509_parser::prelude::{FromDer, TbsCertificate};

use crate::craft::leaf::certify::Certifier;
use crate::craft::leaf::draft::{Subject, Title, allowed_names, lifetime, subject};
use crate::craft::leaf::request::Lifetime;
use crate::craft::leaf::told::{self, Told};
use crate::encode::Dn;
use crate::encode::spki::kind_of;
use crate::error::{CaError, DraftError};
use crate::issuers::Issuing;
use crate::profiles::{Past, Profile, Rules, SubjectPolicy, X509Rules, span};

/// Some of the past under changed profiles.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Requests that these profiles concern, on this page.
    pub looked_at: u64,
    /// Those that would come out otherwise.
    pub differing: Vec<Replayed>,
    /// Where the next page begins, where there is one.
    pub next: Option<String>,
}

/// A request that would come out otherwise.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The serial of what came of it, hex.
    pub serial: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// Under which profile.
    pub profile: String,
    /// Whose it is.
    pub owner: Option<String>,
    /// Its names.
    pub names: Vec<String>,
    /// What would differ.
    pub differs: Vec<Differs>,
}

/// One thing that would differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// `refused`, `lifetime`, `subject`, `issuer`, `chain`, `approvals`, or the name of an extension.
    pub what: String,
    /// What it was; empty: it was not there.
    pub was: String,
    /// What it would be; of what would be refused: why. Empty: it would not be there.
    pub would: String,
}

impl Certifier {
    /// A page of the requests since a moment, the newest first.
    pub(crate) async fn replay(
        &self,
        changed: &[Profile],
        since: Timestamp,
        cursor: Option<String>,
    ) -> Result<Replay, CaError> {
        let profile = if let [one] = changed { Some(one.name.clone()) } else { None };
        let filter =
            Filter { kind: Some(Kind::Certificate), profile, limit: PAGE, after_cursor: cursor, ..Filter::default() };
        let page = self.office.ledger.list(filter).await?;
        let mut replay = Replay { looked_at: 0, differing: Vec::new(), next: page.next };
        let mut pasts: HashMap<[u8; 32], Past> = HashMap::new();
        let mut issuers = Vec::new();
        for profile in changed {
            let issuer = self.issuer_of(profile).await.map_err(|e| e.to_string());
            issuers.push((profile, issuer));
        }
        for credential in page.items {
            if credential.intended_at < since {
                replay.next = None;
                break;
            }
            let concerned = issuers.iter().find(|(profile, _)| profile.name == credential.profile);
            let (Some(concerned), State::Issued | State::Intended | State::Revoked) = (concerned, credential.state)
            else {
                continue;
            };
            replay.looked_at += 1;
            let past = match pasts.get(&credential.profile_hash) {
                Some(known) => known.clone(),
                None => {
                    let text = self.office.ledger.text(TextKind::Profile, &credential.profile_hash).await?;
                    let past = text.as_deref().and_then(Past::read).unwrap_or_default();
                    pasts.entry(credential.profile_hash).or_insert(past).clone()
                }
            };
            let differs = self.differs(&credential, concerned, &past).await?;
            if !differs.is_empty() {
                replay.differing.push(Replayed {
                    serial: credential.serial_hex(),
                    at: credential.intended_at,
                    profile: credential.profile,
                    owner: credential.owner.map(|owner| owner.to_string()),
                    names: credential.names,
                    differs,
                });
            }
        }
        Ok(replay)
    }

    /// What of a certificate would differ. `past` is what its profile said then.
    async fn differs(
        &self,
        old: &Credential,
        (profile, issuer): &(&Profile, Result<Arc<Issuing>, String>),
        past: &Past,
    ) -> Result<Vec<Differs>, CaError> {
        let refused = |why: String| Differs { what: REFUSED.to_owned(), was: String::new(), would: why };
        let Rules::X509(rules) = &profile.rules else {
            return Ok(vec![refused(format!("profile {} makes no X.509 certificates", profile.name))]);
        };
        let Ok((_, tbs)) = TbsCertificate::from_der(&old.tbs) else {
            return Ok(vec![refused("its bytes cannot be read".to_owned())]);
        };
        let mut differs = Vec::new();
        let kind = kind_of(tbs.public_key().raw);
        match kind {
            Some(kind) => differs.extend(profile.check_key(kind).err().map(refused)),
            None => differs.push(refused("a key of a kind that is not known here".to_owned())),
        }
        if rules.one_key_one_certificate && self.was_certified_before(old).await? {
            differs.push(refused("its key was certified before".to_owned()));
        }
        let names = old.names.iter().filter_map(|name| Name::parse(name).ok()).collect::<Vec<_>>();
        differs.extend(allowed_names(&names, profile, rules).err().map(|e| refused(e.to_string())));
        differs.extend(of_lifetime(old, profile, past.default_secs));
        match issuer {
            Ok(issuer) => {
                let (was, would) = (bare(&old.issuer), bare(&issuer.label));
                if was != would {
                    differs.push(changed("issuer", was, would));
                }
                let again = Dn::from_der(tbs.subject().as_raw()).map(|dn| {
                    let title = title(&dn, rules);
                    if matches!(rules.subject, SubjectPolicy::Template(_)) {
                        Subject::Again(dn, title)
                    } else {
                        Subject::ByProfile(title)
                    }
                });
                let again = again.unwrap_or_else(|_| Subject::ByProfile(Title::default()));
                match subject(old.owner.as_ref(), rules, issuer, &names, again) {
                    Ok(dn) if dn.to_string() != old.subject => {
                        differs.push(changed("subject", &old.subject, &dn.to_string()));
                    }
                    Ok(_) => {}
                    Err(e) => differs.push(refused(e.to_string())),
                }
            }
            Err(why) => differs.push(refused(why.clone())),
        }
        if let Some(kind) = kind {
            differs.extend(of_extensions(&old.tbs, rules.extensions.for_key(kind), |oid| !OTHERS.contains(&oid)));
        }
        // Under the generation that issued it: another one is told above, and has places of its own.
        if let Some(issuing) = self.office.issuers.read().issuing_of(&old.issuer) {
            let would = issuing.pointers_as(&old.serial, &rules.pointers).map_err(DraftError::from)?;
            differs.extend(of_extensions(&old.tbs, &would, |oid| PLACES.contains(&oid)));
            let root = |preferred: Option<&str>| {
                let chains = issuing.chains_by(preferred);
                chains.first().and_then(|chain| chain.last()).map_or(String::new(), |root| root.subject.to_string())
            };
            let (was, would) = (root(past.chain.as_deref()), root(profile.chain()));
            if was != would {
                differs.push(changed("chain", &was, &would));
            }
        }
        let approvals = u64::from(profile.approvals());
        if approvals != past.approvals {
            differs.push(changed("approvals", &past.approvals.to_string(), &approvals.to_string()));
        }
        Ok(differs)
    }

    async fn was_certified_before(&self, old: &Credential) -> Result<bool, CaError> {
        let filter = Filter {
            kind: Some(Kind::Certificate),
            key_hash: Some(old.key_hash),
            limit: LOOKED_AT,
            ..Filter::default()
        };
        let page = self.office.ledger.list(filter).await?;
        Ok(page.next.is_some()
            || page.items.iter().any(|other| other.operation < old.operation && other.state != State::Failed))
    }
}

/// What the old subject brought.
fn title(dn: &Dn, rules: &X509Rules) -> Title {
    let organizations = dn.texts_of("O").unwrap_or_default();
    Title {
        common_name: dn.texts_of("CN").ok().and_then(|mut all| all.pop()),
        organizations: organizations.into_iter().filter(|o| rules.organizations.contains(o)).collect(),
    }
}

/// Whoever got the default did not ask for it, as far as anybody knows.
fn of_lifetime(old: &Credential, profile: &Profile, default: Option<i64>) -> Option<Differs> {
    let was = old.validity?.secs();
    let asked = match default {
        Some(default) if default == was => Lifetime::ByProfile,
        Some(_) | None => Lifetime::Secs(was.unsigned_abs()),
    };
    let now = old.intended_at;
    // Its issuer is no part of the change.
    let issuer =
        Validity::new(now.plus_secs(-profile.max_validity_secs), now.plus_secs(2 * profile.max_validity_secs)).ok()?;
    match lifetime(profile, now, asked, issuer) {
        Ok(validity) if validity.secs() == was => None,
        Ok(validity) => Some(changed("lifetime", &span(was), &span(validity.secs()))),
        Err(e) => Some(Differs { what: REFUSED.to_owned(), was: String::new(), would: e.to_string() }),
    }
}

/// Of some kinds of extensions those that would differ.
fn of_extensions(tbs: &[u8], would: &[Extension], of: impl Fn(ObjectIdentifier) -> bool) -> Vec<Differs> {
    let was: Vec<(ObjectIdentifier, Told)> = told::extensions(tbs).into_iter().filter(|(oid, _)| of(*oid)).collect();
    let would: Vec<_> = would.iter().filter_map(told::extension).filter(|(oid, _)| of(*oid)).collect();
    let find = |all: &[(ObjectIdentifier, Told)], oid| {
        all.iter().find(|(there, _)| *there == oid).map(|(_, told)| told.clone())
    };
    let oids = was.iter().map(|(oid, _)| *oid).chain(would.iter().map(|(oid, _)| *oid));
    let mut seen = Vec::new();
    let mut differs = Vec::new();
    for oid in oids {
        if seen.contains(&oid) {
            continue;
        }
        seen.push(oid);
        let (old, new) = (find(&was, oid), find(&would, oid));
        if old != new {
            let name = old.as_ref().or(new.as_ref()).map_or_else(|| oid.to_string(), |told| told.name.clone());
            differs.push(changed(&name, &said(old), &said(new)));
        }
    }
    differs
}

fn said(told: Option<Told>) -> String {
    told.map_or(String::new(), |told| if told.critical { format!("critical, {}", told.says) } else { told.says })
}

fn changed(what: &str, was: &str, would: &str) -> Differs {
    Differs { what: what.to_owned(), was: was.to_owned(), would: would.to_owned() }
}

/// An issuer without its generation.
fn bare(label: &str) -> &str {
    label.split('/').next().unwrap_or_default()
}

const REFUSED: &str = "refused";
/// subjectKeyIdentifier, subjectAltName, authorityKeyIdentifier, which come of names, key and issuer, and [`PLACES`].
const OTHERS: [ObjectIdentifier; 6] = [
    const_oid::db::rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
    const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME,
    const_oid::db::rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
    const_oid::db::rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
    const_oid::db::rfc5280::ID_CE_FRESHEST_CRL,
    const_oid::db::rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
];
/// cRLDistributionPoints, freshestCRL, authorityInfoAccess.
const PLACES: [ObjectIdentifier; 3] = [
    const_oid::db::rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
    const_oid::db::rfc5280::ID_CE_FRESHEST_CRL,
    const_oid::db::rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
];
/// Requests of a page: a second of work.
const PAGE: usize = 500;
/// Certificates of one key.
const LOOKED_AT: usize = 16;
