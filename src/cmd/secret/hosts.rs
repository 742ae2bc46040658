//! Which of a secret's SSH keys its hosts say that they have, and a host that is gone forgotten.

use serde_json::{Value, json};

use super::path_of;
use crate::Global;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::output::{self, Listing, Paint, field, spare, whole, words};
use crate::parts::pages::{altered, left_out};

pub const HOSTS: &str = "\
Examples:
  chancery secret hosts prod/hosts/deploy
  chancery secret hosts prod/hosts/deploy --forget web7.example.internal

A host is heard each week while its agent runs. One that was silent for more than 30 days makes room for another by itself. A rotation waits for the hosts that it names, whatever is forgotten here: set it up without one that is gone.";

#[derive(clap::Args)]
pub(super) struct Hosts {
    /// Where the secret stands
    path: String,
    /// Forget what this host said: it is gone for good. One whose agent runs says it again within an hour
    #[arg(long, value_name = "HOST")]
    forget: Option<String>,
}

/// `chancery secret hosts`.
pub(super) async fn hosts(args: Hosts, client: &Client, global: &Global) -> Result<(), Failure> {
    let path = path_of(&args.path)?;
    let url = format!("/api/v1/ssh-host-reports/{path}");
    let Some(host) = args.forget else {
        listed(&client.get(&url).await?, global);
        return Ok(());
    };
    client.delete(&format!("{url}?host={}", name(&host)?)).await?;
    match global.json {
        true => output::json(&json!({"path": path.as_str(), "host": host, "forgotten": true})),
        false => output::line(format!("what {host} said of {path} is forgotten")),
    }
    Ok(())
}

fn listed(answer: &Value, global: &Global) {
    let items = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows = items.iter().map(|report| {
        let is_silent = report.get("silent").and_then(Value::as_bool) == Some(true);
        let paint = if is_silent { Paint::Yellow } else { Paint::Plain };
        let keys = report.get("fingerprints").and_then(Value::as_array).map_or(0, Vec::len).to_string();
        let [host, since, heard] = ["host", "since", "heard"].map(|name| field(report, name));
        let says = if is_silent { "silent" } else { "" };
        (paint, vec![host, keys, heard, says.to_owned(), since])
    });
    let columns = [whole("HOST"), whole("KEYS"), whole("HEARD"), words("STATE"), spare(whole("SINCE"))];
    let mut listing = Listing::new(&columns, global.json);
    listing.add(items, rows.collect());
    listing.end("no host says that it has keys of it");
    left_out(altered(answer), global.json);
}

/// A host's name needs no encoding; what is none is refused here.
fn name(host: &str) -> Result<&str, Failure> {
    match !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-') {
        true => Ok(host),
        false => Err(Failure::new(Exit::Usage, "a host's name is letters, digits, dots and hyphens")
            .help("`chancery secret hosts PATH` shows them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_say_more_in_a_url_is_refused() {
        assert_eq!(name("web1.example.internal").ok(), Some("web1.example.internal"));
        for bad in ["", "web1&host=web2", "a b", "a/b", "wéb"] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
