//! Many steps of one kind, some of them at once: each is a commit of its own, and the register's writer has those of a moment in one flush.

use futures_util::stream::{FuturesOrdered, StreamExt};

/// So many are under way.
pub(crate) const STEPS_AT_ONCE: usize = 16;

/// Begins a step with each, in their order, and tells what came of it, in the same order. Once it is told that one failed, no other is begun,
/// and what is under way is done to its end.
///
/// # Errors
/// What `told` answers first.
pub(crate) async fn at_once<T, F: Future, E>(
    items: Vec<T>,
    begin: impl Fn(T) -> F,
    mut told: impl FnMut(F::Output) -> Result<(), E>,
) -> Result<(), E> {
    let (mut rest, mut under_way, mut failed) = (items.into_iter(), FuturesOrdered::new(), None);
    loop {
        while failed.is_none()
            && under_way.len() < STEPS_AT_ONCE
            && let Some(item) = rest.next()
        {
            under_way.push_back(begin(item));
        }
        let Some(done) = under_way.next().await else { break };
        if let Err(error) = told(done) {
            failed = failed.or(Some(error));
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn sixteen_are_under_way_and_are_told_in_their_order() {
        // None is done before as many as that have begun: one after the other would wait for ever.
        let barrier = tokio::sync::Barrier::new(STEPS_AT_ONCE);
        let mut all = Vec::new();
        let waits = &barrier;
        let step = |at: usize| async move {
            waits.wait().await;
            at
        };
        let told = |at: usize| {
            all.push(at);
            Ok::<_, ()>(())
        };
        run(at_once((0..2 * STEPS_AT_ONCE).collect(), step, told)).unwrap();
        assert!(all.iter().copied().eq(0..2 * STEPS_AT_ONCE), "{all:?}");
    }

    #[test]
    fn nothing_is_begun_once_one_failed() {
        let begun = std::cell::Cell::new(0);
        let step = |at: usize| {
            begun.set(begun.get() + 1);
            std::future::ready(at)
        };
        let mut heard = 0;
        let told = |at: usize| {
            heard += 1;
            if at == 3 { Err(at) } else { Ok(()) }
        };
        let failed = run(at_once((0..1_000).collect(), step, told));
        assert_eq!(failed, Err(3));
        assert!(begun.get() < 1_000 && heard == begun.get(), "{heard} of {}", begun.get());
    }
}
