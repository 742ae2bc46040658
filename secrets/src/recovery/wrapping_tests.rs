use ring::rand::SystemRandom;

use super::super::plan::Plan;
use super::super::shamir::Bytes;
use super::*;

const HERE: Context<'_> = Context { origin: "log", path: "prod/db", life: 1, version: 3, owner: "web" };

fn private(seed: u8, origin: &str, generation: u16) -> RecoveryPrivate {
    let private = Private::of(&Bytes::new([seed; 32].into())).unwrap();
    let plan = Plan::of(origin, generation, 3, 5).unwrap();
    RecoveryPrivate::of(RecoveryKey::unshared(plan, private.public()), private).unwrap()
}

fn dek() -> Dek {
    Dek::unsealed(&[9; DEK_BYTES]).unwrap()
}

fn wrapped(to: &RecoveryPrivate) -> Wrapped {
    wrap(&dek(), &HERE, to.key(), &SystemRandom::new()).unwrap()
}

/// Without a `Debug` of the key that was opened.
fn opened(by: &RecoveryPrivate, wrapped: &Wrapped, context: &Context<'_>) -> Result<Vec<u8>, Forged> {
    by.unwrap(wrapped, context).map(|dek| dek.to_seal().to_vec())
}

#[test]
fn what_was_wrapped_is_opened_for_its_own_version_alone() {
    let key = private(7, "log", 1);
    let wrapped = wrapped(&key);
    assert_eq!(opened(&key, &wrapped, &HERE).unwrap(), [9; 32]);
    let elsewhere = [
        Context { origin: "other", ..HERE },
        Context { path: "prod/d", ..HERE },
        Context { life: 2, ..HERE },
        Context { version: 4, ..HERE },
        Context { owner: "dbweb", ..HERE },
    ];
    for context in elsewhere {
        assert_eq!(opened(&key, &wrapped, &context), Err(Forged), "{context:?}");
    }
}

#[test]
fn it_is_bound_to_the_register_the_generation_and_the_key() {
    let wrapped = wrapped(&private(7, "log", 1));
    // The very same key pair, in another register, and as another generation: whatever the bytes say of it.
    assert_eq!(opened(&private(7, "other", 1), &wrapped, &HERE), Err(Forged));
    let mut renumbered = wrapped.clone();
    renumbered.0[2] = 2;
    assert_eq!(renumbered.generation(), 2);
    for wrapped in [&wrapped, &renumbered] {
        assert_eq!(opened(&private(7, "log", 2), wrapped, &HERE), Err(Forged));
    }
    assert_eq!(opened(&private(7, "log", 1), &renumbered, &HERE), Err(Forged));
    assert_eq!(opened(&private(8, "log", 1), &wrapped, &HERE), Err(Forged));
}

#[test]
fn no_byte_of_it_is_another_and_none_is_missing() {
    let key = private(7, "log", 1);
    let bytes = wrapped(&key).as_bytes().to_vec();
    assert_eq!(bytes.len(), WRAPPED_BYTES);
    // Each bit of each tenth byte and one of all others: X25519 ignores the highest bit of its last byte (RFC 7748 section 5), and
    // HPKE must not.
    let bits = (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    for (at, bit) in bits.filter(|(at, bit)| at % 10 == 0 || *bit == 7) {
        let mut altered = bytes.clone();
        altered[at] ^= 1 << bit;
        let result = Wrapped::from_bytes(altered).and_then(|wrapped| opened(&key, &wrapped, &HERE));
        assert_eq!(result, Err(Forged), "byte {at}, bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(Wrapped::from_bytes(bytes[..length].to_vec()), Err(Forged), "{length} bytes");
    }
    assert_eq!(Wrapped::from_bytes([bytes.as_slice(), &[0]].concat()), Err(Forged));
}

#[test]
fn what_is_of_another_register_is_not_wrapped() {
    let key = private(7, "other", 1);
    assert_eq!(wrap(&dek(), &HERE, key.key(), &SystemRandom::new()), Err(WrapError::Elsewhere));
}

#[test]
fn what_the_old_key_opens_is_wrapped_to_a_later_one_and_to_no_other() {
    let [first, second, third] = [(1, 1), (2, 2), (3, 3)].map(|(seed, generation)| private(seed, "log", generation));
    let old = wrapped(&first);
    let new = rewrap(&old, &HERE, &first, third.key(), &SystemRandom::new()).unwrap();
    assert_eq!((old.generation(), new.generation()), (1, 3));
    assert_eq!(opened(&third, &new, &HERE).unwrap(), [9; 32]);
    assert_eq!(opened(&first, &new, &HERE), Err(Forged));

    let refused = |wrapped, context: &Context<'_>, from, to: &RecoveryPrivate| {
        rewrap(wrapped, context, from, to.key(), &SystemRandom::new()).unwrap_err()
    };
    assert_eq!(refused(&new, &HERE, &third, &second), WrapError::NotNewer { from: 3, to: 2 });
    assert_eq!(refused(&old, &HERE, &first, &private(9, "log", 1)), WrapError::NotNewer { from: 1, to: 1 });
    assert_eq!(refused(&old, &HERE, &second, &third), WrapError::Forged(Forged));
    assert_eq!(refused(&old, &Context { version: 4, ..HERE }, &first, &second), WrapError::Forged(Forged));
    assert_eq!(refused(&old, &HERE, &first, &private(2, "other", 2)), WrapError::Elsewhere);
}

#[test]
fn two_halves_of_two_keys_are_none() {
    let [one, other] = [1, 2].map(|seed| Private::of(&Bytes::new([seed; 32].into())).unwrap());
    let key = RecoveryKey::unshared(Plan::first("log", 3, 5).unwrap(), one.public());
    assert!(RecoveryPrivate::of(key, other).is_none());
}
