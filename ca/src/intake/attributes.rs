//! The attributes of a CSR (RFC 2986 section 4.1).
//!
//! One of them is an extension request: PKCS #9's (RFC 2985 section 5.4.2), or Microsoft's of the same form. Microsoft's programs
//! can ask for names in a second way, as a pair "SAN" and "dns=a.example&dns=b.example". All others, such as a challenge password or
//! the version of Windows, have no bearing on a certificate and are ignored.

use der::{AnyRef, Decode, Sequence, Tag};
use policy::{MAX_NAMES, Name};
use spki::ObjectIdentifier;
use x509_cert::ext::Extension;

use crate::encode::tlv;
use crate::intake::asked::{Asked, CsrError, refused, unreadable};
use crate::intake::extensions;

/// Reads the content of the attributes.
pub(super) fn read(attributes: &[u8]) -> Result<Asked, CsrError> {
    let (requests, names) = attributes_of(attributes)?;
    let mut asked = match requests.as_slice() {
        [] => Asked::default(),
        [one] => {
            let read = Vec::<Extension>::from_der(one).map_err(unreadable("extension request"))?;
            extensions::read(&read)?
        }
        _ => return Err(refused("more than one extension request")),
    };
    asked.names.extend(names);
    match asked.names.len() {
        0..=MAX_NAMES => Ok(asked),
        many => Err(refused(format!("it asks for {many} names; {MAX_NAMES} is the most"))),
    }
}

/// The extensions that are asked for, whatever they are.
pub(super) fn extensions_of(attributes: &[u8]) -> Result<Vec<Extension>, CsrError> {
    match attributes_of(attributes)?.0.as_slice() {
        [] => Ok(Vec::new()),
        [one] => Vec::<Extension>::from_der(one).map_err(unreadable("extension request")),
        _ => Err(refused("more than one extension request")),
    }
}

/// The extension requests, and the names of Microsoft's pairs.
fn attributes_of(attributes: &[u8]) -> Result<(Vec<&[u8]>, Vec<Name>), CsrError> {
    let (mut requests, mut names) = (Vec::new(), Vec::new());
    for attribute in tlv::elements(attributes).map_err(unreadable("attributes"))? {
        let attribute = Attribute::from_der(attribute).map_err(unreadable("attributes"))?;
        let values = values(&attribute)?;
        match attribute.oid {
            EXTENSION_REQUEST | MS_EXTENSIONS => requests.extend(values),
            MS_NAME_VALUE_PAIR => {
                for pair in values {
                    names.extend(names_of_pair(pair)?);
                }
            }
            _ => {}
        }
    }
    Ok((requests, names))
}

/// "values SET SIZE(1..MAX) OF type".
fn values<'a>(attribute: &Attribute<'a>) -> Result<Vec<&'a [u8]>, CsrError> {
    let oid = attribute.oid;
    if attribute.values.header().tag() != Tag::Set {
        return Err(refused(format!("its attribute {oid} has no SET of values")));
    }
    let values = tlv::elements(attribute.values.value()).map_err(unreadable("attributes"))?;
    match values.is_empty() {
        true => Err(refused(format!("its attribute {oid} has no value (RFC 2986 section 4.1)"))),
        false => Ok(values),
    }
}

/// The names of a pair called SAN; none for a pair of another name.
fn names_of_pair(der: &[u8]) -> Result<Vec<Name>, CsrError> {
    let pair = NameValuePair::from_der(der).map_err(unreadable("name-value pair"))?;
    let (name, value) = (utf16(pair.name)?, utf16(pair.value)?);
    if !name.eq_ignore_ascii_case("SAN") {
        return Ok(Vec::new());
    }
    value.split('&').filter(|part| !part.is_empty()).map(name_of_part).collect()
}

/// `dns=www.example`, and the other kinds that Windows writes so.
fn name_of_part(part: &str) -> Result<Name, CsrError> {
    let (kind, text) = part.split_once('=').unwrap_or(("", part));
    let kind = match kind.to_ascii_lowercase().as_str() {
        "dns" => "dns",
        "ipaddress" => "ip",
        "email" => "email",
        "url" => "uri",
        "upn" => "upn",
        _ => {
            let part = policy::shown(part);
            return Err(refused(format!(
                "its SAN attribute asks for `{part}`; dns, ipaddress, email, url and upn are read"
            )));
        }
    };
    Name::parse(&format!("{kind}:{text}")).map_err(|e| refused(format!("SAN attribute: {e}")))
}

/// A BMPString: 16 bits a character.
fn utf16(text: AnyRef<'_>) -> Result<String, CsrError> {
    let odd = || refused("its name-value pair is not of two BMPStrings");
    let (pairs, rest) = text.value().as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    match text.header().tag() == Tag::BmpString && rest.is_empty() {
        true => String::from_utf16(&units).map_err(|_| odd()),
        false => Err(odd()),
    }
}

#[derive(Sequence)]
struct Attribute<'a> {
    oid: ObjectIdentifier,
    values: AnyRef<'a>,
}

/// [MS-WCCE] section 2.2.2.7.10, szENROLLMENT_NAME_VALUE_PAIR.
#[derive(Sequence)]
struct NameValuePair<'a> {
    name: AnyRef<'a>,
    value: AnyRef<'a>,
}

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// [MS-WCCE] section 2.2.2.7.7, szOID_CERT_EXTENSIONS.
const MS_EXTENSIONS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.14");
const MS_NAME_VALUE_PAIR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.13.2.1");
