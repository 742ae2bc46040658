//! What a command prints: a table for eyes, JSON for scripts, never both.
//!
//! What could not be written is kept in mind, and `written` tells of it: `main` asks it of every command that succeeded, so
//! that no command has to think of a full disk behind standard output, and none can forget it.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use serde_json::Value;

use crate::failure::{Failure, OrFail};
use crate::files::{self, Place};

/// A line under the header, and nothing else: what remains can be read, copied and cut into columns.
const LINES: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
/// The width of a table where nobody says another.
const WIDTH: u16 = 80;
/// Narrower than this nothing can be told apart.
const WIDTH_MIN: u16 = 40;
/// So wide a column of words is at least, where its words are: below it they are syllables.
const WORDS_MIN: u16 = 12;
/// Between two columns, at most.
const BETWEEN: usize = 2;

/// The first thing that standard output refused.
static REFUSED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Whether all that was printed was written. A reader that went away (`| head`) had enough, which is no failure.
pub fn written() -> Result<(), Failure> {
    match refused() {
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Some(error) => Err(error).or_fail("cannot write to standard output"),
        None => Ok(()),
    }
}

/// The same of what nobody could show again: a reader that went away counts too.
pub fn received() -> Result<(), Failure> {
    refused().map_or(Ok(()), Err).or_fail("cannot write to standard output")
}

fn refused() -> Option<io::Error> {
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether standard output takes no more, so that nothing is asked for in vain.
pub fn is_refused() -> bool {
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

fn emit(text: &str) {
    emit_parts(&[text, "\n"]);
}

fn emit_parts(parts: &[&str]) {
    let mut out = io::stdout().lock();
    if let Err(error) = parts.iter().try_for_each(|part| out.write_all(part.as_bytes())).and_then(|()| out.flush()) {
        REFUSED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Prints `value` as indented JSON on standard output.
pub fn json(value: &Value) {
    emit(&format!("{value:#}"));
}

/// Prints one line on standard output.
pub fn line(text: impl AsRef<str>) {
    emit(text.as_ref());
}

/// Says something beside what is printed, on standard error.
pub fn notice(text: &str, as_json: bool) {
    let text = printable(text);
    let line = if as_json { serde_json::json!({ "notice": text }).to_string() } else { format!("chancery: {text}") };
    say(&line);
}

/// A line on standard error; one that cannot be written changes nothing.
pub fn say(text: &str) {
    crate::logging::put(format!("{text}\n").as_bytes());
}

/// How something looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    /// It is over.
    Faint,
    /// Look at it soon.
    Yellow,
    /// Look at it now.
    Red,
}

impl Paint {
    fn on(self, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Faint => format!("\u{1b}[2m{text}\u{1b}[0m"),
            Paint::Yellow => format!("\u{1b}[33m{text}\u{1b}[0m"),
            Paint::Red => format!("\u{1b}[31m{text}\u{1b}[0m"),
        }
    }
}

/// A column of a table; a name alone is one of words.
#[derive(Clone, Copy)]
pub struct Column {
    name: &'static str,
    kind: Kind,
    /// Whether it goes where there is no room for all.
    is_spare: bool,
}

impl From<&'static str> for Column {
    fn from(name: &'static str) -> Self {
        words(name)
    }
}

/// What a column may do when there is little room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A word, a number, a time: on one line, always.
    Whole,
    /// Words: they go on in the next line.
    Words,
}

/// A column of words.
pub const fn words(name: &'static str) -> Column {
    Column { name, kind: Kind::Words, is_spare: false }
}

/// A column of what stays on one line.
pub const fn whole(name: &'static str) -> Column {
    Column { name, kind: Kind::Whole, is_spare: false }
}

/// The same column, left out where there is no room for all; the last one goes first.
pub const fn spare(column: Column) -> Column {
    Column { is_spare: true, ..column }
}

/// Prints a table; says `empty` where there are no rows.
pub fn table<C: Copy + Into<Column>>(columns: &[C], rows: Vec<Vec<String>>, empty: &str) {
    painted(columns, rows.into_iter().map(|row| (Paint::Plain, row)).collect(), empty);
}

/// The same; on a terminal the first cell of a row, which has no blanks, has a colour.
pub fn painted<C: Copy + Into<Column>>(columns: &[C], rows: Vec<(Paint, Vec<String>)>, empty: &str) {
    let mut listing = Listing::new(columns, false);
    listing.add(&[], rows);
    listing.end(empty);
}

/// A list that is printed as it comes, a page at a time: a table for eyes, an array for scripts.
pub struct Listing {
    columns: Vec<Column>,
    as_json: bool,
    rows: usize,
    /// How wide each column was, so that the next page's begin where they did.
    widths: Vec<u16>,
    /// Which columns are shown: as the first page has room.
    kept: Option<Vec<bool>>,
}

impl Listing {
    /// Nothing is printed yet.
    pub fn new<C: Copy + Into<Column>>(columns: &[C], as_json: bool) -> Self {
        let columns = columns.iter().map(|column| (*column).into()).collect();
        Self { columns, as_json, rows: 0, widths: Vec::new(), kept: None }
    }

    /// Prints a page: the items for scripts, their rows for eyes.
    pub fn add(&mut self, items: &[Value], rows: Vec<(Paint, Vec<String>)>) {
        if self.as_json {
            let mut text = String::new();
            for item in items {
                text += if self.rows == 0 { "[\n  " } else { ",\n  " };
                text += &format!("{item:#}").replace('\n', "\n  ");
                self.rows += 1;
            }
            emit_parts(&[&text]);
        } else if !rows.is_empty() {
            let paints = if colours() { rows.iter().map(|(paint, _)| *paint).collect() } else { Vec::new() };
            let count = rows.len();
            let header = if self.rows == 0 { HEADER_LINES } else { 0 };
            let drawn = self.drawn(rows.into_iter().map(|(_, row)| row).collect(), room());
            line(coloured(&drawn, header, &paints));
            self.rows += count;
        }
    }

    /// Ends it; says `empty` where there were no rows.
    pub fn end(self, empty: &str) {
        match (self.as_json, self.rows) {
            (true, 0) => line("[]"),
            (true, _) => line("\n]"),
            (false, 0) => line(empty),
            (false, _) => {}
        }
    }

    /// As wide as `room`; where there is no end to it, each row is one line.
    fn drawn(&mut self, rows: Vec<Vec<String>>, room: Option<u16>) -> String {
        let kept = self.kept.get_or_insert_with(|| fitting(&self.columns, &rows, room)).clone();
        let columns: Vec<Column> = those(self.columns.iter().copied(), &kept).collect();
        let mut table = Table::new();
        table.load_style(LINES);
        match room {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.rows == 0 {
            table.set_header(columns.iter().map(|column| Cell::new(column.name)));
        }
        for row in rows {
            let cells = those(row.into_iter(), &kept).map(|cell| printable(&cell));
            table.add_row(
                cells.map(|cell| if room.is_none() { cell.replace('\n', " ") } else { cell }).collect::<Vec<_>>(),
            );
        }
        let before = std::mem::replace(&mut self.widths, table.column_max_content_widths());
        for (at, Column { kind, .. }) in columns.iter().enumerate() {
            let Some(column) = table.column_mut(at) else { continue };
            // The line between columns is a blank too.
            let padding = u16::from(at + 1 < columns.len());
            column.set_padding((0, padding));
            let now = self.widths.get(at).copied().unwrap_or_default();
            column.set_constraint(match (*kind == Kind::Whole || room.is_none(), before.get(at)) {
                (true, Some(before)) => {
                    ColumnConstraint::Absolute(Width::Fixed(now.max(*before).saturating_add(padding)))
                }
                (true, None) => ColumnConstraint::ContentWidth,
                (false, _) => ColumnConstraint::LowerBoundary(Width::Fixed(now.min(WORDS_MIN).saturating_add(padding))),
            });
        }
        for (now, before) in self.widths.iter_mut().zip(before) {
            *now = before.max(*now);
        }
        table.trim_fmt()
    }
}

/// Those that are kept.
fn those<T>(all: impl Iterator<Item = T>, kept: &[bool]) -> impl Iterator<Item = T> {
    all.enumerate().filter(|(at, _)| kept.get(*at).copied().unwrap_or(true)).map(|(_, one)| one)
}

/// Which columns there is room for: spare ones go, the last first, while the rest does not fit.
fn fitting(columns: &[Column], rows: &[Vec<String>], room: Option<u16>) -> Vec<bool> {
    let mut kept = vec![true; columns.len()];
    let Some(room) = room else { return kept };
    let least = |(at, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        let widest = cells.chain([column.name.len()]).max().unwrap_or_default();
        BETWEEN + if column.kind == Kind::Whole { widest } else { widest.min(WORDS_MIN.into()) }
    };
    let least: Vec<usize> = columns.iter().enumerate().map(least).collect();
    for (at, column) in columns.iter().enumerate().rev() {
        let needed: usize = those(least.iter(), &kept).sum();
        if needed <= usize::from(room) + BETWEEN {
            break;
        }
        if let Some(kept) = kept.get_mut(at) {
            *kept = !column.is_spare;
        }
    }
    kept
}

/// The names of the columns, and the line below.
const HEADER_LINES: usize = 2;

/// A row begins where the first cell does.
fn coloured(table: &str, header: usize, paints: &[Paint]) -> String {
    let mut paints = paints.iter();
    let paint = |(at, text): (usize, &str)| {
        let end = text.find(' ').unwrap_or(text.len());
        let (first, rest) = text.split_at(end);
        match (at >= header && !first.is_empty()).then(|| paints.next()).flatten() {
            Some(paint) => paint.on(first) + rest,
            None => text.to_owned(),
        }
    };
    table.lines().enumerate().map(paint).collect::<Vec<_>>().join("\n")
}

/// Whether colours are for somebody: a terminal, and nobody who said no (<https://no-color.org>).
fn colours() -> bool {
    io::stdout().is_terminal() && may_colour()
}

/// Whether nobody said that he wants no colours, and the terminal is one that has them.
pub fn may_colour() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    !is_set("NO_COLOR") && !dumb
}

/// What somebody said of the width.
fn said_width() -> Option<u16> {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok())
}

/// As wide as a table may be. Into a pipe, where nobody says more, there is no end: a row is a line, for whoever counts, cuts or searches.
fn room() -> Option<u16> {
    (said_width().is_some() || io::stdout().is_terminal()).then(width)
}

/// `COLUMNS` where it is said, the terminal's own width, or 80.
fn width() -> u16 {
    let own = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    said_width().or_else(own).filter(|width| *width > 0).map_or(WIDTH, |width| width.max(WIDTH_MIN))
}

/// Whether a table has room for more than the least.
pub fn is_wide() -> bool {
    width() >= 120
}

/// Prints `name: value` lines with the names aligned.
pub fn facts(facts: &[(&str, String)]) {
    let most = if io::stdout().is_terminal() { width().into() } else { usize::MAX };
    told(facts).iter().for_each(|fact| line(folded(fact, facts, most)));
}

/// A fact that has many words goes on below where they began.
fn folded(fact: &str, facts: &[(&str, String)], most: usize) -> String {
    let margin = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let (mut text, mut used) = (String::new(), 0);
    for word in fact.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > margin && used + length > most {
            text = format!("{}\n{:margin$}", text.trim_end(), "");
            used = margin;
        }
        text.push_str(word);
        used += word.chars().count();
    }
    text
}

fn told(facts: &[(&str, String)]) -> Vec<String> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts.iter().map(|(name, value)| format!("{name:>width$}  {}", printable(value))).collect()
}

/// What a command tells of what it made and wrote: where standard output is one of its places, on standard error.
pub fn report(outputs: &files::Outputs, facts: &[(&str, String)], answer: &Value, as_json: bool) {
    match (as_json, outputs.use_stdout()) {
        (true, true) => say(&answer.to_string()),
        (true, false) => json(answer),
        (false, true) => told(facts).iter().for_each(|line| say(line)),
        (false, false) => self::facts(facts),
    }
}

/// Some fields of an answer as facts.
pub fn shown<'a>(answer: &Value, names: &[&'a str]) -> Vec<(&'a str, String)> {
    names.iter().map(|name| (*name, field(answer, name))).collect()
}

/// Where something was written, as a fact.
pub fn written_to(place: &Place) -> (&'static str, String) {
    ("written to", place.shown())
}

/// Text from outside with what nobody sees escaped: a subject cannot move the cursor, colour the terminal or turn the line around.
pub fn printable(text: &str) -> String {
    text.split('\n').map(policy::shown).collect::<Vec<_>>().join("\n")
}

/// A field of a JSON object as text for a table cell; an absent one is empty.
pub fn field(object: &Value, name: &str) -> String {
    match object.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\nexe\u{202e}gpj"), "a\\u{1b}[31mb\nexe\\u{202e}gpj");
    }

    #[test]
    fn lists_are_joined_and_absent_fields_are_empty() {
        let object = serde_json::json!({"names": ["dns:a", "dns:b"], "n": 3});
        assert_eq!(field(&object, "names"), "dns:a, dns:b");
        assert_eq!(field(&object, "n"), "3");
        assert_eq!(field(&object, "none"), "");
    }

    #[test]
    fn a_fact_of_many_words_goes_on_below_where_they_began() {
        let facts = [("a", "one two three four".to_owned()), ("long", "whole-and-longer-than-the-line".to_owned())];
        let shown: Vec<_> = told(&facts).iter().map(|fact| folded(fact, &facts, 16)).collect();
        assert_eq!(shown, ["   a  one two\n      three four", "long  whole-and-longer-than-the-line"]);
    }

    #[test]
    fn a_table_keeps_to_its_width_and_what_is_whole_stays_whole() {
        let rows =
            vec![vec!["12".to_owned(), "many words that go on and on and on".repeat(3), "0101016b49d20000".to_owned()]];
        let table = Listing::new(&[whole("DAYS"), words("NAMES"), whole("SERIAL")], false).drawn(rows, Some(60));
        assert!(table.lines().all(|line| line.chars().count() <= 60), "{table}");
        assert!(table.contains("0101016b49d20000"), "{table}");
    }

    #[test]
    fn words_are_no_syllables_and_what_is_spare_goes_first() {
        let columns = [whole("PATH"), spare(whole("KIND")), words("BY"), spare(words("DESCRIPTION"))];
        let path = "prod/a-path-that-is-rather-long/and-goes-on";
        let row = [path, "database-password", "token:an-administrator of ours", "what it is for, in many words"];
        let rows = || vec![row.map(str::to_owned).to_vec()];
        let drawn = |room| Listing::new(&columns, false).drawn(rows(), room);
        let narrow = drawn(Some(60));
        assert!(!narrow.contains("DESCRIPTION") && !narrow.contains("KIND") && narrow.contains(path), "{narrow}");
        let middle = drawn(Some(80));
        assert!(!middle.contains("DESCRIPTION") && middle.contains("database-password"), "{middle}");
        for room in [None, Some(200)] {
            let wide = drawn(room);
            assert_eq!(wide.lines().count(), HEADER_LINES + 1, "{wide}");
            assert!(wide.contains("what it is for, in many words"), "{wide}");
        }
        let long = vec![vec!["x".to_owned(), "k".to_owned(), "many words ".repeat(40), "a\nb".to_owned()]];
        let piped = Listing::new(&columns, false).drawn(long, None);
        assert_eq!(piped.lines().count(), HEADER_LINES + 1, "a row is a line: {piped}");
    }

    #[test]
    fn the_next_page_has_no_header_and_begins_its_columns_where_the_first_did() {
        let mut listing = Listing::new(&[whole("LEFT"), whole("STATE"), words("NAMES")], false);
        let row = |cells: [&str; 3]| vec![cells.map(str::to_owned).to_vec()];
        let first = listing.drawn(row(["1824d", "revoked", "a"]), Some(80));
        listing.rows = 1;
        let next = listing.drawn(row(["9d", "issued", "a"]), Some(80));
        let begins = |line: &str| line.find(" a").map(|at| at + 1);
        assert_eq!(
            begins(next.lines().next().unwrap()),
            begins(first.lines().nth(HEADER_LINES).unwrap()),
            "{first}\n{next}"
        );
    }

    #[test]
    fn a_row_has_its_colour_where_it_begins() {
        let rows = vec![vec!["1".to_owned(), "a b".repeat(30)], vec!["90".to_owned(), "c".to_owned()]];
        let table = Listing::new(&[whole("DAYS"), words("NAMES")], false).drawn(rows, Some(40));
        let painted = coloured(&table, HEADER_LINES, &[Paint::Red, Paint::Plain]);
        assert_eq!(painted.matches("\u{1b}[31m1\u{1b}[0m ").count(), 1, "{painted}");
        assert_eq!(painted.matches('\u{1b}').count(), 2, "{painted}");
    }
}
