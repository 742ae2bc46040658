//! What an SSH certificate is held against. PROTOCOL is OpenSSH's PROTOCOL.certkeys.

use crate::lint::lints;

lints! { SSH;
    SSH_READABLE Error "ssh-is-readable"
        "it cannot be read" ["PROTOCOL.certkeys", "CPS 4.3.1"]
    SSH_PROFILE Error "ssh-profile-is-of-ssh"
        "the profile makes no SSH certificates" ["CPS 7.4"]
    SSH_TYPE Error "ssh-type-is-its-profiles"
        "a user certificate for a host, or the other way round" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_SERIAL Error "ssh-serial-is-the-ledgers"
        "its serial is not the ledger's" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_KEY_ID Error "ssh-key-id-is-the-ledgers"
        "its key id is not the ledger's" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_NONCE Error "ssh-nonce-has-32-bytes"
        "its nonce has not 32 bytes" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_KEY Error "ssh-key-is-the-asked"
        "its key is not the one that was asked for" ["CPS 6.1.1"]
    SSH_CA Error "ssh-ca-is-the-signer"
        "its CA is not the one that signs" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_KEY_IS_ALLOWED Error "ssh-key-is-of-an-allowed-kind"
        "its key is of a kind that its profile does not allow" ["CPS 6.1.5"]
    SSH_NOT_FOR_ALL Error "ssh-is-not-for-everyone"
        "it is valid for every principal" ["PROTOCOL.certkeys", "CPS 3.2.3"]
    SSH_PRINCIPALS Error "ssh-principals-are-the-granted"
        "its principals are not those that were granted" ["CPS 3.2.3"]
    // OpenSSH CVE-2026-35414: a comma in one made two of it.
    SSH_PRINCIPALS_WHOLE Error "ssh-principals-cannot-be-split"
        "a principal that some reader could split or expand" ["CPS 3.2.3"]
    SSH_OPTIONS Error "ssh-options-are-its-profiles"
        "its critical options are not its profile's" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_EXTENSIONS Error "ssh-extensions-are-its-profiles"
        "its extensions are not its profile's" ["PROTOCOL.certkeys", "CPS 7.4"]
    SSH_HAS_VALIDITY Error "ssh-has-a-validity"
        "the ledger has no validity for it" ["CPS 6.3.2"]
    SSH_BEGINS Error "ssh-begins-as-the-ledger-says"
        "its beginning is not the ledger's" ["PROTOCOL.certkeys", "CPS 6.3.2"]
    SSH_ENDS Error "ssh-ends-as-the-ledger-says"
        "its end is not the ledger's" ["PROTOCOL.certkeys", "CPS 6.3.2"]
    SSH_IS_NOW Error "ssh-is-valid-now"
        "it is not valid now" ["CPS 6.3.2"]
    SSH_NOT_BACKDATED Error "ssh-is-backdated-by-a-minute-at-most"
        "it is backdated by more than a minute" ["CPS 6.3.2"]
    SSH_IS_SHORT Error "ssh-is-as-short-as-its-profile"
        "it is valid for longer than its profile allows" ["CPS 6.3.2"]
}
