//! Secrets in the inventory: what ends, who read them last, what nobody reads, what waits. For eyes: nothing is decided by it.
//!
//! Found by what the register keeps beside the records (`store::Ward`); each that is shown is attested by the log before.

use policy::{Owner, Timestamp};
use store::{Reading, Ward, WardBy, WardFilter};

use super::base::Vault;
use super::listing::wanted;
use super::secret::Secret;
use super::wishes::Search;
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::page::Page;

/// Who read a secret last: the first time of the newest hour in which he did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRead {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// The leaf that says so.
    pub leaf: u64,
}

/// A secret, and who read it last; none where nobody did.
pub type Listed = (Secret, Option<LastRead>);

/// How many secrets there are of each sort. Each number is exact up to [`store::WARDS_COUNTED_MAX`], and says "at least" from there on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that are in use.
    pub all: u64,
    /// Their current version has ended.
    pub expired: u64,
    /// It ends within 24 hours, 7, 30 and 90 days: each without those before it.
    pub ending: [u64; 4],
    /// Nobody read them for [`UNREAD_DAYS`] days, or since they were made.
    pub unread: u64,
    /// A version waits as `pending` for longer than [`PENDING_SECS`], and no rotation is at work.
    pub stuck: u64,
}

/// After so many days without a reading a secret is called unread.
pub const UNREAD_DAYS: i64 = 90;
/// A version that nobody promotes is an alarm after a day.
pub const PENDING_SECS: i64 = DAY_SECS;

impl Vault {
    /// A page of what is sought, each with who read it last, and where the next page begins. By path; where an end or a reading is asked
    /// for, what ends first or was not read for longest comes first. `may` says of each whether the caller may know of it.
    ///
    /// # Errors
    /// [`SecretError::Store`]; [`SecretError::Invalid`]: a text without a word, or no page ended there.
    pub async fn inventory(
        &self,
        search: &Search,
        may: impl Fn(&Owner, &SecretPath) -> bool,
    ) -> Result<Page<Listed>, SecretError> {
        match index(search) {
            Some((by, before)) => self.by_time(search, (by, before), may).await,
            None => {
                let Page { items, next, altered } = self.list(search, may).await?;
                Ok(Page { items: self.with_readings(items).await?, next, altered })
            }
        }
    }

    /// The same of one.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn last_read(&self, secret: &Secret) -> Result<Option<LastRead>, SecretError> {
        let mut there = self.ledger.wards_of(vec![secret.life()]).await?;
        Ok(there.remove(&secret.life()).as_ref().and_then(last_read))
    }

    /// Who read a secret, whoever did last first.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn readers(&self, secret: &Secret, limit: usize) -> Result<Vec<Reading>, SecretError> {
        Ok(self.ledger.readers(&secret.life(), limit).await?)
    }

    /// How many there are, of an owner or of all.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn tally(&self, owner: Option<&Owner>, now: Timestamp) -> Result<Tally, SecretError> {
        let of = |by, from: Option<i64>, before: i64| WardFilter {
            owner: owner.map(ToString::to_string),
            by,
            from: from.map(|secs| now.plus_secs(secs)),
            before: now.plus_secs(before),
            after: None,
            limit: 0,
        };
        let all = WardFilter { before: Timestamp::from_unix(i64::MAX), ..of(WardBy::Seen, None, 0) };
        let mut tally = Tally {
            all: self.ledger.count_wards(all).await?,
            expired: self.ledger.count_wards(of(WardBy::Ends, None, 0)).await?,
            unread: self.ledger.count_wards(of(WardBy::Seen, None, -UNREAD_DAYS * DAY_SECS)).await?,
            stuck: self.ledger.count_wards(of(WardBy::Pending, None, -PENDING_SECS)).await?,
            ..Tally::default()
        };
        let mut from = 0;
        for (count, days) in tally.ending.iter_mut().zip(ENDING_DAYS) {
            *count = self.ledger.count_wards(of(WardBy::Ends, Some(from), days * DAY_SECS)).await?;
            from = days * DAY_SECS;
        }
        Ok(tally)
    }

    /// When current versions end, from one time on and before another, the first first; and whether these are all: at most
    /// [`ENDS_MAX`] are told.
    ///
    /// # Errors
    /// [`SecretError::Store`].
    pub async fn ends(
        &self,
        owner: Option<&Owner>,
        (from, before): (Timestamp, Timestamp),
    ) -> Result<(Vec<Timestamp>, bool), SecretError> {
        let (mut ends, mut after) = (Vec::new(), None);
        while ends.len() < ENDS_MAX {
            let owner = owner.map(ToString::to_string);
            let filter = WardFilter { owner, by: WardBy::Ends, from: Some(from), before, after, limit: ENDS_PAGE };
            let page = self.ledger.wards(filter).await?;
            let is_last = page.len() < ENDS_PAGE;
            after = page.last().map(|last| (place(last, WardBy::Ends), last.id.clone()));
            ends.extend(page.iter().filter_map(|ward| ward.ends));
            if is_last {
                return Ok((ends, true));
            }
        }
        Ok((ends, false))
    }

    async fn with_readings(&self, found: Vec<Secret>) -> Result<Vec<Listed>, SecretError> {
        let there = self.ledger.wards_of(found.iter().map(Secret::life).collect()).await?;
        let read = |secret: &Secret| there.get(&secret.life()).and_then(last_read);
        Ok(found.into_iter().map(|secret| (read(&secret), secret)).map(|(read, secret)| (secret, read)).collect())
    }

    async fn by_time(
        &self,
        search: &Search,
        (by, before): (WardBy, Timestamp),
        may: impl Fn(&Owner, &SecretPath) -> bool,
    ) -> Result<Page<Listed>, SecretError> {
        let words = search.words()?;
        let limit = search.limit.clamp(1, PAGE_MAX);
        let mut after = search.after.as_deref().map(cursor).transpose()?;
        let (mut found, mut looked) = (Page::new(), 0);
        while looked < LOOKED_MAX {
            let owner = search.owner.as_ref().map(ToString::to_string);
            let rows = wanted(limit, looked, found.items.len()).min(PAGE_MAX);
            let from = search.ends_from.filter(|_| by == WardBy::Ends);
            let filter = WardFilter { owner, by, from, before, after: after.clone(), limit: rows };
            let page = self.ledger.wards(filter).await?;
            let is_last = page.len() < rows;
            looked += page.len();
            let meant = page.iter().filter(|ward| search.is_at(ward)).map(Ward::path);
            let there = self.at(meant.map(str::to_owned).collect()).await?;
            for ward in page {
                if found.items.len() == limit {
                    return Ok(found.until(after.map(written)));
                }
                after = Some((place(&ward, by), ward.id.clone()));
                let Some(secret) = there.get(ward.path()) else { continue };
                let Some(secret) = found.believed(secret.as_ref()) else { continue };
                let is_so = secret.life() == ward.id && search.is_at(&ward);
                if is_so && search.means(secret, &words) && may(secret.owner(), secret.path()) {
                    found.items.push((secret.clone(), last_read(&ward)));
                }
            }
            if is_last {
                return Ok(found);
            }
        }
        Ok(found.until(after.map(written)))
    }
}

/// By what the register is asked; none: by path.
fn index(search: &Search) -> Option<(WardBy, Timestamp)> {
    let by = [
        (WardBy::Pending, search.pending_before),
        (WardBy::Ends, search.ends_before),
        (WardBy::Seen, search.unread_since),
    ];
    by.into_iter().find_map(|(by, before)| Some((by, before?)))
}

impl Search {
    /// Whether a secret's times are those that are sought.
    fn is_at(&self, ward: &Ward) -> bool {
        let is_before = |at: Option<Timestamp>, before: Option<Timestamp>| {
            before.is_none_or(|before| at.is_some_and(|at| at < before))
        };
        is_before(ward.ends, self.ends_before)
            && is_before(Some(ward.seen), self.unread_since)
            && is_before(ward.pending, self.pending_before)
    }
}

fn place(ward: &Ward, by: WardBy) -> Timestamp {
    let at = match by {
        WardBy::Ends => ward.ends,
        WardBy::Seen => Some(ward.seen),
        WardBy::Pending => ward.pending,
    };
    at.unwrap_or(ward.seen)
}

fn last_read(ward: &Ward) -> Option<LastRead> {
    ward.read.clone().map(|(by, leaf)| LastRead { at: ward.seen, by, leaf })
}

/// Where a page ended: `UNIX SECONDS:path@life`.
fn written((at, id): (Timestamp, String)) -> String {
    format!("{}:{id}", at.unix())
}

fn cursor(text: &str) -> Result<(Timestamp, String), SecretError> {
    let parts = text.split_once(':').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    let (at, id) = parts.ok_or_else(|| SecretError::invalid("cursor", "no page of this list ended there"))?;
    Ok((Timestamp::from_unix(at), id))
}

const DAY_SECS: i64 = 86_400;
const ENDING_DAYS: [i64; 4] = [1, 7, 30, 90];
/// Ends that are told at once, for a drawing.
pub const ENDS_MAX: usize = 10_000;
const ENDS_PAGE: usize = 1_000;
const PAGE_MAX: usize = 200;
/// So many are looked at for one page: a search that finds few of many says where it goes on.
const LOOKED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_where_a_page_ended_and_nothing_else_is_one() {
        let place = (Timestamp::from_unix(-7), "a:b@c/d@1".to_owned());
        assert_eq!(cursor(&written(place.clone())).unwrap(), place);
        for bad in ["", "prod/db", "x:a@1", ":a@1"] {
            assert!(cursor(bad).is_err(), "{bad}");
        }
    }
}
