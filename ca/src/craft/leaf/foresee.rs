//! Whether a certificate that may be asked for later could be made: what can be said before there is a key.

use policy::{Action, Actor, Resource};
use store::ActorStamp;

use crate::craft::leaf::certify::{Certifier, is_approved};
use crate::craft::leaf::draft::{allowed_names, fits, lifetime};
use crate::craft::leaf::request::Prospect;
use crate::error::{CaError, DraftError};
use crate::profiles::Rules;

impl Certifier {
    /// Refuses, in the words that issuance would use, what this profile, this policy or this moment does not allow.
    pub(crate) async fn foresee(&self, actor: &Actor, prospect: Prospect) -> Result<(), CaError> {
        let Prospect { profile, owner, names, lifetime: wanted } = prospect;
        let profile = self.office.profile(&profile)?;
        let Rules::X509(rules) = &profile.rules else {
            return Err(DraftError::new("profile", format!("{} makes no X.509 certificates", profile.name)).into());
        };
        is_approved(&profile, &[])?;
        allowed_names(&names, &profile, rules)?;
        let issuer = self.issuer_of(&profile).await?;
        fits(&profile, &issuer)?;
        let asks = ActorStamp::from(actor);
        let now = self.office.checks.clock.now_for(&asks, &issuer, profile.min_validity_secs).await?;
        lifetime(&profile, now, wanted, issuer.validity)?;
        let proven = names.iter().cloned().collect();
        let resource = Resource::certificate(Some(owner), profile.name(), names).with_proven(proven);
        self.office.gate.authorize(actor, Action::IssueCertificate, resource).await.map(drop)
    }
}
