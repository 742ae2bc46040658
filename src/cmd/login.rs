//! `chancery login`: remembers a server, its roots and a token for this user; and proves its second factor. The token is read from a file or from
//! standard input, never from the command line, and is tried once before anything is written.

use std::io::Read;
use std::path::PathBuf;

use clap::Parser;
use zeroize::Zeroizing;

use super::files::{self, PUBLIC, SECRET};
use crate::Global;
use crate::client::{ClientFile, TOKEN_BYTES_MAX};
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};
use crate::second;

/// A bundle of many roots is a few hundred KiB.
const ROOTS_BYTES_MAX: u64 = 4 << 20;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Prove the second factor of the token that is in use: a code is asked for at the terminal, or read from standard input
    #[arg(long)]
    mfa: bool,
}

const EXAMPLES: &str = "\
Example:
  chancery login --url https://localhost:8443 --cacert roots.pem < token

`chancery login --mfa` proves the second factor of `chancery mfa enrol` with a code, asked for at the terminal. A proved second factor counts for a while ([login] in chancery.toml), for commands of this user with the same token.";

/// Runs `chancery login`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    if args.mfa {
        let proved = global.client()?.prove(&second::code()?).await?;
        match global.json {
            true => output::json(&proved),
            false => output::line(format!("the second factor is proved until {}", field(&proved, "expires"))),
        }
        return Ok(());
    }
    let needs = |what: &str| {
        Failure::new(Exit::Usage, format!("{what} is missing"))
            .help("chancery login --url https://HOST:8443 --cacert roots.pem < token")
    };
    let url = global.connection.url.clone().ok_or_else(|| needs("--url"))?;
    let cacert = global.connection.cacert.clone().ok_or_else(|| needs("--cacert"))?;
    let path = ClientFile::default_path()
        .ok_or_else(|| Failure::new(Exit::Failed, "neither HOME nor XDG_CONFIG_HOME is set"))?;
    let dir = path.parent().map(PathBuf::from).unwrap_or_default();
    let token = match &global.connection.token_file {
        Some(file) => files::secret(file, TOKEN_BYTES_MAX)?,
        None => {
            let mut bytes = Zeroizing::new(Vec::new());
            std::io::stdin()
                .take(TOKEN_BYTES_MAX)
                .read_to_end(&mut bytes)
                .or_fail("cannot read the token from standard input")?;
            bytes
        }
    };
    // Said here, so that nobody is asked with what is none.
    if !token.trim_ascii().starts_with(b"chy_") {
        let says = if token.trim_ascii().is_empty() { "there is no token" } else { "this is no token" };
        return Err(Failure::new(Exit::Failed, format!("{says} on standard input or in --token-file"))
            .help("it is chy_ and what follows, such as admin.token beside chancery.toml has it: add < admin.token"));
    }
    files::folder(&dir)?;
    let pending = dir.join("token.new");
    files::write(&pending, token.trim_ascii(), SECRET)?;
    let mut connection = global.connection.clone();
    connection.token_file = Some(pending.clone());
    let tried = async { crate::client::Client::connect(&connection, None)?.get("/api/v1/whoami").await }.await;
    let who = tried.inspect_err(|_| drop(std::fs::remove_file(&pending)))?;
    let roots = files::read(&cacert, ROOTS_BYTES_MAX)?;
    files::write(&dir.join("roots.pem"), &roots, PUBLIC)?;
    std::fs::rename(&pending, dir.join("token")).or_fail("cannot keep the token")?;
    let file =
        ClientFile { url: Some(url.clone()), cacert: Some("roots.pem".into()), token_file: Some("token".into()) };
    let text = toml::to_string(&file).or_fail("cannot write the client file")?;
    files::write(&path, text.as_bytes(), SECRET)?;
    output::line(format!("{} at {url}; remembered in {}", field(&who, "id"), path.display()));
    Ok(())
}
