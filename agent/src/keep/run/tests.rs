//! The wait between two passes, on a World that is set; the state folder.

use std::time::Duration;

use policy::World;

use super::*;
use crate::testing::{WatchedDisk, at, folder};

const NOW: i64 = 2_000_000_000;

/// Waits after a failure at `NOW` that is to be tried again in a second; `set` is done while it waits.
async fn wait_through(stop: watch::Receiver<bool>, set: impl FnOnce(&World)) -> bool {
    let world = World::fixed(at(NOW), 1);
    let mut status = Status::pending("web");
    (status.failures, status.last_attempt, status.next_renewal) = (1, Some(at(NOW)), Some(at(NOW + 1)));
    let clock = world.clone();
    let waiting = tokio::spawn(async move { wait(&clock, stop, &status).await });
    tokio::task::yield_now().await;
    set(&world);
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the wait ends").unwrap()
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_hold_the_next_pass_up() {
    let (_stop, stopped) = watch::channel(false);
    for back_secs in [20, 366 * 86_400] {
        let goes_on = wait_through(stopped.clone(), |world| world.set(at(NOW - back_secs))).await;
        assert!(goes_on, "{back_secs} s back");
    }
}

#[tokio::test]
async fn a_wait_that_is_stopped_says_so() {
    let (stop, stopped) = watch::channel(false);
    let goes_on = wait_through(stopped, |_| {
        stop.send_replace(true);
    });
    assert!(!goes_on.await);
}

#[test]
fn a_power_loss_does_not_take_the_state_folder() {
    let (above, disk) = (folder(), WatchedDisk::default());
    let _lock = take(&disk, &above.path().join("state")).unwrap();
    disk.assert_durable();
}
