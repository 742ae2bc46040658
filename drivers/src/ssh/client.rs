//! OpenSSH's client as it runs: until it is in, and at each address of a host in turn.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

/// At one address after the other, each with its share of what is left of the time, up to the first that shows what the host does. An error is
/// of one that does not.
pub(super) async fn in_turn<T, L, F>(addresses: &[SocketAddr], until: Instant, mut login: L) -> Result<T, String>
where
    L: FnMut(SocketAddr, Duration) -> F,
    F: Future<Output = Result<T, String>>,
{
    let (mut away, mut left) = (Vec::new(), u32::try_from(addresses.len()).unwrap_or(u32::MAX));
    for address in addresses {
        let share = until.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match login(*address, share).await {
            Ok(said) => return Ok(said),
            Err(why) if addresses.len() == 1 => away.push(why),
            Err(why) => away.push(format!("at {}: {why}", address.ip())),
        }
    }
    Err(away.join(", "))
}

/// Lets ssh run until it ends, or until it wrote that it is in; then it is ended, as there is nothing for it to do. Its exit status, where it
/// ended by itself, and its log.
pub(super) async fn ran(mut ssh: Command, log: &Path, address: SocketAddr) -> Result<(Option<i32>, String), String> {
    let mut running = ssh.spawn().map_err(|error| format!("ssh does not run: {error}"))?;
    loop {
        let ended = tokio::time::timeout(LOOK_EVERY, running.wait()).await;
        let said = read(log)?;
        match ended {
            Ok(Ok(status)) => return Ok((status.code(), said)),
            Ok(Err(error)) => return Err(format!("ssh does not run: {error}")),
            Err(_) if is_in(&said, address) => {
                // One that ended meanwhile cannot be ended, and needs not.
                let _ = running.kill().await;
                return Ok((None, said));
            }
            Err(_) => {}
        }
    }
}

fn read(log: &Path) -> Result<String, String> {
    let mut said = Vec::new();
    let read = std::fs::File::open(log).and_then(|file| file.take(SAID_BYTES_MAX).read_to_end(&mut said));
    read.map_err(|error| format!("what ssh says cannot be read: {error}"))?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// An error where the time is over.
pub(super) async fn within<T>(time: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let none = |_| Err(format!("no answer within {:.0} s", time.as_secs_f32()));
    tokio::time::timeout(time, work).await.unwrap_or_else(none)
}

/// As ssh writes it, at this level and above, once the host said that its user is who he says (`Authenticated to HOST ([IP]:PORT) ...`).
pub(super) fn is_in(log: &str, address: SocketAddr) -> bool {
    let words = format!("Authenticated to {} (", address.ip());
    log.lines().any(|line| line.starts_with(&words))
}

/// Between two looks into the log of an ssh that runs.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SAID_BYTES_MAX: u64 = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(7);

    #[tokio::test]
    async fn ssh_is_ended_as_soon_as_it_is_in() {
        let folder = tempfile::tempdir().unwrap();
        let (log, script) = (folder.path().join("log"), "echo \"$1\" > \"$0\"; exec sleep 1000");
        std::fs::write(&log, []).unwrap();
        let address = "10.0.0.7:22".parse().unwrap();
        let mut ssh = Command::new("sh");
        ssh.args(["-c", script]).arg(&log).arg("Authenticated to 10.0.0.7 ([10.0.0.7]:22) using \"publickey\".");
        let (code, said) = ran(ssh, &log, address).await.unwrap();
        assert_eq!((code, is_in(&said, address)), (None, true), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_share_until_one_shows_what_the_host_does() {
        let addresses: Vec<SocketAddr> = vec!["[::1]:22".parse().unwrap(), "127.0.0.1:22".parse().unwrap()];
        for (first, is, tried) in [(None, "in", 2), (Some("out"), "out", 1), (Some("in"), "in", 1)] {
            let mut shares = Vec::new();
            let login = |address: SocketAddr, share: Duration| {
                shares.push(share);
                async move {
                    match (address.is_ipv6(), first) {
                        (true, None) => within(share, std::future::pending()).await,
                        (true, Some("out")) => Ok("out"),
                        (true, Some(_)) | (false, _) => Ok("in"),
                    }
                }
            };
            let said = in_turn(&addresses, Instant::now() + TIME, login).await;
            assert_eq!((said, shares.len()), (Ok(is), tried), "{first:?}");
            assert!(shares.iter().all(|share| *share <= TIME / 2 && *share > TIME / 3), "{shares:?}");
        }
        let none = |_: SocketAddr, share: Duration| within(share, std::future::pending());
        let said: Result<(), String> = in_turn(&addresses, Instant::now() + TIME, none).await;
        assert!(said.is_err_and(|why| why.starts_with("at ::1: no answer within") && why.contains("at 127.0.0.1: ")));
    }
}
