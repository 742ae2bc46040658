//! Roots out of a bundle.

use policy::Timestamp;
use serde_json::Value;

use super::fingerprint::Fingerprint;
use crate::reading::{self, Described, SIGNED_ITSELF};

/// A root that may be trusted.
#[derive(Debug)]
pub struct Anchor {
    pub fingerprint: Fingerprint,
    pub subject: String,
    pub not_after: String,
    pub der: Vec<u8>,
}

impl Anchor {
    /// As PEM.
    pub fn pem(&self) -> String {
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }
}

/// Every root of a bundle, each once. What is no CA's certificate, or none that signed itself, is refused: whatever it signed would be
/// believed.
pub fn anchors(bytes: &[u8], now: Timestamp) -> Result<Vec<Anchor>, String> {
    let all = reading::read(bytes, now).map_err(|unread| unread.to_string())?;
    let mut found: Vec<Anchor> = Vec::new();
    for (place, one) in
        (1..).zip(all.iter().flat_map(|one| if one.kind == "pkcs7" { one.inner.iter().collect() } else { vec![one] }))
    {
        if found.len() == ROOTS_MAX {
            return Err(format!("there are more than {ROOTS_MAX}"));
        }
        let anchor = anchor(one).map_err(|why| format!("object {place}: {why}"))?;
        if found.iter().all(|there| there.fingerprint != anchor.fingerprint) {
            found.push(anchor);
        }
    }
    match found.is_empty() {
        true => Err("there is no certificate in it".to_owned()),
        false => Ok(found),
    }
}

fn anchor(one: &Described) -> Result<Anchor, String> {
    let text = |name: &str| one.value(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match one.kind {
        "ca-certificate" if one.value("self_signed").is_none() => {
            Err(format!("{} is a CA's certificate that another CA signed, and no root", text("subject")))
        }
        // RFC 4210 section 4.4: the one that leads from one root to the next of the same name, for instance.
        "ca-certificate" if text("self_signed") != SIGNED_ITSELF => Err(format!(
            "{} names itself as its issuer, and its own key did not sign it: it is no root",
            text("subject")
        )),
        "ca-certificate" => Ok(Anchor {
            fingerprint: Fingerprint::of(&one.der),
            subject: text("subject"),
            not_after: text("not_after"),
            der: one.der.to_vec(),
        }),
        "certificate" => Err(format!("{} is no CA's certificate", text("subject"))),
        kind => Err(format!("a {}, and no root", kind.replace('-', " "))),
    }
}

/// A host that trusts more at once does not know whom.
const ROOTS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    #[test]
    fn a_root_is_what_its_own_key_signed_and_not_what_names_itself() {
        let params = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let [old, new] = [(); 2].map(|()| KeyPair::generate().expect("a key"));
        let root = params("Root").self_signed(&new).expect("signs");
        let by_old = Issuer::new(params("Root"), old);
        let link = params("Root").signed_by(&new, &by_old).expect("signs");
        let below = params("Below").signed_by(&new, &by_old).expect("signs");
        let says = |pem: String| anchors(pem.as_bytes(), Timestamp::from_unix(1_800_000_000)).map(|found| found.len());
        assert_eq!(says(root.pem()), Ok(1));
        for (pem, why) in [
            (link.pem(), "its own key did not sign it"),
            (root.pem() + &link.pem(), "object 2"),
            (below.pem(), "another CA signed"),
        ] {
            let refused = says(pem).expect_err("no root");
            assert!(refused.contains(why), "{refused}");
        }
    }
}
