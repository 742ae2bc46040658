//! A rehearsal: the same command, in a process of its own, on a SoftHSM2 token in a folder that goes away.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use policy::World;

use super::script::People;
use super::telling::Telling;
use super::{PeopleArgs, root};
use crate::cmd::files::{self, SECRET};
use crate::failure::{Exit, Failure, OrFail};
use crate::parts::span::span;

/// Where this process rehearses; none where it does not.
pub fn place() -> Option<PathBuf> {
    std::env::var_os(PLACE).filter(|place| !place.is_empty()).map(PathBuf::from)
}

/// Runs this very command again as a rehearsal, and clears away what it made.
pub fn run(module: Option<&Path>, telling: Telling) -> Result<(), Failure> {
    let module = module.unwrap_or(Path::new(SOFTHSM));
    if !module.file_name().is_some_and(|name| name.to_string_lossy().contains("softhsm")) {
        let says = format!("a rehearsal is done on SoftHSM2, and {} is another module", files::shown(module));
        return Err(Failure::new(Exit::Usage, says).help(format!("name {SOFTHSM} for the rehearsal")));
    }
    let mut luck = [0; 8];
    World::real().fill(&mut luck);
    let place = std::env::temp_dir().join(format!("chancery-rehearsal-{}", hex::encode(luck)));
    files::empty_folder(&place)?;
    let done = in_place(&place, telling);
    std::fs::remove_dir_all(&place).or_fail(format!("cannot clear {} away", files::shown(&place)))?;
    done
}

fn in_place(place: &Path, telling: Telling) -> Result<(), Failure> {
    files::folder(&place.join("tokens"))?;
    let conf = format!("directories.tokendir = {}\nobjectstore.backend = file\n", place.join("tokens").display());
    files::write(&place.join("softhsm2.conf"), conf.as_bytes(), SECRET)?;
    for pin in ["pin", "so-pin"] {
        files::write(&place.join(pin), b"12345678", SECRET)?;
    }
    let program = std::env::current_exe().or_fail("this program cannot be found")?;
    let mut again = Command::new(program);
    again.args(std::env::args_os().skip(1)).env(PLACE, place).env("SOFTHSM2_CONF", place.join("softhsm2.conf"));
    let ended = again.stdin(Stdio::inherit()).status().or_fail("the rehearsal does not start")?;
    telling.line("REHEARSAL  It is over, and its token is gone.");
    match ended.success() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, "the rehearsal did not come to its end")),
    }
}

/// The arguments of a root's ceremony, in a rehearsal those of a throw-away one.
pub fn root(mut args: root::Args) -> root::Args {
    if let Some(place) = place() {
        args.dir = place.join("root");
        args.token_label = "rehearsal".to_owned();
        args.pin_file = Some(place.join("pin"));
        args.create_token = Some(place.join("so-pin"));
    }
    args
}

/// A throw-away root without a script, for the rehearsal of what comes after it: made by the people who made the real one, where that is there,
/// so that whoever is named now stands beside them as at the ceremony itself.
pub async fn found(place: &Path, dir: &Path, telling: Telling) -> Result<(), Failure> {
    let People { operators, quorum } = match dir.exists() {
        true => {
            let founding = root::founding(dir)?;
            People { operators: founding.operators, quorum: founding.quorum }
        }
        false => People { operators: vec!["One".to_owned(), "Two".to_owned()], quorum: 2 },
    };
    let telling = match telling {
        Telling::Text => Telling::Text,
        Telling::Json | Telling::Aside => Telling::Aside,
    };
    let steps = ["people: yes", "witness: none", "network: yes", "program: yes", "token: yes", "time: yes"];
    let confirmed = operators.iter().take(quorum).enumerate().map(|(at, name)| format!("confirm-{}: {name}", at + 1));
    let answers: Vec<String> = steps.into_iter().map(str::to_owned).chain(confirmed).collect();
    let file = place.join("root-answers");
    files::write(&file, (answers.join("\n") + "\nfingerprint: yes\n").as_bytes(), SECRET)?;
    let days = |text| span(text).map_err(|why| Failure::new(Exit::Failed, why));
    let args = root(root::Args {
        dir: place.join("root"),
        module: SOFTHSM.into(),
        token_label: String::new(),
        pin_file: None,
        create_token: None,
        organization: "Rehearsal".to_owned(),
        key: "p256".to_owned(),
        validity: days("7300d")?,
        path_len: 2,
        crl_valid_for: days("365d")?,
        http_base: "http://rehearsal.invalid".to_owned(),
        people: PeopleArgs { operators, quorum: Some(quorum), answers: Some(file), rehearse: true, telling },
    });
    root::run(&args).await
}

const PLACE: &str = "CHANCERY_REHEARSAL";
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
