//! One certificate that another program signed: what the register says of it, and why it may not be taken.

use policy::{Name, Timestamp, Validity};
use x509_parser::extensions::{DistributionPointName, GeneralName};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use crate::encode::{Dn, sha256};
use crate::estates::reading::unsigned;
use crate::issuers::CaCertificate;
use crate::issuers::certificate::is_signed;

/// What is known of it.
pub(crate) struct Facts {
    /// As an unsigned number, without a leading zero.
    pub(crate) serial: Vec<u8>,
    pub(crate) subject: String,
    /// Those that have a typed value here.
    pub(crate) names: Vec<Name>,
    /// How many others it has.
    pub(crate) names_left: usize,
    pub(crate) key_hash: [u8; 32],
    pub(crate) validity: Validity,
    pub(crate) is_ca: bool,
    /// It names the CA's certificate by the serial of that, beside its key.
    pub(crate) names_by_serial: bool,
    /// Where it says that CRLs and OCSP answers are.
    pub(crate) urls: Vec<String>,
}

impl Facts {
    /// Reads a certificate, DER; in words why it is none that may be taken in under this CA.
    pub(crate) fn read(der: &[u8], ca: &CaCertificate) -> Result<Facts, String> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(format!("has more than {CERTIFICATE_BYTES_MAX} bytes"));
        }
        let (rest, read) = X509Certificate::from_der(der).map_err(|e| format!("is no certificate: {e}"))?;
        if !rest.is_empty() {
            return Err("has bytes after it".to_owned());
        }
        if read.issuer().as_raw() != ca.subject.as_der() {
            return Err(format!("is of another CA, {}", shown(read.issuer().as_raw())));
        }
        if *der == *ca.der {
            return Err(OWN.to_owned());
        }
        let serial = serial(read.raw_serial())?;
        if !is_signed(der, &ca.spki) {
            let way = read.signature_algorithm.algorithm.to_id_string();
            return Err(format!("is not signed by the key of this CA, or in a way that is not verified here ({way})"));
        }
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_unix(time.timestamp());
        let validity = Validity::new(at(read.validity().not_before), at(read.validity().not_after));
        let (names, names_left) = names(&read);
        Ok(Facts {
            serial,
            subject: shown(read.subject().as_raw()),
            names,
            names_left,
            key_hash: sha256(read.public_key().raw),
            validity: validity.map_err(|e| format!("has a term that is none: {e}"))?,
            is_ca: read.is_ca(),
            names_by_serial: read.extensions().iter().any(|e| {
                matches!(e.parsed_extension(), ParsedExtension::AuthorityKeyIdentifier(aki)
                    if aki.authority_cert_serial.is_some())
            }),
            urls: urls(&read),
        })
    }
}

/// Why the CA's own certificate is none of those that it issued.
pub(super) const OWN: &str = "is the CA's own, and comes with its chain";

/// RFC 5280 section 4.1.2.2: positive, twenty octets at most. What a CRL of ours could not list is not taken in.
pub(super) fn serial(raw: &[u8]) -> Result<Vec<u8>, String> {
    match raw {
        [] => Err("has no serial".to_owned()),
        [first, ..] if *first >= 0x80 => Err(format!("has the negative serial {}", hex::encode(raw))),
        [0] => Err("has the serial 0".to_owned()),
        [0, second, ..] if *second < 0x80 => {
            Err(format!("has the serial {} with a leading zero that DER does not have", hex::encode(raw)))
        }
        _ if raw.len() > SERIAL_OCTETS_MAX => {
            Err(format!("has the serial {} of more than {SERIAL_OCTETS_MAX} octets", hex::encode(raw)))
        }
        _ => Ok(unsigned(raw)),
    }
}

/// The serial of any certificate, as an unsigned number.
pub(crate) fn serial_of(der: &[u8]) -> Option<Vec<u8>> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    Some(unsigned(read.raw_serial()))
}

/// A certificate that stands beside a serial: by that it is revoked, so it must be its own.
pub(super) fn of_serial(der: Vec<u8>, serial: &[u8]) -> Result<Vec<u8>, String> {
    match serial_of(&der) {
        Some(own) if own != serial => {
            Err(format!("stands under serial {}, and its certificate has {}", hex::encode(serial), hex::encode(own)))
        }
        Some(_) | None => Ok(der),
    }
}

fn shown(name: &[u8]) -> String {
    let text = Dn::from_der(name).map_or_else(|_| "(unreadable)".to_owned(), |dn| dn.to_string());
    policy::shown(&text).to_string()
}

/// The names that have a typed value here, the common name where there are none; and how many others there are.
fn names(read: &X509Certificate<'_>) -> (Vec<Name>, usize) {
    let san = read.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(san) => Some(san),
        _ => None,
    });
    let Some(san) = san else {
        let title = read.subject().iter_common_name().last().and_then(|cn| cn.as_str().ok());
        let dns = title.and_then(|title| Name::parse(&format!("dns:{title}")).ok());
        return (dns.into_iter().collect(), 0);
    };
    let mut names: Vec<Name> = Vec::new();
    for name in san.general_names.iter().filter_map(typed) {
        if names.len() < policy::MAX_NAMES && !names.contains(&name) {
            names.push(name);
        }
    }
    let left = san.general_names.len().saturating_sub(names.len());
    (names, left)
}

fn typed(name: &GeneralName<'_>) -> Option<Name> {
    let text = match name {
        GeneralName::DNSName(text) => format!("dns:{text}"),
        GeneralName::RFC822Name(text) => format!("email:{text}"),
        GeneralName::URI(text) => format!("uri:{text}"),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from)).ok()?;
            format!("ip:{address}")
        }
        _ => return None,
    };
    Name::parse(&text).ok()
}

fn urls(read: &X509Certificate<'_>) -> Vec<String> {
    let mut urls = Vec::new();
    let mut add = |name: &GeneralName<'_>| {
        if let GeneralName::URI(uri) = name
            && uri.len() <= URL_BYTES_MAX
        {
            urls.push(policy::shown(uri).to_string());
        }
    };
    for extension in read.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => {
                for point in &points.points {
                    if let Some(DistributionPointName::FullName(names)) = &point.distribution_point {
                        names.iter().for_each(&mut add);
                    }
                }
            }
            ParsedExtension::AuthorityInfoAccess(access) => {
                access.accessdescs.iter().for_each(|at| add(&at.access_location));
            }
            _ => {}
        }
    }
    urls
}

/// Content octets of the INTEGER.
const SERIAL_OCTETS_MAX: usize = 20;
/// A certificate of a thousand names has less.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
const URL_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_kept_to_the_byte_or_refused_by_name() {
        assert_eq!(serial(&[1]), Ok(vec![1]));
        assert_eq!(serial(&[0, 0xe1, 2]), Ok(vec![0xe1, 2]));
        assert_eq!(serial(&[0x7f; 20]), Ok(vec![0x7f; 20]));
        for (raw, why) in [
            (&[][..], "no serial"),
            (&[0x80, 1], "negative"),
            (&[0], "serial 0"),
            (&[0, 0x7f], "leading zero"),
            (&[1; 21], "more than 20 octets"),
        ] {
            assert!(serial(raw).unwrap_err().contains(why), "{raw:?}");
        }
    }
}
