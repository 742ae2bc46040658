//! `[server.limits]`: how much one listener takes, and one address of it.

use serde::Deserialize;

/// Connections of a listener: each holds a file descriptor and some 20 KiB.
const CONNECTIONS_MAX: usize = 65_536;
/// Requests under way on a listener: each may hold a body.
const REQUESTS_MAX: usize = 8_192;
/// `[server.limits]`: of each listener. Absent, `api::Limits` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    requests: Option<usize>,
    requests_per_address: Option<usize>,
}

impl RawLimits {
    /// The bounds; or the key that is wrong, why, and what to write.
    pub(super) fn check(&self) -> Result<api::Limits, (&'static str, String, String)> {
        let bounds = api::Limits::default();
        let (connections, connections_per_address) = places(
            ["connections", "connections_per_address"],
            [self.connections, self.connections_per_address],
            bounds.connections,
            CONNECTIONS_MAX,
        )?;
        let (requests, requests_per_address) = places(
            ["requests", "requests_per_address"],
            [self.requests, self.requests_per_address],
            bounds.requests,
            REQUESTS_MAX,
        )?;
        Ok(api::Limits { connections, connections_per_address, requests, requests_per_address, ..bounds })
    }
}

/// Places of a listener and those of one address: as written, or the default and a quarter.
fn places(
    keys: [&'static str; 2],
    written: [Option<usize>; 2],
    default: usize,
    most: usize,
) -> Result<(usize, usize), (&'static str, String, String)> {
    let all = written[0].unwrap_or(default);
    let of_one = written[1].unwrap_or((all / 4).max(1));
    for (key, value, most, good) in [(keys[0], all, most, default), (keys[1], of_one, all, (all / 4).max(1))] {
        if !(1..=most).contains(&value) {
            return Err((key, format!("{value} is not in 1..={most}"), format!("{key} = {good}")));
        }
    }
    Ok((all, of_one))
}
