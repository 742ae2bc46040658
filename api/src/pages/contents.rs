//! What a certificate says in its own bytes, for people.

use ring::digest::{SHA256, digest};
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::fact::{Fact, fact, mono};

/// Ed25519 (RFC 8410).
const ED25519: &str = "1.3.101.112";

/// The kind of its key, what it is for, and the fingerprint that other tools show.
pub(super) fn facts(der: &[u8]) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Ok((_, parsed)) = X509Certificate::from_der(der) {
        facts.push(fact("Key", key(parsed.public_key())));
        let usage = parsed.extended_key_usage().ok().flatten().map(|extension| usage(extension.value));
        facts.extend(usage.filter(|usage| !usage.is_empty()).map(|usage| fact("For", usage)));
    }
    facts.push(mono("Certificate, SHA-256", hex::encode(digest(&SHA256, der))));
    facts
}

fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA, {} bits", rsa.key_size()),
        Ok(PublicKey::EC(point)) => format!("EC, P-{}", point.key_size()),
        _ if key.algorithm.algorithm.to_id_string() == ED25519 => "Ed25519".to_owned(),
        Ok(_) | Err(_) => key.algorithm.algorithm.to_id_string(),
    }
}

fn usage(usage: &ExtendedKeyUsage<'_>) -> String {
    let known = [
        (usage.server_auth, "TLS server"),
        (usage.client_auth, "TLS client"),
        (usage.code_signing, "code signing"),
        (usage.time_stamping, "time stamps"),
        (usage.ocsp_signing, "OCSP"),
        (usage.email_protection, "e-mail"),
    ];
    known.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn a_certificate_says_what_key_it_has_and_what_it_is_for() {
        for (algorithm, kind) in [(&PKCS_ECDSA_P384_SHA384, "EC, P-384"), (&PKCS_ED25519, "Ed25519")] {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).expect("params");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let pair = KeyPair::generate_for(algorithm).expect("a key");
            let der = params.self_signed(&pair).expect("a certificate").der().to_vec();
            let told: Vec<_> = facts(&der).iter().map(|fact| fact.value.clone()).collect();
            let fingerprint = hex::encode(digest(&SHA256, &der));
            assert_eq!(told, [kind, "TLS server, TLS client", fingerprint.as_str()]);
        }
    }
}
