//! What a time server shows: one question, one answer (RFC 4330), for a comparison to the minute.
//!
//! Trusted for nothing but what an unauthenticated answer is worth: whoever can forge it can stop issuance, or vouch for a clock
//! that is wrong already.

use std::io;
use std::time::Duration;

use policy::{Timestamp, World};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

/// A question and an answer without extensions.
const PACKET_BYTES: usize = 48;
/// A time server answers in milliseconds; name resolution included.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// No leap warning, version 4, client.
const ASK: u8 = 0x23;
const MODE_SERVER: u8 = 4;
/// "Unsynchronized".
const LEAP_UNKNOWN: u8 = 3;
/// Stratum 0 is a refusal, 16 and more are reserved.
const STRATUM_MAX: u8 = 15;
/// 1900 to 1970.
const NTP_EPOCH_SECS: i64 = 2_208_988_800;
const ERA_SECS: i64 = 1 << 32;

/// Asks `peer` (`host:port`) once.
pub(crate) async fn ask(world: &World, peer: &str) -> io::Result<Timestamp> {
    timeout(ANSWER_MAX, exchange(world, peer)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn exchange(world: &World, peer: &str) -> io::Result<Timestamp> {
    let address = lookup_host(peer).await?.next().ok_or_else(|| io::Error::other("no address"))?;
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    // Connected: an answer from elsewhere does not come through.
    socket.connect(address).await?;
    let mut nonce = [0; 8];
    world.fill(&mut nonce);
    socket.send(&question(nonce)).await?;
    let mut bytes = [0; PACKET_BYTES];
    loop {
        let read = socket.recv(&mut bytes).await?;
        if let Some(shows) = bytes.get(..read).and_then(|answer| read_answer(answer, nonce)) {
            return Ok(shows);
        }
    }
}

/// The transmit timestamp is random: the server sends it back, and it tells nobody what our clock shows.
fn question(nonce: [u8; 8]) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[0] = ASK;
    packet[40..].copy_from_slice(&nonce);
    packet
}

/// RFC 4330 section 5: "the client can check" origin, mode, stratum, leap indicator and that the transmit time is not zero.
fn read_answer(answer: &[u8], nonce: [u8; 8]) -> Option<Timestamp> {
    let (flags, stratum) = (*answer.first()?, *answer.get(1)?);
    let secs = u32::from_be_bytes(answer.get(40..44)?.try_into().ok()?);
    let good = flags & 7 == MODE_SERVER
        && flags >> 6 != LEAP_UNKNOWN
        && (1..=STRATUM_MAX).contains(&stratum)
        && answer.get(24..32)? == nonce
        && secs != 0;
    // Section 3: without bit 0 the time counts from 2036.
    let era = if secs & (1 << 31) == 0 { ERA_SECS } else { 0 };
    good.then(|| Timestamp::from_unix(i64::from(secs) + era - NTP_EPOCH_SECS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 8] = *b"nonce123";

    fn answer(flags: u8, stratum: u8, origin: [u8; 8], secs: u32) -> Vec<u8> {
        let mut packet = vec![flags, stratum];
        packet.resize(PACKET_BYTES, 0);
        packet[24..32].copy_from_slice(&origin);
        packet[40..44].copy_from_slice(&secs.to_be_bytes());
        packet
    }

    #[test]
    fn an_answer_is_taken_only_for_the_question_and_from_a_server_that_knows_the_time() {
        let secs = (1_790_000_000 + NTP_EPOCH_SECS) as u32;
        let read = |packet: Vec<u8>| read_answer(&packet, NONCE).map(Timestamp::unix);
        for (what, packet, expected) in [
            ("good", answer(0x24, 2, NONCE, secs), Some(1_790_000_000)),
            ("after 2036", answer(0x24, 2, NONCE, 100), Some(ERA_SECS - NTP_EPOCH_SECS + 100)),
            ("another question", answer(0x24, 2, *b"nonce124", secs), None),
            ("a client", answer(0x23, 2, NONCE, secs), None),
            ("a server that knows no time", answer(0xe4, 2, NONCE, secs), None),
            ("a refusal", answer(0x24, 0, NONCE, secs), None),
            ("reserved", answer(0x24, 16, NONCE, secs), None),
            ("no time", answer(0x24, 2, NONCE, 0), None),
            ("short", answer(0x24, 2, NONCE, secs)[..43].to_vec(), None),
            ("empty", Vec::new(), None),
        ] {
            assert_eq!(read(packet), expected, "{what}");
        }
    }

    #[tokio::test]
    async fn a_peer_is_asked_over_the_wire_and_one_that_lies_about_the_question_is_not_heard() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let peer = server.local_addr().unwrap().to_string();
        let serve = async {
            let mut question = [0; PACKET_BYTES];
            let (_, from) = server.recv_from(&mut question).await.unwrap();
            let nonce = question[40..].try_into().unwrap();
            server.send_to(&answer(0x24, 1, [0; 8], 7), from).await.unwrap();
            server.send_to(&answer(0x24, 1, nonce, u32::MAX), from).await.unwrap();
        };
        let world = World::fixed(Timestamp::from_unix(0), 1);
        let (shows, ()) = tokio::join!(ask(&world, &peer), serve);
        assert_eq!(shows.unwrap().unix(), i64::from(u32::MAX) - NTP_EPOCH_SECS);
    }
}
