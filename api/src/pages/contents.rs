//! What a certificate says in its own bytes, for people.

use ring::digest::{SHA256, digest};
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::fact::{Fact, fact, mono};

/// Keys without parameters: Ed25519 (RFC 8410), ML-DSA (RFC 9881).
const BARE: [(&str, &str); 4] = [
    ("1.3.101.112", "Ed25519"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

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
    let oid = key.algorithm.algorithm.to_id_string();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => format!("RSA, {} bits", rsa.key_size()),
        // A coordinate of P-521 is written in 66 bytes.
        Ok(PublicKey::EC(point)) if point.key_size() == 528 => "EC, P-521".to_owned(),
        Ok(PublicKey::EC(point)) => format!("EC, P-{}", point.key_size()),
        Ok(_) | Err(_) => BARE.iter().find(|(bare, _)| *bare == oid).map_or(oid, |(_, name)| (*name).to_owned()),
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
    fn every_kind_of_key_has_a_name() {
        let oid = |bytes: &[u8]| [&[6, u8::try_from(bytes.len()).expect("short")], bytes].concat();
        let algorithm = |parts: &[u8]| [&[0x30, u8::try_from(parts.len()).expect("short")], parts].concat();
        let ec = [oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), oid(&[0x2b, 0x81, 4, 0, 35])].concat();
        let p521 = [&algorithm(&ec)[..], &[3, 0x81, 134, 0, 4], &[1; 132]].concat();
        let lattice = |set: u8| {
            let oid = oid(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, set]);
            [&algorithm(&oid)[..], &[3, 2, 0, 7]].concat()
        };
        for (body, name) in [(p521, "EC, P-521"), (lattice(17), "ML-DSA-44"), (lattice(19), "ML-DSA-87")] {
            let short = u8::try_from(body.len()).expect("short");
            let header = if short < 0x80 { vec![0x30, short] } else { vec![0x30, 0x81, short] };
            let spki = [header, body].concat();
            let (_, read) = SubjectPublicKeyInfo::from_der(&spki).expect("a key");
            assert_eq!(key(&read), name);
        }
    }

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
