//! What can be asked for. A closed list: what is not on it cannot be granted.

use crate::text::words;

words! {
    /// One kind of act; the word is what policies, token scopes and the log call it.
    pub enum Action ("action") {
        /// Sign a new X.509 end-entity certificate.
        IssueCertificate = "issue-certificate",
        /// Sign a successor of an X.509 certificate.
        RenewCertificate = "renew-certificate",
        /// Revoke a certificate of any kind.
        RevokeCertificate = "revoke-certificate",
        /// Approve what another asked to have signed.
        ApproveCertificate = "approve-certificate",
        /// See certificates and when they expire.
        ReadCertificate = "read-certificate",
        /// Sign an SSH user certificate.
        SignSshUser = "sign-ssh-user",
        /// Sign an SSH host certificate.
        SignSshHost = "sign-ssh-host",
        /// Make a code-signing key in the token.
        CreateKey = "create-key",
        /// Sign code with a key in the token.
        SignCode = "sign-code",
        /// Read leaves of the log.
        ReadAudit = "read-audit",
        /// Make, list and revoke API tokens.
        ManageTokens = "manage-tokens",
        /// Sign CA certificates and CRLs.
        ManageAuthority = "manage-authority",
        /// See the state of the token, the register and the alarms.
        ReadStatus = "read-status",
        /// See what secrets there are, and everything about them but their values.
        ListSecrets = "list-secrets",
        /// See a secret's values.
        ReadSecret = "read-secret",
        /// See the present code of a one-time password, and not its seed.
        ReadSecretCode = "read-secret-code",
        /// Make a secret, give it new versions, move its labels, take it out of use and back.
        WriteSecret = "write-secret",
        /// Get a user that lives for a while, let it live longer, give it back.
        LeaseSecret = "lease-secret",
        /// Do away with values for good.
        DestroySecret = "destroy-secret",
        /// See what transit keys there are, and their public halves.
        ListTransitKeys = "list-transit-keys",
        /// Make a transit key, rotate it, say which of its versions are used.
        ManageTransitKeys = "manage-transit-keys",
        /// Do away with versions of a transit key, or all of it, for good.
        DestroyTransitKey = "destroy-transit-key",
        /// Encrypt with a transit key, and have data keys made under it.
        TransitEncrypt = "transit-encrypt",
        /// Decrypt with a transit key.
        TransitDecrypt = "transit-decrypt",
        /// Have sealed anew what an older version sealed, and see nothing of it.
        TransitRewrap = "transit-rewrap",
        /// Sign with a transit key, or make HMACs.
        TransitSign = "transit-sign",
        /// Verify signatures and HMACs of a transit key.
        TransitVerify = "transit-verify",
        /// Have random bytes drawn.
        TransitRandom = "transit-random",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_survives_its_word_and_unknown_words_are_refused() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().unwrap(), *action);
        }
        for word in ["", "Issue-Certificate", "issue", "*", "issue-certificate "] {
            assert!(word.parse::<Action>().is_err(), "{word:?}");
        }
    }
}
