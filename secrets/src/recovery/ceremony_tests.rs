use ring::rand::SystemRandom;

use super::super::testing::three_of_five;
use super::*;

fn made() -> Split {
    Split::make(Plan::first("log", 3, 5).unwrap(), &SystemRandom::new()).unwrap()
}

fn papers(split: &Split) -> Vec<String> {
    (1..=split.shares()).map(|number| split.show(number).unwrap().expose().to_owned()).collect()
}

#[test]
fn nothing_is_released_before_each_holder_has_confirmed() {
    // Each choice of holders who have.
    for confirmed in 0..1_u32 << 5 {
        let mut split = made();
        let papers = papers(&split);
        for (number, paper) in (1..).zip(&papers).filter(|(number, _)| confirmed >> (number - 1) & 1 == 1) {
            split.confirm(number, paper).unwrap();
        }
        match split.release() {
            Ok(key) => assert!(confirmed == 0b11111 && (1..).zip(&papers).all(|(n, paper)| key.verify(paper) == Ok(n))),
            Err(split) => {
                assert_ne!(confirmed, 0b11111);
                assert_eq!(split.waiting().len(), 5 - confirmed.count_ones() as usize);
            }
        }
    }
}

#[test]
fn a_holder_is_told_what_is_wrong_and_nothing_changes() {
    let mut split = made();
    let papers = papers(&split);
    let (other, others) = three_of_five();
    let altered = papers[0].replace(papers[0].split(' ').nth(9).unwrap(), "QQQQQ");
    let cases = [
        (1, &papers[1], ShareError::OtherNumber { found: 2, wanted: 1 }),
        (1, &altered, ShareError::Mistyped { groups: vec![] }),
        (1, &others[0], ShareError::OtherSet { number: 1, generation: 1, found: other.set(), wanted: split.set() }),
        (0, &papers[0], ShareError::NoSuch { number: 0, shares: 5 }),
        (6, &papers[0], ShareError::NoSuch { number: 6, shares: 5 }),
    ];
    for (number, typed, error) in cases {
        let is_mistyped = |error: &ShareError| matches!(error, ShareError::Mistyped { .. });
        let said = split.confirm(number, typed).unwrap_err();
        assert!(said == error || is_mistyped(&said) && is_mistyped(&error), "{said:?}");
        assert_eq!(split.waiting(), [1, 2, 3, 4, 5]);
    }
    assert_eq!(split.confirm(1, &papers[0]), Ok(4));
}

#[test]
fn a_confirmed_share_is_gone_and_may_be_typed_again() {
    let mut split = made();
    let paper = papers(&split).swap_remove(3);
    assert_eq!(split.confirm(4, &paper.to_lowercase()), Ok(4));
    assert_eq!(split.show(4).err(), Some(ShareError::Gone { number: 4 }));
    assert_eq!(split.confirm(4, &paper), Ok(4));
    assert_eq!(split.waiting(), [1, 2, 3, 5]);
    assert!(split.show(5).is_ok());
    assert_eq!(split.show(6).err(), Some(ShareError::NoSuch { number: 6, shares: 5 }));
}

/// A machine that calculates wrongly is found before anybody writes anything down.
#[test]
fn shares_that_do_not_give_the_key_are_not_shown() {
    let key = || {
        let seed = Bytes::new([7; 32].into());
        let private = Private::of(&seed).unwrap();
        let made = split(&seed, 3, 5, &SystemRandom::new()).unwrap();
        (RecoveryKey::unshared(Plan::first("log", 3, 5).unwrap(), private.public()), made)
    };
    let (right, made) = key();
    assert!(Split::of(right, made).is_ok());
    for wrong in 0..5 {
        let (key, mut made) = key();
        made[wrong][wrong * 7] ^= 1;
        assert_eq!(Split::of(key, made).err(), Some(SplitError::Unsound), "share {}", wrong + 1);
    }
}

#[test]
fn a_ceremony_prints_no_share() {
    let split = made();
    let papers = papers(&split);
    let printed = format!("{split:?}").to_uppercase();
    assert!(
        papers.iter().flat_map(|paper| paper.split(' ').skip(4)).all(|group| !printed.contains(group)),
        "{printed}"
    );
}
