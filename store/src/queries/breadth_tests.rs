//! What a page reads does not grow with the number of places: of a thousand owners as of one.

use policy::Timestamp;

use crate::forms::schema;
use crate::nouns::credential::{Filter, Order, State};
use crate::nouns::database::Database;
use crate::nouns::renewer::Class;
use crate::sql::{Row, Sql, SqlError, Use, Value, connect, make};

const PLACES: i64 = 1_000;
const CARDS: i64 = 60;
const NOW: i64 = 1_800_000_000;

/// A connection that counts the rows it gives.
struct Counted {
    sql: Box<dyn Sql + Send>,
    rows: usize,
}

impl Sql for Counted {
    fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        let rows = self.sql.query(sql, params)?;
        self.rows += rows.len();
        Ok(rows)
    }
    fn query_and_lock(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        self.sql.query_and_lock(sql, params)
    }
    fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, SqlError> {
        self.sql.execute(sql, params)
    }
    fn insert(&mut self, into: &'static str, columns: usize, values: &[Value<'_>]) -> Result<(), SqlError> {
        self.sql.insert(into, columns, values)
    }
    fn server_time(&mut self) -> Result<Option<i64>, SqlError> {
        self.sql.server_time()
    }
    fn script(&mut self, sql: &str) -> Result<(), SqlError> {
        self.sql.script(sql)
    }
    fn begin(&mut self) -> Result<(), SqlError> {
        self.sql.begin()
    }
    fn commit(&mut self) -> Result<(), SqlError> {
        self.sql.commit()
    }
    fn is_there(&mut self) -> Result<(), SqlError> {
        self.sql.is_there()
    }
    fn claim(&mut self, node: u16) -> Result<Option<String>, SqlError> {
        self.sql.claim(node)
    }
    fn tend(&mut self) -> Option<u64> {
        self.sql.tend()
    }
    fn rollback(&mut self) {
        self.sql.rollback();
    }
}

/// A thousand places of sixty certificates each, of which the first thirty are to be acted for.
fn wide(dir: &std::path::Path) -> Counted {
    let database = Database::Sqlite(dir.join("register.db"));
    make(&database).unwrap();
    let mut sql = connect(&database, Use::Write).unwrap();
    schema::migrate(sql.as_mut()).unwrap();
    sql.script(&format!(
        "WITH RECURSIVE p(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM p WHERE n < {PLACES}) \
         INSERT INTO place (id, kind, profile, issuer, owner, renewer, intended, issued, failed, revoked, replaced) \
         SELECT n, 'certificate', 'tls-server', 'tls', 'owner' || n, 0, 0, {CARDS}, 0, 0, 0 FROM p; \
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {CARDS}) \
         INSERT INTO card (op, place, pile, not_after, look) \
         SELECT c.n * {PLACES} + p.id, p.id, 0, {NOW} + c.n * 3600, {NOW} + (c.n - 30) * 3600 FROM c, place p; \
         INSERT INTO expiring (owner, class, hour, live, renewed, looked, look) \
         SELECT '', 0, (not_after - 3600) / 3600, COUNT(*), 0, COUNT(*), 0 FROM card GROUP BY not_after; \
         INSERT INTO expiring (owner, class, hour, live, renewed, looked, look) \
         SELECT '', 0, {NOW} / 3600 - 1, 0, 0, 0, {PLACES} * 30"
    ))
    .unwrap();
    Counted { sql, rows: 0 }
}

#[test]
fn the_outlook_looks_at_few_cards_of_many_places() {
    let dir = tempfile::tempdir().unwrap();
    let mut sql = wide(dir.path());
    let outlook = super::outlook(&mut sql, None, Class::Certificates, Timestamp::from_unix(NOW)).unwrap();
    assert_eq!((outlook.acting, outlook.acts.len()), (30 * PLACES as u64, 2_000));
    assert!(outlook.acts.iter().all(|(end, _)| end.unix() <= NOW + 30 * 3_600));
    assert!(sql.rows < 20_000, "{} rows", sql.rows);
}

#[test]
fn a_list_of_many_places_looks_at_few_cards_of_each() {
    let dir = tempfile::tempdir().unwrap();
    let mut sql = wide(dir.path());
    let held = Filter {
        state: Some(State::Issued),
        order: Order::Expiry,
        not_after_after: Some(Timestamp::from_unix(NOW)),
        limit: 50,
        ..Filter::default()
    };
    // Those in time stand behind thirty thousand others: ten thousand are looked at, and what is read for them is not many more.
    let in_time = Filter { look_after: Some(Timestamp::from_unix(NOW)), ..held.clone() };
    let page = super::list(&mut sql, &in_time).unwrap();
    assert!(page.items.is_empty() && page.next.is_some());
    assert!(sql.rows < 100_000, "{} rows", sql.rows);
    sql.rows = 0;
    super::list(&mut sql, &held).unwrap();
    assert!(sql.rows < 60_000, "{} rows", sql.rows);
}

/// A place whose newest fifty thousand have ended, and so many before them that hold.
fn ended(dir: &std::path::Path, holding: i64) -> Counted {
    let database = Database::Sqlite(dir.join("register.db"));
    make(&database).unwrap();
    let mut sql = connect(&database, Use::Write).unwrap();
    schema::migrate(sql.as_mut()).unwrap();
    let all = holding + 50_000;
    sql.script(&format!(
        "INSERT INTO place (id, kind, profile, issuer, owner, renewer, intended, issued, failed, revoked, replaced) \
         VALUES (1, 'certificate', 'tls-server', 'tls', 'web', 0, 0, {all}, 0, 0, 0); \
         WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {all}) \
         INSERT INTO card (op, place, pile, not_after) \
         SELECT n, 1, 0, CASE WHEN n <= {holding} THEN {NOW} + n ELSE {NOW} - 1 END FROM c"
    ))
    .unwrap();
    Counted { sql, rows: 0 }
}

#[test]
fn what_holds_is_read_by_its_ends_where_most_have_ended_and_no_more_than_a_bound() {
    for (holding, is_whole, rows) in [(0, true, 2_000), (2_000, true, 4_000), (2_001, false, 16_000)] {
        let dir = tempfile::tempdir().unwrap();
        let mut sql = ended(dir.path(), holding);
        let filter = Filter {
            state: Some(State::Issued),
            not_after_after: Some(Timestamp::from_unix(NOW)),
            limit: 50,
            ..Filter::default()
        };
        let page = super::list(&mut sql, &filter).unwrap();
        assert_eq!(page.next.is_none(), is_whole, "{holding}");
        assert!(sql.rows < rows, "{holding}: {} rows", sql.rows);
    }
}
