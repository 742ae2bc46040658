//! The texts of what decides: policies, profiles, and what the program itself makes. Each is recorded before the first leaf that
//! names its hash, so that an old hash can be read for ever.
//!
//! It happens when an authority is founded or opened, and before rules are exchanged. Where it fails the authority does not open, or
//! goes on by the rules before: rules that nobody can read decide nothing.

use policy::{Actor, Policies};
use store::{ActorStamp, Ledger, TextKind};

use crate::craft::{ca, code, crl, ocsp, request};
use crate::error::CaError;
use crate::parts::Parts;
use crate::profiles::Profiles;

/// Records what is not recorded yet.
pub(crate) async fn record(parts: &Parts) -> Result<(), CaError> {
    let actor = ActorStamp::from(&Actor::system("authority"));
    record_rules(&parts.ledger, &parts.policies, &parts.profiles, &actor).await?;
    let own = [crl::TEXT, request::TEXT, ocsp::RESPONDER_TEXT, ocsp::RESPONSE_TEXT];
    for text in own.into_iter().chain(ca::TEXTS).chain(code::TEXTS) {
        parts.ledger.record_text(TextKind::Profile, text, &actor).await?;
    }
    Ok(())
}

/// The same of what can be exchanged.
pub(crate) async fn record_rules(
    ledger: &Ledger,
    policies: &Policies,
    profiles: &Profiles,
    actor: &ActorStamp,
) -> Result<(), CaError> {
    ledger.record_text(TextKind::Policy, policies.text(), actor).await?;
    for profile in profiles.iter() {
        ledger.record_text(TextKind::Profile, profile.text(), actor).await?;
    }
    Ok(())
}
