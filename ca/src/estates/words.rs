//! What the CRLs of a CA say together, of each serial: the newest that speaks of it counts.
//!
//! A table or a folder keeps every CRL that there ever was. One of two years ago lists who was on hold then; a newer one says that it was
//! released, by a delta (RFC 5280 section 5.3.1: `removeFromCRL`) or by not listing it any more, or that it was revoked for good. Nothing
//! but a hold is ever lifted so, and only of a certificate that is there and had not ended: what may be revoked never comes as good.

use std::collections::{HashMap, HashSet};

use policy::Timestamp;

use crate::estates::crl::Listed;
use crate::estates::gathered::Told;

/// What is listed in the end, each with the date of the CRL that says so. `until` knows when certificates end that are there.
pub(super) fn last(
    mut crls: Vec<(String, Listed)>,
    until: &HashMap<Vec<u8>, Timestamp>,
    notes: &mut Vec<String>,
) -> Vec<(Told, Timestamp)> {
    crls.sort_by_key(|(_, listed)| (listed.this_update, listed.number));
    let mut words: HashMap<Vec<u8>, (Told, Timestamp)> = HashMap::new();
    for (place, listed) in crls {
        let at = listed.this_update;
        let holds_on = |serial: &[u8]| until.get(serial).is_some_and(|until| *until > at);
        if !listed.is_part {
            let listed: HashSet<&[u8]> = listed.entries.iter().map(|(serial, _)| serial.as_slice()).collect();
            words.retain(|serial, (told, _)| {
                let released = told.end.reason == HOLD && !listed.contains(serial.as_slice()) && holds_on(serial);
                if released {
                    notes.push(format!(
                        "serial {}: on hold in {}, and released: {place} of {at} does not list it",
                        hex::encode(serial),
                        told.place
                    ));
                }
                !released
            });
        }
        for (serial, end) in listed.entries {
            let before = words.get(&serial).map(|(told, _)| (told.end.reason, told.place.clone()));
            let shown = hex::encode(&serial);
            match (end.reason, before) {
                (RELEASED, Some((HOLD, was))) if listed.is_part && holds_on(&serial) => {
                    notes.push(format!("serial {shown}: on hold in {was}, and released by {place} of {at}"));
                    words.remove(&serial);
                }
                // Also where it ended, or in a complete CRL, where it says nothing.
                (RELEASED, _) => {}
                (HOLD, Some((reason, was))) if reason != HOLD => {
                    notes.push(format!(
                        "serial {shown}: revoked for good in {was}, and on hold in {place} of {at}: the former counts"
                    ));
                }
                _ => {
                    words.insert(serial.clone(), (Told { place: place.clone(), serial, end, until: None }, at));
                }
            }
        }
    }
    let mut words: Vec<_> = words.into_values().collect();
    words.sort_by(|(a, _), (b, _)| a.serial.cmp(&b.serial));
    words
}

/// certificateHold.
const HOLD: u8 = 6;
/// removeFromCRL: of a delta alone.
pub(super) const RELEASED: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estates::gathered::Ended;

    fn crl(number: u64, is_part: bool, entries: &[(u8, u8)]) -> (String, Listed) {
        let at = Timestamp::from_unix(1_000 * i64::try_from(number).unwrap());
        let ended = |(serial, reason): &(u8, u8)| (vec![*serial], Ended { at, reason: *reason, invalid: None });
        let entries = entries.iter().map(ended).collect();
        let listed = Listed { number: Some(number), this_update: at, is_part, entries, left: Vec::new() };
        (format!("{number}.crl"), listed)
    }

    /// A CRL: its number, whether it is a part, what it lists with the reason.
    type Lists<'a> = (u64, bool, &'a [(u8, u8)]);

    fn said(crls: &[Lists<'_>], until: &[(u8, i64)]) -> Vec<(u8, u8)> {
        let until = until.iter().map(|(serial, at)| (vec![*serial], Timestamp::from_unix(*at))).collect();
        let crls = crls.iter().map(|(number, is_part, entries)| crl(*number, *is_part, entries)).collect();
        let words = last(crls, &until, &mut Vec::new());
        words.into_iter().map(|(told, _)| (told.serial[0], told.end.reason)).collect()
    }

    #[test]
    fn a_newer_crl_says_what_became_of_a_hold() {
        const WHOLE: bool = false;
        const DELTA: bool = true;
        const LIVES: &[(u8, i64)] = &[(1, 1_000_000), (2, 1_000_000)];
        for (says, crls, until, wanted) in [
            ("a complete one that lacks it", vec![(1, WHOLE, &[(1, 6)][..]), (2, WHOLE, &[])], LIVES, vec![]),
            ("in any order of the files", vec![(2, WHOLE, &[][..]), (1, WHOLE, &[(1, 6)])], LIVES, vec![]),
            ("a delta", vec![(1, WHOLE, &[(1, 6)][..]), (2, DELTA, &[(1, 8)])], LIVES, vec![]),
            (
                "a delta that tells of others",
                vec![(1, WHOLE, &[(1, 6)][..]), (2, DELTA, &[(2, 1)])],
                LIVES,
                vec![(1, 6), (2, 1)],
            ),
            (
                "on hold anew",
                vec![(1, WHOLE, &[(1, 6)][..]), (2, DELTA, &[(1, 8)]), (3, DELTA, &[(1, 6)])],
                LIVES,
                vec![(1, 6)],
            ),
            ("revoked for good", vec![(1, WHOLE, &[(1, 6)][..]), (2, WHOLE, &[(1, 1)])], LIVES, vec![(1, 1)]),
            ("for good, then on hold", vec![(1, WHOLE, &[(1, 1)][..]), (2, WHOLE, &[(1, 6)])], LIVES, vec![(1, 1)]),
            ("for good, then lacking", vec![(1, WHOLE, &[(1, 1)][..]), (2, WHOLE, &[])], LIVES, vec![(1, 1)]),
            ("for good, then removed", vec![(1, WHOLE, &[(1, 1)][..]), (2, DELTA, &[(1, 8)])], LIVES, vec![(1, 1)]),
            ("it had ended by then", vec![(1, WHOLE, &[(1, 6)][..]), (2, WHOLE, &[])], &[(1, 2_000)], vec![(1, 6)]),
            ("nobody has it", vec![(1, WHOLE, &[(1, 6)][..]), (2, WHOLE, &[])], &[], vec![(1, 6)]),
            ("removed by a complete one", vec![(1, WHOLE, &[(1, 6)][..]), (2, WHOLE, &[(1, 8)])], LIVES, vec![(1, 6)]),
        ] {
            assert_eq!(said(&crls, until), wanted, "{says}");
        }
    }
}
