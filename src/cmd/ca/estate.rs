//! `chancery ca import NAME --from ...`: what another program's CA signed comes here. First what would come, as a difference to the register;
//! then the act, some at a time; broken off, the same command goes on.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ca::ARRIVING_MAX;
use ca::estates::{Ended, Estate, Left, Taken, Told};
use serde_json::{Value, json};

use super::brought::Import;
use super::source::{Named, estate};
use crate::Global;
use crate::client::{Client, percent};
use crate::failure::{Exit, Failure};
use crate::output::{self, field};

/// What comes, or would.
#[derive(Default)]
struct Totals {
    certificates: u64,
    there: u64,
    revocations: u64,
    revocations_there: u64,
    left: Vec<Left>,
}

/// Takes it in.
pub async fn import(args: &Import, global: &Global) -> Result<(), Failure> {
    let chain = args.chain.as_deref();
    let estate = estate(&Named { from: &args.from, chain: chain.map(Path::new), crls: &args.crl })?;
    let client = global.client()?;
    let label = args.key_label.clone().unwrap_or_default();
    let begin = |dry_run: bool| {
        json!({
            "name": args.name, "key_label": label, "key_was_outside": args.key_was_outside, "chain": estate.chain_pem,
            "token": args.token, "fingerprint": args.fingerprint.map(|root| root.hex()), "cas_only": args.cas_only,
            "crl_number": estate.crl_number, "dry_run": dry_run,
        })
    };
    let stands = client.post("/api/v1/issuers/import/begin", &begin(true)).await.map_err(|failure| {
        match failure.field() == Some("key_label") && !args.key_was_outside {
            true => {
                failure.help("a key that was in a file is taken with --key-was-outside: whoever has a copy can sign")
            }
            false => failure,
        }
    })?;
    let is_new = stands["is_new"] == json!(true);
    let rehearsed = match is_new {
        // Nothing of a CA that is not here can be here.
        true => Totals {
            certificates: estate.certificates.len() as u64,
            revocations: estate.revoked() as u64,
            ..Totals::default()
        },
        false => all(&client, args, &estate, &field(&stands, "name"), true).await?,
    };
    if args.dry_run {
        return told(&estate, &stands, &rehearsed, false, global);
    }
    if !estate.hinders.is_empty() {
        told(&estate, &stands, &rehearsed, false, global)?;
        let says = format!(
            "{} CRLs of it cannot be read: what they alone list would come as good, and nothing was done",
            estate.hinders.len()
        );
        return Err(Failure::new(Exit::Refused, says)
            .help("bring them whole; take them out of what is imported only where the CA's books tell of everything that was revoked"));
    }
    let left = estate.left.len() + rehearsed.left.len();
    if left > 0 && !args.leave_out {
        told(&estate, &stands, &rehearsed, false, global)?;
        let says = format!("{left} things of it cannot be taken as they are, and nothing was done");
        return Err(Failure::new(Exit::Refused, says).help("add --leave-out where they are to be left"));
    }
    let stands = client.post("/api/v1/issuers/import/begin", &begin(false)).await?;
    let name = field(&stands, "name");
    let totals = all(&client, args, &estate, &name, false).await?;
    if !totals.left.is_empty() && !args.leave_out {
        told(&estate, &stands, &totals, false, global)?;
        let says = format!("{} things of it were not taken: {name} signs nothing yet", totals.left.len());
        return Err(Failure::new(Exit::Refused, says).help("mend them, or add --leave-out where they are to be left"));
    }
    let changes = totals.certificates + totals.revocations > 0;
    let stands = match changes || stands["arriving"] == json!(true) {
        true => {
            let done = json!({
                "source": estate.source, "source_sha256": hex(estate.sha256), "certificates": totals.certificates,
                "certificates_there": totals.there, "revocations": totals.revocations,
            });
            client.post(&format!("{}/import/done", super::path(&name)?), &done).await?
        }
        false => stands,
    };
    told(&estate, &stands, &totals, true, global)
}

/// Everything, some at a time; what is taken is there although the rest breaks off.
async fn all(client: &Client, args: &Import, estate: &Estate, name: &str, dry_run: bool) -> Result<Totals, Failure> {
    let mut totals = Totals::default();
    let (issuer, number) = name.split_once('/').unwrap_or((name, ""));
    let path = format!("/api/v1/issuers/{}/{}/import", percent(issuer), percent(number));
    let whole = estate.certificates.len() + estate.unseen.len();
    let mut items = estate.certificates.iter().map(certificate).chain(estate.unseen.iter().map(unseen)).peekable();
    let (mut done, mut shown) = (0, 0);
    while items.peek().is_some() {
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < ARRIVING_MAX
            && let Some((_, size)) = items.peek()
            && (some.is_empty() || bytes + size <= REQUEST_BYTES_MAX)
            && let Some((item, size)) = items.next()
        {
            bytes += size;
            some.push(item);
        }
        done += some.len();
        let body = json!({
            "items": some, "owner": args.owner, "source_sha256": hex(estate.sha256), "dry_run": dry_run,
        });
        let landed = client.post(&path, &body).await?;
        let count = |what: &str| landed[what].as_u64().unwrap_or(0);
        totals.certificates += count("certificates");
        totals.there += count("certificates_there");
        totals.revocations += count("revocations");
        totals.revocations_there += count("revocations_there");
        for left in landed["left"].as_array().into_iter().flatten() {
            totals.left.push(Left { place: format!("serial {}", field(left, "serial")), why: field(left, "why") });
        }
        if !dry_run && done - shown >= PROGRESS || done == whole && shown > 0 {
            shown = done;
            output::say(&format!("{done} of {whole}"));
        }
    }
    Ok(totals)
}

fn certificate(taken: &Taken) -> (Value, usize) {
    let text = STANDARD.encode(&taken.der);
    let size = text.len() + ITEM_BYTES;
    let mut item = json!({ "certificate": text });
    if let Some(end) = &taken.end {
        item["revoked"] = ended(end);
    }
    (item, size)
}

fn unseen(told: &Told) -> (Value, usize) {
    let item = json!({
        "serial": hex(&told.serial), "until": told.until.map(|at| at.to_string()), "revoked": ended(&told.end),
    });
    (item, ITEM_BYTES)
}

fn ended(end: &Ended) -> Value {
    json!({ "at": end.at.to_string(), "reason": end.reason, "invalid": end.invalid.map(|at| at.to_string()) })
}

/// What comes or came, beside what the register has.
fn told(estate: &Estate, stands: &Value, totals: &Totals, is_done: bool, global: &Global) -> Result<(), Failure> {
    let left = || estate.left.iter().chain(&totals.left);
    if global.json {
        let lines = |left: &Left| json!({ "place": left.place, "why": left.why });
        output::json(&json!({
            "done": is_done,
            "name": stands["name"], "is_new": stands["is_new"], "arriving": stands["arriving"],
            "subject": estate.subject, "source": estate.source, "source_sha256": hex(estate.sha256),
            "certificates": totals.certificates, "certificates_there": totals.there,
            "revocations": totals.revocations, "revocations_there": totals.revocations_there,
            "revoked_without_certificate": estate.unseen.len(),
            "highest_serial": estate.highest().map(hex),
            "crl_found": estate.crl_number, "crl_published": stands["crl_published"], "crl_next": stands["crl_next"],
            "delta_crls": false,
            "crl_numbers": estate.numbers.iter().map(|(place, number)| json!({ "place": place, "number": number })).collect::<Vec<_>>(),
            "hinders": estate.hinders.iter().map(lines).collect::<Vec<_>>(),
            "left": left().map(lines).collect::<Vec<_>>(),
            "notes": estate.notes,
            "urls": estate.urls.iter().map(|(url, count)| json!({ "url": url, "certificates": count })).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    output::line(if is_done { "Taken in:" } else { "Nothing is written. It would go so:" });
    let number = |value: &Value| value.as_u64().map_or_else(|| "none".to_owned(), |number| number.to_string());
    let found = estate.crl_number.map_or_else(|| "none".to_owned(), |number| number.to_string());
    let seen = match is_done {
        true => number(&stands["crl_published"]),
        false => format!("above {}", number(&json!(stands["crl_next"].as_u64().map(|next| next.saturating_sub(1))))),
    };
    output::facts(&[
        ("issuer", field(stands, "name")),
        ("subject", output::printable(&estate.subject)),
        ("source", output::printable(&estate.source)),
        ("source_sha256", hex(estate.sha256)),
        ("certificates", format!("{} new, {} here already", totals.certificates, totals.there)),
        ("revocations", format!("{} new, {} here already", totals.revocations, totals.revocations_there)),
        ("without_certificate", format!("{} of the revoked are known by their serial alone", estate.unseen.len())),
        ("highest_serial", estate.highest().map_or_else(|| "none".to_owned(), hex)),
        ("crl_number", format!("{found} there, {seen} here")),
        (
            "delta_crls",
            "none, for ever: it has one CRL that tells of everything; its successors may have some".to_owned(),
        ),
    ]);
    part("CRL numbers found", estate.numbers.iter().map(|(place, number)| format!("{place}: {number}")));
    let hinders = estate.hinders.iter().map(|left| format!("{}: {}", left.place, left.why));
    part("CRLs that cannot be read: nothing can be taken while they are there, whatever --leave-out says", hinders);
    part("Not taken", left().map(|left| format!("{}: {}", left.place, left.why)));
    part("Worth knowing", estate.notes.iter().cloned());
    let urls = estate.urls.iter().map(|(url, count)| format!("{url}: {count} certificates"));
    part("Its certificates point to these: have them answer from here (docs/IMPORT.md)", urls);
    Ok(())
}

fn part(title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    output::line(format!("\n{title}:"));
    let more = lines.len().saturating_sub(LINES_MAX);
    for line in lines.iter().take(LINES_MAX) {
        output::line(format!("  {}", output::printable(line)));
    }
    if more > 0 {
        output::line(format!("  and {more} more; --json has them all"));
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Well below what the server takes.
const REQUEST_BYTES_MAX: usize = 768 << 10;
/// What an item has beside its certificate.
const ITEM_BYTES: usize = 256;
/// Certificates between two lines of progress.
const PROGRESS: usize = 2_560;
const LINES_MAX: usize = 20;
