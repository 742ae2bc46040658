//! Whether names are within the name constraints of a CA (RFC 5280 section 4.2.1.10), read as narrowly as the narrowest client does: what
//! one of them refuses is not signed.

use x509_cert::der::Decode;
use x509_cert::ext::pkix::NameConstraints;
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use crate::encode::dn::text_of;

/// The first of these names that a CA with these constraints may not certify, in words.
pub(crate) fn outside(constraints: &NameConstraints, subject: &Name, names: &[GeneralName]) -> Option<String> {
    let subject = (!subject.is_empty()).then(|| GeneralName::DirectoryName(subject.clone()));
    let permitted = constraints.permitted_subtrees.as_deref().unwrap_or_default();
    let excluded = constraints.excluded_subtrees.as_deref().unwrap_or_default();
    let is_of =
        |tree: &&GeneralSubtree, name: &GeneralName| std::mem::discriminant(&tree.base) == std::mem::discriminant(name);
    names.iter().chain(&subject).find_map(|name| {
        let mut bases = permitted.iter().filter(|tree| is_of(tree, name)).peekable();
        let is_permitted = bases.peek().is_none() || bases.any(|tree| is_below(&tree.base, name));
        let is_excluded = excluded.iter().filter(|tree| is_of(tree, name)).any(|tree| touches(&tree.base, name));
        match (is_permitted, is_excluded) {
            (true, false) => None,
            (_, true) => Some(format!("{}, which is excluded", shown(name))),
            (false, false) => Some(format!("{}, which is none of the permitted", shown(name))),
        }
    })
}

/// Whether all that a name stands for is in a subtree.
fn is_below(base: &GeneralName, name: &GeneralName) -> bool {
    match (base, name) {
        (GeneralName::DnsName(base), GeneralName::DnsName(name)) => is_host_below(base.as_str(), name.as_str()),
        (GeneralName::IpAddress(base), GeneralName::IpAddress(name)) => is_in(base.as_bytes(), name.as_bytes()),
        (GeneralName::Rfc822Name(base), GeneralName::Rfc822Name(name)) => is_mailbox_of(base.as_str(), name.as_str()),
        (GeneralName::UniformResourceIdentifier(base), GeneralName::UniformResourceIdentifier(name)) => {
            host_of(name.as_str()).is_some_and(|host| is_domains(base.as_str(), &host))
        }
        (GeneralName::DirectoryName(base), GeneralName::DirectoryName(name)) => {
            base.iter_rdn().count() <= name.iter_rdn().count()
                && base.iter_rdn().zip(name.iter_rdn()).all(|(base, there)| is_same(base, there))
        }
        // Of other kinds nobody says what a subtree is.
        _ => false,
    }
}

/// Whether all of a subtree is in another one.
pub(crate) fn is_within(base: &GeneralName, inner: &GeneralName) -> bool {
    match (base, inner) {
        (GeneralName::DnsName(base), GeneralName::DnsName(inner)) => is_host_below(base.as_str(), inner.as_str()),
        (GeneralName::IpAddress(base), GeneralName::IpAddress(inner)) => {
            let (base, inner) = (base.as_bytes(), inner.as_bytes());
            let (Some((_, wide)), Some((address, narrow))) =
                (base.split_at_checked(base.len() / 2), inner.split_at_checked(inner.len() / 2))
            else {
                return false;
            };
            is_in(base, address) && wide.iter().zip(narrow).all(|(wide, narrow)| wide & narrow == *wide)
        }
        (GeneralName::Rfc822Name(base), GeneralName::Rfc822Name(inner)) if inner.as_str().contains('@') => {
            is_mailbox_of(base.as_str(), inner.as_str())
        }
        (GeneralName::Rfc822Name(base), GeneralName::Rfc822Name(inner)) => is_domains(base.as_str(), inner.as_str()),
        (GeneralName::UniformResourceIdentifier(base), GeneralName::UniformResourceIdentifier(inner)) => {
            is_domains(base.as_str(), inner.as_str())
        }
        _ => base == inner,
    }
}

/// Whether subtrees of one kind, together, leave no name of it: an empty base is everything, of addresses 0.0.0.0/0 and ::/0 both.
pub(crate) fn is_all(bases: &[&GeneralName]) -> bool {
    let everywhere = |octets: usize| {
        bases.iter().any(|base| match base {
            GeneralName::IpAddress(network) => {
                let bytes = network.as_bytes();
                bytes.len() == 2 * octets && bytes.iter().skip(octets).all(|octet| *octet == 0)
            }
            _ => false,
        })
    };
    let is_empty = |base: &&GeneralName| match base {
        GeneralName::DnsName(base) => base.as_str().is_empty(),
        GeneralName::Rfc822Name(base) => base.as_str().is_empty(),
        GeneralName::UniformResourceIdentifier(base) => base.as_str().is_empty(),
        _ => false,
    };
    bases.iter().any(is_empty) || everywhere(4) && everywhere(16)
}

/// Whether anything that a name stands for is in a subtree, or nobody can tell.
fn touches(base: &GeneralName, name: &GeneralName) -> bool {
    match (base, name) {
        // A wildcard stands for the excluded name too, if that is one label below it.
        (GeneralName::DnsName(base), GeneralName::DnsName(name)) => {
            let (base, name) = (base.as_str().to_ascii_lowercase(), name.as_str().to_ascii_lowercase());
            let parent = base.trim_start_matches('.').split_once('.').map(|(_, parent)| parent);
            is_host_below(&base, &name)
                || is_host_below(&base, name.trim_start_matches("*."))
                || name.strip_prefix("*.").is_some_and(|of| parent == Some(of))
        }
        (GeneralName::IpAddress(_), GeneralName::IpAddress(_))
        | (GeneralName::Rfc822Name(_), GeneralName::Rfc822Name(_))
        | (GeneralName::DirectoryName(_), GeneralName::DirectoryName(_)) => is_below(base, name),
        (GeneralName::UniformResourceIdentifier(_), GeneralName::UniformResourceIdentifier(uri)) => {
            host_of(uri.as_str()).is_none() || is_below(base, name)
        }
        _ => true,
    }
}

/// "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side of the name"; with a dot before it,
/// as some write it, one label at least.
fn is_host_below(base: &str, name: &str) -> bool {
    let (base, name) = (base.to_ascii_lowercase(), name.to_ascii_lowercase());
    if base.is_empty() || base == name {
        return true;
    }
    let dotted = if base.starts_with('.') { base } else { format!(".{base}") };
    name.ends_with(&dotted) && name.len() > dotted.len()
}

/// Of mailboxes and URIs: a host is that host alone, with a dot before it what is below that.
fn is_domains(base: &str, host: &str) -> bool {
    match base.starts_with('.') {
        true => is_host_below(base, host),
        false => base.eq_ignore_ascii_case(host),
    }
}

fn is_mailbox_of(base: &str, name: &str) -> bool {
    let Some((local, host)) = name.rsplit_once('@') else { return false };
    match base.rsplit_once('@') {
        Some((its, at)) => its == local && at.eq_ignore_ascii_case(host),
        None => is_domains(base, host),
    }
}

/// "The constraint ... applies to the host part of the name"; none where there is none, or an address: "If a URI constraint is present ...
/// [such a] certificate MUST be rejected".
fn host_of(uri: &str) -> Option<String> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<std::net::IpAddr>().is_err();
    is_name.then(|| host.to_owned())
}

/// An address in a network: address and mask, one after the other.
fn is_in(network: &[u8], address: &[u8]) -> bool {
    let Some((base, mask)) = network.split_at_checked(network.len() / 2) else { return false };
    base.len() == address.len()
        && base.iter().zip(mask).zip(address).all(|((base, mask), octet)| base & mask == octet & mask)
}

/// Whether two names, DER, are the same by RFC 5280 section 7.1, as far as case, the type of strings and blanks around them go. What is
/// no name is the same as the same bytes alone.
pub(crate) fn is_same_name(one: &[u8], other: &[u8]) -> bool {
    let read = |name: &[u8]| RdnSequence::from_der(name).ok();
    match (read(one), read(other)) {
        (Some(one), Some(other)) => {
            let (one, other): (&[_], &[_]) = (one.as_ref(), other.as_ref());
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        _ => one == other,
    }
}

/// The same attributes with the same texts, whatever their case and the type of their strings.
fn is_same(one: &RelativeDistinguishedName, other: &RelativeDistinguishedName) -> bool {
    let read = |rdn: &RelativeDistinguishedName| {
        let mut all: Vec<_> = rdn
            .iter()
            .map(|attribute| {
                let text = text_of(&attribute.value).map(|text| text.trim().to_lowercase());
                (attribute.oid, text.unwrap_or_else(|| hex::encode(attribute.value.value())))
            })
            .collect();
        all.sort();
        all
    };
    read(one) == read(other)
}

fn shown(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("dns:{name}"),
        GeneralName::Rfc822Name(name) => format!("email:{name}"),
        GeneralName::UniformResourceIdentifier(name) => format!("uri:{name}"),
        GeneralName::DirectoryName(name) => format!("the subject {name}"),
        GeneralName::IpAddress(octets) => match octets.as_bytes() {
            [a, b, c, d] => format!("ip:{a}.{b}.{c}.{d}"),
            six => <[u8; 16]>::try_from(six)
                .map_or_else(|_| "an address".into(), |six| format!("ip:{}", std::net::Ipv6Addr::from(six))),
        },
        _ => "a name of another kind".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc4519;
    use der::asn1::{Ia5String, OctetString};
    use x509_cert::ext::pkix::name::OtherName;

    use super::*;

    fn name(text: &str) -> GeneralName {
        let (kind, value) = text.split_once(':').unwrap();
        let ia5 = || Ia5String::new(value).unwrap();
        match kind {
            "dns" => GeneralName::DnsName(ia5()),
            "email" => GeneralName::Rfc822Name(ia5()),
            "uri" => GeneralName::UniformResourceIdentifier(ia5()),
            "dn" => GeneralName::DirectoryName(value.parse().unwrap()),
            "upn" => GeneralName::OtherName(OtherName {
                type_id: rfc4519::CN,
                value: der::Any::encode_from(&ia5()).unwrap(),
            }),
            _ => GeneralName::IpAddress(OctetString::new(hex::decode(value).unwrap()).unwrap()),
        }
    }

    fn trees(texts: &str) -> Option<Vec<GeneralSubtree>> {
        let all = texts.split(' ').filter(|text| !text.is_empty());
        let all: Vec<_> = all.map(|text| GeneralSubtree { base: name(text), minimum: 0, maximum: None }).collect();
        (!all.is_empty()).then_some(all)
    }

    #[test]
    fn a_name_is_within_as_every_client_reads_it() {
        for (permitted, excluded, names, fits) in [
            ("dns:example.org", "", "dns:example.org", true),
            ("dns:example.org", "", "dns:A.EXAMPLE.ORG", true),
            ("dns:example.org", "", "dns:*.example.org", true),
            ("dns:a.example.org", "", "dns:*.example.org", false),
            ("dns:example.org", "", "dns:notexample.org", false),
            ("dns:example.org", "", "dns:example.org.evil", false),
            ("dns:.example.org", "", "dns:example.org", false),
            ("dns:.example.org", "", "dns:a.example.org", true),
            ("dns:example.org dns:example.net", "", "dns:example.net", true),
            ("dns:example.org", "", "dns:a.example.org dns:evil", false),
            // Each kind for itself: what is not constrained is free.
            ("dns:example.org", "", "email:a@evil ip:0a000001", true),
            ("", "dns:example.org", "dns:a.example.org", false),
            ("", "dns:a.example.org", "dns:*.example.org", false),
            ("", "dns:b.a.example.org", "dns:*.example.org", true),
            ("", "dns:a.example.org", "dns:b.example.org", true),
            ("", "dns:example.org", "dns:*.example.org", false),
            ("", "dns:", "dns:a", false),
            ("ip:0a000000ff000000", "", "ip:0a010203", true),
            ("ip:0a000000ff000000", "", "ip:0b010203", false),
            ("ip:0a000000ff000000", "", "ip:fd000000000000000000000000000001", false),
            ("", "ip:0a000000ff000000", "ip:0a010203", false),
            ("", "ip:0000000000000000", "ip:0a010203", false),
            ("email:example.org", "", "email:a@example.org", true),
            ("email:example.org", "", "email:a@b.example.org", false),
            ("email:.example.org", "", "email:a@b.example.org", true),
            ("email:.example.org", "", "email:a@example.org", false),
            ("email:a@example.org", "", "email:a@EXAMPLE.org", true),
            ("email:a@example.org", "", "email:b@example.org", false),
            ("email:example.org", "", "email:\"a@example.org\"@evil", false),
            ("uri:example.org", "", "uri:spiffe://example.org/a", true),
            ("uri:example.org", "", "uri:https://example.org@evil/", false),
            ("uri:example.org", "", "uri:https://evil/@example.org", false),
            ("uri:example.org", "", "uri:urn:a", false),
            ("", "uri:example.org", "uri:urn:a", false),
            ("", "uri:example.org", "uri:https://10.0.0.1/", false),
            ("uri:.example.org", "", "uri:https://a.example.org:1/", true),
            ("upn:x", "", "upn:x", false),
            ("", "upn:x", "upn:y", false),
        ] {
            let constraints =
                NameConstraints { permitted_subtrees: trees(permitted), excluded_subtrees: trees(excluded) };
            let names: Vec<_> = names.split(' ').map(name).collect();
            let said = outside(&constraints, &Name::default(), &names);
            assert_eq!(said.is_none(), fits, "{permitted} but {excluded}: {names:?}: {said:?}");
        }
    }

    #[test]
    fn a_subject_is_within_by_its_first_parts() {
        let permitted = trees("dn:O=Example");
        for (subject, fits) in [
            ("CN=a,O=Example", true),
            ("CN=a,O=EXAMPLE", true),
            ("CN=a,O=Other", false),
            ("O=Example,CN=a", false),
            ("CN=a", false),
        ] {
            let only = NameConstraints { permitted_subtrees: permitted.clone(), excluded_subtrees: None };
            assert_eq!(outside(&only, &subject.parse().unwrap(), &[]).is_none(), fits, "{subject}");
            let never = NameConstraints { permitted_subtrees: None, excluded_subtrees: permitted.clone() };
            assert_eq!(outside(&never, &subject.parse().unwrap(), &[]).is_none(), !fits, "{subject}");
        }
        let only = NameConstraints { permitted_subtrees: permitted, excluded_subtrees: None };
        assert!(outside(&only, &Name::default(), &[name("dns:a")]).is_none(), "an empty subject is none");
    }
}
