//! A profile's TOML: text -> raw struct -> checks -> [`Profile`]. Every complaint names the key and what to write.

use std::collections::BTreeMap;

use const_oid::db::rfc5280;
use der::Encode;
use der::flagset::FlagSet;
use hsm::KeyKind;
use serde::{Deserialize, Serialize};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};

use crate::encode::sha256;
use crate::encode::x509::extension;
use crate::issuers::name;
use crate::profiles::profile::{Extensions, NameKind, Profile, Rules, SshRules, SubjectPolicy, X509Rules};

/// Reads and checks one profile.
pub(crate) fn read(name: &str, text: &str) -> Result<Profile, String> {
    check_name(name)?;
    let raw: Raw = toml::from_str(text).map_err(|e| e.message().to_owned() + &place(text, e.span()))?;
    let text = serde_json::to_string(&(name, raw.canonical())).map_err(|e| e.to_string())?;
    let bounds = raw.bounds();
    let lifetimes = bounds.lifetimes()?;
    let keys = bounds.keys.iter().map(|k| key_kind(k)).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err("keys: name at least one, as in keys = [\"p256\"]".to_owned());
    }
    Ok(Profile {
        name: name.to_owned(),
        hash: sha256(text.as_bytes()),
        text,
        issuer: bounds.issuer.clone(),
        default_validity_secs: lifetimes.default,
        min_validity_secs: lifetimes.min,
        max_validity_secs: lifetimes.max,
        keys,
        rules: raw.rules()?,
    })
}

/// The file as written. The order of these fields is the order of the canonical form.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Raw {
    X509(RawX509),
    SshUser(RawSsh),
    SshHost(RawSsh),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawX509 {
    issuer: String,
    default_validity: String,
    min_validity: String,
    max_validity: String,
    keys: Vec<String>,
    key_usage: Vec<Usage>,
    extended_key_usage: Vec<Purpose>,
    names: Vec<NameKind>,
    wildcards: bool,
    subject: SubjectPolicy,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSsh {
    issuer: String,
    default_validity: String,
    min_validity: String,
    max_validity: String,
    keys: Vec<String>,
    extensions: Vec<String>,
    critical_options: BTreeMap<String, String>,
}

/// Key usages of an end entity. Those of a CA have no word here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Usage {
    DigitalSignature,
    ContentCommitment,
    KeyEncipherment,
    KeyAgreement,
}

/// Extended key usages. "Any" has no word here: it would undo the EKU of the issuing CA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Purpose {
    ServerAuth,
    ClientAuth,
    CodeSigning,
}

impl Raw {
    /// Lists sorted, each element once.
    fn canonical(&self) -> Raw {
        let mut raw = self.clone();
        match &mut raw {
            Raw::X509(x) => {
                sort(&mut x.keys);
                sort(&mut x.key_usage);
                sort(&mut x.extended_key_usage);
                sort(&mut x.names);
            }
            Raw::SshUser(s) | Raw::SshHost(s) => {
                sort(&mut s.keys);
                sort(&mut s.extensions);
            }
        }
        raw
    }

    fn bounds(&self) -> Bounds<'_> {
        match self {
            Raw::X509(RawX509 { issuer, default_validity, min_validity, max_validity, keys, .. }) => Bounds {
                issuer,
                default: default_validity,
                min: min_validity,
                max: max_validity,
                keys,
                most: X509_MOST_SECS,
            },
            Raw::SshUser(RawSsh { issuer, default_validity, min_validity, max_validity, keys, .. })
            | Raw::SshHost(RawSsh { issuer, default_validity, min_validity, max_validity, keys, .. }) => Bounds {
                issuer,
                default: default_validity,
                min: min_validity,
                max: max_validity,
                keys,
                most: SSH_MOST_SECS,
            },
        }
    }

    fn rules(self) -> Result<Rules, String> {
        match self.canonical() {
            Raw::X509(x) => x.rules().map(Rules::X509),
            Raw::SshUser(s) => s.rules(USER_EXTENSIONS, USER_OPTIONS).map(Rules::SshUser),
            Raw::SshHost(s) => s.rules(&[], &[]).map(Rules::SshHost),
        }
    }
}

impl RawX509 {
    fn rules(self) -> Result<X509Rules, String> {
        if self.key_usage.is_empty() {
            return Err("key_usage: name at least one, as in key_usage = [\"digital-signature\"]".to_owned());
        }
        // Without an EKU a certificate is good for everything its CA is.
        if self.extended_key_usage.is_empty() {
            return Err(
                "extended_key_usage: name at least one, as in extended_key_usage = [\"server-auth\"]".to_owned()
            );
        }
        if self.names.is_empty() && self.subject != SubjectPolicy::Given {
            return Err("names: without any, subject = \"given\" is needed, or the certificate names nobody".to_owned());
        }
        check_issuer(&self.issuer)?;
        Ok(X509Rules {
            extensions: Extensions {
                rsa: self.extensions(&RSA_KEYS, RSA_USAGES)?,
                curve: self.extensions(&CURVE_KEYS, CURVE_USAGES)?,
                edwards: self.extensions(&EDWARDS_KEYS, EDWARDS_USAGES)?,
            },
            names: self.names,
            wildcards: self.wildcards,
            subject: self.subject,
        })
    }

    /// Those of certificates for keys of one family: of the usages the ones that such a key can have.
    fn extensions(&self, family: &[KeyKind], can: &[Usage]) -> Result<Vec<Extension>, String> {
        let usages: Vec<Usage> = self.key_usage.iter().copied().filter(|usage| can.contains(usage)).collect();
        if let Some(kind) = family.iter().find(|kind| self.keys.iter().any(|key| key == kind.as_str())) {
            if usages.is_empty() {
                return Err(format!("key_usage: nothing of it is for keys of kind {kind}; add \"digital-signature\""));
            }
            // RFC 5246 section 7.4.2: RSA key exchange wants keyEncipherment, and NSS asks for it whatever is negotiated.
            let serves = self.extended_key_usage.contains(&Purpose::ServerAuth);
            if serves && can.contains(&Usage::KeyEncipherment) && !usages.contains(&Usage::KeyEncipherment) {
                return Err(format!(
                    "key_usage: add \"key-encipherment\", without which some clients refuse servers with keys of kind {kind}; \
                     other kinds do not get it"
                ));
            }
        }
        self.encoded(&usages).map_err(|e| e.to_string())
    }

    fn encoded(&self, usages: &[Usage]) -> Result<Vec<Extension>, der::Error> {
        let constraints = BasicConstraints { ca: false, path_len_constraint: None };
        let usage = usages.iter().fold(FlagSet::default(), |all, u| all | u.bit());
        let purposes = self.extended_key_usage.iter().map(|p| p.oid()).collect();
        Ok(vec![
            extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, &constraints.to_der()?)?,
            extension(rfc5280::ID_CE_KEY_USAGE, true, &KeyUsage(usage).to_der()?)?,
            extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &ExtendedKeyUsage(purposes).to_der()?)?,
        ])
    }
}

impl RawSsh {
    fn rules(self, extensions: &[&str], options: &[&str]) -> Result<SshRules, String> {
        check_issuer(&self.issuer)?;
        for name in &self.extensions {
            known(name, extensions, "extensions")?;
        }
        for (name, value) in &self.critical_options {
            known(name, options, "critical_options")?;
            if value.is_empty() || value.len() > OPTION_MAX || value.chars().any(char::is_control) {
                return Err(format!("critical_options.{name}: 1 to {OPTION_MAX} printable characters"));
            }
        }
        Ok(SshRules { extensions: self.extensions, critical_options: self.critical_options.into_iter().collect() })
    }
}

/// That it is there, and for such certificates, is asked of the issuers in force when one is made.
fn check_issuer(issuer: &str) -> Result<(), String> {
    name::check_name(issuer).map_err(|why| format!("issuer: {why}"))
}

impl Usage {
    fn bit(self) -> KeyUsages {
        match self {
            Usage::DigitalSignature => KeyUsages::DigitalSignature,
            Usage::ContentCommitment => KeyUsages::NonRepudiation,
            Usage::KeyEncipherment => KeyUsages::KeyEncipherment,
            Usage::KeyAgreement => KeyUsages::KeyAgreement,
        }
    }
}

impl Purpose {
    fn oid(self) -> ObjectIdentifier {
        match self {
            Purpose::ServerAuth => rfc5280::ID_KP_SERVER_AUTH,
            Purpose::ClientAuth => rfc5280::ID_KP_CLIENT_AUTH,
            Purpose::CodeSigning => rfc5280::ID_KP_CODE_SIGNING,
        }
    }
}

struct Bounds<'a> {
    issuer: &'a String,
    default: &'a str,
    min: &'a str,
    max: &'a str,
    keys: &'a [String],
    most: i64,
}

struct Lifetimes {
    default: i64,
    min: i64,
    max: i64,
}

impl Bounds<'_> {
    fn lifetimes(&self) -> Result<Lifetimes, String> {
        let default = duration_secs("default_validity", self.default)?;
        let min = duration_secs("min_validity", self.min)?;
        let max = duration_secs("max_validity", self.max)?;
        if min < LEAST_SECS {
            return Err(format!("min_validity: at least {LEAST_SECS}s, or a slow clock never sees it valid"));
        }
        if max > self.most {
            return Err(format!("max_validity: at most {}d for this kind", self.most / DAY_SECS));
        }
        if !(min..=max).contains(&default) {
            return Err("default_validity: it lies between min_validity and max_validity".to_owned());
        }
        Ok(Lifetimes { default, min, max })
    }
}

/// `90s`, `2m`, `16h`, `30d`.
fn duration_secs(key: &str, text: &str) -> Result<i64, String> {
    let bad = || format!("{key}: `{text}` is not a lifetime; write \"90s\", \"2m\", \"16h\" or \"30d\"");
    let unit = text.chars().last().ok_or_else(bad)?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => DAY_SECS,
        _ => return Err(bad()),
    };
    let number = text.strip_suffix(unit).filter(|n| n.bytes().all(|b| b.is_ascii_digit())).ok_or_else(bad)?;
    let number: i64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(factor).ok_or_else(bad)
}

fn key_kind(name: &str) -> Result<KeyKind, String> {
    name.parse().map_err(|_| {
        let known: Vec<_> = KeyKind::ALL.iter().map(|k| k.as_str()).collect();
        format!("keys: `{name}` is not a kind of key; say one of {}", known.join(", "))
    })
}

fn known(name: &str, all: &[&str], key: &str) -> Result<(), String> {
    match all.contains(&name) {
        true => Ok(()),
        false if all.is_empty() => Err(format!("{key}: OpenSSH defines none for this kind; remove `{name}`")),
        false => Err(format!("{key}: `{name}` is not known; say one of {}", all.join(", "))),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match fits {
        true => Ok(()),
        false => Err("its file name has 1 to 63 lower-case letters, digits and hyphens".to_owned()),
    }
}

fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let line = span.and_then(|s| text.get(..s.start)).map(|before| before.lines().count().max(1));
    line.map_or(String::new(), |n| format!(" (line {n})"))
}

fn sort<T: Ord>(list: &mut Vec<T>) {
    list.sort();
    list.dedup();
}

const RSA_KEYS: [KeyKind; 3] = [KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::Rsa4096];
const CURVE_KEYS: [KeyKind; 2] = [KeyKind::P256, KeyKind::P384];
const EDWARDS_KEYS: [KeyKind; 1] = [KeyKind::Ed25519];
/// RFC 4055 section 1.2 and RFC 3279 section 2.3.1: an RSA key agrees on nothing.
const RSA_USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::ContentCommitment, Usage::KeyEncipherment];
/// RFC 8813 section 3: "If the keyUsage extension is present in a certificate that indicates id-ecPublicKey ... then the
/// following values MUST NOT be present: keyEncipherment; and dataEncipherment."
const CURVE_USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::ContentCommitment, Usage::KeyAgreement];
/// RFC 9295 section 3: none of "keyEncipherment; dataEncipherment; keyAgreement" for Ed25519.
const EDWARDS_USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::ContentCommitment];

const DAY_SECS: i64 = 86_400;
/// A minute: clocks of healthy hosts agree to less, and a certificate of two minutes must be possible.
const LEAST_SECS: i64 = 60;
/// Three years: longer than any public root program allows an end entity; the issuing CAs live five.
const X509_MOST_SECS: i64 = 3 * 365 * DAY_SECS;
/// SSH has no CRL of its own by default, so certificates must end by themselves.
const SSH_MOST_SECS: i64 = 365 * DAY_SECS;
/// A command line; `source-address` lists are shorter.
const OPTION_MAX: usize = 1024;

/// OpenSSH PROTOCOL.certkeys, "Extensions" of user certificates; `no-touch-required` belongs to keys not accepted here.
const USER_EXTENSIONS: &[&str] =
    &["permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"];
/// OpenSSH PROTOCOL.certkeys, "Critical options".
const USER_OPTIONS: &[&str] = &["force-command", "source-address"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profiles::Profiles;

    #[test]
    fn every_shipped_profile_is_read() {
        let profiles = Profiles::load(Profiles::shipped()).unwrap();
        assert_eq!(profiles.iter().count(), 5);
        assert_eq!(profiles.get("ssh-user").unwrap().default_validity_secs(), 16 * 3600);
        for profile in profiles.iter() {
            assert!(profile.lifetime_secs(Some(120)).is_ok() || profile.name() == "code-signing", "{}", profile.name());
        }
    }

    #[test]
    fn the_hash_follows_the_meaning_and_not_the_spelling() {
        let (name, text) = Profiles::shipped()[0];
        let hash = |text: &str| read(name, text).unwrap().hash;
        let original = hash(text);
        assert_eq!(hash(&text.replace("\"p256\", \"p384\"", "\"p384\",   \"p256\"")), original);
        assert_eq!(hash(&format!("# a word\n{text}")), original);
        assert_ne!(hash(&text.replace("90d", "91d")), original);
        assert_ne!(read("tls-other", text).unwrap().hash, original);
    }

    #[test]
    fn a_profile_of_curves_alone_does_without_the_usage_of_rsa() {
        let (name, text) = Profiles::shipped()[0];
        let curves = text.replace(", \"key-encipherment\"", "").replace("\"rsa2048\", \"rsa3072\", \"rsa4096\", ", "");
        assert!(read(name, &curves).is_ok());
    }

    #[test]
    fn a_wrong_profile_is_refused_with_its_key() {
        let (_, text) = Profiles::shipped()[0];
        let (_, ssh) = Profiles::shipped()[3];
        for (text, says) in [
            (text.replace("\"90d\"", "\"9000d\""), "max_validity"),
            (text.replace("\"1m\"", "\"59s\""), "min_validity"),
            (text.replace("\"30d\"", "\"91d\""), "default_validity"),
            (text.replace("\"30d\"", "\"a month\""), "default_validity"),
            (text.replace("\"30d\"", "\"-5d\""), "default_validity"),
            (text.replace("\"30d\"", "\"99999999999999999999d\""), "default_validity"),
            (text.replace("\"p256\"", "\"dsa\""), "keys"),
            (text.replace("\"server-auth\"", ""), "extended_key_usage"),
            (text.replace("\"server-auth\"", "\"any\""), "any"),
            (text.replace("\"tls\"", "\"TLS CA\""), "issuer"),
            (ssh.replace("issuer = \"ssh-user\"", "issuer = \"../ssh\""), "issuer"),
            (text.replace("digital-signature", "key-cert-sign"), "key-cert-sign"),
            (text.replace("\"digital-signature\", ", ""), "nothing of it is for keys of kind p256"),
            (text.replace(", \"key-encipherment\"", ""), "add \"key-encipherment\""),
            (text.replace("\"dns\", \"ip\"", ""), "names"),
            (text.replace("wildcards", "wildcard"), "wildcard"),
            (text.replace("kind = \"x509\"", "kind = \"ca\""), "ca"),
            (text.replace("wildcards = true", "wildcards = true\nca = true"), "ca"),
            (ssh.replace("permit-pty", "permit-everything"), "extensions"),
            (ssh.replace("[critical_options]", "[critical_options]\nforce-commnd = \"x\""), "critical_options"),
        ] {
            let why = read("tls-server", &text).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
        assert!(read("../x", text).is_err());
    }

    #[test]
    fn a_missing_shipped_profile_is_named() {
        let err = Profiles::load(&Profiles::shipped()[1..]).unwrap_err();
        assert_eq!(err.profile, "tls-server");
    }
}
