use ring::rand::SystemRandom;

use super::super::ceremony::Split;
use super::super::testing::{held, three_of_five};
use super::*;
use crate::recovery::{GENERATION_MAX, ORIGIN_BYTES_MAX};

#[test]
fn a_key_is_read_as_it_was_written() {
    let longest = held(Plan::of(&"é".repeat(127), GENERATION_MAX, 16, 16).unwrap()).0;
    for key in [three_of_five().0, longest] {
        assert_eq!(RecoveryKey::from_bytes(&key.to_bytes()), Ok(key.clone()));
        assert_eq!(RecoveryKey::from_bytes(&key.to_bytes()).unwrap().set(), key.set());
    }
    assert_eq!("é".repeat(127).len() + 1, ORIGIN_BYTES_MAX);
}

/// There is one form: what is read at all is written as it was, and is another key.
#[test]
fn each_other_byte_is_no_key_or_another() {
    let (key, _) = three_of_five();
    let bytes = key.to_bytes();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 0x55;
        if let Ok(other) = RecoveryKey::from_bytes(&altered) {
            assert!(
                other != key && other.to_bytes() == altered && other.fingerprint() != key.fingerprint(),
                "byte {at}"
            );
        }
    }
    for length in 0..bytes.len() {
        assert_eq!(RecoveryKey::from_bytes(&bytes[..length]), Err(UnreadableKey), "{length} bytes");
    }
    assert_eq!(RecoveryKey::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(UnreadableKey));
}

#[test]
fn numbers_that_no_plan_has_are_no_key() {
    let bytes = three_of_five().0.to_bytes();
    let head = FORM.len();
    // The suite, generation 0 and above the last, one of five, six of five, no name.
    let others = [
        &[(head, 0)][..],
        &[(head, 2)],
        &[(head + 2, 0)],
        &[(head + 1, 0x80)],
        &[(head + 3, 1)],
        &[(head + 3, 6)],
        &[(head + 5, 0)],
    ];
    for other in others {
        let mut altered = bytes.clone();
        other.iter().for_each(|(at, byte)| altered[*at] = *byte);
        assert_eq!(RecoveryKey::from_bytes(&altered), Err(UnreadableKey), "{other:?}");
    }
}

#[test]
fn a_holder_proves_his_share_alone() {
    let (key, papers) = three_of_five();
    let key = RecoveryKey::from_bytes(&key.to_bytes()).unwrap();
    for (number, paper) in (1..).zip(&papers) {
        assert_eq!(key.verify(paper), Ok(number));
    }
    let (other, _) = three_of_five();
    let error = other.verify(&papers[1]);
    assert_eq!(error, Err(ShareError::OtherSet { number: 2, generation: 1, found: key.set(), wanted: other.set() }));
}

/// Whoever can type a share can calculate its checksum; he cannot make the register's commitment.
#[test]
fn a_share_that_was_altered_on_purpose_is_named() {
    let (key, papers) = three_of_five();
    let genuine = text::read(&papers[3]).unwrap();
    let copy = |number, shares, bytes| Share { number, shares, bytes, set: key.set(), generation: 1, threshold: 3 };
    for at in 0..32 * 8 {
        let mut bytes = genuine.bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        let altered = text::ShareText::of(&copy(4, 5, bytes));
        assert_eq!(key.verify(altered.expose()), Err(ShareError::Wrong { number: 4 }), "bit {at}");
    }
    // Another's number, and one that there is not.
    let renumbered =
        |number, shares| key.verify(text::ShareText::of(&copy(number, shares, genuine.bytes.clone())).expose());
    assert_eq!(renumbered(4, 5), Ok(4));
    assert_eq!(renumbered(3, 5), Err(ShareError::Wrong { number: 3 }));
    assert_eq!(renumbered(6, 6), Err(ShareError::NoSuch { number: 6, shares: 5 }));
}

#[test]
fn a_set_is_of_one_key_one_register_one_generation_and_one_plan() {
    let (key, _) = three_of_five();
    let plans = [
        Plan::first("log", 3, 5).unwrap(),
        Plan::first("lag", 3, 5).unwrap(),
        Plan::first("log", 2, 5).unwrap(),
        Plan::first("log", 3, 6).unwrap(),
        key.successor(3, 5).unwrap(),
    ];
    let sets: Vec<SetId> =
        plans.into_iter().map(|plan| RecoveryKey::unshared(plan, key.public.clone()).set()).collect();
    assert_eq!(sets[0], key.set());
    assert!(sets[1..].iter().all(|set| *set != key.set()));
    assert_ne!(three_of_five().0.set(), key.set());
}

#[test]
fn a_successor_is_the_next_generation_of_the_same_register() {
    let (key, _) = three_of_five();
    let plan = key.successor(2, 3).unwrap();
    assert_eq!(plan, Plan { origin: "log".to_owned(), generation: 2, threshold: 2, shares: 3 });
    assert_eq!(key.successor(1, 3), Err(PlanError::Numbers { threshold: 1, shares: 3 }));
    let last = Plan::of("log", GENERATION_MAX, 2, 3).unwrap();
    let split = Split::make(last, &SystemRandom::new()).unwrap();
    assert_eq!(format!("{split:?}").matches("Share(").count(), 3);
    let (last, _) = held(Plan::of("log", GENERATION_MAX, 2, 3).unwrap());
    assert_eq!(last.successor(2, 3), Err(PlanError::Generations));
}
