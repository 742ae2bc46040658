//! Writing: new versions, and what is said of a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::builder::PossibleValuesParser;
use policy::World;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{place, told, typed};
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::parts::span::{Span, span};

#[derive(clap::Args)]
pub(super) struct Put {
    /// Where it stands, e.g. prod/billing/db
    path: String,
    /// Whose a new secret is; your token's one owner where nobody says
    #[arg(long)]
    owner: Option<String>,
    /// Of what kind a new secret is; generic where nobody says
    #[arg(long, value_parser = kinds())]
    kind: Option<String>,
    /// A field to ask for, unseen, or to read from standard input; where nothing is said, what its kind needs, or `value`
    #[arg(long, value_name = "FIELD")]
    ask: Vec<String>,
    /// A field that is a reference to a field of another secret: password=chy://prod/db#password
    #[arg(long = "reference", value_name = "FIELD=chy://...", value_parser = pair)]
    references: Vec<(String, String)>,
    /// A field from a file
    #[arg(long, value_name = "FIELD=FILE", value_parser = pair)]
    from: Vec<(String, String)>,
    /// What comes from standard input or a file may be empty; else that is refused, since a program that failed writes nothing
    #[arg(long)]
    empty: bool,
    /// A field that is no secret (a user name, a host): it stands on the command line
    #[arg(long, value_name = "FIELD=TEXT", value_parser = pair)]
    plain: Vec<(String, String)>,
    /// Draw what its kind draws: a password, a key, a seed
    #[arg(long)]
    draw: bool,
    /// A field that goes
    #[arg(long, value_name = "FIELD")]
    remove: Vec<String>,
    /// These fields are all there are
    #[arg(long, conflicts_with = "remove")]
    whole: bool,
    /// Only upon this newest version; 0: only where there is no secret yet
    #[arg(long, value_name = "VERSION")]
    expect: Option<u64>,
    /// It becomes `pending` instead of `current`
    #[arg(long)]
    pending: bool,
    /// It is not used after this time, e.g. 90d
    #[arg(long, value_name = "SPAN", value_parser = span)]
    expires: Option<Span>,
    #[command(flatten)]
    said: Said,
}

/// What is said of a secret.
#[derive(clap::Args)]
struct Said {
    /// What it is for, in a line
    #[arg(long)]
    description: Option<String>,
    /// By what else it is found; these instead of those before
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,
    /// So many versions without a label are kept
    #[arg(long, value_name = "COUNT")]
    keep: Option<u16>,
    /// For how long a reader may keep it in a sealed cache, no longer than the server allows: 10m; 0s: not at all
    #[arg(long, value_name = "SPAN", value_parser = span)]
    cache: Option<Span>,
}

#[derive(clap::Args)]
pub(super) struct Describe {
    /// Where it stands
    path: String,
    #[command(flatten)]
    said: Said,
    /// Take all tags away
    #[arg(long, conflicts_with = "tags")]
    no_tags: bool,
    /// Nothing of it may be destroyed from now on
    #[arg(long)]
    lock: bool,
    /// What may be destroyed by whoever has the right may be destroyed again
    #[arg(long, conflicts_with = "lock")]
    unlock: bool,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(secrets::Kind::ALL.map(secrets::Kind::as_str))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is written NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn put(args: Put, client: &Client, global: &Global) -> Result<(), Failure> {
    let url = place(&args.path)?;
    let mut body = said(&args.said);
    let given = values(&args)?;
    let (mut fields, mut base64) = (Map::new(), Map::new());
    for (name, value) in given {
        // What is no text goes as its bytes.
        match std::str::from_utf8(&value) {
            Ok(text) => fields.insert(name, Value::from(text)),
            Err(_) => base64.insert(name, Value::from(STANDARD.encode(&*value))),
        };
    }
    let references: BTreeMap<_, _> = args.references.iter().cloned().collect();
    let more = json!({
        "fields": fields, "base64": base64, "references": references, "remove": args.remove, "whole": args.whole, "draw": args.draw, "pending": args.pending,
        "owner": args.owner, "kind": args.kind, "expect": args.expect, "expires": args.expires.map(|span| ends(&span)),
    });
    body.extend(more.as_object().cloned().unwrap_or_default());
    let secret = client.put(&url, &Value::Object(body)).await?;
    told(&secret, global.json);
    Ok(())
}

pub(super) async fn describe(args: Describe, client: &Client, global: &Global) -> Result<(), Failure> {
    let mut body = said(&args.said);
    if args.no_tags {
        body.insert("tags".to_owned(), json!({}));
    }
    if args.lock || args.unlock {
        body.insert("purge_lock".to_owned(), Value::from(args.lock));
    }
    if body.is_empty() {
        return Err(Failure::new(Exit::Usage, "nothing is said")
            .help("say --description, --tag, --keep, --cache, --lock or --unlock"));
    }
    let secret = client.patch(&place(&args.path)?, &Value::Object(body)).await?;
    told(&secret, global.json);
    Ok(())
}

fn said(said: &Said) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(description) = &said.description {
        body.insert("description".to_owned(), Value::from(description.as_str()));
    }
    if !said.tags.is_empty() {
        let tags: BTreeMap<_, _> = said.tags.iter().cloned().collect();
        body.insert("tags".to_owned(), json!(tags));
    }
    if let Some(keep) = said.keep {
        body.insert("keep".to_owned(), Value::from(keep));
    }
    if let Some(cache) = said.cache {
        body.insert("cache_secs".to_owned(), Value::from(cache.secs()));
    }
    body
}

/// A field's name and value.
type Given = (String, Zeroizing<Vec<u8>>);

/// The values that are given, by whatever way.
fn values(args: &Put) -> Result<Vec<Given>, Failure> {
    let mut given: Vec<Given> = Vec::new();
    for (name, text) in &args.plain {
        given.push((name.clone(), Zeroizing::new(text.clone().into_bytes())));
    }
    for (name, path) in &args.from {
        given.push((name.clone(), meant(name, typed::file(&PathBuf::from(path))?, args.empty)?));
    }
    let nothing_said =
        given.is_empty() && args.ask.is_empty() && !args.draw && args.remove.is_empty() && args.references.is_empty();
    let is_said = |name: &str| {
        args.ask.iter().chain(args.references.iter().map(|(said, _)| said)).any(|said| said == name)
            || given.iter().any(|(said, _)| said == name)
    };
    let needed = needed(args.kind.as_deref()).filter(|name| !args.draw && !is_said(name));
    let asked = match needed {
        Some(name) => args.ask.iter().cloned().chain([name.to_owned()]).collect(),
        None if nothing_said => vec![secrets::FieldName::VALUE.to_owned()],
        None => args.ask.clone(),
    };
    match (asked.as_slice(), typed::is_terminal()) {
        (_, true) => {
            for name in asked {
                let value = typed::asked(&name)?;
                given.push((name, value));
            }
        }
        ([], false) => {}
        ([name], false) => given.push((name.clone(), meant(name, typed::piped()?, args.empty)?)),
        (_, false) => {
            return Err(Failure::new(Exit::Usage, "one field alone comes from standard input")
                .help("give the others with --from FIELD=FILE, or ask for them on a terminal"));
        }
    }
    Ok(given)
}

/// The one field that nobody sees and that a kind has to have; none where it has several, or takes any fields.
fn needed(kind: Option<&str>) -> Option<&'static str> {
    let kind: secrets::Kind = kind?.parse().ok()?;
    let mut all = kind.fields().iter().filter(|field| field.required && field.sight == secrets::Sight::Secret);
    match (all.next(), all.next()) {
        (Some(one), None) => Some(one.name),
        (Some(_), Some(_)) | (None, _) => None,
    }
}

/// A value that came by itself, and is empty by somebody's word alone.
fn meant(name: &str, value: Zeroizing<Vec<u8>>, may_be_empty: bool) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if value.is_empty() && !may_be_empty {
        return Err(Failure::new(Exit::Usage, format!("nothing came for `{name}`, and nothing was written")).help(
            "look whether the program before the pipe failed, and whether the file is the one; an empty value that is meant: --empty",
        ));
    }
    Ok(value)
}

/// So long from now.
fn ends(span: &Span) -> String {
    let secs = i64::try_from(span.secs()).unwrap_or(i64::MAX);
    World::real().now().plus_secs(secs).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_says_which_field_is_meant_where_nobody_names_one() {
        assert_eq!(needed(Some("api-key")), Some("key"));
        assert_eq!(needed(Some("database-password")), Some("password"));
        for none in [None, Some("generic"), Some("no-kind")] {
            assert_eq!(needed(none), None);
        }
    }

    #[test]
    fn what_is_empty_is_a_value_by_somebodys_word_alone() {
        let value = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        let refused = meant("key", value(b""), false).unwrap_err();
        assert!(refused.exit() == Exit::Usage && refused.message().contains("`key`"), "{refused}");
        assert!(meant("key", value(b""), true).unwrap().is_empty());
        assert_eq!(*meant("key", value(b"x"), false).unwrap(), b"x");
    }
}
