//! Whoever is refused very often, in sentences: an alarm, as somebody should look what he is after. So is it where more are refused than are
//! told apart: the log has their number then, and not each of their names.

use ca::{
    INSISTENT_FROM, InCommon, Insistent, REFUSALS_WINDOW_SECS, REFUSED_APART_MAX, REFUSED_APART_OF_KIN_MAX,
    RefusalState,
};

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
    let Insistent { actor, times, by_several, in_common: _ } = one;
    let by = if *by_several { ", by this certificate and others for the same names" } else { "" };
    let away = away(one);
    format!(
        "{actor} was refused {times} times within {MINUTES} minutes{by}: `chancery audit list --by {actor} --event refuse` shows what was asked \
         for first. A program that is set up wrongly is mended; where it is nobody of yours, take {away}."
    )
}

/// What is to be taken away, and by which command: of a holder of several certificates all, as each of them is let in.
fn away(one: &Insistent) -> String {
    let Some(serial) = one.actor.strip_prefix("cert:") else {
        return "the credential away (`chancery token revoke`)".to_owned();
    };
    match (&one.in_common, one.by_several) {
        (_, false) => format!("the credential away (`chancery certs revoke {serial}`)"),
        (Some(InCommon { owner, name }), true) => {
            let owner = owner.as_ref().map(|owner| format!("--owner {owner} ")).unwrap_or_default();
            format!(
                "all of them away (`chancery certs list {owner}--name '{name}'` shows them, `chancery certs revoke {owner}--name '{name}' \
                 --preview` what would end)"
            )
        }
        (None, true) => format!(
            "all of them away (`chancery certs show {serial}` has the names, by which `chancery certs list --name` shows the others)"
        ),
    }
}

const MINUTES: u64 = REFUSALS_WINDOW_SECS / 60;

#[cfg(test)]
mod tests {
    use policy::{Name, Owner};

    use super::*;

    fn one(actor: &str, by_several: bool, times: u64) -> Insistent {
        Insistent { actor: actor.to_owned(), by_several, in_common: None, times }
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
        assert!(told[1].starts_with(several) && told[1].contains("`chancery certs show 01` has the names"), "{told:?}");
        assert!(told[2].starts_with("1 more were refused 1024 times"), "{told:?}");
        assert!(alarms(&RefusalState::default(), 2).is_empty());
    }

    #[test]
    fn of_a_holder_of_several_certificates_all_are_to_be_taken_away() {
        let name = Name::parse("a.example").unwrap();
        let common = |owner: Option<&str>| {
            Some(InCommon { owner: owner.map(|owner| Owner::parse(owner).unwrap()), name: name.clone() })
        };
        let several = Insistent { in_common: common(Some("web")), ..one("cert:01", true, 2_000) };
        let told = says(&several);
        assert!(
            told.contains("`chancery audit list --by cert:01 --event refuse` shows what was asked for first"),
            "{told}"
        );
        assert!(told.contains("`chancery certs list --owner web --name 'dns:a.example'` shows them"), "{told}");
        assert!(told.contains("`chancery certs revoke --owner web --name 'dns:a.example' --preview`"), "{told}");
        assert!(!told.contains("certs revoke 01"), "that leaves the others: {told}");
        let nobodys = says(&Insistent { in_common: common(None), ..several.clone() });
        assert!(nobodys.contains("`chancery certs list --name 'dns:a.example'`"), "{nobodys}");
        let alone = says(&Insistent { by_several: false, ..several });
        assert!(alone.contains("`chancery certs revoke 01`"), "{alone}");
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
