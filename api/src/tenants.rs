//! Who makes users that live for a while: drivers at their targets, and for SSH the CA of this house.
//!
//! Here alone leases and certificates meet: `secrets` knows documents by their names, `ca` nothing of leases. A certificate is issued on the
//! one line of custody under the service's own name, `system:lease`; whoever set the role up had the right to sign for its accounts, and
//! the rules of its owner are asked again each time. Its end is the lease's, to the second; what has not ended by itself is revoked, and
//! stands on the key revocation list.

use ca::{CaError, Lifetime, RevocationReason, SshRequest};
use policy::{Actor, MAX_PRINCIPALS, Principal, Timestamp};
use secrets::rotation::Outcome;
use secrets::{At, Document, Hired, Hirer, Lease, Login, Product, Tenancy, Terms};
use store::{Attested, Credential, Filter, Kind, State};

use crate::app::App;
use crate::problem::chain;

/// Users of all targets.
pub(crate) struct Tenants(App);

impl Tenants {
    /// Of this service.
    pub(crate) fn of(app: &App) -> Tenants {
        Tenants(app.clone())
    }
}

impl Tenancy for Tenants {
    fn has(&self, terms: Terms<'_>) -> Result<(), String> {
        match terms.at.product {
            Product::Ssh => self.has_accounts(terms),
            _ => self.0.places().has(terms),
        }
    }

    async fn create(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> Hired {
        match at.product {
            Product::Ssh => self.certify(hirer).await,
            _ => self.0.places().create(at, admin, hirer).await,
        }
    }

    async fn renew(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> Hired {
        match at.product {
            Product::Ssh => self.certify(hirer).await,
            _ => self.0.places().renew(at, admin, hirer).await,
        }
    }

    async fn revoke(&self, at: &At, admin: &Login, hirer: Hirer<'_>) -> Outcome {
        match at.product {
            Product::Ssh => self.take_back(hirer.lease).await.map_or_else(|failed| failed, |()| Outcome::Done),
            _ => self.0.places().revoke(at, admin, hirer).await,
        }
    }
}

/// Accounts as a role names them.
pub(crate) fn accounts(like: &str) -> Result<Vec<Principal>, String> {
    let all: Result<Vec<Principal>, _> = like.split_whitespace().map(Principal::parse).collect();
    match all {
        Ok(all) if (1..=MAX_PRINCIPALS).contains(&all.len()) => Ok(all),
        Ok(_) => Err(format!("say 1 to {MAX_PRINCIPALS} accounts, with a space between two")),
        Err(why) => Err(why.to_string()),
    }
}

impl Tenants {
    fn has_accounts(&self, terms: Terms<'_>) -> Result<(), String> {
        accounts(terms.like)?;
        let profiles = self.0.authority().profiles();
        let profile = profiles.get(PROFILE).ok_or_else(|| format!("there is no profile {PROFILE}"))?;
        let bounds = (profile.min_validity_secs(), profile.max_validity_secs());
        let (usual, longest) = terms.secs;
        match bounds.0 <= usual && usual <= bounds.1 {
            true => Ok(()),
            false => Err(format!(
                "a lease of {usual} s (and {longest} s at most): a certificate of profile {PROFILE} has {} to {} s",
                bounds.0, bounds.1
            )),
        }
    }

    async fn certify(&self, hirer: Hirer<'_>) -> Hired {
        let lease = hirer.lease;
        let (principals, public_key) = match (accounts(hirer.like), lease.public_key()) {
            (Ok(principals), Some(public_key)) => (principals, public_key.to_owned()),
            (Err(why), _) => return Outcome::Refused(why).into(),
            (_, None) => return Outcome::Refused("the lease has no key".to_owned()).into(),
        };
        // It holds up to the second before: at the end of the lease it is over.
        let last = i64::try_from(hirer.until).unwrap_or(i64::MAX).saturating_sub(1);
        let request = SshRequest {
            owner: lease.owner().clone(),
            public_key,
            principals,
            key_id: Some(key_id(lease)),
            life: Lifetime::Until(Timestamp::from_unix(last)),
        };
        match self.0.authority().sign_ssh_user(&Actor::system(TASK), request).await {
            Ok(signed) => {
                let id = signed.issued.serial_hex();
                Hired { outcome: Outcome::Done, document: Some(Document { id, text: signed.certificate }) }
            }
            Err(error) => came_of(&error).into(),
        }
    }

    /// Revokes what was made out to somebody and did not end by itself.
    async fn take_back(&self, lease: &Lease) -> Result<(), Outcome> {
        for serial in lease.documents() {
            // What is not there was: a row that somebody took away is no end.
            let none =
                || Outcome::Refused(format!("the register has no certificate {serial}: `chancery audit verify`"));
            let found = self.0.ledger().credential(serial).await.map_err(|error| unknown(&error))?;
            self.revoke(&found.ok_or_else(none)?).await?;
        }
        if lease.is_doubtful() {
            for found in self.made_out(lease).await? {
                self.revoke(&found).await?;
            }
        }
        Ok(())
    }

    async fn revoke(&self, found: &Attested<Credential>) -> Result<(), Outcome> {
        let (ledger, is_held) = (self.0.ledger(), found.is_held());
        let has_ended = found.validity.is_some_and(|validity| validity.not_after() < ledger.cautious_time());
        if has_ended || found.state == State::Failed || (found.state == State::Revoked && !is_held) {
            return Ok(());
        }
        let (authority, serial) = (self.0.authority(), found.serial_hex());
        let revoked = authority.revoke(&Actor::system(TASK), &serial, RevocationReason::CessationOfOperation).await;
        revoked.map(drop).map_err(|error| came_of(&error))
    }

    /// Certificates of a lease whose names nobody took down: a process ended between the two. They are known by their key ids.
    async fn made_out(&self, lease: &Lease) -> Result<Vec<Attested<Credential>>, Outcome> {
        let key_id = key_id(lease);
        let filter = Filter {
            kind: Some(Kind::SshUser),
            owner: Some(lease.owner().to_string()),
            actor: Some(Actor::system(TASK).id),
            not_after_after: Some(self.0.ledger().cautious_time()),
            limit: PAGE_ROWS,
            ..Filter::default()
        };
        let (mut found, mut after_cursor) = (Vec::new(), None);
        loop {
            let asked = Filter { after_cursor, ..filter.clone() };
            let page = self.0.ledger().matching_page(asked).await.map_err(|error| unknown(&error))?;
            found.extend(page.items.into_iter().filter(|one| one.subject.starts_with(&key_id)));
            after_cursor = page.next;
            if after_cursor.is_none() {
                return Ok(found);
            }
        }
    }
}

/// What sshd logs of who comes in: who asked, and by which lease.
fn key_id(lease: &Lease) -> String {
    let by: String = lease.by().chars().filter(char::is_ascii_graphic).take(BY_CHARS_MAX).collect();
    format!("{by} lease {}", lease.id())
}

/// What a signature or a revocation that failed means for whoever waits for it.
fn came_of(error: &CaError) -> Outcome {
    match error {
        CaError::Refused(_) | CaError::BadRequest { .. } | CaError::Lint(_) => Outcome::Refused(chain(error)),
        // Nothing was signed.
        CaError::Unavailable { .. } | CaError::Held { .. } => Outcome::Away(chain(error)),
        CaError::NotFound(_) | CaError::Conflict(_) | CaError::Unknown { .. } => Outcome::Unknown(chain(error)),
        CaError::Altered(_) | CaError::Internal(_) => Outcome::Unknown(chain(error)),
    }
}

fn unknown(error: &store::StoreError) -> Outcome {
    Outcome::Unknown(chain(error))
}

const TASK: &str = "lease";
/// Under which certificates are made out.
pub(crate) const PROFILE: &str = "ssh-user";
/// So much of an actor's name stands in a key id, whose bound is 128 characters.
const BY_CHARS_MAX: usize = 50;
/// Certificates that are looked at at once; an owner may have many times as many, as each renewal makes out another.
const PAGE_ROWS: usize = 1_000;
