//! Subjects by a template: the parts of a distinguished name, most general first, with places for what a request brings.
//!
//! `O=Example`, `OU={owner}`, `CN={owner}:{cn}`. A template fills, and, for the lint, says of the parts that were read back whether
//! they could have come from it.

use policy::Name;
use spki::ObjectIdentifier;

use crate::encode::Dn;
use crate::encode::dn::{attribute_kind, attribute_oid};
use crate::profiles::kinds::NameKind;

/// A checked template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

/// One RDN of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    attribute: &'static str,
    oid: ObjectIdentifier,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `{owner}`
    Owner,
    /// `{name}`: the first that is no address; `{dns}`, `{email}` ...: the first of that kind.
    Name(Option<NameKind>),
    /// `{cn}`: the common name that the request brings.
    CommonName,
    /// `{o}`: one RDN for each organization that the request brings.
    Organizations,
}

/// What a template is filled with.
#[derive(Clone, Copy)]
pub(crate) struct Filling<'a> {
    pub(crate) owner: Option<&'a str>,
    pub(crate) names: &'a [Name],
    pub(crate) common_name: Option<&'a str>,
    pub(crate) organizations: &'a [String],
}

impl Template {
    pub(super) fn parse(texts: &[String]) -> Result<Template, String> {
        if texts.is_empty() || texts.len() > PARTS_MAX {
            return Err(format!("1 to {PARTS_MAX} parts, as in subject = [\"O=Example\", \"CN={{name}}\"]"));
        }
        texts.iter().map(|text| part(text)).collect::<Result<_, _>>().map(Template)
    }

    /// Whether organizations of a request are put into it.
    pub(crate) fn takes_organizations(&self) -> bool {
        self.has(&Piece::Organizations)
    }

    fn has(&self, piece: &Piece) -> bool {
        self.0.iter().any(|part| part.pieces.contains(piece))
    }

    /// The distinguished name, or what is missing.
    pub(crate) fn fill(&self, with: &Filling<'_>) -> Result<Dn, String> {
        let mut dn = Dn::empty();
        for part in &self.0 {
            let texts = match part.pieces.as_slice() {
                [Piece::Organizations] => with.organizations.to_vec(),
                pieces => vec![pieces.iter().map(|piece| piece.fill(with)).collect::<Result<String, _>>()?],
            };
            for text in texts {
                dn = dn.and(part.attribute, &text).map_err(|e| e.to_string())?;
            }
        }
        Ok(dn)
    }

    /// Whether these attributes, one to an RDN, could have come from it for this owner and these names. What a request brought is
    /// any text; its organizations are some of `organizations`.
    pub(crate) fn has_made(
        &self,
        found: &[(ObjectIdentifier, String)],
        (owner, names): (Option<&str>, &[Name]),
        organizations: &[String],
    ) -> bool {
        made(&self.0, found, &Filling { owner, names, common_name: None, organizations })
    }
}

fn made(parts: &[Part], found: &[(ObjectIdentifier, String)], of: &Filling<'_>) -> bool {
    let Some((part, parts)) = parts.split_first() else { return found.is_empty() };
    let one = found.split_first().filter(|((oid, _), _)| *oid == part.oid);
    match part.pieces.as_slice() {
        // As many as there are: none of them, or one and what follows.
        [Piece::Organizations] => {
            made(parts, found, of)
                || one.is_some_and(|((_, text), rest)| {
                    of.organizations.contains(text) && made_again(part, parts, rest, of)
                })
        }
        pieces => one.is_some_and(|((_, text), rest)| reads(pieces, text, of) && made(parts, rest, of)),
    }
}

fn made_again(part: &Part, parts: &[Part], found: &[(ObjectIdentifier, String)], of: &Filling<'_>) -> bool {
    let more = found.split_first().filter(|((oid, text), _)| *oid == part.oid && of.organizations.contains(text));
    made(parts, found, of) || more.is_some_and(|(_, rest)| made_again(part, parts, rest, of))
}

/// Whether a text could have come from these pieces.
fn reads(pieces: &[Piece], text: &str, of: &Filling<'_>) -> bool {
    let Some((piece, pieces)) = pieces.split_first() else { return text.is_empty() };
    let begins = |with: &str| !with.is_empty() && text.strip_prefix(with).is_some_and(|rest| reads(pieces, rest, of));
    match piece {
        Piece::Text(fixed) => begins(fixed),
        Piece::Owner => of.owner.is_some_and(begins),
        Piece::Name(kind) => of.names.iter().filter(|name| is_of(name, *kind)).any(|name| begins(bare(name))),
        Piece::CommonName => text
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .any(|end| reads(pieces, text.get(end..).unwrap_or_default(), of)),
        Piece::Organizations => false,
    }
}

impl Piece {
    fn fill(&self, with: &Filling<'_>) -> Result<String, String> {
        match self {
            Piece::Text(text) => Ok(text.clone()),
            Piece::Owner => with.owner.map(str::to_owned).ok_or_else(|| "this profile needs an owner".to_owned()),
            Piece::Name(kind) => {
                let mut names = with.names.iter().filter(|name| is_of(name, *kind));
                // A wildcard is a poor title, so it is one only where there is nothing else.
                let wildcard = |name: &&Name| matches!(name, Name::Dns(dns) if dns.is_wildcard());
                let first = names.clone().find(|name| !wildcard(name)).or_else(|| names.next());
                first.map(|name| bare(name).to_owned()).ok_or_else(|| {
                    format!("this profile needs a name of kind {} for it", kind.map_or("any", NameKind::as_str))
                })
            }
            Piece::CommonName => {
                let given = with.common_name.filter(|cn| !cn.is_empty()).map(str::to_owned);
                given.ok_or_else(|| "this profile needs a common name".to_owned())
            }
            Piece::Organizations => Err("{o} stands alone".to_owned()),
        }
    }
}

fn is_of(name: &Name, kind: Option<NameKind>) -> bool {
    match kind {
        Some(kind) => kind == NameKind::of(name),
        None => !matches!(name, Name::Ip(_)),
    }
}

/// A name without its kind. Addresses are no titles.
fn bare(name: &Name) -> &str {
    match name {
        Name::Dns(dns) => dns.as_str(),
        Name::Email(text) | Name::Uri(text) | Name::Upn(text) => text,
        Name::Ip(_) => "",
    }
}

fn part(text: &str) -> Result<Part, String> {
    let refuse = |why: &str| format!("`{text}`: {why}");
    let (attribute, value) = text.split_once('=').ok_or_else(|| refuse("write ATTRIBUTE=TEXT, as in \"CN={name}\""))?;
    let attribute = attribute_kind(attribute).map_err(|e| refuse(&e.to_string()))?;
    let pieces = pieces(value).map_err(|why| refuse(&why))?;
    let of_kind = |piece: &Piece| pieces.iter().filter(|p| *p == piece).count();
    if pieces.is_empty() || pieces.len() > PIECES_MAX {
        return Err(refuse(&format!("1 to {PIECES_MAX} pieces of text and places")));
    }
    if of_kind(&Piece::CommonName) > 1 {
        return Err(refuse("{cn} stands in it once"));
    }
    if of_kind(&Piece::Organizations) > 0 && (pieces.len() > 1 || attribute != "O") {
        return Err(refuse("{o} stands alone, as in \"O={o}\""));
    }
    if let [Piece::Text(fixed)] = pieces.as_slice() {
        Dn::empty().and(attribute, fixed).map_err(|e| refuse(&e.to_string()))?;
    }
    Ok(Part { attribute, oid: attribute_oid(attribute).map_err(|e| refuse(&e.to_string()))?, pieces })
}

fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').ok_or("a { without its }")?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(match place {
            "owner" => Piece::Owner,
            "name" => Piece::Name(None),
            "dns" => Piece::Name(Some(NameKind::Dns)),
            "email" => Piece::Name(Some(NameKind::Email)),
            "uri" => Piece::Name(Some(NameKind::Uri)),
            "upn" => Piece::Name(Some(NameKind::Upn)),
            "cn" => Piece::CommonName,
            "o" => Piece::Organizations,
            other => return Err(format!("{{{other}}} is no place; there are {PLACES}")),
        });
        rest = after;
    }
    if rest.contains('}') {
        return Err("a } without its {".to_owned());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

const PLACES: &str = "{owner}, {name}, {dns}, {email}, {uri}, {upn}, {cn} and {o}";
/// More than anybody writes; a bound on what the lint tries.
const PARTS_MAX: usize = 16;
const PIECES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn template(parts: &[&str]) -> Result<Template, String> {
        Template::parse(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>())
    }

    fn read(dn: &Dn) -> Vec<(ObjectIdentifier, String)> {
        use der::Decode;
        let name = x509_cert::name::RdnSequence::from_der(dn.as_der()).unwrap();
        let all = name.iter().flat_map(|rdn| rdn.iter());
        all.map(|a| (a.oid, crate::encode::dn::text_of(&a.value).unwrap())).collect()
    }

    #[test]
    fn a_template_is_filled_and_knows_its_own() {
        let names = ["dns:*.a.example", "dns:www.a.example", "email:al@a.example", "upn:al@corp.example"];
        let names: Vec<Name> = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        let organizations = ["dev".to_owned(), "ops".to_owned()];
        let with = Filling {
            owner: Some("web"),
            names: &names,
            common_name: Some("a title: with more"),
            organizations: &organizations,
        };
        for (parts, says) in [
            (&["O=Example", "OU={owner}", "CN={name}"][..], "CN=www.a.example,OU=web,O=Example"),
            (&["CN={email}"], "CN=al@a.example"),
            (&["UID={upn}"], "UID=al@corp.example"),
            (&["CN=system:node:{dns}"], "CN=system:node:www.a.example"),
            (&["O={o}", "CN={owner}:{cn}"], "CN=web:a title: with more,O=ops,O=dev"),
            (&["O={o}", "O=ops"], "O=ops,O=ops,O=dev"),
        ] {
            let template = template(parts).unwrap();
            let dn = template.fill(&with).unwrap();
            assert_eq!(dn.to_string(), says);
            let made = |found: &[_], owner: &str, names: &[Name], organizations: &[String]| {
                template.has_made(found, (Some(owner), names), organizations)
            };
            let found = read(&dn);
            assert!(made(&found, "web", &names, &organizations), "{says}");
            if says.contains("web") && !says.contains("www") {
                assert!(!made(&found, "db", &names, &organizations), "of another owner: {says}");
            }
            if !says.contains("O=") {
                assert!(!made(&found, "web", &[], &organizations), "without the name: {says}");
            }
            if says.contains("ops") {
                assert!(!made(&found, "web", &names, &organizations[1..]), "an organization not listed: {says}");
            }
            if parts != ["O={o}", "O=ops"] {
                let missing = &found[..found.len() - 1];
                assert!(!made(missing, "web", &names, &organizations), "a part is missing: {says}");
            }
            assert!(!made(&[&found[..], &found[..1]].concat(), "web", &names, &organizations), "one more: {says}");
        }
    }

    #[test]
    fn what_a_template_wants_and_nobody_brings_is_named() {
        let with = Filling { owner: Some("web"), names: &[], common_name: None, organizations: &[] };
        for (part, says) in
            [("CN={cn}", "a common name"), ("CN={email}", "of kind email"), ("CN={name}", "of kind any")]
        {
            assert!(template(&[part]).unwrap().fill(&with).unwrap_err().contains(says));
        }
        assert_eq!(template(&["O={o}", "CN=x"]).unwrap().fill(&with).unwrap().to_string(), "CN=x");
    }

    #[test]
    fn a_wrong_template_is_refused_with_what_to_write() {
        for (part, says) in [
            ("", "ATTRIBUTE=TEXT"),
            ("CN", "ATTRIBUTE=TEXT"),
            ("X=1", "say one of CN"),
            ("CN=", "1 to 8 pieces"),
            ("CN={", "without its }"),
            ("CN=}", "without its {"),
            ("CN={host}", "{host} is no place"),
            ("CN={cn}{cn}", "once"),
            ("CN={o}", "{o} stands alone"),
            ("O=a{o}", "{o} stands alone"),
            ("C=Example", "C takes 1 to 2"),
            ("CN=\u{202e}x", "printable"),
        ] {
            let why = template(&[part]).unwrap_err();
            assert!(why.contains(says), "{part}: {why}");
        }
        assert!(template(&[]).is_err() && template(&["CN=x"; 17]).is_err());
    }
}
