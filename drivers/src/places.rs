//! The drivers by the names that rotations and leases of the register have for them.

use std::sync::Arc;

use policy::{Owner, Secret, Timestamp, World};
use secrets::rotation::{Credential, Outcome, Plan, Settings, Step};
use secrets::{
    Asked, At, ClientLogin, Endpoint, Endpoints, Errand, Hired, Hirer, Line, Product, Targets, Tenancy, Terms, Tokens,
};

use crate::allowed::Allowed;
use crate::carry::carry_out;
use crate::driver::{Dynamic, Fault, Lease, Login};
use crate::host::{Host, HostError};
use crate::ldap::{Begins, Ldap};
use crate::mariadb::MariaDb;
use crate::outside::{Exec, Hook, Http, Outside, Program, Served, ask_endpoint, check_endpoint};
use crate::postgres::Postgres;
use crate::redis::{Redis, Saved};
use crate::sent::Sent;
use crate::ssh::{SshLogin, Trusted, ssh_hosts};

/// Every place that there is a driver for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places {
    outside: Arc<Outside>,
    shortest_overlap_secs: u64,
    allowed: Allowed,
    world: World,
}

/// Why a program or a hook is not used.
enum Lack {
    /// There is none of that name.
    None(String),
    /// It is not for secrets of this owner.
    NotFor(String),
}

impl Lack {
    fn says(self) -> String {
        match self {
            Lack::None(why) | Lack::NotFor(why) => why,
        }
    }

    /// What is missing may be there again after the next start; whom it is not for is refused.
    fn fault(self) -> Fault {
        match self {
            Lack::None(why) => Fault::away(why),
            Lack::NotFor(why) => Fault::refused(why),
        }
    }
}

impl Places {
    /// With what the configuration has: programs and hooks, and how short an overlap may be.
    pub fn new(outside: Outside, shortest_overlap_secs: u64, world: World) -> Places {
        Places { outside: Arc::new(outside), shortest_overlap_secs, allowed: Allowed::default(), world }
    }

    /// The same, where nothing but these targets is dialled.
    pub fn within(self, allowed: Allowed) -> Places {
        Places { allowed, ..self }
    }

    fn program(&self, name: &str, owner: &Owner) -> Result<Program, Lack> {
        served("exec", name, self.outside.programs.get(name), owner)
    }

    fn hook(&self, name: &str, owner: &Owner) -> Result<Hook, Lack> {
        served("http", name, self.outside.hooks.get(name), owner)
    }

    fn host(&self, at: &At) -> Result<Host, HostError> {
        let host = match &at.line {
            Line::Here => Host::here(&at.host, at.port),
            Line::Plain => Ok(Host::plain_by_word(&at.host, at.port)),
            Line::Tls { roots } => Host::tls(&at.host, at.port, roots),
            // Of SSH, which dials by itself.
            Line::Known { .. } => Host::here(&at.host, at.port),
        };
        host.map(|host| host.within(self.allowed.clone()))
    }

    /// Logs in with a key at each host of a rotation of SSH keys. Without lines of known_hosts, hosts are known by certificates of these
    /// CAs, a line of OpenSSH each. One that shows what stands in `revoked`, a key revocation list of OpenSSH, is not believed either way.
    pub async fn log_in(&self, at: &At, login: &secrets::Login, authorities: &str, revoked: &[u8]) -> Outcome {
        let hosts = match ssh_hosts(&at.host, at.port) {
            Ok(hosts) => hosts,
            Err(error) => return unsent(Fault::away(error)),
        };
        let trusted = match &at.line {
            Line::Known { hosts } => Trusted::Known(hosts.clone()),
            Line::Here | Line::Plain | Line::Tls { .. } => Trusted::Authorities(authorities.to_owned()),
        };
        let ssh = SshLogin { hosts: &hosts, trusted: &trusted, revoked, allowed: &self.allowed };
        ssh.at_all(&login.user, &login.secret).await
    }

    fn is_there(&self, at: &At) -> Result<(), String> {
        self.host(at).map_err(|error| error.to_string())?;
        self.allowed.check(&at.host, at.port)
    }

    /// Of a host that no operator listed it is not told whether it refuses, is silent, or speaks another language: whoever may set a
    /// target up would look around in the network by that.
    fn told(&self, at: &At, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Away(_) if !at.product.is_outside() && !self.allowed.lists(&at.host, at.port) => {
                Outcome::Away(SILENT.to_owned())
            }
            other => other,
        }
    }
}

fn served<T: Clone>(table: &str, name: &str, there: Option<&Served<T>>, owner: &Owner) -> Result<T, Lack> {
    match there {
        Some(served) if served.owners.contains(owner) => Ok(served.what.clone()),
        Some(_) => Err(Lack::NotFor(format!(
            "[rotation.{table}.{name}] is not for secrets of {owner}: whoever keeps the server's configuration names {owner} among its \
             `owners`"
        ))),
        None => Err(Lack::None(format!("the server's configuration has no [rotation.{table}.{name}]"))),
    }
}

impl Default for Places {
    /// Without programs and hooks.
    fn default() -> Places {
        Places::new(Outside::default(), SHORTEST_OVERLAP_SECS, World::real())
    }
}

impl Targets for Places {
    fn check(&self, at: &At, owner: &Owner, settings: &Settings) -> Result<(), String> {
        match at.product {
            Product::Exec => drop(self.program(&at.host, owner).map_err(Lack::says)?),
            Product::Http => drop(self.hook(&at.host, owner).map_err(Lack::says)?),
            Product::PostgreSql | Product::MariaDb | Product::Redis | Product::Ldap | Product::Ldaps => {
                self.is_there(at)?;
            }
            Product::Ssh => {
                for host in ssh_hosts(&at.host, at.port).map_err(|error| error.to_string())? {
                    self.allowed.check(&host.name, host.port)?;
                }
            }
        }
        let (shortest, overlap) = (self.shortest_overlap_secs, settings.overlap_secs);
        match (&settings.plan, at.product) {
            (Plan::Single { .. } | Plan::Pair { .. }, Product::Ssh) => {
                Err("an account has several keys at once: take the plan keys".to_owned())
            }
            (Plan::Keys { .. }, Product::PostgreSql | Product::MariaDb | Product::Ldap | Product::Ldaps) => {
                Err(format!("a user of {} has one password: take a pair of users", at.product))
            }
            (Plan::Keys { .. } | Plan::Pair { .. }, _) if overlap < shortest => Err(format!(
                "an overlap of {overlap} s leaves nobody the time to read the new credential: {shortest} s at least, or another \
                 shortest_overlap_secs in [rotation] of the server's configuration"
            )),
            (Plan::Keys { .. }, Product::Redis | Product::Ssh | Product::Exec | Product::Http) => Ok(()),
            (Plan::Single { .. } | Plan::Pair { .. }, _) => Ok(()),
        }
    }

    async fn act(
        &self,
        errand: &Errand<'_>,
        step: &Step,
        admin: Option<&secrets::Login>,
        login: &secrets::Login,
    ) -> Outcome {
        let none = secrets::Login { user: String::new(), secret: Secret::new(String::new()) };
        let admin = lent(admin.unwrap_or(&none));
        let secret = |_: &Credential| Secret::new(login.secret.expose().clone());
        let (at, path, operation) = (errand.at, errand.path.as_str(), errand.operation.as_str());
        // It was one when it was set up: nothing was asked.
        let done = match (at.product, self.host(at)) {
            (Product::Exec, _) => match self.program(&at.host, errand.owner) {
                Ok(program) => carry_out(&Exec::new(program, path, operation), step, admin, secret).await,
                Err(lack) => return not_begun(lack, step),
            },
            (Product::Http, _) => match self.hook(&at.host, errand.owner) {
                Ok(hook) => carry_out(&Http::new(hook, path, operation, self.world.clone()), step, admin, secret).await,
                Err(lack) => return not_begun(lack, step),
            },
            // Keys are put there by the hosts' own agents; a login is asked for by its name.
            (Product::Ssh, _) => return unsent(Fault::away("hosts are told by their agents")),
            (_, Err(error)) => return unsent(Fault::away(error)),
            (Product::PostgreSql, Ok(host)) => carry_out(&postgres(host, at), step, admin, secret).await,
            (Product::MariaDb, Ok(host)) => carry_out(&mariadb(host, at), step, admin, secret).await,
            (Product::Redis, Ok(host)) => carry_out(&Redis::new(host, Saved::AclFile), step, admin, secret).await,
            (Product::Ldap, Ok(host)) => carry_out(&Ldap::new(host, Begins::Asked), step, admin, secret).await,
            (Product::Ldaps, Ok(host)) => carry_out(&Ldap::new(host, Begins::AtOnce), step, admin, secret).await,
        };
        match done {
            Some(outcome) => self.told(at, outcome),
            None => unsent(Fault::away("this is done in the register, not at a target")),
        }
    }
}

impl Endpoints for Places {
    fn fits(&self, at: &Endpoint) -> Result<(), String> {
        let (host, port) = check_endpoint(at)?;
        self.allowed.check(&host, port)
    }

    async fn ask(&self, at: &Endpoint, client: &ClientLogin, asked: &Asked) -> Result<Tokens, Outcome> {
        self.fits(at).map_err(|why| unsent(Fault::away(why)))?;
        ask_endpoint(at, client, asked).await.map_err(|fault| {
            let shown = [Some(&client.secret), asked.refresh_token.as_ref()];
            Sent::of(shown.into_iter().flatten()).told(fault)
        })
    }
}

impl Tenancy for Places {
    fn has(&self, terms: Terms<'_>) -> Result<(), String> {
        self.has_users(terms.at)
    }

    async fn create(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>) -> Hired {
        self.dynamic(at, admin, hirer, Deed::Create).await.into()
    }

    async fn renew(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>) -> Hired {
        self.dynamic(at, admin, hirer, Deed::Renew).await.into()
    }

    async fn revoke(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>) -> Outcome {
        self.dynamic(at, admin, hirer, Deed::Revoke).await
    }
}

#[derive(Clone, Copy)]
enum Deed {
    Create,
    Renew,
    Revoke,
}

impl Places {
    fn has_users(&self, at: &At) -> Result<(), String> {
        match at.product {
            Product::PostgreSql | Product::MariaDb | Product::Redis => self.is_there(at),
            Product::Ssh => Err("certificates are made out by the SSH user CA, not by a driver".to_owned()),
            Product::Ldap | Product::Ldaps | Product::Exec | Product::Http => Err(format!(
                "{} has no users that live for a while: postgresql, mariadb, redis and ssh have",
                at.product
            )),
        }
    }

    async fn dynamic(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>, deed: Deed) -> Outcome {
        let host = match (self.has_users(at), self.host(at)) {
            (Ok(()), Ok(host)) => host,
            (Err(why), _) => return unsent(Fault::away(why)),
            (_, Err(error)) => return unsent(Fault::away(error)),
        };
        let until = i64::try_from(hirer.until).unwrap_or(i64::MAX);
        let lease = Lease { login: lent(hirer.login), like: hirer.like, until: Timestamp::from_unix(until) };
        let done = match at.product {
            Product::PostgreSql => does(&postgres(host, at), deed, lent(admin), lease).await,
            Product::MariaDb => does(&mariadb(host, at), deed, lent(admin), lease).await,
            Product::Redis => does(&Redis::new(host, Saved::AclFile), deed, lent(admin), lease).await,
            Product::Ldap | Product::Ldaps | Product::Ssh | Product::Exec | Product::Http => {
                Err(Fault::away("no such users"))
            }
        };
        let sent = [&admin.secret, &hirer.login.secret];
        self.told(at, done.map_or_else(|fault| Sent::of(sent).told(fault), |()| Outcome::Done))
    }
}

/// In our own words, before anything was sent.
fn unsent(fault: Fault) -> Outcome {
    Sent::nothing().told(fault)
}

/// Of a login, a refusal would say that it is not let in: nobody was asked.
fn not_begun(lack: Lack, step: &Step) -> Outcome {
    match step {
        Step::Test { .. } => unsent(Fault::away(lack.says())),
        _ => unsent(lack.fault()),
    }
}

async fn does<D: Dynamic>(driver: &D, deed: Deed, admin: Login<'_>, lease: Lease<'_>) -> Result<(), Fault> {
    match deed {
        Deed::Create => driver.create(admin, lease).await,
        Deed::Renew => driver.renew(admin, lease).await,
        Deed::Revoke => driver.revoke(admin, lease).await,
    }
}

fn lent(login: &secrets::Login) -> Login<'_> {
    Login { user: &login.user, secret: &login.secret }
}

fn postgres(host: Host, at: &At) -> Postgres {
    Postgres::new(host, at.database.as_deref().unwrap_or(POSTGRES_DATABASE))
}

/// Of the account that was named; where none was, of the one of its name.
fn mariadb(host: Host, at: &At) -> MariaDb {
    match &at.account_host {
        Some(from) => MariaDb::new(host, from),
        None => MariaDb::of_one_account(host),
    }
}

/// What is said of a target that is away where the operator did not list it.
const SILENT: &str =
    "it did not answer (`targets` in [rotation] of the server's configuration lists those of which more is told)";
/// The database that every server has.
const POSTGRES_DATABASE: &str = "postgres";
/// How short an overlap may be where the configuration says nothing: applications keep what they read for a minute as a rule.
pub const SHORTEST_OVERLAP_SECS: u64 = 60;

#[cfg(test)]
mod tests {
    use secrets::rotation::{Bounds, Others, Schedule};

    use super::*;

    fn places(allowed: Allowed) -> Places {
        let what = Program { command: vec!["/bin/false".to_owned()], time: std::time::Duration::from_secs(5) };
        let mut outside = Outside::default();
        outside.programs.insert("router".to_owned(), Served { what, owners: vec![owner("web")] });
        Places::new(outside, SHORTEST_OVERLAP_SECS, World::real()).within(allowed)
    }

    fn owner(name: &str) -> Owner {
        Owner::parse(name).unwrap()
    }

    fn at(product: Product, host: &str, port: u16) -> At {
        let (host, line) = (host.to_owned(), Line::Plain);
        At { product, host, port, database: None, account_host: None, admin: None, pinned: None, line }
    }

    fn single() -> Settings {
        let plan = Plan::Single { user: "app".to_owned() };
        Settings { plan, overlap_secs: 0, distance_secs: 0, bounds: Bounds::default(), schedule: Schedule::default() }
    }

    async fn does(places: &Places, at: &At, of: &Owner, is_test: bool) -> Outcome {
        let path = "prod/x".parse().unwrap();
        let errand = Errand { at, path: &path, owner: of, operation: "prod/x:1".to_owned() };
        let credential = Credential { version: 2, user: "app".to_owned() };
        let login = secrets::Login { user: "app".to_owned(), secret: Secret::new("secret".to_owned()) };
        let step = match is_test {
            true => Step::Test { credential },
            false => Step::Set { credential, others: Others::Replaced },
        };
        places.act(&errand, &step, None, &login).await
    }

    #[tokio::test]
    async fn a_program_is_for_the_owners_that_the_configuration_names() {
        let (places, router) = (places(Allowed::default()), at(Product::Exec, "router", 0));
        assert_eq!(places.check(&router, &owner("web"), &single()), Ok(()));
        let refused = places.check(&router, &owner("alpha"), &single()).unwrap_err();
        assert!(refused.contains("not for secrets of alpha") && refused.contains("owners"), "{refused}");
        // At each step too: it may be another's since it was set up. Of a login that says nothing.
        assert!(matches!(does(&places, &router, &owner("alpha"), false).await, Outcome::Refused(_)));
        assert!(matches!(does(&places, &router, &owner("alpha"), true).await, Outcome::Away(_)));
        assert!(matches!(does(&places, &router, &owner("web"), false).await, Outcome::Unknown(_)), "it was run");
    }

    #[tokio::test]
    async fn of_a_target_that_is_away_is_told_what_the_operator_listed() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (target, web) = (at(Product::Redis, "127.0.0.1", closed), owner("web"));
        assert_eq!(does(&places(Allowed::default()), &target, &web, true).await, Outcome::Away(SILENT.to_owned()));
        let listed = Allowed::those(&["127.0.0.0/8".to_owned()]).unwrap();
        let told = does(&places(listed), &target, &web, true).await;
        assert!(matches!(&told, Outcome::Away(said) if said.contains("refused")), "{told:?}");
        let elsewhere = places(Allowed::those(&["db.example.org".to_owned()]).unwrap());
        assert!(elsewhere.check(&target, &web, &single()).is_err());
        let metadata = at(Product::Redis, "169.254.169.254", 80);
        assert!(places(Allowed::default()).check(&metadata, &web, &single()).is_err());
        assert_eq!(does(&places(Allowed::default()), &metadata, &web, true).await, Outcome::Away(SILENT.to_owned()));
    }
}
