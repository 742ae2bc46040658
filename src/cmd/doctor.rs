//! `chancery doctor`: what each token is, what it can do, which keys it holds and whether they are fit, and how fast it signs: by
//! throw-away keys of sessions, so that no key of the authority signs without a line in the log.

use std::time::Duration;

use hsm::{HsmError, Measured, Token, TokenDescription};
use serde_json::{Value, json};

use crate::Global;
use crate::failure::{Exit, Failure};
use crate::house;
use crate::output::{self, whole, words};

/// What is found of one token.
struct Found {
    name: String,
    token: Result<TokenDescription, HsmError>,
    measured: Result<Measured, HsmError>,
}

impl Found {
    async fn of(token: &Token, quiet: bool) -> Self {
        let name = token.name().to_owned();
        let described = token.describe().await;
        let measured = match &described {
            Err(error) => Err(HsmError::Failed(error.to_string())),
            Ok(_) => {
                if !quiet {
                    output::notice(&format!("measuring token {name} for {} seconds", SPAN.as_secs()), false);
                }
                token.measure(SPAN).await
            }
        };
        Self { name, token: described, measured }
    }

    /// Why it is in no order.
    fn wrong(&self) -> Option<&HsmError> {
        self.token.as_ref().err().or(self.measured.as_ref().err())
    }
}

/// Runs `chancery doctor`.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let (pool, _mint, _closing) = house::open_token(&config)?;
    let mut all = Vec::new();
    // One after the other: side by side they would measure each other.
    for token in pool.tokens() {
        all.push(Found::of(token, global.json).await);
    }
    if global.json {
        output::json(&json!({ "tokens": all.iter().map(shown).collect::<Vec<_>>() }));
    } else {
        tell(&all);
    }
    match all.iter().find_map(|found| Some((&found.name, found.wrong()?))) {
        None => Ok(()),
        Some((name, error)) => {
            Err(Failure::new(Exit::Failed, format!("token {name} does not sign")).because(error).help(
                "where it answers, look at its mechanisms: ECDSA over P-256 or RSA is needed; the other tokens go on",
            ))
        }
    }
}

fn shown(found: &Found) -> Value {
    let mut value = match &found.token {
        Err(error) => json!({ "reachable": false, "why": error.to_string() }),
        Ok(token) => json!({
            "reachable": true,
            "module": token.module,
            "library": token.library,
            "library_version": token.library_version,
            "cryptoki_version": token.cryptoki_version,
            "manufacturer": token.manufacturer,
            "token": {"label": token.label, "serial": token.serial, "model": token.model, "firmware": token.firmware, "flags": token.flags},
            "mechanisms": token.mechanisms,
            "keys": token.keys.iter().map(|k| json!({
                "label": k.label(), "algorithm": k.algorithm().as_str(), "fingerprint": hex::encode(k.fingerprint()),
            })).collect::<Vec<_>>(),
            "refused": token.refused.iter().map(|(label, why)| json!({"label": label, "why": why})).collect::<Vec<_>>(),
            "sealing": token.sealing,
        }),
    };
    value["name"] = json!(found.name);
    value["test_signature"] = match &found.measured {
        Ok(_) => json!("good"),
        Err(error) => json!(error.to_string()),
    };
    if let Ok(measured) = &found.measured {
        value["signing"] = json!({
            "algorithm": measured.algorithm.as_str(),
            "sessions": measured.sessions,
            "signatures": measured.signatures,
            "per_second": measured.per_second,
            "median_ms": millis(measured.median),
            "p99_ms": millis(measured.p99),
        });
    }
    value
}

fn tell(all: &[Found]) {
    for found in all {
        if let Ok(token) = &found.token {
            describe(found, token, all.len() > 1);
            output::line("");
        }
    }
    let row = |found: &Found| {
        let keys = found.token.as_ref().map_or(String::new(), |token| token.keys.len().to_string());
        let [rate, median, p99] = match &found.measured {
            Ok(m) => [
                format!("{:.0}", m.per_second),
                format!("{:.2} ms", millis(m.median)),
                format!("{:.2} ms", millis(m.p99)),
            ],
            Err(_) => Default::default(),
        };
        let state = found.wrong().map_or("signs".to_owned(), ToString::to_string);
        vec![found.name.clone(), keys, rate, median, p99, state]
    };
    let columns =
        [whole("TOKEN"), whole("KEYS"), whole("SIGNATURES/S"), whole("MEDIAN"), whole("99 OF 100"), words("STATE")];
    output::table(&columns, all.iter().map(row).collect(), "no token");
    if let Some(measured) = all.iter().find_map(|found| found.measured.as_ref().ok()) {
        let (sessions, algorithm) = (measured.sessions, measured.algorithm.as_str());
        output::line(format!(
            "test signatures: good ({algorithm}, {sessions} sessions, by throw-away keys of the sessions)"
        ));
    }
}

fn describe(found: &Found, token: &TokenDescription, several: bool) {
    let mut facts = vec![
        ("module", token.module.display().to_string()),
        ("library", format!("{} {} by {}", token.library, token.library_version, token.manufacturer)),
        ("cryptoki", token.cryptoki_version.clone()),
        ("token", format!("{} (serial {}, {} {})", token.label, token.serial, token.model, token.firmware)),
        ("flags", token.flags.join(", ")),
        ("mechanisms", token.mechanisms.join(" ")),
        ("sealing keys", token.sealing.join(", ")),
    ];
    if several {
        facts.insert(0, ("name", found.name.clone()));
    }
    output::facts(&facts);
    let fit = token.keys.iter().map(|k| {
        vec![k.label().to_owned(), k.algorithm().as_str().to_owned(), hex::encode(k.fingerprint()), "fit".to_owned()]
    });
    let refused = token
        .refused
        .iter()
        .map(|(label, why)| vec![label.clone(), String::new(), String::new(), format!("refused: {}", why.join("; "))]);
    output::table(
        &["KEY", "ALGORITHM", "FINGERPRINT (SHA-256)", "STATE"],
        fit.chain(refused).collect(),
        "the token holds no key",
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// So long each token signs to be measured.
const SPAN: Duration = Duration::from_secs(1);
