//! SSH public keys of subjects: from an OpenSSH line to a key strong enough to be certified, by the same list as all others.
//!
//! An SSH certificate request proves no possession, and needs none: a certificate for a key that its requester does
//! not hold opens nothing to them.

use ::ssh_key::PublicKey;
use ::ssh_key::public::{EcdsaPublicKey, KeyData};

use crate::encode::spki::{ID_ED25519, P256, P384, P521, of_bare, of_curve, of_rsa};
use crate::encode::split_string;
use crate::intake::subject_key::SubjectKey;
use crate::intake::weigh::weigh;

/// A subject's public key: its algorithm's name, and the fields that follow the name in a key blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SshKey {
    pub(crate) algorithm: String,
    pub(crate) fields: Vec<u8>,
    /// The same key as every other credential has it.
    pub(crate) key: SubjectKey,
}

impl SshKey {
    /// `ssh-ed25519-cert-v01@openssh.com` and its like.
    pub(crate) fn certificate_type(&self) -> String {
        format!("{}-cert-v01@openssh.com", self.algorithm)
    }
}

/// Reads the line of a stranger, beside the threads that answer others.
pub(crate) async fn receive(line: String) -> Result<SshKey, String> {
    weigh(line.len(), move || parse(&line)).await
}

/// Reads `ssh-ed25519 AAAA... comment`; the comment is dropped.
pub(crate) fn parse(line: &str) -> Result<SshKey, String> {
    if line.len() > LINE_MAX {
        return Err(format!("it is longer than {LINE_MAX} characters"));
    }
    let line =
        PublicKey::from_openssh(line.trim()).map_err(|e| format!("it is not an OpenSSH public key line: {e}"))?;
    let key = SubjectKey::from_spki(&spki(line.key_data())?).map_err(|e| e.to_string())?;
    let blob = line.to_bytes().map_err(|e| format!("it cannot be read: {e}"))?;
    let (algorithm, fields) = split_string(&blob).ok_or("it cannot be read")?;
    let algorithm = std::str::from_utf8(algorithm).map_err(|_| "it cannot be read")?;
    Ok(SshKey { algorithm: algorithm.to_owned(), fields: fields.to_vec(), key })
}

/// The key as a SubjectPublicKeyInfo.
fn spki(key: &KeyData) -> Result<Vec<u8>, String> {
    match key {
        KeyData::Ed25519(key) => of_bare(ID_ED25519, &key.0),
        KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) => of_curve(P256, point.as_bytes()),
        KeyData::Ecdsa(EcdsaPublicKey::NistP384(point)) => of_curve(P384, point.as_bytes()),
        KeyData::Ecdsa(EcdsaPublicKey::NistP521(point)) => of_curve(P521, point.as_bytes()),
        KeyData::Rsa(rsa) => {
            let number = |n: &::ssh_key::Mpint| n.as_positive_bytes().map(<[u8]>::to_vec).unwrap_or_default();
            of_rsa(&number(&rsa.n), &number(&rsa.e))
        }
        other => {
            return Err(format!(
                "{} keys are not accepted; accepted are Ed25519, ECDSA on P-256, P-384 and P-521, and RSA of 2048 bits up",
                other.algorithm()
            ));
        }
    }
    .map_err(|e| format!("it cannot be read: {e}"))
}

/// An RSA-4096 line has about 750 characters.
const LINE_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use hsm::KeyKind;

    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn a_key_is_its_name_and_its_fields() {
        let key = parse(ED25519).unwrap();
        assert_eq!((key.algorithm.as_str(), key.key.kind(), key.fields.len()), ("ssh-ed25519", KeyKind::Ed25519, 36));
        assert_eq!(parse(&format!("  {ED25519}\n")).unwrap(), key);
    }

    #[test]
    fn what_is_no_fit_key_is_refused_with_a_reason() {
        let long = "x".repeat(5000);
        for (line, says) in [
            ("", "not an OpenSSH"),
            ("ssh-ed25519", "not an OpenSSH"),
            ("ssh-ed25519 !!!!", "not an OpenSSH"),
            ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti", "not an OpenSSH"),
            (&long, "longer than"),
            (include_str!("../../tests/inputs/ssh/ed25519-zero.pub"), "small order"),
            (include_str!("../../tests/inputs/ssh/p256-off-curve.pub"), "not on its curve"),
        ] {
            let why = parse(line).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }
}
