//! Transit: what is sealed opens for what it was sealed for alone, and as others compute it.

use chancery_secrets::transit::*;
use chancery_secrets::{NoRandom, Random};
use proptest::prelude::*;
use ring::rand::SystemRandom;

/// The same byte for ever, so that what comes out can be computed elsewhere.
struct Stuck(u8);

impl Random for Stuck {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        bytes.fill(self.0);
        Ok(())
    }
}

struct Nothing;

impl Random for Nothing {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), NoRandom> {
        Err(NoRandom)
    }
}

fn drawn(kind: KeyKind, mode: Mode) -> Keyset {
    Keyset::draw("pay".parse().unwrap(), kind, mode, &mut SystemRandom::new()).unwrap()
}

/// The key whose bytes are 0, 1, 2 to 31, as it lies sealed.
fn counted(kind: u8, mode: u8) -> Keyset {
    let mut bytes = vec![1, kind, mode, 3, 0, 0, 0, 1];
    bytes.extend_from_slice(b"pay");
    bytes.extend(0..32);
    let keys = Keyset::decode(&bytes).unwrap();
    assert_eq!(keys.encode().as_slice(), bytes);
    keys
}

fn on(keys: &Keyset, min_decrypt: u32, min_encrypt: u32) -> Key<'_> {
    keys.on(Terms { min_decrypt, min_encrypt }).unwrap()
}

fn all(keys: &Keyset) -> Key<'_> {
    on(keys, keys.oldest(), keys.oldest())
}

fn rotated(keys: &Keyset) -> Keyset {
    keys.rotated(&mut SystemRandom::new()).unwrap()
}

fn context(mode: Mode) -> Option<&'static [u8]> {
    (mode != Mode::Plain).then_some(b"tenant-1")
}

fn seal(key: &Key<'_>, item: Encrypt<'_>) -> Result<String, TransitError> {
    key.encrypt(None, &[item], &mut SystemRandom::new())?.into_each().remove(0)
}

fn open(key: &Key<'_>, text: &str, context: Option<&[u8]>, associated: &[u8]) -> Result<Vec<u8>, TransitError> {
    key.decrypt(&[Sealed { text, context, associated }])?.remove(0).map(|plain| plain.to_vec())
}

const SEALING: [KeyKind; 2] = [KeyKind::Aes256Gcm, KeyKind::ChaCha20Poly1305];
const PLAIN: &[u8] = b"attack at dawn";

/// Computed by Python's `hmac` and `cryptography`, from docs/decisions/018-transit.md.
#[test]
fn ciphertexts_are_what_another_program_computes() {
    let keys = counted(1, 0);
    let key = all(&keys);
    let item = |plain| Encrypt { plain, context: None, associated: b"row 7" };
    let made = key.encrypt(None, &[item(PLAIN), item(b"")], &mut Stuck(0x42)).unwrap().into_each();
    let expected = [
        "chy:v1:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCAAAAAD5MzDaUvjbXSMMd5P7X0SV9kldY83XDaPOPCz4eQg==",
        "chy:v1:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCAAAAAVzIvR/Q/omMq8+UwlL1pd0=",
    ];
    assert_eq!(made, expected.map(|text| Ok(text.to_owned())));
    assert_eq!(open(&key, expected[1], None, b"row 7").unwrap(), b"");
    let keys = counted(2, 1);
    let item = Encrypt { plain: PLAIN, context: Some(b"tenant-1"), associated: b"" };
    let made = all(&keys).encrypt(None, &[item], &mut Stuck(0x42)).unwrap().into_each();
    let expected = "chy:v1:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCAAAAAF3tNm5go7ot9mrhoEvMYDT7/sAVoHjSHdtdofcJQw==";
    assert_eq!(made, [Ok(expected.to_owned())]);
    let keys = counted(1, 2);
    let item = Encrypt { plain: PLAIN, context: Some(b"tenant-1"), associated: b"row 7" };
    let expected = "chy:v1:++V3RHsxizKv4T1U22PNc+nuTk45WRO8QLXdTneL2osTT8JTzU6Tk3TkK3RPWtITEzyT5wGRhehlAWXuLbk=";
    assert_eq!(seal(&all(&keys), item).unwrap(), expected);
    assert_eq!(open(&all(&keys), expected, Some(b"tenant-1"), b"row 7").unwrap(), PLAIN);
}

/// Sealed as above by who has the keys, under an IV of his choice, so that the tag is right.
#[test]
fn a_convergent_text_whose_iv_is_not_that_of_its_plaintext_is_refused() {
    let forged = "chy:v1:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJgHZhI9bCyxu2zkUZjypq17AH/lft5RoUnuC1lfAM=";
    let opened = open(&all(&counted(1, 2)), forged, Some(b"tenant-1"), b"row 7");
    assert_eq!(opened, Err(TransitError::Forged));
}

#[test]
fn signatures_and_hmacs_are_what_another_program_computes() {
    let sign = |keys: &Keyset, context| {
        let item = Sign { message: PLAIN, context };
        all(keys).sign(None, &[item]).unwrap().into_each().remove(0).unwrap()
    };
    assert_eq!(sign(&counted(3, 0), None), "chy:v1:qn2xmDTaT7gKwgAlG1/t9ElGLD//5IpdXz6RZUa6jSc=");
    assert_eq!(sign(&counted(3, 1), context(Mode::Derived)), "chy:v1:aGTjNWeeGusPjwbxdkiD/VozLJqQI3Q1vugYqYTmwCY=");
    let ed25519 = counted(4, 0);
    let signed = "chy:v1:Q9RWN0OHWy0T3iu3GVcQMByVlz8pkze/QZLcoLCvFg/yWO/fNU8vnaQfIDqiVRGpBq9AsYOaeNbL4x6iZqjoBw==";
    assert_eq!(sign(&ed25519, None), signed);
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n-----END PUBLIC KEY-----\n";
    assert_eq!(ed25519.public_key(1).unwrap().unwrap(), public);
    // A signature of ECDSA is another each time: theirs is verified here.
    let ecdsa = counted(5, 0);
    let text =
        "chy:v1:MEYCIQCHQGzIK+9+R3222jpryNfAh8NXcNTL3sJ2k1Mpk5GEugIhALxUqbdarhisHr+oWOtpB32eM5S3LKi7ksq8tzTTpqDF";
    let theirs = Verify { message: PLAIN, context: None, text };
    assert_eq!(all(&ecdsa).verify(&[theirs]).unwrap(), [Ok(true)]);
    let public = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEelkxgIYMQDfIPBJ0mEXI7hQk3Sl/\nrcuJXjWCVdLH0rKoyiVYDyYm/leQYv8bmf+RwkoNoG+zK1viAUjJJJ9WUA==\n-----END PUBLIC KEY-----\n";
    assert_eq!(ecdsa.public_key(1).unwrap().unwrap(), public);
    assert_eq!(counted(3, 0).public_key(1), Ok(None));
}

#[test]
fn what_was_sealed_opens_for_its_own_key_version_context_and_data_alone() {
    for (kind, mode) in SEALING.into_iter().flat_map(|kind| Mode::ALL.iter().map(move |mode| (kind, *mode))) {
        let keys = rotated(&drawn(kind, mode));
        let key = all(&keys);
        let item = Encrypt { plain: PLAIN, context: context(mode), associated: b"row 7" };
        let text = seal(&key, item).unwrap();
        assert!(text.starts_with("chy:v2:"), "{text}");
        assert_eq!(open(&key, &text, context(mode), b"row 7").unwrap(), PLAIN);
        assert_eq!(open(&key, &text, context(mode), b"row 8"), Err(TransitError::Forged));
        assert_eq!(open(&key, &text, context(mode), b""), Err(TransitError::Forged));
        let older = text.replace("v2", "v1");
        assert_eq!(open(&key, &older, context(mode), b"row 7"), Err(TransitError::Forged));
        assert_eq!(open(&key, &text.replace("v2", "v3"), context(mode), b"row 7"), Err(TransitError::NoVersion(3)));
        let other = rotated(&drawn(kind, mode));
        assert_eq!(open(&all(&other), &text, context(mode), b"row 7"), Err(TransitError::Forged));
        match mode {
            Mode::Plain => {
                assert_eq!(open(&key, &text, Some(b"tenant-1"), b"row 7"), Err(TransitError::ContextUnused));
            }
            Mode::Derived | Mode::Convergent => {
                assert_eq!(open(&key, &text, Some(b"tenant-2"), b"row 7"), Err(TransitError::Forged));
                // What moves from the one to the other is not the same.
                assert_eq!(open(&key, &text, Some(b"tenant-1row 7"), b""), Err(TransitError::Forged));
                assert_eq!(open(&key, &text, None, b"row 7"), Err(TransitError::ContextMissing));
                assert_eq!(open(&key, &text, Some(b""), b"row 7"), Err(TransitError::ContextMissing));
            }
        }
    }
}

/// The same bytes under another name are another key: what a name is bound to cannot be given another.
#[test]
fn a_key_of_another_name_kind_or_mode_opens_nothing_with_the_same_bytes() {
    let keys = counted(1, 1);
    let text = seal(&all(&keys), Encrypt { plain: PLAIN, context: Some(b"c"), associated: b"" }).unwrap();
    let mut bytes = keys.encode().to_vec();
    bytes[8..11].copy_from_slice(b"hay");
    let renamed = Keyset::decode(&bytes).unwrap();
    for other in [renamed, counted(2, 1), counted(1, 2)] {
        assert_eq!(open(&all(&other), &text, Some(b"c"), b""), Err(TransitError::Forged), "{other:?}");
    }
}

#[test]
fn no_bit_of_a_ciphertext_is_another_and_none_is_missing() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    for (kind, mode) in SEALING.into_iter().flat_map(|kind| Mode::ALL.iter().map(move |mode| (kind, *mode))) {
        let keys = drawn(kind, mode);
        let key = all(&keys);
        let text = seal(&key, Encrypt { plain: PLAIN, context: context(mode), associated: b"" }).unwrap();
        let bytes = STANDARD.decode(text.strip_prefix("chy:v1:").unwrap()).unwrap();
        let opens = |bytes: &[u8]| open(&key, &format!("chy:v1:{}", STANDARD.encode(bytes)), context(mode), b"");
        assert_eq!(opens(&bytes).unwrap(), PLAIN);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(opens(&flipped), Err(TransitError::Forged), "{kind} {mode} bit {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(opens(&bytes[..length]), Err(TransitError::Forged), "{kind} {mode} {length} bytes");
        }
    }
}

#[test]
fn a_text_has_one_form() {
    let keys = drawn(KeyKind::Aes256Gcm, Mode::Plain);
    let key = all(&keys);
    let text = seal(&key, Encrypt { plain: b"12", context: None, associated: b"" }).unwrap();
    let body = text.strip_prefix("chy:v1:").unwrap();
    assert!(open(&key, &text, None, b"").is_ok());
    let wrong = [
        String::new(),
        body.to_owned(),
        format!("chy:v01:{body}"),
        format!("chy:v+1:{body}"),
        format!("chy:v0:{body}"),
        format!("chy:v4294967296:{body}"),
        format!("chy:v-1:{body}"),
        format!("vault:v1:{body}"),
        format!("CHY:v1:{body}"),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{text}="),
        text.trim_end_matches('=').to_owned() + "A",
        text.replacen("chy:v1:", "chy:v1", 1),
    ];
    for wrong in wrong {
        assert_eq!(open(&key, &wrong, None, b""), Err(TransitError::Malformed), "{wrong:?}");
    }
    assert_eq!(open(&key, "chy:v1:", None, b""), Err(TransitError::Forged));
}

#[test]
fn a_salted_key_seals_the_same_to_another_each_time_and_a_convergent_one_does_not() {
    for kind in SEALING {
        let item = |mode| Encrypt { plain: PLAIN, context: context(mode), associated: b"row 7" };
        for mode in [Mode::Plain, Mode::Derived] {
            let keys = drawn(kind, mode);
            let key = all(&keys);
            let batch = key.encrypt(None, &[item(mode); 3], &mut Stuck(7)).unwrap().into_each();
            let texts: std::collections::BTreeSet<&String> = batch.iter().flatten().collect();
            // With one salt for all, which no source of bytes but this one gives: they are numbered.
            assert_eq!(texts.len(), 3);
            assert_ne!(seal(&key, item(mode)), seal(&key, item(mode)));
        }
        let keys = drawn(kind, Mode::Convergent);
        let key = all(&keys);
        let one = seal(&key, item(Mode::Convergent)).unwrap();
        assert_eq!(seal(&key, item(Mode::Convergent)).unwrap(), one);
        // It needs no chance at all.
        let made = key.encrypt(None, &[item(Mode::Convergent)], &mut Nothing).unwrap().into_each();
        assert_eq!(made, [Ok(one.clone())]);
        let others = [
            Encrypt { plain: b"attack at dusk", ..item(Mode::Convergent) },
            Encrypt { context: Some(b"tenant-2"), ..item(Mode::Convergent) },
            Encrypt { associated: b"row 8", ..item(Mode::Convergent) },
        ];
        // No part of theirs is the same: neither the IV nor what follows.
        for other in others {
            let other = seal(&key, other).unwrap();
            assert_ne!(other[..24], one[..24]);
            assert_ne!(other[52..], one[52..]);
        }
    }
    let keys = drawn(KeyKind::Aes256Gcm, Mode::Plain);
    let item = Encrypt { plain: PLAIN, context: None, associated: b"" };
    assert_eq!(all(&keys).encrypt(None, &[item], &mut Nothing).unwrap().into_each(), [Err(TransitError::NoRandom)]);
}

#[test]
fn versions_are_used_on_their_terms() {
    let keys = rotated(&rotated(&drawn(KeyKind::Aes256Gcm, Mode::Plain)));
    let item = Encrypt { plain: PLAIN, context: None, associated: b"" };
    let under = |key: &Key<'_>, version| {
        key.encrypt(version, &[item], &mut SystemRandom::new()).map(|made| made.into_each().remove(0).unwrap())
    };
    let key = all(&keys);
    let texts = [1, 2, 3].map(|version| under(&key, Some(version)).unwrap());
    assert_eq!(under(&key, None).unwrap()[..7], texts[2][..7]);
    assert_eq!(under(&key, Some(4)), Err(TransitError::NoVersion(4)));
    let key = on(&keys, 2, 3);
    assert_eq!(under(&key, Some(2)), Err(TransitError::Retired { version: 2, least: 3 }));
    assert_eq!(open(&key, &texts[0], None, b""), Err(TransitError::Retired { version: 1, least: 2 }));
    assert_eq!(open(&key, &texts[1], None, b"").unwrap(), PLAIN);
    // The way back: nothing is lost until it is trimmed.
    assert_eq!(open(&on(&keys, 1, 3), &texts[0], None, b"").unwrap(), PLAIN);
    let trimmed = keys.trimmed(Terms { min_decrypt: 2, min_encrypt: 3 }).unwrap();
    assert_eq!((trimmed.oldest(), trimmed.newest()), (2, 3));
    assert_eq!(open(&all(&trimmed), &texts[1], None, b"").unwrap(), PLAIN);
    assert!(trimmed.on(Terms { min_decrypt: 1, min_encrypt: 3 }).is_err());
    let again = Keyset::decode(&trimmed.encode()).unwrap();
    assert_eq!(open(&all(&again), &texts[2], None, b"").unwrap(), PLAIN);
    assert!(rotated(&again).newest() == 4);
    for (min_decrypt, min_encrypt) in [(0, 1), (4, 4), (2, 1), (1, 4), (3, 2), (0, 0)] {
        assert!(keys.on(Terms { min_decrypt, min_encrypt }).is_err(), "{min_decrypt} {min_encrypt}");
    }
}

#[test]
fn rewrap_seals_under_the_newest_version_and_keeps_what_it_is_bound_to() {
    for mode in Mode::ALL {
        let first = drawn(KeyKind::ChaCha20Poly1305, *mode);
        let item = Encrypt { plain: PLAIN, context: context(*mode), associated: b"row 7" };
        let old = seal(&all(&first), item).unwrap();
        let keys = rotated(&first);
        let sealed = |text, associated| Sealed { text, context: context(*mode), associated };
        let batch = [sealed(&old, b"row 7"), sealed(&old, b"row 8"), sealed("chy:v1:AA", b"")];
        let anew = all(&keys).rewrap(None, &batch, &mut SystemRandom::new()).unwrap().into_each();
        let text = anew[0].as_ref().unwrap();
        assert!(text.starts_with("chy:v2:"));
        assert_eq!(anew[1..], [Err(TransitError::Forged), Err(TransitError::Malformed)]);
        // The old version is not needed any more, and the associated data still is.
        assert_eq!(open(&on(&keys, 2, 2), text, context(*mode), b"row 7").unwrap(), PLAIN);
        assert_eq!(open(&on(&keys, 2, 2), text, context(*mode), b""), Err(TransitError::Forged));
    }
}

#[test]
fn what_several_batches_versions_and_contexts_sealed_is_opened_in_one() {
    for mode in Mode::ALL {
        let keys = rotated(&drawn(KeyKind::Aes256Gcm, *mode));
        let key = all(&keys);
        let contexts = [context(*mode), context(*mode).map(|_| b"tenant-2".as_slice())];
        let sealed: Vec<_> = (0..12_u8)
            .map(|at| {
                let (plain, context) = (vec![at; 20], contexts[usize::from(at / 3 % 2)]);
                let item = Encrypt { plain: &plain, context, associated: b"" };
                let version = 1 + u32::from(at / 4 % 2);
                let text = key
                    .encrypt(Some(version), &[item], &mut SystemRandom::new())
                    .unwrap()
                    .into_each()
                    .remove(0)
                    .unwrap();
                (text, context, plain)
            })
            .collect();
        let items: Vec<Sealed<'_>> =
            sealed.iter().map(|(text, context, _)| Sealed { text, context: *context, associated: b"" }).collect();
        for (opened, (_, _, plain)) in key.decrypt(&items).unwrap().into_iter().zip(&sealed) {
            assert_eq!(opened.unwrap().as_slice(), plain, "{mode}");
        }
    }
}

#[test]
fn a_data_key_is_what_was_wrapped_and_is_shown_to_who_asks_for_it_alone() {
    let keys = drawn(KeyKind::Aes256Gcm, Mode::Derived);
    let item = Encrypt { plain: b"", context: Some(b"file"), associated: b"1" };
    let new = |bytes, shown| all(&keys).data_key(None, bytes, shown, &item, &mut SystemRandom::new());
    for bytes in [16, 32, 64] {
        let made = new(bytes, true).unwrap();
        let plain = made.plain.unwrap();
        assert_eq!(plain.len(), bytes);
        assert_eq!(open(&all(&keys), &made.wrapped, Some(b"file"), b"1").unwrap(), plain.as_slice());
        assert_ne!(new(bytes, true).unwrap().plain.unwrap(), plain);
    }
    let hidden = new(32, false).unwrap();
    assert!(hidden.plain.is_none());
    assert_eq!(open(&all(&keys), &hidden.wrapped, Some(b"file"), b"1").unwrap().len(), 32);
    for bytes in [0, 15, 33, 65] {
        assert!(new(bytes, true).is_err(), "{bytes}");
    }
}

#[test]
fn what_was_signed_is_verified_by_its_version_and_for_its_message_alone() {
    for (kind, mode) in [
        (KeyKind::HmacSha256, Mode::Plain),
        (KeyKind::HmacSha256, Mode::Derived),
        (KeyKind::Ed25519, Mode::Plain),
        (KeyKind::EcdsaP256, Mode::Plain),
    ] {
        let keys = rotated(&drawn(kind, mode));
        let key = all(&keys);
        let signed = |version| {
            let item = Sign { message: PLAIN, context: context(mode) };
            key.sign(version, &[item]).unwrap().into_each().remove(0).unwrap()
        };
        let (old, text) = (signed(Some(1)), signed(None));
        let item = |text| Verify { message: PLAIN, context: context(mode), text };
        let crossed = old.replace("v1", "v2");
        let mut items = vec![item(&text), item(&old), item(&crossed), Verify { message: b"dusk", ..item(&text) }];
        let mut expected = vec![Ok(true), Ok(true), Ok(false), Ok(false)];
        if mode == Mode::Derived {
            items.push(Verify { context: Some(b"tenant-2"), ..item(&text) });
            expected.push(Ok(false));
        }
        items.push(item("chy:v2:AA=="));
        items.push(item("chy:v3:AA=="));
        items.push(item("nothing"));
        expected.extend([Ok(false), Err(TransitError::NoVersion(3)), Err(TransitError::Malformed)]);
        assert_eq!(key.verify(&items).unwrap(), expected, "{kind} {mode}");
        let key = on(&keys, 2, 2);
        let retired = Err(TransitError::Retired { version: 1, least: 2 });
        assert_eq!(key.verify(&[item(&old)]).unwrap(), [retired]);
        assert!(key.sign(Some(1), &[]).is_err());
    }
}

#[test]
fn a_key_does_what_its_kind_does_in_the_modes_that_it_has() {
    let item = Encrypt { plain: PLAIN, context: None, associated: b"" };
    for kind in KeyKind::ALL {
        assert_eq!(kind.as_str().parse::<KeyKind>().unwrap(), *kind);
        let keys = drawn(*kind, Mode::Plain);
        let (seals, signs) = (seal(&all(&keys), item), all(&keys).sign(None, &[]));
        assert_eq!((seals.is_ok(), signs.is_ok()), (SEALING.contains(kind), !SEALING.contains(kind)));
        let refused = [seals.err(), signs.err()].into_iter().flatten().next().unwrap();
        assert!(matches!(&refused, TransitError::NotForKind { .. }), "{refused}");
    }
    for mode in Mode::ALL {
        assert_eq!(mode.as_str().parse::<Mode>().unwrap(), *mode);
    }
    let name: KeyName = "pay".parse().unwrap();
    for (kind, mode) in [
        (KeyKind::HmacSha256, Mode::Convergent),
        (KeyKind::Ed25519, Mode::Derived),
        (KeyKind::EcdsaP256, Mode::Convergent),
    ] {
        assert!(Keyset::draw(name.clone(), kind, mode, &mut SystemRandom::new()).is_err(), "{kind} {mode}");
    }
    assert!("aes128-gcm".parse::<KeyKind>().unwrap_err().to_string().contains("chacha20-poly1305"));
    // No scalar of P-256 is zero: a source that gives nothing else gives no key.
    assert!(Keyset::draw(name.clone(), KeyKind::EcdsaP256, Mode::Plain, &mut Stuck(0)).is_err());
    assert!(Keyset::draw(name, KeyKind::EcdsaP256, Mode::Plain, &mut Nothing).is_err());
    for bad in ["", "Pay", "1pay", "a/b", "keys", "random", "a b", &"k".repeat(65)] {
        assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
    }
    assert!("k".repeat(64).parse::<KeyName>().is_ok());
}

#[test]
fn every_bound_is_one() {
    let keys = drawn(KeyKind::Aes256Gcm, Mode::Derived);
    let key = all(&keys);
    let item = Encrypt { plain: b"", context: Some(b"c"), associated: b"" };
    let mut random = SystemRandom::new();
    assert_eq!(key.encrypt(None, &[item; BATCH_MAX], &mut random).unwrap().len(), BATCH_MAX);
    assert!(key.encrypt(None, &[item; BATCH_MAX + 1], &mut random).is_err());
    let sealed = Sealed { text: "", context: Some(b"c"), associated: b"" };
    assert!(key.decrypt(&[sealed; BATCH_MAX + 1]).is_err());
    assert!(key.rewrap(None, &[sealed; BATCH_MAX + 1], &mut random).is_err());
    let long = vec![7; ITEM_BYTES_MAX + 1];
    let text = seal(&key, Encrypt { plain: &long[1..], ..item }).unwrap();
    assert_eq!(open(&key, &text, Some(b"c"), b"").unwrap(), long[1..]);
    let too_long = |made: Result<String, TransitError>| matches!(made, Err(TransitError::TooLong { .. }));
    assert!(too_long(seal(&key, Encrypt { plain: &long, ..item })));
    let context = &long[..=CONTEXT_BYTES_MAX];
    assert!(seal(&key, Encrypt { context: Some(&context[1..]), associated: &context[1..], ..item }).is_ok());
    assert!(too_long(seal(&key, Encrypt { context: Some(context), ..item })));
    assert!(too_long(seal(&key, Encrypt { associated: context, ..item })));
    let longer = format!("chy:v1:{}", "A".repeat(ITEM_BYTES_MAX / 3 * 4 + 100));
    assert!(too_long(open(&key, &longer, Some(b"c"), b"").map(|_| String::new())));
    let hmac = drawn(KeyKind::HmacSha256, Mode::Plain);
    let sign = |message| all(&hmac).sign(None, &[Sign { message, context: None }]).unwrap().into_each().remove(0);
    assert!(sign(&long[1..]).is_ok() && too_long(sign(&long)));
    assert!(all(&hmac).sign(None, &[Sign { message: b"", context: None }; BATCH_MAX + 1]).is_err());
    let mut many = drawn(KeyKind::HmacSha256, Mode::Plain);
    for _ in 1..VERSIONS_MAX {
        many = rotated(&many);
    }
    assert!(matches!(many.rotated(&mut random), Err(TransitError::Full(VERSIONS_MAX))));
    assert_eq!(Keyset::decode(&many.encode()).unwrap().newest(), VERSIONS_MAX as u32);
    let trimmed = many.trimmed(Terms { min_decrypt: 2, min_encrypt: 2 }).unwrap();
    assert_eq!(rotated(&trimmed).newest(), VERSIONS_MAX as u32 + 1);
    assert_eq!(chancery_secrets::transit::random(RANDOM_BYTES_MAX, &mut random).unwrap().len(), RANDOM_BYTES_MAX);
    assert!(chancery_secrets::transit::random(0, &mut random).is_err());
    assert!(chancery_secrets::transit::random(RANDOM_BYTES_MAX + 1, &mut random).is_err());
}

#[test]
fn a_keyset_has_one_form_and_prints_no_key() {
    let keys = counted(5, 0);
    assert_eq!(format!("{keys:?}"), "Keyset(pay, ecdsa-p256, plain, 1 to 1)");
    let good = keys.encode();
    let wrong: [fn(&mut Vec<u8>); 10] = [
        |bytes| bytes[0] = 2,
        |bytes| bytes[1] = 6,
        |bytes| bytes[2] = 1,
        |bytes| bytes[2] = 9,
        |bytes| bytes[3] = 200,
        |bytes| bytes[7] = 0,
        |bytes| bytes[4..8].fill(0xff),
        |bytes| bytes.push(0),
        |bytes| bytes.truncate(11),
        // Not below the order of the curve.
        |bytes| bytes[11..].fill(0xff),
    ];
    for (at, change) in wrong.iter().enumerate() {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        assert!(Keyset::decode(&bytes).is_none(), "{at}");
    }
    for length in 0..good.len() {
        assert!(Keyset::decode(&good[..length]).is_none(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sealed_is_opened_in_any_batch(
        items in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 0..3_u8, prop::collection::vec(any::<u8>(), 0..20)), 0..12),
        mode in prop::sample::select(Mode::ALL),
        kind in prop::sample::select(&SEALING),
    ) {
        let keys = rotated(&drawn(kind, mode));
        let key = all(&keys);
        let contexts: Vec<[u8; 1]> = items.iter().map(|(_, context, _)| [*context]).collect();
        let of = |at: usize| (mode != Mode::Plain).then_some(contexts[at].as_slice());
        let plain: Vec<Encrypt<'_>> = items.iter().enumerate()
            .map(|(at, (plain, _, associated))| Encrypt { plain, context: of(at), associated }).collect();
        let texts: Vec<String> =
            key.encrypt(None, &plain, &mut SystemRandom::new()).unwrap().into_each().into_iter().map(Result::unwrap).collect();
        let sealed: Vec<Sealed<'_>> = texts.iter().zip(&plain)
            .map(|(text, item)| Sealed { text, context: item.context, associated: item.associated }).collect();
        for (opened, item) in key.decrypt(&sealed).unwrap().into_iter().zip(&plain) {
            let opened = opened.unwrap();
            prop_assert_eq!(opened.as_slice(), item.plain);
        }
    }

    #[test]
    fn no_text_brings_it_down(text in "(chy:v[0-9]{0,11}:)?[A-Za-z0-9+/=:]{0,120}", mode in prop::sample::select(Mode::ALL)) {
        let keys = drawn(KeyKind::Aes256Gcm, mode);
        prop_assert!(open(&all(&keys), &text, context(mode), b"").is_err());
    }

    #[test]
    fn no_bytes_that_are_no_keyset_are_one(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Some(keys) = Keyset::decode(&bytes) {
            let again = keys.encode();
            prop_assert_eq!(again.as_slice(), bytes.as_slice());
        }
    }
}
