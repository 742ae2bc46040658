//! A CA that signs: its key in the token, its certificate's facts, and what it puts into everything it issues.
//!
//! Built from the certificate's own bytes when issuers are read, so that no issuance parses or encodes them again.

use std::borrow::Cow;

use bytes::Bytes;
use const_oid::db::rfc5280;
use hsm::Key;
use policy::Validity;
use spki::ObjectIdentifier;
use store::{SHARDS_MAX, Shard};
use x509_cert::ext::Extension;

use crate::encode::{Dn, pem, sha256};
use crate::error::CaError;
use crate::issuers::certificate::CaCertificate;
use crate::issuers::chains::Chain;
use crate::issuers::name::GenerationName;
use crate::issuers::pointers::{self, Places, Pointers};
use crate::issuers::scope::CrlForm;
use crate::issuers::standing::Standing;
use crate::issuers::urls::Urls;

/// A CA with everything an issuance needs from it.
pub(crate) struct Issuing {
    pub(crate) standing: Standing,
    /// Its name, as the register and certificates have it: `tls/1`.
    pub(crate) label: String,
    pub(crate) key: Key,
    pub(crate) certificate_der: Bytes,
    /// The subject as it stands in the certificate.
    pub(crate) subject: Dn,
    pub(crate) key_identifier: Vec<u8>,
    pub(crate) validity: Validity,
    /// How many CAs may follow below; `None` is no limit.
    pub(crate) path_len: Option<u32>,
    /// Its extended key usages; `None` is for anything.
    pub(crate) purposes: Option<Vec<ObjectIdentifier>>,
    /// Whether it signs certificates of end entities.
    pub(crate) leaves: bool,
    /// How long its CRLs hold.
    pub(crate) crl_secs: i64,
    /// The numbers of its CRLs are above this one: that of the newest that was made elsewhere.
    pub(crate) crl_above: u64,
    /// How its revocations are told.
    pub(crate) form: CrlForm,
    /// authorityKeyIdentifier, cRLDistributionPoints, freshestCRL, authorityInfoAccess of what it issues, for each part.
    pub(crate) pointers: Vec<Vec<Extension>>,
    /// Where its CRLs are: `{base}/0.crl` ...
    crls: String,
    /// Where its responder and its certificate are.
    ocsp: String,
    aia: String,
    /// The ways up to a root, this CA first; the first is the one that is handed out.
    pub(crate) chains: Vec<Chain>,
    /// This CA and those between it and the root, PEM; empty for a root.
    pub(crate) chain_pem: String,
}

impl Issuing {
    /// From a CA certificate and the key it speaks for. `chains` are the ways up from it.
    pub(crate) fn new(
        standing: Standing,
        key: Key,
        certificate: &CaCertificate,
        (chains, leaves, crl_secs): (Vec<Chain>, bool, Option<i64>),
        (form, crl_above): (CrlForm, u64),
        urls: &Urls,
    ) -> Result<Issuing, CaError> {
        let label = standing.name.to_string();
        let broken = |why: String| CaError::Internal(format!("the certificate of CA `{label}` {why}"));
        if certificate.spki != key.spki_der() {
            return Err(broken(format!("is not for the key `{}` of the token", key.label())));
        }
        let shards = form.shards;
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(broken(format!("would be of an issuer with {shards} shards")));
        }
        let base = urls.http_base.trim_end_matches('/');
        let crls = format!("{base}/crl/{}", standing.name);
        let aia = format!("{base}/aia/{}.cer", standing.name);
        let ocsp = format!("{base}/ocsp/{}", standing.name);
        let of_shard = |shard| {
            let (name, crl, delta) = (&standing.name, crl_url(&crls, shard), delta_url(&crls, form, shard));
            let places = Places { name, shard, crl: &crl, delta: delta.as_deref(), ocsp: &ocsp, issuer: &aia };
            pointers::encode(&certificate.key_identifier, &places, &Pointers::default())
        };
        let pointers = (0..shards).map(of_shard).collect::<Result<_, _>>().map_err(|e| broken(e.to_string()))?;
        let chain_pem = chains.first().map_or_else(|| pem::encode("CERTIFICATE", &certificate.der), chain_pem);
        Ok(Issuing {
            label,
            key,
            subject: certificate.subject.clone(),
            key_identifier: certificate.key_identifier.clone(),
            validity: certificate.validity,
            path_len: certificate.path_len,
            purposes: certificate.purposes.clone(),
            leaves,
            crl_secs: crl_secs.unwrap_or(CRL_SECS),
            crl_above,
            form,
            pointers,
            crls,
            ocsp,
            aia,
            chain_pem,
            chains,
            certificate_der: certificate.der.clone(),
            standing,
        })
    }

    /// Whether it would be made the same of these.
    pub(crate) fn is_of(
        &self,
        standing: &Standing,
        key: &Key,
        certificate: &CaCertificate,
        (chains, leaves, crl_secs): &(Vec<Chain>, bool, Option<i64>),
        (form, crl_above): (CrlForm, u64),
    ) -> bool {
        self.standing == *standing
            && self.key == *key
            && self.certificate_der == certificate.der
            && (self.leaves, self.crl_secs) == (*leaves, crl_secs.unwrap_or(CRL_SECS))
            && (self.form, self.crl_above) == (form, crl_above)
            && self.chains.len() == chains.len()
            && self.chains.iter().zip(chains).all(|(one, other)| {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.hash == other.hash)
            })
    }

    /// Whether what it issues is judged long after its end: what signed code, or a time.
    pub(crate) fn is_outlived(&self) -> bool {
        let lasting = [rfc5280::ID_KP_CODE_SIGNING, rfc5280::ID_KP_TIME_STAMPING];
        self.purposes.as_ref().is_some_and(|purposes| purposes.iter().any(|purpose| lasting.contains(purpose)))
    }

    /// What a certificate with this serial points to: this CA, and the CRL that would tell of it.
    pub(crate) fn pointers(&self, serial: &[u8]) -> &[Extension] {
        let index = self.shard(serial).map_or(0, Shard::index);
        self.pointers.get(usize::from(index)).map_or(&[], Vec::as_slice)
    }

    /// The same as a profile has it.
    pub(crate) fn pointers_as(&self, serial: &[u8], wanted: &Pointers) -> Result<Cow<'_, [Extension]>, der::Error> {
        if *wanted == Pointers::default() {
            return Ok(Cow::Borrowed(self.pointers(serial)));
        }
        let shard = self.shard(serial).map_or(0, Shard::index);
        let (crl, delta) = (crl_url(&self.crls, shard), delta_url(&self.crls, self.form, shard));
        let (name, delta, ocsp, issuer) = (self.name(), delta.as_deref(), self.ocsp.as_str(), self.aia.as_str());
        let places = Places { name, shard, crl: &crl, delta, ocsp, issuer };
        pointers::encode(&self.key_identifier, &places, wanted).map(Cow::Owned)
    }

    /// Its ways up, those first that end in the root that is preferred: by its common name, or its SHA-256.
    pub(crate) fn chains_by(&self, preferred: Option<&str>) -> Vec<&Chain> {
        let mut chains: Vec<&Chain> = self.chains.iter().collect();
        chains.sort_by_key(|chain| !preferred.is_some_and(|wanted| ends_in(chain, wanted)));
        chains
    }

    /// The part of its revocations that has a serial; none where there is one part alone.
    pub(crate) fn shard(&self, serial: &[u8]) -> Option<Shard> {
        Shard::of_serial(serial, self.form.shards)
    }

    /// Where the CRL of a part is, as certificates say it.
    pub(crate) fn crl_url(&self, shard: Shard) -> String {
        crl_url(&self.crls, shard.index())
    }

    /// Where its CRLs are, one for each part of its revocations.
    pub(crate) fn crl_urls(&self) -> Vec<String> {
        (0..self.form.shards).map(|index| crl_url(&self.crls, index)).collect()
    }

    /// Where the deltas of a part's CRLs are, as certificates and these CRLs say it; none where there are none.
    pub(crate) fn delta_url(&self, shard: Option<Shard>) -> Option<String> {
        let has = self.form.has_deltas_of(shard);
        has.then(|| delta_url(&self.crls, self.form, shard.map_or(0, Shard::index))).flatten()
    }

    /// Where its delta CRLs are, one for each part.
    pub(crate) fn delta_urls(&self) -> Vec<String> {
        (0..self.form.shards).filter_map(|index| delta_url(&self.crls, self.form, index)).collect()
    }

    /// The series of its CRLs: everything, each part where there are several, and the deltas; what these rest on before them.
    pub(crate) fn series(&self) -> Vec<String> {
        self.form.scopes().map(|scope| scope.series(&self.label)).collect()
    }

    /// Its generation.
    pub(crate) fn name(&self) -> &GenerationName {
        &self.standing.name
    }
}

/// All of a chain but the root, PEM.
pub(crate) fn chain_pem(chain: &Chain) -> String {
    let below = chain.len().saturating_sub(1);
    chain.iter().take(below).map(|certificate| pem::encode("CERTIFICATE", &certificate.der)).collect()
}

/// How long a CRL holds where nobody said. A week bridges a long weekend without a token.
const CRL_SECS: i64 = 7 * 86_400;

fn crl_url(base: &str, index: u16) -> String {
    format!("{base}/{index}.crl")
}

fn delta_url(base: &str, form: CrlForm, index: u16) -> Option<String> {
    form.deltas.then(|| format!("{base}/{index}.delta.crl"))
}

/// Whether a chain's root is the one that goes by this name.
fn ends_in(chain: &Chain, wanted: &str) -> bool {
    chain.last().is_some_and(|root| {
        let names = root.subject.texts_of("CN").unwrap_or_default();
        names.iter().any(|name| name == wanted) || hex::encode(sha256(&root.der)) == wanted
    })
}
