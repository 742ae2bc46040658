//! `chancery helper docker`: what docker and its kin ask a program `docker-credential-chancery` for.
//!
//! One word on the command line, a registry on standard input, JSON back. What goes wrong is said on standard output, where docker reads it.

use std::io::Read;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::map::{Common, Docker, Map, Registry};
use super::opened::Opened;
use super::store::{Login, store};
use crate::Global;
use crate::cmd::deliver::read::print;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;

pub const HELP: &str = "\
Examples:
  ln -s \"$(command -v chancery)\" ~/.local/bin/docker-credential-chancery
  echo registry.example.internal | chancery helper docker get

One line of ~/.docker/config.json has docker ask it, for this registry alone:
  {\"credHelpers\": {\"registry.example.internal\": \"chancery\"}}

An entry of helpers.toml says which secret is for which registry; Docker Hub's is docker.io:
  [[docker]]
  registry = \"registry.example.internal\"
  username = \"deploy\"
  password = \"chy://prod/registry#password\"

With \"credsStore\" instead of \"credHelpers\" docker asks for all registries that are named, whatever it is about to do. `docker login` writes a password into an entry with `store = true`; `docker logout` erases none.";

/// What docker wants.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// The user and password for the registry that standard input names
    Get,
    /// The registries that are named, and their users
    List,
    /// Keep what `docker login` was given: only of an entry with `store = true`
    Store,
    /// Nothing is erased: it is said where to take it out
    Erase,
}

/// What docker tells of a login.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(rename = "ServerURL")]
    server_url: String,
    username: String,
    secret: String,
}

/// Runs `chancery helper docker`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let done = act(args, global).await;
    if let Some(failure) = done.as_ref().err().filter(|failure| !failure.is_told()) {
        output::line(failure.message());
    }
    done
}

async fn act(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { common, act } = args;
    let mut input = Zeroizing::new(Vec::with_capacity(1 << 12));
    if !matches!(act, Act::List) {
        let most = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_end(&mut input);
        most.or_fail("docker's question cannot be read")?;
    }
    if input.len() as u64 > INPUT_BYTES_MAX {
        let says = format!("docker's question has more than {INPUT_BYTES_MAX} bytes");
        return Err(Failure::new(Exit::Refused, says));
    }
    let map = Map::load(common.helpers.as_deref(), common.environment.as_deref())?;
    match act {
        Act::Get => {
            let entry = asked(&map, &input)?.ok_or_else(none)?;
            let wanted = entry.username.reference().into_iter().chain([&entry.password]);
            let opened = Opened::fetch(wanted, common.sourcing, global).await?;
            print(&answer(entry, &opened)?, false)
        }
        Act::List => {
            let wanted = map.docker.iter().filter_map(|entry| entry.username.reference());
            let opened = Opened::fetch(wanted, common.sourcing, global).await?;
            let users =
                map.docker.iter().map(|entry| Ok((entry.registry.text(), opened.line(&entry.username)?.into())));
            let users: serde_json::Map<String, serde_json::Value> = users.collect::<Result<_, Failure>>()?;
            output::line(json!(users).to_string());
            Ok(())
        }
        Act::Store => {
            // What the reader would say of it could quote a password.
            let told: Told = serde_json::from_slice(&input)
                .map_err(|_| Failure::new(Exit::Refused, "what docker tells is no login"))?;
            let entry = asked(&map, told.server_url.as_bytes())?.filter(|entry| entry.store);
            let entry = entry.ok_or_else(|| {
                Failure::new(Exit::Refused, "helpers.toml has no entry with `store = true` for this registry")
            })?;
            let login = Login { username: &entry.username, password: &entry.password };
            store(&login, &told.username, &told.secret, common.sourcing, global).await
        }
        Act::Erase => match asked(&map, &input)? {
            Some(entry) => {
                let says = format!("{} is not erased: take its entry out of helpers.toml", entry.password);
                Err(Failure::new(Exit::Refused, says))
            }
            None => Ok(()),
        },
    }
}

/// The entry of the registry that is asked for; none where it is another's, or none.
fn asked<'a>(map: &'a Map, input: &[u8]) -> Result<Option<&'a Docker>, Failure> {
    let text = std::str::from_utf8(input).map_err(|_| Failure::new(Exit::Refused, "docker's question is no text"))?;
    let Ok(registry) = Registry::read(text) else { return Ok(None) };
    Ok(map.docker.iter().find(|entry| entry.registry == registry))
}

/// The words by which docker knows that there is none, and goes on without.
fn none() -> Failure {
    output::line("credentials not found in native keychain");
    Failure::told(Exit::Failed)
}

fn answer(entry: &Docker, opened: &Opened) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let (username, secret) = (opened.line(&entry.username)?, opened.secret_line(&entry.password)?);
    // Six bytes for one are the most that JSON needs: a text that grew would leave copies.
    let mut text = Zeroizing::new(Vec::with_capacity(256 + 6 * (username.len() + secret.len())));
    let answer = Answer { server_url: &entry.registry.text(), username, secret };
    serde_json::to_writer(&mut *text, &answer).or_fail("the answer cannot be written")?;
    text.push(b'\n');
    Ok(text)
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// A registry, a user and a token.
const INPUT_BYTES_MAX: u64 = 64 << 10;
