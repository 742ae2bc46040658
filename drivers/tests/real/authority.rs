//! Certificates of servers under test.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// A root, and a certificate below it for `localhost` with its key; each as PEM.
pub struct Authority {
    pub root: String,
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut root = CertificateParams::new(vec![]).expect("a root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().expect("a key");
        let root_certificate = root.self_signed(&root_key).expect("a root");
        let issuer = Issuer::new(root, root_key);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a leaf");
        let leaf = leaf.signed_by(&key, &issuer).expect("a leaf");
        Authority { root: root_certificate.pem(), certificate: leaf.pem(), key: key.serialize_pem() }
    }
}
