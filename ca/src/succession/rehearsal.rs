//! What a succession would touch: which profiles, issuers and holders in which phase, and the way back.

use hsm::KeyKind;
use policy::Timestamp;
use store::{Filter, Order, State};

use crate::craft::Office;
use crate::error::CaError;
use crate::issuers::GenerationName;
use crate::issuers::record::{Above, IssuerRole};
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
    let new = GenerationName::new(&wish.issuer, record.next_number());
    let old = record.active(now).map(|generation| GenerationName::new(&wish.issuer, generation.number));
    let key = wish.key.or_else(|| record.keys.first().and_then(|kind| kind.parse().ok()));
    let (live, last) = match &old {
        Some(old) => held_by(office, old).await?,
        None => (0, None),
    };
    let profiles = office.gate.rules().profiles();
    let profiles =
        profiles.iter().filter(|profile| profile.issuer == wish.issuer).map(|p| format!("profile {}", p.name()));
    let below = hierarchy.issuers().filter(|(_, other)| other.record.above == Some(Above::Issuer(wish.issuer.clone())));
    let below: Vec<String> =
        below.map(|(name, _)| format!("issuer {name}, with its next generation or renewal")).collect();
    let made = match record.role {
        IssuerRole::X509 => {
            vec![format!("/aia/{new}.cer and its CRL are served"), "nobody yet: nothing is issued under it".to_owned()]
        }
        IssuerRole::SshUser => vec!["/ssh/user_ca.pub has its line: hosts that fetch it trust both".to_owned()],
        IssuerRole::SshHost => vec!["/ssh/host_ca.pub has its line: clients that fetch it trust both".to_owned()],
        IssuerRole::Log => vec!["/log/keys has its verifier key: auditors pin both".to_owned()],
    };
    let mut switched: Vec<String> = profiles.chain(below).collect();
    switched.push(match record.role {
        IssuerRole::X509 if record.above == Some(Above::Itself) => {
            "who trusts the root: /roots.pem has both until the old one is retired".to_owned()
        }
        IssuerRole::X509 => {
            "clients see another intermediate; those who trust the root notice nothing, those who pinned the old one do"
                .to_owned()
        }
        IssuerRole::SshUser => "hosts: those that do not have the new line refuse new certificates".to_owned(),
        IssuerRole::SshHost => "clients: those that do not have the new line ask about new hosts".to_owned(),
        IssuerRole::Log => "auditors: those that pinned the old key alone refuse new heads".to_owned(),
    });
    let mut phases = vec![
        Phase { from: Some(now), what: format!("{new} is made: its key in the token, its certificate"), touches: made },
        Phase {
            from: activates,
            what: format!("{new} issues in place of {}", old.as_ref().map_or("none".to_owned(), ToString::to_string)),
            touches: switched,
        },
    ];
    if let Some(old) = &old {
        let until = last.map_or(String::new(), |last| format!(", the last until {last}"));
        phases.push(Phase {
            from: activates,
            what: format!("{old} tells of revocations until the last of what it issued has ended"),
            touches: vec![format!(
                "{live} certificates that hold{until}: each is succeeded under {new} at its renewal"
            )],
        });
        phases.push(Phase {
            from: last.max(activates),
            what: format!("`chancery ca retire {old}` ends it"),
            touches: vec!["nobody, once the last has ended".to_owned()],
        });
    }
    let way_back = match &old {
        Some(old) => format!(
            "until {old} is retired: `chancery ca activate {old}` has it issue again; what {new} issued stays valid"
        ),
        None => "nothing was issued before: there is nothing to go back to".to_owned(),
    };
    Ok(Rehearsal { new, old, key, phases, way_back })
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
