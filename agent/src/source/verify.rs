//! Whether what was fetched is what was asked for. Runs before any file is touched; a chain that fails here is
//! thrown away with its key.
//!
//! From Chancery: a valid path to the roots in `ca_file`, for the right use (RFC 5280 section 6, by webpki), for the
//! key made here and every name asked. From an ACME server, whose issuing roots the host need not know: the key, the
//! names, the time, and a chain whose signatures hold link by link.

use std::time::Duration;

use policy::{Name, Timestamp};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::http::read_roots;
use crate::credential::{Bundle, Leaf, key_matches};
use crate::error::AgentError;
use crate::plan::{Certificate, Chancery, Source};

/// The leaf of a bundle that may be installed.
pub(crate) fn verify(plan: &Certificate, bundle: &Bundle, now: Timestamp) -> Result<Leaf, AgentError> {
    let leaf = bundle.leaf().map_err(AgentError::Unfit)?;
    if !key_matches(bundle.key_pem(), &leaf) {
        return unfit("it is for another key");
    }
    if let Some(missing) = plan.names.iter().find(|name| !leaf.names.contains(name)) {
        return unfit(format!("it does not name {missing}"));
    }
    if leaf.expired(now) || leaf.not_before.since(now) > CLOCK_SECS {
        return unfit(format!(
            "it is valid from {} to {}, and this host's clock says {now}",
            leaf.not_before, leaf.not_after
        ));
    }
    let chain = bundle.ders().map_err(AgentError::Unfit)?;
    match &plan.source {
        // A clock a little behind the server's must not refuse what was issued this second, again and again.
        Source::Chancery(source) => path_to_roots(source, &plan.names, &chain, now.max(leaf.not_before))?,
        Source::Acme(_) => links_hold(&chain).map_err(AgentError::Unfit)?,
    }
    Ok(leaf)
}

fn path_to_roots(
    source: &Chancery,
    names: &[Name],
    chain: &[CertificateDer<'static>],
    at: Timestamp,
) -> Result<(), AgentError> {
    let roots = read_roots(&source.server.ca_file)?;
    let anchors: Vec<TrustAnchor<'_>> =
        roots.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok()).collect();
    let Some((leaf, intermediates)) = chain.split_first() else {
        return unfit("the chain is empty");
    };
    let invalid = |e: webpki::Error| AgentError::Unfit(format!("its chain does not hold: {e}"));
    let end = EndEntityCert::try_from(leaf).map_err(invalid)?;
    let usage = match source.profile.as_str() {
        "tls-client" => KeyUsage::client_auth(),
        _ => KeyUsage::server_auth(),
    };
    let secs = u64::try_from(at.unix()).unwrap_or_default();
    end.verify_for_usage(
        tls::algorithms().all,
        &anchors,
        intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(secs)),
        usage,
        None,
        None,
    )
    .map_err(invalid)?;
    // A second judge of the names; it takes no wildcard as a name asked for.
    for name in names.iter().filter_map(server_name) {
        end.verify_is_valid_for_subject_name(&name).map_err(invalid)?;
    }
    Ok(())
}

fn server_name(name: &Name) -> Option<ServerName<'static>> {
    match name {
        Name::Dns(dns) if dns.is_wildcard() => None,
        Name::Dns(dns) => ServerName::try_from(dns.as_str().to_owned()).ok(),
        Name::Ip(ip) => Some(ServerName::from(*ip)),
        Name::Email(_) | Name::Uri(_) | Name::Upn(_) => None,
    }
}

/// Each certificate is signed by the next.
fn links_hold(chain: &[CertificateDer<'static>]) -> Result<(), String> {
    let parsed = chain
        .iter()
        .map(|der| X509Certificate::from_der(der).map(|(_, certificate)| certificate))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("its chain is not readable: {e}"))?;
    for ((der, below), above) in chain.iter().zip(&parsed).zip(parsed.iter().skip(1)) {
        if below.issuer().as_raw() != above.subject().as_raw() {
            return Err(format!("its chain is broken: {} did not issue {}", above.subject(), below.subject()));
        }
        // x509-parser knows SHA-1 and PSS of other CAs; what it does not know, the provider of TLS does.
        match below.verify_signature(Some(above.public_key())) {
            Err(e) if !tls::is_signed(der, above.public_key().raw) => {
                return Err(format!("its chain is broken below {}: {e}", above.subject()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn unfit<T>(why: impl Into<String>) -> Result<T, AgentError> {
    Err(AgentError::Unfit(why.into()))
}

/// How far the host's clock may be behind the server's.
const CLOCK_SECS: i64 = 300;

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    /// A CA called `name`, and a leaf of it; both as PEM.
    fn ca_and_leaf(name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap().pem();
        let leaf = CertificateParams::new(vec!["www.example.com".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, key)).unwrap();
        (ca, leaf.pem())
    }

    /// x509-parser knows no P-521.
    #[test]
    fn a_chain_below_a_ca_of_any_curve_holds() {
        let dir = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let done =
                std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(dir.path()).output();
            let done = done.unwrap();
            assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
        };
        let key = "-newkey ec -nodes -pkeyopt ec_paramgen_curve";
        for name in ["ca", "other"] {
            openssl(&format!("req -x509 {key}:P-521 -subj /CN=ca -keyout {name}.key -out {name}.pem"));
        }
        openssl(&format!("req {key}:P-256 -subj /CN=leaf -keyout leaf.key -out leaf.csr"));
        openssl("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 5 -sha512 -out leaf.pem");
        let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
        for (above, holds) in [("ca.pem", true), ("other.pem", false)] {
            let bundle = Bundle::new(String::new().into(), &(read("leaf.pem") + &read(above))).unwrap();
            assert_eq!(links_hold(&bundle.ders().unwrap()).is_ok(), holds, "{above}");
        }
    }

    #[test]
    fn a_chain_holds_only_link_by_link() {
        let (ca, leaf) = ca_and_leaf("one");
        let (same_name, _) = ca_and_leaf("one");
        let (other_name, _) = ca_and_leaf("two");
        for (above, says) in [(&ca, None), (&same_name, Some("broken below")), (&other_name, Some("did not issue"))] {
            let bundle = Bundle::new(String::new().into(), &format!("{leaf}{above}")).unwrap();
            let held = links_hold(&bundle.ders().unwrap());
            match says {
                None => held.unwrap(),
                Some(says) => assert!(held.as_ref().unwrap_err().contains(says), "{held:?}"),
            }
        }
    }
}
