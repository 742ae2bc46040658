//! Keys.

use clap::Subcommand;
use secrets::transit::KeyName;
use serde_json::{Value, json};

use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, Listing, Paint, field, whole};
use crate::parts::moment::Moment;
use crate::parts::pages::{Pages, some};
use crate::parts::span::days;

pub(super) const EXAMPLES: &str = "\
Examples:
  chancery transit key create payments --rotate 90d
  chancery transit key create releases --kind ed25519
  chancery transit key create tenants --mode derived
  chancery transit key show releases              # with its public halves
  chancery transit key rotate payments
  chancery transit key set payments --min-decrypt 3

Nothing shows what a key computes with: there is no export.";

#[derive(Subcommand)]
pub(super) enum Key {
    /// Make a key
    Create(Create),
    /// List the keys that you may know of
    List {
        /// Of this owner
        #[arg(long)]
        owner: Option<String>,
        /// At most this many; without it all of them
        #[arg(long, value_parser = some())]
        limit: Option<usize>,
    },
    /// Show a key and its versions, with their public halves
    Show {
        /// Its name
        name: String,
    },
    /// Give a key a new version, which seals and signs from now on
    Rotate {
        /// Its name
        name: String,
    },
    /// Say which versions are used, whether it may be destroyed, how often it is rotated
    Set(Set),
    /// Do away, for good, with the versions below the least one that opens
    Trim {
        /// Its name
        name: String,
    },
    /// Do away with a key for good, once it was said that it may be
    Destroy {
        /// Its name
        name: String,
    },
}

#[derive(clap::Args)]
pub(super) struct Create {
    /// What it is called: small letters, digits and _ . -
    name: String,
    /// What it does: aes256-gcm, chacha20-poly1305, hmac-sha256, ed25519, ecdsa-p256
    #[arg(long, default_value = "aes256-gcm")]
    kind: String,
    /// How it is used: plain, derived (a key for each context), convergent (the same text for the same plaintext)
    #[arg(long, default_value = "plain")]
    mode: String,
    /// Whose it is
    #[arg(long)]
    owner: Option<String>,
    /// After so many whole days it gets a new version by itself; 0d: never
    #[arg(long = "rotate", value_name = "SPAN", default_value = "0d", value_parser = days)]
    rotate_days: u32,
}

#[derive(clap::Args)]
pub(super) struct Set {
    /// Its name
    name: String,
    /// The oldest version under which something is opened and verified
    #[arg(long, value_name = "VERSION")]
    min_decrypt: Option<u32>,
    /// The oldest under which something new is made
    #[arg(long, value_name = "VERSION")]
    min_encrypt: Option<u32>,
    /// Whether it may be destroyed: true or false
    #[arg(long, value_name = "BOOL")]
    deletable: Option<bool>,
    /// After so many whole days it gets a new version by itself; 0d: never
    #[arg(long = "rotate", value_name = "SPAN", value_parser = days)]
    rotate_days: Option<u32>,
}

pub(super) async fn run(what: Key, client: &Client, global: &Global) -> Result<(), Failure> {
    let key = match what {
        Key::Create(Create { name, kind, mode, owner, rotate_days }) => {
            let wish = json!({"name": name, "kind": kind, "mode": mode, "owner": owner, "rotate_days": rotate_days});
            client.post("/api/v1/transit/keys", &wish).await?
        }
        Key::List { owner, limit } => return list(owner, limit, client, global).await,
        Key::Show { name } => {
            let key = client.get(&place(&name)?).await?;
            show(&key, global.json);
            return Ok(());
        }
        Key::Rotate { name } => client.post(&format!("{}/rotate", place(&name)?), &json!({})).await?,
        Key::Trim { name } => client.post(&format!("{}/trim", place(&name)?), &json!({})).await?,
        Key::Set(Set { name, min_decrypt, min_encrypt, deletable, rotate_days }) => {
            let said = [min_decrypt.map(Value::from), min_encrypt.map(Value::from), deletable.map(Value::from)];
            if said.iter().all(Option::is_none) && rotate_days.is_none() {
                return Err(Failure::new(Exit::Usage, "say what is to be set: --help shows what there is"));
            }
            let [min_decrypt, min_encrypt, deletable] = said;
            let wish = json!({"min_decrypt": min_decrypt, "min_encrypt": min_encrypt, "deletable": deletable,
                "rotate_days": rotate_days});
            client.patch(&place(&name)?, &wish).await?
        }
        Key::Destroy { name } => {
            client.delete(&place(&name)?).await.map_err(|failure| undeletable(failure, &name))?;
            match global.json {
                true => output::json(&json!({"name": name, "destroyed": true})),
                false => output::line(format!("{name} is destroyed")),
            }
            return Ok(());
        }
    };
    match global.json {
        true => output::json(&key),
        false => output::facts(&facts(&key)),
    }
    Ok(())
}

fn place(name: &str) -> Result<String, Failure> {
    let name: KeyName = name.parse().or_usage("no transit key is called that")?;
    Ok(format!("/api/v1/transit/keys/{name}"))
}

/// Names the command that lets a key be destroyed, where that is what is missing.
fn undeletable(failure: Failure, name: &str) -> Failure {
    match failure.is_conflict() {
        true => failure.help(format!("chancery transit key set {name} --deletable true")),
        false => failure,
    }
}

fn facts(key: &Value) -> Vec<(&'static str, String)> {
    let mut facts = output::shown(key, &["name", "owner", "kind", "mode"]);
    facts.push(("versions", format!("{} to {}", field(key, "oldest"), field(key, "newest"))));
    facts.push(("opens from", field(key, "min_decrypt")));
    let seals = format!("{} ({} at least, where one is named)", field(key, "newest"), field(key, "min_encrypt"));
    facts.push(("seals with", seals));
    facts.push(("next rotation", Moment::of(key, "next_rotation").day()));
    facts.push(("may be destroyed", field(key, "deletable")));
    facts
}

fn show(key: &Value, as_json: bool) {
    if as_json {
        return output::json(key);
    }
    output::facts(&facts(key));
    for version in key.get("versions").and_then(Value::as_array).into_iter().flatten() {
        output::line("");
        let at = Moment::of(version, "at").day();
        output::line(format!("version {}, {at}", field(version, "number")));
        if let Some(public) = version.get("public_key").and_then(Value::as_str) {
            output::line(public.trim_end());
        }
    }
}

async fn list(owner: Option<String>, limit: Option<usize>, client: &Client, global: &Global) -> Result<(), Failure> {
    let query: Vec<(&str, String)> = owner.into_iter().map(|owner| ("owner", owner)).collect();
    let mut pages = Pages::new(client, "/api/v1/transit/keys", &query, limit.unwrap_or(usize::MAX));
    let columns = [whole("NAME"), whole("OWNER"), whole("KIND"), whole("MODE"), whole("VERSIONS"), whole("ROTATED")];
    let mut listing = Listing::new(&columns, global.json);
    while let Some(page) = pages.next().await? {
        let rows = page.items.iter().map(|key| {
            let texts = ["name", "owner", "kind", "mode"].map(|name| field(key, name));
            let versions = format!("{}-{}", field(key, "oldest"), field(key, "newest"));
            (Paint::Plain, [&texts[..], &[versions, Moment::of(key, "rotated").day()]].concat())
        });
        listing.add(&page.items, rows.collect());
    }
    listing.end("no transit key that you may know of: `chancery transit key create NAME` makes one");
    pages.tell_more(global.json);
    pages.end(global.json);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_seals_with_its_newest_version_and_says_how_old_a_named_one_may_be() {
        let key = json!({"oldest": 1, "newest": 2, "min_decrypt": 1, "min_encrypt": 1});
        assert!(facts(&key).contains(&("seals with", "2 (1 at least, where one is named)".to_owned())));
    }

    #[test]
    fn what_may_not_be_destroyed_yet_names_the_command_that_lets_it_be() {
        let refused = |status| undeletable(Failure::new(Exit::Refused, "no").of_status(status), "payments").to_string();
        assert!(refused(409).contains("chancery transit key set payments --deletable true"), "{}", refused(409));
        assert!(!refused(404).contains("--deletable"));
    }
}
