//! Distinguished names as the bytes they are.
//!
//! A name that came from elsewhere (an imported CA's subject) is never taken apart and put together again: a chain
//! holds only while the issuer field of a certificate repeats the issuer's subject byte for byte (RFC 5280 section
//! 4.1.2.4), and encoders that keep names in maps lose repeated attributes (`DC=com,DC=example`) or re-sort
//! multi-valued RDNs. So a [`Dn`] is its DER; the rest of this file only makes such bytes, or shows them.

use der::asn1::{Any, Ia5StringRef, PrintableStringRef, SetOfVec, Utf8StringRef};
use der::{Decode, Encode, Tag};
use spki::ObjectIdentifier;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use crate::encode::tlv;

/// A distinguished name: its DER, kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dn {
    der: Vec<u8>,
}

/// Why a distinguished name is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("distinguished name: {0}")]
pub struct DnError(pub(crate) String);

impl Dn {
    /// Reads the slash form that openssl's `-subj` takes: `/DC=com/DC=example/O=Example+OU=PKI`, most general part
    /// first, `+` between the parts of one multi-valued RDN, `\` before a character that is meant literally.
    pub fn parse(text: &str) -> Result<Dn, DnError> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(DnError(format!(
                "`{text}` does not begin with `/`; write it as `/DC=com/DC=example/O=Example`"
            )));
        };
        let mut rdns = Vec::new();
        for rdn in split(rest, '/') {
            rdns.push(split(&rdn, '+').iter().map(|part| attribute(part)).collect::<Result<Vec<_>, _>>()?);
        }
        Dn::from_rdns(rdns)
    }

    /// Takes a DER Name as it is, after a look at its shape.
    pub(crate) fn from_der(der: &[u8]) -> Result<Dn, DnError> {
        check_shape(der)?;
        Ok(Dn { der: der.to_vec() })
    }

    /// The empty name.
    pub(crate) fn empty() -> Dn {
        Dn { der: vec![0x30, 0x00] }
    }

    /// `CN=text` alone.
    pub(crate) fn common_name(text: &str) -> Result<Dn, DnError> {
        Dn::from_rdns(vec![vec![typed_attribute(CN, text)?]])
    }

    /// `O=text` alone.
    pub(crate) fn organization(text: &str) -> Result<Dn, DnError> {
        Dn::from_rdns(vec![vec![typed_attribute(O, text)?]])
    }

    /// This name, its bytes untouched, with one more RDN at its specific end.
    pub(crate) fn and(&self, attribute: &str, text: &str) -> Result<Dn, DnError> {
        let kind = kind_of(attribute)?;
        let rdn = rdn(vec![typed_attribute(kind, text)?])?.to_der().map_err(encoding)?;
        let mut rdns = tlv::parts_of_sequence(&self.der).map_err(encoding)?;
        rdns.push(&rdn);
        Ok(Dn { der: tlv::sequence(&rdns).map_err(encoding)? })
    }

    /// This name without its most specific RDN, the other bytes untouched.
    pub(crate) fn without_last(&self) -> Dn {
        let mut rdns = tlv::parts_of_sequence(&self.der).unwrap_or_default();
        rdns.pop();
        tlv::sequence(&rdns).map_or_else(|_| Dn::empty(), |der| Dn { der })
    }

    /// The texts of the attributes of one kind, most general first.
    pub(crate) fn texts_of(&self, attribute: &str) -> Result<Vec<String>, DnError> {
        let kind = kind_of(attribute)?;
        let name = RdnSequence::from_der(&self.der).map_err(encoding)?;
        let found = name.iter().flat_map(|rdn| rdn.iter()).filter(|a| a.oid == kind.oid);
        Ok(found.filter_map(|attribute| text_of(&attribute.value)).collect())
    }

    /// Each attribute with its text, most general first; an error where one is no text, or shares its RDN.
    pub(crate) fn attributes(&self) -> Result<Vec<(ObjectIdentifier, String)>, DnError> {
        let name = RdnSequence::from_der(&self.der).map_err(encoding)?;
        let one = |rdn: &RelativeDistinguishedName| {
            let mut attributes = rdn.iter();
            let (Some(one), None) = (attributes.next(), attributes.next()) else { return None };
            Some((one.oid, text_of(&one.value)?))
        };
        let all = name.iter().map(|rdn| one(rdn).ok_or_else(|| DnError("an RDN that is not of one text".to_owned())));
        all.collect()
    }

    /// The name of a CA's generation: the first has this one, each other says which it is, so that no two CAs have one name. Clients
    /// that keep CAs and CRLs by name alone then keep both.
    pub(crate) fn of_generation(&self, number: u32) -> Result<Dn, DnError> {
        if number == 1 {
            return Ok(self.clone());
        }
        let name = RdnSequence::from_der(&self.der).map_err(encoding)?;
        let mut last = name.iter().last().into_iter().flat_map(|rdn| rdn.iter());
        let title = match (last.next(), last.next()) {
            (Some(attribute), None) if attribute.oid == CN.oid => text_of(&attribute.value),
            _ => None,
        };
        let titled = title.and_then(|title| self.without_last().and("CN", &format!("{title} G{number}")).ok());
        titled.map_or_else(|| self.and("CN", &format!("G{number}")), Ok)
    }

    /// The form that [`Dn::parse`] reads; none of what it would read otherwise.
    pub(crate) fn slashed(&self) -> Option<String> {
        let name = RdnSequence::from_der(&self.der).ok()?;
        let mut text = String::new();
        for rdn in name.iter() {
            let mut one = RdnSequence::default();
            one.push(rdn.clone());
            let one = Dn { der: one.to_der().ok()? };
            text.push('/');
            text.push_str(&one.to_string().replace('/', "\\/"));
        }
        Dn::parse(&text).is_ok_and(|read| read == *self).then_some(text)
    }

    /// Its DER.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Whether it names nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.der == [0x30, 0x00]
    }

    fn from_rdns(rdns: Vec<Vec<AttributeTypeAndValue>>) -> Result<Dn, DnError> {
        let mut sequence = RdnSequence::default();
        for attributes in rdns {
            sequence.push(rdn(attributes)?);
        }
        Ok(Dn { der: sequence.to_der().map_err(encoding)? })
    }
}

/// As RFC 4514 writes it: the most specific part first, `CN=Root,OU=PKI+O=Example,DC=example,DC=com`. What nobody would see of a
/// text (a right-to-left override, say) is written as the hex of its bytes, which section 2.4 allows for every character.
impl std::fmt::Display for Dn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ok(name) = RdnSequence::from_der(&self.der) else {
            return f.write_str("(unreadable)");
        };
        let rdns: Vec<_> = name.iter().collect();
        for (i, rdn) in rdns.into_iter().rev().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            for (j, attribute) in rdn.iter().enumerate() {
                if j > 0 {
                    f.write_str("+")?;
                }
                write_attribute(f, attribute)?;
            }
        }
        Ok(())
    }
}

fn write_attribute(f: &mut std::fmt::Formatter<'_>, attribute: &AttributeTypeAndValue) -> std::fmt::Result {
    let kind = KINDS.iter().find(|k| k.oid == attribute.oid);
    match (kind, text_of(&attribute.value)) {
        (Some(kind), Some(text)) => {
            write!(f, "{}=", kind.name)?;
            write_text(f, &text)
        }
        // Section 2.4: "If the AttributeType is of the dotted-decimal form, the AttributeValue is represented by an number sign
        // ('#' U+0023) character followed by the hexadecimal encoding of each of the octets of the BER encoding".
        (Some(_), None) | (None, _) => {
            let name = kind.map_or_else(|| attribute.oid.to_string(), |kind| kind.name.to_owned());
            write!(f, "{name}=#{}", hex::encode(attribute.value.to_der().unwrap_or_default()))
        }
    }
}

/// Section 2.4: what is escaped, and where.
fn write_text(f: &mut std::fmt::Formatter<'_>, text: &str) -> std::fmt::Result {
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        let is_special = match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        if policy::hidden(c.encode_utf8(&mut [0; 4])).is_some() {
            c.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "\\{byte:02X}"))?;
        } else if is_special {
            write!(f, "\\{c}")?;
        } else {
            write!(f, "{c}")?;
        }
    }
    Ok(())
}

/// An attribute's name as it is written here, from its name in any case.
pub(crate) fn attribute_kind(name: &str) -> Result<&'static str, DnError> {
    kind_of(name).map(|kind| kind.name)
}

/// Its object identifier.
pub(crate) fn attribute_oid(name: &str) -> Result<ObjectIdentifier, DnError> {
    kind_of(name).map(|kind| kind.oid)
}

/// An attribute value as text, where its type has one.
pub(crate) fn text_of(value: &Any) -> Option<String> {
    let bytes = match value.header().tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString => value.value(),
        _ => return None,
    };
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The shape of a Name: RDNs that each hold at least one attribute. Both parsers accept an empty RDN SET, which
/// RFC 5280 section 4.1.2.4 does not (`SET SIZE (1..MAX)`), so the count is ours to make.
pub(crate) fn check_shape(der: &[u8]) -> Result<(), DnError> {
    let name = RdnSequence::from_der(der).map_err(|e| DnError(format!("not a Name: {e}")))?;
    if name.len() > MAX_RDNS {
        return Err(DnError(format!("more than {MAX_RDNS} parts")));
    }
    match name.iter().all(|rdn| !rdn.is_empty()) {
        true => Ok(()),
        false => Err(DnError("an empty RDN: each needs an attribute".to_owned())),
    }
}

fn rdn(attributes: Vec<AttributeTypeAndValue>) -> Result<RelativeDistinguishedName, DnError> {
    // DER: the elements of a SET OF stand in the order of their encodings (X.690 section 11.6).
    let set = SetOfVec::try_from(attributes).map_err(encoding)?;
    Ok(RelativeDistinguishedName::from(set))
}

fn attribute(part: &str) -> Result<AttributeTypeAndValue, DnError> {
    let Some((name, value)) = part.split_once('=') else {
        return Err(DnError(format!("`{part}` is not NAME=VALUE")));
    };
    typed_attribute(kind_of(name)?, &unescape(value))
}

fn kind_of(name: &str) -> Result<&'static AttributeKind, DnError> {
    KINDS.iter().find(|k| k.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|k| k.name).collect();
        DnError(format!("`{name}` is not known; say one of {}", known.join(", ")))
    })
}

fn typed_attribute(kind: &AttributeKind, text: &str) -> Result<AttributeTypeAndValue, DnError> {
    if text.is_empty() || text.chars().count() > kind.max {
        return Err(DnError(format!("{} takes 1 to {} characters", kind.name, kind.max)));
    }
    if let Some(c) = policy::hidden(text) {
        let code = c.escape_unicode();
        return Err(DnError(format!("{} takes printable characters alone, and there is a {code}", kind.name)));
    }
    let value = match kind.text {
        Text::Utf8 => Utf8StringRef::new(text).and_then(|s| Any::encode_from(&s)),
        Text::Printable => PrintableStringRef::new(text).and_then(|s| Any::encode_from(&s)),
        Text::Ia5 => Ia5StringRef::new(text).and_then(|s| Any::encode_from(&s)),
    };
    let value = value.map_err(|_| DnError(format!("{} cannot hold `{text}`", kind.name)))?;
    Ok(AttributeTypeAndValue { oid: kind.oid, value })
}

/// Splits at a separator that no backslash protects; the backslashes stay.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match (escaped, c == separator, parts.last_mut()) {
            (false, true, _) => parts.push(String::new()),
            (_, _, Some(part)) => part.push(c),
            (_, _, None) => {}
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

fn encoding(e: der::Error) -> DnError {
    DnError(format!("cannot be encoded: {e}"))
}

/// More parts than any directory has; a bound on what intake looks at.
const MAX_RDNS: usize = 32;

struct AttributeKind {
    name: &'static str,
    oid: ObjectIdentifier,
    text: Text,
    max: usize,
}

enum Text {
    Utf8,
    Printable,
    Ia5,
}

/// Names, string types and upper bounds of RFC 5280 appendix A.
const KINDS: [AttributeKind; 9] = [
    kind("CN", "2.5.4.3", Text::Utf8, 64),
    kind("O", "2.5.4.10", Text::Utf8, 64),
    kind("OU", "2.5.4.11", Text::Utf8, 64),
    kind("C", "2.5.4.6", Text::Printable, 2),
    kind("ST", "2.5.4.8", Text::Utf8, 128),
    kind("L", "2.5.4.7", Text::Utf8, 128),
    kind("DC", "0.9.2342.19200300.100.1.25", Text::Ia5, 63),
    kind("UID", "0.9.2342.19200300.100.1.1", Text::Utf8, 256),
    kind("serialNumber", "2.5.4.5", Text::Printable, 64),
];

static CN: &AttributeKind = &KINDS[0];
static O: &AttributeKind = &KINDS[1];

const fn kind(name: &'static str, oid: &str, text: Text, max: usize) -> AttributeKind {
    AttributeKind { name, oid: ObjectIdentifier::new_unwrap(oid), text, max }
}

#[cfg(test)]
mod tests {
    use der::AnyRef;

    use super::*;

    #[test]
    fn repeated_and_multi_valued_rdns_survive_with_their_order() {
        let dn = Dn::parse("/DC=com/DC=example/O=Example+OU=PKI").unwrap();
        assert_eq!(dn.to_string(), "OU=PKI+O=Example,DC=example,DC=com");
        let root = dn.and("CN", "Root").unwrap();
        assert_eq!(root.to_string(), "CN=Root,OU=PKI+O=Example,DC=example,DC=com");
        assert_eq!(root.without_last(), dn);
    }

    #[test]
    fn bytes_that_der_would_sort_otherwise_are_left_alone() {
        // A multi-valued RDN with its attributes in the wrong order, as some CAs of old wrote it.
        let sorted = Dn::parse("/O=Example+OU=PKI").unwrap();
        let set = AnyRef::from_der(&sorted.der).unwrap();
        let inner = AnyRef::from_der(set.value()).unwrap().value().to_vec();
        let (first, second) = inner.split_at(inner[1] as usize + 2);
        let swapped = Any::new(Tag::Set, [second, first].concat()).unwrap().to_der().unwrap();
        let der = Any::new(Tag::Sequence, swapped).unwrap().to_der().unwrap();
        let dn = Dn::from_der(&der).unwrap();
        assert_ne!(dn, sorted);
        let longer = dn.and("CN", "Root").unwrap();
        let needle = AnyRef::from_der(&der).unwrap();
        assert!(AnyRef::from_der(&longer.der).unwrap().value().starts_with(needle.value()));
    }

    #[test]
    fn openssl_escapes_are_understood() {
        let dn = Dn::parse(r"/O=A\/B \+ C\\D/CN=x").unwrap();
        assert_eq!(dn.to_string(), r"CN=x,O=A/B \+ C\\D");
    }

    /// The examples of RFC 4514 section 4, and what people would read as something else.
    #[test]
    fn names_are_shown_as_rfc_4514_says() {
        let shown = |attribute: &str, text: &str| {
            let value = Any::encode_from(&Utf8StringRef::new(text).unwrap()).unwrap();
            let oid = kind_of(attribute).unwrap().oid;
            Dn::from_rdns(vec![vec![AttributeTypeAndValue { oid, value }]]).unwrap().to_string()
        };
        for (text, says) in [
            ("James \"Jim\" Smith, III", r#"CN=James \"Jim\" Smith\, III"#),
            ("Before\rAfter", r"CN=Before\0DAfter"),
            ("Lučić", "CN=Lučić"),
            (" a b ", r"CN=\ a b\ "),
            (" ", r"CN=\ "),
            ("#1#", r"CN=\#1#"),
            ("a=b;c<d>e", r"CN=a=b\;c\<d\>e"),
            ("exe\u{202e}gpj", r"CN=exe\E2\80\AEgpj"),
        ] {
            assert_eq!(shown("CN", text), says);
        }
        let octets = Any::new(Tag::OctetString, [0x48, 0x69]).unwrap();
        let of = |oid: &str, value: Any| {
            let attribute = AttributeTypeAndValue { oid: ObjectIdentifier::new_unwrap(oid), value };
            Dn::from_rdns(vec![vec![attribute]]).unwrap().to_string()
        };
        assert_eq!(of("1.3.6.1.4.1.1466.0", octets.clone()), "1.3.6.1.4.1.1466.0=#04024869");
        assert_eq!(of("2.5.4.3", octets), "CN=#04024869");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in [
            "",
            "CN=x",
            "/CN",
            "/CN=",
            "/XX=1",
            "/C=Germany",
            "/DC=b\u{fc}cher",
            "//CN=x",
            "/CN=a\u{7}b",
            "/CN=a\u{202e}b",
            "/CN=a\u{200b}",
        ] {
            assert!(Dn::parse(bad).is_err(), "{bad}");
        }
        assert!(Dn::parse(&format!("/CN={}", "x".repeat(65))).is_err());
    }

    #[test]
    fn an_empty_rdn_is_refused() {
        assert!(Dn::from_der(&[0x30, 0x02, 0x31, 0x00]).unwrap_err().0.contains("empty RDN"));
        assert!(Dn::from_der(&[0x30, 0x00]).is_ok());
        assert!(Dn::from_der(&[0x30, 0x01]).is_err());
    }
}
