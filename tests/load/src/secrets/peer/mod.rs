//! The nearest peer that can be installed, beside ours in the same run: RustyVault, which speaks Vault's API.
//!
//! It is started anew in a folder of the run, on a free port of this host, with TLS 1.3 and a P-256 certificate as ours has; made ready with one
//! share, which nobody keeps, and ended with the run. Of Vault's API only what a reading takes is asked for: `sys/init`, `sys/unseal`, key and
//! value, and transit where it has one.

mod process;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::error::CompareError;
use crate::rest::Rest;
use process::Process;

/// A peer that serves nothing after so long has failed.
const START_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);
/// What RustyVault 0.2.1 is beside ours, as its sources have it.
pub(super) const WORDS: &str =
    "it writes no entry of a reading, and reads each secret from a file of its own (storage \"file\")";

/// A peer that runs, unsealed.
pub(super) struct Peer {
    process: Process,
    token: String,
}

impl Peer {
    /// Starts it in a new folder below this one.
    pub(super) async fn start(program: &Path, dir: &Path) -> Result<Peer, CompareError> {
        let mut process = Process::start(program, dir)?;
        let mut rest = Rest::at(process.door()?, String::new());
        let ready = tokio::time::timeout(START_MAX, until_ready(&mut process, &mut rest)).await;
        ready.unwrap_or_else(|_| Err(process.failed(&format!("does not serve after {} s", START_MAX.as_secs()))))?;
        let (made, _) = rest.post("/v1/sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 })).await?;
        let text = |at: &str| made.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let (Some(share), Some(token)) = (text("/keys/0"), text("/root_token")) else {
            return Err(process.failed("was made ready without a share or a token"));
        };
        let (unsealed, _) = rest.post("/v1/sys/unseal", &json!({ "key": share })).await?;
        match unsealed.get("sealed") {
            Some(Value::Bool(false)) => Ok(Peer { process, token }),
            _ => Err(process.failed("was not unsealed by its one share")),
        }
    }

    /// As it calls itself.
    pub(super) fn name(&self) -> &str {
        self.process.name()
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// So many, with its token; each resumes nothing of another's connection, as ours do not.
    pub(super) fn clients(&self, count: usize) -> Result<Vec<Rest>, CompareError> {
        (0..count).map(|_| self.client()).collect()
    }

    /// Puts a secret at each path, with one field so long; answers where they are read.
    pub(super) async fn fill(&self, paths: &[String], field: &str, bytes: usize) -> Result<Vec<String>, CompareError> {
        let mut rest = self.client()?;
        let body = Bytes::from(json!({ field: "k".repeat(bytes) }).to_string());
        let at: Vec<String> = paths.iter().map(|path| format!("/v1/secret/{path}")).collect();
        for path in &at {
            let answer = rest.tell(Method::POST, path, body.clone()).await?;
            if !answer.status.is_success() {
                return Err(self.process.failed(&said(path, answer.status, &answer.body)));
            }
        }
        // What is measured is a reading of what was put, and nothing that only looks so.
        if let Some(first) = at.first() {
            let there = rest.json(first).await?;
            let there = there.get("data").and_then(|data| data.get(field)).and_then(Value::as_str);
            if there.map(str::len) != Some(bytes) {
                return Err(self.process.failed(&format!("does not give back what was put at {first}")));
            }
        }
        Ok(at)
    }

    /// A batch of its transit, each plaintext in base64; or what it says where it has none.
    pub(super) async fn batch(&self, plaintexts: &[String]) -> Result<Result<Bytes, String>, CompareError> {
        let mut rest = self.client()?;
        for (path, wish) in [
            ("/v1/sys/mounts/transit", json!({ "type": "transit" })),
            ("/v1/transit/keys/load", json!({ "type": "aes256-gcm96" })),
        ] {
            let answer = rest.tell(Method::POST, path, Bytes::from(wish.to_string())).await?;
            if !answer.status.is_success() {
                return Ok(Err(said(path, answer.status, &answer.body)));
            }
        }
        let items: Vec<Value> = plaintexts.iter().map(|plaintext| json!({ "plaintext": plaintext })).collect();
        Ok(Ok(Bytes::from(json!({ "batch_input": items }).to_string())))
    }

    fn client(&self) -> Result<Rest, CompareError> {
        Ok(Rest::at(self.process.door()?, self.token.clone()))
    }
}

/// Where its transit seals a batch.
pub(super) const BATCHES: &str = "/v1/transit/encrypt/load";

/// Asks whether it was ever made ready, which a sealed one answers too, until it answers.
async fn until_ready(process: &mut Process, rest: &mut Rest) -> Result<(), CompareError> {
    loop {
        if process.has_ended()? {
            return Err(process.failed("ended before it served"));
        }
        match rest.get("/v1/sys/init").await {
            Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
            Ok(_) | Err(_) => rest.hang_up(),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One line of what it says, for a cell of a table.
fn said(path: &str, status: StatusCode, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    format!("{path} was answered {status} {}", body.lines().next().unwrap_or_default().replace('|', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn why_not(program: &str) -> String {
        // The door needs it; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let why = Peer::start(Path::new(program), dir.path()).await.err().unwrap().to_string();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing of it stays");
        why
    }

    #[tokio::test]
    async fn a_peer_that_cannot_be_started_says_so_and_how_to_have_one() {
        let why = why_not("/nowhere/rvault").await;
        assert!(why.contains("/nowhere/rvault") && why.contains("cargo install rusty_vault"), "{why}");
        let why = why_not("/bin/false").await;
        assert!(why.contains("/bin/false") && why.contains("ended before it served"), "{why}");
    }

    #[test]
    fn what_it_says_fits_a_cell() {
        let told = said("/v1/sys/mounts/transit", StatusCode::BAD_REQUEST, b"{\"error\":\"a|b\"}\nmore");
        assert_eq!(told, "/v1/sys/mounts/transit was answered 400 Bad Request {\"error\":\"a/b\"}");
    }
}
