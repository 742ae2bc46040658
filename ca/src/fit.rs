//! Whether profiles are fit to be in force: for each there is an issuer now that may sign what it says.
//!
//! Each request asks the same of its own issuer when it is drafted (`craft::leaf`), and is refused by it. Here it is asked of profiles
//! before anybody asks for a certificate, in memory: when they come into force, and as long as they are.

use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;

use crate::craft::Office;
use crate::craft::leaf;
use crate::error::CaError;
use crate::issuers::{IssuerRole, Issuing, Signer};
use crate::lint::within::{is_all, is_within};
use crate::profiles::{NameKind, Profile, Profiles, Rules, X509Rules};
use crate::view;

/// A profile under which nothing can be issued now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Its name.
    pub profile: String,
    /// Why, and what to do.
    pub why: String,
    /// Its issuer signs nothing for anybody, and is an alarm of its own.
    pub is_told: bool,
}

/// Why an issuer is none for a profile; whether it is an alarm of its own.
type Why = (String, bool);

/// Those of these profiles that are.
pub(crate) fn unfit(office: &Office, profiles: &Profiles) -> Vec<Unfit> {
    profiles.iter().filter_map(|profile| of(office, profile)).collect()
}

/// The same of one profile.
pub(crate) fn of(office: &Office, profile: &Profile) -> Option<Unfit> {
    let (why, is_told) = against(office, profile, profile.issuer())?;
    let (why, is_told) = match profile.fallback_issuer().map(|second| (second, against(office, profile, second))) {
        None => (why, is_told),
        Some((_, None)) => return None,
        Some((second, Some((other, told)))) => {
            (format!("{why}; its fallback issuer `{second}` neither: {other}"), is_told && told)
        }
    };
    let name = profile.name();
    Some(Unfit { profile: name.to_owned(), why: format!("profile `{name}` can issue nothing: {why}"), is_told })
}

fn against(office: &Office, profile: &Profile, issuer: &str) -> Option<Why> {
    let (there, now) = (office.issuers.read(), office.ledger.cautious_time());
    let other = "name another issuer in its file and have it read again (SIGHUP)";
    let found = match there.issuer(issuer) {
        Ok(found) => found,
        Err(CaError::Altered(why)) => return Some((view::put_right(&why), true)),
        Err(_) => {
            let says = format!(
                "there is no issuer `{issuer}` (`chancery ca list` has them); {other}, or make that one: `chancery ca create {issuer}`"
            );
            return Some((says, false));
        }
    };
    let (role, needed) = (found.record.role, role(profile));
    if role != needed {
        return Some((
            format!("issuer `{issuer}` is for {}, not for {}; {other}", role.as_str(), needed.as_str()),
            false,
        ));
    }
    let Ok(active) = there.active(issuer, now) else {
        return Some((
            format!("no generation of issuer `{issuer}` issues yet; `chancery ca show {issuer}` says from when"),
            false,
        ));
    };
    if let Some((_, why)) = view::why_stopped(office, issuer, found, active) {
        return Some((why, !active.record.elsewhere));
    }
    let Signer::X509(issuing) = &active.signer else { return None };
    let Rules::X509(rules) = &profile.rules else { return None };
    let why = match leaf::fits(profile, issuing) {
        Err(refused) => Some(refused.detail),
        Ok(()) => too_short(office, profile, issuing).or_else(|| barred(rules, issuing)),
    };
    why.map(|why| (if why.contains("another issuer") { why } else { format!("{why}; {other}") }, false))
}

fn role(profile: &Profile) -> IssuerRole {
    match &profile.rules {
        Rules::X509(_) => IssuerRole::X509,
        Rules::SshUser(_) => IssuerRole::SshUser,
        Rules::SshHost(_) => IssuerRole::SshHost,
    }
}

/// That the CA ends before the shortest certificate would.
fn too_short(office: &Office, profile: &Profile, issuing: &Issuing) -> Option<String> {
    let (needed, name) = (profile.min_validity_secs, issuing.name());
    let why = office.checks.clock.outside_for(issuing, needed)?;
    Some(format!("{why}; `chancery ca renew {name}` gives it a longer life"))
}

/// That no CA of its chain lets any name pass that the profile allows, or that no chain leads up from it.
fn barred(rules: &X509Rules, issuing: &Issuing) -> Option<String> {
    let ca = &issuing.label;
    let Some(chain) = issuing.chains.first() else {
        return Some(format!("no chain leads from CA `{ca}` to a root, by path length, names and signatures"));
    };
    let constraints: Vec<&NameConstraints> = chain.iter().filter_map(|above| above.constraints.as_ref()).collect();
    let is_barred = |kind: &&NameKind| bars(&constraints, **kind);
    let needs_names = !rules.subject.names_somebody();
    let shut = match rules.names_required.iter().find(is_barred) {
        Some(kind) => Some(kind.as_str().to_owned()),
        None if needs_names && rules.names.iter().all(|kind| is_barred(&kind)) => {
            Some(rules.names.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "))
        }
        None => None,
    };
    shut.map(|kinds| {
        format!(
            "the name constraints of CA `{ca}`, or of those above it, allow no name of the kinds it takes ({kinds})"
        )
    })
}

/// Whether a chain with these constraints allows no name of a kind at all: what one of them permits another does not, or excludes.
fn bars(constraints: &[&NameConstraints], kind: NameKind) -> bool {
    let of_kind = |tree: &&GeneralSubtree| is_of(kind, &tree.base);
    let permitted: Vec<Vec<&GeneralSubtree>> = constraints
        .iter()
        .map(|own| own.permitted_subtrees.iter().flatten().filter(of_kind).collect::<Vec<_>>())
        .filter(|own| !own.is_empty())
        .collect();
    let excluded: Vec<&GeneralSubtree> =
        constraints.iter().flat_map(|own| own.excluded_subtrees.iter().flatten()).filter(of_kind).collect();
    // Whatever is in all of them is in the narrowest of one branch: each base is tried as that.
    let may_be = |base: &GeneralName| {
        permitted.iter().all(|own| own.iter().any(|tree| is_within(&tree.base, base)))
            && !excluded.iter().any(|tree| is_within(&tree.base, base))
    };
    match permitted.is_empty() {
        true => is_all(&excluded.iter().map(|tree| &tree.base).collect::<Vec<_>>()),
        false => !permitted.iter().flatten().any(|tree| may_be(&tree.base)),
    }
}

fn is_of(kind: NameKind, base: &GeneralName) -> bool {
    match kind {
        NameKind::Dns => matches!(base, GeneralName::DnsName(_)),
        NameKind::Ip => matches!(base, GeneralName::IpAddress(_)),
        NameKind::Email => matches!(base, GeneralName::Rfc822Name(_)),
        NameKind::Uri => matches!(base, GeneralName::UniformResourceIdentifier(_)),
        NameKind::Upn => matches!(base, GeneralName::OtherName(_)),
    }
}
