//! By which name a host reports which public keys stand there.
//!
//! The server takes a report for a name in the reporter's certificate alone, and a token says nothing of a host. What could only be refused
//! there is refused here, at `--check` and before anything is written.

use std::net::IpAddr;

use policy::{DnsName, Name};

use super::certificate::Certificate;
use super::origin::Server;
use super::place::Place;
use super::sources::home;
use crate::error::PlanError;

/// What a plan says of it; none where the certificate names one host alone. The names of a certificate that is not the agent's own the
/// server alone knows.
pub(super) fn host(
    at: &Place<'_>,
    said: Option<&str>,
    server: &Server,
    identity: Option<&Certificate>,
) -> Result<Option<String>, PlanError> {
    let names =
        identity.filter(|identity| is_shown(identity, server)).map_or(&[][..], |identity| identity.names.as_slice());
    let example = names.first().map_or_else(|| EXAMPLE.to_owned(), |name| format!("host = \"{}\"", bare(name)));
    let said = said.map(|text| name(at, text, &example)).transpose()?;
    if said.is_some() && server.client.is_none() {
        let why = "a token says nothing of a host: it reports by a certificate";
        return Err(at.refuse(why, "[identity], or client_cert and client_key in [secrets]"));
    }
    match &said {
        Some(name) if !names.is_empty() && !names.contains(name) => {
            let why = format!("{} is none of the names of [identity]", bare(name));
            Err(at.refuse(why, &example))
        }
        None if names.len() > 1 => Err(at.refuse("[identity] has several names: say which this host is", &example)),
        Some(_) | None => Ok(said.as_ref().map(bare)),
    }
}

/// Whether the agent's own certificate is what it proves itself with to this server.
fn is_shown(identity: &Certificate, server: &Server) -> bool {
    server.client.is_some() && home(identity).is_some_and(|home| home.server.client == server.client)
}

fn name(at: &Place<'_>, text: &str, example: &str) -> Result<Name, PlanError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Name::Ip(address));
    }
    let name = DnsName::parse(text).map_err(|why| at.refuse(why.to_string(), example))?;
    match name.is_wildcard() {
        false => Ok(Name::Dns(name)),
        true => Err(at.refuse(format!("{name} is not one host"), example)),
    }
}

/// What to write where no name is known.
const EXAMPLE: &str = "host = \"web1.example.internal\"";

/// As the server compares it.
fn bare(name: &Name) -> String {
    match name {
        Name::Dns(name) => name.to_string(),
        Name::Ip(address) => address.to_string(),
        Name::Email(text) | Name::Uri(text) | Name::Upn(text) => text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Plan;
    use crate::error::PlanError;

    /// A plan whose identity has these names, with these lines in `[secrets]` and `[[authorized_keys]]`.
    fn parse(names: &str, secrets: &str, keys: &str) -> Result<Plan, PlanError> {
        let text = format!(
            "state_dir = \"state\"\n[identity]\nurl = \"https://ca:8443\"\nca_file = \"roots.pem\"\ntoken_file = \"token\"\nowner = \"web\"\n\
             names = [{names}]\n[secrets]\n{secrets}\n[[authorized_keys]]\nname = \"deploy\"\nsecret = \"prod/hosts/deploy\"\n\
             file = {{ path = \"keys/deploy\" }}\n{keys}\n"
        );
        Plan::parse(&text, Path::new("/etc/chancery/agent.toml"))
    }

    const OTHER: &str = "url = \"https://other:8443\"\nca_file = \"roots.pem\"\n";

    #[test]
    fn a_host_is_one_of_the_names_that_its_certificate_has() {
        let two = "\"web1.example.internal\", \"ip:2001:db8::1\"";
        for (said, host) in [("WEB1.example.internal", "web1.example.internal"), ("2001:0db8::0001", "2001:db8::1")] {
            let plan = parse(two, "", &format!("host = \"{said}\"")).unwrap();
            assert_eq!(plan.keys[0].host.as_deref(), Some(host));
        }
        let plan = parse("\"web1.example.internal\"", "", "").unwrap();
        assert_eq!(plan.keys[0].host, None, "its only one");
        // A certificate that the agent did not ask for: the server knows what it names.
        let elsewhere = format!("{OTHER}client_cert = \"c.pem\"\nclient_key = \"c.key\"");
        let plan = parse(two, &elsewhere, "host = \"web9.example.internal\"").unwrap();
        assert_eq!(plan.keys[0].host.as_deref(), Some("web9.example.internal"));
        assert!(parse(two, &elsewhere, "").is_ok());
    }

    #[test]
    fn a_host_that_the_server_would_refuse_refuses_the_plan() {
        let one = "\"web1.example.internal\"";
        let by_token = format!("{OTHER}token_file = \"token\"");
        for (names, secrets, keys, says, write) in [
            (one, "", "host = \"web_1\"", "web_1", "host = "),
            ("\"db1.example.internal\"", "", "host = \"localhost:1\"", "DNS name", "host = \"db1.example.internal\""),
            (one, "", "host = \"dns:web1.example.internal\"", "DNS name", "host = "),
            (one, "", "host = \"\"", "DNS name", "host = "),
            (one, "", "host = \"*.example.internal\"", "not one host", "host = "),
            (one, "", "host = \"web2.example.internal\"", "none of the names", "host = \"web1.example.internal\""),
            ("\"a.example\", \"b.example\"", "", "", "several names", "host = \"a.example\""),
            (one, by_token.as_str(), "host = \"web1.example.internal\"", "a token says nothing", "[identity]"),
        ] {
            let error = parse(names, secrets, keys).expect_err(keys);
            assert_eq!(error.key, "authorized_keys[0].host", "{keys}: {error}");
            assert!(error.reason.contains(says) && error.write.contains(write), "{keys}: {error}");
        }
    }
}
