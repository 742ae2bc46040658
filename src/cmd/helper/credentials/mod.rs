//! `chancery helper credentials`: a socket from which systemd loads the credentials of units (systemd.exec(5), `LoadCredential=`).
//!
//! systemd connects once for each credential when a unit starts, and the name that it gives its own end says for which unit and credential
//! (`asking`). What comes until the end of the stream is the credential: systemd has no word for "no", and takes an empty answer for an
//! empty password (systemd#27373). So a refusal is one byte more than a credential may have: systemd does not start the unit then.
//!
//! Trusted for: what the entries name, given to the units that they name. Whoever is root on this host can ask as any unit.

mod asking;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use secrets::Reference;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use self::asking::Asked;
use self::socket::Socket;
use super::map::{Common, Map};
use crate::Global;
use crate::cmd::deliver::source::{Source, Sourced};
use crate::failure::{Failure, OrFail};
use crate::output;

pub const HELP: &str = "\
Examples:
  chancery helper credentials --listen /run/chancery/credentials.sock \\
    --helpers /etc/chancery/helpers.toml --cache /var/cache/chancery

A unit names the socket, and finds its credential in $CREDENTIALS_DIRECTORY:
  [Service]
  LoadCredential=db-password:/run/chancery/credentials.sock

An entry of helpers.toml says which unit is given what:
  [[credential]]
  unit = \"shop.service\"
  name = \"db-password\"
  reference = \"chy://prod/db#password\"

Only root, and the user that this runs as, are answered. What no entry names, and what cannot be had, is refused so that systemd does not start the unit: with one byte more than it takes. SIGHUP reads helpers.toml again; one with a mistake changes nothing. deploy/systemd has the unit.";

/// Units that start at once; more wait in the socket's queue.
const AT_ONCE_MAX: usize = 64;
/// A unit waits for 90 s: what is not had until then is refused.
const FIND_MAX: Duration = Duration::from_secs(60);
/// Whoever does not take what he asked for by then is no unit.
const TAKEN_MAX: Duration = Duration::from_secs(20);
/// systemd's CREDENTIAL_SIZE_MAX.
const CREDENTIAL_BYTES_MAX: usize = 1 << 20;
/// One byte more than systemd takes.
static REFUSAL: [u8; CREDENTIAL_BYTES_MAX + 1] = [0; CREDENTIAL_BYTES_MAX + 1];

/// Where it listens.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The socket; its folder is there
    #[arg(long, value_name = "SOCKET")]
    listen: PathBuf,
}

/// What the tasks share.
struct House {
    source: Source,
    as_json: bool,
}

/// Runs `chancery helper credentials` until it is told to end.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { common: Common { helpers, environment, sourcing }, listen } = args;
    let load = || Map::load(helpers.as_deref(), environment.as_deref());
    let mut map = Arc::new(load()?);
    delivery::be_quiet();
    let house = Arc::new(House { source: Source::open(sourcing, global)?, as_json: global.json });
    let on = |kind: SignalKind| signal(kind).or_fail("cannot listen to signals");
    let (mut hangup, mut end, mut interrupt) =
        (on(SignalKind::hangup())?, on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let socket = Socket::bind(&listen)?;
    let permits = Arc::new(Semaphore::new(AT_ONCE_MAX));
    output::notice(&format!("listening on {}, {} credentials", listen.display(), map.credential.len()), global.json);
    socket::ready();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, socket.accept().await)
        };
        tokio::select! {
            _ = end.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match load() {
                Ok(read) => {
                    output::notice(&format!("read again: {} credentials", read.credential.len()), global.json);
                    map = Arc::new(read);
                }
                Err(failure) => output::notice(&format!("what was read before stays: {failure}"), global.json),
            },
            (permit, accepted) = next => {
                let (house, map) = (Arc::clone(&house), Arc::clone(&map));
                let (stream, name) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        output::notice(&format!("a connection was not taken: {error}"), global.json);
                        // What is missing, such as files to open, comes back when others are done.
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                };
                tokio::spawn(async move {
                    house.answer(stream, name.as_deref(), &map).await;
                    drop(permit);
                });
            }
        }
    }
    // Who was not accepted yet sees a connection that is reset, which is a failure to him. Who was would take an end for an empty password:
    // he is answered first.
    drop(socket);
    let all = u32::try_from(AT_ONCE_MAX).unwrap_or(u32::MAX);
    if tokio::time::timeout(FIND_MAX + TAKEN_MAX, permits.acquire_many(all)).await.is_err() {
        output::notice("some who asked were not answered to the end", global.json);
    }
    Ok(())
}

const PAUSE: Duration = Duration::from_millis(200);

impl House {
    async fn answer(&self, mut stream: UnixStream, name: Option<&[u8]>, map: &Map) {
        let found = match known(&stream) {
            Ok(()) => tokio::time::timeout(FIND_MAX, self.find(name, map)).await,
            Err(why) => Ok(Err(why)),
        };
        let found = found.unwrap_or_else(|_| Err(format!("it was not had within {} s", FIND_MAX.as_secs())));
        let answer = match &found {
            Ok((asked, reference, sourced)) => {
                output::notice(&format!("{asked}: given ({reference})"), self.as_json);
                sourced.fetched.values.get(reference).map_or(&REFUSAL[..], delivery::Value::expose)
            }
            Err(why) => {
                output::notice(&format!("refused: {why}"), self.as_json);
                &REFUSAL[..]
            }
        };
        let sent = async {
            stream.write_all(answer).await?;
            stream.shutdown().await
        };
        // Who hung up before he had it, asks again when he needs it.
        match tokio::time::timeout(TAKEN_MAX, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a credential was not taken to its end"),
            Err(_) => output::notice("a connection was held for too long, and is closed", self.as_json),
        }
    }

    async fn find(&self, name: Option<&[u8]>, map: &Map) -> Result<(Asked, Reference, Sourced), String> {
        let asked = name.and_then(Asked::read).ok_or("who connects has no name as systemd gives it")?;
        let entry = map.credential.iter().find(|entry| asked.is(&entry.unit, &entry.name));
        let entry = entry.ok_or_else(|| format!("{asked}: no entry of helpers.toml names it"))?;
        let reference = entry.reference.clone();
        let wanted = std::iter::once(reference.clone()).collect();
        let sourced = self.source.values(&wanted, &Default::default()).await;
        let sourced = sourced.map_err(|failure| format!("{asked}: {failure}"))?;
        sourced.from.notice(self.as_json);
        Ok((asked, reference, sourced))
    }
}

/// Root, and the user that this runs as: whoever else could take any unit's name.
fn known(stream: &UnixStream) -> Result<(), String> {
    let uid = stream.peer_cred().map_err(|error| format!("the system does not say who connects: {error}"))?.uid();
    match uid == 0 || uid == geteuid().as_raw() {
        true => Ok(()),
        false => Err(format!("user {uid} is not answered: root alone, and who runs this")),
    }
}

/// Whether a socket's path can be one.
fn fits(path: &Path) -> bool {
    path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

/// What Linux has room for, with the byte 0 after it.
const SOCKET_PATH_BYTES_MAX: usize = 107;
