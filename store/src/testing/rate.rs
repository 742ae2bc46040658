//! How often a second something can be done, and the middle of what was seen: what every measurement here is made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a second so many callers can do something, each one after the other, for so long. `act` is given the number of the act.
///
/// # Errors
/// A caller that panicked.
pub async fn rate<F>(
    callers: usize,
    round: Duration,
    act: impl Fn(u64) -> F + Send + Sync + 'static,
) -> Result<f64, tokio::task::JoinError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (act, count, began) = (Arc::new(act), Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (act, count) = (Arc::clone(&act), Arc::clone(&count));
            tokio::spawn(async move {
                while began.elapsed() < round {
                    act(count.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

/// The middle one; of an even number the higher of the two; zero of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_in_the_middle() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 3.0);
    }
}
