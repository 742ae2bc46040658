//! Opening it: the key of its head, what this node knew of it, and the threads.

use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use hsm::Pool;
use policy::World;

use super::base::{Register, blocking};
use super::terms::{LogConfig, Opening};
use crate::clock::Clock;
use crate::derived::rebuild::{Rebuilt, rebuild};
use crate::forms::schema::{is_migrated, migrate};
use crate::log::{self, Checkpoint};
use crate::nouns::condition::Conditions;
use crate::nouns::database::Database;
use crate::nouns::error::StoreError;
use crate::queries;
use crate::reader::{Follower, ReaderHandle};
use crate::sql::{Sql, Use, Value, connect, make, own_sessions};
use crate::truth::{self, Anchor, Before, Kept, Node, TokenNote};
use crate::verify::Patrol;
use crate::writer::WriterHandle;
use crate::writer::pending::Pending;

/// A node that was killed a moment ago has its number until the server notices.
const CLAIM_MAX: Duration = Duration::from_secs(3);

const CLAIM_PAUSE: Duration = Duration::from_millis(100);

impl Register {
    pub(crate) async fn open(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
        opening: Opening,
    ) -> Result<(Register, Option<(Before, Anchor)>), StoreError> {
        Register::open_with(database, pool, log, world, (opening, None)).await
    }

    /// The same, with a head key that came from elsewhere than the token, and the generation to seal it under.
    pub(crate) async fn open_with(
        database: Database,
        pool: &Pool,
        log: LogConfig,
        world: World,
        (opening, brought): (Opening, Option<(&[u8], u32)>),
    ) -> Result<(Register, Option<(Before, Anchor)>), StoreError> {
        log::check_origin(&log.origin)?;
        // A connection lives and ends off the async threads: PostgreSQL's brings a runtime of its own.
        let (known, origin) = (database.clone(), log.origin.clone());
        let kept = blocking(move || {
            if opening == Opening::Found {
                make(&known)?;
            }
            own_sessions(&known, Use::Write)?;
            let mut sql = connect(&known, Use::Write)?;
            match opening {
                Opening::Found => migrate(sql.as_mut())?,
                Opening::Serve | Opening::Alone | Opening::Resume => is_migrated(sql.as_mut())?,
            }
            named_alike(sql.as_mut(), &origin)?;
            truth::read_kept(sql.as_mut())
        })
        .await?;
        let is_new = !matches!(kept, Kept::Sealed(_));
        let (key, sealed) = match kept {
            Kept::Sealed(sealed) => match brought {
                Some(brought) => truth::adopt_key(pool, &log.origin, sealed, brought).await?,
                None => truth::open_key(pool, &log.origin, sealed).await?,
            },
            Kept::Begun => truth::make_key(pool, &log.origin).await?,
            Kept::Nothing => {
                truth::refuse_taken(pool).await?;
                let begun = database.clone();
                blocking(move || begin_key(connect(&begun, Use::Write)?.as_mut())).await?;
                // A crash from here on: the key of that label is known to be ours.
                truth::make_key(pool, &log.origin).await?
            }
        };
        let made = sealed.to_string();
        // Before the head is read: what another node signs meanwhile must not look like something that was taken away.
        let token_note = log.state.as_ref().map(|_| TokenNote::new(pool, &log.origin));
        let in_token = match &token_note {
            Some(note) => note.newest().await?,
            None => None,
        };
        let pending = Arc::new(Pending::default());
        let clock = Arc::new(Clock::new(world.clone()));
        let (for_writer, writers_clock) = (Arc::clone(&pending), Arc::clone(&clock));
        let conditions = Arc::new(Conditions::default());
        let for_threads = Arc::clone(&conditions);
        let (writer, readers, threads, node, resumed, away) = blocking(move || {
            let mut sql = connect(&database, Use::Write)?;
            if is_new {
                keep_key(sql.as_mut(), made.as_bytes())?;
            }
            let open = match opening {
                Opening::Serve | Opening::Found => Anchor::open,
                Opening::Alone | Opening::Resume => Anchor::open_alone,
            };
            let anchor = log.state.as_deref().map(open).transpose()?;
            if let Some(number) = log.instance {
                claimed(sql.as_mut(), number)?;
            }
            let (node, resumed) = match anchor {
                Some(anchor) if opening == Opening::Resume => {
                    let (node, before) = Node::resume(sql.as_mut(), &log.origin, key, (&anchor, in_token), world)?;
                    (node, Some((before, anchor)))
                }
                anchor @ (Some(_) | None) => {
                    let node = Node::load(sql.as_mut(), &log.origin, key, (anchor, in_token), world)?;
                    truth::last_leaves(&node, sql.as_mut())?;
                    (node, None)
                }
            };
            let node = Arc::new(node);
            writers_clock.begin(&node);
            let away = (writers_clock.in_force(), writers_clock.shows());
            let (readers, mut threads) = ReaderHandle::start(&database, &for_threads)?;
            let (writer, thread) = WriterHandle::start(
                database,
                sql,
                Arc::clone(&node),
                for_writer,
                writers_clock,
                for_threads,
                log.instance,
            )?;
            threads.push(thread);
            Ok((writer, readers, threads, node, resumed, away))
        })
        .await?;
        let register = Register {
            writer,
            readers,
            threads: Mutex::new(threads),
            pending,
            checkpoints: Mutex::default(),
            signed: RwLock::default(),
            token_note,
            node,
            head_key: sealed,
            patrol: Patrol::default(),
            follower: Follower::default(),
            clock,
            conditions,
            away,
        };
        Ok((register, resumed))
    }

    /// The leaf that says why is durable: now the token and the folder let go of the history that is given up. Whatever breaks off
    /// leaves one of them, and with it a start that is refused until the same command is given again.
    pub(crate) async fn go_on(&self, anchor: Anchor) -> Result<(), StoreError> {
        if let Some(note) = &self.token_note {
            note.forget().await?;
        }
        let node = Arc::clone(&self.node);
        blocking(move || node.go_on(anchor)).await
    }

    /// Derives the projections anew, over a connection of its own.
    pub(crate) async fn rebuild(
        &self,
        database: Database,
        mut pages: impl FnMut(u64) + Send + 'static,
    ) -> Result<Rebuilt, StoreError> {
        let node = Arc::clone(&self.node);
        blocking(move || rebuild(connect(&database, Use::Write)?.as_mut(), &node, &mut pages)).await
    }
}

/// Takes this node's number, or says who has it.
fn claimed(sql: &mut dyn Sql, number: u16) -> Result<(), StoreError> {
    let give_up = Instant::now() + CLAIM_MAX;
    while let Some(who) = sql.claim(number)? {
        if Instant::now() >= give_up {
            return Err(StoreError::Taken { instance: number, who });
        }
        std::thread::sleep(CLAIM_PAUSE);
    }
    Ok(())
}

/// Heads signed under two names can be verified under neither, and a signed head cannot be taken back.
fn named_alike(sql: &mut dyn Sql, ours: &str) -> Result<(), StoreError> {
    let named = queries::checkpoint(sql)?.and_then(|(_, note)| Checkpoint::parse(&note).ok());
    match named.map(|newest| newest.origin).filter(|origin| origin != ours) {
        Some(origin) => Err(StoreError::Invalid(format!(
            "this register's log is `{origin}`, the configuration says `{ours}`: a log keeps its name for ever; put it back"
        ))),
        None => Ok(()),
    }
}

/// Writes that the first generation of the sealing key will be this register's.
fn begin_key(sql: &mut dyn Sql) -> Result<(), StoreError> {
    let text = "UPDATE head SET sealed_key = $1 WHERE id = $2 AND size = $3 AND sealed_key IS NULL";
    // Another node that was faster wrote the same.
    sql.execute(text, &[Value::Blob(&[]), Value::Int(1), Value::Int(0)]).map(drop).map_err(StoreError::from)
}

/// Writes the sealed head key into an empty register; another node that did so first has the last word.
fn keep_key(sql: &mut dyn Sql, sealed: &[u8]) -> Result<(), StoreError> {
    let text = "UPDATE head SET sealed_key = $1 WHERE id = $2 AND size = $3 AND sealed_key = $4";
    match sql.execute(text, &[Value::Blob(sealed), Value::Int(1), Value::Int(0), Value::Blob(&[])])? {
        1 => Ok(()),
        _ => Err(StoreError::Held(
            "the register's sealed head key is gone, or another node has just made one: start again, or look for who \
             writes this database"
                .into(),
        )),
    }
}
