//! How a register's recovery stands: its key, and how far everything is wrapped to it; the key it gets; a holder's share, proved alone.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use policy::{Action, Actor, Resource, ResourceKind};
use secrets::Vault;
use secrets::recovery::RecoveryKey;
use serde_json::{Value, json};

use super::{PLACE, public, shares};
use crate::Global;
use crate::client::Client;
use crate::cmd::files::{Outputs, PUBLIC, Standing};
use crate::failure::{Exit, Failure, OrFail};
use crate::house;
use crate::output::{self, field};

/// Shows it; with a file, writes the public half there.
pub async fn show(out: Option<PathBuf>, force: bool, global: &Global) -> Result<(), Failure> {
    let mut outputs = Outputs::new(force);
    let place = out.as_deref().map(|path| outputs.place(path, PUBLIC, Standing::Forced)).transpose()?;
    let there = global.client()?.get(PLACE).await?;
    if let Some(place) = place {
        let mut text =
            serde_json::to_string_pretty(&public::written(&key_of(&there)?)).or_fail("it cannot be written")?;
        text.push('\n');
        place.fill(text.as_bytes())?;
    }
    told(&there, global.json)
}

/// Takes the public half that a ceremony wrote; `here`: on the host itself, beside the server.
pub async fn take(file: PathBuf, here: bool, global: &Global) -> Result<(), Failure> {
    let key = public::of_file(&file)?;
    if !here {
        let taken = global.client()?.post(PLACE, &json!({ "key": public::written(&key)["key"] })).await?;
        return told(&taken, global.json);
    }
    let config = global.config()?;
    let (authority, _closing) = house::authority(&config, house::Way::Beside).await?;
    let on = Resource::plain(ResourceKind::Authority);
    let grant = authority.authorize(&Actor::system(ACTOR), Action::ManageAuthority, on).await;
    let grant = grant.or_exit(Exit::Refused, "the policies do not let the host take a recovery key")?;
    let vault = Vault::new(authority.ledger().clone(), Duration::ZERO);
    vault.take_recovery_key(&grant, &key).await.or_exit(Exit::Refused, "it is not taken")?;
    authority.checkpoint().await.or_fail("the log's head is not signed")?;
    authority.ledger().clone().close().await;
    match global.json {
        true => output::json(&public::written(&key)),
        false => output::line(format!("taken: {}; the running service wraps to it what is sealed", public::line(&key))),
    }
    Ok(())
}

/// Has everything looked at and wrapped, and waits until it is.
pub async fn wrap(global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    client.post(&format!("{PLACE}/wrap"), &json!({})).await?;
    let there = awaited(&client, global.json).await?;
    told(&there, global.json)?;
    match there["left"].as_u64() {
        Some(0) => Ok(()),
        left => Err(Failure::new(
            Exit::Findings,
            format!("the shares do not open {} sealed keys", left.map_or_else(String::new, |left| left.to_string())),
        )
        .help("each is named above with why")),
    }
}

async fn awaited(client: &Client, as_json: bool) -> Result<Value, Failure> {
    let line = match as_json {
        true => ProgressBar::hidden(),
        false => ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()),
    };
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} keys, {elapsed}, {eta} left") {
        line.set_style(style);
    }
    loop {
        let there = client.get(PLACE).await?;
        if let (Some(looked), Some(of)) = (there["looked"].as_u64(), there["of"].as_u64()) {
            line.set_length(of);
            line.set_position(looked);
        }
        if let Some(trouble) = there["trouble"].as_str() {
            line.finish_and_clear();
            return Err(Failure::new(Exit::Unavailable, format!("not everything is wrapped yet: {trouble}"))
                .help("the service tries again by itself; `chancery recovery show` says how it stands"));
        }
        if there["asked"] == false && there["wrapping"] == "done" {
            line.finish_and_clear();
            return Ok(there);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Whether what a holder types is a good share, and which.
pub async fn verify(file: Option<PathBuf>, is_shown: bool, global: &Global) -> Result<(), Failure> {
    let key = match file {
        Some(file) => public::of_file(&file)?,
        None => key_of(&global.client()?.get(PLACE).await?)?,
    };
    output::say(&format!("The recovery key: {}", public::line(&key)));
    output::say(&format!("Its fingerprint, as on the paper: {}", public::aloud(&key)));
    let typed = shares::typed("The share: ", is_shown)?;
    let typed = typed.ok_or_else(|| Failure::new(Exit::Usage, "no share was typed"))?;
    let number = key.verify(&typed).map_err(|why| shares::refusal(&why))?;
    match global.json {
        true => output::json(
            &json!({ "good": true, "number": number, "shares": key.shares(), "set": key.set().to_string() }),
        ),
        false => output::line(format!("share {number} of {} is good", key.shares())),
    }
    Ok(())
}

fn key_of(there: &Value) -> Result<RecoveryKey, Failure> {
    match there["key"].is_object() {
        true => public::read(&there["key"]),
        false => {
            Err(Failure::new(Exit::Failed, "this register has no recovery key")
                .help("chancery recovery ceremony --help"))
        }
    }
}

fn told(there: &Value, as_json: bool) -> Result<(), Failure> {
    if as_json {
        output::json(there);
        return Ok(());
    }
    let mut facts = vec![("log", field(there, "log"))];
    if there["key"].is_object() {
        let key = key_of(there)?;
        facts.extend([
            ("generation", key.generation().to_string()),
            ("shares", format!("any {} of {} open", key.threshold(), key.shares())),
            ("set", key.set().to_string()),
            ("fingerprint", public::aloud(&key)),
            ("taken", format!("by {} at {}", field(there, "taken_by"), field(there, "taken_at"))),
        ]);
    }
    let sealed = field(there, "sealed");
    let (looked, of) = (field(there, "looked"), field(there, "of"));
    facts.push(("sealed keys", sealed.clone()));
    facts.push((
        "wrapped",
        match (field(there, "wrapping").as_str(), there["left"].as_u64()) {
            ("no-key", _) => "none: there is no recovery key, and without the token all is lost".to_owned(),
            ("done", Some(0)) => "all: the shares open everything".to_owned(),
            ("done", Some(left)) => format!("all but {left}, which the shares do not open"),
            _ if !of.is_empty() => format!("not all yet: {looked} of {of} looked at"),
            _ => "not all yet: the shares do not open this register before that".to_owned(),
        },
    ));
    output::facts(&facts);
    for left in there["which"].as_array().into_iter().flatten() {
        output::line(format!("left: {}: {}", field(left, "id"), field(left, "why")));
    }
    if there["waits"].is_object() {
        output::line(waiting(&there["waits"]));
    }
    if let Some(at) = there["joined_at"].as_str() {
        output::line(format!(
            "its shares were joined in a machine at {at}: hold a new ceremony, `chancery recovery ceremony --online`"
        ));
    }
    if let Some(trouble) = there["trouble"].as_str() {
        output::line(format!("it did not go on: {trouble}"));
    }
    Ok(())
}

/// That a key waits for another administrator.
pub fn waiting(waits: &Value) -> String {
    format!(
        "generation {} waits: {} brought it, and another administrator brings it too before {}, `chancery recovery take FILE` ({})",
        field(waits, "generation"),
        field(waits, "by"),
        field(waits, "until"),
        ca::groups(&field(waits, "fingerprint"))
    )
}

/// Who acts on the host.
const ACTOR: &str = "rescue";
const ASK_EVERY: Duration = Duration::from_millis(300);
