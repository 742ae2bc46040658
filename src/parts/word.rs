//! What an operator says and the log keeps for ever: the reason, and whether there is anything to say it about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

/// A sentence for whoever reads the log.
const REASON_BYTES_MAX: usize = 1_000;
/// The service looks at its register before it answers, for two seconds at most.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A reason as the command line has it: without it nothing becomes an entry of the log.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if let Some(hidden) = policy::hidden(text) {
        return Err(format!("it has a {}, which nobody would see", hidden.escape_unicode()));
    }
    match text.len() {
        0 => Err("say what happened: whoever reads the log later asks why".to_owned()),
        length if length > REASON_BYTES_MAX => {
            Err(format!("it has {length} bytes: a sentence of at most {REASON_BYTES_MAX} is enough"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// What the service on this host says of itself (`/readyz`); none where it does not run.
pub async fn service(http: SocketAddr) -> Option<Value> {
    let host = match http.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        given => given,
    };
    let url = format!("http://{}/readyz", SocketAddr::new(host, http.port()));
    let client = reqwest::Client::builder().timeout(ANSWER_MAX).no_proxy().build().ok()?;
    let says: Value = client.get(url).send().await.ok()?.json().await.ok()?;
    // Another program may listen there.
    says.get("register").and_then(Value::as_bool).map(|_| says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something() {
        assert_eq!(reason(" the disk died\n").as_deref(), Ok("the disk died"));
        assert!(reason("the disk\u{202e} died").is_err() && reason("two\nlines").is_err());
        assert!(reason("  ").is_err() && reason(&"x".repeat(REASON_BYTES_MAX + 1)).is_err());
    }
}
