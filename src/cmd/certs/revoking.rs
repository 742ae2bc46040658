//! `chancery certs revoke`, `confirm`, `proposals`, `hold`, `release`: what ends, and who learns of it.

use std::path::{Path, PathBuf};

use ca::RevocationReason;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::{asked, moment, registered};
use crate::Global;
use crate::client::percent;
use crate::cmd::files::Input;
use crate::failure::{Exit, Failure};
use crate::output::{self, field};
use crate::parts::csr;
use crate::parts::pages;
#[derive(clap::Args)]
pub(super) struct Revoke {
    /// Its serial number, or its first digits
    #[arg(required_unless_present_any = ["certificate", "Many"])]
    serial: Option<String>,
    /// The certificate itself (PEM or DER), instead of its serial: also one that the register lost when it was put back
    #[arg(long, conflicts_with_all = ["serial", "Many"], value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The certificate's own key (PEM): whoever holds it needs no right here. The certificate ends as compromised
    #[arg(long, requires = "certificate", value_name = "FILE", conflicts_with_all = ["proof", "reason", "invalid", "ca"])]
    key: Option<PathBuf>,
    /// The same by a request that the key signed, of subject /O=revoke key-compromise/CN= and the certificate's SHA-256
    #[arg(long, requires = "certificate", value_name = "FILE", conflicts_with_all = ["reason", "invalid", "ca"])]
    proof: Option<PathBuf>,
    #[command(flatten)]
    many: Many,
    /// Say how many that are and which, and do nothing
    #[arg(long, requires = "Many")]
    preview: bool,
    /// All of them are meant
    #[arg(long, requires = "Many", conflicts_with = "preview")]
    yes: bool,
    /// Why
    #[arg(long, default_value = "unspecified", value_parser = PossibleValuesParser::new(RevocationReason::ALL.map(RevocationReason::as_str)))]
    reason: String,
    /// Since when the key is known or suspected to be in other hands, in UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    invalid: Option<String>,
    /// It is the certificate of a CA, and all that the CA issued is to end with it
    #[arg(long, conflicts_with = "Many")]
    ca: bool,
}

/// All that fit everything that is said.
#[derive(clap::Args)]
#[group(id = "Many", multiple = true, conflicts_with = "serial")]
struct Many {
    /// All of this owner
    #[arg(long)]
    owner: Option<String>,
    /// All of this profile
    #[arg(long)]
    profile: Option<String>,
    /// All of this issuer (tls), or of one generation of it (tls/1)
    #[arg(long)]
    issuer: Option<String>,
    /// All for this key: SHA-256 of its SubjectPublicKeyInfo
    #[arg(long, value_name = "HEX")]
    key_hash: Option<String>,
    /// All with exactly this name: a DNS name or address
    #[arg(long)]
    name: Option<String>,
    /// All that this actor asked for, as the log names it: token:ann
    #[arg(long, value_name = "ACTOR")]
    person: Option<String>,
    /// All of this host: by its DNS name or address, or its name as an SSH principal
    #[arg(long)]
    host: Option<String>,
}

impl Many {
    fn wish(&self) -> Result<Option<Value>, Failure> {
        let name = self.name.as_deref().map(|name| registered(name, None)).transpose()?;
        let said = [
            ("owner", self.owner.clone()),
            ("profile", self.profile.clone()),
            ("issuer", self.issuer.clone()),
            ("key_hash", self.key_hash.clone()),
            ("name", name),
            ("person", self.person.clone()),
            ("host", self.host.clone()),
        ];
        let said: serde_json::Map<String, Value> =
            said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
        Ok((!said.is_empty()).then_some(Value::Object(said)))
    }
}

pub(super) async fn revoke(args: Revoke, global: &Global) -> Result<(), Failure> {
    let mut body = args.many.wish()?.unwrap_or(json!({}));
    let is_many = body != json!({});
    body["reason"] = json!(args.reason);
    if let Some(invalid) = &args.invalid {
        body["invalid"] = json!(invalid);
    }
    if is_many {
        body["preview"] = json!(!args.yes);
        let answer = global.client()?.post("/api/v1/revocations", &body).await?;
        many(&answer, global);
        return match args.yes || args.preview {
            true => Ok(()),
            false => Err(Failure::new(Exit::Failed, "whoever ends several at once says so")
                .help("add --yes where just those are meant; it cannot be taken back")),
        };
    }
    if args.ca {
        body["ca"] = json!(true);
    }
    match args.certificate {
        Some(shown) if args.key.is_some() || args.proof.is_some() => {
            revoke_by_key(&shown, args.key.as_deref(), args.proof.as_deref(), global).await
        }
        Some(shown) => revoke_shown(&shown, body, &args.reason, global).await,
        None => {
            let serial = args.serial.unwrap_or_default();
            revoke_one(&serial, &body, "revoked", &format!(" ({})", args.reason), global).await
        }
    }
}

pub(super) async fn revoke_one(
    serial: &str,
    body: &Value,
    done: &str,
    why: &str,
    global: &Global,
) -> Result<(), Failure> {
    let resource = format!("/api/v1/certificates/{}/revoke", asked(serial)?);
    let answer = global.client()?.post(&resource, body).await.map_err(twice)?;
    if global.json {
        output::json(&answer);
    } else {
        let serial = field(&answer, "serial");
        output::line(format!("{done} {serial}{why}; {}", consequence(&answer, &serial)));
    }
    Ok(())
}

pub(super) async fn release(serial: &str, global: &Global) -> Result<(), Failure> {
    let resource = format!("/api/v1/certificates/{}/release", asked(serial)?);
    let answer = global.client()?.post(&resource, &json!({})).await?;
    if global.json {
        output::json(&answer);
    } else {
        output::line(format!("released {}; {}", field(&answer, "serial"), published(&answer)));
    }
    Ok(())
}

pub(super) async fn confirm(id: &str, show: bool, global: &Global) -> Result<(), Failure> {
    let resource = format!("/api/v1/revocations/{}", percent(id));
    let client = global.client()?;
    if !show {
        let answer = client.post(&format!("{resource}/confirm"), &json!({})).await?;
        many(&answer, global);
        return Ok(());
    }
    let answer = client.get(&resource).await?;
    if global.json {
        output::json(&answer);
        return Ok(());
    }
    tell_proposal(&answer);
    Ok(())
}

/// What a person reads before a yes: who, which, how many, some of them; and what carries it out.
fn tell_proposal(proposal: &Value) {
    let mut facts =
        output::shown(proposal, &["id", "state", "by", "count", "reason", "invalid", "digest", "expires", "confirmed"]);
    let of = proposal["of"].as_object().into_iter().flatten();
    let said: Vec<String> = of.map(|(name, value)| format!("{name} {}", value.as_str().unwrap_or_default())).collect();
    facts.push(("of", said.join(", ")));
    let state = field(proposal, "state");
    if state == "waiting" || state == "broken-off" {
        facts.push(("carry it out", format!("chancery certs confirm {}", field(proposal, "id"))));
    }
    output::facts(&facts.into_iter().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>());
    sample(proposal);
}

/// What is proposed, each as it is confirmed.
pub(super) async fn proposals(all: bool, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    let (mut items, mut cursor, mut altered) = (Vec::new(), None::<String>, 0_u64);
    loop {
        let more = cursor.map_or_else(String::new, |cursor| format!("&cursor={}", percent(&cursor)));
        let page = client.get(&format!("/api/v1/revocations?waiting={}{more}", !all)).await?;
        items.extend(page["items"].as_array().into_iter().flatten().cloned());
        altered = altered.saturating_add(pages::altered(&page));
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() || output::is_refused() {
            break;
        }
    }
    pages::left_out(altered, global.json);
    if global.json {
        output::json(&json!(items));
        return Ok(());
    }
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            output::line("");
        }
        tell_proposal(item);
    }
    if items.is_empty() {
        output::line("no proposal waits for another person");
    }
    Ok(())
}

/// What an act on many is, or what became of it.
fn many(answer: &Value, global: &Global) {
    if global.json {
        return output::json(answer);
    }
    let count = field(answer, "count");
    match field(answer, "state").as_str() {
        "done" if answer["confirmed_at"].is_string() => {
            let at = field(answer, "confirmed_at");
            output::line(format!(
                "{count} were revoked when it was confirmed, at {at}; nothing was left to do; {}",
                published(answer)
            ));
        }
        "done" => output::line(format!("{count} revoked; {}", published(answer))),
        "proposed" => {
            output::line(format!("Nothing is done yet: {count} are more than one person ends alone."));
            let (id, expires) = (field(answer, "id"), field(answer, "expires"));
            output::line(format!("Another person confirms it until {expires}: chancery certs confirm {id}"));
        }
        _ => output::line(format!("Nothing is done. It would be {count}:")),
    }
    sample(answer);
}

fn sample(of: &Value) {
    for one in of["sample"].as_array().into_iter().flatten() {
        output::line(format!("  {}  {}", field(one, "serial"), field(one, "subject")));
    }
}

/// The way on in the words of the command line.
fn twice(failure: Failure) -> Failure {
    match failure.field() {
        Some("ca") => failure.help("add --ca where the CA and all that it issued are to end"),
        Some(_) | None => failure,
    }
}

/// Whoever holds the key has its certificate ended, without a right to anything.
async fn revoke_by_key(path: &Path, key: Option<&Path>, proof: Option<&Path>, global: &Global) -> Result<(), Failure> {
    let certificate = csr::read_certificate(path)?;
    let proof = match (key, proof) {
        (Some(key), _) => csr::proof_of_key(&certificate, key)?,
        (None, proof) => csr::read(Input::open(proof.unwrap_or(path))?)?,
    };
    let body = json!({ "certificate": certificate, "proof": proof });
    let answer = global.client()?.post("/api/v1/certificates/revoke-by-key", &body).await?;
    say_revoked(&answer, RevocationReason::KeyCompromise.as_str(), global);
    Ok(())
}

async fn revoke_shown(path: &Path, mut body: Value, reason: &str, global: &Global) -> Result<(), Failure> {
    body["certificate"] = json!(csr::read_certificate(path)?);
    let answer = global.client()?.post("/api/v1/certificates/revoke", &body).await.map_err(twice)?;
    say_revoked(&answer, reason, global);
    Ok(())
}

/// What became of one that was shown.
fn say_revoked(answer: &Value, reason: &str, global: &Global) {
    if global.json {
        return output::json(answer);
    }
    let lost = match answer["lost"].as_bool() {
        Some(true) => "; the register lost it, and its CRL alone speaks of it",
        Some(false) | None => "",
    };
    output::line(format!("revoked {} ({reason}); {}{lost}", field(answer, "serial"), published(answer)));
}

/// What the server says of the CRL.
fn published(revoked: &Value) -> &'static str {
    match field(revoked, "crl").as_str() {
        "published" => "a CRL that says so is published",
        _ => "recorded for ever; the CRL that says so follows by itself: in seconds, or when token and clock allow it",
    }
}

/// Who learns of a revocation. An SSH serial has 64 bits: the last eight bytes of the register's.
fn consequence(revoked: &Value, serial: &str) -> String {
    let (program, file) = match field(revoked, "kind").as_str() {
        "ssh-user" => ("sshd", "its RevokedKeys"),
        "ssh-host" => ("ssh", "its RevokedHostKeys"),
        _ => return published(revoked).to_owned(),
    };
    let tail = serial.get(serial.len().saturating_sub(16)..).unwrap_or_default();
    let number = u64::from_str_radix(tail, 16).unwrap_or_default();
    format!(
        "recorded, but no CRL covers SSH: {program} accepts it until {} unless the serial {number} is in {file} (`chancery ssh krl` writes it)",
        field(revoked, "not_after")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_ssh_certificate_is_said_to_be_accepted_still() {
        let ssh = json!({"kind": "ssh-user", "not_after": "2026-01-01T00:00:00Z"});
        let said = consequence(&ssh, "0101000000000000000000000000000a");
        assert!(said.contains("serial 10 ") && said.contains("RevokedKeys") && said.contains("2026-01-01"), "{said}");
        assert!(consequence(&json!({"kind": "ssh-host"}), "0a").contains("RevokedHostKeys"));
        let listed = json!({"kind": "certificate", "crl": "published"});
        assert_eq!(consequence(&listed, "0a"), "a CRL that says so is published");
    }
}
