//! The drivers by the names that rotations and leases of the register have for them.

use std::sync::Arc;

use policy::{Secret, Timestamp, World};
use secrets::rotation::{Credential, Outcome, Plan, Settings, Step};
use secrets::{Asked, At, ClientLogin, Endpoint, Endpoints, Errand, Hirer, Line, Product, Targets, Tenancy, Tokens};

use crate::carry::carry_out;
use crate::driver::{Dynamic, Fault, Lease, Login};
use crate::host::{Host, HostError};
use crate::ldap::{Begins, Ldap};
use crate::mariadb::MariaDb;
use crate::outside::{Exec, Hook, Http, Outside, Program, ask_endpoint, check_endpoint};
use crate::postgres::Postgres;
use crate::redis::{Redis, Saved};

/// Every place that there is a driver for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places {
    outside: Arc<Outside>,
    shortest_overlap_secs: u64,
    world: World,
}

impl Places {
    /// With what the configuration has: programs and hooks, and how short an overlap may be.
    pub fn new(outside: Outside, shortest_overlap_secs: u64, world: World) -> Places {
        Places { outside: Arc::new(outside), shortest_overlap_secs, world }
    }

    fn program(&self, name: &str) -> Result<Program, String> {
        let none = || format!("the server's configuration has no [rotation.exec.{name}]");
        self.outside.programs.get(name).cloned().ok_or_else(none)
    }

    fn hook(&self, name: &str) -> Result<Hook, String> {
        let none = || format!("the server's configuration has no [rotation.http.{name}]");
        self.outside.hooks.get(name).cloned().ok_or_else(none)
    }
}

impl Default for Places {
    /// Without programs and hooks.
    fn default() -> Places {
        Places::new(Outside::default(), SHORTEST_OVERLAP_SECS, World::real())
    }
}

impl Targets for Places {
    fn check(&self, at: &At, settings: &Settings) -> Result<(), String> {
        match at.product {
            Product::Exec => drop(self.program(&at.host)?),
            Product::Http => drop(self.hook(&at.host)?),
            Product::PostgreSql | Product::MariaDb | Product::Redis | Product::Ldap | Product::Ldaps => {
                is_there(at)?;
            }
        }
        let (shortest, overlap) = (self.shortest_overlap_secs, settings.overlap_secs);
        match (&settings.plan, at.product) {
            (Plan::Keys { .. }, Product::PostgreSql | Product::MariaDb | Product::Ldap | Product::Ldaps) => {
                Err(format!("a user of {} has one password: take a pair of users", at.product))
            }
            (Plan::Keys { .. } | Plan::Pair { .. }, _) if overlap < shortest => Err(format!(
                "an overlap of {overlap} s leaves nobody the time to read the new credential: {shortest} s at least, or another \
                 shortest_overlap_secs in [rotation] of the server's configuration"
            )),
            (Plan::Keys { .. }, Product::Redis | Product::Exec | Product::Http) => Ok(()),
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
        let done = match (at.product, host(at)) {
            (Product::Exec, _) => match self.program(&at.host) {
                Ok(program) => carry_out(&Exec::new(program, path, operation), step, admin, secret).await,
                Err(why) => return Fault::away(why).into(),
            },
            (Product::Http, _) => match self.hook(&at.host) {
                Ok(hook) => carry_out(&Http::new(hook, path, operation, self.world.clone()), step, admin, secret).await,
                Err(why) => return Fault::away(why).into(),
            },
            (_, Err(error)) => return Fault::away(error).into(),
            (Product::PostgreSql, Ok(host)) => carry_out(&postgres(host, at), step, admin, secret).await,
            (Product::MariaDb, Ok(host)) => carry_out(&MariaDb::new(host, FROM_ANYWHERE), step, admin, secret).await,
            (Product::Redis, Ok(host)) => carry_out(&Redis::new(host, Saved::AclFile), step, admin, secret).await,
            (Product::Ldap, Ok(host)) => carry_out(&Ldap::new(host, Begins::Asked), step, admin, secret).await,
            (Product::Ldaps, Ok(host)) => carry_out(&Ldap::new(host, Begins::AtOnce), step, admin, secret).await,
        };
        done.unwrap_or_else(|| Fault::away("this is done in the register, not at a target").into())
    }
}

impl Endpoints for Places {
    fn check(&self, at: &Endpoint) -> Result<(), String> {
        check_endpoint(at)
    }

    async fn ask(&self, at: &Endpoint, client: &ClientLogin, asked: &Asked) -> Result<Tokens, Outcome> {
        ask_endpoint(at, client, asked).await
    }
}

impl Tenancy for Places {
    fn has(&self, at: &At) -> Result<(), String> {
        match at.product {
            Product::PostgreSql | Product::MariaDb | Product::Redis => is_there(at),
            Product::Ldap | Product::Ldaps | Product::Exec | Product::Http => {
                Err(format!("{} has no users that live for a while: postgresql, mariadb and redis have", at.product))
            }
        }
    }

    async fn create(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>) -> Outcome {
        self.dynamic(at, admin, hirer, Deed::Create).await
    }

    async fn renew(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>) -> Outcome {
        self.dynamic(at, admin, hirer, Deed::Renew).await
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
    async fn dynamic(&self, at: &At, admin: &secrets::Login, hirer: Hirer<'_>, deed: Deed) -> Outcome {
        let host = match (self.has(at), host(at)) {
            (Ok(()), Ok(host)) => host,
            (Err(why), _) => return Fault::away(why).into(),
            (_, Err(error)) => return Fault::away(error).into(),
        };
        let until = i64::try_from(hirer.until).unwrap_or(i64::MAX);
        let lease = Lease { login: lent(hirer.login), like: hirer.like, until: Timestamp::from_unix(until) };
        let done = match at.product {
            Product::PostgreSql => does(&postgres(host, at), deed, lent(admin), lease).await,
            Product::MariaDb => does(&MariaDb::new(host, FROM_ANYWHERE), deed, lent(admin), lease).await,
            Product::Redis => does(&Redis::new(host, Saved::AclFile), deed, lent(admin), lease).await,
            Product::Ldap | Product::Ldaps | Product::Exec | Product::Http => Err(Fault::away("no such users")),
        };
        done.map_or_else(Outcome::from, |()| Outcome::Done)
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

fn is_there(at: &At) -> Result<(), String> {
    host(at).map(drop).map_err(|error| error.to_string())
}

fn host(at: &At) -> Result<Host, HostError> {
    match &at.line {
        Line::Here => Host::here(&at.host, at.port),
        Line::Plain => Ok(Host::plain_by_word(&at.host, at.port)),
        Line::Tls { roots } => Host::tls(&at.host, at.port, roots),
    }
}

/// The database that every server has.
const POSTGRES_DATABASE: &str = "postgres";
/// The accounts of MariaDB that are set are those that log in from anywhere.
const FROM_ANYWHERE: &str = "%";
/// How short an overlap may be where the configuration says nothing: applications keep what they read for a minute as a rule.
pub const SHORTEST_OVERLAP_SECS: u64 = 60;
