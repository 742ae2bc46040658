//! Claims about renewals, on a register made of rows and a World that stands still until it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use policy::{Action, Actor, Refusal, Resource, ResourceKind, Validity, World};
use tokio::sync::Notify;

use super::*;
use crate::desk::Held;
use crate::lease::{LEASE_SECS, SKEW_SECS};
use crate::summary::tests::{LIFE_SECS, certificate};

const START: Timestamp = Timestamp::from_unix(1_800_000_000);

#[derive(Clone)]
struct Office {
    world: World,
    node: u16,
    inner: Arc<Mutex<Inner>>,
    /// When set, a renewal waits for it after it was asked for.
    gate: Option<Arc<Gate>>,
}

#[derive(Default)]
struct Gate {
    asked: Notify,
    open: Notify,
}

#[derive(Default)]
struct Inner {
    rows: Vec<Summary>,
    lease: Option<Held>,
    /// How many rows of the list of what is due were read.
    read: usize,
    /// Serials that a renewal was asked for, in order.
    asked: Vec<String>,
    /// What the next renewals answer; then they succeed.
    answers: VecDeque<CaError>,
    /// How many of the next pages cannot be read.
    unreadable_pages: u32,
    /// A thief put what was renewed back onto the list of what is due, and hides what took its place.
    put_back: bool,
    /// What a drill marks: all of it.
    marks: Vec<Part>,
}

impl Office {
    fn with(rows: impl IntoIterator<Item = Summary>) -> Office {
        let inner = Inner { rows: rows.into_iter().collect(), ..Inner::default() };
        Office { world: World::fixed(START, 1), node: 1, inner: Arc::new(Mutex::new(inner)), gate: None }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn add(&self, row: Summary) {
        self.inner().rows.push(row);
    }

    fn answer(&self, error: CaError) {
        self.inner().answers.push_back(error);
    }

    fn asked(&self) -> usize {
        self.inner().asked.len()
    }

    fn set_state(&self, operation: u64, state: State) {
        let mut inner = self.inner();
        inner.rows.iter_mut().find(|row| row.operation == operation).unwrap().state = state;
    }
}

impl Desk for Office {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn node(&self) -> u16 {
        self.node
    }

    async fn due(&self, asked: Asked) -> Result<Vec<(Timestamp, Summary)>, StoreError> {
        let mut inner = self.inner();
        if inner.unreadable_pages > 0 {
            inner.unreadable_pages -= 1;
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        let is_due = |row: &&Summary| {
            row.renew
                && row.state == State::Issued
                && row.renew_at() <= asked.now
                && row.validity.not_after() >= asked.ends_after
                && asked.after.is_none_or(|after| (row.renew_at(), row.operation) > after)
                && (inner.put_back || !inner.rows.iter().any(|other| other.renews.as_ref() == Some(&row.serial_hex())))
        };
        let mut due: Vec<_> = inner.rows.iter().filter(is_due).map(|row| (row.renew_at(), row.clone())).collect();
        due.sort_by_key(|(due, row)| (*due, row.operation));
        due.truncate(asked.limit);
        inner.read += due.len();
        Ok(due)
    }

    async fn lease(&self) -> Result<Option<Held>, StoreError> {
        Ok(self.inner().lease.clone())
    }

    async fn take_lease(&self, expect: u64, until: Timestamp) -> Result<bool, StoreError> {
        let mut inner = self.inner();
        if inner.lease.as_ref().map_or(0, |held| held.version) != expect {
            return Ok(false);
        }
        inner.lease = Some(Held { version: expect + 1, node: self.node, until });
        Ok(true)
    }

    async fn marked(&self, at: MarkedAt, _limit: usize) -> Result<(Vec<(Timestamp, Summary)>, MarkedAt), StoreError> {
        let inner = self.inner();
        let marked = inner.rows.iter().filter(|_| !inner.marks.is_empty());
        Ok((marked.map(|row| (START, row.clone())).collect(), MarkedAt { is_end: true, ..at }))
    }

    fn marks(&self) -> Vec<Part> {
        self.inner().marks.clone()
    }

    fn away(&self) -> (Timestamp, Timestamp) {
        (START, START)
    }

    async fn find(&self, operation: u64) -> Result<Option<Found>, StoreError> {
        let inner = self.inner();
        let found = inner.rows.iter().find(|row| row.operation == operation).cloned();
        Ok(found.map(|summary| {
            let signed = |row: &&Summary| matches!(row.state, State::Issued | State::Revoked);
            let serial = summary.serial_hex();
            let is_renewed = inner.rows.iter().filter(signed).any(|row| row.renews.as_ref() == Some(&serial));
            let due = if inner.marks.is_empty() { summary.renew_at() } else { START };
            Found { due, summary, is_renewed }
        }))
    }

    async fn candidates(&self, _of: &Summary) -> Result<Vec<Summary>, StoreError> {
        let inner = self.inner();
        Ok(if inner.put_back { Vec::new() } else { inner.rows.clone() })
    }

    async fn renew(&self, serial_hex: &str) -> Result<Summary, CaError> {
        self.inner().asked.push(serial_hex.to_owned());
        if let Some(gate) = &self.gate {
            gate.asked.notify_one();
            gate.open.notified().await;
        }
        let mut inner = self.inner();
        if let Some(error) = inner.answers.pop_front() {
            return Err(error);
        }
        let older = inner.rows.iter().find(|row| row.serial_hex() == serial_hex).cloned().unwrap();
        let operation = inner.rows.iter().map(|row| row.operation).max().unwrap() + 1;
        let successor = Summary {
            operation,
            serial: operation.to_be_bytes().to_vec(),
            validity: Validity::starting(self.world.now(), older.validity.secs()),
            renews: Some(older.serial_hex()),
            ..older
        };
        inner.rows.push(successor.clone());
        Ok(successor)
    }
}

/// One of `many` certificates that have nothing in common but their start.
fn nth(operation: u64) -> Summary {
    Summary {
        key_hash: [u8::try_from(operation % 256).unwrap(); 32],
        subject: operation.to_string(),
        ..certificate(operation, START)
    }
}

fn unavailable(retry_after_secs: u32) -> CaError {
    CaError::Unavailable { retry_after_secs, why: "the token is away".to_owned(), issuer: None }
}

fn refused() -> CaError {
    let actor = Box::new(Actor::system("renewal"));
    let resource = Box::new(Resource::plain(ResourceKind::Certificate));
    let missing = "dns:www.example is outside the name rules of owner web".to_owned();
    let action = Action::RenewCertificate;
    let rule = Some("names".to_owned());
    CaError::Refused(Refusal { actor, action, resource, rule, missing, step_up: false, policy_hash: [0; 32] })
}

fn internal(why: &str) -> CaError {
    CaError::Internal(why.to_owned())
}

#[tokio::test]
async fn a_certificate_is_renewed_when_it_is_due_and_not_before() {
    let office = Office::with([certificate(1, START)]);
    let mut worker = Worker::at(office.clone());
    let due = certificate(1, START).renew_at();
    office.world.set(due.plus_secs(-1));
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 0);
    office.world.set(due);
    worker.turn().await.unwrap();
    assert_eq!(office.inner().asked, [certificate(1, START).serial_hex()]);
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 1, "and once");
}

#[tokio::test]
async fn what_a_drill_marks_waits_for_no_round() {
    let office = Office::with([certificate(1, START)]);
    let mut worker = Worker::at(office.clone());
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 0);
    office.inner().marks = vec![Part { issuer: "tls/1".to_owned(), profile: None, owner: None }];
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 1, "in the same second");
}

#[tokio::test]
async fn each_successor_is_renewed_in_its_turn() {
    let office = Office::with([certificate(1, START)]);
    let mut worker = Worker::at(office.clone());
    for _ in 0..4 * LIFE_SECS / 60 {
        office.world.advance(60);
        worker.turn().await.unwrap();
    }
    let rows = office.inner().rows.clone();
    assert!((5..=7).contains(&rows.len()), "{} in four lifetimes", rows.len());
    for (older, newer) in rows.iter().zip(rows.iter().skip(1)) {
        assert!(newer.validity.not_before() < older.validity.not_after(), "a gap before {}", newer.operation);
    }
}

#[tokio::test]
async fn what_the_server_does_not_renew_is_left_alone() {
    let office = Office::with([Summary { renew: false, ..certificate(1, START) }]);
    let mut worker = Worker::at(office.clone());
    office.world.advance(LIFE_SECS);
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 0);
}

#[tokio::test]
async fn what_is_not_valid_any_more_is_not_renewed_even_if_it_was_when_it_was_read() {
    for state in [State::Revoked, State::Failed] {
        let office = Office::with([certificate(1, START)]);
        let mut worker = Worker::at(office.clone());
        worker.turn().await.unwrap();
        office.set_state(1, state);
        office.world.advance(LIFE_SECS);
        worker.turn().await.unwrap();
        assert_eq!(office.asked(), 0, "{state}");
        assert_eq!(worker.watch.overdue(), [], "{state}");
    }
}

#[tokio::test]
async fn what_has_a_successor_is_not_renewed_again_not_even_if_that_was_revoked() {
    for state in [State::Issued, State::Revoked] {
        let office = Office::with([certificate(1, START)]);
        let mut worker = Worker::at(office.clone());
        worker.turn().await.unwrap();
        office.add(Summary { state, renew: false, ..certificate(2, START.plus_secs(10)) });
        office.world.advance(LIFE_SECS);
        worker.turn().await.unwrap();
        assert_eq!(office.asked(), 0, "{state}");
    }
}

#[tokio::test]
async fn a_restart_renews_nothing_twice_and_forgets_nothing() {
    let office = Office::with((1..=10).map(nth));
    office.world.advance(LIFE_SECS * 3 / 4);
    let mut before = Worker::at(office.clone());
    before.turn().await.unwrap();
    drop(before);
    assert_eq!(office.asked(), 10);
    office.add(nth(50));
    let mut after = Worker::at(office.clone());
    after.turn().await.unwrap();
    assert_eq!(office.asked(), 11);
}

#[tokio::test]
async fn an_intent_is_renewed_once_it_is_concluded() {
    let office = Office::with([Summary { state: State::Intended, ..certificate(1, START) }]);
    let mut worker = Worker::at(office.clone());
    office.world.set(certificate(1, START).renew_at());
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 0);
    office.set_state(1, State::Issued);
    office.world.advance(PAUSE_SECS_FIRST);
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 1);
}

#[tokio::test]
async fn a_turn_renews_a_bounded_batch_and_says_that_there_is_more() {
    let office = Office::with((1..=40).map(nth));
    office.world.advance(LIFE_SECS);
    let mut worker = Worker::at(office.clone());
    for (more, asked) in [(true, 16), (true, 32), (false, 40), (false, 40)] {
        assert_eq!((worker.turn().await.unwrap(), office.asked()), (more, asked));
    }
}

#[tokio::test]
async fn when_the_token_is_away_nothing_is_asked_before_it_said_so() {
    let office = Office::with((1..=3).map(nth));
    office.answer(unavailable(20));
    office.answer(unavailable(20));
    office.answer(unavailable(20));
    office.world.set(nth(1).overdue_at());
    let mut worker = Worker::at(office.clone());
    assert!(!worker.turn().await.unwrap());
    assert_eq!(office.asked(), 3);
    office.add(nth(4));
    office.world.advance(19);
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 3, "held");
    office.world.advance(60);
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 7, "all four, by themselves");
    assert_eq!(worker.watch.overdue(), []);
}

#[tokio::test]
async fn a_failure_is_tried_again_with_growing_pauses_and_overdue_ones_are_seen_until_renewed() {
    let office = Office::with([certificate(1, START)]);
    let watch = {
        let mut worker = Worker::at(office.clone());
        office.world.set(certificate(1, START).renew_at());
        for _ in 0..6 {
            office.answer(internal("no such luck"));
        }
        let mut tries = Vec::new();
        while office.asked() < 7 && office.world.now() < START.plus_secs(LIFE_SECS) {
            let before = office.asked();
            worker.turn().await.unwrap();
            if office.asked() > before {
                tries.push(office.world.now());
            }
            let is_overdue = office.world.now() >= certificate(1, START).overdue_at() && office.asked() < 7;
            assert_eq!(!worker.watch.overdue().is_empty(), is_overdue);
            office.world.advance(5);
        }
        let pauses: Vec<i64> = tries.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert_eq!(pauses[..5], [30, 60, 120, 240, 480]);
        worker.watch.clone()
    };
    assert_eq!(watch.overdue(), [], "renewed at last");
}

#[test]
fn a_pause_never_sleeps_through_the_time_that_is_left() {
    for (failures, secs_left, pause) in [
        (0, 1_000_000, 30),
        (3, 1_000_000, 240),
        (63, 1_000_000, 3_600),
        (u32::MAX, i64::MAX, 3_600),
        (0, 40, 10),
        (9, 40, 10),
        (0, 8, 5),
        (5, 0, 5),
        (0, -1, 30),
        (2, -100, 120),
        (5, -100, 300),
        (u32::MAX, i64::MIN, 300),
    ] {
        assert_eq!(pause_secs(failures, secs_left), pause, "{failures} failures, {secs_left} s left");
    }
}

#[tokio::test]
async fn what_policy_refuses_is_asked_for_once_and_is_an_alarm() {
    let office = Office::with([certificate(1, START)]);
    office.answer(refused());
    let mut worker = Worker::at(office.clone());
    office.world.set(certificate(1, START).renew_at());
    for _ in 0..100 {
        worker.turn().await.unwrap();
        office.world.advance(30);
    }
    assert_eq!(office.asked(), 1);
    let overdue = worker.watch.overdue();
    assert_eq!(overdue.len(), 1);
    assert!(overdue[0].why.contains("outside the name rules"), "{}", overdue[0].why);
}

#[tokio::test]
async fn after_an_unknown_outcome_a_new_serial_is_asked_for() {
    let office = Office::with([certificate(1, START)]);
    office.answer(CaError::Unknown { operation: 2, why: "no answer".to_owned() });
    let mut worker = Worker::at(office.clone());
    office.world.set(certificate(1, START).renew_at());
    worker.turn().await.unwrap();
    // What may have been signed stands in the register as an intent; nobody can have it.
    office.add(Summary {
        state: State::Intended,
        renews: Some(certificate(1, START).serial_hex()),
        ..certificate(2, START)
    });
    office.world.advance(PAUSE_SECS_FIRST);
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 2);
    assert_eq!(office.inner().rows.last().unwrap().operation, 3);
}

#[tokio::test]
async fn a_reading_that_breaks_off_is_done_again() {
    let office = Office::with((1..=10).map(nth));
    office.world.advance(LIFE_SECS);
    let mut worker = Worker::at(office.clone());
    for _ in 0..3 {
        office.inner().unreadable_pages = 1;
        assert!(worker.turn().await.is_err());
        assert_eq!(office.asked(), 0);
    }
    worker.turn().await.unwrap();
    assert_eq!(office.asked(), 10);
}

#[tokio::test]
async fn what_is_read_is_what_is_due_and_not_what_there_is() {
    let alone = |n: u64| {
        let mut key_hash = [0; 32];
        key_hash[..8].copy_from_slice(&n.to_be_bytes());
        Summary { validity: later(n), key_hash, ..nth(n) }
    };
    let office = Office::with((1..=5_000).map(alone));
    let mut worker = Worker::at(office.clone());
    office.world.set(later(10).renew_at(&nth(10).serial));
    while worker.turn().await.unwrap() {}
    let asked = office.asked();
    assert!((1..30).contains(&asked), "{asked}");
    assert!(office.inner().read <= 3 * 30, "{}", office.inner().read);
    let before = office.inner().read;
    for _ in 0..100 {
        worker.turn().await.unwrap();
    }
    assert_eq!(office.inner().read, before, "what is done is read no more");
}

/// Each an hour after the one before.
fn later(n: u64) -> Validity {
    Validity::starting(START.plus_secs(i64::try_from(n).unwrap() * 3_600), LIFE_SECS)
}

#[tokio::test]
async fn of_two_nodes_one_renews_until_it_is_gone() {
    let first = Office::with((1..=20).map(nth));
    let second = Office { node: 2, ..first.clone() };
    first.world.advance(LIFE_SECS);
    let (mut one, mut two) = (Worker::at(first.clone()), Worker::at(second.clone()));
    assert!(one.turn().await.unwrap());
    assert!(!two.turn().await.unwrap());
    assert_eq!(first.asked(), BATCH, "the second waits");
    drop(one);
    first.world.advance(LEASE_SECS + SKEW_SECS - 1);
    two.turn().await.unwrap();
    assert_eq!(first.asked(), BATCH);
    first.world.advance(1);
    two.turn().await.unwrap();
    assert_eq!(first.asked(), 20, "the lease ended by itself");
    let asked = first.inner().asked.clone();
    assert_eq!(asked.iter().collect::<std::collections::BTreeSet<_>>().len(), 20, "none twice: {asked:?}");
}

#[tokio::test]
async fn a_node_that_starts_again_takes_up_its_own_lease_and_one_that_ends_gives_it_back() {
    let office = Office::with((1..=3).map(nth));
    office.world.advance(LIFE_SECS);
    Worker::at(office.clone()).turn().await.unwrap();
    office.add(nth(50));
    let mut again = Worker::at(office.clone());
    again.turn().await.unwrap();
    assert_eq!(office.asked(), 4);
    again.work(std::future::ready(())).await;
    office.add(nth(60));
    Worker::at(Office { node: 2, ..office.clone() }).turn().await.unwrap();
    assert_eq!(office.asked(), 5);
}

#[tokio::test]
async fn of_two_that_take_the_lease_at_once_one_has_it() {
    let office = Office::with([]);
    let held = Held { version: 7, node: 9, until: START.plus_secs(-LEASE_SECS) };
    office.inner().lease = Some(held);
    assert!(office.take_lease(7, START.plus_secs(1)).await.unwrap());
    assert!(!office.take_lease(7, START.plus_secs(1)).await.unwrap());
}

#[tokio::test]
async fn what_expired_while_the_service_was_away_is_still_renewed_for_a_week() {
    for (secs_late, asked) in [(1, 1), (LATE_SECS_MAX - 1, 1), (LATE_SECS_MAX + 1, 0)] {
        let office = Office::with([certificate(1, START)]);
        office.world.advance(LIFE_SECS + secs_late);
        Worker::at(office.clone()).turn().await.unwrap();
        assert_eq!(office.asked(), asked, "{secs_late} s late");
    }
}

/// The list of what is due is a table, and so is what hides a successor.
#[tokio::test]
async fn what_was_renewed_is_not_renewed_again_though_the_list_says_so() {
    let office = Office::with([certificate(1, START)]);
    office.world.set(certificate(1, START).renew_at());
    Worker::at(office.clone()).turn().await.unwrap();
    assert_eq!(office.asked(), 1);
    office.inner().put_back = true;
    for _ in 0..LIFE_SECS / 600 {
        office.world.advance(600);
        Worker::at(office.clone()).turn().await.unwrap();
    }
    let renewed = office.inner().asked.clone();
    assert_eq!(renewed.iter().filter(|serial| **serial == certificate(1, START).serial_hex()).count(), 1);
}

/// A successor that does not say so is known by the lists alone.
#[tokio::test]
async fn what_ended_under_a_running_service_does_not_come_back_by_the_list() {
    let office = Office::with([Summary { renew: false, ..certificate(1, START) }]);
    let mut worker = Worker::at(office.clone());
    for _ in 0..LIFE_SECS / 30 + 2 {
        worker.turn().await.unwrap();
        office.world.advance(30);
    }
    office.inner().rows[0].renew = true;
    // And in another run, before which somebody was there a moment ago.
    let now = office.world.now();
    let other = Worker { away: Away::new((now, now)), ..Worker::at(office.clone()) };
    for mut worker in [worker, other] {
        worker.turn().await.unwrap();
        assert_eq!(office.asked(), 0);
        assert!(worker.watch.overdue()[0].why.contains("has ended"), "and somebody hears of it");
    }
}

#[tokio::test]
async fn what_fails_past_its_expiry_is_tried_every_five_minutes_for_a_week_and_then_no_more() {
    let office = Office::with([certificate(1, START)]);
    let mut worker = Worker::at(office.clone());
    let end = START.plus_secs(LIFE_SECS);
    office.world.set(end.plus_secs(1));
    let mut tries = Vec::new();
    while office.world.now() < end.plus_secs(LATE_SECS_MAX + 3_600) {
        office.answer(internal("no such luck"));
        let before = office.asked();
        worker.turn().await.unwrap();
        if office.asked() > before {
            tries.push(office.world.now());
        }
        if office.world.now() <= end.plus_secs(LATE_SECS_MAX) {
            assert_eq!(worker.watch.overdue().len(), 1, "{}", office.world.now());
        }
        office.world.advance(30);
    }
    let pauses: Vec<i64> = tries.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert_eq!(pauses[..4], [30, 60, 120, 240]);
    assert!(pauses[4..].iter().all(|pause| *pause == PAUSE_SECS_EXPIRED));
    assert!(tries[tries.len() - 1].since(end) <= LATE_SECS_MAX);
    assert_eq!((worker.diary.len(), worker.watch.overdue()), (0, vec![]), "given up");
}

#[tokio::test]
async fn a_shutdown_finishes_what_was_begun_and_starts_no_other() {
    let gate = Arc::new(Gate::default());
    let office = Office { gate: Some(gate.clone()), ..Office::with((1..=20).map(nth)) };
    office.world.advance(LIFE_SECS);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Worker::at(office.clone());
    let running = tokio::spawn(worker.work(async move { drop(stopped.await) }));
    tokio::time::timeout(Duration::from_secs(30), gate.asked.notified()).await.unwrap();
    stop.send(()).unwrap();
    while !running.is_finished() && office.inner().rows.len() < 40 {
        gate.open.notify_one();
        tokio::task::yield_now().await;
    }
    running.await.unwrap();
    assert_eq!((office.asked(), office.inner().rows.len()), (BATCH, 20 + BATCH));
}

#[tokio::test]
async fn after_a_clock_that_was_ahead_neither_a_pause_nor_a_lease_of_then_is_waited_for() {
    let year = 365 * 86_400;
    let office = Office::with([certificate(1, START)]);
    office.world.set(certificate(1, START).renew_at());
    let now = office.world.now();
    office.world.jump(year);
    let mut other = Worker::at(Office { node: 2, ..office.clone() });
    assert!(other.lease.hold(&other.desk).await.unwrap().is_some());
    let mut first = Worker::at(office.clone());
    first.turn().await.unwrap();
    // What waited then, and the lease of a node that is gone, would hold for a year.
    first.held_until = Some(office.world.now());
    office.world.jump(-year);
    assert_eq!(office.world.now(), now);
    first.turn().await.unwrap();
    assert_eq!(office.asked(), 1);
    assert_eq!(office.inner().lease.as_ref().map(|held| held.node), Some(1));
}

#[test]
fn what_waits_for_a_time_that_a_clock_showed_which_was_ahead_is_due_at_once() {
    let mut diary = Diary::default();
    for (operation, due) in [(1, START.plus_secs(-1)), (2, START.plus_secs(86_400))] {
        diary.put(due, Task::of(START, &certificate(operation, START)));
    }
    assert_eq!(diary.take_due(START, 10).len(), 1);
    diary.put_back(START);
    assert_eq!(diary.take_due(START, 10).iter().map(|task| task.operation).collect::<Vec<_>>(), [2]);
}
