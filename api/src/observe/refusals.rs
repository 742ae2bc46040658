//! Whoever is refused very often, in sentences: an alarm, as somebody should look what he is after. So is it where more are refused than are
//! told apart: the log has their number then, and not each of their names.

use ca::{INSISTENT_FROM, Insistent, REFUSALS_WINDOW_SECS, REFUSED_APART_MAX, REFUSED_APART_OF_KIN_MAX, RefusalState};

/// One sentence for each, so many at most, and how many more there are; before them the one of those who are too many.
pub(super) fn alarms(state: &RefusalState, most: usize) -> Vec<String> {
    let more = state.insistent.len().saturating_sub(most);
    let told = state.insistent.iter().take(most).map(says);
    let rest = (more > 0).then(|| {
        format!(
            "{more} more were refused {INSISTENT_FROM} times or more within {MINUTES} minutes: `chancery audit list --event refuse` \
             names them."
        )
    });
    nameless(state.nameless_lately).into_iter().chain(told).chain(rest).collect()
}

/// More than are counted apart, where there are.
fn nameless(times: u64) -> Option<String> {
    (times > 0).then(|| {
        format!(
            "More actors are refused than are counted apart ({REFUSED_APART_MAX}, and {REFUSED_APART_OF_KIN_MAX} of the same owners): {times} \
             refusals within {MINUTES} minutes were of others, whom the log counts together. `chancery audit list --event refuse` names the \
             first of them and the last: look who has so many names, and take them away where they are nobody's of yours."
        )
    })
}

fn says(one: &Insistent) -> String {
    let Insistent { actor, times, by_several } = one;
    let by = if *by_several { ", by this certificate and others for the same names" } else { "" };
    let away = match actor.strip_prefix("cert:") {
        Some(serial) => format!("chancery certs revoke {serial}"),
        None => "chancery token revoke".to_owned(),
    };
    format!(
        "{actor} was refused {times} times within {MINUTES} minutes{by}: `chancery audit list --by {actor} --event refuse` shows what is asked \
         for. A program that is set up wrongly is mended; where it is nobody of yours, take the credential away (`{away}`)."
    )
}

const MINUTES: u64 = REFUSALS_WINDOW_SECS / 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(actor: &str, by_several: bool, times: u64) -> Insistent {
        Insistent { actor: actor.to_owned(), by_several, times }
    }

    #[test]
    fn whoever_is_refused_very_often_is_named_and_how_many_more_there_are() {
        let insistent =
            vec![one("token:shop", false, 5_000), one("cert:01", true, 2_000), one("token:web", false, 1_024)];
        let state = RefusalState { insistent, ..RefusalState::default() };
        let told = alarms(&state, 2);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("token:shop was refused 5000 times within 60 minutes:"), "{told:?}");
        assert!(told[0].contains("`chancery token revoke`"), "{told:?}");
        let several =
            "cert:01 was refused 2000 times within 60 minutes, by this certificate and others for the same names:";
        assert!(told[1].starts_with(several) && told[1].contains("`chancery certs revoke 01`"), "{told:?}");
        assert!(told[2].starts_with("1 more were refused 1024 times"), "{told:?}");
        assert!(alarms(&RefusalState::default(), 2).is_empty());
    }

    #[test]
    fn where_more_are_refused_than_are_told_apart_that_is_an_alarm_of_its_own() {
        let state = RefusalState {
            nameless_lately: 12,
            insistent: vec![one("token:shop", false, 5_000)],
            ..Default::default()
        };
        let told = alarms(&state, 2);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("More actors are refused than are counted apart (4096, and 1024 of"), "{told:?}");
        assert!(told[0].contains("12 refusals within 60 minutes were of others"), "{told:?}");
    }
}
