//! Profiles: what a kind of credential may be, as an immutable value with a hash.
//!
//! A profile bounds; it never grants. Who may ask for it is policy's matter. Its hash stands in every leaf that it
//! shaped, so that a profile changed in secret (TURKTRUST, 2011) or in mid-issuance (Let's Encrypt, 2023) shows. No profile
//! can make a CA: there is no word for it.

use const_oid::db::rfc5280;
use der::Decode;
use hsm::{Family, KeyKind};
use policy::{Name, Timestamp};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::issuers::Pointers;
use crate::profiles::kinds::NameKind;
use crate::profiles::template::Template;

/// One profile, checked and immutable.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) hash: [u8; 32],
    pub(crate) issuer: String,
    pub(crate) default_validity_secs: i64,
    pub(crate) min_validity_secs: i64,
    pub(crate) max_validity_secs: i64,
    pub(crate) keys: Vec<KeyKind>,
    pub(crate) rules: Rules,
}

/// What holds for one kind of profile only.
#[derive(Clone, Debug)]
pub(crate) enum Rules {
    X509(Box<X509Rules>),
    SshUser(SshRules),
    SshHost(SshRules),
}

/// Bounds of an X.509 end-entity certificate.
#[derive(Clone, Debug)]
pub(crate) struct X509Rules {
    pub(crate) extensions: Extensions,
    /// Who issues while the issuer does not.
    pub(crate) fallback_issuer: Option<String>,
    /// How far in the past a certificate begins at most.
    pub(crate) backdate_secs: i64,
    /// When all certificates under it end at the latest.
    pub(crate) ends: Option<Timestamp>,
    /// Whether a key is certified once and never again.
    pub(crate) one_key_one_certificate: bool,
    pub(crate) names: Vec<NameKind>,
    pub(crate) names_required: Vec<NameKind>,
    pub(crate) names_max: usize,
    pub(crate) wildcards: bool,
    /// Schemes a URI may have; empty: each.
    pub(crate) uri_schemes: Vec<String>,
    pub(crate) subject: SubjectPolicy,
    /// The organizations that a request may bring.
    pub(crate) organizations: Vec<String>,
    pub(crate) must_staple: bool,
    /// Where its certificates point to.
    pub(crate) pointers: Pointers,
    /// The root that the chain is to end in that is handed out.
    pub(crate) chain: Option<String>,
    /// So many others say yes before one is signed.
    pub(crate) approvals: u8,
}

/// All that a profile says of a certificate but its names and pointers, encoded once for each family of keys: which usages are a
/// key's to have depends on what it can do.
#[derive(Clone, Debug)]
pub(crate) struct Extensions {
    pub(crate) rsa: Vec<Extension>,
    pub(crate) curve: Vec<Extension>,
    /// Of keys that sign and do nothing else: Ed25519, ML-DSA.
    pub(crate) signing: Vec<Extension>,
}

impl Extensions {
    /// Those of a certificate for a key of this kind.
    pub(crate) fn for_key(&self, kind: KeyKind) -> &[Extension] {
        match kind.family() {
            Family::Rsa => &self.rsa,
            Family::Curve => &self.curve,
            Family::Edwards | Family::Lattice => &self.signing,
        }
    }
}

/// What an SSH certificate carries.
#[derive(Clone, Debug)]
pub(crate) struct SshRules {
    /// Sorted, as OpenSSH wants them.
    pub(crate) extensions: Vec<String>,
    /// Sorted by name.
    pub(crate) critical_options: Vec<(String, String)>,
}

/// Where a subject comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubjectPolicy {
    /// The common name is the first DNS name that fits.
    FirstName,
    /// The common name is given with the request.
    Given,
    /// Empty: the SAN says it all.
    Empty,
    /// Put together of what stands in the profile and what a request brings.
    Template(Template),
}

impl SubjectPolicy {
    /// Whether a certificate without a name names somebody.
    pub(crate) fn names_somebody(&self) -> bool {
        match self {
            SubjectPolicy::Given | SubjectPolicy::Template(_) => true,
            SubjectPolicy::FirstName | SubjectPolicy::Empty => false,
        }
    }
}

/// What a profile makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileKind {
    /// X.509 end-entity certificates.
    X509,
    /// SSH user certificates.
    SshUser,
    /// SSH host certificates.
    SshHost,
}

impl Profile {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its certificates are for signing code: each is a signing identity.
    pub(crate) fn signs_code(&self) -> bool {
        self.purposes().contains(&rfc5280::ID_KP_CODE_SIGNING)
    }

    /// How far in the past a certificate begins at most.
    pub(crate) fn backdate_secs(&self) -> i64 {
        match &self.rules {
            Rules::X509(rules) => rules.backdate_secs,
            Rules::SshUser(_) | Rules::SshHost(_) => 0,
        }
    }

    /// When all certificates under it end at the latest.
    pub(crate) fn ends(&self) -> Option<Timestamp> {
        match &self.rules {
            Rules::X509(rules) => rules.ends,
            Rules::SshUser(_) | Rules::SshHost(_) => None,
        }
    }

    /// Whether each certificate takes a key that was never certified before.
    pub(crate) fn wants_new_keys(&self) -> bool {
        matches!(&self.rules, Rules::X509(rules) if rules.one_key_one_certificate)
    }

    /// The extended key usages of its certificates.
    pub(crate) fn purposes(&self) -> Vec<ObjectIdentifier> {
        let Rules::X509(rules) = &self.rules else { return Vec::new() };
        let all = [&rules.extensions.rsa, &rules.extensions.curve, &rules.extensions.signing];
        let of_purpose = all.into_iter().flatten().filter(|e| e.extn_id == rfc5280::ID_CE_EXT_KEY_USAGE);
        of_purpose
            .filter_map(|e| ExtendedKeyUsage::from_der(e.extn_value.as_bytes()).ok())
            .flat_map(|eku| eku.0)
            .collect()
    }

    /// What it makes.
    pub fn kind(&self) -> ProfileKind {
        match &self.rules {
            Rules::X509(_) => ProfileKind::X509,
            Rules::SshUser(_) => ProfileKind::SshUser,
            Rules::SshHost(_) => ProfileKind::SshHost,
        }
    }

    /// Its canonical form, JSON without spaces: comments, spacing and order are not in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of its canonical form.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The label of the CA that signs under it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The CA that signs under it while that one does not.
    pub fn fallback_issuer(&self) -> Option<&str> {
        match &self.rules {
            Rules::X509(rules) => rules.fallback_issuer.as_deref(),
            Rules::SshUser(_) | Rules::SshHost(_) => None,
        }
    }

    /// The root that the chain is to end in that is handed out with its certificates, where there is such a chain: its common name, or
    /// its SHA-256.
    pub fn chain(&self) -> Option<&str> {
        match &self.rules {
            Rules::X509(rules) => rules.chain.as_deref(),
            Rules::SshUser(_) | Rules::SshHost(_) => None,
        }
    }

    /// How many others say yes before a certificate under it is signed.
    pub fn approvals(&self) -> u8 {
        match &self.rules {
            Rules::X509(rules) => rules.approvals,
            Rules::SshUser(_) | Rules::SshHost(_) => 0,
        }
    }

    /// Lifetime when the request names none.
    pub fn default_validity_secs(&self) -> u64 {
        self.default_validity_secs.unsigned_abs()
    }

    /// The shortest lifetime.
    pub fn min_validity_secs(&self) -> u64 {
        self.min_validity_secs.unsigned_abs()
    }

    /// The longest lifetime.
    pub fn max_validity_secs(&self) -> u64 {
        self.max_validity_secs.unsigned_abs()
    }

    /// Whether the profile could certify this name (kind and wildcard); who may ask for it is policy's matter.
    pub fn allows_name(&self, name: &Name) -> bool {
        match &self.rules {
            Rules::X509(rules) => rules.allows(name),
            Rules::SshUser(_) | Rules::SshHost(_) => false,
        }
    }

    /// The lifetime to give: the one asked for, within the bounds, or the default.
    pub(crate) fn lifetime_secs(&self, asked: Option<u64>) -> Result<i64, String> {
        let Some(asked) = asked else { return Ok(self.default_validity_secs) };
        let asked = i64::try_from(asked).unwrap_or(i64::MAX);
        match (self.min_validity_secs..=self.max_validity_secs).contains(&asked) {
            true => Ok(asked),
            false => Err(format!(
                "a lifetime of {}; profile {} allows {} to {}",
                span(asked),
                self.name,
                span(self.min_validity_secs),
                span(self.max_validity_secs)
            )),
        }
    }

    /// Whether a subject key of this kind may be certified.
    pub(crate) fn check_key(&self, kind: KeyKind) -> Result<(), String> {
        match self.keys.contains(&kind) {
            true => Ok(()),
            false => {
                let allowed: Vec<_> = self.keys.iter().map(|k| k.as_str()).collect();
                Err(format!("a key of kind {kind}; profile {} allows {}", self.name, allowed.join(", ")))
            }
        }
    }
}

impl X509Rules {
    pub(crate) fn allows(&self, name: &Name) -> bool {
        let fits = match name {
            Name::Dns(dns) => self.wildcards || !dns.is_wildcard(),
            Name::Uri(uri) => self.uri_schemes.is_empty() || self.uri_schemes.iter().any(|s| scheme(uri) == Some(s)),
            Name::Ip(_) | Name::Email(_) | Name::Upn(_) => true,
        };
        fits && self.names.contains(&NameKind::of(name))
    }

    /// Why these names, each of which it allows, are not together what it allows.
    pub(crate) fn check_names(&self, names: &[Name]) -> Result<(), String> {
        if names.is_empty() && !self.subject.names_somebody() {
            return Err("there is none; name at least one".to_owned());
        }
        if names.len() > self.names_max {
            return Err(format!("{} names; {} is the most", names.len(), self.names_max));
        }
        if let Some(kind) = self.names_required.iter().find(|kind| !names.iter().any(|n| NameKind::of(n) == **kind)) {
            return Err(format!("there is none of kind {}, which the profile requires", kind.as_str()));
        }
        let uris = || names.iter().filter_map(|name| if let Name::Uri(uri) = name { Some(uri) } else { None });
        match uris().any(|uri| scheme(uri) == Some(SPIFFE)) && uris().count() > 1 {
            true => Err("a SPIFFE ID stands beside no other URI (X509-SVID section 2)".to_owned()),
            false => Ok(()),
        }
    }
}

fn scheme(uri: &str) -> Option<&str> {
    uri.split_once("://").map(|(scheme, _)| scheme)
}

/// Workload identities.
const SPIFFE: &str = "spiffe";

/// Seconds as people write them: in the largest unit that leaves no rest.
pub(crate) fn span(secs: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    match units.into_iter().find(|(unit, _)| secs != 0 && secs % unit == 0) {
        Some((unit, word)) => format!("{} {word}", secs / unit),
        None => format!("{secs} s"),
    }
}
