use super::super::shamir::{Bytes, split};
use super::super::testing::{held, three_of_five};
use super::*;
use crate::envelope::Context;
use crate::recovery::{Plan, Wrapped};

fn gathered(key: &RecoveryKey, papers: &[&String]) -> Gathering {
    let mut gathering = Gathering::of(key.clone());
    for paper in papers {
        gathering.take(paper).unwrap();
    }
    gathering
}

#[test]
fn any_three_of_five_give_the_key_and_no_two_do() {
    let (key, papers) = three_of_five();
    for chosen in 0..1_u32 << 5 {
        let brought: Vec<&String> =
            (0..).zip(&papers).filter(|(bit, _)| chosen >> bit & 1 == 1).map(|(_, paper)| paper).collect();
        let gathering = gathered(&key, &brought);
        match gathering.join() {
            Ok(private) => assert!(brought.len() >= 3 && private.key() == &key),
            Err(error) => {
                let missing = 3_u8.checked_sub(u8::try_from(brought.len()).unwrap()).filter(|missing| *missing > 0);
                assert_eq!(error, JoinError::TooFew { missing: missing.unwrap() });
                assert_eq!(gathering.missing(), missing.unwrap());
            }
        }
    }
}

#[test]
fn it_says_how_many_are_missing() {
    let (key, papers) = three_of_five();
    let mut gathering = Gathering::of(key);
    assert_eq!(gathering.missing(), 3);
    for (paper, number, missing) in [(4, 5, 2), (0, 1, 1), (2, 3, 0), (1, 2, 0)] {
        assert_eq!(gathering.take(&papers[paper]), Ok(Taken { number, missing }));
    }
    assert_eq!(gathering.numbers().collect::<Vec<_>>(), [5, 1, 3, 2]);
}

#[test]
fn what_is_not_a_good_share_is_named_and_not_taken() {
    let (key, papers) = three_of_five();
    let (next, later) = held(key.successor(3, 5).unwrap());
    let (other, others) = held(Plan::first("other", 3, 5).unwrap());
    let mut gathering = gathered(&key, &[&papers[0], &papers[1]]);
    let from = |number, generation, set| ShareError::OtherSet { number, generation, found: set, wanted: key.set() };
    let cases = [
        (&papers[0], ShareError::Twice { number: 1 }),
        (&later[2], from(3, 2, next.set())),
        (&others[3], from(4, 1, other.set())),
    ];
    for (typed, error) in cases {
        assert_eq!(gathering.take(typed), Err(error));
        assert_eq!(gathering.missing(), 1);
    }
    assert!(matches!(gathering.take(&papers[2][1..]), Err(ShareError::Foreign)));
    assert_eq!(gathering.join().err(), Some(JoinError::TooFew { missing: 1 }));
    assert_eq!(gathering.take(&papers[2]), Ok(Taken { number: 3, missing: 0 }));
    assert!(gathering.join().is_ok());
}

/// The register says so of each, and they are not of one secret: nobody's mistake, but a forgery of the register.
#[test]
fn shares_that_the_register_confirms_are_still_held_against_each_other() {
    let (key, papers) = three_of_five();
    let read = || papers.iter().map(|paper| text::read(paper).unwrap()).collect::<Vec<Share>>();
    let forged = |at: &[usize]| {
        let mut shares = read();
        at.iter().for_each(|at| shares[*at].bytes[0] ^= 1);
        join(&key.clone().shared(&shares), &shares).err()
    };
    assert_eq!(forged(&[]), None);
    assert_eq!(forged(&[3]), Some(JoinError::Inconsistent { numbers: vec![4] }));
    assert_eq!(forged(&[3, 4]), Some(JoinError::Inconsistent { numbers: vec![4, 5] }));
    // One of the first three, which say where the others have to lie.
    assert_eq!(forged(&[0]), Some(JoinError::Inconsistent { numbers: vec![4, 5] }));
    // No more than are needed: then the key itself is another.
    let mut three = read();
    three.truncate(3);
    three[0].bytes[0] ^= 1;
    assert_eq!(join(&key, &three).err(), Some(JoinError::OtherKey));
}

#[test]
fn shares_of_another_secret_are_not_the_registers_key() {
    let (key, _) = three_of_five();
    let made = split(&Bytes::new([1; 32].into()), 3, 5, &ring::rand::SystemRandom::new()).unwrap();
    let shares: Vec<Share> = (1..)
        .zip(made)
        .map(|(number, bytes)| Share { generation: 1, threshold: 3, shares: 5, number, set: key.set(), bytes })
        .collect();
    assert_eq!(join(&key.shared(&shares), &shares).err(), Some(JoinError::OtherKey));
}

#[test]
fn the_private_half_and_the_shares_are_not_printed() {
    let (key, papers) = three_of_five();
    let gathering = gathered(&key, &papers.iter().collect::<Vec<_>>());
    let printed = format!("{gathering:?} {:?}", gathering.join().unwrap());
    let of = format!("RecoveryKey(log, generation 1, 3 of 5, SetId({}))", key.set());
    assert_eq!(printed.matches(&of).count(), 2, "{printed}");
    // The set stands in the first groups of each.
    let said = printed.to_uppercase();
    assert!(papers.iter().flat_map(|paper| paper.split(' ').skip(4)).all(|group| !said.contains(group)), "{printed}");
}

/// A ceremony and a wrapped key of the first program that made any: each later one reads the register's key and the papers, and opens.
#[test]
fn what_was_made_in_the_beginning_is_opened_for_ever() {
    let bytes = |text: &str| hex::decode(text.trim()).unwrap();
    let key = RecoveryKey::from_bytes(&bytes(include_str!("vectors/key.txt"))).unwrap();
    let papers: Vec<String> = include_str!("vectors/papers.txt").lines().map(str::to_owned).collect();
    let wrapped = Wrapped::from_bytes(bytes(include_str!("vectors/wrapped.txt"))).unwrap();
    let context = Context { origin: "log", path: "prod/db", life: 1, version: 3, owner: "web" };
    for chosen in [[0, 1, 2], [4, 2, 3]] {
        let private = gathered(&key, &chosen.map(|at| &papers[at])).join().unwrap();
        assert_eq!(private.unwrap(&wrapped, &context).unwrap().to_seal(), [9; 32]);
    }
}

/// The paper in docs/RECOVERY.md is one.
#[test]
fn the_example_that_people_read_is_a_good_share() {
    let page = include_str!("../../../docs/RECOVERY.md");
    let example: String = page.lines().skip_while(|line| !line.starts_with("    CHY1")).take(3).collect();
    let key = hex::decode(include_str!("vectors/key.txt").trim()).unwrap();
    let key = RecoveryKey::from_bytes(&key).unwrap();
    assert_eq!(key.verify(&example), Ok(2));
    assert!(page.contains(&format!("Share 2 of 5, any 3 open. Generation 1, set {}. Register log.", key.set())));
}
