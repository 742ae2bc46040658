//! DNS as validation sees it: the configured resolvers, no cache, no search list, and the hosts file only where configured.
//!
//! Trusted for: passing on what the resolvers say. Whoever controls a configured resolver, or the path to it, decides what names
//! prove; keep it on this host or on a network of your own.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

/// One query to one server; the check as a whole has its own limit.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// Each server is asked as often, one after the other: a lost datagram is not a wrong answer.
const QUERY_ROUNDS: usize = 2;
/// Addresses tried for one name.
const ADDRESSES_MAX: usize = 8;
/// Largest hosts file read.
const HOSTS_BYTES_MAX: u64 = 1024 * 1024;

/// Where names are looked up.
pub struct Resolver {
    /// In the order of the configuration.
    servers: Vec<Server>,
    hosts: Option<PathBuf>,
}

/// One server, and how it is asked: with EDNS, and without for one that does not know it.
struct Server {
    with_edns: TokioResolver,
    plain: TokioResolver,
}

/// The addresses of one host, bounded, some at a time.
pub struct Addresses<'a> {
    asked: FuturesUnordered<Asked<'a>>,
    known: Vec<IpAddr>,
    left: usize,
    failure: Option<LookupError>,
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Lookup, LookupError>> + Send + 'a>>;

impl Addresses<'_> {
    /// Those that nobody has to be asked for.
    pub fn known(known: Vec<IpAddr>) -> Self {
        Self { asked: FuturesUnordered::new(), known, left: 0, failure: None }
    }

    /// The next that are known; none when there are no more.
    pub async fn next(&mut self) -> Option<Vec<IpAddr>> {
        if !self.known.is_empty() {
            return Some(std::mem::take(&mut self.known));
        }
        while let Some(answer) = self.asked.next().await {
            match answer {
                Ok(lookup) => {
                    let each = lookup.answers().iter().filter_map(|record| record.data.ip_addr());
                    let found: Vec<IpAddr> = each.take(self.left).collect();
                    self.left -= found.len();
                    if !found.is_empty() {
                        return Some(found);
                    }
                }
                // That one family has none says nothing of the other; that one could not be asked is why there is nothing.
                Err(failure @ LookupError::Failed(..)) => self.failure = Some(failure),
                Err(LookupError::Absent(_)) => {}
            }
        }
        None
    }

    /// Why there was none, where there was none.
    pub fn failure(&self) -> Option<&LookupError> {
        self.failure.as_ref()
    }
}

/// One CAA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaaRecord {
    /// Whether whoever does not understand it must refuse.
    pub critical: bool,
    /// Its property.
    pub tag: String,
    /// The property's value.
    pub value: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The resolver says that there is no such name or record.
    #[error("there is no {0}")]
    Absent(String),
    /// The resolver said nothing, or nothing usable.
    #[error("looking up the {0} failed: {1}")]
    Failed(String, String),
}

/// The resolver could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the DNS resolver cannot be set up: {0}")]
pub struct ResolverError(String);

impl Resolver {
    /// Over these servers; none: the system's (/etc/resolv.conf). With `hosts`, that file answers first.
    pub fn new(servers: &[SocketAddr], hosts: Option<PathBuf>) -> Result<Self, ResolverError> {
        let refused = |error: NetError| ResolverError(error.to_string());
        let (configs, options) = match servers {
            [] => read_system_conf().map(|(config, options)| (config.name_servers, options)).map_err(refused)?,
            _ => (servers.iter().map(name_server).collect(), ResolverOpts::default()),
        };
        if configs.is_empty() {
            return Err(ResolverError("/etc/resolv.conf names no server; name some in [acme] resolvers".to_owned()));
        }
        let asked = |server: &NameServerConfig, edns: bool| {
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server.clone()]);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            *builder.options_mut() = options.clone();
            tune(builder.options_mut());
            builder.options_mut().edns0 = edns;
            builder.build().map_err(refused)
        };
        let alone = |server| Ok(Server { with_edns: asked(&server, true)?, plain: asked(&server, false)? });
        Ok(Self { servers: configs.into_iter().map(alone).collect::<Result<_, _>>()?, hosts })
    }

    /// The addresses of a host, as they become known: both families are asked at once, and who answers first is given first, so that
    /// a resolver that drops one kind of question delays nobody.
    pub async fn addresses(&self, host: &str) -> Addresses<'_> {
        let what = format!("address of {host}");
        if let Some(found) = self.in_hosts_file(host).await.filter(|found| !found.is_empty()) {
            return Addresses::known(found);
        }
        if is_localhost(host) {
            // RFC 6761 section 6.3: never asked of a server. Who wants it turns on use_hosts_file.
            let why = LookupError::Absent(format!("{what} (localhost is only resolved with use_hosts_file)"));
            return Addresses { failure: Some(why), ..Addresses::known(Vec::new()) };
        }
        let ask = |kind| -> Asked<'_> {
            let host = host.to_owned();
            Box::pin(async move { self.query(&host, kind).await })
        };
        let asked = [RecordType::AAAA, RecordType::A].into_iter().map(ask).collect();
        Addresses { asked, known: Vec::new(), left: ADDRESSES_MAX, failure: Some(LookupError::Absent(what)) }
    }

    /// The TXT records of a name, each with its strings joined (RFC 8555 section 8.4), CNAMEs followed.
    pub async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        let answer = self.query(name, RecordType::TXT).await?;
        let each = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        });
        let found: Vec<Vec<u8>> = each.collect();
        if found.is_empty() { Err(LookupError::Absent(format!("TXT record at {name}"))) } else { Ok(found) }
    }

    /// The CAA records of exactly this name; none is an answer too.
    pub async fn caa(&self, name: &str) -> Result<Vec<CaaRecord>, LookupError> {
        match self.query(name, RecordType::CAA).await {
            Ok(answer) => Ok(answer.answers().iter().filter_map(|record| caa_record(&record.data)).collect()),
            Err(LookupError::Absent(_)) => Ok(Vec::new()),
            Err(failure @ LookupError::Failed(..)) => Err(failure),
        }
    }

    async fn query(&self, name: &str, kind: RecordType) -> Result<Lookup, LookupError> {
        let what = || format!("{kind} record at {name}");
        // The final dot keeps the search list out of it.
        let absolute = Name::from_ascii(format!("{name}."));
        let absolute = absolute.map_err(|error| LookupError::Failed(what(), error.to_string()))?;
        let mut failure = String::new();
        for _ in 0..QUERY_ROUNDS {
            for server in &self.servers {
                match server.ask(&absolute, kind).await {
                    Ok(answer) => return Ok(answer),
                    // "There is none" is an answer. That a server does not want to (REFUSED), cannot (SERVFAIL) or is away is none.
                    Err(NetError::Dns(DnsError::NoRecordsFound(_))) => return Err(LookupError::Absent(what())),
                    Err(error) => failure = error.to_string(),
                }
            }
        }
        Err(LookupError::Failed(what(), failure))
    }

    /// Read anew each time: it is small, and an operator who edits it expects the next check to see it.
    async fn in_hosts_file(&self, host: &str) -> Option<Vec<IpAddr>> {
        use tokio::io::AsyncReadExt;
        let path = self.hosts.as_ref()?;
        let mut text = String::new();
        match tokio::fs::File::open(path).await {
            Ok(file) => match file.take(HOSTS_BYTES_MAX).read_to_string(&mut text).await {
                Ok(_) => {}
                Err(error) => tracing::warn!(path = %path.display(), %error, "the hosts file cannot be read"),
            },
            Err(error) => tracing::warn!(path = %path.display(), %error, "the hosts file cannot be opened"),
        }
        let mut found = in_hosts(&text, host);
        if found.is_empty() && is_localhost(host) {
            found = vec![IpAddr::from(std::net::Ipv6Addr::LOCALHOST), IpAddr::from(std::net::Ipv4Addr::LOCALHOST)];
        }
        Some(found)
    }
}

impl Server {
    /// RFC 6891 section 7: who does not know EDNS answers FORMERR (or NOTIMP, as some do) to a question that has it.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Lookup, NetError> {
        match self.with_edns.lookup(name.clone(), kind).await {
            Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::FormErr | ResponseCode::NotImp))) => {
                self.plain.lookup(name.clone(), kind).await
            }
            answer => answer,
        }
    }
}

fn tune(options: &mut ResolverOpts) {
    options.timeout = QUERY_TIMEOUT;
    // The rounds are ours: hickory takes the first failure among its servers for the answer of all.
    options.attempts = 0;
    // A client that corrects its record asks again at once; a cached wrong answer would refuse it.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.try_tcp_on_error = true;
}

fn name_server(server: &SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(server.ip(), true, connections)
}

fn caa_record(data: &RData) -> Option<CaaRecord> {
    match data {
        RData::CAA(caa) => {
            Some(CaaRecord { critical: caa.issuer_critical, tag: caa.tag.clone(), value: caa.value.clone() })
        }
        _ => None,
    }
}

fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// The addresses of a host in the text of a hosts file, IPv6 first.
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let address: IpAddr = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .take(ADDRESSES_MAX)
        .collect();
    found.sort_by_key(IpAddr::is_ipv4);
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::A;

    use super::*;
    use crate::test_common::dns::{Answer, Dns};

    #[test]
    fn a_hosts_file_is_read_as_the_system_reads_it() {
        let text = "127.0.0.1 localhost\n::1\tlocalhost ip6-localhost # loopback\n#10.0.0.9 old\n10.0.0.1 Web.Internal web\nnonsense web\n";
        let ips = |host: &str| in_hosts(text, host).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(ips("localhost"), ["::1", "127.0.0.1"]);
        assert_eq!(ips("web.internal"), ["10.0.0.1"]);
        assert_eq!(ips("web"), ["10.0.0.1"]);
        assert!(ips("old").is_empty() && ips("internal").is_empty() && ips("10.0.0.1").is_empty());
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_the_question_is_followed_by_the_next() {
        let (first, second) = (Dns::start().await, Dns::start().await);
        second.txt("web.example", &["there"]);
        let resolver = Resolver::new(&[first.address, second.address], None).unwrap();
        for answer in [Answer::Refused, Answer::Broken] {
            first.set("web.example", answer);
            assert_eq!(resolver.txt("web.example").await, Ok(vec![b"there".to_vec()]));
        }
        first.txt("web.example", &["here"]);
        assert_eq!(resolver.txt("web.example").await, Ok(vec![b"here".to_vec()]), "the first that answers is asked");
        first.remove("web.example");
        assert!(
            matches!(resolver.txt("web.example").await, Err(LookupError::Absent(_))),
            "that there is none is an answer"
        );
    }

    #[tokio::test]
    async fn a_server_that_does_not_know_edns_is_asked_without() {
        let dns = Dns::start().await;
        dns.set("old.example", Answer::WithoutEdns(vec![RData::A(A(std::net::Ipv4Addr::new(192, 0, 2, 8)))]));
        let resolver = Resolver::new(&[dns.address], None).unwrap();
        let found = resolver.addresses("old.example").await.next().await;
        assert_eq!(found, Some(vec![IpAddr::from(std::net::Ipv4Addr::new(192, 0, 2, 8))]));
        assert!(matches!(resolver.txt("old.example").await, Err(LookupError::Absent(_))));
    }

    #[tokio::test]
    async fn the_first_family_that_is_known_is_given_at_once() {
        let dns = Dns::start().await;
        let v4 = IpAddr::from(std::net::Ipv4Addr::new(192, 0, 2, 7));
        dns.set("web.example", Answer::OnlyTo(RecordType::A, vec![RData::A(A(std::net::Ipv4Addr::new(192, 0, 2, 7)))]));
        let resolver = Resolver::new(&[dns.address], None).unwrap();
        let mut addresses = resolver.addresses("web.example").await;
        assert_eq!(addresses.next().await, Some(vec![v4]));
        assert_eq!(addresses.asked.len(), 1, "nobody waited for the other family");
    }

    #[tokio::test]
    async fn a_host_without_addresses_is_told_from_one_that_could_not_be_looked_up() {
        let dns = Dns::start().await;
        dns.txt("text.example", &["only"]);
        dns.set("broken.example", Answer::Broken);
        let resolver = Resolver::new(&[dns.address], None).unwrap();
        for (host, is_absent) in [("text.example", true), ("nobody.example", true), ("broken.example", false)] {
            let mut addresses = resolver.addresses(host).await;
            assert_eq!(addresses.next().await, None, "{host}");
            assert_eq!(matches!(addresses.failure(), Some(LookupError::Absent(_))), is_absent, "{host}");
        }
    }

    #[tokio::test]
    async fn localhost_is_nobody_without_the_hosts_file() {
        let resolver = Resolver::new(&["127.0.0.1:9".parse().unwrap()], None).unwrap();
        for host in ["localhost", "a.localhost"] {
            let mut addresses = resolver.addresses(host).await;
            assert_eq!(addresses.next().await, None, "{host}");
            assert!(matches!(addresses.failure(), Some(LookupError::Absent(_))), "{host}");
        }
    }

    #[tokio::test]
    async fn localhost_is_this_host_with_the_hosts_file() {
        let resolver = Resolver::new(&["127.0.0.1:9".parse().unwrap()], Some("/nowhere/hosts".into())).unwrap();
        assert_eq!(resolver.addresses("a.localhost").await.next().await.map(|found| found.len()), Some(2));
    }
}
