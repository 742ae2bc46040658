//! Typed names to and from the general names of a certificate (RFC 5280 section 4.2.1.6).
//!
//! Five kinds have a typed value here; the others (directoryName, registeredID, any other otherName ...) are refused by name and
//! never carried along unread.

use der::asn1::{Any, Ia5String, OctetString, Utf8StringRef};
use policy::Name;
use spki::ObjectIdentifier;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

/// A name as it goes into a certificate.
pub(crate) fn encode(name: &Name) -> Result<GeneralName, der::Error> {
    Ok(match name {
        Name::Dns(dns) => GeneralName::DnsName(Ia5String::new(dns.as_str())?),
        Name::Ip(ip) => GeneralName::IpAddress(match ip {
            std::net::IpAddr::V4(v4) => OctetString::new(v4.octets())?,
            std::net::IpAddr::V6(v6) => OctetString::new(v6.octets())?,
        }),
        Name::Email(mailbox) => GeneralName::Rfc822Name(Ia5String::new(mailbox)?),
        Name::Uri(uri) => GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?),
        Name::Upn(upn) => GeneralName::OtherName(OtherName {
            type_id: USER_PRINCIPAL_NAME,
            value: Any::encode_from(&Utf8StringRef::new(upn)?)?,
        }),
    })
}

/// A general name as a typed value, or why it is none.
pub(crate) fn decode(name: &GeneralName) -> Result<Name, String> {
    let typed =
        |kind: &str, text: &Ia5String| Name::parse(&format!("{kind}:{}", text.as_str())).map_err(|e| e.to_string());
    match name {
        GeneralName::DnsName(text) => typed("dns", text),
        GeneralName::Rfc822Name(text) => typed("email", text),
        GeneralName::UniformResourceIdentifier(text) => typed("uri", text),
        GeneralName::IpAddress(octets) => ip(octets.as_bytes()),
        GeneralName::OtherName(other) if other.type_id == USER_PRINCIPAL_NAME => {
            let text =
                other.value.decode_as::<Utf8StringRef<'_>>().map_err(|e| format!("a user principal name: {e}"))?;
            Name::parse(&format!("upn:{}", text.as_str())).map_err(|e| e.to_string())
        }
        GeneralName::OtherName(other) => Err(unsupported(&format!("otherName {}", other.type_id))),
        GeneralName::DirectoryName(_) => Err(unsupported("directoryName")),
        GeneralName::EdiPartyName(_) => Err(unsupported("ediPartyName")),
        GeneralName::RegisteredId(_) => Err(unsupported("registeredID")),
    }
}

fn ip(octets: &[u8]) -> Result<Name, String> {
    let address = match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(std::net::IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(std::net::IpAddr::from),
        _ => None,
    };
    let address = address.ok_or_else(|| format!("an IP address of {} bytes", octets.len()))?;
    Name::parse(&format!("ip:{address}")).map_err(|e| e.to_string())
}

fn unsupported(kind: &str) -> String {
    format!(
        "a name of type {kind}; accepted are dNSName, iPAddress, rfc822Name, uniformResourceIdentifier and the user principal name"
    )
}

/// [MS-WCCE] section 2.2.2.7.5, szOID_NT_PRINCIPAL_NAME: a UTF8String.
pub(crate) const USER_PRINCIPAL_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_name_survives_the_certificate() {
        for text in [
            "dns:www.example",
            "dns:*.example.com",
            "ip:192.0.2.1",
            "ip:2001:db8::1",
            "email:a@example.com",
            "uri:spiffe://example.com/web",
            "upn:alice@example.com",
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(decode(&encode(&name).unwrap()), Ok(name));
        }
    }

    #[test]
    fn an_address_of_odd_length_is_refused() {
        for len in [0, 3, 5, 8, 15, 17, 32] {
            let name = GeneralName::IpAddress(OctetString::new(vec![1; len]).unwrap());
            assert!(decode(&name).unwrap_err().contains(&format!("{len} bytes")));
        }
    }
}
