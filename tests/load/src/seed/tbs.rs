//! The TBSCertificate of a TLS server as the service makes it (RFC 5280 section 4.1), from parts that are encoded once and the
//! few that each certificate has for itself.

use policy::{Timestamp, Validity};
use ring::digest::{SHA256, digest};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// A name of kind dNSName and one of kind uniformResourceIdentifier.
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;

const VERSION_3: &[u8] = &[0xa0, 3, INTEGER, 1, 2];
const ECDSA_WITH_SHA256: &[u8] = &[SEQUENCE, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const P256: &[u8] =
    &[SEQUENCE, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];
const TRUE: &[u8] = &[1, 1, 0xff];
/// Object identifiers of the extensions.
const SUBJECT_KEY_ID: &[u8] = &[6, 3, 0x55, 0x1d, 14];
const KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 15];
const ALT_NAME: &[u8] = &[6, 3, 0x55, 0x1d, 17];
const CRL_POINTS: &[u8] = &[6, 3, 0x55, 0x1d, 31];
const AUTHORITY_KEY_ID: &[u8] = &[6, 3, 0x55, 0x1d, 35];
const EXT_KEY_USAGE: &[u8] = &[6, 3, 0x55, 0x1d, 37];
const AUTHORITY_INFO: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 1];
const CA_ISSUERS: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 48, 2];
const SERVER_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];

/// What all certificates of one issuer share.
pub(super) struct Template {
    issuer: Vec<u8>,
    usage: Vec<u8>,
    pointers: Vec<u8>,
}

/// What one has for itself.
pub(super) struct Subject<'a> {
    pub(super) serial: &'a [u8],
    pub(super) name: &'a str,
    pub(super) validity: Validity,
    /// An uncompressed P-256 point.
    pub(super) point: &'a [u8],
}

impl Template {
    /// `issuer` is the CA's subject, DER; `point` the key that signs.
    pub(super) fn new(issuer: &[u8], point: &[u8], http_base: &str, label: &str) -> Template {
        let crl = tlv(URI, &[format!("{http_base}/crl/{label}/0.crl").as_bytes()]);
        let crl = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(0xa0, &[&tlv(0xa0, &[&crl])])])]);
        let aia = tlv(URI, &[format!("{http_base}/aia/{label}.cer").as_bytes()]);
        let aia = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[CA_ISSUERS, &aia])]);
        let key_id = tlv(SEQUENCE, &[&tlv(0x80, &[&key_identifier(point)])]);
        let pointers =
            [extension(AUTHORITY_KEY_ID, &key_id), extension(CRL_POINTS, &crl), extension(AUTHORITY_INFO, &aia)];
        let usage = tlv(SEQUENCE, &[KEY_USAGE, TRUE, &tlv(OCTET_STRING, &[&[BIT_STRING, 2, 7, 0x80]])]);
        let usage = [usage, extension(EXT_KEY_USAGE, &tlv(SEQUENCE, &[SERVER_AUTH]))].concat();
        Template { issuer: issuer.to_vec(), usage, pointers: pointers.concat() }
    }

    pub(super) fn encode(&self, subject: &Subject<'_>) -> Vec<u8> {
        let Subject { serial, name, validity, point } = *subject;
        let name_der = tlv(UTF8_STRING, &[name.as_bytes()]);
        let dn = tlv(SEQUENCE, &[&tlv(SET, &[&tlv(SEQUENCE, &[COMMON_NAME, &name_der])])]);
        let validity = tlv(SEQUENCE, &[&time(validity.not_before()), &time(validity.not_after())]);
        let id = extension(SUBJECT_KEY_ID, &tlv(OCTET_STRING, &[&key_identifier(point)]));
        let alt = extension(ALT_NAME, &tlv(SEQUENCE, &[&tlv(DNS_NAME, &[name.as_bytes()])]));
        let extensions = tlv(0xa3, &[&tlv(SEQUENCE, &[&self.usage, &id, &self.pointers, &alt])]);
        let serial = tlv(INTEGER, &[serial]);
        let parts = [VERSION_3, &serial, ECDSA_WITH_SHA256, &self.issuer, &validity, &dn, &spki(point), &extensions];
        tlv(SEQUENCE, &parts)
    }
}

/// A P-256 key's SubjectPublicKeyInfo.
pub(super) fn spki(point: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[P256, &tlv(BIT_STRING, &[&[0], point])])
}

/// RFC 7093 section 2, method 1.
fn key_identifier(point: &[u8]) -> [u8; 20] {
    let mut id = [0; 20];
    id.copy_from_slice(&digest(&SHA256, point).as_ref()[..20]);
    id
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[oid, &tlv(OCTET_STRING, &[value])])
}

/// `2026-11-27T07:18:14Z` as `261127071814Z`; no seed lives until 2050.
fn time(at: Timestamp) -> Vec<u8> {
    let digits: Vec<u8> = at.rfc3339().bytes().filter(u8::is_ascii_digit).skip(2).collect();
    tlv(UTC_TIME, &[&digits, b"Z"])
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 4);
    out.push(tag);
    match u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes() {
        [0, short @ 0..=127] => out.push(short),
        [0, low] => out.extend([0x81, low]),
        [high, low] => out.extend([0x82, high, low]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use x509_parser::prelude::{FromDer, TbsCertificate};

    use super::*;

    #[test]
    fn a_parser_reads_what_was_meant() {
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &rng).unwrap();
        let point = pair.public_key().as_ref();
        let issuer = tlv(SEQUENCE, &[&tlv(SET, &[&tlv(SEQUENCE, &[COMMON_NAME, &tlv(UTF8_STRING, &[b"TLS"])])])]);
        let start = Timestamp::parse_rfc3339("2026-11-27T07:18:14Z").unwrap();
        let subject = Subject {
            serial: &[1; 16],
            name: "h00000001.example.internal",
            validity: Validity::starting(start, 60),
            point,
        };
        let tbs = Template::new(&issuer, point, "http://localhost:8080", "tls").encode(&subject);
        let (rest, read) = TbsCertificate::from_der(&tbs).unwrap();
        assert!(rest.is_empty());
        assert_eq!(read.issuer().to_string(), "CN=TLS");
        assert_eq!(read.subject().to_string(), "CN=h00000001.example.internal");
        assert_eq!(read.validity().not_before.timestamp(), start.unix());
        assert_eq!(read.validity().not_after.timestamp(), start.unix() + 59);
        assert_eq!(read.public_key().raw, spki(point));
        assert_eq!(read.extensions().len(), 7);
        assert!(read.extensions().iter().all(|e| !e.parsed_extension().unsupported()));
        let names = read.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names.len(), 1);
        assert!(read.key_usage().unwrap().unwrap().value.digital_signature());
        assert!(read.extended_key_usage().unwrap().unwrap().value.server_auth);
    }
}
