//! A profile's TOML: text -> raw struct -> checks -> [`Profile`]. Every complaint names the key and what to write.

use serde::{Deserialize, Serialize};

use crate::encode::sha256;
use crate::profiles::bounds::Bounds;
use crate::profiles::profile::{Profile, Rules};
use crate::profiles::ssh::RawSsh;
use crate::profiles::x509::RawX509;

/// Reads and checks one profile.
pub(crate) fn read(name: &str, text: &str) -> Result<Profile, String> {
    check_name(name)?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("at most {TEXT_BYTES_MAX} bytes"));
    }
    let raw: Raw = toml::from_str(text).map_err(|e| e.message().to_owned() + &place(text, e.span()))?;
    let raw = raw.canonical();
    let text = serde_json::to_string(&(name, &raw)).map_err(|e| e.to_string())?;
    let bounds = raw.bounds();
    let (lifetimes, keys) = (bounds.lifetimes()?, bounds.key_kinds()?);
    Ok(Profile {
        name: name.to_owned(),
        hash: sha256(text.as_bytes()),
        text,
        issuer: raw.issuer().to_owned(),
        default_validity_secs: lifetimes.default,
        min_validity_secs: lifetimes.min,
        max_validity_secs: lifetimes.max,
        keys,
        rules: raw.rules()?,
    })
}

/// The file as written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Raw {
    X509(Box<RawX509>),
    SshUser(RawSsh),
    SshHost(RawSsh),
}

impl Raw {
    fn canonical(self) -> Raw {
        match self {
            Raw::X509(x) => Raw::X509(Box::new(x.canonical())),
            Raw::SshUser(s) => Raw::SshUser(s.canonical()),
            Raw::SshHost(s) => Raw::SshHost(s.canonical()),
        }
    }

    fn issuer(&self) -> &str {
        match self {
            Raw::X509(x) => &x.issuer,
            Raw::SshUser(s) | Raw::SshHost(s) => &s.issuer,
        }
    }

    fn bounds(&self) -> Bounds<'_> {
        match self {
            Raw::X509(x) => x.bounds(),
            Raw::SshUser(s) | Raw::SshHost(s) => s.bounds(),
        }
    }

    fn rules(self) -> Result<Rules, String> {
        match self {
            Raw::X509(x) => x.rules().map(|rules| Rules::X509(Box::new(rules))),
            Raw::SshUser(s) => s.user_rules().map(Rules::SshUser),
            Raw::SshHost(s) => s.host_rules().map(Rules::SshHost),
        }
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match fits {
        true if name == store::IMPORTED => Err(format!("`{name}` is what was signed elsewhere has: name it otherwise")),
        true => Ok(()),
        false => Err("its file name has 1 to 63 lower-case letters, digits and hyphens".to_owned()),
    }
}

fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let line = span.and_then(|s| text.get(..s.start)).map(|before| before.lines().count().max(1));
    line.map_or(String::new(), |n| format!(" (line {n})"))
}

/// A profile has some thirty lines; with sixteen extensions of its own it is longer.
const TEXT_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    #[test]
    fn the_word_for_what_was_signed_elsewhere_names_no_profile() {
        assert!(super::check_name("imported").unwrap_err().contains("elsewhere"));
        assert!(super::check_name("imported-web").is_ok() && super::check_name("Imported").is_err());
    }

    use super::*;
    use crate::issuers::Pointers;
    use crate::profiles::Profiles;

    #[test]
    fn every_shipped_profile_is_read() {
        assert_eq!(Profiles::load(&Profiles::ready()).unwrap().iter().count(), 10);
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
            (text.replace("\"server-auth\"", "\"server-auth\", \"code-signing\""), "extended_key_usage"),
            (text.replace("\"server-auth\"", "\"\""), "extended_key_usage"),
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

    /// All that a profile of certificates can say.
    const WHOLE: &str = r#"
        kind = "x509"
        issuer = "tls"
        fallback_issuer = "tls-b"
        default_validity = "30d"
        min_validity = "1h"
        max_validity = "90d"
        backdate = "5m"
        ends = "2028-01-01T00:00:00Z"
        keys = ["p256", "rsa2048"]
        one_key_one_certificate = true
        key_usage = ["digital-signature", "key-encipherment"]
        extended_key_usage = ["server-auth", "1.3.6.1.4.1.32473.9.1"]
        names = ["dns", "uri"]
        names_required = ["dns"]
        names_max = 3
        wildcards = false
        uri_schemes = ["spiffe"]
        subject = ["O=Example", "O={o}", "CN={owner}:{cn}"]
        organizations = ["dev"]
        policies = ["1.3.6.1.4.1.32473.1.1"]
        cps = "https://pki.example.internal/cps"
        must_staple = true
        pointers = ["ocsp", "crl"]
        crl_urls = ["http://mirror.example.internal/{issuer}/{generation}/{shard}.crl"]
        chain = "Example Root"
        approvals = 2
        [[extension]]
        oid = "1.3.6.1.4.1.32473.2.1"
        critical = false
        der = "0c0548656c6c6f"
    "#;

    #[test]
    fn all_that_a_profile_can_say_is_read() {
        let profile = read("whole", WHOLE).unwrap();
        let Rules::X509(rules) = &profile.rules else { panic!("a profile of certificates") };
        assert_eq!(rules.fallback_issuer.as_deref(), Some("tls-b"));
        assert_eq!((rules.backdate_secs, rules.names_max), (300, 3));
        let mirror = "http://mirror.example.internal/{issuer}/{generation}/{shard}.crl".to_owned();
        let pointers = Pointers { crl: Some(vec![mirror]), ocsp: Some(Vec::new()), issuer: None };
        assert_eq!((&rules.pointers, rules.approvals), (&pointers, 2));
        assert_eq!(profile.chain(), Some("Example Root"));
        // basicConstraints, keyUsage, EKU, policies, must-staple, its own.
        assert_eq!(rules.extensions.curve.len(), 6);
        assert_eq!(profile.purposes().len(), 2 * 3);
        // What is left out is what is said of it here.
        let said = WHOLE.replace("backdate = \"5m\"", "backdate = \"1m\"").replace("names_max = 3", "names_max = 100");
        let unsaid =
            said.replace("backdate = \"1m\"", "").replace("names_max = 100", "").replace("critical = false", "");
        assert_eq!(read("whole", &said).unwrap().hash, read("whole", &unsaid).unwrap().hash);
        assert_ne!(read("whole", &said).unwrap().hash, profile.hash);
    }

    #[test]
    fn what_a_profile_may_not_say_is_refused_with_its_key() {
        for (from, to, says) in [
            ("\"tls-b\"", "\"tls\"", "fallback_issuer: it is the issuer itself"),
            ("\"tls-b\"", "\"tls b\"", "fallback_issuer: "),
            ("\"tls\"", "\"T L S\"", "issuer: "),
            ("\"5m\"", "\"25h\"", "backdate: at most 24h"),
            ("\"5m\"", "\"5\"", "backdate: `5` is not a time"),
            ("2028-01-01T00:00:00Z", "2028", "2028"),
            ("\"server-auth\", ", "\"server-auth\", \"code-signing\", ", "stands alone"),
            ("\"server-auth\", ", "\"time-stamping\", ", "stands alone"),
            ("\"server-auth\"", "\"2.5.29.37.0\"", "any purpose"),
            ("\"server-auth\"", "\"1.3.6.1.5.5.7.3.9\"", "OCSP responders"),
            ("\"server-auth\"", "\"server\"", "`server` is no purpose"),
            ("[\"server-auth\", \"1.3.6.1.4.1.32473.9.1\"]", "[\"client-auth\"]", "must_staple: it is for servers"),
            (
                "names_required = [\"dns\"]",
                "names_required = [\"email\"]",
                "names_required: \"email\" is none of names",
            ),
            ("names_max = 3", "names_max = 101", "names_max: 1 to 100"),
            ("names_max = 3", "names_max = 0", "names_max: 1 to 100"),
            ("[\"spiffe\"]", "[\"SPIFFE\"]", "uri_schemes: `SPIFFE` is no scheme"),
            ("names = [\"dns\", \"uri\"]", "names = [\"dns\"]", "uri_schemes: there is no \"uri\""),
            ("\"O={o}\", ", "", "organizations: subject has no {o}"),
            ("organizations = [\"dev\"]", "", "organizations: name each"),
            ("CN={owner}:{cn}", "CN={host}", "subject: `CN={host}`"),
            ("\"1.3.6.1.4.1.32473.1.1\"", "\"x\"", "policies: `x`"),
            ("policies = [\"1.3.6.1.4.1.32473.1.1\"]", "", "cps: it stands beside policies"),
            ("https://pki.example.internal/cps", "pki", "cps: `pki` is no address"),
            ("0c0548656c6c6f", "0c06", "not one DER value"),
            ("0c0548656c6c6f", "0500ff", "not one DER value"),
            ("0c0548656c6c6f", "x", "hexadecimal digits"),
            // basicConstraints, nameConstraints, tlsfeature, an SCT list, OCSP's nocheck.
            ("1.3.6.1.4.1.32473.2.1", "2.5.29.19", "no profile writes it out"),
            ("1.3.6.1.4.1.32473.2.1", "2.5.29.30", "no profile writes it out"),
            ("1.3.6.1.4.1.32473.2.1", "1.3.6.1.5.5.7.1.24", "no profile writes it out"),
            ("1.3.6.1.4.1.32473.2.1", "1.3.6.1.4.1.11129.2.4.2", "no profile writes it out"),
            ("1.3.6.1.4.1.32473.2.1", "1.3.6.1.5.5.7.48.1.5", "no profile writes it out"),
            ("must_staple", "must_stapel", "must_stapel"),
            ("[\"ocsp\", \"crl\"]", "[\"crl\"]", "must_staple: pointers has no \"ocsp\""),
            (
                "[\"ocsp\", \"crl\"]",
                "[\"ocsp\"]",
                "crl_urls: they stand beside the issuer's own; add \"crl\" to pointers",
            ),
            ("[\"ocsp\", \"crl\"]", "[\"ocsp\", \"delta\"]", "delta"),
            ("http://mirror", "https://mirror", "crl_urls: `https://mirror"),
            ("http://mirror", "ldap://mirror", "crl_urls: `ldap://mirror"),
            ("mirror.example.internal/{issuer}", "/{issuer}", "crl_urls: "),
            ("{issuer}", "{owner}", "crl_urls: "),
            ("/{shard}.crl", "/{shard} .crl", "crl_urls: "),
            ("\"Example Root\"", "\"\"", "chain: "),
            ("approvals = 2", "approvals = 6", "approvals: at most 5"),
            ("subject = [\"O=Example\", \"O={o}\", \"CN={owner}:{cn}\"]", "subject = \"first\"", "first-name"),
            ("subject = [\"O=Example\", \"O={o}\", \"CN={owner}:{cn}\"]", "subject = 3", "first-name"),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let why = read("whole", &WHOLE.replace(from, to)).unwrap_err();
            assert!(why.contains(says), "{from} -> {to}: {why}");
        }
        let five = ["\"http://a.example/{shard}.crl\""; 5].join(", ");
        let mirror = "\"http://mirror.example.internal/{issuer}/{generation}/{shard}.crl\"";
        assert!(read("whole", &WHOLE.replace(mirror, &five)).unwrap_err().contains("crl_urls: at most 4"));
        // Who says nowhere where a revocation is to be seen lives shortly.
        let silent =
            WHOLE.replace(&format!("crl_urls = [{mirror}]"), "").replace("[\"ocsp\", \"crl\"]", "[\"issuer\"]");
        let silent = silent.replace("must_staple = true", "").replace("\"30d\"", "\"7d\"");
        assert!(read("whole", &silent).unwrap_err().contains("pointers: without \"crl\" and \"ocsp\" nobody learns"));
        read("whole", &silent.replace("\"90d\"", "\"7d\"")).unwrap();
        let twice = format!("{WHOLE}\n[[extension]]\noid = \"1.3.6.1.4.1.32473.2.1\"\nder = \"0500\"");
        assert!(read("whole", &twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_missing_shipped_profile_is_named() {
        let err = Profiles::load(&Profiles::shipped()[1..]).unwrap_err();
        assert_eq!(err.profile, "tls-server");
    }
}
