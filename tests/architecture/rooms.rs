//! Reads from the text of a crate which of its files name which others.
//!
//! A small lexer, no parser: it knows comments, literals, `use` trees, paths, inline modules, and what stands under
//! `#[cfg(test)]`, which is passed over. A name inside a string (an attribute of serde, say) is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;
use std::path::{Path, PathBuf};

/// `crate::a::b` as `[a, b]`.
pub type Module = Vec<String>;

/// One file, as far as the floors care.
#[derive(Debug, Default)]
pub struct Source {
    /// Where it is.
    pub file: PathBuf,
    /// The module that it is.
    pub module: Module,
    /// What it names of its own crate, but for the re-exports of its own children.
    pub names: BTreeSet<Module>,
    /// What it re-exports: under which name, and what.
    shown: BTreeMap<String, Module>,
    /// The modules that it declares.
    pub children: BTreeSet<String>,
}

impl Source {
    /// Reads the text of a module.
    pub fn read(text: &str, module: &[&str]) -> Source {
        let tokens = without_tests(&lex(text));
        let module: Module = module.iter().map(|&part| part.to_owned()).collect();
        let children = declared(&tokens);
        let mut source = Source { module, children, ..Source::default() };
        source.walk(&tokens);
        source
    }

    fn walk(&mut self, tokens: &[String]) {
        // The inline modules around the place, each with the depth of its braces.
        let (mut inside, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next = |more: usize| tokens.get(at + more).map_or("", String::as_str);
            match token.as_str() {
                "mod" if next(2) == "{" => inside.push((next(1).to_owned(), depth)),
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    inside.retain(|(_, outside)| *outside < depth);
                }
                "use" => {
                    let is_shown = at > 0 && matches!(tokens[at - 1].as_str(), "pub" | ")");
                    let mut leaves = Vec::new();
                    at = tree(tokens, at + 1, &[], &mut leaves);
                    leaves.into_iter().for_each(|(path, name)| self.note(&inside, &path, is_shown.then_some(name)));
                    continue;
                }
                _ if begins_path(tokens, at) => {
                    let path: Vec<String> = (at..)
                        .step_by(2)
                        .map_while(|part| {
                            let goes_on = part == at || tokens.get(part - 1).is_some_and(|token| token == "::");
                            tokens.get(part).filter(|token| goes_on && is_word(token)).cloned()
                        })
                        .collect();
                    at += 2 * path.len() - 1;
                    self.note(&inside, &path, None);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Takes down a path if it is one of this crate, and under which name it is shown again.
    fn note(&mut self, inside: &[(String, usize)], path: &[String], shown: Option<String>) {
        let here: Module = self.module.iter().chain(inside.iter().map(|(name, _)| name)).cloned().collect();
        let Some(path) = absolute(path, &here, &self.children) else { return };
        let is_own = path.len() > self.module.len() && path.starts_with(&self.module) && shown.is_some();
        if let Some(name) = shown {
            self.shown.insert(name, path.clone());
        }
        if !is_own {
            self.names.insert(path);
        }
    }
}

/// A path from the root of the crate; none for a foreign one.
fn absolute(path: &[String], here: &[String], children: &BTreeSet<String>) -> Option<Module> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (&here[..0], &path[1..]),
        "super" => (&here[..here.len().saturating_sub(ups)], &path[ups..]),
        "self" => (here, &path[1..]),
        first if children.contains(first) => (here, path),
        _ => return None,
    };
    Some(base.iter().chain(rest).filter(|part| !matches!(part.as_str(), "self" | "*")).cloned().collect())
}

/// Whether a path of two parts or more begins here that may be one of this crate; `pub(in crate::x)` is none.
fn begins_path(tokens: &[String], at: usize) -> bool {
    let before = |less: usize| at.checked_sub(less).map_or("", |place| tokens[place].as_str());
    let is_scope = before(1) == "in" && before(2) == "(" && before(3) == "pub";
    is_word(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::") && before(1) != "::" && !is_scope
}

/// Reads one branch of a `use` tree and answers where it ends: each leaf with the name it gets here.
fn tree(tokens: &[String], mut at: usize, stem: &[String], leaves: &mut Vec<(Vec<String>, String)>) -> usize {
    let mut path = stem.to_vec();
    let mut name = stem.last().cloned().unwrap_or_default();
    let mut is_leaf = false;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => {}
            "{" => {
                while tokens.get(at).is_some_and(|token| token == "{" || token == ",") {
                    at = tree(tokens, at + 1, &path, leaves);
                }
                return at + 1;
            }
            "as" => {
                name = tokens.get(at + 1).cloned().unwrap_or_default();
                at += 1;
            }
            "*" => is_leaf = true,
            part if is_word(part) => {
                is_leaf = true;
                path.push(part.to_owned());
                if part != "self" {
                    part.clone_into(&mut name);
                }
            }
            _ => break,
        }
        at += 1;
    }
    if is_leaf {
        leaves.push((path, name));
    }
    at
}

/// The modules that a file declares with `mod x;`.
fn declared(tokens: &[String]) -> BTreeSet<String> {
    tokens.windows(3).filter(|three| three[0] == "mod" && three[2] == ";").map(|three| three[1].clone()).collect()
}

/// Leaves out each item under `#[cfg(test)]`, or under another `cfg` that asks for `test`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_attribute = tokens[at] == "#" && tokens.get(at + 1).is_some_and(|token| token == "[");
        let end = if is_attribute { closing(tokens, at + 1) + 1 } else { at + 1 };
        let said = &tokens[at..end.min(tokens.len())];
        let says = |word: &str| said.iter().any(|token| token == word);
        match is_attribute && said.get(2).is_some_and(|token| token == "cfg") && says("test") && !says("not") {
            true => at = item_end(tokens, end),
            false => {
                kept.extend_from_slice(said);
                at = end;
            }
        }
    }
    kept
}

/// Where what stands under an attribute ends: an item after its `;` or its braces (those of a `use` tree are none), a field
/// or a variant at its comma.
fn item_end(tokens: &[String], mut at: usize) -> usize {
    let head = tokens[at..].iter().take_while(|token| !matches!(token.as_str(), ";" | "{" | "}" | ","));
    let word = head.clone().find(|token| ITEMS.contains(&token.as_str())).map_or("", String::as_str);
    while at < tokens.len() {
        match tokens[at].as_str() {
            ";" => return at + 1,
            "{" if word != "use" => return closing(tokens, at) + 1,
            "," | "}" if word.is_empty() => return at,
            "(" | "[" | "{" => at = closing(tokens, at),
            _ => {}
        }
        at += 1;
    }
    at
}

/// What items begin with; `let` stands for statements.
const ITEMS: [&str; 13] =
    ["use", "mod", "fn", "struct", "enum", "union", "impl", "trait", "const", "static", "type", "macro_rules", "let"];

/// The place of the bracket that closes the one that opens here.
fn closing(tokens: &[String], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// Words, `::` and single characters; comments, literals and lifetimes are passed over.
fn lex(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let next = |more: usize| text.get(at + more).copied().unwrap_or('\0');
        let word = text[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        at += match text[at] {
            '/' if next(1) == '/' => text[at..].iter().take_while(|c| **c != '\n').count(),
            '/' if next(1) == '*' => comment(&text[at..]),
            '"' => string(&text[at..]),
            'r' if word == 1 && next(1) == '#' && next(2) != '#' && next(2) != '"' => 2,
            'r' | 'b' | 'c' if word <= 2 && matches!(next(word), '"' | '#') && raw_string(&text[at + word..]) > 0 => {
                let is_raw = text[at..at + word].contains(&'r');
                word + if is_raw { raw_string(&text[at + word..]) } else { string(&text[at + word..]) }
            }
            '\'' if next(1) == '\\' => 3 + text[at + 3..].iter().take_while(|c| **c != '\'').count() + 1,
            '\'' if next(2) == '\'' => 3,
            '\'' => 1 + text[at + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count(),
            ':' if next(1) == ':' => {
                tokens.push("::".to_owned());
                2
            }
            c if c.is_whitespace() => 1,
            c => {
                tokens.push(if word > 0 { text[at..at + word].iter().collect() } else { c.to_string() });
                word.max(1)
            }
        };
    }
    tokens
}

/// The length of a block comment, which may hold others.
fn comment(text: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string with escapes.
fn string(text: &[char]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a raw string from its `#` or `"` on; zero if it is none.
fn raw_string(text: &[char]) -> usize {
    let hashes = text.iter().take_while(|c| **c == '#').count();
    if text.get(hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = &text[hashes + 1..];
    let length = body.windows(end.len()).position(|window| window == end).unwrap_or(body.len());
    hashes + 1 + length + end.len()
}

/// All files of a crate but its tests, its `testing.rs` and its `lib.rs`, which comes first and alone.
pub fn sources(src: &Path) -> (Source, Vec<Source>) {
    let read = |file: &Path, module: &[&str]| {
        let text = std::fs::read_to_string(file).expect("a source file is readable");
        Source { file: file.to_owned(), ..Source::read(&text, module) }
    };
    let mut files = Vec::new();
    for file in super::sources(src) {
        let inside = file.strip_prefix(src).expect("inside").with_extension("");
        let mut module: Vec<&str> = inside.iter().map(|part| part.to_str().expect("UTF-8")).collect();
        if module.last() == Some(&"mod") {
            module.pop();
        }
        let is_test = |part: &&str| *part == "tests" || part.ends_with("_tests") || *part == "testing";
        if module != ["lib"] && !module.iter().any(is_test) {
            files.push(read(&file, &module));
        }
    }
    (read(&src.join("lib.rs"), &[]), files)
}

/// What is wrong with the floors of a crate: modules from the bottom to the top.
pub fn wrong_floors(root: &Source, files: &[Source], floors: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let floor = |name: &str| floors.iter().position(|floor| *floor == name);
    for child in root.children.iter().filter(|child| floor(child).is_none()) {
        let lib = root.file.display();
        wrong.push(format!("{lib} has the module {child}, which has no floor yet: say in ROOMS where it stands"));
    }
    for gone in floors.iter().filter(|floor| !root.children.contains(**floor)) {
        wrong.push(format!("ROOMS has a floor for {gone}, and {} no such module", root.file.display()));
    }
    for source in files {
        let file = source.file.display();
        for path in &source.names {
            let Some(named) = path.first() else {
                wrong.push(format!("{file} names the root of its crate: name the room"));
                continue;
            };
            match (floor(&source.module[0]), floor(named)) {
                (Some(own), Some(other)) if other > own => {
                    wrong.push(format!("{file} names crate::{}, and {named} stands above it", path.join("::")));
                }
                (_, None) if !root.children.contains(named) => wrong.push(format!(
                    "{file} names crate::{named}, which stands in lib.rs: name the room that it comes from"
                )),
                (Some(_) | None, Some(_) | None) => {}
            }
        }
    }
    wrong
}

/// The circles between the files (or folders) of one room, for each room of a crate; of each room the first one.
pub fn circles(files: &[Source]) -> Vec<String> {
    let modules: BTreeMap<&Module, &Source> = files.iter().map(|source| (&source.module, source)).collect();
    let parents: BTreeSet<&[String]> =
        files.iter().filter(|s| s.module.len() > 1).map(|s| &s.module[..s.module.len() - 1]).collect();
    parents.into_iter().filter_map(|room| circle(room, files, &modules)).collect()
}

fn circle(room: &[String], files: &[Source], modules: &BTreeMap<&Module, &Source>) -> Option<String> {
    let part = |module: &[String]| module.get(room.len()).cloned().unwrap_or_else(|| "mod".to_owned());
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in files.iter().filter(|source| source.module.starts_with(room)) {
        let named = source.names.iter().map(|path| home(path.clone(), modules)).filter(|home| home.starts_with(room));
        edges.entry(part(&source.module)).or_default().extend(named.map(|home| part(&home)));
    }
    for (from, all) in &mut edges {
        all.remove(from);
    }
    let way = edges.keys().find_map(|start| way_back(start, vec![start.clone()], &edges, &mut BTreeSet::new()))?;
    Some(format!("a circle in the room {}: {}", room.join("::"), way.join(" -> ")))
}

/// A way from the end of this one back to `start`.
fn way_back(
    start: &str,
    way: Vec<String>,
    edges: &BTreeMap<String, BTreeSet<String>>,
    seen: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    let last = way.last()?;
    edges.get(last)?.iter().find_map(|next| {
        let further: Vec<String> = way.iter().chain([next]).cloned().collect();
        match next == start {
            true => Some(further),
            false => seen.insert(next.clone()).then(|| way_back(start, further, edges, seen)).flatten(),
        }
    })
}

/// The module that a path leads to, behind the re-exports on its way.
fn home(mut path: Module, modules: &BTreeMap<&Module, &Source>) -> Module {
    // As many as there are modules: a re-export of itself does not compile, a chain of them ends.
    for _ in 0..=modules.len() {
        let known = (1..=path.len()).rev().map(|end| path[..end].to_vec()).find(|prefix| modules.contains_key(prefix));
        let Some(module) = known else { return path };
        let rest = path.get(module.len()).and_then(|name| modules[&module].shown.get(name));
        match rest {
            Some(shown) => path = shown.iter().chain(&path[module.len() + 1..]).cloned().collect(),
            None => return module,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        Source::read(text, &["room", "file"]).names.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn what_a_file_names_is_read_from_its_text() {
        let cases: &[(&str, &[&str])] = &[
            ("use crate::a::B;", &["a::B"]),
            ("use crate::{a::b, c};", &["a::b", "c"]),
            ("use crate::{a::{self, b::{C, D as E}}, f::*};", &["a", "a::b::C", "a::b::D", "f"]),
            ("use {crate::a::B, std::fmt, crate::c};", &["a::B", "c"]),
            ("pub(crate) use crate::a::B;", &["a::B"]),
            ("use ::crater::a; use std::{fmt, io::{self, Read}};", &[]),
            ("fn f() { crate::a::g::<T>(|| crate::b::H { x: 1 }) }", &["a::g", "b::H"]),
            ("fn f() -> Vec<crate::a::B> { for x in crate::c::all() {} }", &["a::B", "c::all"]),
            ("struct S { pub(crate) x: u8, pub(in crate::a) y: u8, pub(super) z: u8 }", &[]),
            ("use super::other::X; use self::child::Y;", &["room::file::child::Y", "room::other::X"]),
            ("use super::super::a::X;", &["a::X"]),
            ("use super::{one, two::T};", &["room::one", "room::two::T"]),
            (
                "mod child; use child::X; fn f() { child::g(); parent::child::h() }",
                &["room::file::child::X", "room::file::child::g"],
            ),
            ("mod inner { use super::super::b::X; fn f() {} } use super::c::Y;", &["room::b::X", "room::c::Y"]),
            ("mod child; pub use child::X; pub(crate) use child::{Y, Z};", &[]),
            (
                "// use crate::a;\n/// [`crate::b`]\n//! crate::c::d\n/* crate::e::f /* crate::g::h */ crate::i::j */",
                &[],
            ),
            (r####"const S: &str = "crate::a::b \" crate::c::d"; const R: &str = r#"crate::e::"f"#;"####, &[]),
            (
                r#"fn f<'a>(x: &'a str) { let c = ['"', '\'', '\\', '\u{41}', b'"']; crate::a::b(b"\"", 'x') }"#,
                &["a::b"],
            ),
            ("use crate::r#type::X;", &["type::X"]),
            (
                "struct S { #[cfg(test)] x: u8, y: crate::a::B, #[cfg(test)] z: crate::c::D } use crate::e::F;",
                &["a::B", "e::F"],
            ),
            ("#[cfg(test)] mod tests { use crate::a::B; fn f() { {} } } use crate::c::D;", &["c::D"]),
            ("#[cfg(test)] use crate::a::{B, C}; use crate::c::D;", &["c::D"]),
            ("#[cfg(test)] #[derive(Debug)] struct S { x: crate::a::B } use crate::c::D;", &["c::D"]),
            ("#[cfg(any(test, feature = \"testing\"))] fn f(x: [u8; 2]) { crate::a::b() } use crate::c::D;", &["c::D"]),
            ("#[cfg(not(test))] use crate::a::B; #[cfg(unix)] use crate::c::D;", &["a::B", "c::D"]),
            ("macro_rules! m { () => { $crate::a::b() } }", &["a::b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(names(text), *expected, "{text}");
        }
    }

    /// Files of a crate: the module and its text.
    type Files<'a> = &'a [(&'a str, &'a str)];

    fn crate_of(files: Files<'_>) -> Vec<Source> {
        let source = |(at, text): &(&str, &str)| Source {
            file: PathBuf::from(at),
            ..Source::read(text, &at.split("::").collect::<Vec<_>>())
        };
        files.iter().map(source).collect()
    }

    #[test]
    fn a_name_above_a_name_of_the_root_and_a_module_without_a_floor_are_wrong() {
        let root = Source::read("mod low; mod high; mod new; #[cfg(test)] mod house; pub use low::Thing;", &[]);
        let told = |text: &str, floors: &[&str]| wrong_floors(&root, &crate_of(&[("low", text)]), floors);
        let floors = ["low", "high", "new"];
        assert!(told("use crate::low::a::B;", &floors).is_empty());
        assert!(told("use crate::high::A;", &floors)[0].contains("stands above"));
        assert!(told("use super::high::A;", &floors)[0].contains("stands above"));
        assert!(told("use crate::Thing;", &floors)[0].contains("which stands in lib.rs"));
        assert!(told("use crate::*;", &floors)[0].contains("names the root"));
        assert!(told("", &["low", "high"])[0].contains("the module new, which has no floor yet"));
        assert!(told("", &["low", "high", "new", "old"])[0].contains("no such module"));
    }

    #[test]
    fn a_circle_is_found_through_the_table_of_contents_too() {
        let cases: &[(Files<'_>, Option<&str>)] = &[
            (&[("r::a", "use super::b::X;"), ("r::b", "use crate::r::c::Y;"), ("r::c", "")], None),
            (&[("r::a", "use super::b::X;"), ("r::b", "fn f() { super::a::g() }")], Some("a -> b -> a")),
            (
                &[
                    ("r", "mod a; mod b; pub use a::X; pub use b::Y as Z;"),
                    ("r::a", "use super::Z;"),
                    ("r::b", "use crate::r::X;"),
                ],
                Some("a -> b -> a"),
            ),
            (&[("r", "mod a; mod b; pub use a::X;"), ("r::a", ""), ("r::b", "use super::X;")], None),
            (&[("r", "mod a; fn f() { a::g() }"), ("r::a", "use super::f;")], Some("a -> mod -> a")),
            (&[("r::a::x", "use crate::r::b::Y;"), ("r::b", "use super::a::x::X;")], Some("a -> b -> a")),
            (&[("r::a", "use super::b;"), ("r::b", "use super::c;"), ("r::c", "use super::b;")], Some("b -> c -> b")),
        ];
        for (files, expected) in cases {
            let found = circles(&crate_of(files));
            assert_eq!(found.first().and_then(|told| told.split(": ").nth(1)), *expected, "{files:?}");
        }
    }
}
