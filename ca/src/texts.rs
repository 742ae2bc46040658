//! The texts of what decides: policies, profiles, and what the program itself makes. Each is recorded before the first leaf that
//! names its hash, so that an old hash can be read for ever.
//!
//! It happens when an authority is founded or opened, which is the only time that any of them can change. Where it fails the
//! authority does not open: rules that nobody can read decide nothing.

use policy::Actor;
use store::{ActorStamp, TextKind};

use crate::craft::{ca, code, crl};
use crate::error::CaError;
use crate::parts::Parts;

/// Records what is not recorded yet.
pub(crate) async fn record(parts: &Parts) -> Result<(), CaError> {
    let actor = ActorStamp::from(&Actor::system("authority"));
    parts.ledger.record_text(TextKind::Policy, parts.policies.text(), &actor).await?;
    let files = parts.profiles.iter().map(|profile| profile.text());
    let built_in = [crl::TEXT].into_iter().chain(ca::TEXTS).chain(code::TEXTS);
    for text in files.chain(built_in) {
        parts.ledger.record_text(TextKind::Profile, text, &actor).await?;
    }
    Ok(())
}
