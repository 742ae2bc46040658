//! `chancery lint`: what any certificate, CRL or OCSP response breaks, by the names of the lints. It asks nobody: no server, no
//! configuration, no network.

use std::path::{Path, PathBuf};

use ca::lint::{Finding, Judged, Lint, Severity, judge};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, OrFail};
use crate::output::{Paint, printable, whole, words};
use crate::{Global, files, output};

/// More than the largest CRL that is served here.
const FILE_MAX: u64 = 256 << 20;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  chancery lint first/cert.pem
  openssl s_client -showcerts -connect host:443 </dev/null | chancery lint -
  chancery lint --json --least error *.crl

Ends with exit code 5 where something was found that is at least as bad as --least. A draft of this service that breaks one of \
these lints, or one of those that hold its own drafts against grant, profile and issuer, is refused before the key is touched.")]
pub struct Args {
    /// Certificates, CRLs, OCSP responses: PEM or DER, one or many in a file; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "list")]
    files: Vec<PathBuf>,
    /// What counts as found, for the exit code; all is shown
    #[arg(long, value_enum, default_value_t = Least::Warning)]
    least: Least,
    /// Print every lint with its clauses instead, those of our own drafts too
    #[arg(long, conflicts_with = "files")]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Least {
    Notice,
    Warning,
    Error,
}

impl Least {
    fn is_met(self, severity: Severity) -> bool {
        match self {
            Least::Notice => true,
            Least::Warning => severity >= Severity::Warning,
            Least::Error => severity == Severity::Error,
        }
    }
}

/// Runs `chancery lint`.
pub fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    if args.list {
        list(global.json);
        return Ok(());
    }
    let mut judged = Vec::new();
    for path in &args.files {
        let bytes = files::read(path, FILE_MAX)?;
        let found = judge(&bytes).or_fail(format!("{} is not judged", files::shown(path)))?;
        judged.extend((1..).zip(found).map(|(place, one)| (path.as_path(), place, one)));
    }
    match global.json {
        true => output::json(&judged.iter().map(as_json).collect()),
        false => judged.iter().for_each(show),
    }
    let all = judged.iter().flat_map(|(_, _, one)| &one.findings);
    match all.filter(|finding| args.least.is_met(finding.lint.severity)).count() {
        0 => Ok(()),
        n => Err(Failure::new(Exit::Findings, format!("{n} finding(s) in {} object(s)", judged.len()))),
    }
}

type Placed<'a> = (&'a Path, usize, Judged);

fn show((path, place, judged): &Placed) {
    let count = match judged.findings.len() {
        0 => "clean".to_owned(),
        n => format!("{n} finding(s)"),
    };
    let name = if judged.name.is_empty() { "(unnamed)" } else { &judged.name };
    let place = format!("{}, object {place}", files::shown(path));
    output::line(printable(&format!("{place}: {} {name}: {count}", judged.kind.as_str())));
    let row = |finding: &Finding| {
        let detail = finding.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let says = printable(&format!("{}{detail}", finding.lint.says));
        let cells = [finding.lint.severity.as_str(), finding.lint.name, &says, &finding.lint.clauses.join(", ")];
        (paint(finding.lint.severity), cells.map(str::to_owned).to_vec())
    };
    let columns = [whole("SEVERITY"), whole("LINT"), words("WHAT IT SAYS"), words("CLAUSES")];
    if !judged.findings.is_empty() {
        output::painted(&columns, judged.findings.iter().map(row).collect(), "");
    }
}

fn paint(severity: Severity) -> Paint {
    match severity {
        Severity::Notice => Paint::Plain,
        Severity::Warning => Paint::Yellow,
        Severity::Error => Paint::Red,
    }
}

fn as_json((path, place, judged): &Placed) -> Value {
    let finding = |finding: &Finding| {
        let mut value = of_lint(finding.lint);
        value["detail"] = json!(finding.detail);
        value
    };
    json!({
        "file": path.to_string_lossy(),
        "object": place,
        "kind": judged.kind.as_str(),
        "name": judged.name,
        "findings": judged.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn of_lint(lint: &Lint) -> Value {
    json!({"lint": lint.name, "severity": lint.severity.as_str(), "says": lint.says, "clauses": lint.clauses})
}

fn list(as_json: bool) {
    if as_json {
        return output::json(&ca::all_lints().map(of_lint).collect());
    }
    let row = |lint: &Lint| {
        [lint.severity.as_str(), lint.name, lint.says, &lint.clauses.join(", ")].map(str::to_owned).to_vec()
    };
    let columns = [whole("SEVERITY"), whole("LINT"), words("WHAT IT SAYS WHERE IT DOES NOT HOLD"), words("CLAUSES")];
    output::table(&columns, ca::all_lints().map(row).collect(), "");
}
