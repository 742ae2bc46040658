//! Lists and searches of a register with many secrets beside one with few, in turns; and how both start.

use std::time::Duration;

use http::StatusCode;
use store::testing::median;

use super::filling::path_of;
use crate::error::CompareError;
use crate::house::House;
use crate::memory::resident_kib;
use crate::rest::Rest;

/// Times each page is asked for of each.
const ASKS: usize = 40;
const STARTS: usize = 5;

/// What was seen of both, in milliseconds: the small one's first.
#[derive(Clone, Debug, Default)]
pub(super) struct Many {
    pub(super) pages: Vec<(&'static str, [f64; 2])>,
    pub(super) start: [f64; 2],
    pub(super) resident_mib: [f64; 2],
    pub(super) database_mib: [f64; 2],
}

pub(super) async fn measure(small: &mut House, large: &mut House) -> Result<Many, CompareError> {
    let mut many = Many::default();
    let mut both = [Rest::new(small)?, Rest::new(large)?];
    for (what, path) in asked() {
        let mut took = [Vec::new(), Vec::new()];
        for _ in 0..ASKS {
            for (rest, took) in both.iter_mut().zip(&mut took) {
                let answer = rest.get(&path).await?;
                if answer.status != StatusCode::OK {
                    return Err(CompareError::Failed(format!("{path} was answered {}", answer.status)));
                }
                took.push(millis(answer.took));
            }
        }
        many.pages.push((what, took.map(high)));
    }
    let resident = |house: &House| house.pid().and_then(resident_kib).unwrap_or_default() as f64 / 1024.0;
    many.resident_mib = [resident(small), resident(large)];
    many.database_mib = [&*small, &*large].map(|house| house.database_bytes() as f64 / f64::from(1 << 20));
    let mut starts = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (house, starts) in [&mut *small, &mut *large].into_iter().zip(&mut starts) {
            house.stop()?;
            starts.push(millis(house.start()?));
        }
    }
    large.stop()?;
    many.start = starts.map(median);
    Ok(many)
}

/// What both have, and what neither has.
fn asked() -> Vec<(&'static str, String)> {
    let list = |query: &str| format!("/api/v1/secrets?{query}");
    vec![
        ("the first page", list("limit=100")),
        ("a page of 1,000", list("limit=1000")),
        ("of one owner", list("limit=100&owner=default")),
        ("below a path", list("limit=100&within=dev/service-00000")),
        ("one, by its path", format!("/api/v1/secrets/{}", path_of(7))),
        ("a tag of one in a hundred", list("limit=10&tag=team=team-7")),
        ("a tag that one has", list("limit=100&tag=number=7")),
        ("a tag that none has", list("limit=100&tag=nothing")),
        ("a word in the path", list("limit=100&search=key-0000007")),
        ("a word that is nowhere", list("limit=100&search=nowhere-to-be-found")),
    ]
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

/// The 95th of a hundred.
fn high(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 95 / 100).copied().unwrap_or_default()
}
