//! Leases of SSH: a key and its certificate as files, where somebody names them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::over::is_over;
use super::{LEASES, role_path, shown};
use crate::Global;
use crate::client::Client;
use crate::cmd::files::{self, Input, Outputs, PUBLIC, Place, SECRET, Standing};
use crate::cmd::ssh::{Earlier, Kind, certificate_path, public_key};
use crate::failure::{Exit, Failure};
use crate::output::{self, field};
use crate::parts::span::Span;

/// Where a key is, or is to be.
#[derive(clap::Args)]
pub(in crate::cmd::secret) struct Keyed {
    /// Of SSH: the public key that is certified, instead of one that is drawn; the certificate is written beside it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Of SSH: where the private key is written, and its certificate as FILE-cert.pub; with --key the certificate alone, which may go to
    /// standard output (-)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace files that are no earlier certificate of this key for users, by a CA that is trusted now; a private key only where it is a
    /// leased one whose certificate, beside it, has ended
    #[arg(long)]
    force: bool,
}

impl Keyed {
    /// Asks for a user of a role, and writes what he shows. Places are taken first: nobody is asked for who could not be kept.
    pub(super) async fn get(
        self,
        role: &str,
        span: Option<Span>,
        client: &Client,
        global: &Global,
    ) -> Result<(), Failure> {
        let mut body = json!({"role": role, "secs": span.map(Span::secs)});
        let Keyed { key, out, force } = self;
        if key.is_none() && out.is_none() {
            let user = client.post(LEASES, &body).await?;
            told(&user, global);
            return Ok(());
        }
        if let (None, Some(out)) = (&key, &out)
            && files::is_stream(out)
        {
            let says = format!("{} is no file: the certificate would have no place beside the key", files::shown(out));
            return Err(
                Failure::new(Exit::Usage, says).help("name a file; without --out key and certificate are printed")
            );
        }
        is_of_hosts(role, client).await?;
        let (outputs, private, public) = match (key, out) {
            (Some(path), out) => {
                let input = Input::open(&path)?;
                let out = out.map_or_else(|| certificate_path(&path), Ok)?;
                let mut outputs = Outputs::new(force).reading(&input);
                let key = public_key(input)?;
                let earlier = Earlier::of(Kind::User, client).await?;
                let is_earlier = |there: &[u8]| earlier.is_of(&key, there);
                let place = outputs.place(&out, PUBLIC, Standing::Predecessor(&is_earlier))?;
                body["public_key"] = json!(key);
                (outputs, None, place)
            }
            (None, out) => {
                let out = out.unwrap_or_default();
                let mut outputs = Outputs::new(force);
                let beside = certificate_path(&out)?;
                let now = policy::World::real().now();
                let is_over = |key: &[u8]| {
                    files::read(&beside, CERTIFICATE_BYTES_MAX).is_ok_and(|certificate| is_over(key, &certificate, now))
                };
                let private = outputs.place(&out, SECRET, Standing::Over(&is_over))?;
                let public = outputs.place(&beside, PUBLIC, Standing::Forced)?;
                (outputs, Some(private), public)
            }
        };
        let mut user = client.post(LEASES, &body).await?;
        let mut facts = output::shown(&user, &["accounts", "until", "id"]);
        facts.push(output::written_to(private.as_ref().unwrap_or(&public)));
        if let Some(private) = private {
            filled(private, &field(&user, "private_key"), &user)?;
        }
        filled(public, &format!("{}\n", field(&user, "certificate").trim_end()), &user)?;
        // It is in its file, and nowhere else.
        user.as_object_mut().map(|user| user.remove("private_key"));
        output::report(&outputs, &facts, &user, global.json);
        Ok(())
    }
}

/// Writes the certificate of a lease that was renewed.
pub(super) async fn renew(
    url: &str,
    span: Option<Span>,
    (out, force): (Option<&Path>, bool),
    client: &Client,
    global: &Global,
) -> Result<(), Failure> {
    let body = json!({ "secs": span.map(Span::secs) });
    let Some(out) = out else {
        let lease = client.post(&format!("{url}/renew"), &body).await?;
        shown(&lease, &["id", "user", "until", "until_max"], global);
        if let (false, Some(certificate)) = (global.json, lease.get("certificate").and_then(Value::as_str)) {
            output::line(certificate);
        }
        return Ok(());
    };
    let lease = client.get(url).await?;
    let key = field(&lease, "public_key");
    if key.is_empty() {
        let says = "this lease has a password, and no certificate that could be written";
        return Err(Failure::new(Exit::Usage, says).help("renew it without --out"));
    }
    let earlier = Earlier::of(Kind::User, client).await?;
    let mut outputs = Outputs::new(force);
    let place = outputs.place(out, PUBLIC, Standing::Predecessor(&|there: &[u8]| earlier.is_of(&key, there)))?;
    let renewed = client.post(&format!("{url}/renew"), &body).await?;
    let mut facts = output::shown(&renewed, &["id", "until", "until_max"]);
    facts.push(output::written_to(&place));
    filled(place, &format!("{}\n", field(&renewed, "certificate").trim_end()), &renewed)?;
    output::report(&outputs, &facts, &renewed, global.json);
    Ok(())
}

/// A user on standard output: of SSH with his key, which is many lines.
fn told(user: &Value, global: &Global) {
    match (global.json, user.get("certificate").and_then(Value::as_str)) {
        (true, _) | (_, None) => shown(user, &["user", "password", "until", "id"], global),
        (false, Some(certificate)) => {
            output::facts(&output::shown(user, &["accounts", "until", "id"]));
            output::line(field(user, "private_key").trim_end());
            output::line(certificate);
        }
    }
}

/// Files are written of SSH alone: a password has none.
async fn is_of_hosts(role: &str, client: &Client) -> Result<(), Failure> {
    let path = role_path(role)?;
    let there = client.get(&format!("/api/v1/secret-lease-roles/{path}")).await?;
    match field(&there, "driver").as_str() {
        "ssh" => Ok(()),
        other => Err(Failure::new(Exit::Usage, format!("{role} is a role of {other}, whose users have passwords"))
            .help("ask without --key and --out")),
    }
}

fn filled(place: Place, text: &str, lease: &Value) -> Result<(), Failure> {
    place.fill(text.as_bytes()).map_err(|failure| {
        let id = field(lease, "id");
        failure.help(format!("nobody has it: `chancery secret lease revoke {id}`, and ask for another"))
    })
}

/// More than any certificate of OpenSSH has.
const CERTIFICATE_BYTES_MAX: u64 = 64 << 10;
