//! Who is told of, who is counted, and whose the numbers are.

use std::collections::BTreeSet;

use policy::{Name, Owner, Proof};
use store::ActorStamp;

use super::*;
use crate::refused::window::{TOLD_MAX, WINDOW};
use crate::refused::{REFUSED_APART_MAX, REFUSED_APART_OF_KIN_MAX};

/// A crowd and its clock.
struct House {
    crowd: Crowd,
    begun: Instant,
}

impl House {
    fn new() -> House {
        House { crowd: Crowd::default(), begun: Instant::now() }
    }

    /// He asks for something so many windows after the beginning.
    fn refuse(&self, actor: &Actor, target: &str, windows: u32) -> Noted {
        self.crowd.note(refusal(actor, target), actor, self.at(windows))
    }

    fn at(&self, windows: u32) -> Instant {
        self.begun + windows * WINDOW
    }

    /// So many beyond those that are leaves of their own.
    fn count(&self, actor: &Actor, number: u32, windows: u32) {
        for _ in 0..=TOLD_MAX + number {
            self.refuse(actor, "secret", windows);
        }
    }

    fn due(&self, windows: u32, is_end: bool) -> Vec<Sum> {
        self.crowd.due(self.at(windows), is_end)
    }

    fn state(&self, windows: u32) -> RefusalState {
        self.crowd.state(self.at(windows))
    }
}

fn token(id: &str) -> Actor {
    Actor { id: id.to_owned(), proof: Proof::Token { id: "x".to_owned() }, ..Actor::system("test") }
}

fn certificate(serial: u32, owner: &str, name: &str) -> Actor {
    let (serial, names) = (format!("{serial:032x}"), BTreeSet::from([Name::parse(name).unwrap()]));
    Actor {
        id: format!("cert:{serial}"),
        owners: BTreeSet::from([Owner::parse(owner).unwrap()]),
        proof: Proof::ClientCertificate { serial, names },
        ..Actor::system("test")
    }
}

fn refusal(actor: &Actor, target: &str) -> RefusalEntry {
    RefusalEntry {
        actor: ActorStamp::from(actor),
        action: "read-secret".to_owned(),
        target: target.to_owned(),
        rule: None,
        missing: "nothing allows it".to_owned(),
        policy_hash: [0; 32],
    }
}

fn is_leaf(noted: &Noted) -> bool {
    match noted {
        Noted::Told(..) | Noted::Counting(..) => true,
        Noted::Counted => false,
    }
}

fn told(sums: &[Sum]) -> Vec<String> {
    sums.iter().map(|sum| sum.leaf().target).collect()
}

/// As many kin as fill all places, each with its whole share.
fn kins() -> impl Iterator<Item = (u32, String)> {
    let (all, share) = (number(REFUSED_APART_MAX), number(REFUSED_APART_OF_KIN_MAX));
    (0..all).map(move |serial| (serial, format!("team{}", serial / share)))
}

fn number(most: usize) -> u32 {
    u32::try_from(most).unwrap()
}

#[test]
fn an_actor_has_so_many_refusals_written_down_and_then_their_number() {
    let (house, none, other) = (House::new(), token("token:none"), token("token:other"));
    let noted = |actor: &Actor, number: u32, windows| house.refuse(actor, &format!("secret {number}"), windows);
    for number in 0..TOLD_MAX {
        assert!(matches!(noted(&none, number, 0), Noted::Told(..)), "{number}");
    }
    let first = noted(&none, TOLD_MAX, 0);
    assert!(
        matches!(&first, Noted::Counting(_, leaf) if leaf.missing.contains("from here on they are counted")),
        "{first:?}"
    );
    for number in 0..1_000 {
        assert!(matches!(noted(&none, number, 0), Noted::Counted), "{number}");
    }
    // Another's are his own.
    assert!(matches!(noted(&other, 0, 0), Noted::Told(_, leaf) if leaf.target == "secret 0"));
    let counting = |actor: &Actor, windows| house.crowd.counting(actor, house.at(windows));
    assert_eq!([counting(&none, 0), counting(&none, 1)], [Counting::Apart, Counting::Not]);
    assert_eq!([counting(&other, 0), counting(&token("token:third"), 0)], [Counting::Not; 2]);
    // The window is over: how many there were is told once, and the next are leaves again.
    assert!(house.crowd.due(house.begun + WINDOW / 2, false).is_empty());
    assert!(matches!(noted(&none, 7, 1), Noted::Told(_, leaf) if leaf.target == "secret 7"));
    let later = house.due(1, false);
    assert_eq!(told(&later), ["1000 more refusals"]);
    let missing = later[0].leaf().missing;
    assert!(missing.starts_with("and 1000 more of this actor within 60 minutes"), "{missing}");
    assert!(house.due(1, true).is_empty(), "nothing else was counted");
    assert_eq!(house.state(1).untold, 1_000, "so many are lost where it breaks off now");
    house.crowd.is_told(&later[0]);
    assert_eq!(house.state(1), RefusalState { counted: 1_000, ..RefusalState::default() });
}

#[test]
fn what_was_counted_is_told_at_the_end_too() {
    let house = House::new();
    house.count(&token("token:none"), 2, 0);
    assert_eq!(told(&house.due(0, true)), ["2 more refusals"]);
}

#[test]
fn a_number_that_the_register_did_not_take_is_told_later_with_what_came_since() {
    let (house, none) = (House::new(), token("token:none"));
    house.count(&none, 5, 0);
    let refused = house.due(1, false);
    assert_eq!(told(&refused), ["5 more refusals"]);
    assert_eq!(house.state(1).untold, 5);
    refused.into_iter().for_each(|sum| house.crowd.owes(sum));
    assert_eq!(house.state(1).untold, 5);
    // Another hour of it, while the register is away still.
    house.count(&none, 7, 1);
    assert_eq!(house.state(1).untold, 12);
    let both = house.due(2, false);
    assert_eq!(told(&both), ["12 more refusals"]);
    assert!(both[0].leaf().missing.contains("within 120 minutes"), "{both:?}");
    house.crowd.is_told(&both[0]);
    assert_eq!(house.state(2).untold, 0);
}

#[test]
fn that_the_rest_is_counted_is_said_until_it_is_a_leaf() {
    let (house, none) = (House::new(), token("token:none"));
    for _ in 0..TOLD_MAX {
        house.refuse(&none, "secret", 0);
    }
    for _ in 0..2 {
        match house.refuse(&none, "secret", 0) {
            Noted::Counting(place, _) => house.crowd.unsaid(place),
            noted @ (Noted::Told(..) | Noted::Counted) => panic!("{noted:?}"),
        }
    }
    assert!(is_leaf(&house.refuse(&none, "secret", 0)));
    assert!(!is_leaf(&house.refuse(&none, "secret", 0)));
}

#[test]
fn what_did_not_become_a_leaf_is_not_among_those_that_are() {
    let (house, none) = (House::new(), token("token:none"));
    for _ in 0..3 * TOLD_MAX {
        match house.refuse(&none, "secret", 0) {
            Noted::Told(place, _) => house.crowd.untold(place),
            noted @ (Noted::Counting(..) | Noted::Counted) => panic!("{noted:?}"),
        }
    }
    // Nobody's: his window is over meanwhile.
    house.crowd.untold(Place::Own(Holder::of(&token("token:other"))));
    assert_eq!(house.state(0), RefusalState { apart: 1, ..RefusalState::default() });
}

#[test]
fn whoever_renews_his_certificate_is_counted_as_one() {
    let house = House::new();
    let leaves =
        (0..3 * TOLD_MAX).filter(|serial| is_leaf(&house.refuse(&certificate(*serial, "web", "a.example"), "x", 0)));
    assert_eq!(leaves.count(), TOLD_MAX as usize + 1, "a serial is no second place");
    assert_eq!(house.crowd.counting(&certificate(7_000, "web", "a.example"), house.at(0)), Counting::Apart);
    // Nor is he taken for another of his owner, or for one of the same name elsewhere.
    for other in [certificate(7_001, "web", "b.example"), certificate(7_002, "shop", "a.example")] {
        assert!(matches!(house.refuse(&other, "x", 0), Noted::Told(..)));
    }
    assert_eq!((house.state(0).apart, house.state(0).nameless), (3, 0));
    // The last of his certificates stands in the leaf, which says that there were others.
    let ended = house.due(0, true);
    let leaf = ended[0].leaf();
    assert_eq!((ended.len(), leaf.actor.id), (1, certificate(3 * TOLD_MAX - 1, "web", "a.example").id));
    assert!(leaf.missing.contains("by this certificate and others for the same names"), "{}", leaf.missing);
}

#[test]
fn whoever_has_many_names_takes_no_place_of_others() {
    let house = House::new();
    let share = number(REFUSED_APART_OF_KIN_MAX);
    let agent = |serial: u32| certificate(serial, "web", &format!("n{serial}.example"));
    for serial in 0..share + TOLD_MAX + 3 {
        house.refuse(&agent(serial), "x", 0);
    }
    let state = house.state(0);
    assert_eq!((state.apart, state.nameless), (REFUSED_APART_OF_KIN_MAX, u64::from(TOLD_MAX) + 3));
    let counting = |actor: &Actor| house.crowd.counting(actor, house.at(0));
    assert_eq!(counting(&agent(90_000)), Counting::Together, "the next of them is one of many");
    assert_eq!([counting(&agent(0)), counting(&certificate(1, "shop", "a.example"))], [Counting::Not; 2]);
    assert!(matches!(house.refuse(&certificate(1, "shop", "a.example"), "x", 0), Noted::Told(Place::Own(_), _)));
    // Their number is nobody's own, and is theirs.
    let ended = house.due(0, true);
    assert_eq!(told(&ended), ["2 more refusals of several actors"]);
    assert!(ended[0].leaf().missing.contains("several actors of the same owners"), "{ended:?}");
}

#[test]
fn however_many_actors_there_are_what_is_remembered_is_bounded() {
    let house = House::new();
    for (serial, owner) in kins() {
        assert!(is_leaf(&house.refuse(&certificate(serial, &owner, &format!("n{serial}.example")), "x", 0)));
    }
    assert_eq!(house.state(0).nameless, 0);
    let late = |serial: u32| certificate(serial, &format!("late{serial}"), "a.example");
    let leaves = (0..2 * TOLD_MAX).filter(|serial| is_leaf(&house.refuse(&late(*serial), "x", 0))).count();
    assert_eq!(leaves, TOLD_MAX as usize + 1);
    assert_eq!(house.crowd.memory().open.len(), REFUSED_APART_MAX + 1);
    let state = house.state(0);
    let times = u64::from(2 * TOLD_MAX);
    assert_eq!((state.apart, state.nameless, state.nameless_lately), (REFUSED_APART_MAX, times, times));
    assert_eq!((house.state(1).apart, house.state(1).nameless, house.state(1).nameless_lately), (0, times, 0));
    // Their number is nobody's own.
    let ended = house.due(0, true);
    assert!(ended.len() == 1 && ended[0].leaf().missing.contains("more of several actors, too many"), "{ended:?}");
    assert_eq!(told(&ended), ["255 more refusals of several actors"]);
    // Nor are numbers that the register does not take more than that.
    let sum = |actor: &Actor| Sum { place: Place::Own(Holder::of(actor)), number: 2, ..ended[0].clone() };
    let named = kins().map(|(serial, owner)| sum(&certificate(serial, &owner, &format!("n{serial}.example"))));
    ended.iter().for_each(|ended| house.crowd.is_told(ended));
    named.chain((0..10).map(|serial| sum(&late(serial)))).for_each(|sum| house.crowd.owes(sum));
    assert_eq!(house.crowd.memory().owed.len(), REFUSED_APART_MAX + 1);
    assert_eq!(house.state(0).untold, 2 * (REFUSED_APART_MAX as u64 + 10), "none is lost");
}

#[test]
fn whoever_is_refused_very_often_is_told_of_as_long_as_his_window() {
    let house = House::new();
    let from = u32::try_from(INSISTENT_FROM).unwrap();
    for _ in 1..from {
        house.refuse(&token("token:none"), "secret", 0);
    }
    house.refuse(&token("token:other"), "secret", 0);
    assert!(house.state(0).insistent.is_empty());
    house.refuse(&token("token:none"), "secret", 0);
    let actor = "token:none".to_owned();
    let told = Insistent { actor, by_several: false, in_common: None, times: INSISTENT_FROM };
    assert_eq!(house.state(0).insistent, [told]);
    assert!(house.state(1).insistent.is_empty());
}

#[test]
fn whoever_is_refused_by_several_certificates_is_named_by_one_of_whom_there_are_leaves() {
    let house = House::new();
    // What the register did not take is no leaf: the next one is the first.
    match house.refuse(&certificate(7, "web", "a.example"), "x", 0) {
        Noted::Told(place, _) => house.crowd.untold(place),
        noted @ (Noted::Counting(..) | Noted::Counted) => panic!("{noted:?}"),
    }
    let (early, late) = (certificate(8, "web", "a.example"), certificate(9, "web", "a.example"));
    house.count(&early, 0, 0);
    for _ in 0..INSISTENT_FROM {
        assert!(!is_leaf(&house.refuse(&late, "x", 0)), "of this one the log has nothing");
    }
    let insistent = house.state(0).insistent;
    assert_eq!(insistent.len(), 1, "{insistent:?}");
    assert_eq!((insistent[0].actor.as_str(), insistent[0].by_several), (early.id.as_str(), true));
    // And all of them are found by what they have in common.
    let common = InCommon { owner: Some(Owner::parse("web").unwrap()), name: Name::parse("a.example").unwrap() };
    assert_eq!(insistent[0].in_common.as_ref(), Some(&common));
}

#[test]
fn a_name_that_its_holder_words_is_in_no_line_to_paste() {
    let shows = |names: &[&str]| {
        let names = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        let proof = Proof::ClientCertificate { serial: "01".to_owned(), names };
        InCommon::of(&Actor { proof, ..Actor::system("test") })
    };
    assert_eq!(shows(&["uri:spiffe://a.example/x"]), None);
    let found = shows(&["uri:spiffe://a.example/x", "192.0.2.1"]).unwrap();
    assert_eq!((found.owner, found.name), (None, Name::parse("192.0.2.1").unwrap()));
    assert_eq!(InCommon::of(&token("token:none")), None);
}
