//! Profiles: what a kind of credential may be, as an immutable value with a hash.
//!
//! A profile bounds; it never grants. Who may ask for it is policy's matter. Its hash stands in every leaf that it
//! shaped, so that a profile changed in secret (TURKTRUST, 2011) or in mid-issuance (Let's Encrypt, 2023) shows. No profile
//! can make a CA: there is no word for it.

use const_oid::db::rfc5280;
use der::Decode;
use hsm::KeyKind;
use policy::Name;
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::ExtendedKeyUsage;

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
    X509(X509Rules),
    SshUser(SshRules),
    SshHost(SshRules),
}

/// Bounds of an X.509 end-entity certificate.
#[derive(Clone, Debug)]
pub(crate) struct X509Rules {
    pub(crate) extensions: Extensions,
    pub(crate) names: Vec<NameKind>,
    pub(crate) wildcards: bool,
    pub(crate) subject: SubjectPolicy,
}

/// basicConstraints, keyUsage and extendedKeyUsage, encoded once for each family of keys: which usages are a key's to have
/// depends on what it can do.
#[derive(Clone, Debug)]
pub(crate) struct Extensions {
    pub(crate) rsa: Vec<Extension>,
    pub(crate) curve: Vec<Extension>,
    pub(crate) edwards: Vec<Extension>,
}

impl Extensions {
    /// Those of a certificate for a key of this kind.
    pub(crate) fn for_key(&self, kind: KeyKind) -> &[Extension] {
        match kind {
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => &self.rsa,
            KeyKind::P256 | KeyKind::P384 => &self.curve,
            KeyKind::Ed25519 => &self.edwards,
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

/// Kinds of name a certificate may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NameKind {
    Dns,
    Ip,
    Email,
    Uri,
}

/// Where a subject comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SubjectPolicy {
    /// The common name is the first DNS name that fits.
    FirstName,
    /// The common name is given with the request.
    Given,
    /// Empty: the SAN says it all.
    Empty,
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

    /// The extended key usages of its certificates.
    pub(crate) fn purposes(&self) -> Vec<ObjectIdentifier> {
        let Rules::X509(rules) = &self.rules else { return Vec::new() };
        let all = [&rules.extensions.rsa, &rules.extensions.curve, &rules.extensions.edwards];
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
    pub(crate) fn text(&self) -> &str {
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

    /// Lifetime when the request names none.
    pub fn default_validity_secs(&self) -> u64 {
        self.default_validity_secs.unsigned_abs()
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
        let (kind, wildcard) = match name {
            Name::Dns(dns) => (NameKind::Dns, dns.is_wildcard()),
            Name::Ip(_) => (NameKind::Ip, false),
            Name::Email(_) => (NameKind::Email, false),
            Name::Uri(_) => (NameKind::Uri, false),
        };
        self.names.contains(&kind) && (self.wildcards || !wildcard)
    }
}
/// Seconds as people write them: in the largest unit that leaves no rest.
fn span(secs: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    match units.into_iter().find(|(unit, _)| secs != 0 && secs % unit == 0) {
        Some((unit, word)) => format!("{} {word}", secs / unit),
        None => format!("{secs} s"),
    }
}
