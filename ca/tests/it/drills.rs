//! Drills whose records somebody altered.

use ca::{Authority, CaError, NewDrill, Part, Profiles};

use crate::house::{House, admin};

fn of(issuer: &str) -> NewDrill {
    NewDrill {
        part: Part { issuer: issuer.to_owned(), profile: None, owner: None },
        window_secs: 3_600,
        reason: "an exercise".to_owned(),
        url: None,
    }
}

fn marked(authority: &Authority) -> Vec<String> {
    authority.marked().into_iter().map(|part| part.issuer).collect()
}

/// What somebody altered marks nothing on a node that starts, and a node that has read it before goes on by what the log says; neither is
/// kept from its work, and no other drill from the list.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_drill_hides_no_other_and_keeps_no_authority_from_starting() {
    let house = House::new().await;
    let begin = async |issuer: &str| house.authority.begin_drill(&admin(), of(issuer), false).await.unwrap().drill.id;
    let (tls, code) = (begin("tls").await, begin("code").await);
    let shipped = || Profiles::load(Profiles::shipped()).unwrap();
    house.alter(("drill", &tls), "an exercise", "an accident");
    let page = house.authority.drills(None).await.unwrap();
    assert_eq!(page.items.iter().map(|drill| drill.id.as_str()).collect::<Vec<_>>(), [code.as_str()]);
    assert_eq!((page.altered, page.next), (1, None));
    assert!(house.is_alarmed_of("drill", &tls));
    assert!(matches!(house.authority.drill(&tls).await, Err(CaError::Altered(_))));
    assert!(matches!(house.authority.end_drill(&admin(), &tls).await, Err(CaError::Altered(_))));
    let again = house.reopened(shipped()).await;
    assert_eq!(marked(&again), ["code"]);
    house.authority.begin_drill(&admin(), of("ssh-user"), false).await.unwrap();
    again.follow_issuers().await.unwrap();
    assert_eq!(
        (marked(&house.authority), marked(&again)),
        (all(&["tls", "code", "ssh-user"]), all(&["code", "ssh-user"]))
    );
    // Put right it marks again.
    house.alter(("drill", &tls), "an accident", "an exercise");
    again.look_for_keys().await.unwrap();
    assert_eq!(marked(&again), ["tls", "code", "ssh-user"]);
    // The list of those that are open is one row too.
    house.alter(("drills", "drills"), &code, "drill-00000000-0");
    let third = house.reopened(shipped()).await;
    assert_eq!((marked(&third), marked(&again)), (Vec::new(), all(&["tls", "code", "ssh-user"])));
    assert!(matches!(third.begin_drill(&admin(), of("code"), false).await, Err(CaError::Altered(_))));
    house.alter(("drills", "drills"), "drill-00000000-0", &code);
    third.look_for_keys().await.unwrap();
    assert_eq!(marked(&third), ["tls", "code", "ssh-user"]);
}

fn all(issuers: &[&str]) -> Vec<String> {
    issuers.iter().map(|issuer| (*issuer).to_owned()).collect()
}
