//! Which names an owner may have.
//!
//! Rules are allow-lists, declared in the configuration: what no rule has is outside. They bind every request, an
//! administrator's too. A wildcard certificate speaks for every name below its base, so it needs a rule that has all of them.
//! Never asks the DNS: ownership here is what the organisation wrote down, not what resolves today.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::deciding::error::PolicyError;
use crate::names::{DnsName, Name, Owner, Principal};
use crate::text::Malformed;

/// The names of one owner, as the configuration writes them (`[[owner]]`). The order of the fields is the order that is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerRules {
    /// Whose rules these are.
    pub name: Owner,
    /// `*.example.internal` is everything below it, at any depth; anything else is that name exactly.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Networks in CIDR form, or single addresses.
    #[serde(default)]
    pub ip: Vec<String>,
    /// SSH principals, exact, or `*` for all.
    #[serde(default)]
    pub principals: Vec<String>,
    /// Mailboxes, exact, or `*@example.com` for all of a domain.
    #[serde(default)]
    pub email: Vec<String>,
    /// URIs, exact, or `spiffe://example.internal/web/*` for all below a path.
    #[serde(default)]
    pub uri: Vec<String>,
    /// User principal names, exact, or `*@example.internal` for all of a domain.
    #[serde(default)]
    pub upn: Vec<String>,
}

impl OwnerRules {
    /// The rules of an owner who has nothing.
    pub fn none(name: Owner) -> OwnerRules {
        OwnerRules {
            name,
            dns: Vec::new(),
            ip: Vec::new(),
            principals: Vec::new(),
            email: Vec::new(),
            uri: Vec::new(),
            upn: Vec::new(),
        }
    }

    /// Its rules, each list with the key that the configuration has for it.
    pub fn fields(&self) -> [(&'static str, &[String]); 6] {
        [
            ("dns", &self.dns),
            ("ip", &self.ip),
            ("principals", &self.principals),
            ("email", &self.email),
            ("uri", &self.uri),
            ("upn", &self.upn),
        ]
    }

    /// The same rules in the one order that is hashed: two spellings of one rule set are one policy.
    pub(crate) fn canonical(mut self) -> OwnerRules {
        for list in [&mut self.dns, &mut self.ip, &mut self.principals, &mut self.email, &mut self.uri, &mut self.upn] {
            list.sort();
            list.dedup();
        }
        self
    }
}

/// Names in one list, hosts and networks together, in the language of [`OwnerRules`]: whoever may prove names (ACME) is bound by
/// them too.
#[derive(Debug, Clone)]
pub struct NameRules {
    dns: Vec<DnsRule>,
    ip: Vec<Network>,
}

impl NameRules {
    /// Reads the list: what begins with an address is a network or an address, anything else a host rule.
    pub fn parse(texts: &[String]) -> Result<NameRules, Malformed> {
        let mut rules = NameRules { dns: Vec::new(), ip: Vec::new() };
        for text in texts {
            let address = text.split_once('/').map_or(text.as_str(), |(address, _)| address);
            match address.parse::<IpAddr>() {
                Ok(_) => rules.ip.push(Network::parse(text)?),
                Err(_) => rules.dns.push(DnsRule::parse(text)?),
            }
        }
        Ok(rules)
    }

    /// Whether the list has this name. Mailboxes, URIs and user principal names are never in it.
    pub fn has(&self, name: &Name) -> bool {
        match name {
            Name::Dns(name) => self.dns.iter().any(|rule| rule.has(name)),
            Name::Ip(ip) => self.ip.iter().any(|network| network.has(*ip)),
            Name::Email(_) | Name::Uri(_) | Name::Upn(_) => false,
        }
    }
}

/// Parsed [`OwnerRules`].
pub(crate) struct Matcher {
    dns: Vec<DnsRule>,
    ip: Vec<Network>,
    principals: Vec<PrincipalRule>,
    email: Vec<DomainRule>,
    uri: Vec<UriRule>,
    upn: Vec<DomainRule>,
}

impl Matcher {
    pub(crate) fn new(rules: &OwnerRules) -> Result<Matcher, PolicyError> {
        let owner = rules.name.as_str();
        Ok(Matcher {
            dns: parse_all(owner, "dns", &rules.dns, DnsRule::parse)?,
            ip: parse_all(owner, "ip", &rules.ip, Network::parse)?,
            principals: parse_all(owner, "principals", &rules.principals, PrincipalRule::parse)?,
            email: parse_all(owner, "email", &rules.email, |text| DomainRule::parse("email", text))?,
            uri: parse_all(owner, "uri", &rules.uri, UriRule::parse)?,
            upn: parse_all(owner, "upn", &rules.upn, |text| DomainRule::parse("upn", text))?,
        })
    }

    /// Whether the owner has this name.
    pub(crate) fn has_name(&self, name: &Name) -> bool {
        self.by_rule(name).is_some()
    }

    /// The place of the rule, in the list of the name's kind, by which the owner has this name.
    pub(crate) fn by_rule(&self, name: &Name) -> Option<usize> {
        match name {
            Name::Dns(name) => self.dns.iter().position(|rule| rule.has(name)),
            Name::Ip(ip) => self.ip.iter().position(|network| network.has(*ip)),
            Name::Email(mailbox) => self.email.iter().position(|rule| rule.has(mailbox)),
            Name::Uri(uri) => self.uri.iter().position(|rule| rule.has(uri)),
            Name::Upn(upn) => self.upn.iter().position(|rule| rule.has(upn)),
        }
    }

    /// Whether the owner has this account.
    pub(crate) fn has_account(&self, principal: &Principal) -> bool {
        self.by_account_rule(principal).is_some()
    }

    /// The place of the rule by which the owner has this account.
    pub(crate) fn by_account_rule(&self, principal: &Principal) -> Option<usize> {
        self.principals.iter().position(|rule| match rule {
            PrincipalRule::All => true,
            PrincipalRule::Exact(exact) => exact == principal,
        })
    }

    /// Whether the owner has this host: the principals of an SSH host certificate are host names and addresses, so the rules for
    /// those decide, never the account rules (where `*` would make any host anybody's).
    pub(crate) fn has_host(&self, principal: &Principal) -> bool {
        match Name::parse(principal.as_str()) {
            Ok(name @ (Name::Dns(_) | Name::Ip(_))) => self.has_name(&name),
            Ok(Name::Email(_) | Name::Uri(_) | Name::Upn(_)) | Err(_) => false,
        }
    }
}

fn parse_all<T>(
    owner: &str,
    field: &'static str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, Malformed>,
) -> Result<Vec<T>, PolicyError> {
    let refuse = |why| PolicyError::Rule { owner: owner.to_owned(), field, why };
    texts.iter().map(|text| parse(text).map_err(refuse)).collect()
}

#[derive(Debug, Clone)]
enum DnsRule {
    /// With its leading dot: `.example.internal`.
    Below(String),
    Exact(DnsName),
}

impl DnsRule {
    fn parse(text: &str) -> Result<DnsRule, Malformed> {
        // Not as a DnsName with its *.: a rule may be broader than any one certificate (`*.internal`).
        match text.strip_prefix("*.") {
            Some(base) => host(base).map(|base| DnsRule::Below(format!(".{base}"))),
            None => DnsName::parse(text).map(DnsRule::Exact),
        }
    }

    fn has(&self, name: &DnsName) -> bool {
        match self {
            DnsRule::Below(suffix) => {
                // `*.a.x` is inside `*.a.x` itself and inside `*.x`: everything it can match lies below both.
                let same_zone = name.is_wildcard() && suffix.strip_prefix('.') == Some(name.base());
                same_zone || name.base().ends_with(suffix.as_str())
            }
            DnsRule::Exact(exact) => exact == name,
        }
    }
}

/// A name without a wildcard: the part of a rule after its `*.` or `*@`.
fn host(text: &str) -> Result<DnsName, Malformed> {
    match DnsName::parse(text)? {
        name if name.is_wildcard() => Err(Malformed::new("DNS name", text, "a rule has one * at most")),
        name => Ok(name),
    }
}

#[derive(Debug, Clone)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Network, Malformed> {
        let refuse = |why: String| Malformed::new("network", text, why);
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse("write 10.0.0.0/8 or 2001:db8::/32".to_owned()))?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            // Only digits: `parse` alone would take "+8".
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().unwrap_or(u32::MAX),
            Some(_) => u32::MAX,
        };
        if prefix > bits {
            return Err(refuse(format!("its prefix length is 0 to {bits}")));
        }
        let network = Network { address, prefix };
        let base = number(address) & network.mask();
        if base != number(address) {
            let should_be = format!("{}/{prefix}", address_of(base, address.is_ipv4()));
            return Err(refuse(format!("it has bits after its prefix; write {should_be}")));
        }
        Ok(network)
    }

    fn has(&self, ip: IpAddr) -> bool {
        self.address.is_ipv4() == ip.is_ipv4() && number(ip) & self.mask() == number(self.address)
    }

    /// The leading `prefix` bits of 32 or 128; a shift by the whole width is none.
    fn mask(&self) -> u128 {
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        u128::MAX.checked_shl(bits - self.prefix).unwrap_or(0)
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn address_of(number: u128, is_ipv4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_ipv4 => IpAddr::V4(number.into()),
        Ok(_) | Err(_) => IpAddr::V6(number.into()),
    }
}

enum PrincipalRule {
    All,
    Exact(Principal),
}

impl PrincipalRule {
    fn parse(text: &str) -> Result<PrincipalRule, Malformed> {
        match text {
            "*" => Ok(PrincipalRule::All),
            some if some.contains('*') => {
                Err(Malformed::new("principal", some, "`*` alone is everyone; all others are written out"))
            }
            exact => Principal::parse(exact).map(PrincipalRule::Exact),
        }
    }
}

/// Of mailboxes, and of user principal names, which are written alike.
enum DomainRule {
    Domain(DnsName),
    Exact(String),
}

impl DomainRule {
    fn parse(kind: &str, text: &str) -> Result<DomainRule, Malformed> {
        if let Some(domain) = text.strip_prefix("*@") {
            return host(domain).map(DomainRule::Domain);
        }
        match Name::parse(&format!("{kind}:{text}"))? {
            Name::Email(exact) | Name::Upn(exact) => Ok(DomainRule::Exact(exact)),
            Name::Dns(_) | Name::Ip(_) | Name::Uri(_) => Err(Malformed::new("rule", text, "it is no NAME@DOMAIN")),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            // At the first @: of a name with two, the domain is no host name, so no rule has it.
            DomainRule::Domain(domain) => name.split_once('@').is_some_and(|(_, of)| of == domain.as_str()),
            DomainRule::Exact(exact) => exact == name,
        }
    }
}

enum UriRule {
    /// With its slash at the end.
    Below(String),
    Exact(String),
}

impl UriRule {
    fn parse(text: &str) -> Result<UriRule, Malformed> {
        let (base, below) = text.strip_suffix("/*").map_or((text, false), |base| (base, true));
        let refuse = |why| Malformed::new("URI rule", text, why);
        match Name::parse(&format!("uri:{base}"))? {
            Name::Uri(uri) if uri.contains('*') => Err(refuse("a rule has one * at most, after its last slash")),
            Name::Uri(uri) if below && uri.contains(['?', '#']) => {
                Err(refuse("what is below a path has no query and no fragment"))
            }
            Name::Uri(uri) if below => Ok(UriRule::Below(uri + "/")),
            Name::Uri(uri) => Ok(UriRule::Exact(uri)),
            Name::Dns(_) | Name::Ip(_) | Name::Email(_) | Name::Upn(_) => Err(refuse("it is no URI")),
        }
    }

    fn has(&self, uri: &str) -> bool {
        match self {
            UriRule::Below(base) => uri.strip_prefix(base.as_str()).is_some_and(|rest| !rest.is_empty()),
            UriRule::Exact(exact) => exact == uri,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(dns: &[&str], ip: &[&str], principals: &[&str], email: &[&str]) -> OwnerRules {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        OwnerRules {
            dns: texts(dns),
            ip: texts(ip),
            principals: texts(principals),
            email: texts(email),
            ..OwnerRules::none(Owner::parse("web").unwrap())
        }
    }

    fn matcher(dns: &[&str], ip: &[&str], principals: &[&str], email: &[&str]) -> Matcher {
        Matcher::new(&rules(dns, ip, principals, email)).unwrap()
    }

    #[test]
    fn an_owner_has_the_names_its_rules_name() {
        for (rule, name, has) in [
            ("localhost", "localhost", true),
            ("localhost", "a.localhost", false),
            ("www.example", "WWW.Example", true),
            ("*.example", "www.example", true),
            ("*.example", "a.b.c.example", true),
            ("*.example", "example", false),
            ("*.example", "badexample", false),
            ("*.example", "www.example.evil", false),
            ("*.Example", "www.example", true),
            ("*.a.example", "b.example", false),
            // A wildcard certificate speaks for everything below its base.
            ("*.example.internal", "*.example.internal", true),
            ("*.internal", "*.example.internal", true),
            ("*.a.example.internal", "*.example.internal", false),
            ("example.internal", "*.example.internal", false),
            ("www.example.internal", "*.example.internal", false),
            ("*.example.internal", "*.badexample.internal", false),
            // An address is no host name.
            ("*.example", "10.0.0.1", false),
        ] {
            let name_parsed = Name::parse(name).unwrap();
            assert_eq!(matcher(&[rule], &[], &[], &[]).has_name(&name_parsed), has, "{rule} has {name}");
        }
    }

    #[test]
    fn an_owner_has_the_addresses_of_its_networks() {
        for (rule, ip, has) in [
            ("127.0.0.0/8", "127.255.255.255", true),
            ("127.0.0.0/8", "128.0.0.0", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("10.1.2.2/31", "10.1.2.3", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "127.0.0.1", false),
            ("::1", "::1", true),
            ("2001:db8::/32", "2001:db8:ffff::", true),
            ("2001:db8::/32", "2001:db9::", false),
        ] {
            assert_eq!(matcher(&[], &[rule], &[], &[]).has_name(&Name::parse(ip).unwrap()), has, "{rule} has {ip}");
        }
    }

    #[test]
    fn an_owner_has_the_accounts_and_mailboxes_its_rules_name() {
        let alice = Principal::parse("alice").unwrap();
        let root = Principal::parse("root").unwrap();
        let some = matcher(&[], &[], &["alice"], &["ops@example.com", "*@Team.example"]);
        assert!(some.has_account(&alice) && !some.has_account(&root));
        assert!(matcher(&[], &[], &["*"], &[]).has_account(&root));
        for (mailbox, has) in [
            ("ops@example.com", true),
            ("OPS@example.com", false),
            ("dev@example.com", false),
            ("any@team.example", true),
            ("any@bad-team.example", false),
            ("any@sub.team.example", false),
            ("any@evil.example@team.example", false),
        ] {
            assert_eq!(some.has_name(&Name::Email(mailbox.to_owned())), has, "{mailbox}");
        }
        assert!(!some.has_name(&Name::parse("spiffe://team.example/a").unwrap()));
    }

    #[test]
    fn the_hosts_of_an_owner_are_its_names_not_its_accounts() {
        let rules = matcher(&["*.example.internal"], &["10.0.0.0/8"], &["*"], &["*@example.internal"]);
        for (principal, has) in [
            ("web1.example.internal", true),
            ("10.1.2.3", true),
            ("192.168.1.1", false),
            ("web1.elsewhere", false),
            ("alice", false),
            ("alice@example.internal", false),
            ("under_score.example.internal", false),
        ] {
            assert_eq!(rules.has_host(&Principal::parse(principal).unwrap()), has, "{principal}");
        }
    }

    #[test]
    fn one_list_has_hosts_and_networks() {
        let parse = |texts: &[&str]| NameRules::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let rules = parse(&["*.example.internal", "www.example", "10.0.0.0/24", "2001:db8::/32", "192.0.2.1"]).unwrap();
        for (name, has) in [
            ("a.b.example.internal", true),
            ("*.example.internal", true),
            ("example.internal", false),
            ("www.example", true),
            ("*.www.example", false),
            ("10.0.0.7", true),
            ("10.0.1.7", false),
            ("2001:db8::7", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("email:a@www.example", false),
        ] {
            assert_eq!(rules.has(&Name::parse(name).unwrap()), has, "{name}");
        }
        assert!(!parse(&[]).unwrap().has(&Name::parse("www.example").unwrap()));
        for (text, says) in
            [("*", "\"*\""), ("10.0.0.1/8", "write 10.0.0.0/8"), ("10.0.0.0/33", "0 to 32"), ("a/8", "only letters")]
        {
            let said = parse(&[text]).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_refused_with_what_to_write() {
        for (dns, ip, principals, email, says) in [
            ("*", "", "", "", "owner web, dns"),
            ("a_b.example", "", "", "", "underscore"),
            ("*.*.a.example", "", "", "", "one * at most"),
            ("example.", "", "", "", "ends with a dot"),
            ("", "10.0.0.1/8", "", "", "write 10.0.0.0/8"),
            ("", "2001:db8::1/32", "", "", "write 2001:db8::/32"),
            ("", "10.0.0.0/33", "", "", "0 to 32"),
            ("", "10.0.0.0/+8", "", "", "0 to 32"),
            ("", "10.0.0.0/", "", "", "0 to 32"),
            ("", "10.0.0/8", "", "", "owner web, ip"),
            ("", "", "alice,root", "", "one principal"),
            ("", "", "web*", "", "`*` alone"),
            ("", "", "", "*@*.example.com", "one * at most"),
            ("", "", "", "*", "no @"),
        ] {
            let list = |text: &'static str| if text.is_empty() { vec![] } else { vec![text] };
            let refused = Matcher::new(&rules(&list(dns), &list(ip), &list(principals), &list(email)));
            let said = refused.err().expect("refused").to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn uris_and_user_principal_names_are_had_exactly_or_below_what_a_rule_names() {
        let rules = |uri: &str, upn: &str| {
            let list = |text: &str| if text.is_empty() { vec![] } else { vec![text.to_owned()] };
            OwnerRules { uri: list(uri), upn: list(upn), ..OwnerRules::none(Owner::parse("web").unwrap()) }
        };
        for (uri, upn, name, has) in [
            ("spiffe://a.example/web", "", "uri:spiffe://a.example/web", true),
            ("spiffe://A.example/web", "", "uri:spiffe://a.example/web", true),
            ("spiffe://a.example/web", "", "uri:spiffe://a.example/web/api", false),
            ("spiffe://a.example/web/*", "", "uri:spiffe://a.example/web/api", true),
            ("spiffe://a.example/web/*", "", "uri:spiffe://a.example/web/ns/api", true),
            ("spiffe://a.example/web/*", "", "uri:spiffe://a.example/web", false),
            ("spiffe://a.example/web/*", "", "uri:spiffe://a.example/web2/api", false),
            ("spiffe://a.example/web/*", "", "uri:spiffe://b.example/web/api", false),
            ("spiffe://a.example/*", "", "uri:spiffe://a.example/web", true),
            ("spiffe://a.example/*", "", "uri:spiffe://a.example", false),
            ("spiffe://a.example/*", "", "uri:https://a.example/web", false),
            ("https://a.example/x/*", "", "uri:https://a.example/x/?y", true),
            ("", "alice@a.example", "upn:alice@A.example", true),
            ("", "alice@a.example", "email:alice@a.example", false),
            ("", "*@a.example", "upn:bob@a.example", true),
            ("", "*@a.example", "upn:bob@b.a.example", false),
        ] {
            let matcher = Matcher::new(&rules(uri, upn)).unwrap();
            assert_eq!(matcher.has_name(&Name::parse(name).unwrap()), has, "{uri}{upn} {name}");
        }
        for (uri, upn, says) in [
            ("*", "", "owner web, uri"),
            ("spiffe://*/web", "", "host name alone"),
            ("spiffe://a.example/web*", "", "SPIFFE ID"),
            ("https://a.example/*/x", "", "one * at most"),
            ("https://a.example/x?y/*", "", "no query"),
            ("spiffe://a.example/a/../*", "", "a segment"),
            ("", "alice", "owner web, upn"),
            ("", "*@*.a.example", "one * at most"),
        ] {
            let said = Matcher::new(&rules(uri, upn)).err().expect("refused").to_string();
            assert!(said.contains(says), "{said}");
        }
    }

    proptest! {
        /// The two readings of a wildcard rule agree: suffix matching and comparing labels from the right.
        #[test]
        fn a_wildcard_rule_has_exactly_the_names_below_it(
            base in "[a-c](\\.[a-c]){0,2}", name in "[a-c](\\.[a-c]){0,5}",
        ) {
            let has = matcher(&[&format!("*.{base}")], &[], &[], &[]).has_name(&Name::parse(&name).unwrap());
            let base_labels: Vec<&str> = base.split('.').rev().collect();
            let name_labels: Vec<&str> = name.split('.').rev().collect();
            let below = name_labels.len() > base_labels.len() && name_labels.starts_with(&base_labels);
            prop_assert_eq!(has, below);
        }

        #[test]
        fn a_network_has_exactly_the_addresses_with_its_prefix(address: u32, prefix in 0u32..=32, other: u32) {
            let kept = |n: u32| u64::from(n) >> (32 - prefix);
            let base = u32::try_from(kept(address) << (32 - prefix)).unwrap();
            let network = Network::parse(&format!("{}/{prefix}", IpAddr::V4(base.into()))).unwrap();
            prop_assert!(network.has(IpAddr::V4(address.into())));
            prop_assert_eq!(network.has(IpAddr::V4(other.into())), kept(other) == kept(address));
        }

        #[test]
        fn no_rule_panics_the_parsers(text in "\\PC{0,40}") {
            let _ = Matcher::new(&rules(&[&text], &[], &[], &[]));
            let _ = Matcher::new(&rules(&[], &[&text], &[], &[]));
            let _ = Matcher::new(&rules(&[], &[], &[&text], &[]));
            let _ = Matcher::new(&rules(&[], &[], &[], &[&text]));
        }
    }
}
