//! A certificate from Chancery's REST API: one POST of a request, proven by a client certificate, or by a token
//! before there is one, or when that one was revoked. And how one stands (revoked, to be replaced before its time): one GET.

use policy::{Timestamp, World};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};

use super::server::{ask, problem, problem_of};
use super::standing::Standing;
use crate::credential::{Leaf, Request};
use crate::error::AgentError;
use crate::plan::Chancery;

/// What is posted.
#[derive(Serialize)]
struct Order<'a> {
    profile: &'a str,
    csr: &'a str,
    owner: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity_secs: Option<u64>,
    /// The serial of the one in service: by its names alone the server cannot always tell that this one takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
}

/// The one field of the answer that is used; everything else is read from the certificate itself.
#[derive(Deserialize)]
struct Certificate {
    chain: String,
}

/// How a certificate stands.
#[derive(Deserialize)]
struct Stands {
    state: String,
    /// Why it is to be replaced before its time.
    #[serde(default)]
    replace: Option<String>,
    /// From when on.
    #[serde(default)]
    renew_at: Option<Timestamp>,
}

impl Stands {
    fn at(&self, now: Timestamp) -> Standing {
        let has_come = self.renew_at.is_none_or(|at| at <= now);
        match (self.state.as_str(), self.replace.as_deref()) {
            ("revoked", _) => Standing::Revoked,
            (_, Some("issuer-ended")) => Standing::Due("its CA is revoked or compromised"),
            (_, Some(_)) if has_come => Standing::Due("its server wants it replaced now"),
            (_, Some(_) | None) => Standing::Good,
        }
    }
}

/// The PEM chain for `request`, which takes the place of `replaces`.
pub(crate) async fn fetch(
    world: &World,
    source: &Chancery,
    request: &Request,
    replaces: Option<&Leaf>,
) -> Result<String, AgentError> {
    let order = Order {
        profile: &source.profile,
        csr: &request.pem,
        owner: &source.owner,
        validity_secs: source.validity_secs,
        replaces: replaces.map(|leaf| leaf.serial.as_str()),
    };
    // Posted once: an answer that was lost may have been a certificate. Trying again is the schedule's business.
    let post = async |order: &Order<'_>| {
        ask(world, &source.server, ANSWER_BYTES_MAX, |client| {
            client.post(format!("{}/api/v1/certificates", source.server.url)).json(order)
        })
        .await
    };
    let mut answer = post(&order).await?;
    // What is in service is of another server, was another owner's, or is not this caller's to replace: nothing was signed, and
    // a certificate that replaces nothing is better than none.
    let may_not = answer.status == StatusCode::FORBIDDEN || problem_of(&answer).field == "replaces";
    if order.replaces.is_some() && answer.status.is_client_error() && may_not {
        answer = post(&Order { replaces: None, ..order }).await?;
    }
    if !answer.status.is_success() {
        return Err(problem(&source.server.url, &answer, world.now()));
    }
    serde_json::from_slice::<Certificate>(&answer.body).map(|certificate| certificate.chain).map_err(|e| {
        AgentError::Unreachable { who: source.server.url.clone(), why: format!("the answer is not a certificate: {e}") }
    })
}

/// How a certificate stands. One that the server does not know, as it was put back to before it, is good.
pub(crate) async fn stands(world: &World, source: &Chancery, leaf: &Leaf) -> Result<Standing, AgentError> {
    let get =
        |client: &Client| client.get(format!("{}/api/v1/certificates/{}?pem=false", source.server.url, leaf.serial));
    let answer = ask(world, &source.server, ANSWER_BYTES_MAX, get).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(Standing::Good),
        status if status.is_success() => {
            serde_json::from_slice::<Stands>(&answer.body).map(|stands| stands.at(world.now())).map_err(|e| {
                AgentError::Unreachable { who: source.server.url.clone(), why: format!("the answer is none: {e}") }
            })
        }
        _ => Err(problem(&source.server.url, &answer, world.now())),
    }
}

/// A chain of ten certificates in PEM is below 50 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_certificate_replaced_at_once_or_when_its_moment_has_come() {
        let now = Timestamp::from_unix(1_800_000_000);
        for (state, replace, at, stands) in [
            ("issued", "null", 0, Standing::Good),
            ("issued", "null", -5, Standing::Good),
            ("issued", "\"drill\"", 0, Standing::Due("its server wants it replaced now")),
            ("issued", "\"drill\"", 1, Standing::Good),
            ("issued", "\"issuer-ended\"", 0, Standing::Due("its CA is revoked or compromised")),
            ("revoked", "\"revoked\"", -5, Standing::Revoked),
        ] {
            let at = now.plus_secs(at);
            let text = format!("{{\"state\": \"{state}\", \"replace\": {replace}, \"renew_at\": \"{at}\"}}");
            assert_eq!(serde_json::from_str::<Stands>(&text).unwrap().at(now), stands, "{text}");
        }
        // Of a server that says less.
        assert_eq!(serde_json::from_str::<Stands>("{\"state\": \"issued\"}").unwrap().at(now), Standing::Good);
    }
}
