//! Which targets are dialled: those that the operator listed; where he listed none, all but link-local addresses, at which clouds hand
//! out their hosts' own credentials.

use std::net::IpAddr;
use std::sync::Arc;

/// `[rotation] targets`. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Option<Arc<Vec<Pattern>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    spot: Spot,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Spot {
    /// A host by its name.
    Name(String),
    /// Every name that ends so, from its first dot on.
    Below(String),
    /// Every address of a network.
    Net(IpAddr, u8),
}

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no target: write a host, *.domain, an address or a network (10.1.0.0/16), each with :PORT where one port alone is meant \
     (of IPv6 in brackets: [fd00::/8]:5432)"
)]
pub struct NoTarget(pub String);

impl Allowed {
    /// Those of a list, and no others; of an empty one nothing.
    ///
    /// # Errors
    /// [`NoTarget`].
    pub fn those(patterns: &[String]) -> Result<Allowed, NoTarget> {
        let each = patterns.iter().map(|text| pattern(text).ok_or_else(|| NoTarget(text.clone())));
        Ok(Allowed(Some(Arc::new(each.collect::<Result<_, _>>()?))))
    }

    /// Whether a target may be set up. One by its name may still be at an address that is not dialled.
    ///
    /// # Errors
    /// In a sentence.
    pub fn check(&self, host: &str, port: u16) -> Result<(), String> {
        let may = match (host.parse::<IpAddr>(), &self.0) {
            (Ok(address), _) => self.may(host, address, port),
            (Err(_), None) => true,
            (Err(_), Some(patterns)) => patterns.iter().filter(|one| one.has(port)).any(|one| match &one.spot {
                Spot::Net(..) => true,
                Spot::Name(_) | Spot::Below(_) => one.names(host),
            }),
        };
        match (may, &self.0) {
            (true, _) => Ok(()),
            (false, None) => Err(format!(
                "{host} is a link-local address, which is not dialled: name another, or list it in `targets` of [rotation] of the \
                 server's configuration"
            )),
            (false, Some(_)) => Err(format!(
                "{host}:{port} is none of the `targets` in [rotation] of the server's configuration: whoever keeps that adds it"
            )),
        }
    }

    /// Whether a host is dialled at an address.
    pub(crate) fn may(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        let Some(patterns) = &self.0 else { return !is_link_local(address) };
        patterns.iter().filter(|one| one.has(port)).any(|one| match &one.spot {
            Spot::Net(net, bits) => is_in(*net, *bits, address),
            Spot::Name(_) | Spot::Below(_) => one.names(host) && !is_link_local(address),
        })
    }

    /// Whether the operator listed it: what it says when it is away is told then.
    pub(crate) fn lists(&self, host: &str, port: u16) -> bool {
        self.0.is_some() && self.check(host, port).is_ok()
    }
}

impl Pattern {
    fn has(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }

    fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.spot {
            Spot::Name(name) => *name == host,
            Spot::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
            Spot::Net(..) => false,
        }
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    let (place, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (place, port) = rest.split_once(']')?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (place, port)
        }
        // An address of IPv6 has several colons, and no port.
        None if text.matches(':').count() == 1 => text.split_once(':').map(|(place, port)| (place, Some(port)))?,
        None => (text, None),
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None => None,
    };
    Some(Pattern { spot: spot(place)?, port })
}

fn spot(text: &str) -> Option<Spot> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let bits = if address.is_ipv4() { V4_BITS } else { V6_BITS };
        return Some(Spot::Net(address, bits));
    }
    if let Some((address, bits)) = text.split_once('/') {
        let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
        let most = if address.is_ipv4() { V4_BITS } else { V6_BITS };
        return (bits <= most).then_some(Spot::Net(address, bits));
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    let name = text.strip_prefix('*').unwrap_or(text);
    let is_below = name.len() < text.len();
    let is_name =
        name.len() > usize::from(is_below) && name.chars().all(is_of_name) && name.starts_with('.') == is_below;
    let name = name.to_ascii_lowercase();
    is_name.then_some(if is_below { Spot::Below(name) } else { Spot::Name(name) })
}

fn is_in(net: IpAddr, bits: u8, address: IpAddr) -> bool {
    // What is shifted out altogether is every address.
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => {
            let rest = u32::from(V4_BITS.saturating_sub(bits));
            u32::from(net).checked_shr(rest) == u32::from(address).checked_shr(rest)
        }
        (IpAddr::V6(net), IpAddr::V6(address)) => {
            let rest = u32::from(V6_BITS.saturating_sub(bits));
            u128::from(net).checked_shr(rest) == u128::from(address).checked_shr(rest)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291 section 2.5.6).
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments().first().is_some_and(|first| *first & 0xffc0 == 0xfe80),
    }
}

const V4_BITS: u8 = 32;
const V6_BITS: u8 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn those(patterns: &[&str]) -> Allowed {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        Allowed::those(&patterns).unwrap()
    }

    #[test]
    fn without_a_list_link_local_addresses_alone_are_not_dialled() {
        let all = Allowed::default();
        for (address, may) in [
            ("127.0.0.1", true),
            ("10.0.0.1", true),
            ("169.254.169.254", false),
            ("fe80::1", false),
            ("::ffff:169.254.169.254", false),
            ("fd00::1", true),
        ] {
            assert_eq!(all.check(address, 5432).is_ok(), may, "{address}");
            assert_eq!(all.may("metadata.example", address.parse().unwrap(), 80), may, "{address}");
        }
        assert!(all.check("db.example.org", 5432).is_ok() && !all.lists("db.example.org", 5432));
    }

    #[test]
    fn with_a_list_nothing_else_is_dialled() {
        let some =
            those(&["db.example.org", "*.prod.example.org:5432", "10.1.0.0/16", "[fd00::/8]:6379", "192.0.2.7:636"]);
        let is_dialled = [
            ("DB.example.org", "203.0.113.1", 1, true),
            ("other.example.org", "203.0.113.1", 1, false),
            ("a.prod.example.org", "203.0.113.1", 5432, true),
            ("a.prod.example.org", "203.0.113.1", 5433, false),
            ("prod.example.org", "203.0.113.1", 5432, false),
            ("notprod.example.org", "203.0.113.1", 5432, false),
            ("whatever", "10.1.2.3", 9, true),
            ("whatever", "10.2.2.3", 9, false),
            ("whatever", "fd00::1", 6379, true),
            ("whatever", "fd00::1", 6380, false),
            ("192.0.2.7", "192.0.2.7", 636, true),
            // Whoever has the name leads to nobody's metadata.
            ("db.example.org", "169.254.169.254", 80, false),
        ];
        for (host, address, port, may) in is_dialled {
            assert_eq!(some.may(host, address.parse().unwrap(), port), may, "{host} {address} {port}");
        }
        assert!(some.check("192.0.2.8", 636).is_err() && some.check("192.0.2.7", 636).is_ok());
        assert!(those(&[]).check("127.0.0.1", 5432).is_err());
        assert!(those(&["169.254.0.0/16"]).check("169.254.1.1", 1).is_ok());
        for bad in
            ["", "*", "a b", "10.0.0.0/33", "host:0", "host:x", "[::1", "*example.org", ".example.org", "http://x"]
        {
            assert_eq!(Allowed::those(&[bad.to_owned()]), Err(NoTarget(bad.to_owned())), "{bad}");
        }
    }
}
