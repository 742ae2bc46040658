use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

fn share() -> Share {
    let bytes = Bytes::new(std::array::from_fn(|at| u8::try_from(at * 7).unwrap()).into());
    Share { generation: 300, threshold: 3, shares: 5, number: 2, set: SetId([1, 2, 3, 4, 5]), bytes }
}

/// A text of these symbols, with a right checksum.
fn written(symbols: &[u8]) -> String {
    symbols.iter().map(|symbol| Fe32::try_from(*symbol).unwrap()).with_checksum::<OnPaper>(&PREFIX).chars().collect()
}

/// What the characters before the checksum say.
fn symbols(share: &Share) -> Vec<u8> {
    let text = folded(ShareText::of(share).expose()).unwrap();
    let data = text.chars().skip(PREFIX_CHARACTERS).take(DATA_CHARACTERS - CHECKSUM_CHARACTERS);
    data.map(|c| Fe32::from_char(c).unwrap().to_u8()).collect()
}

/// The text with other characters at some places after the prefix: each moved on by so many in the alphabet.
fn mistyped(text: &str, moved: impl IntoIterator<Item = (usize, u8)>) -> String {
    let mut characters: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    for (at, by) in moved {
        let place = &mut characters[PREFIX_CHARACTERS + at];
        *place = Fe32::try_from((Fe32::from_char(*place).unwrap().to_u8() + by) % 32).unwrap().to_char();
    }
    characters.into_iter().map(|c| c.to_ascii_uppercase()).collect()
}

fn groups(places: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut groups: Vec<usize> = places.into_iter().map(|at| at / GROUP_CHARACTERS + 1).collect();
    groups.dedup();
    groups
}

/// Test vectors 1 and 2 of BIP 93, and one of its invalid texts.
#[test]
fn the_checksum_is_that_of_codex32() {
    OnPaper::sanity_check();
    let valid = [
        "ms10testsxxxxxxxxxxxxxxxxxxxxxxxxxx4nzvca9cmczlw",
        "MS12NAMEA320ZYXWVUTSRQPNMLKJHGFEDCAXRPP870HKKQRM",
        "MS12NAMECACDEFGHJKLMNPQRSTUVWXYZ023FTR2GDZMPY6PN",
    ];
    assert!(valid.iter().all(|text| CheckedHrpstring::new::<OnPaper>(text).is_ok()));
    let altered = "ms10testsxxxxxxxxxxxxxxxxxxxxxxxxxx4nzvca9cmczlx";
    assert!(CheckedHrpstring::new::<OnPaper>(altered).is_err());
}

#[test]
fn the_text_of_a_share_is_the_same_for_ever() {
    let text = ShareText::of(&share());
    assert_eq!(
        text.expose(),
        "CHY1 PQFVZ YPQYP QXPQ9 QQRSU 9GUYV 4RZWP LGEX4 GKMZD 9C8WL 593JF E4GDG 47MTM 3XT6T VS7WP XGWM5 6YZZ3"
    );
    assert_eq!(text.expose().split(' ').count(), GROUPS + 1);
    assert_eq!(text.expose().replace(' ', "").len(), SHARE_CHARACTERS);
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        bytes: [u8; 32], set: [u8; 5], generation in 1_u16..=32767, (threshold, shares, number) in (2_u8..=16)
            .prop_flat_map(|n| (2..=n, Just(n), 1..=n)), hyphens: bool, small: bool,
    ) {
        let bytes = Bytes::new(bytes.into());
        let written = Share { generation, threshold, shares, number, set: SetId(set), bytes };
        let text = ShareText::of(&written);
        let typed = text.expose().replace(' ', if hyphens { "-" } else { "\t \n" });
        let share = read(&if small { typed.to_lowercase() } else { typed }).unwrap();
        prop_assert_eq!(
            (share.generation, share.threshold, share.shares, share.number, share.set, *share.bytes),
            (generation, threshold, shares, number, SetId(set), *written.bytes)
        );
    }

    /// What the code's distance of nine promises.
    #[test]
    fn up_to_eight_wrong_characters_are_found_and_the_groups_of_up_to_two_shown(
        moved in btree_map(0..DATA_CHARACTERS, 1..32_u8, 1..=8),
    ) {
        let wrong = groups(moved.keys().copied());
        let few = moved.len() <= 2;
        match read(&mistyped(ShareText::of(&share()).expose(), moved)) {
            Err(ShareError::Mistyped { groups }) if few => prop_assert_eq!(groups, wrong),
            Err(ShareError::Mistyped { .. }) => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn nothing_that_can_be_typed_is_more_than_an_error(typed: String, tail in "[A-Za-z0-9 -]{0,200}") {
        prop_assert!(read(&typed).is_err());
        let begun = format!("chy1{tail}");
        prop_assert!(read(&begun).is_err());
    }
}

#[test]
fn each_wrong_character_is_found_and_its_group_shown() {
    let text = ShareText::of(&share());
    for (at, by) in (0..DATA_CHARACTERS).flat_map(|at| (1..32).map(move |by| (at, by))) {
        let wrong = mistyped(text.expose(), [(at, by)]);
        assert!(CheckedHrpstring::new::<OnPaper>(&wrong).is_err(), "place {at}, moved by {by}");
        if by == 1 {
            let error = read(&wrong).unwrap_err();
            assert_eq!(error, ShareError::Mistyped { groups: groups([at]) }, "place {at}");
        }
    }
}

#[test]
fn characters_and_groups_in_another_order_are_found() {
    let text = ShareText::of(&share());
    let characters: Vec<char> = text.expose().chars().collect();
    let swapped = (5..characters.len() - 1).filter(|at| characters[*at] != characters[at + 1]).map(|at| {
        let mut swapped = characters.clone();
        swapped.swap(at, at + 1);
        swapped
    });
    // A blank moved is no change.
    let swapped =
        swapped.filter(|swapped| swapped.iter().filter(|c| **c != ' ').ne(characters.iter().filter(|c| **c != ' ')));
    let mut tried = 0;
    for swapped in swapped.inspect(|_| tried += 1) {
        assert!(matches!(read(&swapped.iter().collect::<String>()), Err(ShareError::Mistyped { .. })));
    }
    assert!(tried > 50, "{tried}");
    let groups: Vec<&str> = text.expose().split(' ').collect();
    for at in 1..GROUPS {
        let mut swapped = groups.clone();
        swapped.swap(at, at + 1);
        assert!(matches!(read(&swapped.concat()), Err(ShareError::Mistyped { .. })), "groups {at}");
    }
}

#[test]
fn what_is_no_share_is_said() {
    let text = ShareText::of(&share()).expose().to_owned();
    let wanted = SHARE_CHARACTERS;
    let cases = [
        ("", ShareError::Length { found: 0, wanted }),
        ("chy1", ShareError::Length { found: 4, wanted }),
        ("AGE-SECRET-KEY-1", ShareError::Foreign),
        (&text.replacen("CHY", "CHX", 1), ShareError::Foreign),
        (&text[..text.len() - 1], ShareError::Length { found: SHARE_CHARACTERS - 1, wanted }),
        (&format!("{text}q"), ShareError::Length { found: SHARE_CHARACTERS + 1, wanted }),
        (&format!("{text}{}", "q".repeat(100_000)), ShareError::Length { found: SHARE_CHARACTERS + 1, wanted }),
        ("chy1 qqqqq qqbqq", ShareError::Character { group: 2, place: 3 }),
        ("chy1 1", ShareError::Character { group: 1, place: 1 }),
        ("chy1 qqqq\u{212a}", ShareError::Character { group: 1, place: 5 }),
    ];
    for (typed, error) in cases {
        assert_eq!(read(typed).err(), Some(error), "{} characters", typed.len());
    }
}

#[test]
fn a_text_that_no_ceremony_wrote_is_refused_though_its_checksum_is_right() {
    let right = symbols(&share());
    assert!(read(&written(&right)).is_ok());
    let other = |places: &[(usize, u8)]| {
        let mut symbols = right.clone();
        places.iter().for_each(|(at, said)| symbols[*at] = *said);
        read(&written(&symbols)).err()
    };
    assert_eq!(other(&[(0, 2)]), Some(ShareError::Newer));
    assert_eq!(other(&[(0, 0)]), Some(ShareError::Newer));
    let impossible = [
        // Generation 0.
        &[(1, 0), (2, 0), (3, 0)][..],
        // One needed of five, six of five, 3 of 17, number 6 of 5.
        &[(4, 0)],
        &[(4, 5)],
        &[(5, 16)],
        &[(6, 5)],
        // Each of the bits that say nothing.
        &[(66, right[66] | 1)],
        &[(66, right[66] | 2)],
        &[(66, right[66] | 4)],
        &[(66, right[66] | 8)],
    ];
    for places in impossible {
        assert_eq!(other(places), Some(ShareError::Impossible), "{places:?}");
    }
}

#[test]
fn what_is_said_of_a_mistake_has_nothing_of_the_share() {
    let text = ShareText::of(&share());
    for at in 0..DATA_CHARACTERS {
        let said = read(&mistyped(text.expose(), [(at, 1)])).unwrap_err();
        let said = format!("{said} {said:?}").to_uppercase();
        assert!(text.expose().split(' ').skip(1).all(|group| !said.contains(group)), "{said}");
    }
}
