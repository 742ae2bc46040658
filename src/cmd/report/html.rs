//! The report as one page that needs nothing beside it and prints as it is: no script, no font, no address of others.

use super::Head;
use super::shape::{Paper, Section, listed};
use crate::output;

/// Prints as it comes.
#[derive(Default)]
pub struct Html;

impl Paper for Html {
    fn begin(&mut self, head: &Head) {
        output::line(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
             initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Secrets: access review, {since} to {now}</title>\n<style>{STYLE}</style></head>\n<body><main>\n\
             <h1>Secrets: access review</h1>\n<p>From {since} to {now}, of {server}. The log <code>{origin}</code> had {size} entries \
             under the root <code>{root}</code>: <code>chancery audit verify</code> holds every figure here against it.</p>",
            since = escaped(&head.since.rfc3339()),
            now = escaped(&head.now.rfc3339()),
            server = escaped(&head.server),
            origin = escaped(&head.origin),
            size = head.size,
            root = escaped(&head.root),
        ));
    }

    fn section(&mut self, section: Section) {
        if section != Section::Secrets {
            output::line("</tbody></table></div></section>");
        }
        let columns: Vec<String> = section
            .columns()
            .iter()
            .map(|name| format!("<th scope=\"col\">{}</th>", escaped(&name.replace('_', " "))))
            .collect();
        output::line(format!(
            "<section><h2>{}</h2><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><thead><tr>{}</tr></thead><tbody>",
            escaped(section.title()),
            columns.concat()
        ));
    }

    fn row(&mut self, _section: Section, row: &[String]) {
        let cells: Vec<String> = row.iter().map(|text| cell(&listed(text))).collect();
        output::line(format!("<tr>{}</tr>", cells.concat()));
    }

    fn end(&mut self) {
        output::line("</tbody></table></div></section>\n</main></body></html>");
    }
}

/// A cell. A long one breaks at its blanks; a short one, a name or a time, stays in one piece.
fn cell(text: &str) -> String {
    let class = if text.chars().count() > SHORT_MAX { " class=\"long\"" } else { "" };
    format!("<td{class}>{}</td>", escaped(text).replace("; ", ";<br>"))
}

/// So many characters stand in one line.
const SHORT_MAX: usize = 24;

/// Text that stays text: names and paths are others' words. What nobody would see in it is written out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in policy::shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "\
body{margin:0;font:14px/1.45 system-ui,sans-serif;color:#1d1f23;background:#fff}main{max-width:112rem;margin:0 auto;padding:2rem 1rem}\
h1{font-size:1.6rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}code{overflow-wrap:anywhere}.wide{overflow-x:auto}\
table{border-collapse:collapse;width:100%;font-size:.82rem}th,td{text-align:left;vertical-align:top;padding:.3rem .5rem;\
border-bottom:1px solid #d8d5cc;overflow-wrap:break-word}td{white-space:nowrap}td.long{white-space:normal;min-width:17rem}\
td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:12rem}\
th{border-bottom:2px solid #8c2f2b;white-space:nowrap}\
@media print{@page{size:landscape;margin:12mm}main{padding:0;max-width:none}.wide{overflow:visible}thead{display:table-header-group}\
tr{break-inside:avoid}th{white-space:normal}th,td,td.long,td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:0}}";

#[cfg(test)]
mod tests {
    use super::*;

    /// On a screen a table that is too wide is moved, and its words stay whole; paths alone break. On paper all of it must fit.
    #[test]
    fn words_break_on_paper_alone() {
        let (screen, paper) = STYLE.split_once("@media print").expect("a style for paper");
        assert!(screen.contains(".wide{overflow-x:auto}") && screen.contains("td{white-space:nowrap}"));
        assert!(
            !screen
                .replace("code{overflow-wrap:anywhere}", "")
                .replace("td:first-child{white-space:normal;overflow-wrap:anywhere", "")
                .contains("anywhere")
        );
        assert!(paper.contains("white-space:normal;overflow-wrap:anywhere;min-width:0"));
        assert_eq!(cell("database-password"), "<td>database-password</td>");
        let readers = "token:a 2026-11-28T20:00:00Z leaf 7; token:b 2026-11-28T20:00:00Z leaf 8";
        assert!(
            cell(readers).starts_with("<td class=\"long\">token:a ") && cell(readers).contains("leaf 7;<br>token:b")
        );
    }

    #[test]
    fn what_others_wrote_is_text() {
        assert_eq!(escaped("<script>\"x\"&'y'"), "&lt;script&gt;&quot;x&quot;&amp;&#39;y&#39;");
        assert_eq!(escaped("a\u{202e}b"), "a\\u{202e}b");
    }
}
