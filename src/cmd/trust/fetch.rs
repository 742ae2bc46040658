//! `/roots.pem` of a server that nobody has vouched for yet: bytes of a stranger, and no more of them than roots can have.

use std::time::Duration;

use policy::World;
use reqwest::{Certificate, Url};

use crate::failure::{Exit, Failure, OrFail};
use crate::trust::{Anchor, anchors};

/// The address of a server: https, and nothing behind the host and the port.
pub fn server(text: &str) -> Result<String, String> {
    let refuse = || "name the server as https://HOST:PORT".to_owned();
    let url = Url::parse(text).map_err(|_| refuse())?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    match url.scheme() == "https" && url.has_host() && bare && nobody {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(refuse()),
    }
}

/// What the server says its roots are. Its own certificate is not asked: only a fingerprint from elsewhere makes these roots good.
pub async fn roots(base: &str) -> Result<Vec<Anchor>, Failure> {
    let client = builder().tls_danger_accept_invalid_certs(true).build().or_fail("cannot set up TLS")?;
    let url = format!("{base}/roots.pem");
    let said = format!("cannot get {url}");
    let mut response = client.get(&url).send().await.or_exit(Exit::Unavailable, said.clone())?;
    if response.status().as_u16() != 200 {
        return Err(Failure::new(Exit::Failed, said).since(format!("the server answered {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.or_exit(Exit::Unavailable, said.clone())? {
        if body.len() + piece.len() > ROOTS_BYTES_MAX {
            return Err(Failure::new(Exit::Failed, said).since("the answer is longer than roots can be"));
        }
        body.extend_from_slice(&piece);
    }
    anchors(&body, World::real().now()).map_err(|why| Failure::new(Exit::Failed, said).since(why))
}

/// Whether the server's own certificate leads to these roots, and to none else.
pub async fn proves(base: &str, anchors: &[Anchor]) -> Result<(), Failure> {
    let roots = anchors.iter().map(|anchor| Certificate::from_der(&anchor.der)).collect::<Result<Vec<_>, _>>();
    let roots = roots.or_fail("the root cannot be trusted by TLS")?;
    let client = builder().tls_certs_only(roots).build().or_fail("cannot set up TLS")?;
    let says = "the root is there, and the certificate of the server itself does not lead to it";
    let help = "name the server as its certificate does; where roots change, give --fingerprint for each";
    let answer = client.get(format!("{base}/healthz")).send().await;
    answer.map(drop).or_fail(says).map_err(|failure| failure.help(help))
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")))
}

/// From the first packet to the last byte.
const TIMEOUT: Duration = Duration::from_secs(30);
/// A root is two KiB; a server has a few.
const ROOTS_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_https_address_and_nothing_more() {
        assert_eq!(server("https://ca.example:8443/").as_deref(), Ok("https://ca.example:8443"));
        for bad in [
            "http://ca.example",
            "ca.example:8443",
            "https://ca.example/x",
            "https://u:p@ca.example",
            "https://ca.example?x",
            "https://",
        ] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }
}
