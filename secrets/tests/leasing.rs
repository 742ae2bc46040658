//! Leases over a real register and a real token, at a target that says what the test says: who stands, who is ended, in what order, and
//! who is forgotten.

mod support;

use std::sync::Mutex;

use chancery_secrets::rotation::Outcome;
use chancery_secrets::{
    At, Document, ENDS_TRIED_MAX, Hired, Hirer, LEASES_OF_ROLE_MAX, Lease, LeaseStage, LeaseWish, Leases, Line, Login,
    Place, Product, RoleWish, SecretError, SecretPath, Tenancy, Terms, Warrants,
};
use policy::{Action, Actor, Grant, Owner, Resource};
use support::*;

const ROLE: &str = "prod/db/readers";
const ADMIN: &str = "infra/admin";

struct Warden<'a>(&'a House);

impl Warrants for Warden<'_> {
    async fn warrant(&self, action: Action, path: &SecretPath, owner: &Owner) -> Result<Grant, SecretError> {
        let on = Resource::secret(Some(owner.clone()), path.as_str());
        let decided = self.0.policies.decide(&Actor::system("lease"), action, &on);
        decided.map_err(|refusal| SecretError::Conflict(refusal.to_string()))
    }
}

/// Says the same to everybody, and remembers whom it was shown.
struct Target {
    says: Mutex<Outcome>,
    admins: Mutex<Vec<String>>,
    /// How many documents it made out.
    made: Mutex<usize>,
    /// Of those who were ended: their documents, and whether there may be one more.
    ended: Mutex<Vec<(Vec<String>, bool)>>,
}

impl Target {
    fn new() -> Target {
        Target {
            says: Mutex::new(Outcome::Done),
            admins: Mutex::default(),
            made: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    fn makes_out(&self, hirer: Hirer<'_>) -> Option<Document> {
        let public_key = hirer.lease.public_key()?;
        let is_done = *self.says.lock().unwrap() == Outcome::Done;
        let mut made = self.made.lock().unwrap();
        *made += 1;
        is_done.then(|| Document { id: format!("document {made}"), text: format!("of {public_key}") })
    }

    fn says(&self, outcome: Outcome) {
        *self.says.lock().unwrap() = outcome;
    }

    fn hears(&self, admin: &Login) -> Outcome {
        self.admins.lock().unwrap().push(admin.secret.expose().clone());
        self.says.lock().unwrap().clone()
    }
}

impl Tenancy for Target {
    fn has(&self, _terms: Terms<'_>) -> Result<(), String> {
        Ok(())
    }

    async fn create(&self, _at: &At, admin: &Login, hirer: Hirer<'_>) -> Hired {
        Hired { outcome: self.hears(admin), document: self.makes_out(hirer) }
    }

    async fn renew(&self, _at: &At, admin: &Login, hirer: Hirer<'_>) -> Hired {
        Hired { outcome: self.hears(admin), document: self.makes_out(hirer) }
    }

    async fn revoke(&self, _at: &At, admin: &Login, hirer: Hirer<'_>) -> Outcome {
        self.ended.lock().unwrap().push((hirer.lease.documents().to_vec(), hirer.lease.is_doubtful()));
        self.hears(admin)
    }
}

async fn set_role(house: &House, leases: &Leases, on: &str, target: &Target) {
    let host = Some("127.0.0.1".to_owned());
    let place = Place { product: Some(Product::PostgreSql), host, ..Place::default() };
    let (admin, like) = (Some(path(ADMIN)), "readers".to_owned());
    let wish = RoleWish { place, admin, line: Line::Here, like, secs: 60, secs_max: 600 };
    leases.set_role(house.grant(Action::WriteSecret, on), &path(on), &owner("web"), wish, target).await.unwrap();
}

async fn house(database: &store::Database, target: &Target) -> (House, Leases) {
    let house = House::open(database).await;
    house.put_as(ADMIN, put(&[("username", "boss"), ("password", "of the boss")])).await.unwrap();
    let leases = Leases::new(house.vault.clone(), 1);
    set_role(&house, &leases, ROLE, target).await;
    (house, leases)
}

async fn asked(house: &House, leases: &Leases, on: &str, target: &Target) -> Result<Lease, SecretError> {
    let grant = house.grant(Action::LeaseSecret, on);
    leases.lease(grant, &path(on), LeaseWish::default(), &Warden(house), target).await.map(|leased| leased.lease)
}

fn now(house: &House) -> u64 {
    u64::try_from(house.world.now().unix()).unwrap()
}

async fn standing(leases: &Leases) -> Vec<Lease> {
    leases.list(None, 1_000).await.unwrap().items
}

#[test]
fn who_surely_was_not_made_is_nobodys_to_end() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        target.says(Outcome::Away("connection refused".to_owned()));
        let away = asked(&house, &leases, ROLE, &target).await;
        assert!(matches!(&away, Err(SecretError::Away(why)) if why.contains("connection refused")), "{away:?}");
        // Whoever asks again at once writes nothing down.
        let began = house.leaves();
        assert!(matches!(asked(&house, &leases, ROLE, &target).await, Err(SecretError::Away(_))));
        assert_eq!(house.leaves(), began);
        house.world.advance(5);
        target.says(Outcome::Refused("no".to_owned()));
        let refused = asked(&house, &leases, ROLE, &target).await;
        assert!(matches!(&refused, Err(SecretError::Conflict(why)) if why.contains("refused")), "{refused:?}");
        assert!(standing(&leases).await.is_empty());
        assert_eq!(leases.due_by(now(&house) + 1_000_000, 10).await.unwrap().0.len(), 0);
        // Of whom nobody knows, he is ended.
        target.says(Outcome::Unknown("no answer".to_owned()));
        assert!(matches!(asked(&house, &leases, ROLE, &target).await, Err(SecretError::Conflict(_))));
        let there = standing(&leases).await;
        assert_eq!(there.iter().map(Lease::stage).collect::<Vec<_>>(), [LeaseStage::Ending]);
        target.says(Outcome::Done);
        // The target may be at it still: he is looked for once more after that.
        for stage in [LeaseStage::Ending, LeaseStage::Ended] {
            let ended = leases.end(there[0].id(), &Warden(&house), &target).await.unwrap();
            assert_eq!(ended.stage(), stage);
            house.world.advance(450);
        }
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn who_is_to_be_ended_stands_behind_whose_end_came_before() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        let live = asked(&house, &leases, ROLE, &target).await.unwrap();
        house.world.advance(70);
        target.says(Outcome::Unknown("no answer".to_owned()));
        asked(&house, &leases, ROLE, &target).await.unwrap_err();
        let due = leases.due_by(now(&house), 10).await.unwrap().0;
        assert_eq!(due.first().map(Lease::id), Some(live.id()), "{due:?}");
        assert_eq!(due.len(), 2);
        // What failed once waits for its time, and is not among those that were never tried.
        let failed = leases.end(live.id(), &Warden(&house), &target).await.unwrap();
        assert_eq!(failed.trouble().map(|(tries, _)| tries), Some(1));
        let due = leases.due_by(now(&house), 10).await.unwrap().0;
        assert!(due.iter().all(|lease| lease.id() != live.id()), "{due:?}");
    });
}

/// An end takes a right away: it waits for no clock, and comes by the time that went by.
#[test]
fn a_clock_that_is_not_believed_ends_nobody_early_and_keeps_nobody() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        let lease = asked(&house, &leases, ROLE, &target).await.unwrap();
        let back = asked(&house, &leases, ROLE, &target).await.unwrap();
        house.world.jump(7_200);
        let kept = leases.end(lease.id(), &Warden(&house), &target).await.unwrap();
        assert_eq!(kept.stage(), LeaseStage::Live, "two hours ahead");
        house.world.jump(-7_200 - 3_600);
        // Who is given back is ended at once.
        leases.give_back(house.grant(Action::LeaseSecret, ROLE), back.id()).await.unwrap();
        let ended = leases.end(back.id(), &Warden(&house), &target).await.unwrap();
        assert_eq!(ended.stage(), LeaseStage::Ended, "given back under a clock an hour back");
        house.world.advance(61);
        let ended = leases.end(lease.id(), &Warden(&house), &target).await.unwrap();
        assert_eq!(ended.stage(), LeaseStage::Ended, "an hour back");
        house.world.jump(3_600);
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn an_end_is_tried_to_its_bound_and_then_an_administrator_has_it_forgotten() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        let lease = asked(&house, &leases, ROLE, &target).await.unwrap();
        let forgets = || house.grant(Action::DestroySecret, ROLE);
        let early = leases.forget(forgets(), lease.id(), "it is gone").await;
        assert!(matches!(early, Err(SecretError::Conflict(_))), "{early:?}");
        target.says(Outcome::Away("nobody is there".to_owned()));
        for _ in 0..ENDS_TRIED_MAX {
            house.world.advance(3_700);
            leases.end(lease.id(), &Warden(&house), &target).await.unwrap();
        }
        let given_up = leases.look(lease.id()).await.unwrap();
        assert!(given_up.is_given_up(), "{given_up:?}");
        house.world.advance(1_000_000);
        assert!(leases.due_by(now(&house), 10).await.unwrap().0.is_empty(), "it is tried no more");
        assert_eq!(leases.troubled(10).await.unwrap().len(), 1, "and told");
        // Whoever keeps the role has it tried again, once more at once.
        leases.give_back(house.grant(Action::WriteSecret, ROLE), lease.id()).await.unwrap();
        assert_eq!(leases.due_by(now(&house), 10).await.unwrap().0.len(), 1);
        let other = leases.forget(house.grant(Action::WriteSecret, ROLE), lease.id(), "it is gone").await;
        assert!(matches!(other, Err(SecretError::Conflict(_))), "{other:?}");
        let bare = leases.forget(forgets(), lease.id(), " \n").await;
        assert!(matches!(bare, Err(SecretError::Invalid { what: "reason", .. })), "{bare:?}");
        let gone = leases.forget(forgets(), lease.id(), "the server was taken down").await.unwrap();
        assert_eq!((gone.stage(), gone.forgotten()), (LeaseStage::Ended, Some("the server was taken down")));
        assert!(leases.troubled(10).await.unwrap().is_empty() && standing(&leases).await.is_empty());
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn a_role_has_so_many_users_that_did_not_end() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        for _ in 0..LEASES_OF_ROLE_MAX {
            asked(&house, &leases, ROLE, &target).await.unwrap();
        }
        let full = asked(&house, &leases, ROLE, &target).await;
        assert!(matches!(&full, Err(SecretError::Conflict(why)) if why.contains("give some back")), "{full:?}");
        // Another role has its own room, and one that ended makes some.
        set_role(&house, &leases, "prod/other", &target).await;
        asked(&house, &leases, "prod/other", &target).await.unwrap();
        let one = standing(&leases).await.into_iter().find(|lease| *lease.role() == path(ROLE)).unwrap();
        leases.give_back(house.grant(Action::LeaseSecret, ROLE), one.id()).await.unwrap();
        leases.end(one.id(), &Warden(&house), &target).await.unwrap();
        asked(&house, &leases, ROLE, &target).await.unwrap();
    });
}

#[test]
fn a_lease_of_a_clock_that_was_ahead_is_as_long_as_it_was_to_be() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        house.world.advance(4 * 86_400);
        asked(&house, &leases, ROLE, &target).await.unwrap();
        let (since, until, most) = standing(&leases).await.into_iter().next().unwrap().times();
        assert_eq!(leases.put_right().await.unwrap(), 0, "it is as the clock says");
        house.world.jump(-3 * 86_400);
        house.ledger.set_time(stamp(), "the host came up three days ahead").await.unwrap();
        assert_eq!(leases.put_right().await.unwrap(), 1);
        let now = u64::try_from(house.world.now().unix()).unwrap();
        let lease = standing(&leases).await.into_iter().next().unwrap();
        assert_eq!(lease.times(), (now, now + (until - since), now + (most - since)));
        assert_eq!(leases.put_right().await.unwrap(), 0, "once");
        // He is found when he is due.
        let (due, _) = leases.due_by(now + (until - since), 10).await.unwrap();
        assert_eq!(due.iter().map(|lease| lease.id()).collect::<Vec<_>>(), [lease.id()]);
    });
}

#[test]
fn another_secret_at_the_administrators_path_is_sent_nowhere() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        asked(&house, &leases, ROLE, &target).await.unwrap();
        // A new version is the same secret.
        house.put_as(ADMIN, put(&[("password", "changed")])).await.unwrap();
        asked(&house, &leases, ROLE, &target).await.unwrap();
        assert_eq!(*target.admins.lock().unwrap(), ["of the boss", "changed"]);
        // That is no reading.
        let known = house.vault.look(&path(ADMIN)).await.unwrap().unwrap();
        assert!(house.vault.last_read(&known).await.unwrap().is_none());
        house.vault.delete(house.grant(Action::WriteSecret, ADMIN), &path(ADMIN), 7).await.unwrap();
        house.world.advance(8 * 86_400);
        house.vault.purge(house.grant(Action::DestroySecret, ADMIN), &path(ADMIN)).await.unwrap();
        house.put_as(ADMIN, put(&[("username", "boss"), ("password", "of another life")])).await.unwrap();
        let refused = asked(&house, &leases, ROLE, &target).await;
        assert!(matches!(&refused, Err(SecretError::Conflict(why)) if why.contains("another secret")), "{refused:?}");
        assert_eq!(target.admins.lock().unwrap().len(), 2, "nothing more was sent");
    });
}

async fn set_hosts(house: &House, leases: &Leases, target: &Target) {
    let place = Place { product: Some(Product::Ssh), ..Place::default() };
    let wish = RoleWish { place, admin: None, line: Line::Here, like: "deploy".to_owned(), secs: 60, secs_max: 600 };
    leases.set_role(house.grant(Action::WriteSecret, HOSTS), &path(HOSTS), &owner("web"), wish, target).await.unwrap();
}

const HOSTS: &str = "prod/hosts/deploy";

#[test]
fn what_is_made_out_to_somebody_is_known_at_his_end_and_so_is_what_may_be() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        set_hosts(&house, &leases, &target).await;
        let leased = |wish: LeaseWish| {
            let grant = house.grant(Action::LeaseSecret, HOSTS);
            let (leases, house, target) = (&leases, &house, &target);
            async move { leases.lease(grant, &path(HOSTS), wish, &Warden(house), target).await }
        };
        // A key is drawn, and what is made out is of it.
        let drawn = leased(LeaseWish::default()).await.unwrap();
        let public = chancery_secrets::ssh_public_line(drawn.password.expose()).unwrap();
        assert_eq!(drawn.lease.public_key(), Some(public.as_str()));
        assert_eq!(drawn.document.unwrap().text, format!("of {public}"));
        assert!(target.admins.lock().unwrap().iter().all(String::is_empty), "nobody's credential is opened for it");
        // A renewal makes out another; both are known at the end.
        house.world.advance(30);
        let grant = house.grant(Action::LeaseSecret, HOSTS);
        let renewed = leases.renew(grant, drawn.lease.id(), None, &Warden(&house), &target).await.unwrap();
        assert_eq!(renewed.document.unwrap().id, "document 2");
        assert_eq!(renewed.lease.documents(), ["document 1", "document 2"]);
        // What the role gives no more is not given for longer.
        let place = Place { product: Some(Product::Ssh), ..Place::default() };
        let other = RoleWish { place, admin: None, line: Line::Here, like: "web".to_owned(), secs: 60, secs_max: 600 };
        let grant = house.grant(Action::WriteSecret, HOSTS);
        leases.set_role(grant, &path(HOSTS), &owner("web"), other, &target).await.unwrap();
        house.world.advance(5);
        let grant = house.grant(Action::LeaseSecret, HOSTS);
        let refused = leases.renew(grant, drawn.lease.id(), None, &Warden(&house), &target).await;
        assert!(matches!(&refused, Err(SecretError::OutOfUse(why)) if why.contains("something else")), "{refused:?}");
        set_hosts(&house, &leases, &target).await;
        leases.give_back(house.grant(Action::LeaseSecret, HOSTS), drawn.lease.id()).await.unwrap();
        leases.end(drawn.lease.id(), &Warden(&house), &target).await.unwrap();
        let known = (vec!["document 1".to_owned(), "document 2".to_owned()], false);
        assert_eq!(*target.ended.lock().unwrap(), [known]);
        // A key of one's own stays one's own: nothing is shown but the document.
        let own = LeaseWish { public_key: Some(format!("{public}\n")), secs: None };
        let own = leased(own).await.unwrap();
        assert!(own.password.expose().is_empty() && own.lease.public_key() == Some(public.as_str()));
        let no_key = leased(LeaseWish { public_key: Some("ssh-ed25519 AAAA".to_owned()), secs: None }).await;
        assert!(matches!(no_key, Err(SecretError::Invalid { what: "public_key", .. })), "{no_key:?}");
        // It is kept and shown with the lease: its comment is a few words.
        let (began, long) = (house.leaves(), format!("{} {}", public.trim(), "c".repeat(300)));
        for line in [long, format!("{} a\u{1b}[2Jb", public.trim())] {
            let refused = leased(LeaseWish { public_key: Some(line), secs: None }).await;
            assert!(matches!(refused, Err(SecretError::Invalid { what: "public_key", .. })), "{refused:?}");
        }
        assert_eq!(house.leaves(), began, "nothing was written");
        // Where the answer did not come there may be one of which nobody knows the name: whoever ends him is told.
        target.says(Outcome::Unknown("no answer".to_owned()));
        leased(LeaseWish::default()).await.unwrap_err();
        target.says(Outcome::Done);
        let doubtful = standing(&leases).await.into_iter().find(|lease| lease.stage() == LeaseStage::Ending).unwrap();
        leases.end(doubtful.id(), &Warden(&house), &target).await.unwrap();
        assert_eq!(target.ended.lock().unwrap().last(), Some(&(vec![], true)));
        // A renewal whose answer did not come is not forgotten over the next, whose answer did.
        let drawn = leased(LeaseWish::default()).await.unwrap();
        for says in [Outcome::Unknown("no answer".to_owned()), Outcome::Done] {
            house.world.advance(10);
            let (is_heard, grant) = (says == Outcome::Done, house.grant(Action::LeaseSecret, HOSTS));
            target.says(says);
            let renewed = leases.renew(grant, drawn.lease.id(), None, &Warden(&house), &target).await;
            assert_eq!(renewed.is_ok(), is_heard, "{renewed:?}");
        }
        leases.give_back(house.grant(Action::LeaseSecret, HOSTS), drawn.lease.id()).await.unwrap();
        leases.end(drawn.lease.id(), &Warden(&house), &target).await.unwrap();
        let (known, is_doubtful) = target.ended.lock().unwrap().last().cloned().unwrap();
        assert!(known.len() == 2 && is_doubtful, "{known:?}");
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

/// A target at which another node ends whoever is being made, before he is made.
struct Overtaken<'a> {
    house: &'a House,
    other: &'a Leases,
    target: &'a Target,
    /// What the target says from the signature on.
    then: Outcome,
    /// Whether the process ends before it is signed and heard.
    is_killed: bool,
    at_it: tokio::sync::Notify,
}

impl<'a> Overtaken<'a> {
    fn new((house, other, target): (&'a House, &'a Leases, &'a Target), then: Outcome, is_killed: bool) -> Self {
        Overtaken { house, other, target, then, is_killed, at_it: tokio::sync::Notify::new() }
    }

    /// Gives back what stands, and ends it as far as that goes.
    async fn end_all(&self) {
        for lease in standing(self.other).await {
            let grant = self.house.grant(Action::LeaseSecret, HOSTS);
            self.other.give_back(grant, lease.id()).await.unwrap();
            self.other.end(lease.id(), &Warden(self.house), self.target).await.unwrap();
        }
    }
}

impl Tenancy for Overtaken<'_> {
    fn has(&self, _terms: Terms<'_>) -> Result<(), String> {
        Ok(())
    }

    async fn create(&self, _at: &At, _admin: &Login, hirer: Hirer<'_>) -> Hired {
        self.end_all().await;
        if self.is_killed {
            self.at_it.notify_one();
            std::future::pending::<()>().await;
        }
        let document = self.target.makes_out(hirer);
        self.target.says(self.then.clone());
        Hired { outcome: Outcome::Done, document }
    }

    async fn renew(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> Hired {
        self.create(at, admin, hirer).await
    }

    async fn revoke(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> Outcome {
        self.target.revoke(at, admin, hirer).await
    }
}

/// The certificate is signed after somebody else has ended the lease: it is taken back, at once or by the end that comes later.
#[test]
fn what_is_made_out_after_another_node_ended_the_lease_is_taken_back() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        set_hosts(&house, &leases, &target).await;
        let other = Leases::new(house.vault.clone(), 2);
        let away = || Outcome::Unknown("the register is away".to_owned());
        for then in [Outcome::Done, away()] {
            let overtaken = Overtaken::new((&house, &other, &target), then, false);
            target.ended.lock().unwrap().clear();
            let before = *target.made.lock().unwrap();
            let grant = house.grant(Action::LeaseSecret, HOSTS);
            let lost = leases.lease(grant, &path(HOSTS), LeaseWish::default(), &Warden(&house), &overtaken).await;
            assert!(matches!(lost, Err(SecretError::Store(_) | SecretError::Conflict(_))), "{lost:?}");
            let known = vec![format!("document {}", before + 1)];
            // The other node looked for what nobody had taken down; whoever made it out took it back by its name.
            assert_eq!(*target.ended.lock().unwrap(), [(vec![], true), (known.clone(), false)]);
            target.says(Outcome::Done);
            let ending = standing(&leases).await;
            assert_eq!(ending.iter().map(Lease::stage).collect::<Vec<_>>(), [LeaseStage::Ending]);
            assert_eq!(ending[0].documents(), known, "it is not forgotten");
            let ended = leases.end(ending[0].id(), &Warden(&house), &target).await.unwrap();
            assert_eq!(ended.stage(), LeaseStage::Ended);
            assert_eq!(target.ended.lock().unwrap().last(), Some(&(known, true)));
        }
        let report = house.audited(&database).await;
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    });
}

#[test]
fn who_is_ended_while_another_node_makes_him_is_looked_for_once_more() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        set_hosts(&house, &leases, &target).await;
        let other = Leases::new(house.vault.clone(), 2);
        let overtaken = Overtaken::new((&house, &other, &target), Outcome::Done, true);
        let grant = house.grant(Action::LeaseSecret, HOSTS);
        let (warden, hosts) = (Warden(&house), path(HOSTS));
        tokio::select! {
            made = leases.lease(grant, &hosts, LeaseWish::default(), &warden, &overtaken) => panic!("{made:?}"),
            () = overtaken.at_it.notified() => {}
        }
        // Killed. He may be made out a certificate at any moment as far as the other node knows: the lease is not over.
        let there = standing(&other).await;
        assert_eq!(there.iter().map(Lease::stage).collect::<Vec<_>>(), [LeaseStage::Ending]);
        let id = there[0].id();
        other.end(id, &Warden(&house), &target).await.unwrap();
        assert_eq!(target.ended.lock().unwrap().len(), 1, "not yet");
        house.world.advance(450);
        let over = other.end(id, &Warden(&house), &target).await.unwrap();
        assert_eq!(over.stage(), LeaseStage::Ended);
        assert_eq!(*target.ended.lock().unwrap(), [(vec![], true), (vec![], true)]);
    });
}

#[test]
fn a_password_is_drawn_where_no_key_is_asked_for_and_a_host_is_said_where_there_is_one() {
    on_sqlite(|database| async move {
        let target = Target::new();
        let (house, leases) = house(&database, &target).await;
        let wish = LeaseWish { public_key: Some("ssh-ed25519 AAAA".to_owned()), secs: None };
        let grant = house.grant(Action::LeaseSecret, ROLE);
        let refused = leases.lease(grant, &path(ROLE), wish, &Warden(&house), &target).await;
        assert!(matches!(refused, Err(SecretError::Invalid { what: "public_key", .. })), "{refused:?}");
        let role = |host: Option<&str>, admin: Option<&str>| RoleWish {
            place: Place { product: Some(Product::Ssh), host: host.map(str::to_owned), ..Place::default() },
            admin: admin.map(path),
            line: Line::Here,
            like: "deploy".to_owned(),
            secs: 60,
            secs_max: 600,
        };
        for (wish, what) in [(role(Some("web1"), None), "host"), (role(None, Some(ADMIN)), "admin")] {
            let grant = house.grant(Action::WriteSecret, HOSTS);
            let refused = leases.set_role(grant, &path(HOSTS), &owner("web"), wish, &target).await;
            assert!(matches!(&refused, Err(SecretError::Invalid { what: told, .. }) if *told == what), "{refused:?}");
        }
    });
}
