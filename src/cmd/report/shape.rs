//! What the parts of the report are, and one of its forms: an object.

use serde_json::{Map, Value, json};

use super::Head;
use crate::output;

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Secrets,
    Tokens,
    Proofs,
    Refusals,
    Totals,
    Controls,
}

impl Section {
    /// As scripts call it.
    pub fn word(self) -> &'static str {
        match self {
            Section::Secrets => "secrets",
            Section::Tokens => "tokens",
            Section::Proofs => "proofs",
            Section::Refusals => "refusals",
            Section::Totals => "totals",
            Section::Controls => "controls",
        }
    }

    /// As people read it.
    pub fn title(self) -> &'static str {
        match self {
            Section::Secrets => "Secrets: who may read them, who did, how old they are",
            Section::Tokens => "Tokens: who they speak for, and until when",
            Section::Proofs => "How actors proved who they are",
            Section::Refusals => "What was refused",
            Section::Totals => "Totals",
            Section::Controls => "Controls that each part answers",
        }
    }

    /// What its rows have.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Section::Secrets => &[
                "path",
                "owner",
                "owned",
                "kind",
                "made",
                "rotated",
                "expires",
                "period_days",
                "overdue_days",
                "last_read_hour",
                "last_read_by",
                "read_by",
                "may_read",
                "may_read_total",
            ],
            Section::Tokens => &[
                "id",
                "actor",
                "roles",
                "owners",
                "made_by",
                "expires",
                "revoked",
                "lives",
                "second_factor",
                "second_factor_since",
            ],
            Section::Proofs => &["actor", "proof", "factors", "entries", "as_administrator", "last"],
            Section::Refusals => &["actor", "action", "count", "last"],
            Section::Totals => &["what", "count"],
            Section::Controls => &["part", "answers", "iso_27001_2022", "soc_2", "pci_dss_4_0"],
        }
    }
}

/// A form of the report. What it is given it prints at once.
pub trait Paper {
    fn begin(&mut self, head: &Head);
    /// A part begins, and the one before is over.
    fn section(&mut self, section: Section);
    /// A row of the part, with as many texts as it has columns.
    fn row(&mut self, section: Section, row: &[String]);
    fn end(&mut self);
}

/// One object, printed as it comes.
#[derive(Default)]
pub struct Json {
    /// Whether a part, and a row of it, stands before.
    section: bool,
    row: bool,
}

impl Paper for Json {
    fn begin(&mut self, head: &Head) {
        let said = json!({ "server": head.server, "at": head.now.rfc3339(), "since": head.since.rfc3339(),
            "log": { "origin": head.origin, "size": head.size, "root": head.root } });
        output::line(format!("{{\"report\": {said},"));
    }

    fn section(&mut self, section: Section) {
        if self.section {
            output::line("],");
        }
        output::line(format!("\"{}\": [", section.word()));
        (self.section, self.row) = (true, false);
    }

    fn row(&mut self, section: Section, row: &[String]) {
        let pairs = section.columns().iter().zip(row).map(|(name, text)| ((*name).to_owned(), valued(name, text)));
        let object = Value::Object(pairs.collect::<Map<String, Value>>());
        output::line(format!("{}{object}", if self.row { "," } else { "" }));
        self.row = true;
    }

    fn end(&mut self) {
        output::line("]}");
    }
}

/// A cell as what it is: a number, a list, whether it is so, nothing, or a text.
fn valued(column: &str, text: &str) -> Value {
    match column {
        "read_by" | "may_read" | "roles" | "owners" => {
            json!(text.split(LIST).filter(|one| !one.is_empty()).collect::<Vec<_>>())
        }
        _ if text.is_empty() => Value::Null,
        "owned" | "lives" => text.parse::<bool>().map_or_else(|_| json!(text), Value::from),
        "period_days" | "overdue_days" | "may_read_total" | "entries" | "as_administrator" | "count" => {
            text.parse::<u64>().map_or_else(|_| json!(text), Value::from)
        }
        _ => json!(text),
    }
}

/// What stands between those of a list in a cell: in nobody's name.
const LIST: &str = "\u{1f}";

/// A cell for eyes and spreadsheets.
pub fn listed(cell: &str) -> String {
    cell.replace(LIST, "; ")
}

/// A secret's row.
pub fn secret(item: &Value) -> Vec<String> {
    let text = |name: &str| output::field(item, name);
    let days = |name: &str| item[name].as_u64().map_or(String::new(), |secs| (secs / DAY_SECS).to_string());
    let list = |name: &str| item[name].as_array().into_iter().flatten();
    let read = list("readers")
        .map(|read| format!("{} {} leaf {}", output::field(read, "by"), output::field(read, "at"), read["leaf"]));
    let mut read: Vec<String> = read.collect();
    if item["more_readers"] == Value::Bool(true) {
        read.push("and others".to_owned());
    }
    let may: Vec<&str> = list("may_read").filter_map(Value::as_str).collect();
    vec![
        text("path"),
        text("owner"),
        text("owned"),
        text("kind"),
        text("made"),
        text("rotated"),
        text("expires"),
        days("period_secs"),
        days("overdue_secs"),
        text("last_read_hour"),
        text("last_read_by"),
        read.join(LIST),
        may.join(LIST),
        text("may_read_total"),
    ]
}

/// A token's row.
pub fn token(item: &Value) -> Vec<String> {
    let text = |name: &str| output::field(item, name);
    let list = |name: &str| {
        let texts = item[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>().join(LIST)
    };
    let [id, actor, made_by] = ["id", "actor", "made_by"].map(text);
    let [expires, revoked, lives, factor, since] =
        ["expires", "revoked", "lives", "second_factor", "second_factor_since"].map(text);
    vec![id, actor, list("roles"), list("owners"), made_by, expires, revoked, lives, factor, since]
}

const DAY_SECS: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gets_numbers_lists_and_whether_it_is_so() {
        let item = json!({"path": "prod/db", "owned": true, "may_read_total": 2, "may_read": ["token:a; b", "token:c"], "period_secs": 172_800});
        let row = secret(&item);
        let cell = |name: &str| {
            let at = Section::Secrets.columns().iter().position(|column| *column == name).unwrap();
            (valued(name, &row[at]), listed(&row[at]))
        };
        assert_eq!(cell("owned").0, json!(true));
        assert_eq!(cell("may_read_total").0, json!(2));
        assert_eq!(cell("period_days").0, json!(2));
        assert_eq!(cell("expires").0, Value::Null);
        assert_eq!(cell("read_by").0, json!([]));
        assert_eq!(cell("may_read"), (json!(["token:a; b", "token:c"]), "token:a; b; token:c".to_owned()));
        assert_eq!(valued("count", "some"), json!("some"));
    }
}
