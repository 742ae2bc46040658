//! Two nodes that share a token and were led onto two registers stop (docs/THREATS.md, a split view); and what an operator's word
//! to go on leaves where it breaks off.

mod support;

use std::path::Path;

use store::testing::TestPostgres;
use store::{Database, StoreError};
use support::{House, on_sqlite, path_of, run, write_beside};

/// Copies the whole register into a schema of its own.
const FORK: &str = "CREATE SCHEMA fork; DO $$ DECLARE t text; BEGIN \
    FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP \
    EXECUTE format('CREATE TABLE fork.%I (LIKE public.%I INCLUDING ALL)', t, t); \
    EXECUTE format('INSERT INTO fork.%I SELECT * FROM public.%I', t, t); END LOOP; END $$;";

fn forked(database: &Database) -> Database {
    write_beside(database, FORK);
    fork_of(database)
}

fn fork_of(database: &Database) -> Database {
    Database::Postgres(format!("{}?options=-csearch_path%3Dfork", url_of(database)))
}

fn url_of(database: &Database) -> &str {
    match database {
        Database::Postgres(url) => url,
        Database::Sqlite(_) => panic!("PostgreSQL's"),
    }
}

/// Signs a head and has it kept in the token, which takes one every few seconds.
async fn told(house: &House) {
    house.world.advance(10);
    house.checkpoint().await;
    house.ledger.intend_checkpoint(&house.log).await.unwrap();
}

fn held<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(&outcome, Err(StoreError::Held(why)) if why.contains("another register")), "{outcome:?}");
}

#[test]
fn two_nodes_on_two_registers_stop() {
    let postgres = TestPostgres::start();
    run(async {
        let (one_state, two_state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = postgres.database();
        let one = House::open_in(&database, one_state.path()).await;
        for n in 0..300 {
            one.ledger.record(vec![support::record(&format!("r{n}"), Some(0))]).await.unwrap();
        }
        told(&one).await;
        let two = one.beside_in(&forked(&database), two_state.path()).await;
        two.ledger.meet().await.unwrap();
        // Of one size, with two roots: whoever did not sign the one in the token stops at its next look.
        one.issue(1).await;
        two.issue(2).await;
        told(&one).await;
        one.ledger.meet().await.unwrap();
        held(two.ledger.meet().await);
        held(two.ledger.record(vec![support::record("x", None)]).await.map(drop).and(two.ledger.follow().await));
        assert!(two.ledger.integrity().held.is_some() && !two.ledger.integrity().alarms.is_empty());
        assert!(two_state.path().join("held").exists());
    });
}

/// Two nodes, the second on a copy of the register, each with an entry that the other lacks.
async fn apart(database: &Database, states: [&Path; 2]) -> [House; 2] {
    let one = House::open_in(database, states[0]).await;
    let two = one.beside_in(&forked(database), states[1]).await;
    one.issue(1).await;
    two.issue(2).await;
    [one, two]
}

/// Who of the two is further by some hundred leaves, if one is; who has the newest checkpoint in the token; who looks first.
const MEETINGS: [(Option<usize>, usize, usize); 6] =
    [(None, 0, 1), (None, 1, 0), (Some(0), 0, 1), (Some(0), 1, 0), (Some(1), 0, 1), (Some(1), 1, 0)];

#[test]
fn both_sides_of_a_split_view_stop_whichever_notices_first() {
    let postgres = TestPostgres::start();
    for (further, told_by, first) in MEETINGS {
        run(async {
            let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
            let database = postgres.database();
            let nodes = apart(&database, [states[0].path(), states[1].path()]).await;
            for n in 0..if further.is_some() { 600 } else { 0 } {
                let further = &nodes[further.unwrap()];
                further.ledger.record(vec![support::record(&format!("r{n}"), Some(0))]).await.unwrap();
            }
            told(&nodes[told_by]).await;
            for node in [first, 1 - first] {
                // What lies beyond a register is looked at for some seconds.
                let _ = nodes[node].ledger.meet().await;
                nodes[node].world.advance(5);
                held(nodes[node].ledger.meet().await);
                assert!(states[node].path().join("held").exists());
            }
        });
    }
}

#[test]
fn of_many_nodes_on_two_registers_all_stop_and_an_operator_ends_it() {
    let postgres = TestPostgres::start();
    run(async {
        let states = [(); 6].map(|()| tempfile::tempdir().unwrap());
        let (database, at) = (postgres.database(), |n: usize| states[n].path());
        let [one, two] = apart(&database, [at(0), at(1)]).await;
        let fork = fork_of(&database);
        // Of each register three nodes. The second's first one leaves what the three of the first have to find, whoever of them writes
        // before the last has looked.
        let second = [two.beside_in(&fork, at(3)).await, two.beside_in(&fork, at(5)).await];
        let first = [one.beside_in(&database, at(2)).await, one.beside_in(&database, at(4)).await];
        told(&one).await;
        held(two.ledger.meet().await);
        for (n, node) in [&one, &first[0], &first[1]].into_iter().enumerate() {
            node.issue(30 + n as u64).await;
            held(node.ledger.meet().await);
        }
        for (n, node) in second.iter().enumerate() {
            node.issue(10 + n as u64).await;
            held(node.ledger.meet().await);
        }
        // The operator goes on with the first register. What the token had of the second is forgotten.
        let closed = one.closed().await;
        let (one, _) = closed.resume(&database, at(0), "the second was a copy").await.unwrap();
        for n in 0..4 {
            one.issue(20 + n).await;
            told(&one).await;
            one.ledger.meet().await.unwrap();
        }
        let closed = two.closed().await;
        let (two, _) = closed.resume(&database, at(1), "it was led to a copy").await.unwrap();
        for node in [&one, &two] {
            told(node).await;
            node.ledger.meet().await.unwrap();
            node.world.advance(60);
            node.ledger.meet().await.unwrap();
        }
        assert_eq!(one.ledger.head(), two.ledger.head());
    });
}

#[test]
fn a_head_in_the_token_below_this_node_is_part_of_its_tree_or_it_stops() {
    let postgres = TestPostgres::start();
    run(async {
        let (one_state, two_state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let database = postgres.database();
        let one = House::open_in(&database, one_state.path()).await;
        let two = one.beside_in(&forked(&database), two_state.path()).await;
        one.issue(1).await;
        told(&one).await;
        // The other is further by more than a tile, so that the comparison goes through one of its database.
        for n in 0..600 {
            two.ledger.record(vec![support::record(&format!("r{n}"), Some(0))]).await.unwrap();
        }
        held(two.ledger.meet().await);
    });
}

#[test]
fn a_register_that_does_not_reach_the_tokens_head_stops_its_node_within_seconds_and_a_slow_node_goes_on() {
    let postgres = TestPostgres::start();
    run(async {
        let states = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let database = postgres.database();
        let one = House::open_in(&database, states[0].path()).await;
        let slow = one.beside_in(&database, states[1].path()).await;
        let led = one.beside_in(&forked(&database), states[2].path()).await;
        one.issue(1).await;
        told(&one).await;
        led.ledger.meet().await.unwrap();
        // The same register, not looked at for long: one look and it is there.
        one.world.advance(60);
        slow.ledger.meet().await.unwrap();
        one.world.advance(60);
        slow.ledger.meet().await.unwrap();
        assert_eq!(slow.ledger.head(), one.ledger.head());
        held(led.ledger.meet().await);
        slow.issue(3).await;
    });
}

#[test]
fn a_connection_is_not_led_into_another_schema_by_its_role() {
    let postgres = TestPostgres::start();
    run(async {
        let database = postgres.database();
        let one = House::open(&database).await;
        write_beside(&database, FORK);
        write_beside(&database, "ALTER ROLE chancery SET search_path = fork");
        one.issue(1).await;
        let two = one.beside(&database).await;
        assert_eq!(two.ledger.head(), one.ledger.head());
    });
}

/// A register put back to yesterday, and its node that was closed since.
async fn put_back(database: &Database, state: &Path) -> (support::Closed, policy::World) {
    let dir = tempfile::tempdir().unwrap();
    let house = House::open_in(database, state).await;
    house.issue(1).await;
    let yesterday = dir.path().join("yesterday.db");
    write_beside(database, &format!("VACUUM INTO '{}'", yesterday.display()));
    house.issue(2).await;
    house.checkpoint().await;
    let world = house.world.clone();
    let closed = house.closed().await;
    for stale in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{stale}", path_of(database).display()));
    }
    std::fs::copy(&yesterday, path_of(database)).unwrap();
    (closed, world)
}

#[test]
fn a_word_to_go_on_that_is_not_written_takes_no_hold_away() {
    on_sqlite(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let (closed, _) = put_back(&database, state.path()).await;
        write_beside(
            &database,
            "CREATE TRIGGER no BEFORE INSERT ON record WHEN NEW.kind = 'resumption' BEGIN SELECT RAISE(ABORT, 'no'); END",
        );
        assert!(closed.resume(&database, state.path(), "restored").await.is_err());
        let refused = closed.open(&database, Some(state.path())).await;
        assert!(matches!(refused, Err(StoreError::Held(_))), "{refused:?}");
        // Nor is the folder touched, which may be all that remembers.
        assert!(state.path().join("checkpoint").exists() && state.path().join("fold").exists());
        write_beside(&database, "DROP TRIGGER no");
        closed.resume(&database, state.path(), "restored").await.unwrap();
    });
}

#[test]
fn a_word_to_go_on_waits_for_no_clock() {
    on_sqlite(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let (closed, world) = put_back(&database, state.path()).await;
        world.jump(-7_200);
        let (house, _) = closed.resume(&database, state.path(), "restored").await.unwrap();
        // Which everything else does.
        let refused = house.ledger.record(vec![support::record("a", None)]).await;
        assert!(matches!(refused, Err(StoreError::Clock(_))), "{refused:?}");
    });
}

#[test]
fn a_word_to_go_on_that_breaks_off_after_its_leaf_is_given_again() {
    on_sqlite(|database| async move {
        let state = tempfile::tempdir().unwrap();
        let (closed, _) = put_back(&database, state.path()).await;
        // What stands in the way of the folder's part.
        let fold = state.path().join("fold");
        std::fs::remove_file(&fold).unwrap();
        std::fs::create_dir_all(fold.join("in the way")).unwrap();
        assert!(closed.resume(&database, state.path(), "restored").await.is_err());
        let refused = closed.open(&database, Some(state.path())).await;
        assert!(matches!(refused, Err(StoreError::Held(_))), "{refused:?}");
        std::fs::remove_dir_all(&fold).unwrap();
        let (house, resumed) = closed.resume(&database, state.path(), "restored").await.unwrap();
        assert!(resumed.known.unwrap().size > resumed.head.size);
        let closed = house.closed().await;
        closed.open(&database, Some(state.path())).await.unwrap();
    });
}

/// Whether the log of this process had a word in it.
mod said {
    use std::fmt::{Debug, Write};
    use std::sync::{Mutex, OnceLock};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    static LINES: Mutex<String> = Mutex::new(String::new());

    struct Lines;

    impl Visit for Lines {
        fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
            writeln!(LINES.lock().unwrap(), "{value:?}").unwrap();
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut Lines);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    pub fn listen() {
        static ONCE: OnceLock<()> = OnceLock::new();
        ONCE.get_or_init(|| tracing::subscriber::set_global_default(Lines).unwrap());
    }

    /// How many values were said that are this one.
    pub fn count(value: &str) -> usize {
        LINES.lock().unwrap().lines().filter(|line| *line == value).count()
    }
}

#[test]
fn a_start_on_an_empty_folder_beside_a_register_with_leaves_is_said_loudly() {
    said::listen();
    on_sqlite(|database| async move {
        // No other test has a register of so many leaves.
        let (state, leaves) = (tempfile::tempdir().unwrap(), 777);
        let house = House::open(&database).await;
        for n in house.ledger.head().size..leaves {
            house.ledger.record(vec![support::record(&format!("r{n}"), Some(0))]).await.unwrap();
        }
        let closed = house.closed().await;
        closed.open(&database, Some(state.path())).await.unwrap().close().await;
        assert_eq!(said::count("777"), 1);
        closed.open(&database, Some(state.path())).await.unwrap().close().await;
        assert_eq!(said::count("777"), 1, "the folder is this node's now");
    });
}

#[test]
fn a_start_on_a_folder_that_cannot_be_read_is_refused_and_an_operator_leads_out_of_it() {
    on_sqlite(|database| async move {
        for name in ["head", "checkpoint"] {
            let state = tempfile::tempdir().unwrap();
            let _ = std::fs::remove_file(path_of(&database));
            let (closed, _) = put_back(&database, state.path()).await;
            std::fs::write(state.path().join(name), "garbage").unwrap();
            let refused = closed.open(&database, Some(state.path())).await;
            assert!(matches!(&refused, Err(StoreError::Held(why)) if why.contains(name)), "{refused:?}");
            closed.resume(&database, state.path(), "the folder was damaged").await.unwrap();
        }
    });
}
