//! DNS as validation sees it: the configured resolvers, no cache, no search list, and the hosts file only where configured.
//!
//! Trusted for: passing on what the resolvers say. Whoever controls a configured resolver, or the path to it, decides what names
//! prove; keep it on this host or on a network of your own.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

/// One query to one server; the check as a whole has its own limit.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
/// Tries per query: a lost datagram is not a wrong answer.
const QUERY_ATTEMPTS: usize = 2;
/// Addresses tried for one name.
const ADDRESSES_MAX: usize = 8;
/// Largest hosts file read.
const HOSTS_BYTES_MAX: u64 = 1024 * 1024;

/// Where names are looked up.
pub struct Resolver {
    dns: TokioResolver,
    hosts: Option<PathBuf>,
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
        let mut builder = match servers {
            [] => TokioResolver::builder_tokio().map_err(refused)?,
            _ => {
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(name_server).collect());
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        tune(builder.options_mut());
        Ok(Self { dns: builder.build().map_err(refused)?, hosts })
    }

    /// The addresses of a host, IPv6 first, bounded.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let what = || format!("address of {host}");
        if let Some(found) = self.in_hosts_file(host).await.filter(|found| !found.is_empty()) {
            return Ok(found);
        }
        if is_localhost(host) {
            // RFC 6761 section 6.3: never asked of a server. Who wants it turns on use_hosts_file.
            return Err(LookupError::Absent(format!("{} (localhost is only resolved with use_hosts_file)", what())));
        }
        let (v6, v4) = tokio::join!(self.query(host, RecordType::AAAA), self.query(host, RecordType::A));
        let failure = [&v6, &v4].into_iter().find_map(|answer| answer.as_ref().err().cloned());
        let each = [v6, v4].into_iter().flatten().flat_map(|answer| answer.answers().to_vec());
        let found: Vec<IpAddr> = each.filter_map(|record| record.data.ip_addr()).take(ADDRESSES_MAX).collect();
        match (found.is_empty(), failure) {
            (false, _) => Ok(found),
            (true, Some(failure @ LookupError::Failed(..))) => Err(failure),
            (true, Some(LookupError::Absent(_)) | None) => Err(LookupError::Absent(what())),
        }
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
        self.dns.lookup(absolute, kind).await.map_err(|error| match error {
            NetError::Dns(DnsError::NoRecordsFound(_)) => LookupError::Absent(what()),
            other => LookupError::Failed(what(), other.to_string()),
        })
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

fn tune(options: &mut ResolverOpts) {
    options.timeout = QUERY_TIMEOUT;
    options.attempts = QUERY_ATTEMPTS;
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
    use super::*;

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
    async fn localhost_is_nobody_without_the_hosts_file() {
        let resolver = Resolver::new(&["127.0.0.1:9".parse().unwrap()], None).unwrap();
        for host in ["localhost", "a.localhost"] {
            assert!(matches!(resolver.addresses(host).await, Err(LookupError::Absent(_))), "{host}");
        }
    }

    #[tokio::test]
    async fn localhost_is_this_host_with_the_hosts_file() {
        let resolver = Resolver::new(&["127.0.0.1:9".parse().unwrap()], Some("/nowhere/hosts".into())).unwrap();
        assert_eq!(resolver.addresses("a.localhost").await.unwrap().len(), 2);
    }
}
