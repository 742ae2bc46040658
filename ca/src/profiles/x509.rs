//! Profiles of X.509 certificates, as a file writes them.

use std::fmt;

use hsm::{Family, KeyKind};
use policy::{MAX_NAMES, Name, Timestamp};
use serde::{Deserialize, Serialize};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;

use crate::issuers::name::check_name;
use crate::issuers::{Pointers, check_place};
use crate::profiles::bounds::{Bounds, DAY_SECS, duration_secs};
use crate::profiles::extensions::{self, RawExtension};
use crate::profiles::kinds::NameKind;
use crate::profiles::profile::{Extensions, SubjectPolicy, X509Rules};
use crate::profiles::template::Template;
use crate::profiles::words::{CODE_SIGNING, Purpose, SERVER_AUTH, TIME_STAMPING, Usage};

/// The order of these fields is the order of the canonical form, in which each stands.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawX509 {
    pub(super) issuer: String,
    #[serde(default)]
    pub(super) fallback_issuer: Option<String>,
    default_validity: String,
    min_validity: String,
    max_validity: String,
    #[serde(default = "backdate")]
    backdate: String,
    #[serde(default)]
    ends: Option<Timestamp>,
    keys: Vec<String>,
    #[serde(default)]
    one_key_one_certificate: bool,
    key_usage: Vec<Usage>,
    extended_key_usage: Vec<String>,
    names: Vec<NameKind>,
    #[serde(default)]
    names_required: Vec<NameKind>,
    #[serde(default = "names_max")]
    names_max: usize,
    wildcards: bool,
    #[serde(default)]
    uri_schemes: Vec<String>,
    subject: RawSubject,
    #[serde(default)]
    organizations: Vec<String>,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    cps: Option<String>,
    #[serde(default)]
    must_staple: bool,
    #[serde(default = "Place::all")]
    pointers: Vec<Place>,
    #[serde(default)]
    crl_urls: Vec<String>,
    #[serde(default)]
    ocsp_urls: Vec<String>,
    #[serde(default)]
    issuer_urls: Vec<String>,
    #[serde(default)]
    chain: Option<String>,
    #[serde(default)]
    approvals: u8,
    #[serde(default)]
    extension: Vec<RawExtension>,
}

/// What a certificate may point to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Crl,
    Ocsp,
    Issuer,
}

impl Place {
    fn all() -> Vec<Place> {
        vec![Place::Crl, Place::Ocsp, Place::Issuer]
    }
}

/// A word, or a template.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum RawSubject {
    Word(Word),
    Parts(Vec<String>),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    FirstName,
    Given,
    Empty,
}

impl<'de> Deserialize<'de> for RawSubject {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<RawSubject, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = RawSubject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"first-name\", \"given\", \"empty\", or parts as in [\"O=Example\", \"CN={name}\"]")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawSubject, E> {
                Word::deserialize(serde::de::value::StrDeserializer::new(text)).map(RawSubject::Word)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<RawSubject, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(RawSubject::Parts(parts))
            }
        }
        reader.deserialize_any(Either)
    }
}

impl RawX509 {
    /// Lists sorted, each element once. A subject's parts have an order of their own.
    pub(super) fn canonical(mut self) -> RawX509 {
        sort(&mut self.keys);
        sort(&mut self.key_usage);
        sort(&mut self.names);
        sort(&mut self.names_required);
        sort(&mut self.uri_schemes);
        sort(&mut self.organizations);
        sort(&mut self.policies);
        sort(&mut self.pointers);
        sort(&mut self.extension);
        let mut purposes: Vec<Result<Purpose, String>> =
            self.extended_key_usage.iter().map(|text| Purpose::parse(text).map_err(|_| text.clone())).collect();
        sort(&mut purposes);
        self.extended_key_usage =
            purposes.into_iter().map(|purpose| purpose.map_or_else(|text| text, Purpose::word)).collect();
        self
    }

    pub(super) fn bounds(&self) -> Bounds<'_> {
        Bounds {
            default: &self.default_validity,
            min: &self.min_validity,
            max: &self.max_validity,
            keys: &self.keys,
            most: X509_MOST_SECS,
        }
    }

    pub(super) fn rules(self) -> Result<X509Rules, String> {
        if self.key_usage.is_empty() {
            return Err("key_usage: name at least one, as in key_usage = [\"digital-signature\"]".to_owned());
        }
        check_issuer("issuer", &self.issuer)?;
        if let Some(fallback) = &self.fallback_issuer {
            check_issuer("fallback_issuer", fallback)?;
            if *fallback == self.issuer {
                return Err("fallback_issuer: it is the issuer itself; name another one, or leave it out".to_owned());
            }
        }
        let purposes = self.purposes()?;
        let backdate_secs = duration_secs("backdate", &self.backdate)?;
        if backdate_secs > BACKDATE_SECS_MOST {
            return Err(format!("backdate: at most {}h", BACKDATE_SECS_MOST / 3_600));
        }
        let subject = self.subject()?;
        self.check_names(&subject)?;
        let more = self.more(&purposes)?;
        let pointers = self.pointers()?;
        if self.chain.as_ref().is_some_and(|root| root.is_empty() || root.len() > CHAIN_BYTES_MAX) {
            return Err("chain: the common name of the root that the chain is to end in, or its SHA-256".to_owned());
        }
        if self.approvals > APPROVALS_MAX {
            return Err(format!("approvals: at most {APPROVALS_MAX} other persons"));
        }
        let signing: &[Family] = &[Family::Edwards, Family::Lattice];
        let [rsa, curve, signing] =
            [(&[Family::Rsa][..], RSA_USAGES), (&[Family::Curve], CURVE_USAGES), (signing, SIGNING_USAGES)]
                .map(|(families, can)| self.uses(families, can, &purposes).map(|uses| [uses, more.clone()].concat()));
        Ok(X509Rules {
            extensions: Extensions { rsa: rsa?, curve: curve?, signing: signing? },
            fallback_issuer: self.fallback_issuer,
            backdate_secs,
            ends: self.ends,
            one_key_one_certificate: self.one_key_one_certificate,
            names: self.names,
            names_required: self.names_required,
            names_max: self.names_max,
            wildcards: self.wildcards,
            uri_schemes: self.uri_schemes,
            subject,
            organizations: self.organizations,
            must_staple: self.must_staple,
            pointers,
            chain: self.chain,
            approvals: self.approvals,
        })
    }

    fn purposes(&self) -> Result<Vec<Purpose>, String> {
        let read = |text: &String| Purpose::parse(text).map_err(|why| format!("extended_key_usage: {why}"));
        let purposes = self.extended_key_usage.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // Without an EKU a certificate is good for everything its CA is.
        if purposes.is_empty() {
            return Err(
                "extended_key_usage: name at least one, as in extended_key_usage = [\"server-auth\"]".to_owned()
            );
        }
        for alone in [TIME_STAMPING, CODE_SIGNING] {
            if purposes.contains(&alone) && purposes.len() > 1 {
                let word = alone.word();
                return Err(format!("extended_key_usage: \"{word}\" stands alone: make a profile of its own for it"));
            }
        }
        Ok(purposes)
    }

    /// Where its certificates point to.
    fn pointers(&self) -> Result<Pointers, String> {
        let of = |place: Place, word: &str, more: &[String]| {
            if more.len() > PLACES_MAX {
                return Err(format!("{word}_urls: at most {PLACES_MAX}"));
            }
            if let Some(why) = more.iter().find_map(|url| check_place(url).err()) {
                return Err(format!("{word}_urls: {why}"));
            }
            match (self.pointers.contains(&place), more.is_empty()) {
                (true, _) => Ok(Some(more.to_vec())),
                (false, true) => Ok(None),
                (false, false) => {
                    Err(format!("{word}_urls: they stand beside the issuer's own; add \"{word}\" to pointers"))
                }
            }
        };
        let pointers = Pointers {
            crl: of(Place::Crl, "crl", &self.crl_urls)?,
            ocsp: of(Place::Ocsp, "ocsp", &self.ocsp_urls)?,
            issuer: of(Place::Issuer, "issuer", &self.issuer_urls)?,
        };
        if self.must_staple && pointers.ocsp.is_none() {
            return Err("must_staple: pointers has no \"ocsp\" that a server could staple an answer of".to_owned());
        }
        // BR 4.9.1.1 and 7.1.2.11.2: a certificate that names neither is one whose revocation nobody finds.
        let silent = pointers.crl.is_none() && pointers.ocsp.is_none();
        if silent && duration_secs("max_validity", &self.max_validity)? > SILENT_SECS_MOST {
            return Err(format!(
                "pointers: without \"crl\" and \"ocsp\" nobody learns of a revocation: max_validity is at most {}d then",
                SILENT_SECS_MOST / DAY_SECS
            ));
        }
        Ok(pointers)
    }

    fn subject(&self) -> Result<SubjectPolicy, String> {
        let subject = match &self.subject {
            RawSubject::Word(Word::FirstName) => SubjectPolicy::FirstName,
            RawSubject::Word(Word::Given) => SubjectPolicy::Given,
            RawSubject::Word(Word::Empty) => SubjectPolicy::Empty,
            RawSubject::Parts(parts) => {
                SubjectPolicy::Template(Template::parse(parts).map_err(|why| format!("subject: {why}"))?)
            }
        };
        let takes = matches!(&subject, SubjectPolicy::Template(template) if template.takes_organizations());
        match (takes, self.organizations.is_empty()) {
            (true, true) => Err("organizations: name each that a request may bring for {o}".to_owned()),
            (false, false) => Err("organizations: subject has no {o} that would take one".to_owned()),
            (true, false) | (false, true) => Ok(subject),
        }
    }

    fn check_names(&self, subject: &SubjectPolicy) -> Result<(), String> {
        if self.names.is_empty() && matches!(subject, SubjectPolicy::FirstName | SubjectPolicy::Empty) {
            let why =
                "names: without any, subject = \"given\" or a template is needed, or the certificate names nobody";
            return Err(why.to_owned());
        }
        if !(1..=MAX_NAMES).contains(&self.names_max) {
            return Err(format!("names_max: 1 to {MAX_NAMES}"));
        }
        if let Some(kind) = self.names_required.iter().find(|kind| !self.names.contains(kind)) {
            return Err(format!("names_required: \"{}\" is none of names", kind.as_str()));
        }
        if self.wildcards && !self.names.contains(&NameKind::Dns) {
            return Err("wildcards: there is no \"dns\" in names".to_owned());
        }
        if !self.uri_schemes.is_empty() && !self.names.contains(&NameKind::Uri) {
            return Err("uri_schemes: there is no \"uri\" in names".to_owned());
        }
        for scheme in &self.uri_schemes {
            if Name::parse(&format!("uri:{scheme}://example.internal")).is_err() {
                return Err(format!("uri_schemes: `{scheme}` is no scheme; say \"spiffe\" or \"https\""));
            }
        }
        Ok(())
    }

    /// Those of certificates for keys of these families: of the usages the ones that such a key can have.
    fn uses(&self, families: &[Family], can: &[Usage], purposes: &[Purpose]) -> Result<Vec<Extension>, String> {
        let usages: Vec<Usage> = self.key_usage.iter().copied().filter(|usage| can.contains(usage)).collect();
        let mut kinds = self.keys.iter().filter_map(|key| key.parse::<KeyKind>().ok());
        if let Some(kind) = kinds.find(|kind| families.contains(&kind.family())) {
            if usages.is_empty() {
                return Err(format!("key_usage: nothing of it is for keys of kind {kind}; add \"digital-signature\""));
            }
            // RFC 5246 section 7.4.2: RSA key exchange wants keyEncipherment, and NSS asks for it whatever is negotiated.
            let serves = purposes.contains(&SERVER_AUTH);
            if serves && can.contains(&Usage::KeyEncipherment) && !usages.contains(&Usage::KeyEncipherment) {
                return Err(format!(
                    "key_usage: add \"key-encipherment\", without which some clients refuse servers with keys of kind {kind}; \
                     other kinds do not get it"
                ));
            }
        }
        // RFC 3161 section 2.3: "The corresponding certificate MUST contain only one instance of the extended key usage field
        // extension ... with KeyPurposeID having value: id-kp-timeStamping. This extension MUST be critical."
        let critical = purposes.contains(&TIME_STAMPING);
        extensions::uses(&usages, purposes, critical).map_err(|e| e.to_string())
    }

    /// What is the same for each kind of key.
    fn more(&self, purposes: &[Purpose]) -> Result<Vec<Extension>, String> {
        let mut more = Vec::new();
        let policy = |text: &String| {
            ObjectIdentifier::new(text).map_err(|_| format!("policies: `{text}` is no object identifier"))
        };
        let oids = self.policies.iter().map(policy).collect::<Result<Vec<_>, _>>()?;
        match (&self.cps, oids.is_empty()) {
            (Some(_), true) => return Err("cps: it stands beside policies, of which there is none".to_owned()),
            (Some(cps), false) if Name::parse(&format!("uri:{cps}")).is_err() => {
                return Err(format!("cps: `{cps}` is no address; write \"https://pki.example.internal/cps\""));
            }
            (_, true) => {}
            (_, false) if oids.len() > POLICIES_MAX => return Err(format!("policies: at most {POLICIES_MAX}")),
            (cps, false) => more.push(extensions::policies(&oids, cps.as_deref()).map_err(|e| e.to_string())?),
        }
        if self.must_staple {
            if !purposes.contains(&SERVER_AUTH) {
                return Err("must_staple: it is for servers; extended_key_usage has no \"server-auth\"".to_owned());
            }
            more.push(extensions::must_staple().map_err(|e| e.to_string())?);
        }
        if self.extension.len() > EXTENSIONS_MAX {
            return Err(format!("extension: at most {EXTENSIONS_MAX}"));
        }
        for written in &self.extension {
            let read = written.read()?;
            if more.iter().any(|there: &Extension| there.extn_id == read.extn_id) {
                return Err(format!("extension {}: it stands there twice", read.extn_id));
            }
            more.push(read);
        }
        Ok(more)
    }
}

/// That it is there, and for such certificates, is asked of the issuers in force when one is made.
fn check_issuer(key: &str, name: &str) -> Result<(), String> {
    check_name(name).map_err(|why| format!("{key}: {why}"))
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}

fn backdate() -> String {
    "1m".to_owned()
}

fn names_max() -> usize {
    MAX_NAMES
}

/// RFC 4055 section 1.2 and RFC 3279 section 2.3.1: an RSA key agrees on nothing.
const RSA_USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::ContentCommitment, Usage::KeyEncipherment];
/// RFC 8813 section 3: "If the keyUsage extension is present in a certificate that indicates id-ecPublicKey ... then the
/// following values MUST NOT be present: keyEncipherment; and dataEncipherment."
const CURVE_USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::ContentCommitment, Usage::KeyAgreement];
/// RFC 9295 section 3: none of "keyEncipherment; dataEncipherment; keyAgreement" for Ed25519; RFC 9881 section 5: the same for ML-DSA.
const SIGNING_USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::ContentCommitment];

/// Three years: longer than any public root program allows an end entity; the issuing CAs live five.
const X509_MOST_SECS: i64 = 3 * 365 * DAY_SECS;
/// For hosts whose clock is not kept; a lifetime is backdated by a twentieth of it at most.
const BACKDATE_SECS_MOST: i64 = 86_400;
/// More than any certificate needs.
const POLICIES_MAX: usize = 8;
const EXTENSIONS_MAX: usize = 16;
/// Places of one kind beside the issuer's own: each certificate carries them.
const PLACES_MAX: usize = 4;
/// Short-lived, as the Baseline Requirements have it: over before its revocation would be read.
const SILENT_SECS_MOST: i64 = 7 * DAY_SECS;
/// RFC 5280 appendix A: ub-common-name; a SHA-256 is as long.
const CHAIN_BYTES_MAX: usize = 64;
/// More than a house finds on one day.
const APPROVALS_MAX: u8 = 5;
