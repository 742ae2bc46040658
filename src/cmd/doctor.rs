//! `chancery doctor`: what the token is, what it can do, which keys it holds and whether they are fit, and one test
//! signature by a throw-away key, so that no key of the authority signs without a line in the log.

use serde_json::json;

use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output;

/// Runs `chancery doctor`.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let config = global.config()?;
    let (pool, _mint, _closing) = house::open_token(&config)?;
    let token = pool.describe().await.or_fail("cannot describe the token")?;
    let test = pool.self_test().await;
    if global.json {
        output::json(&json!({
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
            "test_signature": match &test { Ok(_) => "good".to_owned(), Err(e) => e.to_string() },
        }));
    } else {
        output::facts(&[
            ("module", token.module.display().to_string()),
            ("library", format!("{} {} by {}", token.library, token.library_version, token.manufacturer)),
            ("cryptoki", token.cryptoki_version.clone()),
            ("token", format!("{} (serial {}, {} {})", token.label, token.serial, token.model, token.firmware)),
            ("flags", token.flags.join(", ")),
            ("mechanisms", token.mechanisms.join(" ")),
            ("sealing keys", token.sealing.join(", ")),
        ]);
        let rows = token.keys.iter().map(|k| {
            vec![
                k.label().to_owned(),
                k.algorithm().as_str().to_owned(),
                hex::encode(k.fingerprint()),
                "fit".to_owned(),
            ]
        });
        let refused = token.refused.iter().map(|(label, why)| {
            vec![label.clone(), String::new(), String::new(), format!("refused: {}", why.join("; "))]
        });
        output::table(
            &["KEY", "ALGORITHM", "FINGERPRINT (SHA-256)", "STATE"],
            rows.chain(refused).collect(),
            "the token holds no key",
        );
        if let Ok(algorithm) = &test {
            output::line(format!("test signature: good ({}, by a throw-away key of the session)", algorithm.as_str()));
        }
    }
    test.map(drop)
        .or_exit(Exit::Failed, "the token does not sign")
        .map_err(|f| f.help("look at the mechanisms above: ECDSA over P-256 is needed"))
}
