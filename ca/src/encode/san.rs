//! Typed names to and from the general names of a certificate (RFC 5280 section 4.2.1.6).
//!
//! Four kinds have a typed value here; the others (otherName, directoryName, registeredID ...) are refused by name and
//! never carried along unread.

use der::asn1::{Ia5String, OctetString};
use policy::Name;
use x509_cert::ext::pkix::name::GeneralName;

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
        GeneralName::OtherName(_) => Err(unsupported("otherName")),
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
    format!("a name of type {kind}; accepted are dNSName, iPAddress, rfc822Name and uniformResourceIdentifier")
}

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
