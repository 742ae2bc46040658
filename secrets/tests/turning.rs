//! Rotations over a real register, a real token and a real PostgreSQL: whatever happens between, what is current logs in.

mod support;
mod target;

use std::sync::atomic::{AtomicUsize, Ordering};

use chancery_secrets::rotation::{Bounds, Outcome, Plan, Schedule, Settings, Step, Why};
use chancery_secrets::{
    At, Change, Errand, Fields, Kind, Line, Login, Naming, Place, Put, Rotations, SecretError, SecretPath, Targets,
    Turn, TurningWish, Warrants,
};
use drivers::Places;
use policy::{Action, Actor, Grant, Owner, Resource};
use store::Database;
use support::*;
use target::{ADMIN, ADMIN_SECRET, FIRST, Target};
use tokio::sync::Notify;

const SECRET: &str = "prod/db";
const OVERLAP: u64 = 600;

struct Warden<'a>(&'a House);

impl Warrants for Warden<'_> {
    async fn warrant(&self, action: Action, path: &SecretPath, owner: &Owner) -> Result<Grant, SecretError> {
        let on = Resource::secret(Some(owner.clone()), path.as_str());
        let decided = self.0.policies.decide(&Actor::system("rotation"), action, &on);
        decided.map_err(|refusal| SecretError::Conflict(refusal.to_string()))
    }
}

fn places() -> Places {
    Places::default()
}

fn pair() -> Plan {
    Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] }
}

fn wish(plan: Plan) -> TurningWish {
    let overlap_secs = if matches!(plan, Plan::Single { .. }) { 0 } else { OVERLAP };
    let bounds = Bounds { tries: 3, away: 3, pause_secs: 5, pause_secs_max: 60 };
    let settings = Settings { plan, overlap_secs, distance_secs: overlap_secs, bounds, schedule: Schedule::default() };
    let (place, admin) = (Place::default(), Some(path("infra/admin")));
    TurningWish { settings, place, admin, line: Line::Here, is_unchecked: false }
}

/// A register with the application's secret and the administrator's, and the rotation over it.
async fn house(database: &Database, target: &Target, plan: Plan, user: &str) -> (House, Rotations) {
    house_with(database, target, wish(plan), user).await
}

async fn house_with(database: &Database, target: &Target, wish: TurningWish, user: &str) -> (House, Rotations) {
    let house = House::open(database).await;
    let kind = |kind| Naming { kind: Some(kind), ..Naming::default() };
    let port = target.port().to_string();
    let fields = [
        ("engine", "postgresql"),
        ("host", "127.0.0.1"),
        ("port", &port),
        ("database", "postgres"),
        ("username", user),
        ("password", FIRST),
    ];
    house.put_as(SECRET, Put { naming: kind(Kind::DatabaseConnection), ..put(&fields) }).await.unwrap();
    let fields = [("username", ADMIN), ("password", ADMIN_SECRET)];
    house.put_as("infra/admin", Put { naming: kind(Kind::DatabasePassword), ..put(&fields) }).await.unwrap();
    let rotations = Rotations::new(house.vault.clone(), 1);
    rotations.set(house.grant(Action::WriteSecret, SECRET), &path(SECRET), wish, &places()).await.unwrap();
    (house, rotations)
}

async fn ask(house: &House, rotations: &Rotations) {
    house.world.advance(2 * OVERLAP as i64);
    rotations.ask(house.grant(Action::WriteSecret, SECRET), &path(SECRET)).await.unwrap();
}

/// Turns until it rests for good or halts, with its time.
async fn run(house: &House, rotations: &Rotations, targets: &impl Targets) -> Turn {
    loop {
        match rotations.turn(&path(SECRET), &Warden(house), targets).await.unwrap() {
            Turn::Rests(Some(until)) => house.world.set(policy::Timestamp::from_unix(until as i64)),
            ended @ (Turn::Rests(None) | Turn::Halted) => return ended,
            Turn::GoesOn => {}
        }
    }
}

/// What an application does: it reads what is current, and logs in.
async fn logs_in(house: &House, target: &Target) -> (String, String) {
    let fields = house.fields(SECRET, "current").await.unwrap();
    let (user, password) = (fields["username"].clone(), fields["password"].clone());
    target.login(&user, &password).await.unwrap_or_else(|error| panic!("{user} is not let in: {error}"));
    (user, password)
}

#[test]
fn a_pair_is_exchanged_while_every_login_works_and_each_step_is_in_the_log() {
    let target = Target::start();
    on_both(|database| {
        let target = &target;
        async move {
            target.reset();
            let (house, rotations) = house(&database, target, pair(), "app-a").await;
            let (before, first) = logs_in(&house, target).await;
            ask(&house, &rotations).await;
            let began = house.leaves();
            let (mut reads, mut steps) = (0, 0);
            loop {
                match rotations.step(&path(SECRET), &Warden(&house), &places()).await.unwrap() {
                    Turn::GoesOn => steps += 1,
                    Turn::Rests(Some(until)) => house.world.set(policy::Timestamp::from_unix(until as i64)),
                    ended => break assert_eq!(ended, Turn::Rests(None)),
                }
                logs_in(&house, target).await;
                reads += 1;
            }
            // Make, set, test, promote, test, retire, test. The first opens what is current; those outside open what they need under
            // one leaf, and the administrator's where they change something, intend under another, and conclude under a third.
            assert_eq!(steps, 7);
            let made = ["access", "record", "record", "record"].len();
            let outside = 5 * 3 + ["set", "retire"].len();
            let labelled = ["set: it is in use there", "promote", "its labels", "at rest: its labels"].len();
            assert_eq!(house.leaves() - began, (made + outside + labelled + reads) as u64);
            let (user, password) = logs_in(&house, target).await;
            assert_eq!((before.as_str(), user.as_str()), ("app-a", "app-b"));
            assert_ne!(password, first);
            assert!(target.login("app-a", FIRST).await.is_err(), "the old one still logs in");
            // What the service opened to exchange it is no reading.
            let known = house.vault.look(&path("infra/admin")).await.unwrap().unwrap();
            assert!(house.vault.last_read(&known).await.unwrap().is_none());
            let secret = house.vault.look(&path(SECRET)).await.unwrap().unwrap();
            assert_eq!(secret.labels().iter().map(|(l, n)| (l.as_str(), *n)).collect::<Vec<_>>(), [("current", 2)]);
            assert_eq!(house.fields(SECRET, "current").await.unwrap()["host"], "127.0.0.1", "its siblings stay");
            let report = house.audited(&database).await;
            assert!(report.findings.is_empty(), "{:?}", report.findings);
        }
    });
}

/// A process that is killed at its n-th act, before or after it.
struct Killed {
    at: usize,
    is_after: bool,
    acts: AtomicUsize,
    dead: Notify,
}

impl Targets for Killed {
    fn check(&self, at: &At, owner: &Owner, settings: &Settings) -> Result<(), String> {
        places().check(at, owner, settings)
    }

    async fn act(&self, errand: &Errand<'_>, step: &Step, admin: Option<&Login>, login: &Login) -> Outcome {
        let dies = self.acts.fetch_add(1, Ordering::SeqCst) == self.at;
        let outcome = match dies && !self.is_after {
            true => None,
            false => Some(places().act(errand, step, admin, login).await),
        };
        if dies {
            self.dead.notify_one();
            std::future::pending::<()>().await;
        }
        outcome.expect("it lives")
    }
}

#[test]
fn a_rotation_that_is_killed_anywhere_is_taken_up_and_ends_in_what_logs_in() {
    let target = Target::start();
    for (plan, user) in [(Plan::Single { user: "app".to_owned() }, "app"), (pair(), "app-a")] {
        on_sqlite(|database| {
            let (target, plan) = (&target, plan.clone());
            async move {
                target.reset();
                let acts = if matches!(plan, Plan::Single { .. }) { 2 } else { 5 };
                let (house, rotations) = house(&database, target, plan, user).await;
                for (at, is_after) in (0..acts).flat_map(|at| [(at, false), (at, true)]) {
                    let (old_user, old) = logs_in(&house, target).await;
                    ask(&house, &rotations).await;
                    let killed = Killed { at, is_after, acts: AtomicUsize::new(0), dead: Notify::new() };
                    tokio::select! {
                        ended = run(&house, &rotations, &killed) => panic!("{ended:?} at {at}: it was not killed"),
                        () = killed.dead.notified() => {}
                    }
                    // Another node waits as long as the one that is gone may still be at it.
                    let other = Rotations::new(house.vault.clone(), 2);
                    let waits = other.step(&path(SECRET), &Warden(&house), &places()).await.unwrap();
                    assert!(matches!(waits, Turn::Rests(Some(_))), "{waits:?}");
                    // The next process has this one's number, or another's.
                    let next = if is_after { &other } else { &rotations };
                    assert_eq!(run(&house, next, &places()).await, Turn::Rests(None), "at {at}, after: {is_after}");
                    let (user, password) = logs_in(&house, target).await;
                    assert_ne!(password, old);
                    assert!(target.login(&old_user, &old).await.is_err(), "{user} at {at}: the old one still logs in");
                    let turning = rotations.look(&path(SECRET)).await.unwrap().unwrap();
                    assert!(turning.rotation().trouble().is_none(), "{:?}", turning.rotation().trouble());
                }
                let report = house.audited(&database).await;
                assert!(report.findings.is_empty(), "{:?}", report.findings);
            }
        });
    }
}

#[test]
fn a_target_that_is_away_is_asked_again_with_pauses_and_then_nothing_has_changed() {
    let mut target = Target::start();
    target.stop();
    on_sqlite(|database| {
        let target = &target;
        async move {
            let unchecked = TurningWish { is_unchecked: true, ..wish(pair()) };
            let (house, rotations) = house_with(&database, target, unchecked, "app-a").await;
            ask(&house, &rotations).await;
            let mut pauses = Vec::new();
            let last = loop {
                let turn = rotations.turn(&path(SECRET), &Warden(&house), &places()).await.unwrap();
                let Turn::Rests(Some(until)) = turn else { panic!("{turn:?}") };
                let now = house.world.now().unix() as u64;
                if until - now > 60 {
                    break until - now;
                }
                pauses.push(until - now);
                house.world.set(policy::Timestamp::from_unix(until as i64));
            };
            assert_eq!((pauses, last), (vec![5, 10], 3_600));
            let turning = rotations.look(&path(SECRET)).await.unwrap().unwrap();
            assert_eq!(turning.rotation().trouble().map(|trouble| trouble.why), Some(Why::Away));
            assert!(!turning.rotation().is_halted(), "it goes on by itself");
            let secret = house.vault.look(&path(SECRET)).await.unwrap().unwrap();
            assert_eq!(secret.labels().iter().map(|(l, n)| (l.as_str(), *n)).collect::<Vec<_>>(), [("current", 1)]);
        }
    });
    target.resume();
}

#[test]
fn what_was_set_nowhere_is_set_up_anew_or_ended_at_once() {
    let mut target = Target::start();
    target.stop();
    on_sqlite(|database| {
        let target = &target;
        async move {
            let unchecked = || TurningWish { is_unchecked: true, ..wish(pair()) };
            let (house, rotations) = house_with(&database, target, unchecked(), "app-a").await;
            let (grant, on) = (|| house.grant(Action::WriteSecret, SECRET), path(SECRET));
            ask(&house, &rotations).await;
            rotations.turn(&on, &Warden(&house), &places()).await.unwrap();
            let waits = rotations.look(&on).await.unwrap().unwrap();
            assert_eq!((waits.rotation().state(), waits.rotation().times_away()), ("made", 1));
            assert!(waits.rotation().last_try().is_some(), "why it waits");
            // Said again it is as it is: no version is drawn, and the pause stays.
            for _ in 0..12 {
                let same = rotations.set(grant(), &on, unchecked(), &places()).await.unwrap();
                assert_eq!(same, waits);
                let turn = rotations.turn(&on, &Warden(&house), &places()).await.unwrap();
                assert!(matches!(turn, Turn::Rests(Some(_))), "{turn:?}");
            }
            assert_eq!(rotations.look(&on).await.unwrap(), Some(waits));
            // Set up otherwise it begins anew, as it was asked for.
            let bounds = Bounds { tries: 2, ..unchecked().settings.bounds };
            let other = TurningWish { settings: Settings { bounds, ..unchecked().settings }, ..unchecked() };
            let anew = rotations.set(grant(), &on, other, &places()).await.unwrap();
            assert_eq!((anew.rotation().state(), anew.rotation().pending()), ("resting", None));
            rotations.turn(&on, &Warden(&house), &places()).await.unwrap();
            let waits = rotations.look(&on).await.unwrap().unwrap();
            assert_eq!(waits.rotation().pending().map(|pending| pending.version), Some(3));
            rotations.end(grant(), &on).await.unwrap();
            assert_eq!(rotations.look(&on).await.unwrap(), None);
            let secret = house.vault.look(&on).await.unwrap().unwrap();
            assert_eq!(secret.labels().iter().map(|(l, n)| (l.as_str(), *n)).collect::<Vec<_>>(), [("current", 1)]);
        }
    });
    target.resume();
}

#[test]
fn versions_that_were_never_in_use_push_out_none_that_were() {
    let mut target = Target::start();
    target.stop();
    on_sqlite(|database| {
        let target = &target;
        async move {
            let unchecked = |tries| {
                let wish = wish(pair());
                let bounds = Bounds { tries, ..wish.settings.bounds };
                TurningWish { settings: Settings { bounds, ..wish.settings }, is_unchecked: true, ..wish }
            };
            let (house, rotations) = house_with(&database, target, unchecked(3), "app-a").await;
            let (grant, on) = (|| house.grant(Action::WriteSecret, SECRET), path(SECRET));
            // Versions of people, before it is exchanged.
            rotations.end(grant(), &on).await.unwrap();
            for password in ["second", "third"] {
                house.put_as(SECRET, put(&[("password", password)])).await.unwrap();
            }
            rotations.set(grant(), &on, unchecked(3), &places()).await.unwrap();
            ask(&house, &rotations).await;
            // Each of other settings draws another, which is set nowhere.
            for tries in [1, 2].into_iter().cycle().take(30) {
                rotations.turn(&on, &Warden(&house), &places()).await.unwrap();
                rotations.set(grant(), &on, unchecked(tries), &places()).await.unwrap();
            }
            let secret = house.vault.look(&on).await.unwrap().unwrap();
            let numbers: Vec<u64> = secret.versions(house.world.now()).iter().map(|version| version.number).collect();
            assert!([1, 2, 3].iter().all(|number| numbers.contains(number)), "{numbers:?}");
            assert!(secret.newest() > 30 && numbers.len() < 15, "{numbers:?}");
        }
    });
    target.resume();
}

#[test]
fn what_a_rotation_exchanges_is_not_written_by_hand_until_it_ends() {
    let target = Target::start();
    on_sqlite(|database| {
        let target = &target;
        async move {
            let (house, rotations) = house(&database, target, pair(), "app-a").await;
            let (grant, on) = (|| house.grant(Action::WriteSecret, SECRET), path(SECRET));
            let mut whole = Fields::new();
            whole.set(field("username"), b"x".to_vec()).unwrap();
            let refused = [
                house.put_as(SECRET, put(&[("host", "elsewhere.example")])).await,
                house.put_as(SECRET, Put { change: Change::Whole(whole), pending: true, ..Put::default() }).await,
                house.vault.roll_back(grant(), &on, None).await,
                house.vault.enable(grant(), &on, &which("1"), false).await,
                house.vault.delete(grant(), &on, 7).await,
                house.vault.label(grant(), &on, &"pending".parse().unwrap(), None).await,
            ];
            for refused in refused {
                assert!(matches!(&refused, Err(SecretError::Conflict(why)) if why.contains("rotation")), "{refused:?}");
            }
            house.vault.describe(grant(), &on, &described("it may be described")).await.unwrap();
            house.vault.label(grant(), &on, &"blue".parse().unwrap(), Some(&which("1"))).await.unwrap();
            // It is due once somebody asks, and the task finds it by that.
            let now = || u64::try_from(house.world.now().unix()).unwrap();
            assert!(rotations.due_by(now(), 10).await.unwrap().found.is_empty());
            // Not while one is under way.
            ask(&house, &rotations).await;
            assert_eq!(rotations.due_by(now(), 10).await.unwrap().found.len(), 1);
            assert!(rotations.troubled(10).await.unwrap().is_empty());
            // Made, and set.
            for _ in 0..2 {
                rotations.step(&on, &Warden(&house), &places()).await.unwrap();
            }
            let ended = rotations.end(grant(), &on).await;
            assert!(
                matches!(&ended, Err(SecretError::Conflict(why)) if why.contains("chancery secret rotation prod/db")),
                "{ended:?}"
            );
            let bounds = Bounds { tries: 2, ..wish(pair()).settings.bounds };
            let other = TurningWish { settings: Settings { bounds, ..wish(pair()).settings }, ..wish(pair()) };
            let changed = rotations.set(grant(), &on, other, &places()).await;
            assert!(matches!(changed, Err(SecretError::Conflict(_))), "{changed:?}");
            let same = rotations.set(grant(), &on, wish(pair()), &places()).await.unwrap();
            assert_eq!((same.rotation().state(), rotations.look(&on).await.unwrap()), ("set", Some(same.clone())));
            run(&house, &rotations, &places()).await;
            rotations.end(grant(), &on).await.unwrap();
            assert_eq!(rotations.look(&on).await.unwrap(), None);
            assert!(rotations.list(None, 10).await.unwrap().items.is_empty());
            let due = rotations.due_by(u64::MAX - 1, 10).await.unwrap();
            assert!(due.found.is_empty() && due.next.is_none(), "{due:?}");
            house.put_as(SECRET, put(&[("host", "elsewhere.example")])).await.unwrap();
            let again = rotations.set(grant(), &on, wish(pair()), &places()).await;
            assert!(
                matches!(&again, Err(SecretError::Invalid { what: "target", .. })),
                "another host, plainly: {again:?}"
            );
        }
    });
}

#[test]
fn who_says_that_it_leaked_says_why_and_it_is_exchanged_at_once() {
    let target = Target::start();
    on_sqlite(|database| {
        let target = &target;
        async move {
            target.reset();
            let (house, rotations) = house(&database, target, pair(), "app-a").await;
            let (grant, on) = (|| house.grant(Action::WriteSecret, SECRET), path(SECRET));
            ask(&house, &rotations).await;
            run(&house, &rotations, &places()).await;
            // The overlap is over, and the distance begins anew with each.
            rotations.ask(grant(), &on).await.unwrap();
            for _ in 0..4 {
                rotations.step(&on, &Warden(&house), &places()).await.unwrap();
            }
            let refused = rotations.ask(grant(), &on).await;
            assert!(matches!(refused, Err(SecretError::Conflict(_))), "{refused:?}");
            let bare = rotations.ask_leaked(grant(), &on, "").await;
            assert!(matches!(bare, Err(SecretError::Invalid { what: "reason", .. })), "{bare:?}");
            let asked = rotations.ask_leaked(grant(), &on, "it stood in a commit").await.unwrap();
            assert_eq!(asked.leaked().map(|leaked| leaked.reason.as_str()), Some("it stood in a commit"));
            let (_, leaked) = logs_in(&house, target).await;
            let began = house.world.now();
            assert_eq!(run(&house, &rotations, &places()).await, Turn::Rests(None));
            assert_eq!(house.world.now(), began, "nothing was waited for");
            let (_, password) = logs_in(&house, target).await;
            assert_ne!(password, leaked);
            for user in ["app-a", "app-b"] {
                assert!(target.login(user, &leaked).await.is_err(), "{user} still logs in with what leaked");
            }
        }
    });
}

#[test]
fn settings_are_judged_before_anything_is_opened() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let rotations = Rotations::new(house.vault.clone(), 1);
        let kind = |kind| Naming { kind: Some(kind), ..Naming::default() };
        let fields = [("username", "app-a"), ("password", "p")];
        house.put_as("bare", Put { naming: kind(Kind::DatabasePassword), ..put(&fields) }).await.unwrap();
        let mut none = wish(pair());
        none.settings.overlap_secs = 0;
        let began = house.leaves();
        for wish in [none, wish(pair())] {
            let set = rotations.set(house.grant(Action::WriteSecret, "bare"), &path("bare"), wish, &places()).await;
            assert!(matches!(set, Err(SecretError::Invalid { .. })), "{set:?}");
        }
        assert_eq!(house.leaves(), began);
    });
}

#[test]
fn what_cannot_be_exchanged_is_refused_when_it_is_set_up() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        let rotations = Rotations::new(house.vault.clone(), 1);
        let base = [("engine", "postgresql"), ("host", "127.0.0.1"), ("username", "app-a"), ("password", "p")];
        let kind = |kind| Naming { kind: Some(kind), ..Naming::default() };
        let ends = Put {
            expires: Some(house.world.now().plus_secs(60)),
            naming: kind(Kind::DatabaseConnection),
            ..put(&base)
        };
        house.put_as("ends", ends).await.unwrap();
        house.put_as("infra/admin", put(&[("username", "boss"), ("password", "x")])).await.unwrap();
        house.put_as("note", Put { naming: kind(Kind::Note), ..put(&[("text", "x")]) }).await.unwrap();
        house.put_as("bare", Put { naming: kind(Kind::DatabasePassword), ..put(&base[2..]) }).await.unwrap();
        house.put_as("good", Put { naming: kind(Kind::DatabaseConnection), ..put(&base) }).await.unwrap();
        let keys = Plan::Keys { user: "app-a".to_owned() };
        let stranger = Plan::Single { user: "somebody".to_owned() };
        let place = Place { host: Some("db.example".to_owned()), ..Place::default() };
        let host = TurningWish { place, ..wish(pair()) };
        let roots = TurningWish { line: Line::Tls { roots: "no PEM".to_owned() }, ..wish(pair()) };
        let cases = [
            ("ends", wish(pair()), "secret"),
            ("note", wish(pair()), "secret"),
            ("bare", wish(pair()), "driver"),
            ("good", wish(keys), "target"),
            ("good", wish(stranger), "settings"),
            ("good", host, "target"),
            ("good", roots, "target"),
        ];
        for (on, wish, what) in cases {
            let set = rotations.set(house.grant(Action::WriteSecret, on), &path(on), wish, &places()).await;
            assert!(matches!(&set, Err(SecretError::Invalid { what: there, .. }) if *there == what), "{on}: {set:?}");
        }
        let unchecked = TurningWish { is_unchecked: true, ..wish(pair()) };
        rotations.set(house.grant(Action::WriteSecret, "good"), &path("good"), unchecked, &places()).await.unwrap();
    });
}

/// A target that answers all logins in one way, and counts them.
struct Says(Outcome, AtomicUsize);

impl Targets for Says {
    fn check(&self, at: &At, owner: &Owner, settings: &Settings) -> Result<(), String> {
        places().check(at, owner, settings)
    }

    async fn act(&self, _: &Errand<'_>, step: &Step, admin: Option<&Login>, _: &Login) -> Outcome {
        assert!(matches!(step, Step::Test { .. }) && admin.is_none(), "nothing changes there: {step:?}");
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.clone()
    }
}

/// A rotation of a password that is not the one in use would go back to it where a step fails: so that is asked first.
#[test]
fn what_does_not_log_in_now_is_not_set_up_and_what_was_not_asked_is_said() {
    let target = Target::start();
    on_sqlite(|database| {
        let target = &target;
        async move {
            target.reset();
            let (house, rotations) = house(&database, target, pair(), "app-a").await;
            let (grant, on) = (|| house.grant(Action::WriteSecret, SECRET), path(SECRET));
            rotations.end(grant(), &on).await.unwrap();
            // Somebody changed it at the target.
            target.login("app-a", FIRST).await.unwrap();
            house.put_as(SECRET, put(&[("password", "another")])).await.unwrap();
            let refused = rotations.set(grant(), &on, wish(pair()), &places()).await;
            assert!(
                matches!(&refused, Err(SecretError::Invalid { what: "login", why })
                    if why.contains("version 2 of prod/db does not log in as app-a at postgresql at 127.0.0.1:")
                        && why.contains("secret put prod/db") && why.contains("Nothing was set up")),
                "{refused:?}"
            );
            let dry = rotations.set_dry(grant(), &on, wish(pair()), &places()).await;
            assert!(matches!(dry, Err(SecretError::Invalid { what: "login", .. })), "{dry:?}");
            for silent in [Outcome::Away("no answer".to_owned()), Outcome::Unknown("no answer".to_owned())] {
                let away = rotations.set(grant(), &on, wish(pair()), &Says(silent, AtomicUsize::new(0))).await;
                assert!(
                    matches!(&away, Err(SecretError::Away(why)) if why.contains("--unchecked") && why.contains("no answer")),
                    "{away:?}"
                );
            }
            assert_eq!(rotations.look(&on).await.unwrap(), None);
            // Right again, a dry run says so and writes nothing.
            house.put_as(SECRET, put(&[("password", FIRST)])).await.unwrap();
            let (dry, is_tried) = rotations.set_dry(grant(), &on, wish(pair()), &places()).await.unwrap();
            assert_eq!((dry.rotation().current().version, is_tried), (3, true));
            assert_eq!(rotations.look(&on).await.unwrap(), None);
            rotations.set(grant(), &on, wish(pair()), &places()).await.unwrap();
            // Other settings of the same place ask nobody.
            let says = Says(Outcome::Refused("no".to_owned()), AtomicUsize::new(0));
            let mut monthly = wish(pair());
            monthly.settings.schedule.period_secs = Some(30 * 86_400);
            rotations.set(grant(), &on, monthly, &says).await.unwrap();
            assert_eq!(says.1.load(Ordering::SeqCst), 0);
            let elsewhere = Place { database: Some("template1".to_owned()), ..Place::default() };
            let moved = rotations.set(grant(), &on, TurningWish { place: elsewhere, ..wish(pair()) }, &says).await;
            assert!(matches!(moved, Err(SecretError::Invalid { what: "login", .. })), "{moved:?}");
            assert_eq!(says.1.load(Ordering::SeqCst), 1);
        }
    });
}
