//! `chancery helper git`: what git asks a credential helper for (gitcredentials(7)).

mod attributes;

use std::ffi::OsString;
use std::io::Read;

use clap::Subcommand;
use zeroize::Zeroizing;

use self::attributes::{Attributes, INPUT_BYTES_MAX};
use super::map::{Common, Git, Map};
use super::opened::Opened;
use super::store::{Login, store};
use crate::Global;
use crate::cmd::deliver::read::print;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;

pub const HELP: &str = "\
Examples:
  git config --global credential.https://git.example.internal.helper \\
    '!chancery helper git'
  printf 'protocol=https\\nhost=git.example.internal\\n' |
    chancery helper git get

An entry of helpers.toml says which secret is for which server:
  [[git]]
  url = \"https://git.example.internal\"
  username = \"deploy\"
  password = \"chy://prod/git#token\"

Scheme, host and port have to be the same as a whole. What no entry names is answered with nothing, and git asks the next helper. A path in the url counts where git says paths: credential.useHttpPath.

git tells every helper of a login that succeeded: one that writes passwords to a disk, such as `store`, is best not configured beside this one.";

/// What git wants.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// What git wants done; what it does not know yet is passed over, as git wants it
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// The user and password for the host that standard input names
    Get,
    /// Keep what was tried with success: only of an entry with `store = true`, and only where it is another
    Store,
    /// A password was refused: nothing is erased, and it is said
    Erase,
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// Runs `chancery helper git`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { common, act } = args;
    let mut input = Zeroizing::new(Vec::with_capacity(1 << 16));
    std::io::stdin()
        .lock()
        .take(INPUT_BYTES_MAX + 1)
        .read_to_end(&mut input)
        .or_fail("git's question cannot be read")?;
    if let Act::Other(words) = &act {
        tracing::debug!(?words, "git asks for what is not known here");
        return Ok(());
    }
    let refused = |why: String| Failure::new(Exit::Refused, "nothing is answered").since(why);
    if input.len() as u64 > INPUT_BYTES_MAX {
        return Err(refused(format!("git's question has more than {INPUT_BYTES_MAX} bytes")));
    }
    let asked = Attributes::read(&input).map_err(refused)?;
    let map = Map::load(common.helpers.as_deref(), common.environment.as_deref())?;
    let Some(entry) = find(&map.git, &asked) else { return Ok(()) };
    match act {
        Act::Get => {
            let wanted = entry.username.reference().into_iter().chain([&entry.password]);
            let opened = Opened::fetch(wanted, common.sourcing, global).await?;
            let (username, password) = (opened.line(&entry.username)?, opened.secret_line(&entry.password)?);
            match &asked.username {
                Some(other) if other != username => Ok(()),
                Some(_) | None => print(&answer(username, password), false),
            }
        }
        Act::Store if entry.store => match (&asked.username, &asked.password) {
            (Some(username), Some(password)) => {
                let login = Login { username: &entry.username, password: &entry.password };
                store(&login, username, password, common.sourcing, global).await
            }
            _ => Ok(()),
        },
        Act::Store | Act::Other(_) => Ok(()),
        Act::Erase => {
            let says = format!("{} was refused {}; it stays as it is", entry.password, policy::shown(&asked.host));
            output::notice(&says, global.json);
            Ok(())
        }
    }
}

/// Of the entries that name what is asked for, the one that names most of its path.
fn find<'a>(all: &'a [Git], asked: &Attributes) -> Option<&'a Git> {
    let is_his = |entry: &&Git| !asked.username.as_deref().is_some_and(|name| entry.username.is_other(name));
    let named = all
        .iter()
        .filter(is_his)
        .filter_map(|entry| Some((entry.site.names(&asked.protocol, &asked.host, asked.path.as_deref())?, entry)));
    // The first of those that name as much.
    named
        .fold(None, |best: Option<(usize, &Git)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            Some(_) | None => Some(next),
        })
        .map(|(_, entry)| entry)
}

fn answer(username: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let parts = ["username=", username, "\npassword=", password, "\n"];
    Zeroizing::new(parts.map(str::as_bytes).concat())
}
