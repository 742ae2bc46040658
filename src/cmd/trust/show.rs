//! `chancery trust show`: roots and their fingerprints, for the one who reads them out, and for the one who compares.

use std::path::PathBuf;

use clap::Parser;
use policy::World;
use serde_json::{Value, json};

use super::{fetch, files};
use crate::Global;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::trust::{Anchor, anchors};

pub const AFTER: &str = "\
Examples:
  chancery trust show ./my-ca/roots.pem
  chancery trust show https://ca.example.internal:8443

What a URL answers is shown and not believed: compare the fingerprint with one from elsewhere.";

#[derive(Parser)]
pub struct Args {
    /// A file with roots, or the URL of a server; by default the roots that client.toml or --cacert names
    #[arg(value_name = "FILE|URL")]
    from: Option<PathBuf>,
}

/// Runs `chancery trust show`.
pub async fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let url = args.from.as_ref().and_then(|from| from.to_str()).filter(|from| from.starts_with("https://"));
    let found = match url {
        Some(url) => fetch::roots(&fetch::server(url).map_err(|why| Failure::new(Exit::Usage, why))?).await?,
        None => of_file(args.from.clone(), global)?,
    };
    if global.json {
        output::json(&found.iter().map(as_json).collect::<Value>());
        return Ok(());
    }
    // A fingerprint is read aloud and copied: it is not cut into a column.
    for (at, anchor) in found.iter().enumerate() {
        if at > 0 {
            output::line("");
        }
        output::facts(&[("root", anchor.subject.clone()), ("until", anchor.not_after.clone())]);
        output::line(format!("SHA-256\n{}", anchor.fingerprint));
    }
    Ok(())
}

/// Roots of a file, or of the one that is remembered.
pub fn of_file(file: Option<PathBuf>, global: &Global) -> Result<Vec<Anchor>, Failure> {
    let path = match file {
        Some(file) => file,
        None => crate::client::own_roots_file(&global.connection, global.config.as_deref())?.ok_or_else(|| {
            Failure::new(Exit::Usage, "no roots are named").help("name a file, such as roots.pem beside chancery.toml")
        })?,
    };
    let bytes = files::read(&path, ROOTS_BYTES_MAX)?;
    anchors(&bytes, World::real().now())
        .map_err(|why| Failure::new(Exit::Failed, format!("{} holds no roots", files::shown(&path))).since(why))
}

pub fn as_json(anchor: &Anchor) -> Value {
    json!({"subject": anchor.subject, "not_after": anchor.not_after, "sha256": anchor.fingerprint.hex()})
}

/// A bundle of many roots is a few hundred KiB.
const ROOTS_BYTES_MAX: u64 = 4 << 20;
