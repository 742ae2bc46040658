//! After a clock that was three days ahead, and an operator's word: what it wrote is put right, each for itself.

mod support;

use std::future::{pending, ready};

use chancery_secrets::rotation::{Bounds, Outcome, Plan, Schedule, Settings};
use chancery_secrets::{
    Asked, ClientLogin, Endpoint, Endpoints, Kind, Line, Naming, Place, Put, RefreshWish, Refreshes, Rotations,
    SecretError, SecretPath, Tokens, TurningWish, Warrants, Way,
};
use drivers::Places;
use policy::{Action, Actor, Grant, Owner, Resource};
use store::Database;
use support::*;
use tokio::sync::Notify;

struct Warden<'a>(&'a House);

impl Warrants for Warden<'_> {
    async fn warrant(&self, action: Action, path: &SecretPath, owner: &Owner) -> Result<Grant, SecretError> {
        let on = Resource::secret(Some(owner.clone()), path.as_str());
        let decided = self.0.policies.decide(&Actor::system("rotation"), action, &on);
        decided.map_err(|refusal| SecretError::Conflict(refusal.to_string()))
    }
}

/// Three days back, as an operator says. The time then, in seconds since 1970.
async fn word(house: &House) -> u64 {
    house.world.jump(-3 * 86_400);
    house.ledger.set_time(stamp(), "the host came up three days ahead").await.unwrap();
    u64::try_from(house.world.now().unix()).unwrap()
}

async fn put_kind(house: &House, on: &str, kind: Kind, fields: &[(&str, &str)]) {
    let naming = Naming { kind: Some(kind), ..Naming::default() };
    house.put_as(on, Put { naming, ..put(fields) }).await.unwrap();
}

fn wish() -> TurningWish {
    let plan = Plan::Pair { users: ["app-a".to_owned(), "app-b".to_owned()] };
    let (bounds, schedule) = (Bounds::default(), Schedule::default());
    let settings = Settings { plan, overlap_secs: 600, distance_secs: 600, bounds, schedule };
    let (place, admin) = (Place::default(), Some(path("infra/admin")));
    TurningWish { settings, place, admin, line: Line::Here, is_unchecked: true }
}

#[test]
fn an_altered_secret_holds_no_other_rotation_up() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.world.advance(4 * 86_400);
        let rotations = Rotations::new(house.vault.clone(), 1);
        put_kind(&house, "infra/admin", Kind::DatabasePassword, &[("username", "boss"), ("password", "x")]).await;
        let fields = [("engine", "postgresql"), ("host", "127.0.0.1"), ("username", "app-a"), ("password", "p")];
        let all = ["prod/a", "prod/b", "prod/c"];
        for on in all {
            put_kind(&house, on, Kind::DatabaseConnection, &fields).await;
            let grant = house.grant(Action::WriteSecret, on);
            rotations.set(grant, &path(on), wish(), &Places::default()).await.unwrap();
        }
        let now = word(&house).await;
        let Database::Sqlite(file) = &database else { unreachable!() };
        let thief = rusqlite::Connection::open(file).unwrap();
        let alter = "UPDATE record SET body = body || ' ' WHERE kind = 'secret' AND id = 'prod/a'";
        assert!(thief.execute(alter, []).unwrap() > 0, "each version of it that the register still has");
        assert_eq!(rotations.put_right(&Warden(&house)).await.unwrap(), 2);
        for (on, is_right) in all.into_iter().zip([false, true, true]) {
            let turning = rotations.look(&path(on)).await.unwrap().unwrap();
            assert_eq!(turning.rotation().since() == now, is_right, "{on}");
        }
        // The others are exchanged as soon as somebody asks.
        let grant = house.grant(Action::WriteSecret, "prod/b");
        rotations.ask_leaked(grant, &path("prod/b"), "it stood in a commit").await.unwrap();
        let due = rotations.due_by(now, 10).await.unwrap();
        let paths: Vec<_> = due.found.iter().map(|turning| turning.path().as_str()).collect();
        assert_eq!(paths, ["prod/b"]);
        assert!(house.ledger.integrity().alarms_total > 0);
    });
}

/// A token endpoint that never answers.
#[derive(Default)]
struct Silent(Notify);

impl Endpoints for Silent {
    fn fits(&self, _: &Endpoint) -> Result<(), String> {
        Ok(())
    }

    async fn ask(&self, _: &Endpoint, _: &ClientLogin, _: &Asked) -> Result<Tokens, Outcome> {
        self.0.notify_one();
        pending().await
    }
}

#[test]
fn who_asked_for_a_token_by_a_clock_that_was_ahead_and_ended_is_taken_up_at_once() {
    on_sqlite(|database| async move {
        let house = House::open(&database).await;
        house.world.advance(4 * 86_400);
        let (on, silent) = (path("prod/token"), Silent::default());
        put_kind(&house, "prod/client", Kind::OauthClient, &[("client_id", "c"), ("client_secret", "s")]).await;
        put_kind(&house, "prod/token", Kind::OauthToken, &[("access_token", "t")]).await;
        let at = Endpoint { url: "https://idp.example/token".to_owned(), roots: None, post: false };
        let wish = RefreshWish { at, client: path("prod/client"), way: Way::ClientCredentials, ahead_secs: 600 };
        let (here, gone) = (Refreshes::new(house.vault.clone(), 1), Refreshes::new(house.vault.clone(), 2));
        here.set(house.grant(Action::WriteSecret, "prod/token"), &on, wish, &silent).await.unwrap();
        let warden = Warden(&house);
        tokio::select! {
            ended = gone.turn(&on, &warden, &silent, |_| ready(())) => panic!("it was answered: {ended:?}"),
            () = silent.0.notified() => {}
        }
        // By the clock of then another node waits for it.
        let asking = here.look(&on).await.unwrap().unwrap();
        let then = u64::try_from(house.world.now().unix()).unwrap();
        assert!(here.due(&asking, then).is_some_and(|due| due > then));
        let now = word(&house).await;
        assert_eq!(here.due(&asking, now), Some(now));
        let taken = here.turn(&on, &warden, &silent, |_| ready(())).await.unwrap();
        assert_eq!(taken.trouble().map(|(tries, _)| tries), Some(1));
        assert!(here.due(&taken, now).is_some_and(|due| due <= now + 60), "it is asked again soon");
    });
}
