//! What an SSH certificate's body says against it, read back by ssh-key.

use std::sync::Arc;

use ::ssh_key::certificate::CertType;
use ::ssh_key::public::KeyData;
use ::ssh_key::{Certificate, PublicKey};
use policy::{Grant, Principal, Timestamp};
use store::Entry;

use crate::craft::lints::whole;
use crate::craft::ssh::body::register_serial_tail;
use crate::craft::ssh::lints::*;
use crate::drafting::{BACKDATE_SECS_MAX, Craft};
use crate::encode::Wire;
use crate::intake::SshKey;
use crate::issuers::{Issuing, SshCa, Standing};
use crate::lint::Findings;
use crate::profiles::{Profile, Rules};

/// What an SSH certificate is held against.
pub(crate) struct Ssh {
    pub(crate) ca: Arc<SshCa>,
    pub(crate) profile: Arc<Profile>,
    pub(crate) key: SshKey,
    pub(crate) now: Timestamp,
}

impl Craft for Ssh {
    fn lint(&self, grant: &Grant, entry: &Entry, f: &mut Findings) {
        let Some(body) = whole(&entry.message, f) else { return };
        // A parser takes only whole certificates, so it gets the body with a signature that is none.
        let whole = Wire::default().raw(body).string(&self.ca.empty_signature).0;
        let Some(read) = f.read(&SSH_READABLE, "ssh-key", Certificate::from_bytes(&whole)) else { return };
        let (cert_type, rules) = match &self.profile.rules {
            Rules::SshUser(rules) => (CertType::User, rules),
            Rules::SshHost(rules) => (CertType::Host, rules),
            Rules::X509(_) => return f.add(&SSH_PROFILE),
        };
        f.hold(&SSH_TYPE, read.cert_type() == cert_type);
        f.hold(&SSH_SERIAL, Some(read.serial()) == register_serial_tail(&entry.serial));
        f.hold(&SSH_KEY_ID, read.key_id() == entry.subject);
        f.hold(&SSH_NONCE, read.nonce().len() == 32);
        f.hold(
            &SSH_KEY,
            same_key(read.public_key(), &Wire::default().string(&self.key.algorithm).raw(&self.key.fields).0),
        );
        f.hold(&SSH_CA, same_key(read.signature_key(), &self.ca.blob));
        f.hold(&SSH_KEY_IS_ALLOWED, self.profile.check_key(self.key.key.kind()).is_ok());

        // An empty list is valid for every principal; OpenSSH CVE-2026-35414: a comma in one made two of it.
        let principals: Vec<&str> = grant.resource().principals.iter().map(Principal::as_str).collect();
        f.hold(&SSH_NOT_FOR_ALL, !read.valid_principals().is_empty());
        f.hold(&SSH_PRINCIPALS, read.valid_principals() == principals);
        f.hold(&SSH_PRINCIPALS_WHOLE, read.valid_principals().iter().all(|p| Principal::parse(p).is_ok()));

        validity(&read, self, entry, f);
        let options: Vec<_> = read.critical_options().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let wanted: Vec<_> = rules.critical_options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        f.hold(&SSH_OPTIONS, options == wanted);
        let extensions: Vec<_> = read.extensions().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let wanted: Vec<_> = rules.extensions.iter().map(|k| (k.as_str(), "")).collect();
        f.hold(&SSH_EXTENSIONS, extensions == wanted);
    }

    /// An SSH CA has no certificate that could end.
    fn issuer(&self) -> Option<&Arc<Issuing>> {
        None
    }

    fn standing(&self) -> Option<&Standing> {
        Some(&self.ca.standing)
    }
}

fn validity(read: &Certificate, expect: &Ssh, entry: &Entry, f: &mut Findings) {
    let Some(validity) = entry.validity else { return f.add(&SSH_HAS_VALIDITY) };
    let seconds = |at: Timestamp| u64::try_from(at.unix()).ok();
    f.hold(&SSH_BEGINS, Some(read.valid_after()) == seconds(validity.not_before()));
    f.hold(&SSH_ENDS, Some(read.valid_before()) == seconds(validity.not_after().plus_secs(1)));
    f.hold(&SSH_IS_NOW, validity.contains(expect.now));
    f.hold(&SSH_NOT_BACKDATED, expect.now.since(validity.not_before()) <= BACKDATE_SECS_MAX);
    f.hold(&SSH_IS_SHORT, validity.secs() <= expect.profile.max_validity_secs);
}

fn same_key(key: &KeyData, blob: &[u8]) -> bool {
    PublicKey::from(key.clone()).to_bytes().is_ok_and(|bytes| bytes == blob)
}
