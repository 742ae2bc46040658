//! Reading.

use std::io::Write;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::files::{Outputs, SECRET, Standing};
use super::path_of;
use crate::Global;
use crate::client::{Client, percent};
use crate::failure::{Failure, OrFail};
use crate::output;

#[derive(clap::Args)]
pub(super) struct Get {
    /// Where it stands, e.g. prod/billing/db
    path: String,
    /// Which version, a label or a number; the current one where nobody says
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    /// This field alone, byte for byte
    #[arg(long)]
    field: Option<String>,
    /// Write the field to this file, mode 0600
    #[arg(long, requires = "field")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) async fn get(args: Get, client: &Client, global: &Global) -> Result<(), Failure> {
    let path = path_of(&args.path)?;
    let mut outputs = Outputs::new(args.force);
    // Before the secret is asked for: what cannot be written is not read.
    let place = args.out.as_deref().map(|file| outputs.place(file, SECRET, Standing::Forced)).transpose()?;
    let asked = [("version", &args.at), ("field", &args.field)];
    let asked = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", percent(value.as_deref()?))));
    let query = asked.collect::<Vec<_>>().join("&");
    let asked = format!("/api/v1/secret-values/{path}?{query}");
    let secret = client.get(&asked).await.map_err(Failure::of_a_reading)?;
    for said in secret.get("said").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        output::notice(said, global.json);
    }
    let fields = secret.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(name) = &args.field else {
        match global.json {
            true => output::json(&secret),
            false => {
                let texts: Vec<(&str, String)> =
                    fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
                output::facts(&texts);
            }
        }
        return Ok(());
    };
    let value = bytes(fields.get(name).unwrap_or(&Value::Null))?;
    match place {
        Some(place) => {
            let facts = [output::shown(&secret, &["path", "version"]), vec![output::written_to(&place)]].concat();
            place.fill(&value)?;
            // The value alone, then: a report would run into it on a terminal.
            if outputs.use_stdout() && !global.json {
                return Ok(());
            }
            output::report(&outputs, &facts, &without_values(&secret), global.json);
            Ok(())
        }
        None if global.json => {
            output::json(&secret);
            Ok(())
        }
        None => {
            let mut out = std::io::stdout().lock();
            let is_terminal = std::io::IsTerminal::is_terminal(&out);
            let newline: &[u8] = if is_terminal { b"\n" } else { b"" };
            out.write_all(&value)
                .and_then(|()| out.write_all(newline))
                .and_then(|()| out.flush())
                .or_fail("it was not printed")
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("base64:{}", output::field(other, "base64")),
    }
}

fn bytes(value: &Value) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match value {
        Value::String(text) => Ok(Zeroizing::new(text.clone().into_bytes())),
        other => STANDARD
            .decode(output::field(other, "base64"))
            .map(Zeroizing::new)
            .or_fail("the server's answer is no value"),
    }
}

fn without_values(secret: &Value) -> Value {
    let mut rest = secret.clone();
    rest.as_object_mut().and_then(|object| object.remove("fields"));
    rest
}
