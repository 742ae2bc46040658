//! The hosts that want certificates: each with a name and a key of its own, as in a fleet that renews.
//!
//! One name and one key for all would flatter the register: its indexes by name and by key would grow at one end alone.

use rcgen::{CertificateParams, CertificateSigningRequest, KeyPair};

/// A host that asks for a certificate.
#[derive(Debug)]
pub struct Host {
    /// Its DNS name.
    pub name: String,
    /// Its request.
    pub csr: CertificateSigningRequest,
}

/// Makes `hosts` hosts below a domain; their names come in no order.
pub fn fleet(domain: &str, hosts: u32) -> Result<Vec<Host>, rcgen::Error> {
    (0..hosts)
        .map(|number| {
            let name = host_name(number, domain);
            let csr = CertificateParams::new(vec![name.clone()])?.serialize_request(&KeyPair::generate()?)?;
            Ok(Host { name, csr })
        })
        .collect()
}

/// The name of a host of the fleet: in no order, and none comes twice.
pub fn host_name(number: u32, domain: &str) -> String {
    // Multiplication by an odd number scatters and never meets itself (Knuth's, from the golden ratio).
    format!("h{:08x}.{domain}", number.wrapping_mul(2_654_435_761))
}
