//! `chancery secret edit`: a person's own editor on a secret, in memory alone.
//!
//! The order: an editor and a folder in memory first, so that nothing is read that could not be worked on; then the version, which is an entry
//! of the log; then the editor. What is saved is written only upon the version that was opened. Whatever is wrong with it, the editor is
//! opened again with the text as it was saved and the reason on top; nobody loses what he wrote, and nothing is half-written.

mod base;
mod changes;
mod document;
mod editor;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use delivery::Desk;
use secrets::{FieldName, Reference, SecretPath};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::base::Base;
use self::changes::{Changes, merged};
use self::document::Document;
use self::editor::{Editor, Outcome};
use super::{path_of, told};
use crate::Global;
use crate::cmd::deliver::source::{Source, Sourcing};
use crate::failure::{Exit, Failure, OrFail};
use crate::files::{self, SECRET};
use crate::output;

pub(super) const EDIT: &str = "\
Examples:
  chancery secret edit prod/db
  chancery secret edit prod/db#password
  EDITOR='code --wait' chancery secret edit prod/db

The editor is $VISUAL, or $EDITOR, or vi; words are separated by spaces, and no shell stands between. It works on a file in memory, in a folder that goes with this command, even after kill -9. vim, nvim, nano and emacs are told to keep nothing elsewhere; of another editor's own copies nothing is known.

What is saved is the next version, if the one that was opened is still the newest. If somebody wrote meanwhile, or the server does not take it, the editor is opened again, with the reason on top and nothing lost; leave it without saving to give up. Unchanged or empty text, and an editor that ends with a failure, write nothing.

Fields that are no text, and references to other secrets, are not shown and stay as they are.";

/// An editor that changes nothing of what was refused is not opened for ever.
const OPENED_MAX: u32 = 32;
/// The head, with its reasons.
const HEAD_BYTES_MAX: u64 = 64 << 10;
/// In TOML a byte may be six.
const TEXT_BYTES_MAX: u64 = HEAD_BYTES_MAX + 6 * secrets::VALUE_BYTES_MAX as u64;

#[derive(clap::Args)]
pub(super) struct Edit {
    /// Where it stands, e.g. prod/billing/db; of one field: prod/billing/db#password
    #[arg(value_name = "PATH[#FIELD]")]
    what: String,
}

pub(super) async fn edit(args: Edit, global: &Global) -> Result<(), Failure> {
    let (path, field) = parse(&args.what)?;
    let editor = Editor::chosen();
    delivery::be_quiet();
    let desk =
        Desk::set_up(std::env::var_os("XDG_RUNTIME_DIR").as_deref()).or_fail("nothing can be edited in memory")?;
    let source = Source::open(Sourcing::default(), global)?;
    let base = Base::read(&source, &path).await?;
    let document = Document::of(&path, field, &base)?;
    let body = document.body(&base.shown)?;
    let mut sitting = Sitting { source, path, editor, desk, document, base, body, trouble: None };
    for _ in 0..OPENED_MAX {
        match sitting.turn().await? {
            Turn::Again => {}
            Turn::Unchanged => {
                output::notice("nothing was changed, and nothing is written", global.json);
                return Ok(());
            }
            Turn::Written(secret) => {
                told(&secret, global.json);
                return Ok(());
            }
        }
    }
    let ends = || Failure::new(Exit::Failed, "the editor was opened often enough, and nothing was written");
    Err(sitting.trouble.unwrap_or_else(ends))
}

/// One person at one secret.
struct Sitting {
    source: Source,
    path: SecretPath,
    editor: Editor,
    desk: Desk,
    document: Document,
    base: Base,
    /// The text below the head, as it was saved last.
    body: Zeroizing<String>,
    /// Why that was not taken.
    trouble: Option<Failure>,
}

/// What came of opening the editor once.
enum Turn {
    Again,
    Unchanged,
    Written(Value),
}

impl Sitting {
    async fn turn(&mut self) -> Result<Turn, Failure> {
        let file = self.desk.path().join(self.document.file_name());
        files::write(&file, &self.document.whole(&self.base, self.trouble.as_ref(), &self.body), SECRET)?;
        let before = stamp(&file)?;
        let outcome = self.editor.run(&file, self.desk.path()).await?;
        let is_saved = stamp(&file)? != before;
        let saved = self.document.text_of(&files::read(&file, TEXT_BYTES_MAX).map(Zeroizing::new)?);
        if outcome == Outcome::Crashed {
            return match editor::asks_again()? {
                true => {
                    self.body = saved.unwrap_or_else(|_| std::mem::take(&mut self.body));
                    Ok(Turn::Again)
                }
                false => Err(Failure::new(Exit::Failed, "the editor crashed, and nothing was written")),
            };
        }
        if saved.as_ref().is_ok_and(|saved| saved.trim().is_empty()) {
            return Err(Failure::new(Exit::Failed, "the text is empty, and nothing was written"));
        }
        let is_same = saved.as_ref().is_ok_and(|saved| **saved == *self.body);
        if let Some(failure) = self.trouble.take() {
            // What was refused is left as it is: a second answer would be the first.
            if !is_saved || (is_same && !may_pass(&failure)) {
                return Err(failure);
            }
        }
        let tried = match saved {
            Ok(saved) => {
                self.body = saved;
                self.write().await
            }
            Err(failure) => Err(failure),
        };
        match tried {
            Ok(Some(secret)) => Ok(Turn::Written(secret)),
            Ok(None) => Ok(Turn::Unchanged),
            Err(failure) => {
                self.trouble = Some(failure);
                Ok(Turn::Again)
            }
        }
    }

    /// Writes what the text says, upon the version that was opened; none where that says the same.
    async fn write(&mut self) -> Result<Option<Value>, Failure> {
        let fields = self.document.fields(&self.body)?;
        let only = self.document.field();
        let changes = Changes::between(&self.base, only, &fields)?;
        if changes.is_none() {
            return Ok(None);
        }
        let body = json!({"fields": changes.fields(), "remove": changes.removed, "expect": self.base.newest});
        match self.source.client().put(&format!("/api/v1/secrets/{}", self.path), &body).await {
            Ok(secret) => Ok(Some(secret)),
            Err(failure) if failure.is_conflict() => {
                let now = Base::read(&self.source, &self.path).await?;
                if now.newest == self.base.newest {
                    return Err(failure);
                }
                let (fields, both) = merged(&self.base, &now, only, &fields);
                self.body = self.document.body(&fields)?;
                self.base = now;
                Err(overtaken(&self.base, &both))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// `PATH` or `PATH#FIELD`, with `chy://` before it or not.
fn parse(text: &str) -> Result<(SecretPath, Option<FieldName>), Failure> {
    let text = text.strip_prefix(Reference::SCHEME).unwrap_or(text);
    let (path, field) = match text.split_once('#') {
        Some((path, field)) => (path, Some(field)),
        None => (text, None),
    };
    let path = path_of(path)?;
    Ok((path, field.map(str::parse).transpose().or_usage("no field is called that")?))
}

/// What tells that a file was saved, whatever was saved in it.
fn stamp(file: &Path) -> Result<(u64, i64, i64), Failure> {
    let metadata = file.symlink_metadata().or_fail("the editor took the text away, and nothing was written")?;
    if !metadata.is_file() {
        return Err(Failure::new(Exit::Failed, "what the editor left is no file, and nothing was written"));
    }
    Ok((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Whether the same may be taken later.
fn may_pass(failure: &Failure) -> bool {
    failure.exit() == Exit::Unavailable || failure.message().starts_with(OVERTAKEN)
}

const OVERTAKEN: &str = "another version was written meanwhile";

/// What whoever was overtaken has to know before he saves again.
fn overtaken(now: &Base, both: &[String]) -> Failure {
    let says = format!("{OVERTAKEN}: {} by {}", now.newest, now.by);
    let rest = "the fields that you left alone are as they are now";
    let failure = Failure::new(Exit::Failed, says).since(rest);
    match both {
        [] => failure.help("save to write yours upon it, or leave without saving"),
        _ => failure
            .since(format!("both of you changed {}: here is yours", both.join(", ")))
            .help("save to write yours over it, or leave without saving"),
    }
}
