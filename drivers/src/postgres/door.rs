//! The door of a database: what its owner set against those who come, set aside for a moment and put back.
//!
//! What is set for one role in a database goes before what is set for all there, and one's own role everybody may set. A database that
//! is closed to all is opened by who may (its owner's role, or a superuser). A mark among our role's settings says that the door is ours,
//! and whether the database was closed: after a kill whoever comes next finds it, and closes what it says. It names the transaction that
//! opened the database: where somebody altered that since, his word holds, and the mark alone goes. What our role had set there before is
//! known to nobody after a kill: it is reset.
//!
//! Two who come to one door wait for one another (an advisory lock of the session beside it).

use postgres_protocol::escape::{escape_identifier, escape_literal};
use tokio_postgres::Client;

use crate::deadline::before;
use crate::driver::Fault;

use super::answer::{not_done, said};

/// A database, and how it was before we came; by a session in another one, which holds the door while it lasts.
pub(super) struct Door<'a> {
    database: &'a str,
    was_closed: bool,
    /// Whether it may be open by our hand.
    may_be_open: bool,
    /// What our role had set there, each as `name=value`.
    own: Vec<String>,
}

impl<'a> Door<'a> {
    /// As it stands, once nobody else of ours is at it.
    pub(super) async fn of(database: &'a str, beside: &Client) -> Result<Door<'a>, Fault> {
        let lock = format!("SELECT pg_advisory_lock({LOCK}, oid::int4) FROM pg_database WHERE datname = $1");
        before(async { beside.query(lock.as_str(), &[&database]).await.map_err(not_done) }).await?;
        let question = format!(
            "SELECT NOT datallowconn, ARRAY({OWN} ({OURS})), d.xmin::text FROM pg_database d WHERE datname = $1"
        );
        let rows = before(async { beside.query(question.as_str(), &[&database]).await.map_err(not_done) }).await?;
        let Some(row) = rows.first() else { return Err(Fault::away("there is no such database any more")) };
        let is_closed = row.try_get::<_, bool>(0).map_err(not_done)?;
        let own = row.try_get::<_, Vec<String>>(1).map_err(not_done)?;
        let altered_by = row.try_get::<_, String>(2).map_err(not_done)?;
        let marks = || own.iter().filter_map(|own| own.strip_prefix("application_name=")?.strip_prefix(MARK));
        let is_opened = marks().any(|mark| mark == format!("{OPENED}{altered_by}"));
        let own = if marks().next().is_some() { Vec::new() } else { own };
        Ok(Door { database, was_closed: is_closed || is_opened, may_be_open: is_opened, own })
    }

    /// Lets our own role in. Where it fails the door is to be put back all the same.
    pub(super) async fn open(&mut self, beside: &Client) -> Result<(), Fault> {
        let mark = match self.was_closed {
            true => format!("'{MARK}{OPENED}' || txid_current() % 4294967296"),
            false => format!("'{MARK}'"),
        };
        let value = format!(
            "CASE setting WHEN 'local_preload_libraries' THEN '' WHEN 'application_name' THEN {mark} ELSE '0' END"
        );
        let set = format!("PERFORM set_config(setting, {value}, true); {}", self.each("SET %I FROM CURRENT"));
        let set = for_each_of_ours(&set, "");
        if !self.was_closed {
            return said(beside, &set).await;
        }
        // One message is one transaction: nothing is open without its mark, and no mark is left where it may not be opened.
        let opened = said(beside, &format!("{set}; {}", self.allow(true))).await;
        // Who may not open it has not; any other failure may have come after it was open.
        self.may_be_open |= !matches!(opened, Err(Fault::Refused(_)));
        opened
    }

    /// As it was, with the mark, in one transaction. Done twice it is done once.
    pub(super) async fn put_back(&self, beside: &Client) -> Result<(), Fault> {
        let own: String = self.own.iter().filter_map(|own| own.split_once('=')).map(|own| self.sets(own)).collect();
        let reset = for_each_of_ours(&self.each("RESET %I"), &own);
        match self.may_be_open {
            true => said(beside, &format!("{}; {reset}", self.allow(false))).await,
            false => said(beside, &reset).await,
        }
    }

    /// A list is said as it stands; the others would be in force at once, and end this statement.
    fn sets(&self, (name, value): (&str, &str)) -> String {
        let ours = format!("ALTER ROLE CURRENT_USER IN DATABASE {}", escape_identifier(self.database));
        let (quoted, value) = (escape_identifier(name), escape_literal(value));
        match name {
            "local_preload_libraries" => {
                format!("PERFORM set_config('{name}', {value}, true); {ours} SET {quoted} FROM CURRENT; ")
            }
            _ => format!("{ours} SET {quoted} TO {value}; "),
        }
    }

    /// One of the settings, by its name in `setting`.
    fn each(&self, act: &str) -> String {
        let each = escape_literal(&format!("ALTER ROLE CURRENT_USER IN DATABASE %I {act}"));
        format!("EXECUTE format({each}, {}, setting);", escape_literal(self.database))
    }

    fn allow(&self, may: bool) -> String {
        format!("ALTER DATABASE {} ALLOW_CONNECTIONS {may}", escape_identifier(self.database))
    }
}

/// Whether the door of the database that this session is in was left as it is by one of ours, who was killed, or is at it now.
pub(super) async fn is_left(inside: &Client) -> Result<bool, Fault> {
    let question = format!(
        "SELECT EXISTS ({OWN} ('application_name') AND starts_with(one, 'application_name={MARK}')) \
         FROM pg_database d WHERE datname = current_database()"
    );
    let rows = before(async { inside.query(question.as_str(), &[]).await.map_err(not_done) }).await?;
    rows.first().map_or(Ok(false), |row| row.try_get::<_, bool>(0).map_err(not_done))
}

/// Something for each of the settings by which a database keeps people out, where the server has it, and for the mark; and then the rest.
fn for_each_of_ours(act: &str, rest: &str) -> String {
    let body = format!(
        "DECLARE setting text; BEGIN \
         FOR setting IN SELECT name FROM pg_settings WHERE name IN ({OURS}) LOOP {act} END LOOP; {rest}END"
    );
    format!("DO {}", escape_literal(&body))
}

/// Settings by which a database keeps people out, and the mark's, which every session of ours says for itself.
const OURS: &str = "'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', \
                    'statement_timeout', 'local_preload_libraries', 'application_name'";
/// What our role has set of these in the database `d`.
const OWN: &str = "SELECT one FROM pg_db_role_setting s, unnest(s.setconfig) one WHERE s.setdatabase = d.oid \
                   AND s.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user) \
                   AND split_part(one, '=', 1) IN";
/// The mark of a database whose settings were set aside.
const MARK: &str = "chancery: for a moment";
/// Behind it, of one that was closed too, and the transaction that opened it.
const OPENED: &str = ", opened by ";
/// The first half of the lock's key, by which other programs' locks are told from ours ("CHYC").
const LOCK: u32 = 0x4348_5943;
