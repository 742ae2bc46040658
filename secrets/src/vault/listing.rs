//! Pages of secrets, by path or by a word. For eyes: one that a list leaves out is not noticed; each that is shown is attested, and one that
//! somebody altered is counted and keeps no other back.
//!
//! A list reads as many records as its page has room for, and more of them as the filter drops some. Where words or a tag are sought the
//! register proposes secrets that have the rarest of them: a page then costs what is found, however many secrets there are. Whatever
//! a page cannot find within its bound the next one goes on to find.

use std::collections::HashMap;

use policy::Owner;
use store::{Keyword, KeywordFilter, KeywordRange, ListedRecord, RecordFilter};

use super::base::Vault;
use super::body::SECRET;
use super::secret::Secret;
use super::sought::keywords;
use super::wishes::Search;
use crate::error::SecretError;
use crate::nouns::SecretPath;
use crate::page::{Page, Turns, of_one, taken};

impl Vault {
    /// A page of secrets, and where the next begins: by path, or where words or a tag are sought by a word of theirs that is. `may` says of
    /// each whether the caller may know of it. A page is short where few of what was looked at are meant.
    ///
    /// # Errors
    /// [`SecretError::Store`]; [`SecretError::Invalid`]: a text without a word, or no page ended there.
    pub async fn list(
        &self,
        search: &Search,
        may: impl Fn(&Owner, &SecretPath) -> bool,
    ) -> Result<Page<Secret>, SecretError> {
        let words = search.words()?;
        match self.way(search, &words).await? {
            Way::Paths => self.by_path(search, &words, may).await,
            Way::Words(which, after) => self.by_word(search, &words, (which, after), may).await,
        }
    }

    /// The way with the fewest candidates; of a next page the way of the page before it.
    async fn way(&self, search: &Search, words: &[KeywordRange]) -> Result<Way, SecretError> {
        if let Some(after) = &search.after {
            return Way::of(after, words.len());
        }
        let within = search.within.as_ref();
        let (mut way, mut fewest) = (Way::Paths, u64::MAX);
        if let (Some(within), [_, ..]) = (within, words) {
            // `0` follows `/`.
            let between = (format!("{within}/"), format!("{within}0"));
            let below = self.ledger.count_records(SECRET, between, COUNTED_MAX).await?;
            fewest = below * ROWS_FOR_A_RECORD as u64;
        }
        for (which, word) in words.iter().enumerate() {
            let count = match words {
                [_] if within.is_none() => 0,
                _ => self.ledger.count_keywords(word.clone(), COUNTED_MAX).await?,
            };
            if count < fewest || (count == fewest && matches!(way, Way::Paths)) {
                (way, fewest) = (Way::Words(which, None), count);
            }
        }
        Ok(way)
    }

    async fn by_path(
        &self,
        search: &Search,
        words: &[KeywordRange],
        may: impl Fn(&Owner, &SecretPath) -> bool,
    ) -> Result<Page<Secret>, SecretError> {
        let limit = search.limit.clamp(1, PAGE_MAX);
        let is_meant = |secret: &Secret| search.means(secret, words) && may(secret.owner(), secret.path());
        let (mut found, mut after) = (Page::new(), search.after.clone());
        // Between a path and what is below it others may stand: `prod`, `prod-x`, `prod/db`.
        let below = search.within.as_ref().map(|within| format!("{within}/"));
        if let Some(within) = search.within.as_ref().filter(|within| after.as_deref() < Some(within.as_str())) {
            let there = found.believed(of_one(self.look(within).await)?);
            found.items.extend(there.flatten().filter(is_meant));
        }
        after = after.max(below.clone());
        let (mut looked, mut turns) = (found.items.len(), Turns::default());
        while looked < LOOKED_MAX {
            let rows = wanted(limit, looked, found.items.len());
            let owner = search.owner.as_ref().map(ToString::to_string);
            let filter = RecordFilter { owner, after: after.clone(), limit: rows, ..RecordFilter::default() };
            let page = self.ledger.record_page(SECRET, filter).await?;
            let is_last = page.len() < rows;
            looked += page.len();
            for ListedRecord { id, record, .. } in page {
                turns.next().await;
                if below.as_ref().is_some_and(|below| !id.starts_with(below)) {
                    return Ok(found);
                }
                if found.items.len() == limit {
                    return Ok(found.until(after));
                }
                after = Some(id);
                let secret = found.believed(taken(record, Secret::of));
                found.items.extend(secret.filter(is_meant));
            }
            if is_last {
                return Ok(found);
            }
        }
        Ok(found.until(after))
    }

    async fn by_word(
        &self,
        search: &Search,
        words: &[KeywordRange],
        (which, mut after): (usize, Option<Keyword>),
        may: impl Fn(&Owner, &SecretPath) -> bool,
    ) -> Result<Page<Secret>, SecretError> {
        let Some(range) = words.get(which) else { return Ok(Page::new()) };
        let others: Vec<KeywordRange> = words.iter().filter(|word| *word != range).cloned().collect();
        let limit = search.limit.clamp(1, PAGE_MAX);
        let written = |after: Option<Keyword>| after.map(|after| Way::Words(which, Some(after)).to_string());
        let (mut found, mut looked, mut walked) = (Page::new(), 0, 0);
        while looked < LOOKED_MAX {
            let filter = KeywordFilter {
                range: range.clone(),
                owner: search.owner.as_ref().map(ToString::to_string),
                after: after.clone(),
                limit: wanted(limit, walked, found.items.len()),
            };
            let (page, next) = self.ledger.keywords(filter).await?;
            let (mut proposed, asked) = self.proposed(search, &page, &may).await?;
            walked += page.len();
            // What was stepped over in vain was looked at too.
            looked += (asked + (page.len() - asked) / ROWS_FOR_A_RECORD).max(STEP_COST);
            for keyword in page {
                if found.items.len() == limit {
                    return Ok(found.until(written(after)));
                }
                // A secret is shown once, by the first of its words that is sought; a row that its record does not say is none.
                let is_so = |secret: &Secret| {
                    secret.owner().as_str() == keyword.owner && keywords(secret).first(range) == Some(&keyword.word)
                };
                match proposed.get(&keyword.path) {
                    // Counted once, however many of its words stand there.
                    Some(None) => {
                        proposed.remove(&keyword.path);
                        found.altered = found.altered.saturating_add(1);
                    }
                    Some(Some(secret)) if is_so(secret) => {
                        let secret = proposed.remove(&keyword.path).flatten();
                        found.items.extend(secret.filter(|secret| search.means(secret, &others)));
                    }
                    Some(Some(_)) | None => {}
                }
                after = Some(keyword);
            }
            if next.is_none() {
                return Ok(found);
            }
            after = next;
        }
        Ok(found.until(written(after)))
    }

    /// The secrets where words stand, by path, those that may be meant and known of: none of the others is read; none of one that was
    /// altered. And of how many it was asked whether they may be known of.
    async fn proposed(
        &self,
        search: &Search,
        page: &[Keyword],
        may: &impl Fn(&Owner, &SecretPath) -> bool,
    ) -> Result<(HashMap<String, Option<Secret>>, usize), SecretError> {
        let (mut paths, mut asked, mut turns) = (Vec::with_capacity(page.len()), 0, Turns::default());
        for keyword in page {
            turns.next().await;
            let (Ok(owner), Ok(path)) = (Owner::parse(&keyword.owner), keyword.path.parse::<SecretPath>()) else {
                continue;
            };
            if search.within.as_ref().is_some_and(|within| !path.is_within(within)) {
                continue;
            }
            asked += 1;
            if may(&owner, &path) {
                paths.push(keyword.path.clone());
            }
        }
        paths.sort_unstable();
        paths.dedup();
        let mut secrets = self.at(paths).await?;
        // The row said whose it is; the record decides.
        secrets.retain(|_, secret| secret.as_ref().is_none_or(|secret| may(secret.owner(), secret.path())));
        Ok((secrets, asked))
    }

    /// What there is at each of some paths; none where that was altered.
    pub(super) async fn at(&self, paths: Vec<String>) -> Result<HashMap<String, Option<Secret>>, SecretError> {
        let records = self.ledger.records_of(SECRET, paths).await?;
        Ok(records.into_iter().map(|(path, record)| (path, taken(record, Secret::of))).collect())
    }
}

/// By what secrets are proposed, and after which of them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    Paths,
    /// By the word of this number.
    Words(usize, Option<Keyword>),
}

impl Way {
    /// Of a cursor: a path, or `NUMBER:owner:path:word`. No path and no owner has a colon.
    fn of(cursor: &str, words: usize) -> Result<Way, SecretError> {
        let mut parts = cursor.splitn(4, ':');
        let (Some(which), Some(owner), Some(path), Some(word)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(Way::Paths);
        };
        let keyword = Keyword { word: word.to_owned(), owner: owner.to_owned(), path: path.to_owned() };
        match which.parse().ok().filter(|which| *which < words) {
            Some(which) => Ok(Way::Words(which, Some(keyword))),
            None => Err(SecretError::invalid("cursor", "no page of this list ended there")),
        }
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Way::Words(which, Some(Keyword { word, owner, path })) => write!(f, "{which}:{owner}:{path}:{word}"),
            Way::Words(_, None) | Way::Paths => Ok(()),
        }
    }
}

/// How many are looked at next: as many as are wanted and one, by what was found among those before.
pub(super) fn wanted(limit: usize, looked: usize, found: usize) -> usize {
    let want = (limit + 1).saturating_sub(found).max(1);
    let share = if looked == 0 { want } else { (want * looked).div_ceil(found.max(1)) };
    share.max(want).min(PAGE_MAX)
}

const PAGE_MAX: usize = 1_000;
/// So many are looked at for one page: a search that finds few of many says where it goes on.
const LOOKED_MAX: usize = 4_000;
/// So many rows of words that lie elsewhere are passed over while one record is read and judged.
pub(super) const ROWS_FOR_A_RECORD: usize = 8;
/// What it counts to ask once more, whatever comes of it.
const STEP_COST: usize = 100;
/// So many candidates are counted of each way: more of them are many.
const COUNTED_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_where_a_page_ended_and_nothing_else_is_one() {
        let keyword = Keyword { word: "#team=a:b".into(), owner: "web".into(), path: "prod/db".into() };
        let way = Way::Words(1, Some(keyword));
        assert_eq!(Way::of(&way.to_string(), 2).unwrap(), way);
        assert_eq!(Way::of("prod/db", 1).unwrap(), Way::Paths);
        for bad in ["1:web:prod:x", "-1:web:prod:x", "x:::"] {
            assert!(Way::of(bad, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_looks_at_what_it_wants_and_at_more_where_much_is_dropped() {
        assert_eq!(wanted(10, 0, 0), 11);
        assert_eq!(wanted(10, 11, 10), 2, "one is there and one is wanted");
        assert_eq!(wanted(10, 11, 1), 110);
        assert_eq!(wanted(10, 11, 0), 121);
        assert_eq!(wanted(1_000, 0, 0), PAGE_MAX);
        assert_eq!(wanted(1_000, 1_000, 1_000), 1);
        assert_eq!(wanted(100, 4_000, 1), PAGE_MAX);
    }
}
