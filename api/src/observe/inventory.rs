//! Lists of certificates, for the API and the dashboard: what is asked for, as the register finds it.
//!
//! The register also holds CRLs and code signatures; a list that names no kind leaves them out, since nobody waits for
//! their expiry.

use std::collections::HashMap;
use std::str::FromStr;

use ca::Authority;
use policy::{Actor, Grant, Owner, Role, Timestamp};
use store::{Credential, Filter, Kin, Kind, Ledger, Order, Page, Renewer, State, StoreError};

/// Where a credential stands at a moment, in words of people: an end that has passed is a state of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody said what came of it.
    Intended,
    /// Signed, and it holds, or will.
    Issued,
    /// Signed, and its end has passed.
    Expired,
    /// Surely not signed.
    Failed,
    /// Revoked, for good.
    Revoked,
    /// Revoked until somebody releases it.
    Held,
}

impl Standing {
    /// All of them.
    pub(crate) const ALL: [Standing; 6] =
        [Standing::Intended, Standing::Issued, Standing::Expired, Standing::Failed, Standing::Revoked, Standing::Held];

    /// Of a credential, now.
    pub(crate) fn of(credential: &Credential, now: Timestamp) -> Self {
        match credential.state {
            State::Issued if credential.is_expired(now) => Standing::Expired,
            State::Issued => Standing::Issued,
            State::Intended => Standing::Intended,
            State::Failed => Standing::Failed,
            State::Revoked if credential.is_held() => Standing::Held,
            State::Revoked => Standing::Revoked,
        }
    }

    /// The stable word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Standing::Intended => "intended",
            Standing::Issued => "issued",
            Standing::Expired => "expired",
            Standing::Failed => "failed",
            Standing::Revoked => "revoked",
            Standing::Held => "held",
        }
    }
}

impl FromStr for Standing {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Standing::ALL.into_iter().find(|standing| standing.as_str() == s);
        found.ok_or_else(|| format!("`{s}` is not a state"))
    }
}

/// Which kinds of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinds {
    /// One.
    One(Kind),
    /// SSH certificates of users and hosts.
    Ssh,
}

impl FromStr for Kinds {
    type Err = StoreError;
    fn from_str(s: &str) -> Result<Self, StoreError> {
        match s {
            "ssh" => Ok(Kinds::Ssh),
            one => one.parse().map(Kinds::One),
        }
    }
}

/// What somebody looks for; what is `None` does not narrow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sought {
    pub(crate) owner: Option<Owner>,
    pub(crate) standing: Option<Standing>,
    pub(crate) kinds: Option<Kinds>,
    pub(crate) profile: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) renewer: Option<Renewer>,
    pub(crate) replaced: Option<bool>,
    /// What somebody renews alone, or all others.
    pub(crate) renewed: Option<bool>,
    /// What somebody must act for alone, or what is in time.
    pub(crate) act: Option<bool>,
    /// With exactly this name.
    pub(crate) name: Option<String>,
    /// With this in a name.
    pub(crate) text: Option<String>,
    /// With a serial that begins so.
    pub(crate) serial: Option<String>,
    /// Ending then or later.
    pub(crate) from: Option<Timestamp>,
    /// Ending before.
    pub(crate) to: Option<Timestamp>,
    /// The first to expire first, unless it is looked for by a name, a text or a serial.
    pub(crate) by_expiry: bool,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: usize,
}

impl Sought {
    /// Which comes first.
    pub(crate) fn order(&self) -> Order {
        match self.standing {
            Some(Standing::Intended) if self.act.is_none() => Order::Newest,
            _ if self.text.is_some() || self.serial.is_some() || self.name.is_some() => Order::Newest,
            Some(Standing::Expired) if self.act.is_none() => Order::Latest,
            _ if self.act.is_some() || self.by_expiry || self.from.is_some() || self.to.is_some() => Order::Expiry,
            _ => Order::Newest,
        }
    }

    /// What the register is asked at a moment.
    pub(crate) fn filter(self, now: Timestamp) -> Filter {
        let (mut from, mut to, mut replaced) = (self.from, self.to, self.replaced);
        // What has no end is not asked for its end.
        let ends = !matches!(self.kinds, Some(Kinds::One(Kind::CodeSignature | Kind::Crl | Kind::OcspBatch)));
        let standing = if self.act.is_some() { Some(Standing::Issued) } else { self.standing };
        let state = match standing {
            None => None,
            Some(Standing::Intended) => Some(State::Intended),
            Some(Standing::Failed) => Some(State::Failed),
            Some(Standing::Revoked | Standing::Held) => Some(State::Revoked),
            Some(Standing::Issued) => {
                from = from.max(ends.then_some(now));
                Some(State::Issued)
            }
            Some(Standing::Expired) => {
                to = Some(to.map_or(now, |to| to.min(now)));
                Some(State::Issued)
            }
        };
        if self.act.is_some() {
            replaced = Some(false);
        }
        let held = match standing {
            Some(Standing::Held) => Some(true),
            Some(Standing::Revoked) => Some(false),
            None | Some(Standing::Intended | Standing::Issued | Standing::Expired | Standing::Failed) => None,
        };
        let order = self.order();
        let (kind, ssh) = match self.kinds {
            None => (None, None),
            Some(Kinds::One(kind)) => (Some(kind), None),
            Some(Kinds::Ssh) => (None, Some(true)),
        };
        Filter {
            actor: None,
            kind,
            ssh,
            certificates: kind.is_none(),
            owner: self.owner.map(|owner| owner.as_str().to_owned()),
            name: self.name,
            state,
            held,
            profile: self.profile,
            issuer: self.issuer,
            renewer: self.renewer,
            replaced,
            text: self.text,
            serial: self.serial,
            renewed: self.renewed,
            look_before: self.act.filter(|act| *act).map(|_| now),
            look_after: self.act.filter(|act| !*act).map(|_| now),
            not_after_before: to,
            not_after_after: from,
            order,
            after_cursor: self.cursor,
            limit: self.limit,
            key_hash: None,
        }
    }
}

/// A credential with who stands before and after it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) credential: Credential,
    pub(crate) kin: Kin,
}

impl Entry {
    /// Whether it holds, its CA is over, and nothing took its place: whoever has it needs another now.
    pub(crate) fn is_orphaned(&self, authority: &Authority, now: Timestamp) -> bool {
        is_orphaned(&self.credential, &self.kin, authority, now)
    }
}

/// The same of a credential and who stands before and after it.
pub(crate) fn is_orphaned(credential: &Credential, kin: &Kin, authority: &Authority, now: Timestamp) -> bool {
    let holds = credential.kind == Kind::Certificate && Standing::of(credential, now) == Standing::Issued;
    holds && !kin.replaced && authority.is_orphaned(credential)
}

/// A page of what is sought. The grant is the reason why it may be read.
pub(crate) async fn page(
    _grant: &Grant,
    sought: Sought,
    now: Timestamp,
    ledger: &Ledger,
) -> Result<Page<Entry>, StoreError> {
    let Page { items, next } = ledger.list(sought.filter(now)).await?;
    let operations: Vec<u64> = items.iter().map(|credential| credential.operation).collect();
    let mut kin = match operations.is_empty() {
        true => HashMap::new(),
        false => ledger.kin(operations).await?,
    };
    let entry = |credential: Credential| {
        let kin = kin.remove(&credential.operation).unwrap_or_default();
        Entry { credential, kin }
    };
    Ok(Page { items: items.into_iter().map(entry).collect(), next })
}

/// Who stands before and after one credential. The grant is the reason why it may be read.
pub(crate) async fn kin(_grant: &Grant, of: &Credential, ledger: &Ledger) -> Result<Kin, StoreError> {
    Ok(ledger.kin(vec![of.operation]).await?.remove(&of.operation).unwrap_or_default())
}

/// The owner that an actor means who can see one only. Whoever has a wider role means all of them.
pub(crate) fn only_owner(actor: &Actor) -> Option<Owner> {
    let mut owners = actor.owners.iter();
    match (owners.next(), owners.next()) {
        (Some(owner), None) if is_narrow(actor) => Some(owner.clone()),
        _ => None,
    }
}

/// Whether an actor sees no more than what its owners have.
pub(crate) fn is_narrow(actor: &Actor) -> bool {
    actor.roles.iter().all(|role| match role {
        Role::Issuer | Role::SshUser | Role::CodeSigner | Role::Agent | Role::AcmeClient => true,
        Role::SecretReader | Role::SecretWriter | Role::SecretLeaser => true,
        Role::TransitUser | Role::TransitEncrypter | Role::TransitManager => true,
        Role::Admin | Role::Operator | Role::Approver | Role::Auditor | Role::System => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    #[test]
    fn a_standing_is_a_state_and_a_side_of_now() {
        let filter = |standing| Sought { standing: Some(standing), ..Sought::default() }.filter(NOW);
        let expired = filter(Standing::Expired);
        assert_eq!((expired.state, expired.not_after_before), (Some(State::Issued), Some(NOW)));
        assert_eq!((expired.not_after_after, expired.order), (None, Order::Latest));
        let issued = filter(Standing::Issued);
        assert_eq!((issued.state, issued.not_after_after), (Some(State::Issued), Some(NOW)));
        assert_eq!((filter(Standing::Revoked).not_after_after, filter(Standing::Revoked).order), (None, Order::Newest));
        let signatures = Sought {
            standing: Some(Standing::Issued),
            kinds: Some(Kinds::One(Kind::CodeSignature)),
            ..Sought::default()
        };
        assert_eq!(signatures.filter(NOW).not_after_after, None);
    }

    #[test]
    fn a_range_of_ends_keeps_to_what_is_sought() {
        let (early, late) = (NOW.plus_secs(-100), NOW.plus_secs(100));
        let sought = |standing| Sought { standing, from: Some(early), to: Some(late), ..Sought::default() }.filter(NOW);
        let bounds = |filter: Filter| (filter.not_after_after, filter.not_after_before, filter.order);
        assert_eq!(bounds(sought(None)), (Some(early), Some(late), Order::Expiry));
        assert_eq!(bounds(sought(Some(Standing::Issued))), (Some(NOW), Some(late), Order::Expiry));
        assert_eq!(bounds(sought(Some(Standing::Expired))), (Some(early), Some(NOW), Order::Latest));
        let act = Sought { act: Some(true), ..Sought::default() }.filter(NOW);
        assert_eq!((act.look_before, act.replaced, act.order), (Some(NOW), Some(false), Order::Expiry));
        for standing in [None, Some(Standing::Expired)] {
            let of_a_name = Sought { name: Some("dns:a".into()), standing, from: Some(early), ..Sought::default() };
            assert_eq!(of_a_name.filter(NOW).order, Order::Newest);
        }
    }
}
