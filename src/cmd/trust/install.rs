//! `chancery trust install`, `uninstall`: what will be done and for which fingerprint is said first, and asked.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Parser;
use serde_json::{Value, json};

use super::files::{self, Outputs, PUBLIC, Standing};
use super::show;
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;
use crate::trust::{self, Anchor, Fingerprint, GoOn, Home, Step, Store};

pub const AFTER: &str = "\
Examples:
  chancery trust install ./my-ca/roots.pem
  chancery trust install roots.pem --fingerprint 3F:0B:...
  chancery trust install roots.pem --java cacerts --nss ~/.pki/nssdb --yes
  chancery trust install roots.pem --root /mnt/image --dry-run

The system's store is found by what updates it: update-ca-certificates (Debian), update-ca-trust (RHEL), the keychain (macOS). \
What is installed bears the fingerprint in its name; nothing else is touched.";

pub const AFTER_UNINSTALL: &str = "\
Example:
  chancery trust uninstall ./my-ca/roots.pem --nss ~/.pki/nssdb

Only what `chancery trust install` has put there goes away, and only where it is still that root.";

#[derive(Parser)]
pub struct Args {
    /// A file with roots; by default those that client.toml or --cacert names
    file: Option<PathBuf>,
    /// Only the root with this SHA-256, which is not asked about again
    #[arg(long, value_name = "SHA256", value_parser = trust::fingerprint)]
    fingerprint: Vec<Fingerprint>,
    /// The system's store; meant where no other is named
    #[arg(long)]
    system: bool,
    /// A Java keystore (JKS or PKCS#12)
    #[arg(long, value_name = "KEYSTORE")]
    java: Vec<PathBuf>,
    /// File with its password, where that is not `changeit`
    #[arg(long, value_name = "FILE", requires = "java")]
    java_password: Option<PathBuf>,
    /// A folder with an NSS database (cert9.db)
    #[arg(long, value_name = "DIR")]
    nss: Vec<PathBuf>,
    /// The system is an image in this folder
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Install,
    Uninstall,
}

/// Runs `chancery trust install` or `uninstall`.
pub fn run(args: &Args, global: &Global, act: Act) -> Result<(), Failure> {
    let found = show::of_file(args.file.clone(), global)?;
    let chosen = chosen(&found, &args.fingerprint)?;
    perform(args, &chosen, act, args.yes || !args.fingerprint.is_empty(), global.json)
}

/// Into the system's store, after `bootstrap` has compared the fingerprint.
pub fn into_system(anchors: &[Anchor], as_json: bool) -> Result<(), Failure> {
    let args = Args {
        file: None,
        fingerprint: Vec::new(),
        system: true,
        java: Vec::new(),
        java_password: None,
        nss: Vec::new(),
        root: "/".into(),
        yes: true,
        dry_run: false,
    };
    perform(&args, &anchors.iter().collect::<Vec<_>>(), Act::Install, true, as_json)
}

/// The roots with these fingerprints, each of which must be there; all where none is named.
fn chosen<'a>(found: &'a [Anchor], wanted: &[Fingerprint]) -> Result<Vec<&'a Anchor>, Failure> {
    if wanted.is_empty() {
        return Ok(found.iter().collect());
    }
    let one = |wanted: &Fingerprint| {
        let there = found.iter().find(|anchor| anchor.fingerprint == *wanted);
        there.ok_or_else(|| {
            Failure::new(Exit::Refused, "no root with this fingerprint is there").since(wanted.to_string())
        })
    };
    wanted.iter().map(one).collect()
}

fn perform(args: &Args, anchors: &[&Anchor], act: Act, agreed: bool, as_json: bool) -> Result<(), Failure> {
    let home = Home(absolute(&args.root)?);
    let mut steps = Vec::new();
    for store in stores(args, &home)? {
        steps.extend(match act {
            Act::Install => trust::install(&home, &store, anchors),
            Act::Uninstall => trust::uninstall(&home, &store, anchors),
        });
    }
    let told = |line: &str| if as_json { output::say(line) } else { output::line(line) };
    let verb = if act == Act::Install { "trusted from now on" } else { "trusted no more" };
    for anchor in anchors {
        told(&format!("{verb}: {} (until {})", output::printable(&anchor.subject), anchor.not_after));
        told(&format!("  SHA-256 {}", anchor.fingerprint));
    }
    steps.iter().for_each(|step| told(&format!("  {}", output::printable(&step.to_string()))));
    let done = !args.dry_run;
    if done {
        if !agreed {
            ask(act)?;
        }
        execute(&steps, as_json)?;
    }
    if as_json {
        let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
        output::json(&json!({
            "roots": anchors.iter().map(|anchor| show::as_json(anchor)).collect::<Value>(), "steps": steps, "done": done,
        }));
    } else {
        output::line(if done { "done" } else { "nothing was done" });
    }
    Ok(())
}

/// The stores that were named, each of which has to be there.
fn stores(args: &Args, home: &Home) -> Result<Vec<Store>, Failure> {
    let mut stores = Vec::new();
    if args.system || (args.java.is_empty() && args.nss.is_empty()) {
        let missing = || {
            Failure::new(Exit::Failed, "no store of the system is known here")
                .help("Debian's ca-certificates or RHEL's ca-certificates with update-ca-trust have to be installed; or name --java, --nss")
        };
        stores.push(home.system().ok_or_else(missing)?);
    }
    for keystore in &args.java {
        if !keystore.is_file() {
            return Err(Failure::new(Exit::Failed, format!("there is no keystore {}", files::shown(keystore)))
                .help("Debian's is /etc/ssl/certs/java/cacerts, a JDK's lib/security/cacerts"));
        }
        stores.push(Store::Java(absolute(keystore)?, args.java_password.as_deref().map(absolute).transpose()?));
    }
    for folder in &args.nss {
        if !folder.join("cert9.db").is_file() {
            let says = format!("there is no NSS database in {}", files::shown(folder));
            return Err(Failure::new(Exit::Failed, says).help(
                "Chromium's is ~/.pki/nssdb, Firefox's the folder of its profile; certutil -N -d sql:DIR makes one",
            ));
        }
        stores.push(Store::Nss(absolute(folder)?));
    }
    Ok(stores)
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().or_fail(format!("cannot find {}", files::shown(path)))
}

fn ask(act: Act) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    let refuse = |says: &str| {
        Failure::new(Exit::Refused, says)
            .help("compare the fingerprint with one from elsewhere, then give it with --fingerprint, or say --yes")
    };
    if !stdin.is_terminal() {
        return Err(refuse("nobody is there to agree"));
    }
    let what =
        if act == Act::Install { "Is this the fingerprint that you were given? [yes/no] " } else { "Go on? [yes/no] " };
    let mut out = std::io::stderr();
    let _ = out.write_all(what.as_bytes()).and_then(|()| out.flush());
    let mut line = String::new();
    stdin.lock().read_line(&mut line).or_fail("cannot read the answer")?;
    match line.trim() {
        "yes" => Ok(()),
        _ => Err(refuse("nothing was done")),
    }
}

fn execute(steps: &[Step], as_json: bool) -> Result<(), Failure> {
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        match step {
            Step::Write { path, pem } => write(path, pem, as_json)?,
            Step::Remove { path, pem } => remove(path, pem, as_json)?,
            Step::Run { program, args, stdin } => drop(output_of(program, args, stdin.as_deref())?),
            Step::Unnamed { database, name, der } => {
                if let Some(other) = named(database, der)?.filter(|found| found != name) {
                    let says = format!("the root is there as `{}`, and was left alone", output::printable(&other));
                    return Err(Failure::new(Exit::Failed, says).help(format!(
                        "certutil -D -d {database} -n '{}' takes it out; certutil -M with -t C,, trusts it there",
                        output::printable(&other)
                    )));
                }
            }
            Step::Ask { program, args, der, go_on } => {
                let there = entry(program, args)?;
                if there.as_ref().is_some_and(|there| there != der) {
                    let says = "the entry of this name is another certificate, and was left alone";
                    return Err(Failure::new(Exit::Failed, says).since(step.to_string()));
                }
                if there.is_some() != (*go_on == GoOn::There) {
                    output::notice(if there.is_some() { "it is there already" } else { "it is not there" }, as_json);
                    steps.next();
                }
            }
        }
    }
    Ok(())
}

fn write(path: &Path, pem: &str, as_json: bool) -> Result<(), Failure> {
    if std::fs::symlink_metadata(path).is_ok() && is_own(path, pem)? {
        output::notice(&format!("{} is there already", files::shown(path)), as_json);
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        files::folder(folder)?;
    }
    Outputs::new(false).place(path, PUBLIC, Standing::Never)?.fill(pem.as_bytes())
}

fn remove(path: &Path, pem: &str, as_json: bool) -> Result<(), Failure> {
    if std::fs::symlink_metadata(path).is_err() {
        output::notice(&format!("{} is not there", files::shown(path)), as_json);
        return Ok(());
    }
    if !is_own(path, pem)? {
        let says = format!("{} is no longer what was installed, and was left alone", files::shown(path));
        return Err(Failure::new(Exit::Failed, says));
    }
    std::fs::remove_file(path).or_fail(format!("cannot remove {}", files::shown(path)))
}

/// Whether a file is a regular one with exactly this in it.
fn is_own(path: &Path, pem: &str) -> Result<bool, Failure> {
    let about = std::fs::symlink_metadata(path).or_fail(format!("cannot look at {}", files::shown(path)))?;
    Ok(about.is_file() && about.len() == pem.len() as u64 && files::read(path, pem.len() as u64)? == pem.as_bytes())
}

/// What the program has under the name; none where it has nothing.
fn entry(program: &str, args: &[String]) -> Result<Option<Vec<u8>>, Failure> {
    let output =
        Command::new(program).args(args).stdin(Stdio::null()).output().or_fail(format!("cannot run {program}"))?;
    Ok(output.status.success().then_some(output.stdout))
}

/// Under which name an NSS database has the certificate.
fn named(database: &str, der: &[u8]) -> Result<Option<String>, Failure> {
    let listed = output_of("certutil", &["-L", "-d", database].map(str::to_owned), None)?;
    for line in String::from_utf8_lossy(&listed).lines() {
        // `a name   CT,C,c`; what is no such line is the name of nothing.
        let Some((name, _)) = line.trim_end().rsplit_once(' ') else { continue };
        let name = name.trim_end().to_owned();
        let args = ["-L", "-d", database, "-n", &name, "-r"].map(str::to_owned);
        if !name.is_empty() && entry("certutil", &args)?.is_some_and(|there| there == der) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn output_of(program: &str, args: &[String], stdin: Option<&str>) -> Result<Vec<u8>, Failure> {
    let said = format!("cannot run {program}");
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().or_fail(said.clone())?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        // A program that wants nothing to read says so by itself.
        let _ = pipe.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().or_fail(said)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let says = [output.stdout, output.stderr].concat();
    let says = String::from_utf8_lossy(&says);
    let last: Vec<_> = says.lines().rev().take(SAID_LINES_MAX).collect();
    let failure = Failure::new(Exit::Failed, format!("{program} failed: {}", output.status));
    Err(last.into_iter().rev().fold(failure, |failure, line| failure.since(line)))
}

/// Lines of a program that failed.
const SAID_LINES_MAX: usize = 5;
