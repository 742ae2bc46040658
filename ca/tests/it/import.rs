//! CAs that come with what they signed elsewhere: each form gives the same, what is no certificate of the CA stays out, what breaks off
//! goes on, and nobody sees a revoked one as good.

mod forms;
mod keys;
mod landing;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::estates::Ended;
use ca::{Arrival, Arriving, Authority, GenerationName, GenerationState, Landed, Source};
use hsm::testing::TestToken;
use policy::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber,
};

use crate::house::{House, admin};

/// A CA of another program, with its key in memory.
struct Old {
    certificate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Old {
    fn new(name: &str) -> Old {
        Old::called(name, KeyIdMethod::Sha256)
    }

    /// Whose key is called so in its certificate.
    fn named(name: &str, identifier: &[u8]) -> Old {
        Old::called(name, KeyIdMethod::PreSpecified(identifier.to_vec()))
    }

    fn called(name: &str, key_identifier_method: KeyIdMethod) -> Old {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2044, 1, 1);
        params.key_identifier_method = key_identifier_method;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Old { certificate, issuer: Issuer::new(params, key) }
    }

    /// The same key under another name, as a PrintableString.
    fn renamed(&self, name: &str) -> Old {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let name = rcgen::DnValue::PrintableString(name.try_into().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::from_pem(&self.issuer.key().serialize_pem()).unwrap();
        Old { certificate: self.certificate.clone(), issuer: Issuer::new(params, key) }
    }

    /// A certificate with this serial.
    fn signs(&self, serial: &[u8], name: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2043, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap().der().to_vec()
    }

    fn lists(&self, number: u64, serials: &[&[u8]]) -> Vec<u8> {
        let entry = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: rcgen::date_time_ymd(2025, 6, 1),
            reason_code: Some(RevocationReason::Superseded),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2025, 6, 2),
            next_update: rcgen::date_time_ymd(2025, 7, 2),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }

    /// Its key comes into the house's token by the vendor's tool.
    fn moves_into(&self, house: &House, label: &str) {
        self.moves_to(&house.token, house, label);
    }

    fn moves_to(&self, token: &TestToken, house: &House, label: &str) {
        let file = house.file(&format!("{label}.pem"), self.issuer.key().serialize_pem());
        let id = hex::encode(label);
        token.import(&file, (label, &id), &[]);
    }

    fn arrival(&self, name: &str, label: &str, crl_number: Option<u64>) -> Arrival {
        Arrival {
            name: name.to_owned(),
            label: label.to_owned(),
            chain_pem: pem("CERTIFICATE", &self.certificate).into_bytes(),
            leaves: true,
            token: None,
            was_outside: true,
            root: Some(sha256(&self.certificate)),
            crl_number,
        }
    }
}

fn sha256(der: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, der).as_ref().try_into().unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn june() -> Timestamp {
    Timestamp::parse_rfc3339("2025-06-01T00:00:00Z").unwrap()
}

fn good(der: &[u8]) -> Arriving {
    Arriving { certificate: Some(der.to_vec()), serial: Vec::new(), until: None, end: None }
}

fn ended(der: &[u8], reason: u8) -> Arriving {
    Arriving { end: Some(Ended { at: june(), reason, invalid: None }), ..good(der) }
}

async fn lands(authority: &Authority, name: &GenerationName, all: Vec<Arriving>) -> Landed {
    authority.import_some(&admin(), name, (all, None, &[7; 32]), false).await.unwrap()
}

async fn done(authority: &Authority, name: &GenerationName) -> ca::Arrived {
    let source = Source { place: "a test".to_owned(), sha256: [7; 32] };
    authority.import_done(&admin(), name, (&source, &Landed::default())).await.unwrap()
}

fn state(authority: &Authority, wanted: &str) -> GenerationState {
    let all = authority.issuers().into_iter().flat_map(|issuer| issuer.generations);
    all.into_iter().find(|generation| generation.name.to_string() == wanted).unwrap().state
}
