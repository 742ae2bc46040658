//! What a succession would touch: which profiles, issuers and holders in which phase, and the way back.

use hsm::KeyKind;
use policy::Timestamp;
use store::{Filter, Order, State};

use crate::craft::Office;
use crate::error::CaError;
use crate::issuers::hierarchy::{Hierarchy, Issuer};
use crate::issuers::name::SEAL;
use crate::issuers::record::{Above, GenerationRecord, IssuerRecord, IssuerRole};
use crate::issuers::{CrlForm, GenerationName};
use crate::succession::wish::Rotate;

/// A succession, as it would go.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The generation that would be made.
    pub new: GenerationName,
    /// The one that issues now.
    pub old: Option<GenerationName>,
    /// The kind of its key, where it is known before the token is asked.
    pub key: Option<KeyKind>,
    /// Step by step.
    pub phases: Vec<Phase>,
    /// How to go back at each point.
    pub way_back: String,
}

/// One phase.
#[derive(Clone, Debug)]
pub struct Phase {
    /// When it begins; none where an operator says.
    pub from: Option<Timestamp>,
    /// What happens.
    pub what: String,
    /// Whom it touches.
    pub touches: Vec<String>,
}

/// Looks, and makes nothing.
pub(crate) async fn rehearse(
    office: &Office,
    wish: &Rotate,
    activates: Option<Timestamp>,
) -> Result<Rehearsal, CaError> {
    let hierarchy = office.issuers.fresh().await?;
    let issuer = hierarchy.issuer(&wish.issuer)?;
    let (record, now) = (&issuer.record, office.ledger.cautious_time());
    wish.check(record.role)?;
    let begun = record.unfinished().map(|last| last.number);
    let new = GenerationName::new(&wish.issuer, begun.unwrap_or_else(|| record.next_number()));
    let key = wish.key.or_else(|| record.keys.first().and_then(|kind| kind.parse().ok()));
    // Its certificate comes from elsewhere: until it is here nothing is issued under it.
    let is_signed_elsewhere = record.above == Some(Above::Elsewhere);
    let activates = activates.filter(|_| !is_signed_elsewhere);
    // One that was begun is no other one's successor for being carried on.
    let old = match record.active(now).filter(|active| active.number != new.number()) {
        Some(active) => Some(Old::of(office, &hierarchy, GenerationName::new(&wish.issuer, active.number)).await?),
        None => None,
    };
    let crls = match record.unfinished() {
        Some(begun) => begun.crls(),
        None => wish.crls_after(record)?,
    };
    let first = [
        made((record, crls), &new, now),
        Phase {
            from: activates,
            what: format!(
                "{new} issues in place of {}",
                old.as_ref().map_or("none".into(), |old| old.name.to_string())
            ),
            touches: switched(office, &hierarchy, record, &wish.issuer),
        },
    ];
    let waiting = record.generations.iter().filter(|generation| is_waiting(generation, now, new.number()));
    let waiting = waiting.map(|waiting| overtaken(&GenerationName::new(&wish.issuer, waiting.number), waiting));
    let mut rest: Vec<Phase> = old.iter().flat_map(|old| old.phases(record, &new, activates)).chain(waiting).collect();
    rest.sort_by_key(|phase| phase.from);
    let phases = first.into_iter().chain(rest).collect();
    let way_back = match &old {
        Some(Old { name, is_dead: true, .. }) => format!("there is none: {name} is over, for good"),
        Some(Old { name, .. }) => format!(
            "until {name} is retired: `chancery ca activate {name}` has it issue again; what {new} issued stays valid"
        ),
        None => "nothing was issued before: there is nothing to go back to".to_owned(),
    };
    Ok(Rehearsal { new, old: old.map(|old| old.name), key, phases, way_back })
}

/// The generation that issues now.
struct Old {
    name: GenerationName,
    /// Nobody believes it any more: it is revoked, or its key is known to others.
    is_dead: bool,
    /// Certificates of it that hold, and the end of the last.
    live: u64,
    last: Option<Timestamp>,
}

impl Old {
    async fn of(office: &Office, hierarchy: &Hierarchy, name: GenerationName) -> Result<Old, CaError> {
        let is_dead = hierarchy.generation(&name).is_some_and(|there| {
            there.record.revoked.is_some() || there.issuing().is_some_and(|ca| office.checks.dead(ca).is_some())
        });
        let (live, last) = match name.issuer() {
            SEAL => (office.ledger.standing().get(&name.number()).copied().unwrap_or(0), None),
            _ => held_by(office, &name).await?,
        };
        Ok(Old { name, is_dead, live, last })
    }

    /// What becomes of it.
    fn phases(&self, record: &IssuerRecord, new: &GenerationName, activates: Option<Timestamp>) -> Vec<Phase> {
        let Old { name, is_dead, live, last } = self;
        let until = last.filter(|_| *live > 0).map_or(String::new(), |last| format!(", the last until {last}"));
        let held = format!("{}{until}", many(*live, "certificate that holds", "certificates that hold"));
        if *is_dead {
            let due = format!("`chancery certs list --issuer {name} --state issued --replaced false` has them");
            return vec![Phase {
                from: activates,
                what: format!("what {name} issued is renewed under {new}: it is due at once, for nobody believes it"),
                touches: vec![format!("{held}; ACME clients, agents and the server's own renewals are told; {due}")],
            }];
        }
        let (what, touches) = match record.role {
            IssuerRole::Log => {
                (format!("the verifier key of {name} stays published: what it signed is verified with it"), Vec::new())
            }
            IssuerRole::Seal => (
                format!("what stands under {name} is sealed anew by the running service, and opens all the while"),
                vec![format!("{}; nobody notices", many(*live, "sealed record", "sealed records"))],
            ),
            IssuerRole::SshUser | IssuerRole::SshHost => (
                format!("{name} is believed for as long as its line is where it was put"),
                vec![format!("{held}: each is succeeded under {new}")],
            ),
            IssuerRole::X509 if record.leaves => (
                format!("{name} tells of revocations until the last of what it issued has ended"),
                vec![format!("{held}: each is succeeded under {new} at its renewal")],
            ),
            IssuerRole::X509 => (
                format!("{name} tells of revocations until the last CA below it has ended"),
                vec![format!("{held}: each CA goes below {new} with its next generation or renewal")],
            ),
        };
        let (ends, whom) = match record.role {
            IssuerRole::Seal => (
                ", and destroys its key",
                "backups that were made before: no service begins on them, and nobody opens what they have sealed",
            ),
            IssuerRole::X509 | IssuerRole::SshUser | IssuerRole::SshHost | IssuerRole::Log => {
                ("", "nobody, once the last has ended")
            }
        };
        let end = Phase {
            from: (*last).max(activates),
            what: format!("`chancery ca retire {name}` ends it{ends}"),
            touches: vec![whom.to_owned()],
        };
        let stays = Phase { from: activates, what, touches };
        // The log's old key is not ended: heads that it signed are there for ever.
        if record.role == IssuerRole::Log { vec![stays] } else { vec![stays, end] }
    }
}

/// What is made, and who can see it.
fn made((record, crls): (&IssuerRecord, CrlForm), new: &GenerationName, now: Timestamp) -> Phase {
    let (with, touches) = match record.role {
        IssuerRole::X509 if record.above == Some(Above::Elsewhere) => (
            "; it waits for its certificate from elsewhere",
            vec![
                format!("`chancery ca request {new} --out {}.csr`: its request, for whoever is above", new.label()),
                format!("`chancery ca adopt {new} --chain FILE`: what was signed comes back"),
                format!("`chancery ca activate {new}`: it issues"),
                deltas(new, crls),
            ],
        ),
        IssuerRole::X509 => (
            ", its certificate",
            vec![
                format!("/aia/{new}.cer and its CRL are served"),
                deltas(new, crls),
                "nobody yet: nothing is issued under it".to_owned(),
            ],
        ),
        IssuerRole::SshUser => ("", vec!["/ssh/user_ca.pub has its line: hosts that fetch it trust both".to_owned()]),
        IssuerRole::SshHost => ("", vec!["/ssh/host_ca.pub has its line: clients that fetch it trust both".to_owned()]),
        IssuerRole::Seal => ("", vec!["nobody yet: nothing is sealed under it".to_owned()]),
        IssuerRole::Log => ("", vec!["/log/keys has its verifier key: auditors pin both".to_owned()]),
    };
    Phase { from: Some(now), what: format!("{new} is made: its key in the token{with}"), touches }
}

/// Whether it will have delta CRLs: certificates point to them, so that it cannot be said otherwise later.
fn deltas(new: &GenerationName, crls: CrlForm) -> String {
    match (crls.deltas, crls.shards) {
        (true, 1) => format!("/crl/{new}/0.delta.crl: it has delta CRLs, for ever"),
        (true, parts) => format!("/crl/{new}/0.delta.crl to {}.delta.crl: it has delta CRLs, for ever", parts - 1),
        (false, _) => "it has no delta CRLs, for ever".to_owned(),
    }
}

/// Whom it touches that another issues.
fn switched(office: &Office, hierarchy: &Hierarchy, record: &IssuerRecord, issuer: &str) -> Vec<String> {
    let profiles = office.gate.rules().profiles();
    let profiles = profiles.iter().filter(|profile| profile.issuer == issuer).map(|p| format!("profile {}", p.name()));
    let is_below = |other: &Issuer| other.record.above == Some(Above::Issuer(issuer.to_owned()));
    let below = hierarchy.issuers().filter(|(_, other)| is_below(other));
    let below = below.map(|(name, _)| format!("issuer {name}, with its next generation or renewal"));
    let mut touches: Vec<String> = profiles.chain(below).collect();
    touches.push(match record.role {
        IssuerRole::X509 if record.above == Some(Above::Itself) => {
            "who trusts the root: /roots.pem has both until the old one is retired".to_owned()
        }
        IssuerRole::X509 => {
            "clients see another intermediate; those who trust the root notice nothing, those who pinned the old one do"
                .to_owned()
        }
        IssuerRole::SshUser => "hosts: those that do not have the new line refuse new certificates".to_owned(),
        IssuerRole::SshHost => "clients: those that do not have the new line ask about new hosts".to_owned(),
        IssuerRole::Seal => {
            "whoever restores a backup: one that was made before needs the old key until that is destroyed, and nothing after".to_owned()
        }
        IssuerRole::Log => "auditors: those that pinned the old key alone refuse new heads".to_owned(),
    });
    touches
}

/// Whether it waits for its day, or for somebody's word.
fn is_waiting(generation: &GenerationRecord, now: Timestamp, new: u32) -> bool {
    let is_open = generation.revoked.is_none() && generation.retired.is_none() && !generation.elsewhere;
    is_open && generation.number != new && generation.activates.is_none_or(|at| at > now)
}

/// One that was made before and waits yet.
fn overtaken(name: &GenerationName, waiting: &GenerationRecord) -> Phase {
    let (what, meant) = match waiting.activates {
        Some(_) => {
            (format!("{name} issues, as was said before, in place of whichever issues then"), "before that day, ")
        }
        None => (format!("{name}, which was made before, waits on"), ""),
    };
    let way_out = format!("where that is not meant any more: {meant}`chancery ca retire {name}`, for good");
    Phase { from: waiting.activates, what, touches: vec![way_out] }
}

/// `1 certificate`, `2 certificates`.
fn many(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// How many certificates of a generation hold yet, and the end of the last: by the register's projections, at most as fresh as they.
pub(super) async fn held_by(office: &Office, name: &GenerationName) -> Result<(u64, Option<Timestamp>), CaError> {
    let now = office.ledger.cautious_time();
    let issuer = Some(name.to_string());
    let last = Filter {
        issuer: issuer.clone(),
        certificates: true,
        state: Some(State::Issued),
        order: Order::Latest,
        limit: 1,
        ..Filter::default()
    };
    let last = office.ledger.list(last).await?.items.into_iter().next().and_then(|c| c.validity).map(|v| v.not_after());
    if last.is_none_or(|last| last < now) {
        return Ok((0, last));
    }
    let all = office
        .ledger
        .count(Filter { issuer, certificates: true, state: Some(State::Issued), ..Filter::default() })
        .await?;
    Ok((all, last))
}
