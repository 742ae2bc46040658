//! How an OAuth token is got anew before it ends: set up, asked for now, ended.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use super::super::files;
use super::path_of;
use crate::Global;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::parts::span::{Span, span};

pub const REFRESH: &str = "\
Examples:
  chancery secret put prod/idp --kind oauth-client \\
    --plain client_id=shop --ask client_secret
  chancery secret put prod/api --kind oauth-token \\
    --ask access_token --ask refresh_token
  chancery secret refresh prod/api --endpoint https://idp.example/token \\
    --client prod/idp --way refresh-token
  chancery secret refresh prod/api          # when next, and what is wrong
  chancery secret refresh prod/api --now

A refresh token is shown to its server once. Where the answer is not known, it is said, and nothing is asked again until somebody says --now.";

#[derive(clap::Args)]
pub(super) struct Refresh {
    /// Where the token stands
    path: String,
    /// Set it up, or change it: the token endpoint, https
    #[arg(long, value_name = "URL", requires = "client", requires = "way")]
    endpoint: Option<String>,
    /// Where the client's secret stands, an oauth-client
    #[arg(long, value_name = "PATH", requires = "endpoint")]
    client: Option<String>,
    /// By the token's own refresh token, or by the client's credentials
    #[arg(long, value_parser = PossibleValuesParser::new(["refresh-token", "client-credentials"]), requires = "endpoint")]
    way: Option<String>,
    /// So long before its end
    #[arg(long, value_name = "SPAN", value_parser = span, requires = "endpoint")]
    ahead: Option<Span>,
    /// The roots of the endpoint's certificate, instead of the server's system's
    #[arg(long, value_name = "FILE", requires = "endpoint")]
    roots: Option<PathBuf>,
    /// The client proves itself in the body, where the endpoint knows no HTTP Basic
    #[arg(long, requires = "endpoint")]
    post: bool,
    /// Refresh it now; where it halted, go on
    #[arg(long, conflicts_with_all = ["endpoint", "end"])]
    now: bool,
    /// It is refreshed no more
    #[arg(long, conflicts_with = "endpoint")]
    end: bool,
}

pub(super) async fn refresh(args: Refresh, client: &Client, global: &Global) -> Result<(), Failure> {
    let path = path_of(&args.path)?;
    let url = format!("/api/v1/secret-refreshes/{path}");
    if args.end {
        client.delete(&url).await?;
        match global.json {
            true => output::json(&json!({"path": path.as_str(), "ended": true})),
            false => output::line(format!("{path} is refreshed no more")),
        }
        return Ok(());
    }
    let answer = match (args.now, &args.endpoint) {
        (true, _) => client.post(&url, &Value::Null).await?,
        (false, Some(_)) => client.put(&url, &Value::Object(wish(args)?)).await?,
        (false, None) => client.get(&url).await?,
    };
    match global.json {
        true => output::json(&answer),
        false => {
            output::facts(&output::shown(
                &answer,
                &["path", "url", "client", "way", "refreshed", "next", "halted", "tries", "said"],
            ));
        }
    }
    Ok(())
}

fn wish(args: Refresh) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    let mut say = |name: &str, value: Value| body.insert(name.to_owned(), value);
    say("url", json!(args.endpoint));
    say("client", json!(args.client));
    say("way", json!(args.way));
    if let Some(ahead) = args.ahead {
        say("ahead_secs", json!(ahead.secs()));
    }
    if let Some(roots) = args.roots {
        say("roots", json!(files::text(&roots, secrets::ROOTS_BYTES_MAX as u64)?));
    }
    if args.post {
        say("post", json!(true));
    }
    Ok(body)
}
