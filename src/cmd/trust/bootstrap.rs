//! `chancery trust bootstrap`: the first contact of a new host. What decides is the fingerprint that somebody brought from elsewhere:
//! what the server says of itself is only looked through for the root that has it.

use std::path::PathBuf;

use clap::Parser;

use super::files::{self, Outputs, PUBLIC, SECRET, Standing};
use super::{fetch, install, show};
use crate::Global;
use crate::client::ClientFile;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;
use crate::trust::{self, Anchor, Fingerprint};

pub const AFTER: &str = "\
Example, with the fingerprint that `chancery trust show` prints on the server's host:
  chancery trust bootstrap https://ca.example.internal:8443 \\
    --fingerprint 3F:0B:...

Afterwards client commands know the server and its root; `chancery login` adds a token. Roots with other fingerprints are left.";

#[derive(Parser)]
pub struct Args {
    /// The server
    #[arg(value_name = "https://HOST:PORT", value_parser = fetch::server)]
    server: String,
    /// The SHA-256 of its root; several while roots change
    #[arg(long, value_name = "SHA256", required = true, value_parser = trust::fingerprint)]
    fingerprint: Vec<Fingerprint>,
    /// Have the system trust the root too
    #[arg(long)]
    install: bool,
    /// Write the root to this file, and leave client.toml alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace what is remembered of another server
    #[arg(long)]
    force: bool,
}

/// Runs `chancery trust bootstrap`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let served = fetch::roots(&args.server).await?;
    let anchors = chosen(served, &args.fingerprint)?;
    fetch::proves(&args.server, &anchors).await?;
    let pem: String = anchors.iter().map(Anchor::pem).collect();
    let place = match &args.out {
        Some(out) => {
            let place = Outputs::new(args.force).place(out, PUBLIC, Standing::Forced)?;
            let shown = place.shown();
            place.fill(pem.as_bytes())?;
            shown
        }
        None => remember(&args, &pem)?,
    };
    if args.install {
        install::into_system(&anchors, global.json)?;
    }
    match global.json {
        true => output::json(&serde_json::json!({
            "url": args.server, "roots": anchors.iter().map(show::as_json).collect::<Vec<_>>(), "written": place,
        })),
        false => {
            anchors
                .iter()
                .for_each(|anchor| output::line(format!("{} is the root", output::printable(&anchor.subject))));
            output::line(format!("{}; written to {place}", args.server));
        }
    }
    Ok(())
}

/// The roots with these fingerprints. Whatever else is served is not spoken of: a stranger wrote it.
fn chosen(served: Vec<Anchor>, wanted: &[Fingerprint]) -> Result<Vec<Anchor>, Failure> {
    let found: Vec<_> = served.into_iter().filter(|anchor| wanted.contains(&anchor.fingerprint)).collect();
    match wanted.iter().all(|wanted| found.iter().any(|anchor| anchor.fingerprint == *wanted)) {
        true => Ok(found),
        false => Err(Failure::new(Exit::Refused, REFUSED).help(HELP)),
    }
}

/// `roots.pem` and `client.toml`, as `chancery login` has them; a token of this server stays.
fn remember(args: &Args, pem: &str) -> Result<String, Failure> {
    let path = ClientFile::default_path()
        .ok_or_else(|| Failure::new(Exit::Failed, "neither HOME nor XDG_CONFIG_HOME is set"))?;
    let before = ClientFile::at(&path)?;
    let of_this =
        |file: &ClientFile| file.url.as_deref().is_none_or(|url| crate::client::same_origin(Some(url), &args.server));
    if let Some(other) = before.as_ref().filter(|file| !of_this(file) && !args.force) {
        let says = format!("{} is for {}", files::shown(&path), other.url.as_deref().unwrap_or_default());
        return Err(
            Failure::new(Exit::Failed, says).help("replace it with --force, or keep the root elsewhere with --out")
        );
    }
    let token_file = before.filter(of_this).and_then(|file| file.token_file);
    let dir = path.parent().map(PathBuf::from).unwrap_or_default();
    files::folder(&dir)?;
    files::write(&dir.join("roots.pem"), pem.as_bytes(), PUBLIC)?;
    let file = ClientFile { url: Some(args.server.clone()), cacert: Some("roots.pem".into()), token_file };
    let text = toml::to_string(&file).or_fail("cannot write the client file")?;
    files::write(&path, text.as_bytes(), SECRET)?;
    Ok(files::shown(&path))
}

const REFUSED: &str = "no root with this fingerprint is served there";
const HELP: &str = "nothing was written; ask again for the fingerprint, and whether this is the server";
