//! docs/CPS.md against the tables of lints: each clause is held by a lint or by construction, and nothing there is made up.
//! `UPDATE_GOLDEN=1` writes its lines of lints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A clause: its number and its lines.
struct Clause<'a> {
    number: &'a str,
    lines: Vec<&'a str>,
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CPS.md")
}

fn clauses(text: &str) -> Vec<Clause<'_>> {
    let mut found: Vec<Clause> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let number = heading.split(' ').next().unwrap();
            found.push(Clause { number, lines: Vec::new() });
        } else if line.starts_with("## ") {
            // Between the clauses.
            found.push(Clause { number: "", lines: Vec::new() });
        } else if let Some(clause) = found.last_mut() {
            clause.lines.push(line);
        }
    }
    found.retain(|clause| !clause.number.is_empty());
    found
}

/// Each clause of ours that lints cite, with their names in the order of the tables.
fn cited() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut cited: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for lint in ca::all_lints() {
        for clause in lint.clauses.iter().filter_map(|clause| clause.strip_prefix("CPS ")) {
            cited.entry(clause).or_default().push(lint.name);
        }
    }
    cited
}

/// The page with its lines of lints written anew: the last thing of a clause.
fn written(text: &str) -> String {
    let cited = cited();
    let mut out: Vec<String> = Vec::new();
    let mut due: Option<String> = None;
    let lines = text.lines().filter(|line| !line.starts_with("Lints: ")).chain(["## end"]);
    for line in lines {
        if line.starts_with('#') {
            while out.last().is_some_and(String::is_empty) {
                out.pop();
            }
            out.extend(due.take().into_iter().flat_map(|lints| [String::new(), lints]));
            out.push(String::new());
        }
        if let Some(heading) = line.strip_prefix("### ") {
            let number = heading.split(' ').next().unwrap();
            due = cited.get(number).map(|names| format!("Lints: `{}`", names.join("`, `")));
        }
        out.push(line.to_owned());
    }
    let text = out.join("\n");
    text.trim_start().trim_end_matches("## end").trim_end().to_owned() + "\n"
}

#[test]
fn each_clause_of_the_statement_is_held_by_a_lint_or_by_construction() {
    let text = std::fs::read_to_string(page()).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(page(), written(&text)).unwrap();
    }
    let text = std::fs::read_to_string(page()).unwrap();
    assert!(text == written(&text), "its lines of lints are not the tables': UPDATE_GOLDEN=1 writes them");

    let clauses = clauses(&text);
    let numbers: Vec<&str> = clauses.iter().map(|clause| clause.number).collect();
    let missing: Vec<_> = cited().into_keys().filter(|cited| !numbers.contains(cited)).collect();
    assert!(missing.is_empty(), "lints cite clauses that are not there: {missing:?}");
    for clause in &clauses {
        let held =
            clause.lines.iter().any(|line| line.starts_with("Lints: ") || line.starts_with("By construction: ["));
        assert!(held, "clause {} is held by nothing", clause.number);
        for link in clause.lines.iter().flat_map(|line| line.split("](").skip(1)) {
            let path = link.split(')').next().unwrap();
            assert!(page().parent().unwrap().join(path).exists(), "clause {}: nothing at {path}", clause.number);
        }
    }
    let held = |how: &str| clauses.iter().filter(|c| c.lines.iter().any(|line| line.starts_with(how))).count();
    assert!(held("Lints: ") > 20 && held("By construction: ") > 15, "the page could not be read");
}
