//! Secrets in the inventory: what ends, who read them last, what nobody reads, what waits. For eyes: nothing is decided by it.
//!
//! Found by what the register keeps beside the records (`store::Ward`); each that is shown is attested by the log before.

use policy::{Owner, Timestamp};
use store::{Reading, Ward, WardBy, WardFilter};

use super::base::Vault;
use super::body::SECRET;
use super::listing::{ROWS_FOR_A_RECORD, wanted};
use super::secret::Secret;
use super::wishes::Search;
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::page::{Page, Turns};

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
        let owner = owner.map(ToString::to_string);
        let mut ends = self.ledger.ward_ends(owner, (from, before), ENDS_MAX + 1).await?;
        let is_whole = ends.len() <= ENDS_MAX;
        ends.truncate(ENDS_MAX);
        Ok((ends, is_whole))
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
        let from = search.ends_from.filter(|_| by == WardBy::Ends);
        let mut below = self.below(search, by, after.as_ref()).await?.map(Vec::into_iter);
        let (mut found, mut turns) = (Page::new(), Turns::default());
        let (mut looked, mut walked, mut read) = (0, 0, 0);
        while looked < LOOKED_MAX {
            let rows = wanted(limit, walked, found.items.len());
            let mut page: Vec<Ward> = match &mut below {
                Some(below) => below.take(rows).collect(),
                None => {
                    let owner = search.owner.as_ref().map(ToString::to_string);
                    let filter = WardFilter { owner, by, from, before, after: after.clone(), limit: rows };
                    self.ledger.wards(filter).await?
                }
            };
            let want = wanted(limit, read, found.items.len());
            let (mut meant, mut asked, mut judged) = (Vec::with_capacity(page.len()), 0, 0);
            for ward in &page {
                turns.next().await;
                judged += 1;
                if !search.may_mean(ward) {
                    continue;
                }
                asked += 1;
                if is_known(ward, &may) {
                    meant.push(ward.path().to_owned());
                }
                // What was passed over has been; of those that are meant no more are read than are wanted.
                if meant.len() >= want && below.is_none() {
                    break;
                }
            }
            let is_last = page.len() < rows && judged == page.len();
            page.truncate(judged);
            walked += judged;
            read += meant.len();
            looked += asked + (judged - asked).div_ceil(ROWS_FOR_A_RECORD);
            let there = self.at(meant).await?;
            for ward in page {
                if found.items.len() == limit {
                    return Ok(found.until(after.map(written)));
                }
                after = Some((place(&ward, by), ward.id.clone()));
                let Some(secret) = there.get(ward.path()) else { continue };
                let Some(secret) = found.believed(secret.as_ref()) else { continue };
                let is_so = secret.life() == ward.id && search.is_at(&ward);
                // The row said whose it is; the record decides.
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

    /// All that may be meant of what stands at a path and below it, in the order of their times, after a place; none where nobody asked for
    /// a path, or more stands there than is looked at for a page: then they are found by their times.
    async fn below(
        &self,
        search: &Search,
        by: WardBy,
        after: Option<&(Timestamp, String)>,
    ) -> Result<Option<Vec<Ward>>, SecretError> {
        let Some(within) = &search.within else { return Ok(None) };
        // `0` follows `/`, and `A` follows `@`, after which the life of the path itself stands.
        let between = (format!("{within}/"), format!("{within}0"));
        if self.ledger.count_records(SECRET, between.clone(), BELOW_MAX).await? >= BELOW_MAX {
            return Ok(None);
        }
        let rows = usize::try_from(BELOW_MAX).unwrap_or(usize::MAX);
        let itself = self.ledger.wards_between((format!("{within}@"), format!("{within}A")), rows).await?;
        let below = self.ledger.wards_between(between, rows).await?;
        if itself.len() >= rows || below.len() >= rows {
            return Ok(None);
        }
        let is_after = |ward: &Ward| after.is_none_or(|(at, id)| (place(ward, by), &ward.id) > (*at, id));
        let is_begun = |ward: &Ward| match by {
            WardBy::Ends => search.ends_from.is_none_or(|from| ward.ends.is_some_and(|ends| ends >= from)),
            WardBy::Seen | WardBy::Pending => true,
        };
        let wards = itself.into_iter().chain(below);
        let mut wards: Vec<Ward> =
            wards.filter(|ward| search.may_mean(ward) && is_begun(ward) && is_after(ward)).collect();
        wards.sort_by(|a, b| (place(a, by), &a.id).cmp(&(place(b, by), &b.id)));
        Ok(Some(wards))
    }
}

/// Whether the caller may know of what a row says.
fn is_known(ward: &Ward, may: &impl Fn(&Owner, &SecretPath) -> bool) -> bool {
    let (owner, path) = (Owner::parse(&ward.owner), ward.path().parse::<SecretPath>());
    owner.is_ok_and(|owner| path.is_ok_and(|path| may(&owner, &path)))
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
    /// Whether what a row says may be sought: its owner, its place, its times.
    fn may_mean(&self, ward: &Ward) -> bool {
        let is_within = |within: &SecretPath| {
            let rest = ward.path().strip_prefix(within.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.owner.as_ref().is_none_or(|owner| owner.as_str() == ward.owner)
            && self.within.as_ref().is_none_or(is_within)
            && self.is_at(ward)
    }

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
const PAGE_MAX: usize = 200;
/// So many are looked at for one page: a search that finds few of many says where it goes on.
const LOOKED_MAX: usize = 1_000;
/// Where fewer than this stand below a path they are found by it, and by their times else.
const BELOW_MAX: u64 = 1_000;

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
