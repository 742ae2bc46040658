//! What a CA's certificate is to say: the same for each of its generations, and for a renewal.

use const_oid::db::rfc5280;
use der::asn1::{Ia5String, OctetString};
use der::{Decode, Encode};
use policy::DnsName;
use serde::{Deserialize, Serialize};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, GeneralSubtrees};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{CertificatePolicies, NameConstraints, certpolicy::PolicyInformation};

use crate::encode::Dn;
use crate::encode::x509::extension;
use crate::error::{CaError, DraftError};

/// What a CA's certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaPlan {
    /// The subject of the first generation, DER in hexadecimal.
    pub(crate) subject: String,
    pub(crate) validity_secs: i64,
    /// How many CAs may follow below.
    pub(crate) path_len: u8,
    /// Purposes that its leaves can have, as OIDs; none for a CA above CAs.
    pub(crate) purposes: Vec<String>,
    /// Names that what is below it may have. RFC 5280 section 4.2.1.10.
    #[serde(default, skip_serializing_if = "Constraints::is_empty")]
    pub(crate) constraints: Constraints,
    /// Certificate policies, as OIDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<String>,
}

/// Name constraints, both ways: `dns:example.internal`, `ip:10.0.0.0/8`, `email:example.com`, `uri:.example.internal`,
/// `dn:/O=Example`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Constraints {
    pub(crate) permitted: Vec<String>,
    pub(crate) excluded: Vec<String>,
}

impl Constraints {
    pub(crate) fn is_empty(&self) -> bool {
        self.permitted.is_empty() && self.excluded.is_empty()
    }
}

impl CaPlan {
    /// The subject of a generation.
    pub(crate) fn subject_of(&self, number: u32) -> Result<Dn, DraftError> {
        let der = hex::decode(&self.subject).map_err(|e| DraftError::new("subject", e.to_string()))?;
        let first = Dn::from_der(&der).map_err(|e| DraftError::new("subject", e.to_string()))?;
        first.of_generation(number).map_err(|e| DraftError::new("subject", e.to_string()))
    }

    /// Its purposes.
    pub(crate) fn purposes(&self) -> Result<Vec<ObjectIdentifier>, DraftError> {
        self.purposes.iter().map(|oid| parse_oid("purposes", oid)).collect()
    }

    /// Name constraints and policies.
    pub(crate) fn extensions(&self) -> Result<Vec<Extension>, DraftError> {
        let mut all = Vec::new();
        if !self.constraints.is_empty() {
            let trees = |list: &[String]| -> Result<Option<GeneralSubtrees>, DraftError> {
                let trees = list.iter().map(|text| subtree(text)).collect::<Result<Vec<_>, _>>()?;
                Ok((!trees.is_empty()).then_some(trees))
            };
            let constraints = NameConstraints {
                permitted_subtrees: trees(&self.constraints.permitted)?,
                excluded_subtrees: trees(&self.constraints.excluded)?,
            };
            // Section 4.2.1.10: "Conforming CAs MUST mark this extension as critical".
            all.push(extension(rfc5280::ID_CE_NAME_CONSTRAINTS, true, &constraints.to_der()?)?);
        }
        if !self.policies.is_empty() {
            let policy = |oid: &String| {
                Ok::<_, DraftError>(PolicyInformation {
                    policy_identifier: parse_oid("policies", oid)?,
                    policy_qualifiers: None,
                })
            };
            let policies = CertificatePolicies(self.policies.iter().map(policy).collect::<Result<_, _>>()?);
            // Never critical: webpki and others refuse what they do not process.
            all.push(extension(rfc5280::ID_CE_CERTIFICATE_POLICIES, false, &policies.to_der()?)?);
        }
        Ok(all)
    }

    /// Refuses what no certificate could say.
    pub(crate) fn check(&self) -> Result<(), CaError> {
        if self.subject_of(1)?.is_empty() {
            return Err(CaError::bad("subject", "a CA has a name"));
        }
        if !(VALIDITY_SECS_MIN..=VALIDITY_SECS_MAX).contains(&self.validity_secs) {
            return Err(CaError::bad("validity", "a CA lives for an hour at least and forty years at most"));
        }
        if self.path_len > PATH_LEN_MAX {
            return Err(CaError::bad("path_len", format!("at most {PATH_LEN_MAX}")));
        }
        let listed = [&self.purposes, &self.policies, &self.constraints.permitted, &self.constraints.excluded];
        if listed.into_iter().any(|list| list.len() > LISTED_MAX) {
            return Err(CaError::bad("constraints", format!("at most {LISTED_MAX} of a kind")));
        }
        self.purposes()?;
        self.extensions()?;
        Ok(())
    }
}

fn parse_oid(what: &'static str, text: &str) -> Result<ObjectIdentifier, DraftError> {
    ObjectIdentifier::new(text).map_err(|e| DraftError::new(what, format!("`{}`: {e}", policy::shown(text))))
}

/// One constraint.
fn subtree(text: &str) -> Result<GeneralSubtree, DraftError> {
    let refused = |why: String| DraftError::new("constraints", format!("`{}`: {why}", policy::shown(text)));
    let (kind, value) =
        text.split_once(':').ok_or_else(|| refused("write dns:, ip:, email:, uri: or dn: before it".into()))?;
    let ia5 = |value: &str| Ia5String::new(value).map_err(|e| refused(e.to_string()));
    let host = |value: &str| match DnsName::parse(value.strip_prefix('.').unwrap_or(value)) {
        Ok(name) if !name.as_str().starts_with("*.") => ia5(value),
        Ok(_) => Err(refused("a domain covers what is below it without a *".into())),
        Err(e) => Err(refused(e.to_string())),
    };
    let base = match kind {
        // Section 4.2.1.10: a DNS constraint covers the name and all below it; a leading dot is read differently by different readers.
        "dns" if value.starts_with('.') => {
            return Err(refused("without the leading dot: it covers what is below it".into()));
        }
        "dns" => GeneralName::DnsName(host(value)?),
        "uri" => GeneralName::UniformResourceIdentifier(host(value)?),
        "email" => GeneralName::Rfc822Name(match value.split_once('@') {
            Some((local, domain)) if !local.is_empty() => host(domain).and(ia5(value))?,
            Some(_) => return Err(refused("a mailbox, or a domain without @".into())),
            None => host(value)?,
        }),
        "ip" => GeneralName::IpAddress(OctetString::new(network(value).map_err(refused)?)?),
        "dn" => {
            let name = Dn::parse(value).map_err(|e| refused(e.to_string()))?;
            GeneralName::DirectoryName(x509_cert::name::Name::from_der(name.as_der())?)
        }
        _ => return Err(refused("write dns:, ip:, email:, uri: or dn: before it".into())),
    };
    Ok(GeneralSubtree { base, minimum: 0, maximum: None })
}

/// How a constraint that somebody else wrote is written here; none of what cannot be.
pub(crate) fn constraint_text(base: &GeneralName) -> Option<String> {
    Some(match base {
        GeneralName::DnsName(name) => format!("dns:{}", name.as_str()),
        GeneralName::UniformResourceIdentifier(host) => format!("uri:{}", host.as_str()),
        GeneralName::Rfc822Name(name) => format!("email:{}", name.as_str()),
        GeneralName::IpAddress(bytes) => {
            let (address, mask) = bytes.as_bytes().split_at_checked(bytes.as_bytes().len() / 2)?;
            let bits: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
            let address: std::net::IpAddr = match address.len() {
                4 => <[u8; 4]>::try_from(address).ok()?.into(),
                _ => <[u8; 16]>::try_from(address).ok()?.into(),
            };
            format!("ip:{address}/{bits}")
        }
        GeneralName::DirectoryName(name) => {
            let name = Dn::from_der(&name.to_der().ok()?).ok()?;
            format!("dn:{}", name.slashed()?)
        }
        _ => return None,
    })
}

/// Address and mask of a network, as section 4.2.1.10 wants them.
fn network(text: &str) -> Result<Vec<u8>, String> {
    let (address, bits) = text.split_once('/').ok_or("a network is written as 10.0.0.0/8")?;
    let address: std::net::IpAddr = address.parse().map_err(|_| "it is no address")?;
    let (octets, most) = match address {
        std::net::IpAddr::V4(v4) => (v4.octets().to_vec(), 32),
        std::net::IpAddr::V6(v6) => (v6.octets().to_vec(), 128),
    };
    let bits: usize = bits.parse().ok().filter(|bits| *bits <= most).ok_or("it has more bits than an address")?;
    let mask: Vec<u8> = (0..octets.len())
        .map(|at| {
            let kept = bits.saturating_sub(at * 8).min(8);
            u8::try_from(0xff00_u16 >> kept & 0xff).unwrap_or(0)
        })
        .collect();
    if octets.iter().zip(&mask).any(|(octet, mask)| octet & !mask != 0) {
        return Err("bits beyond its mask are set".to_owned());
    }
    Ok([octets, mask].concat())
}

/// The purposes that people have words for; others are written as OIDs.
pub(crate) fn purpose(word: &str) -> Option<ObjectIdentifier> {
    Some(match word {
        "server-auth" => rfc5280::ID_KP_SERVER_AUTH,
        "client-auth" => rfc5280::ID_KP_CLIENT_AUTH,
        "code-signing" => rfc5280::ID_KP_CODE_SIGNING,
        "email-protection" => rfc5280::ID_KP_EMAIL_PROTECTION,
        "time-stamping" => rfc5280::ID_KP_TIME_STAMPING,
        "ocsp-signing" => rfc5280::ID_KP_OCSP_SIGNING,
        _ => return ObjectIdentifier::new(word).ok(),
    })
}

/// The word that people have for a purpose; of others the OID.
pub(crate) fn purpose_word(oid: &str) -> String {
    let known = PURPOSES.into_iter().find(|word| purpose(word).is_some_and(|known| known.to_string() == oid));
    known.unwrap_or(oid).to_owned()
}

/// Purposes that have a word.
const PURPOSES: [&str; 6] =
    ["server-auth", "client-auth", "code-signing", "email-protection", "time-stamping", "ocsp-signing"];
const VALIDITY_SECS_MIN: i64 = 3_600;
const VALIDITY_SECS_MAX: i64 = 40 * 366 * 86_400;
/// Deeper ones nobody builds a path through.
pub(crate) const PATH_LEN_MAX: u8 = 8;
/// Of a kind; each is read by every client.
const LISTED_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(permitted: &[&str]) -> CaPlan {
        CaPlan {
            subject: hex::encode(Dn::parse("/O=Example/CN=x").unwrap().as_der()),
            validity_secs: 86_400,
            path_len: 0,
            purposes: vec!["1.3.6.1.5.5.7.3.1".into()],
            constraints: Constraints {
                permitted: permitted.iter().map(|p| (*p).to_owned()).collect(),
                excluded: Vec::new(),
            },
            policies: Vec::new(),
        }
    }

    #[test]
    fn a_constraint_is_written_as_its_clause_has_it_or_refused() {
        for good in [
            "dns:example.internal",
            "ip:10.0.0.0/8",
            "ip:2001:db8::/32",
            "ip:0.0.0.0/0",
            "email:example.com",
            "email:a@example.com",
            "uri:.example.internal",
            "uri:host.example",
            "dn:/O=Example",
        ] {
            plan(&[good]).check().unwrap_or_else(|e| panic!("{good}: {e}"));
        }
        for bad in [
            "example.internal",
            "dns:",
            "dns:.example",
            "dns:*.example.com",
            "ip:10.0.0.1/8",
            "ip:10.0.0.0/33",
            "ip:10.0.0.0",
            "email:@example.com",
            "dn:O=x",
            "x500:/O=x",
            "uri:https://x",
        ] {
            assert!(plan(&[bad]).check().is_err(), "{bad}");
        }
        assert_eq!(network("10.128.0.0/9").unwrap(), [10, 128, 0, 0, 255, 128, 0, 0]);
    }

    #[test]
    fn a_plan_that_no_certificate_could_say_is_refused() {
        assert!(plan(&[]).check().is_ok());
        for broken in [
            CaPlan { validity_secs: 59, ..plan(&[]) },
            CaPlan { validity_secs: i64::MAX, ..plan(&[]) },
            CaPlan { path_len: 9, ..plan(&[]) },
            CaPlan { subject: "00".into(), ..plan(&[]) },
            CaPlan { subject: "3000".into(), ..plan(&[]) },
            CaPlan { policies: vec!["1".into()], ..plan(&[]) },
            CaPlan { policies: vec!["1.2.3".into(); LISTED_MAX + 1], ..plan(&[]) },
        ] {
            assert!(broken.check().is_err());
        }
    }
}
