//! What entries refer to, asked for at once: one request, one entry of the log.

use std::collections::HashSet;

use delivery::Values;
use secrets::Reference;

use super::map::Words;
use crate::Global;
use crate::cmd::deliver::source::{Source, Sourced, Sourcing};
use crate::failure::{Exit, Failure};

/// What was fetched.
pub struct Opened(Values);

impl Opened {
    /// All of these, or why not.
    pub async fn fetch<'a>(
        wanted: impl IntoIterator<Item = &'a Reference>,
        sourcing: Sourcing,
        global: &Global,
    ) -> Result<Opened, Failure> {
        let wanted: HashSet<Reference> = wanted.into_iter().cloned().collect();
        delivery::be_quiet();
        if wanted.is_empty() {
            return Ok(Opened(Values::default()));
        }
        let source = Source::open(sourcing, global)?;
        let Sourced { fetched, from } = source.values(&wanted, &HashSet::new()).await?;
        from.notice(global.json);
        Ok(Opened(fetched.values))
    }

    /// What a reference stands for.
    pub fn value(&self, reference: &Reference) -> Result<&[u8], Failure> {
        let none = || Failure::new(Exit::Failed, format!("{reference} was not fetched"));
        self.0.get(reference).map(delivery::Value::expose).ok_or_else(none)
    }

    /// What words stand for.
    pub fn words<'a>(&'a self, words: &'a Words) -> Result<&'a [u8], Failure> {
        match words {
            Words::Plain(text) => Ok(text.as_bytes()),
            Words::Of(reference) => self.value(reference),
        }
    }

    /// What words stand for, where a line of text has to hold it: a break in it would be another line, which the program would believe.
    pub fn line<'a>(&'a self, words: &'a Words) -> Result<&'a str, Failure> {
        one_line(self.words(words)?, words.reference())
    }

    /// The same of a reference.
    pub fn secret_line(&self, reference: &Reference) -> Result<&str, Failure> {
        one_line(self.value(reference)?, Some(reference))
    }
}

fn one_line<'a>(bytes: &'a [u8], of: Option<&Reference>) -> Result<&'a str, Failure> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty() && !text.contains(['\n', '\r', '\0']));
    text.ok_or_else(|| {
        let name = of.map_or_else(|| "a text".to_owned(), ToString::to_string);
        Failure::new(Exit::Failed, format!("{name} is no line of text, which is all that this program can take"))
            .help("write it without line breaks: `chancery secret put`, or `chancery secret edit`")
    })
}
