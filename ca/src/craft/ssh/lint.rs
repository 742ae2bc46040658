//! What an SSH certificate's body says against it, read back by ssh-key.

use std::sync::Arc;

use ::ssh_key::certificate::CertType;
use ::ssh_key::public::KeyData;
use ::ssh_key::{Certificate, PublicKey};
use policy::{Grant, Principal, Timestamp};
use store::Entry;

use crate::craft::ssh::body::register_serial_tail;
use crate::drafting::{BACKDATE_SECS_MAX, Craft, Findings};
use crate::encode::Wire;
use crate::intake::SshKey;
use crate::issuers::{Issuing, SshCa, Standing};
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
        let Some(body) = f.whole(&entry.message) else { return };
        // A parser takes only whole certificates, so it gets the body with a signature that is none.
        let whole = Wire::default().raw(body).string(&self.ca.empty_signature).0;
        let Some(read) = f.read("ssh-key", Certificate::from_bytes(&whole)) else { return };
        let (cert_type, rules) = match &self.profile.rules {
            Rules::SshUser(rules) => (CertType::User, rules),
            Rules::SshHost(rules) => (CertType::Host, rules),
            Rules::X509(_) => return f.add("the profile makes no SSH certificates"),
        };
        f.hold(read.cert_type() == cert_type, "a user certificate for a host, or the other way round");
        f.hold(Some(read.serial()) == register_serial_tail(&entry.serial), "its serial is not the ledger's");
        f.hold(read.key_id() == entry.subject, "its key id is not the ledger's");
        f.hold(read.nonce().len() == 32, "its nonce has not 32 bytes");
        f.hold(
            same_key(read.public_key(), &Wire::default().string(&self.key.algorithm).raw(&self.key.fields).0),
            "its key is not the one that was asked for",
        );
        f.hold(same_key(read.signature_key(), &self.ca.blob), "its CA is not the one that signs");
        f.hold(
            self.profile.check_key(self.key.key.kind()).is_ok(),
            "its key is of a kind that its profile does not allow",
        );

        // An empty list is valid for every principal; OpenSSH CVE-2026-35414: a comma in one made two of it.
        let principals: Vec<&str> = grant.resource().principals.iter().map(Principal::as_str).collect();
        f.hold(!read.valid_principals().is_empty(), "it is valid for every principal");
        f.hold(read.valid_principals() == principals, "its principals are not those that were granted");
        f.hold(
            read.valid_principals().iter().all(|p| Principal::parse(p).is_ok()),
            "a principal that some reader could split or expand",
        );

        validity(&read, self, entry, f);
        let options: Vec<_> = read.critical_options().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let wanted: Vec<_> = rules.critical_options.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        f.hold(options == wanted, "its critical options are not its profile's");
        let extensions: Vec<_> = read.extensions().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let wanted: Vec<_> = rules.extensions.iter().map(|k| (k.as_str(), "")).collect();
        f.hold(extensions == wanted, "its extensions are not its profile's");
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
    let Some(validity) = entry.validity else { return f.add("the ledger has no validity for it") };
    let seconds = |at: Timestamp| u64::try_from(at.unix()).ok();
    f.hold(Some(read.valid_after()) == seconds(validity.not_before()), "its beginning is not the ledger's");
    f.hold(Some(read.valid_before()) == seconds(validity.not_after().plus_secs(1)), "its end is not the ledger's");
    f.hold(validity.contains(expect.now), "it is not valid now");
    f.hold(expect.now.since(validity.not_before()) <= BACKDATE_SECS_MAX, "it is backdated by more than a minute");
    f.hold(validity.secs() <= expect.profile.max_validity_secs, "it is valid for longer than its profile allows");
}

fn same_key(key: &KeyData, blob: &[u8]) -> bool {
    PublicKey::from(key.clone()).to_bytes().is_ok_and(|bytes| bytes == blob)
}
