//! Whoever is refused very often, in sentences: an alarm, as somebody should look what he is after.

use ca::{INSISTENT_FROM, Insistent, REFUSALS_WINDOW_SECS, RefusalState};

/// One sentence for each, so many at most, and how many more there are.
pub(super) fn alarms(state: &RefusalState, most: usize) -> Vec<String> {
    let more = state.insistent.len().saturating_sub(most);
    let told = state.insistent.iter().take(most).map(says);
    let rest = (more > 0).then(|| {
        format!(
            "{more} more were refused {INSISTENT_FROM} times or more within {MINUTES} minutes: `chancery audit list --event refuse` \
             names them."
        )
    });
    told.chain(rest).collect()
}

fn says(one: &Insistent) -> String {
    let times = one.times;
    match &one.actor {
        Some(actor) => format!(
            "{actor} was refused {times} times within {MINUTES} minutes: `chancery audit list --by {actor} --event refuse` shows what is asked \
             for. A program that is set up wrongly is mended; where it is nobody of yours, take the credential away (`chancery token revoke`)."
        ),
        None => format!(
            "Several actors, more than are counted apart, were refused {times} times within {MINUTES} minutes: `chancery audit list --event \
             refuse` names some of them."
        ),
    }
}

const MINUTES: u64 = REFUSALS_WINDOW_SECS / 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_refused_very_often_is_named_and_how_many_more_there_are() {
        let one = |actor: Option<&str>, times| Insistent { actor: actor.map(str::to_owned), times };
        let insistent = vec![one(Some("token:shop"), 5_000), one(None, 2_000), one(Some("token:web"), 1_024)];
        let state = RefusalState { insistent, ..RefusalState::default() };
        let told = alarms(&state, 2);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("token:shop was refused 5000 times within 60 minutes:"), "{told:?}");
        assert!(told[1].starts_with("Several actors"), "{told:?}");
        assert!(told[2].starts_with("1 more were refused 1024 times"), "{told:?}");
        assert!(alarms(&RefusalState::default(), 2).is_empty());
    }
}
