//! CAs whose keys are in no token of ours, as this authority publishes them: an offline root's certificate and its CRLs.
//!
//! Trusted for: that a CRL which is served is signed by its CA and newer than the one before. Whoever controls it can publish an older
//! one of the same CA, and nothing that the CA did not sign.

use std::sync::Arc;

use policy::Actor;
use store::Record;

use crate::encode::{pem, sha256};
use crate::error::CaError;
use crate::intake::is_compromise;
use crate::issuers::hierarchy::Generation;
use crate::issuers::name::check_name;
use crate::issuers::record::{
    Above, CERTIFICATES_MAX, GENERATIONS_MAX, GenerationRecord, IssuerRecord, IssuerRole, KEPT_CRL, Place,
};
use crate::issuers::{BroughtCrl, CaCertificate, CrlForm, GenerationName};
use crate::succession::elsewhere::BROUGHT_MAX;
use crate::succession::keeper::Keeper;
use crate::succession::links::take_links;
use crate::succession::maker::stamp;

impl Keeper {
    /// Makes a CA whose key is elsewhere an issuer by name, so that its certificate and CRLs are served; a certificate for another key is
    /// its next generation, and certificates by which the two signed for each other come with it. The transcript of the ceremony that made
    /// it becomes a leaf with it.
    pub(crate) async fn bring_certificate(
        &self,
        actor: &Actor,
        issuer: &str,
        chain_pem: &[u8],
        (root, transcript): (Option<[u8; 32]>, Option<&[u8]>),
    ) -> Result<GenerationName, CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        check_name(issuer).map_err(|why| CaError::bad("name", why))?;
        let (chain, brought) = self.chain_of(chain_pem, root)?;
        let own = chain.first().ok_or_else(|| refused("there is no certificate in it"))?;
        let (key_hash, place) = (hex::encode(own.key_hash()), Place::Kept(hex::encode(sha256(&own.der))));
        let hierarchy = self.office.issuers.fresh().await?;
        let ours = hierarchy.generations().find(|g| g.record.key_hash.as_ref() == Some(&key_hash));
        if let Some(ours) = ours.filter(|g| !g.record.elsewhere || g.name.issuer() != issuer) {
            return Err(CaError::Conflict(format!("its key is that of {}", ours.name)));
        }
        let (mut record, expect) = match self.maker.there(issuer).await? {
            Some((there, _)) if !there.generations.iter().all(|generation| generation.elsewhere) => {
                return Err(CaError::Conflict(format!("there is an issuer `{issuer}` whose key is here")));
            }
            Some(there) => there,
            None => {
                let above = Some(if own.is_root() { Above::Itself } else { Above::Elsewhere });
                let (role, generations) = (IssuerRole::X509, Vec::new());
                let record = IssuerRecord {
                    role,
                    keys: Vec::new(),
                    above,
                    plan: None,
                    leaves: false,
                    crl_secs: None,
                    generations,
                };
                (record, 0)
            }
        };
        let before = record.clone();
        let has_room = record.generations.len() < GENERATIONS_MAX;
        let next = GenerationName::new(issuer, record.next_number());
        let number = match record.generations.iter_mut().find(|g| g.key_hash.as_ref() == Some(&key_hash)) {
            Some(there) if there.certificates.contains(&place) => there.number,
            Some(there) if there.certificates.len() < CERTIFICATES_MAX => {
                there.certificates.push(place);
                there.number
            }
            None if has_room => {
                let begun = GenerationRecord::begun(&next, Some(self.office.ledger.cautious_time()), CrlForm::WHOLE);
                let (key_hash, certificates) = (Some(key_hash), vec![place]);
                record.generations.push(GenerationRecord { key_hash, certificates, elsewhere: true, ..begun });
                next.number()
            }
            Some(_) | None => return Err(CaError::Conflict(format!("issuer `{issuer}` has no room for another"))),
        };
        let name = GenerationName::new(issuer, number);
        let ours = hierarchy.generations().filter(|there| there.name.issuer() == issuer);
        let own: Vec<_> = ours.flat_map(|there| &there.certificates).chain([own]).cloned().collect();
        let links = take_links(&mut record, &own, &brought);
        let mut with = self.kept(&[chain.clone(), links].concat(), actor)?;
        let made = chain.first().zip(transcript);
        with.extend(made.map(|(own, bytes)| self.transcript_of(actor, own, bytes)).transpose()?.flatten());
        // The same again changes nothing.
        if before != record || !with.is_empty() {
            self.maker.write(issuer, (&record, expect), with, &stamp(actor)).await?;
            self.settle().await;
        }
        Ok(name)
    }

    /// Takes in the next CRL of such a CA. What of ours it lists is revoked from now on.
    pub(crate) async fn bring_crl(&self, actor: &Actor, crl: &[u8]) -> Result<(GenerationName, u64), CaError> {
        self.may(actor).await?;
        let _changing = self.changing.lock().await;
        let bad = |why: String| CaError::bad("crl", why);
        if crl.len() > CRL_BYTES_MAX {
            return Err(bad(format!("it has more than {CRL_BYTES_MAX} bytes, and is none that lists CAs")));
        }
        let der = match crl.first() {
            Some(0x30) => crl.to_vec(),
            _ => pem::decode(crl, &["X509 CRL"]).map_err(bad)?,
        };
        let crl = BroughtCrl::read(der).map_err(bad)?;
        let hierarchy = self.office.issuers.fresh().await?;
        let signed =
            |g: &&Generation| g.record.elsewhere && g.certificates.iter().any(|certificate| crl.is_of(certificate));
        let of = hierarchy.generations().find(signed).ok_or_else(|| {
            bad("no CA that was brought here signed it: `chancery ca import NAME --certificate-only` brings one"
                .to_owned())
        })?;
        let now = self.office.ledger.cautious_time();
        if crl.next_update <= now || crl.this_update > now.plus_secs(SKEW_SECS) {
            return Err(bad(format!("it holds from {} to {}, and it is {now}", crl.this_update, crl.next_update)));
        }
        if let Some(before) = &of.crl {
            if before.sha256 == crl.sha256 {
                return Ok((of.name.clone(), crl.number));
            }
            if crl.number <= before.number || crl.this_update < before.this_update {
                return Err(CaError::Conflict(format!(
                    "it is number {} of {}, and the one that is served is number {} of {}: a CRL never goes back",
                    crl.number, crl.this_update, before.number, before.this_update
                )));
            }
        }
        self.revoke_listed(actor, &crl).await?;
        let (record, expect) = self.maker.record(of.name.issuer()).await?;
        let id = of.name.to_string();
        let kept = Record {
            kind: KEPT_CRL,
            expect: Some(self.maker.ledger.record_version(KEPT_CRL, &id)),
            id,
            owner: None,
            lookup: None,
            expires: None,
            body: crl.record(),
            actor: stamp(actor),
        };
        self.maker.write(of.name.issuer(), (&record, expect), vec![kept], &stamp(actor)).await?;
        self.settle().await;
        Ok((of.name.clone(), crl.number))
    }

    /// Our generations whose certificate it lists sign nothing from now on.
    async fn revoke_listed(&self, actor: &Actor, crl: &BroughtCrl) -> Result<(), CaError> {
        let hierarchy = self.office.issuers.fresh().await?;
        for generation in hierarchy.generations() {
            let Some(reason) = listed(generation, crl) else { continue };
            let name = &generation.name;
            let (mut record, expect) = self.maker.record(name.issuer()).await?;
            let Some(generation) = record.generation_mut(name.number()) else { continue };
            // A CRL that says less than an operator did takes nothing back.
            if !generation.is_news(reason).unwrap_or(false) {
                continue;
            }
            let with = self.ended(name, generation, reason, &stamp(actor));
            self.maker.write(name.issuer(), (&record, expect), with, &stamp(actor)).await?;
            tracing::error!(generation = %name, reason, "the CA above revoked a CA: nothing is issued under it any more");
        }
        Ok(())
    }

    /// A certificate and those above it up to a root, the first the one that is meant; and all that were brought.
    fn chain_of(&self, chain_pem: &[u8], root: Option<[u8; 32]>) -> Result<(Certificates, Certificates), CaError> {
        let brought = pem::all(chain_pem, "CERTIFICATE", BROUGHT_MAX).map_err(|why| refused(&why))?;
        let read = |der: Vec<u8>| {
            CaCertificate::read(None, der).map(Arc::new).map_err(|why| refused(&format!("one of them {why}")))
        };
        let brought = brought.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let own = brought.first().ok_or_else(|| refused("there is no certificate in it"))?;
        Ok((self.way_up(own, &brought, root)?, brought))
    }
}

type Certificates = Vec<Arc<CaCertificate>>;

/// Why a generation ends by a CRL from above: the certificate that it issues under is listed, or its key is said to be in other hands by
/// the listing of any certificate for it.
fn listed(generation: &Generation, crl: &BroughtCrl) -> Option<u8> {
    let all = generation.certificates.iter().chain(&generation.cross);
    let lost = all.filter_map(|certificate| crl.lists(certificate)).find(|reason| is_compromise(*reason));
    lost.or_else(|| generation.certificate().and_then(|certificate| crl.lists(certificate)))
}

fn refused(why: &str) -> CaError {
    CaError::bad("certificate", why)
}

/// It is kept in a record, and lists CAs: some hundreds.
const CRL_BYTES_MAX: usize = 45_000;
/// Clocks of two machines differ.
const SKEW_SECS: i64 = 300;
