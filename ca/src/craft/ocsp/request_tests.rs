//! Requests as clients send them, and what is none: each a row with its reason.

use der::Encode;
use der::asn1::{ObjectIdentifier, OctetStringRef, UintRef};
use proptest::prelude::*;

use super::request::{Asked, Malformed, Named, OCSP_REQUEST_BYTES_MAX};
use crate::encode::ocsp::{IdHash, IssuerId, NONCE, cert_id};
use crate::encode::tlv::{context, sequence};

/// `openssl ocsp -issuer CA -serial 0x0101a1 -reqout FILE` with a nonce, byte for byte.
const OPENSSL: &str = "306930673040303e303c300906052b0e03021a05000414424ef3366d8b17e4f9865ea7849fe102bad1a82e041454d73c0c53 \
    49bd84dc50666bf4b5e6c29e361f1702030101a1a2233021301f06092b060105050730010204120410c3688e379e2c1533dc \
    16a747abd3e022";

fn issuer(hash: IdHash) -> IssuerId {
    IssuerId::new(hash, b"a name", b"a key")
}

fn id(serial: &[u8]) -> Vec<u8> {
    cert_id(&issuer(IdHash::Sha1), serial).unwrap()
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    OctetStringRef::new(bytes).unwrap().to_der().unwrap()
}

fn seq(parts: &[&[u8]]) -> Vec<u8> {
    sequence(parts).unwrap()
}

fn extension(oid: ObjectIdentifier, is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[1, 1, 0xff] } else { &[] };
    seq(&[&oid.to_der().unwrap(), critical, &octets(value)])
}

/// A request of these CertIDs with these extensions.
fn request(ids: &[Vec<u8>], extensions: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = ids.iter().map(|id| seq(&[id])).collect();
    let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
    let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    let extensions = match extensions.is_empty() {
        true => Vec::new(),
        false => context(2, &seq(&extensions)).unwrap(),
    };
    seq(&[&seq(&[&seq(&list), &extensions])])
}

fn nonce(bytes: &[u8]) -> Vec<u8> {
    extension(NONCE, false, &octets(bytes))
}

const OTHER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.3.4");

#[test]
fn openssls_request_is_read_as_it_was_meant() {
    let bytes = hex::decode(OPENSSL.replace([' ', '\n'], "")).unwrap();
    let asked = Asked::read(&bytes).unwrap();
    let nonce = hex::decode("c3688e379e2c1533dc16a747abd3e022").unwrap();
    assert_eq!(asked.nonce, Some(nonce.as_slice()));
    let [Named { hash, issuer_name, issuer_key, serial }] = asked.certificates.as_slice() else { panic!("one") };
    assert_eq!((*hash, *serial), (Some(IdHash::Sha1), &[1, 1, 0xa1][..]));
    assert_eq!((issuer_name.len(), issuer_key.len()), (20, 20));
}

#[test]
fn what_clients_may_write_is_read() {
    let one = id(&[1, 2]);
    let sha384 = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2").to_der().unwrap();
    let named = |hash: &[u8]| seq(&[&seq(&[hash]), &octets(&[1; 20]), &octets(&[2; 20]), &[2, 1, 5]]);
    let version = context(0, &[2, 1, 0]).unwrap();
    let requestor = context(1, &context(4, &seq(&[])).unwrap()).unwrap();
    let single = context(0, &seq(&[&extension(OTHER, false, b"x")])).unwrap();
    let signature = context(0, &seq(&[b"\x05\x00"])).unwrap();
    let list = seq(&[&seq(&[&one])]);
    for (says, bytes, certificates, hash, nonce_bytes) in [
        ("one certificate", request(std::slice::from_ref(&one), &[]), 1, Some(IdHash::Sha1), 0),
        ("sixteen", request(&vec![one.clone(); 16], &[]), 16, Some(IdHash::Sha1), 0),
        ("a nonce of 1", request(std::slice::from_ref(&one), &[nonce(&[1])]), 1, Some(IdHash::Sha1), 1),
        ("a nonce of 128", request(std::slice::from_ref(&one), &[nonce(&[1; 128])]), 1, Some(IdHash::Sha1), 128),
        (
            "another extension",
            request(std::slice::from_ref(&one), &[extension(OTHER, false, b"")]),
            1,
            Some(IdHash::Sha1),
            0,
        ),
        (
            "a critical nonce",
            request(std::slice::from_ref(&one), &[extension(NONCE, true, &octets(&[1]))]),
            1,
            Some(IdHash::Sha1),
            1,
        ),
        ("a hash that names nobody", request(&[named(&sha384)], &[]), 1, None, 0),
        (
            "a hash without parameters",
            request(&[named(&IdHash::Sha1.oid().to_der().unwrap())], &[]),
            1,
            Some(IdHash::Sha1),
            0,
        ),
        ("version 1, said", seq(&[&seq(&[&version, &list])]), 1, Some(IdHash::Sha1), 0),
        ("a requestor", seq(&[&seq(&[&requestor, &list])]), 1, Some(IdHash::Sha1), 0),
        ("an extension of one", seq(&[&seq(&[&seq(&[&seq(&[&one, &single])])])]), 1, Some(IdHash::Sha1), 0),
        ("a signature nobody reads", seq(&[&seq(&[&list]), &signature]), 1, Some(IdHash::Sha1), 0),
    ] {
        let asked = Asked::read(&bytes).unwrap_or_else(|why| panic!("{says}: {why:?}"));
        assert_eq!(asked.certificates.len(), certificates, "{says}");
        assert_eq!(asked.certificates[0].hash, hash, "{says}");
        assert_eq!(asked.nonce.map_or(0, <[u8]>::len), nonce_bytes, "{says}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let one = id(&[1, 2]);
    let good = request(std::slice::from_ref(&one), &[]);
    let with = |extension: Vec<u8>| request(std::slice::from_ref(&one), &[extension]);
    let of_serial = |serial: &[u8]| {
        let id = seq(&[&seq(&[&IdHash::Sha1.oid().to_der().unwrap()]), &octets(&[1; 20]), &octets(&[2; 20]), serial]);
        request(&[id], &[])
    };
    let sha1 = IdHash::Sha1.oid().to_der().unwrap();
    let parameters = seq(&[&seq(&[&sha1, &seq(&[])]), &octets(&[1; 20]), &octets(&[2; 20]), &[2, 1, 5]]);
    let version = context(0, &[2, 1, 1]).unwrap();
    let list = seq(&[&seq(&[&one])]);
    let critical = context(0, &seq(&[&extension(OTHER, true, b"x")])).unwrap();
    let mut long = vec![2, 22, 1];
    long.extend([7; 21]);
    for (says, bytes) in [
        ("nothing", Vec::new()),
        ("no DER", b"GET / HTTP/1.1".to_vec()),
        ("cut short", good[..good.len() - 1].to_vec()),
        ("with more behind", [good.as_slice(), &[5, 0]].concat()),
        ("no certificate", request(&[], &[])),
        ("seventeen", request(&vec![one.clone(); 17], &[])),
        ("of version 2", seq(&[&seq(&[&version, &list])])),
        ("a critical extension", with(extension(OTHER, true, b""))),
        ("a critical extension of one", seq(&[&seq(&[&seq(&[&seq(&[&one, &critical])])])])),
        ("a nonce of 0", with(nonce(&[]))),
        ("a nonce of 129", with(nonce(&[1; 129]))),
        ("a nonce that is none", with(extension(NONCE, false, &[1; 16]))),
        ("a nonce and more behind", with(extension(NONCE, false, &[octets(&[1]), vec![0]].concat()))),
        ("two nonces", request(std::slice::from_ref(&one), &[nonce(&[1]), nonce(&[2])])),
        ("a negative serial", of_serial(&[2, 1, 0x80])),
        ("a serial of no bytes", of_serial(&[2, 0])),
        ("a serial of 22", of_serial(&long)),
        ("a serial with a needless zero", of_serial(&[2, 2, 0, 1])),
        ("a serial that is text", of_serial(&[0x0c, 1, b'5'])),
        ("parameters of a hash", request(&[parameters], &[])),
        ("too large", [&[0x30, 0x83, 0x01, 0x00, 0x00][..], &vec![0; 65_536]].concat()),
        ("a length that is not there", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ("of endless depth", [0x30, 0x80].repeat(1_000)),
    ] {
        assert!(Asked::read(&bytes).is_err(), "{says}");
    }
    assert_eq!(Asked::read(&vec![0; OCSP_REQUEST_BYTES_MAX + 1]), Err(Malformed("it is too large")));
}

proptest! {
    #[test]
    fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Asked::read(&bytes);
    }

    /// A good request with some bytes changed, cut or doubled: read or refused, and what is read is within bounds.
    #[test]
    fn a_mutated_request_is_read_or_refused(
        serial in proptest::collection::vec(1_u8.., 1..20),
        nonce_bytes in proptest::collection::vec(any::<u8>(), 1..40),
        at in any::<proptest::sample::Index>(),
        change in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
        how in 0..3_u8,
    ) {
        let mut bytes = request(&[id(&serial)], &[nonce(&nonce_bytes)]);
        let (at, cut) = (at.index(bytes.len()), cut.index(bytes.len()));
        match how {
            0 => bytes[at] = change,
            1 => bytes.truncate(cut),
            _ => bytes.insert(at, change),
        }
        if let Ok(asked) = Asked::read(&bytes) {
            prop_assert!((1..=16).contains(&asked.certificates.len()));
            prop_assert!(asked.certificates.iter().all(|named| (1..=20).contains(&named.serial.len())));
            prop_assert!(asked.nonce.is_none_or(|nonce| (1..=128).contains(&nonce.len())));
        }
    }

    #[test]
    fn a_serial_is_read_back(serial in proptest::collection::vec(any::<u8>(), 0..19), first in 1_u8..) {
        let serial = [&[first], serial.as_slice()].concat();
        let bytes = request(&[id(&serial)], &[]);
        prop_assert_eq!(Asked::read(&bytes).unwrap().certificates[0].serial, serial.as_slice());
        prop_assert!(UintRef::new(&serial).is_ok());
    }
}
