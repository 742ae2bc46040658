//! The drivers by the names that rotations of the register have for them.

use policy::Secret;
use secrets::rotation::{Credential, Outcome, Plan, Settings, Step};
use secrets::{At, Line, Product, Targets};

use crate::carry::carry_out;
use crate::driver::{Fault, Login};
use crate::host::{Host, HostError};
use crate::mariadb::MariaDb;
use crate::postgres::Postgres;
use crate::redis::{Redis, Saved};

/// Every place that there is a driver for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places;

impl Targets for Places {
    fn check(&self, at: &At, settings: &Settings) -> Result<(), String> {
        host(at).map_err(|error| error.to_string())?;
        match (&settings.plan, at.product) {
            (Plan::Keys { .. }, Product::PostgreSql | Product::MariaDb) => {
                Err(format!("a user of {} has one password: take a pair of users", at.product))
            }
            (Plan::Keys { .. }, Product::Redis) | (Plan::Single { .. } | Plan::Pair { .. }, _) => Ok(()),
        }
    }

    async fn act(&self, at: &At, step: &Step, admin: Option<&secrets::Login>, login: &secrets::Login) -> Outcome {
        let host = match host(at) {
            Ok(host) => host,
            // It was one when it was set up: nothing was asked.
            Err(error) => return Fault::away(error).into(),
        };
        let none = secrets::Login { user: String::new(), secret: Secret::new(String::new()) };
        let admin = admin.unwrap_or(&none);
        let admin = Login { user: &admin.user, secret: &admin.secret };
        let secret = |_: &Credential| Secret::new(login.secret.expose().clone());
        let done = match at.product {
            Product::PostgreSql => {
                let database = at.database.as_deref().unwrap_or(POSTGRES_DATABASE);
                carry_out(&Postgres::new(host, database), step, admin, secret).await
            }
            Product::MariaDb => carry_out(&MariaDb::new(host, FROM_ANYWHERE), step, admin, secret).await,
            Product::Redis => carry_out(&Redis::new(host, Saved::AclFile), step, admin, secret).await,
        };
        done.unwrap_or_else(|| Fault::away("this is done in the register, not at a target").into())
    }
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
