//! The script of a ceremony: numbered steps, each shown, answered and written down before the next one is.
//!
//! What was answered lies in a file beside the register until the transcript is whole. Interrupted anywhere, the same command goes on:
//! steps that were answered are not asked again, and what they confirmed has to be what is shown now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ca::{Authority, Step, Transcript, groups};
use policy::{Actor, World};
use serde_json::json;

use super::answers::Answers;
use super::telling::Telling;
use crate::cmd::files::{self, PUBLIC};
use crate::failure::{Exit, Failure, OrFail};
use crate::output;

/// Who is there.
#[derive(Clone, Debug)]
pub struct People {
    /// Who may confirm, each by name.
    pub operators: Vec<String>,
    /// How many have to.
    pub quorum: usize,
}

impl People {
    /// Refuses what is no quorum; `least` is how many the root was made with.
    pub fn check(&self, least: usize) -> Result<(), Failure> {
        let refuse =
            |says: String| Err(Failure::new(Exit::Refused, says).help("docs/CEREMONY.md says who has to be there"));
        for (at, name) in self.operators.iter().enumerate() {
            if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || policy::hidden(name).is_some() {
                return refuse(format!("{} is no name that can be read aloud", output::printable(name)));
            }
            let again = self.operators.iter().take(at).any(|other| other.trim().eq_ignore_ascii_case(name.trim()));
            if again {
                return refuse(format!("{name} is named twice: an operator is one person"));
            }
        }
        match self.quorum {
            quorum if quorum < least => refuse(format!("a quorum of {quorum} is too small: {least} have to confirm")),
            quorum if quorum > self.operators.len() => {
                refuse(format!("a quorum of {quorum} cannot be reached by {} operators", self.operators.len()))
            }
            _ => Ok(()),
        }
    }
}

/// What a step takes for an answer.
pub enum Wants<'a> {
    /// `yes`.
    Yes,
    /// Something that is not empty.
    Words,
    /// What stands on paper: these characters, whatever the spaces and the case.
    Paper(&'a str),
    /// The name of an operator who has not confirmed yet.
    Operator,
}

/// A ceremony that goes on.
pub struct Script {
    /// Where it is kept until it is whole; none of a ceremony of which nothing is.
    journal: Option<PathBuf>,
    transcript: Transcript,
    answers: Answers,
    telling: Telling,
    world: World,
    /// The step that comes.
    at: usize,
}

impl Script {
    /// Begins, or goes on with what was interrupted.
    pub fn begin(
        dir: &Path,
        kind: &str,
        (asked, people): (BTreeMap<String, String>, &People),
        (answers, rehearsal, telling): (Answers, bool, Telling),
    ) -> Result<Script, Failure> {
        let world = World::real();
        let folder = folder(dir);
        files::private_folder(&folder)?;
        if let Some(journal) = open_journal(&folder)? {
            let mut transcript = read_journal(&journal)?;
            same(&transcript, kind, &asked, people, &journal)?;
            let done = transcript.steps.len();
            transcript.continued.push(world.now());
            let script = Script { journal: Some(journal), transcript, answers, telling, world, at: 0 };
            script.say(&format!("Ceremony {} was interrupted after step {done}; it goes on.", script.name()));
            return Ok(script);
        }
        let ceremony = format!("{:03}-{kind}", finished(&folder)?.len() + 1);
        let mut transcript = begun(&ceremony, kind, rehearsal, &world);
        (transcript.operators, transcript.quorum) = (people.operators.clone(), people.quorum);
        transcript.asked = asked;
        let journal = Some(folder.join(format!("{ceremony}{OPEN}")));
        let script = Script { journal, transcript, answers, telling, world, at: 0 };
        script.save()?;
        script.say(&format!("Ceremony {ceremony}. Each step is read aloud, looked at, and confirmed. Nothing is signed before the quorum."));
        Ok(script)
    }

    /// Begins one of which nothing is kept: broken off, it is begun anew.
    pub fn unkept(kind: &str, (answers, rehearsal, telling): (Answers, bool, Telling)) -> Script {
        let world = World::real();
        let transcript = begun(kind, kind, rehearsal, &world);
        Script { journal: None, transcript, answers, telling, world, at: 0 }
    }

    /// Which one.
    pub fn name(&self) -> &str {
        &self.transcript.ceremony
    }

    /// Whether all steps were done before, and what is left is to write it down.
    pub fn made(&self, name: &str) -> Option<&String> {
        self.transcript.made.get(name)
    }

    /// Shows a step and waits for its answer.
    pub fn step(&mut self, id: &str, says: Vec<String>, question: &str, wants: Wants<'_>) -> Result<String, Failure> {
        let number = self.at + 1;
        self.say(&format!("\n{number}. {id}"));
        for line in &says {
            self.say(&format!("   {line}"));
        }
        if let Some(done) = self.transcript.steps.get(self.at) {
            let (answer, at) = (done.answer.clone(), done.at);
            // The time is another, and which cables are in; everything else is what was confirmed.
            let is_same = done.id == id && (done.says == says || PASSING.contains(&id));
            if !is_same {
                return Err(
                    self.changed(&format!("step {number} ({id}) shows something else than what was confirmed at {at}"))
                );
            }
            if let Some(other) = self.answers.contradicts(id, &answer)? {
                return Err(self.changed(&format!(
                    "step {number} ({id}) was answered `{}` at {at}, and now `{}`",
                    output::printable(&answer),
                    output::printable(&other)
                )));
            }
            self.say(&format!("   > {answer}   (at {at})"));
            self.at += 1;
            return Ok(answer);
        }
        let answer = self.ask(id, question, &wants)?;
        self.transcript.steps.push(Step { id: id.to_owned(), says, answer: answer.clone(), at: self.world.now() });
        self.save()?;
        self.at += 1;
        Ok(answer)
    }

    /// Waits for the names of so many operators as are the quorum.
    pub fn quorum(&mut self, says: &[String]) -> Result<(), Failure> {
        for number in 1..=self.transcript.quorum {
            let quorum = self.transcript.quorum;
            let says = [says, &[format!("Confirmation {number} of {quorum}.")]].concat();
            self.step(&format!("confirm-{number}"), says, "An operator who agrees types the name", Wants::Operator)?;
        }
        Ok(())
    }

    fn ask(&mut self, id: &str, question: &str, wants: &Wants<'_>) -> Result<String, Failure> {
        let mut tries = 0;
        loop {
            let prompt = match wants {
                Wants::Yes => format!("{question} [yes]"),
                Wants::Words | Wants::Paper(_) | Wants::Operator => question.to_owned(),
            };
            let done = self.transcript.steps.len();
            let answer = self.answers.next(id, &self.worded(&format!("   {prompt} > ")), done)?;
            let why = match self.check(&answer, wants) {
                Ok(()) => {
                    self.transcript.automatic |= !self.answers.is_interactive();
                    return Ok(answer);
                }
                Err(why) => why,
            };
            tries += 1;
            if !self.answers.is_interactive() || tries == TRIES {
                let says = format!("step {} ({id}) is not confirmed: {why}", self.at + 1);
                return Err(Failure::new(Exit::Refused, says)
                    .help("nothing was done by it; give the same command again to go on from this step"));
            }
            self.say(&format!("   {why}"));
        }
    }

    fn check(&self, answer: &str, wants: &Wants<'_>) -> Result<(), String> {
        let shown = output::printable(answer);
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        if answer.len() > NAME_BYTES_MAX || policy::hidden(answer).is_some() {
            return Err("it is no line that can be read".to_owned());
        }
        match wants {
            Wants::Yes if answer.eq_ignore_ascii_case("yes") => Ok(()),
            Wants::Yes => Err(format!("`{shown}` is not yes")),
            Wants::Words if !answer.is_empty() => Ok(()),
            Wants::Words => Err("there is nothing in it".to_owned()),
            Wants::Paper(paper) if plain(answer) == plain(paper) => Ok(()),
            Wants::Paper(_) => {
                Err(format!("`{shown}` is not what is shown here: the paper is another's, or the file is"))
            }
            Wants::Operator => {
                let confirmed = self.transcript.steps.iter().filter(|step| step.id.starts_with("confirm-"));
                if confirmed.into_iter().any(|step| step.answer == answer) {
                    return Err(format!("{shown} has confirmed: a name confirms once"));
                }
                match self.transcript.operators.iter().any(|name| name == answer) {
                    true => Ok(()),
                    false => {
                        Err(format!("{shown} is none of the operators ({})", self.transcript.operators.join(", ")))
                    }
                }
            }
        }
    }

    /// What was made, for the transcript; kept at once.
    pub fn note(&mut self, facts: impl IntoIterator<Item = (&'static str, String)>) -> Result<(), Failure> {
        self.transcript.made.extend(facts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.save()
    }

    /// The end: the transcript in its two forms, its hash a leaf of the register, and the log's head signed. Says what to carry away.
    pub async fn finish(mut self, authority: &Authority, carry: &str) -> Result<(), Failure> {
        if self.transcript.ended.is_none() {
            self.transcript.ended = Some(self.world.now());
            self.save()?;
        }
        let hash = self.transcript.sha256();
        if !self.transcript.rehearsal {
            let recorded = authority.record_transcript(&Actor::system(ACTOR), &self.transcript).await;
            recorded.or_fail("the transcript's hash is not in the log")?;
        }
        authority.checkpoint().await.or_fail("the log's head is not signed")?;
        let Some(journal) = self.journal.clone() else { return Ok(()) };
        let folder = journal.parent().unwrap_or(Path::new(".")).to_owned();
        let name = self.transcript.ceremony.clone();
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        files::write(&file("txt"), self.transcript.text().as_bytes(), PUBLIC)?;
        files::write(&file("json"), self.transcript.canonical().as_bytes(), PUBLIC)?;
        std::fs::remove_file(&journal).or_fail(format!("cannot remove {}", files::shown(&journal)))?;
        self.say(&format!("\nDone. The transcript: {} and .txt", files::shown(&file("json"))));
        self.say("Its SHA-256, for everybody's paper:");
        self.say(&format!("   {}", groups(&hash)));
        self.say(&format!("To be carried to the online server: {carry}"));
        if self.telling == Telling::Json {
            let Transcript { ceremony, kind, rehearsal, automatic, begun, ended, operators, quorum, made, .. } =
                &self.transcript;
            output::json(&json!({
                "ceremony": ceremony, "kind": kind, "rehearsal": rehearsal, "automatic": automatic, "begun": begun, "ended": ended,
                "operators": operators, "quorum": quorum, "made": made, "carry": carry,
                "transcript": files::shown(&file("json")).to_string(), "transcript_sha256": hash,
            }));
        }
        Ok(())
    }

    /// Says a line.
    pub fn say(&self, text: &str) {
        self.telling.line(&self.worded(text));
    }

    /// With a word on each line where it is a rehearsal.
    fn worded(&self, text: &str) -> String {
        match self.transcript.rehearsal {
            true => text.split('\n').map(|line| format!("REHEARSAL  {line}")).collect::<Vec<_>>().join("\n"),
            false => text.to_owned(),
        }
    }

    fn changed(&self, says: &str) -> Failure {
        let journal = self.journal.as_deref().map(files::shown).unwrap_or_default();
        Failure::new(Exit::Refused, says.to_owned())
            .help(format!("what was confirmed is not changed afterwards; to begin anew move {journal} away"))
    }

    fn save(&self) -> Result<(), Failure> {
        match &self.journal {
            Some(journal) => files::write(journal, self.transcript.canonical().as_bytes(), PUBLIC),
            None => Ok(()),
        }
    }
}

/// A transcript of which nothing is written yet.
fn begun(ceremony: &str, kind: &str, rehearsal: bool, world: &World) -> Transcript {
    Transcript {
        format: Transcript::FORMAT.to_owned(),
        ceremony: ceremony.to_owned(),
        kind: kind.to_owned(),
        rehearsal,
        automatic: false,
        begun: world.now(),
        ended: None,
        operators: Vec::new(),
        quorum: 0,
        asked: BTreeMap::new(),
        continued: Vec::new(),
        steps: Vec::new(),
        made: BTreeMap::new(),
    }
}

/// Where the transcripts lie.
pub fn folder(dir: &Path) -> PathBuf {
    dir.join("transcripts")
}

/// The transcripts that are whole, by name.
pub fn finished(folder: &Path) -> Result<Vec<Transcript>, Failure> {
    let mut found = Vec::new();
    for path in names(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".json") && !name.ends_with(OPEN) {
            found.push(read_journal(&path)?);
        }
    }
    Ok(found)
}

fn open_journal(folder: &Path) -> Result<Option<PathBuf>, Failure> {
    Ok(names(folder)?.into_iter().find(|path| path.to_string_lossy().ends_with(OPEN)))
}

fn names(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut names = files::deciding_folder(folder)?;
    names.sort();
    Ok(names)
}

fn read_journal(path: &Path) -> Result<Transcript, Failure> {
    let bytes = files::read(path, Transcript::BYTES_MAX as u64)?;
    Transcript::read(&bytes).map_err(|why| Failure::new(Exit::Failed, format!("{}: {why}", files::shown(path))))
}

/// Refuses to go on with another ceremony than the one that was begun.
fn same(
    there: &Transcript,
    kind: &str,
    asked: &BTreeMap<String, String>,
    people: &People,
    journal: &Path,
) -> Result<(), Failure> {
    let mut differs: Vec<String> = Vec::new();
    if there.kind != kind {
        differs.push(format!("it is one of {}", there.kind));
    }
    for (name, value) in asked.iter().filter(|(name, value)| there.asked.get(*name) != Some(value)) {
        let before = there.asked.get(name).map_or("nothing", String::as_str);
        differs.push(format!("{name} was {before}, and is {value}"));
    }
    if there.operators != people.operators || there.quorum != people.quorum {
        differs.push(format!("its operators are {}, its quorum {}", there.operators.join(", "), there.quorum));
    }
    if differs.is_empty() {
        return Ok(());
    }
    let says =
        format!("ceremony {} was begun at {} and is not ended: {}", there.ceremony, there.begun, differs.join("; "));
    Err(Failure::new(Exit::Refused, says).help(format!(
        "give its own command again to go on with it; to give it up move {} away",
        files::shown(journal)
    )))
}

/// Who acts, by what a quorum confirmed.
pub const ACTOR: &str = "ceremony";
/// The end of the name of what is not whole yet.
const OPEN: &str = ".open.json";
/// Steps that show what passes.
const PASSING: [&str; 2] = ["time", "network"];
/// A name, a line.
const NAME_BYTES_MAX: usize = 200;
/// Slips of who types.
const TRIES: u8 = 3;
