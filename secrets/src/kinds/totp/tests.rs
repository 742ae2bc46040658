use proptest::prelude::*;

use super::*;
use crate::kinds::fields::Fields;

fn rfc6238(hash: TotpHash) -> Totp {
    // Appendix B as corrected (errata 2866): the ASCII digits repeated to the length of the hash.
    let length = match hash {
        TotpHash::Sha1 => 20,
        TotpHash::Sha256 => 32,
        TotpHash::Sha512 => 64,
    };
    let seed: Vec<u8> = b"1234567890".iter().copied().cycle().take(length).collect();
    Totp::new(Seed::try_from(seed.as_slice()).unwrap()).with_hash(hash).with_digits(8).unwrap()
}

#[test]
fn codes_are_those_of_rfc_6238() {
    let table = [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (1_111_111_111, "14050471", "67062674", "99943326"),
        (1_234_567_890, "89005924", "91819424", "93441116"),
        (2_000_000_000, "69279037", "90698825", "38618901"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ];
    for (now, sha1, sha256, sha512) in table {
        for (hash, code) in [(TotpHash::Sha1, sha1), (TotpHash::Sha256, sha256), (TotpHash::Sha512, sha512)] {
            assert_eq!(rfc6238(hash).code(now).as_str(), code, "{hash} at {now}");
        }
    }
}

/// As it is copied from a page, into the one field that a seed has.
#[test]
fn a_uri_in_the_place_of_a_seed_is_its_parts_and_what_else_is_said_stays() {
    let unfolded = |entries: &[(&str, &str)]| {
        let mut fields = Fields::new();
        for (name, text) in entries {
            fields.set(name.parse().unwrap(), text.as_bytes().to_vec()).unwrap();
        }
        Totp::unfolded(&fields).map(|patch| {
            fields.merge(patch).unwrap();
            fields
        })
    };
    let uri = " otpauth://totp/ACME:john?secret=JBSWY3DPEHPK3PXP&issuer=ACME&algorithm=sha256&digits=8&period=60\n";
    let fields = unfolded(&[("secret", uri), ("account", "said"), ("digits", "6")]).unwrap();
    let text = |name: &str| fields.text(name).unwrap_or_default().to_owned();
    assert_eq!(["secret", "algorithm", "digits", "period"].map(text), ["JBSWY3DPEHPK3PXP", "SHA256", "8", "60"]);
    assert_eq!(["issuer", "account"].map(text), ["ACME", "john"]);
    let bare = unfolded(&[("secret", "OTPAUTH://totp/?secret=JBSWY3DPEHPK3PXP"), ("account", "said")]).unwrap();
    assert_eq!((bare.text("account"), bare.text("digits")), (Some("said"), Some("6")));
    let plain = unfolded(&[("secret", "JBSWY3DPEHPK3PXP"), ("algorithm", "sha512")]).unwrap();
    assert_eq!((plain.text("secret"), plain.text("algorithm")), (Some("JBSWY3DPEHPK3PXP"), Some("SHA512")));
    assert!(unfolded(&[("secret", "hunter2"), ("algorithm", "md5")]).is_ok(), "whoever looks at the kind says so");
    for (wrong, error) in [
        ("otpauth://hotp/a?secret=JBSWY3DPEHPK3PXP&counter=0", TotpError::Uri),
        ("otpauth://totp/a?secret=1", TotpError::Seed),
        ("otpauth-migration://offline?data=x", TotpError::Uri),
    ] {
        match unfolded(&[("secret", wrong)]) {
            Err(found) => assert_eq!(found, error, "{wrong}"),
            // No URI of this scheme: it is no base32 either.
            Ok(_) => assert!(wrong.starts_with("otpauth-migration"), "{wrong}"),
        }
    }
}

#[test]
fn codes_of_counters_are_those_of_rfc_4226() {
    let codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    let hotp = rfc6238(TotpHash::Sha1).with_digits(6).unwrap();
    for (counter, code) in (0..).zip(codes) {
        assert_eq!(hotp.code_of(counter).as_str(), code);
    }
    assert_eq!(hotp.check_counter("338314", 4, 0), Some(5));
    assert_eq!(hotp.check_counter("338314", 2, 2), Some(5), "two ahead");
    assert_eq!(hotp.check_counter("338314", 1, 2), None, "three ahead");
    assert_eq!(hotp.check_counter("338314", 5, 100), None, "one that was");
    assert_eq!(hotp.check_counter(&hotp.code_of(101), 0, 1000), None, "no window is longer than the longest");
    assert_eq!(hotp.check_counter(&hotp.code_of(100), 0, 1000), Some(101));
}

#[test]
fn a_code_is_accepted_once_and_near_its_time() {
    let totp = rfc6238(TotpHash::Sha1);
    let code = totp.code(59);
    assert_eq!(totp.check(&code, 59, 0, None), Some(1));
    assert_eq!(totp.check(&code, 59, 0, Some(0)), Some(1));
    assert_eq!(totp.check(&code, 59, 1, Some(1)), None, "again");
    assert_eq!(totp.check(&code, 89, 1, None), Some(1), "one period late");
    assert_eq!(totp.check(&code, 29, 1, None), Some(1), "one period early");
    assert_eq!(totp.check(&code, 90, 1, None), None, "two periods late");
    assert_eq!(totp.check(&code, 60, 0, None), None, "no window");
    assert_eq!(totp.check(&code, 59 + 30 * 11, u64::MAX, None), None, "no window is longer than the longest");
    for other in ["", "9428708", "942870820", "94287083", "+4287082", " 94287082", "９4287082"] {
        assert_eq!(totp.check(other, 59, 1, None), None, "{other}");
    }
    assert_eq!(
        (totp.seconds_left(0), totp.seconds_left(29), totp.seconds_left(59), totp.seconds_left(60)),
        (30, 1, 1, 30)
    );
    assert!(totp.check(&totp.code(u64::MAX), u64::MAX, 1, None).is_some());
}

#[test]
fn a_seed_is_read_as_people_copy_it() {
    let seed: Seed = "JBSWY3DPEHPK3PXP".parse().unwrap();
    assert_eq!(seed.bytes(), b"Hello!\xde\xad\xbe\xef");
    for same in ["jbsw y3dp ehpk 3pxp", "JBSW-Y3DP-EHPK-3PXP", "JBSWY3DPEHPK3PXP======"] {
        assert_eq!(same.parse::<Seed>().unwrap().bytes(), seed.bytes());
    }
    assert_eq!(seed.base32().as_str(), "JBSWY3DPEHPK3PXP");
    // 26 letters are 130 bits, of which 128 are bytes: what the last two are is nobody's business.
    assert_eq!("ABCDEFGHIJKLMNOPQRSTUVWXYZ".parse::<Seed>().unwrap().bytes().len(), 16);
    for bad in
        ["", "JBSWY3DP", "JBSWY3DPEHPK3PX1", "JBSWY3DPEHPK3PX", "JBSWY3DPEHPK3PXé", &"A".repeat(513), &"A".repeat(210)]
    {
        assert_eq!(bad.parse::<Seed>().err(), Some(TotpError::Seed), "{bad}");
    }
}

#[test]
fn a_uri_says_each_thing_once_and_nothing_else() {
    let read = Totp::of_uri("OTPAUTH://totp/ACME%20Co:john.doe@email.com?secret=jbswy3dpehpk3pxp&issuer=ACME%20Co&algorithm=sha256&digits=8&period=60&image=x").unwrap();
    assert_eq!(
        (read.issuer(), read.account(), read.hash(), read.digits(), read.period()),
        ("ACME Co", "john.doe@email.com", TotpHash::Sha256, 8, 60)
    );
    assert_eq!(
        read.uri().as_str(),
        "otpauth://totp/ACME%20Co:john.doe%40email.com?secret=JBSWY3DPEHPK3PXP&issuer=ACME%20Co&algorithm=SHA256&digits=8&period=60"
    );
    let short = Totp::of_uri("otpauth://totp/alice?secret=JBSWY3DPEHPK3PXP").unwrap();
    assert_eq!((short.issuer(), short.account(), short.digits(), short.period()), ("", "alice", 6, 30));
    let encoded = Totp::of_uri("otpauth://totp/Big%3A%20alice?secret=JBSWY3DPEHPK3PXP").unwrap();
    assert_eq!((encoded.issuer(), encoded.account()), ("Big", "alice"));
    const S: &str = "secret=JBSWY3DPEHPK3PXP";
    let bad = [
        ("", TotpError::Uri),
        ("https://totp/a?secret=JBSWY3DPEHPK3PXP", TotpError::Uri),
        ("otpauth://hotp/a?secret=JBSWY3DPEHPK3PXP&counter=0", TotpError::Uri),
        ("otpauth://totp/a", TotpError::Uri),
        ("otpauth://totp/a?digits=6", TotpError::Seed),
        ("otpauth://totp/a?secret=1", TotpError::Seed),
        ("otpauth://totp/a%zz?S", TotpError::Uri),
        ("otpauth://totp/a?S&S", TotpError::Uri),
        ("otpauth://totp/a?S&digits=6&digits=8", TotpError::Uri),
        ("otpauth://totp/Bank:a?S&issuer=Thief", TotpError::Uri),
        ("otpauth://totp/a?S&algorithm=MD5", TotpError::Hash),
        ("otpauth://totp/a?S&digits=9", TotpError::Digits),
        ("otpauth://totp/a?S&digits=+6", TotpError::Digits),
        ("otpauth://totp/a?S&period=0", TotpError::Period),
        ("otpauth://totp/a?S&period=3601", TotpError::Period),
        ("otpauth://totp/a%0Ab?S", TotpError::Names),
    ];
    for (uri, error) in bad {
        assert_eq!(
            Totp::of_uri(&uri.replace("S&", &format!("{S}&")).replace("?S", &format!("?{S}"))).err(),
            Some(error),
            "{uri}"
        );
    }
}

proptest! {
    #[test]
    fn a_uri_is_read_as_it_was_written(bytes in prop::collection::vec(any::<u8>(), 10..=128), issuer in "\\PC{0,12}", account in "\\PC{0,12}", hash in 0..3, digits in 6..=8u32, period in 10..=3600u64) {
        let hash = [TotpHash::Sha1, TotpHash::Sha256, TotpHash::Sha512][hash as usize];
        let made = Totp::new(Seed::try_from(bytes.as_slice())?).with_hash(hash).with_digits(digits)?.with_period(period)?;
        if let Ok(made) = made.with_names(&issuer, &account) {
            let read = Totp::of_uri(&made.uri())?;
            prop_assert_eq!(read.seed().bytes(), made.seed().bytes());
            prop_assert_eq!(read.uri(), made.uri());
            prop_assert_eq!((read.issuer(), read.account()), (made.issuer(), made.account()));
        }
    }
}
