//! Who else knows the time: the clock of the database's server, and time servers of the operator's choice.
//!
//! Asked at the start and then again and again; what they show is told to the ledger, which judges this host's clock by it. A
//! witness that does not answer says nothing.

use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use policy::World;
use store::Ledger;
use tokio::task::JoinSet;

use crate::sntp;

/// How often they are asked: well within what the ledger remembers of them.
const ASK_EVERY: Duration = Duration::from_secs(64);
/// A database that does not answer in this time is not asked for its clock.
const DATABASE_MAX: Duration = Duration::from_secs(2);
/// Time servers of a configuration: four can outvote one that is wrong.
pub const PEERS_MAX: usize = 8;

/// A time server: `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(String);

/// No time server.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not HOST:PORT")]
pub struct NoPeer(String);

impl FromStr for Peer {
    type Err = NoPeer;
    fn from_str(text: &str) -> Result<Peer, NoPeer> {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace));
        match parts.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(1..) => Ok(Peer(text.to_owned())),
            Some(0) | None => Err(NoPeer(text.to_owned())),
        }
    }
}

/// The witnesses of a node's clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Witnesses {
    ledger: Ledger,
    world: World,
    peers: Vec<Peer>,
}

impl Witnesses {
    /// The database of the ledger, and these time servers.
    pub fn new(ledger: Ledger, world: World, peers: Vec<Peer>) -> Witnesses {
        Witnesses { ledger, world, peers }
    }

    /// Asks all of them once, at the same time; ends within seconds.
    pub async fn ask(&self) {
        let mut asked = JoinSet::new();
        for Peer(peer) in &self.peers {
            let (ledger, world, peer) = (self.ledger.clone(), self.world.clone(), peer.clone());
            asked.spawn(async move {
                match sntp::ask(&world, &peer).await {
                    Ok(shows) => ledger.hear_time(&format!("the time server {peer}"), shows),
                    Err(error) => tracing::warn!(peer, %error, "the time server does not say the time"),
                }
            });
        }
        match tokio::time::timeout(DATABASE_MAX, self.ledger.database_time()).await {
            Ok(Ok(Some(shows))) => self.ledger.hear_time("the database", shows),
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the database does not say the time"),
            Err(_) => tracing::warn!("the database does not say the time in time"),
        }
        while asked.join_next().await.is_some() {}
        // Where the log is said to be ahead, this looks whether it still is.
        let _ = self.ledger.time().await;
    }

    /// Asks again and again until `stop`.
    pub async fn watch(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(ASK_EVERY) => self.ask().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for (text, good) in [
            ("time.example:123", true),
            ("192.0.2.1:123", true),
            ("[2001:db8::1]:123", true),
            ("time.example", false),
            (":123", false),
            ("time.example:0", false),
            ("time.example:99999", false),
            ("time example:123", false),
        ] {
            assert_eq!(text.parse::<Peer>().is_ok(), good, "{text}");
        }
    }
}
