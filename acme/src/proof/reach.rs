//! Which addresses a validation may connect to.
//!
//! A client chooses the name, the name's owner chooses the address: without a rule, http-01 would be a way to send requests to
//! the CA's own services and to cloud metadata (SSRF). Refused by default: this host, link-local, multicast, reserved ranges, and
//! the metadata services of the large clouds. **Private ranges are allowed**: an internal CA serves exactly those. What is refused
//! can be allowed network by network (`allow_networks`), as the demo does with 127.0.0.0/8.
//!
//! An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4) is judged by both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Network;

/// The rule.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    allowed: Vec<Network>,
}

impl Reach {
    /// The default rule with these exceptions.
    pub fn new(allow_networks: Vec<Network>) -> Self {
        Self { allowed: allow_networks }
    }

    /// Whether a validation may connect there; if not, why.
    pub fn check(&self, ip: IpAddr) -> Result<(), &'static str> {
        if self.allowed.iter().any(|network| network.contains(ip)) {
            return Ok(());
        }
        match ip {
            IpAddr::V4(v4) => self.check_v4(v4),
            IpAddr::V6(v6) => self.check_v6(v6),
        }
    }

    fn check_v4(&self, ip: Ipv4Addr) -> Result<(), &'static str> {
        let [a, ..] = ip.octets();
        if a == 0 {
            Err("it is in 0.0.0.0/8, this host")
        } else if ip.is_loopback() {
            Err("it is a loopback address")
        } else if METADATA_V4.contains(&ip) {
            Err("it is a cloud metadata service")
        } else if ip.is_link_local() {
            Err("it is link-local")
        } else if ip.is_multicast() {
            Err("it is multicast")
        } else if a >= 240 {
            Err("it is reserved or broadcast")
        } else {
            Ok(())
        }
    }

    fn check_v6(&self, ip: Ipv6Addr) -> Result<(), &'static str> {
        if ip.is_unspecified() {
            return Err("it is the unspecified address, this host");
        }
        if ip.is_loopback() {
            return Err("it is a loopback address");
        }
        if METADATA_V6.contains(&ip) {
            return Err("it is a cloud metadata service");
        }
        if ip.is_unicast_link_local() {
            return Err("it is link-local");
        }
        if ip.is_multicast() {
            return Err("it is multicast");
        }
        match carried_v4(ip) {
            Some(v4) => self.check(v4.into()),
            None => Ok(()),
        }
    }
}

/// The IPv4 address inside: mapped and compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn carried_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// AWS/Azure/GCP/OpenStack, Alibaba, Azure's host agent, Oracle.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// AWS, GCP: unique local addresses, which as a range are allowed.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_its_link_and_metadata_are_out_of_reach() {
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::1",
        ] {
            assert!(Reach::default().check(ip.parse().unwrap()).is_err(), "{ip}");
        }
    }

    #[test]
    fn private_and_public_ranges_are_reachable() {
        for ip in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.2.1",
            "8.8.8.8",
            "fd00::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(Reach::default().check(ip.parse().unwrap()), Ok(()), "{ip}");
        }
    }

    #[test]
    fn a_network_is_allowed_by_name_and_nothing_beside_it() {
        let reach = Reach::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(reach.check("127.0.0.1".parse().unwrap()), Ok(()));
        assert_eq!(reach.check("::ffff:127.0.0.1".parse().unwrap()), Ok(()), "the same host in other clothes");
        assert!(reach.check("::1".parse().unwrap()).is_err());
        assert!(reach.check("169.254.169.254".parse().unwrap()).is_err());
    }
}
