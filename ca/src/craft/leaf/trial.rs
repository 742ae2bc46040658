//! A request tried out: what would be issued, or all that stands against it. Nothing is signed and nothing is written.

use policy::{Action, Actor, Refusal, Resource, Validity};
use store::ActorStamp;

use crate::craft::leaf::certify::Certifier;
use crate::craft::leaf::draft::{LeafRequest, Subject, Title, Under, allowed_names, draft, fits, lifetime, subject};
use crate::craft::leaf::once;
use crate::craft::leaf::request::{CertifyRequest, names};
use crate::craft::leaf::told::{self, Told};
use crate::error::{CaError, DraftError};
use crate::profiles::Rules;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The profile in force.
    pub profile: String,
    /// Its hash.
    pub profile_hash: [u8; 32],
    /// What stands against it, each thing; empty: it would be issued.
    pub against: Vec<Against>,
    /// What would be issued.
    pub would: Option<Would>,
}

/// One thing that stands against a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// The part of the request: `names`, `key`, `validity`, `subject`, `policy`, `issuer`, `lint` ...
    pub what: String,
    /// Why.
    pub why: String,
    /// The policy that refused, or the lint that did not hold.
    pub rule: Option<String>,
}

/// A certificate as it would be.
#[derive(Clone, Debug)]
pub struct Would {
    /// Who would sign: `tls/1`.
    pub issuer: String,
    /// The subject, as RFC 4514 writes it.
    pub subject: String,
    /// The names.
    pub names: Vec<String>,
    /// From when to when.
    pub validity: Validity,
    /// The kind of its key.
    pub key: &'static str,
    /// What its extensions say.
    pub extensions: Vec<Told>,
    /// What the CSR asks for and would not get.
    pub left_out: Vec<String>,
}

/// Gathers what stands against a request.
#[derive(Default)]
struct Gathered(Vec<Against>);

impl Gathered {
    fn unless<T>(&mut self, what: &str, done: Result<T, impl std::fmt::Display>) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(why) => {
                self.0.push(Against { what: what.to_owned(), why: why.to_string(), rule: None });
                None
            }
        }
    }

    /// The part that a draft names itself.
    fn drafted<T>(&mut self, done: Result<T, DraftError>) -> Option<T> {
        match done {
            Ok(value) => Some(value),
            Err(DraftError { what, detail }) => self.unless(what, Err::<T, _>(detail)),
        }
    }

    fn asked<T>(&mut self, done: Result<T, CaError>) -> Option<T> {
        match done {
            Err(CaError::BadRequest { what, detail }) => self.unless(what, Err::<T, _>(detail)),
            other => self.unless("issuer", other),
        }
    }

    fn policy<T>(&mut self, done: Result<T, Refusal>) -> Option<T> {
        done.map_err(|refusal| {
            self.0.push(Against { what: "policy".to_owned(), why: refusal.to_string(), rule: refusal.rule });
        })
        .ok()
    }
}

impl Certifier {
    /// Tries a request out, for whoever would make it.
    pub(crate) async fn try_out(&self, actor: &Actor, request: CertifyRequest) -> Result<Trial, CaError> {
        let profile = self.office.profile(&request.profile)?;
        let Rules::X509(rules) = &profile.rules else {
            return Err(DraftError::new("profile", format!("{} makes no X.509 certificates", profile.name)).into());
        };
        let (csr, mut against) = (request.csr, Gathered::default());
        let asked = against.asked(names(&profile, &csr, request.names)).unwrap_or_else(|| csr.names().to_vec());
        let policies = self.office.gate.rules().policies();
        let owner = request.owner;
        if profile.signs_code() {
            let identity = Resource::code_key(Some(owner.clone()), csr.common_name().unwrap_or_default());
            against.policy(policies.decide(actor, Action::CreateKey, &identity));
        }
        let resource = Resource::certificate(Some(owner.clone()), profile.name(), asked.clone());
        let grant = against.policy(policies.decide(actor, Action::IssueCertificate, &resource));
        let key = csr.clone().into_key();
        against.unless("key", profile.check_key(key.kind()));
        // What the register knows of a key is for who may have it certified.
        if grant.is_some() && self.office.checks.is_compromised(&key.hash()) {
            against.unless("key", Err::<(), _>("it was revoked as compromised; make a new key"));
        }
        if grant.is_some() && profile.wants_new_keys() {
            let free = once::taken(&self.office, &key).await?.map_or(Ok(()), Err);
            against.unless("key", free);
        }
        let allowed = against.drafted(allowed_names(&asked, &profile, rules));
        let (title, left_out) = (|| Subject::ByProfile(Title::of(&csr)), csr.left_out().to_vec());
        let mut under = None;
        if let Some(issuer) = against.asked(self.issuer_of(&profile).await) {
            against.drafted(fits(&profile, &issuer));
            if let Some(names) = &allowed {
                against.drafted(subject(Some(&owner), rules, &issuer, names, title()));
            }
            let asks = ActorStamp::from(actor);
            let now = self.office.checks.clock.now_for(&asks, &issuer, profile.min_validity_secs).await;
            if let Some(now) = against.unless("issuer", now) {
                against.unless("issuer", self.office.checks.ended(&issuer).map_or(Ok(()), Err));
                against.drafted(lifetime(&profile, now, request.lifetime, issuer.validity));
                let serial = self.office.serials.next();
                under = Some(Under { issuer, profile: profile.clone(), serial, now });
            }
        }
        let mut it = None;
        if let (Some(grant), Some(under), true) = (grant, under, against.0.is_empty()) {
            let kind = key.kind().as_str();
            let details = serde_json::Value::Null;
            let leaf = LeafRequest { subject: title(), details, key, lifetime: request.lifetime, renews: None };
            match against.drafted(draft(grant, under, leaf)).map(|draft| draft.lint()) {
                Some(Ok(linted)) => it = would(linted.into_entry(), kind, left_out),
                Some(Err(failure)) => against.0.extend(failure.findings.iter().map(|finding| Against {
                    what: "lint".to_owned(),
                    why: finding.to_string(),
                    rule: Some(finding.lint.name.to_owned()),
                })),
                None => {}
            }
        }
        let (against, would) = (against.0, it);
        Ok(Trial { profile: profile.name.clone(), profile_hash: profile.hash, against, would })
    }
}

fn would(entry: store::Entry, key: &'static str, left_out: Vec<String>) -> Option<Would> {
    let hsm::Message::Whole(tbs) = &entry.message else { return None };
    Some(Would {
        extensions: told::extensions(tbs).into_iter().map(|(_, told)| told).collect(),
        issuer: entry.issuer,
        subject: entry.subject,
        names: entry.names,
        validity: entry.validity?,
        key,
        left_out,
    })
}
