use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac::{HMAC_SHA256, Key, sign};
use ring::rand::SystemRandom;

use super::*;

const VECTOR: &str = include_str!("vectors/xwing.txt");

fn published(name: &str) -> Vec<u8> {
    let line = VECTOR.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    hex::decode(line.unwrap()).unwrap()
}

fn seed(byte: u8) -> Private {
    Private::of(&Bytes::new([byte; 32].into())).unwrap()
}

/// HPKE's key schedule and encryption once more, by the text of RFC 9180 and with ring.
mod by_hand {
    use super::*;

    const SUITE_ID: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x02";

    /// Section 4, `LabeledExtract`.
    fn extract(salt: &[u8], label: &[u8], ikm: &[u8]) -> Vec<u8> {
        hmac(salt, &[b"HPKE-v1", SUITE_ID, label, ikm])
    }

    /// Section 4, `LabeledExpand`, for no more than one block.
    fn expand(prk: &[u8], label: &[u8], info: &[u8], length: u8) -> Vec<u8> {
        let mut block = hmac(prk, &[&[0, length], b"HPKE-v1", SUITE_ID, label, info, &[1]]);
        block.truncate(length.into());
        block
    }

    fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        sign(&Key::new(HMAC_SHA256, key), &parts.concat()).as_ref().to_vec()
    }

    /// Section 5.1, `KeySchedule` of mode_base, and section 5.2, the first message.
    pub fn seal(shared_secret: &[u8], info: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let context = [&[0], &*extract(b"", b"psk_id_hash", b""), &extract(b"", b"info_hash", info)].concat();
        let secret = extract(shared_secret, b"secret", b"");
        let key = UnboundKey::new(&AES_256_GCM, &expand(&secret, b"key", &context, 32)).unwrap();
        let nonce = Nonce::try_assume_unique_for_key(&expand(&secret, b"base_nonce", &context, 12)).unwrap();
        let mut sealed = plain.to_vec();
        LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).unwrap();
        sealed
    }
}

/// The KEM is held against its published vector, the rest against the text of the RFC: what the two make is opened here.
#[test]
fn what_another_program_seals_is_opened() {
    let private = Private::of(&Bytes::new(Zeroizing::new(published("sk").try_into().unwrap()))).unwrap();
    let ciphertext = by_hand::seal(&published("ss"), b"for whom", b"what", b"a data key");
    let sealed = [published("ct"), ciphertext].concat();
    assert_eq!(private.open(&sealed, b"for whom", b"what").unwrap().as_slice(), b"a data key");
    assert!(private.open(&sealed, b"for whom", b"other").is_none() && private.open(&sealed, b"", b"what").is_none());
}

#[test]
fn only_the_private_half_opens_and_nothing_is_sealed_alike() {
    let public = seed(1).public();
    let [one, other] = [(); 2].map(|()| public.seal(b"dek", b"info", b"aad", &SystemRandom::new()).unwrap());
    assert_ne!(one, other);
    assert_eq!(one.len(), 3 + SEAL_OVERHEAD);
    for sealed in [one, other] {
        assert_eq!(seed(1).open(&sealed, b"info", b"aad").unwrap().as_slice(), b"dek");
        assert!(seed(2).open(&sealed, b"info", b"aad").is_none());
        assert!((0..sealed.len()).all(|length| seed(1).open(&sealed[..length], b"info", b"aad").is_none()));
    }
}

#[test]
fn the_public_half_is_read_as_it_was_written_and_no_other_bytes_are_one() {
    let public = seed(1).public();
    let bytes = public.to_bytes();
    assert_eq!(bytes.len(), PUBLIC_BYTES);
    assert!(Public::from_bytes(&bytes).unwrap() == public && seed(2).public() != public);
    assert!(
        Public::from_bytes(&bytes[1..]).is_none() && Public::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_none()
    );
    // FIPS 203 section 7.2: coefficients that are not reduced are refused.
    assert!(Public::from_bytes(&[0xff; PUBLIC_BYTES]).is_none());
}

#[test]
fn bytes_that_were_not_drawn_are_never_taken_for_random() {
    let mut drawn = Drawn::of(&SystemRandom::new()).unwrap();
    let mut wanted = [0; ENCAPSULATION_RANDOM_BYTES];
    drawn.try_fill_bytes(&mut wanted).unwrap();
    assert!(drawn.was_enough && wanted != [0; ENCAPSULATION_RANDOM_BYTES]);
    drawn.try_next_u32().unwrap();
    assert!(!drawn.was_enough);
    // Not even when less is asked for afterwards.
    drawn.try_fill_bytes(&mut []).unwrap();
    assert!(!drawn.was_enough);
}
