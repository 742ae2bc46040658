//! OpenSSH: certificates, public keys, private keys.

use policy::Timestamp;
use ssh_key::certificate::CertType;
use ssh_key::{Certificate, HashAlg, PrivateKey, PublicKey};

use super::described::Described;
use super::life;
use super::split::Unread;

/// A line: a certificate or a public key.
pub fn line(text: &str, now: Timestamp) -> Result<Described, Unread> {
    match text.split(' ').next().is_some_and(|kind| kind.contains("-cert-v01@openssh.com")) {
        true => certificate(text, now),
        false => public(text),
    }
}

fn public(text: &str) -> Result<Described, Unread> {
    let key = PublicKey::from_openssh(text).map_err(|error| Unread::new(format!("not an SSH public key: {error}")))?;
    let mut shown = Described::new("ssh-public-key");
    shown.fact("key", key.algorithm().to_string());
    shown.fact("sha256", key.fingerprint(HashAlg::Sha256).to_string());
    shown.perhaps("comment", (!key.comment().is_empty()).then(|| key.comment().to_owned()));
    Ok(shown)
}

fn certificate(text: &str, now: Timestamp) -> Result<Described, Unread> {
    let read =
        Certificate::from_openssh(text).map_err(|error| Unread::new(format!("not an SSH certificate: {error}")))?;
    let mut shown = Described::new(match read.cert_type() {
        CertType::User => "ssh-user-certificate",
        CertType::Host => "ssh-host-certificate",
    });
    shown.fact("key_id", read.key_id());
    let anyone = read.valid_principals().is_empty();
    shown.noted(
        "principals",
        read.valid_principals().to_vec(),
        if anyone { "NONE: it is good for everybody" } else { "" },
    );
    let from = Timestamp::from_unix(i64::try_from(read.valid_after()).unwrap_or(i64::MAX));
    match i64::try_from(read.valid_before()) {
        Ok(until) => life::span(&mut shown, now, from, Timestamp::from_unix(until)),
        Err(_) => shown.fact("not_after", "never"),
    }
    shown.fact("serial", read.serial().to_string());
    shown.fact("key", read.algorithm().to_string());
    shown.fact("sha256", read.public_key().fingerprint(HashAlg::Sha256).to_string());
    let signed = match read.verify_signature() {
        Ok(()) => "",
        Err(_) => "whose signature does NOT hold, or is of a kind unknown here",
    };
    shown.noted("ca_sha256", read.signature_key().fingerprint(HashAlg::Sha256).to_string(), signed);
    let options = |map: &ssh_key::certificate::OptionsMap| -> Vec<String> {
        map.iter()
            .map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") })
            .collect()
    };
    shown.fact("critical_options", options(read.critical_options()));
    shown.fact("extensions", options(read.extensions()));
    Ok(shown)
}

/// An OPENSSH PRIVATE KEY block.
pub fn private(pem: &str) -> Result<Described, Unread> {
    let key =
        PrivateKey::from_openssh(pem).map_err(|error| Unread::new(format!("not an OpenSSH private key: {error}")))?;
    let mut shown = Described::new("ssh-private-key");
    shown.fact("key", key.algorithm().to_string());
    let note = if key.is_encrypted() {
        format!("with {}", key.cipher())
    } else {
        "whoever reads the file has the key".to_owned()
    };
    shown.noted("encrypted", key.is_encrypted(), note);
    shown.fact("sha256", key.public_key().fingerprint(HashAlg::Sha256).to_string());
    Ok(shown)
}
