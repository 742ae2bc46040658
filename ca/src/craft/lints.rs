//! What certificates of ours are held against, besides what holds of any: the ledger's entry, the key, the CA above.

use hsm::Message;

use crate::lint::{Findings, lints};

lints! { OURS;
    MESSAGE_IS_WHOLE Error "message-is-whole"
        "only code is signed by its digest" ["CPS 4.3.1"]
    SERIAL_IS_THE_LEDGERS Error "serial-is-the-ledgers"
        "its serial is not the ledger's" ["CPS 7.1.1"]
    // Invariant 9. 63 bits were once an incident of their own (2019).
    SERIAL_HAS_16_BYTES Error "serial-has-16-positive-bytes"
        "its serial is not 16 positive bytes" ["RFC 5280 4.1.2.2", "BR 7.1.2.7", "CPS 7.1.1"]
    ALGORITHM_IS_THE_ISSUERS Error "algorithm-is-the-issuers-keys"
        "its signature algorithm is not its issuer's key's" ["RFC 5280 4.1.1.2", "BR 7.1.3.2", "CPS 7.1.3"]
    KEY_IS_THE_CHECKED_ONE Error "key-is-the-checked-one"
        "its key is not the one whose strength was checked" ["BR 6.1.1.3", "CPS 6.1.1"]
    KEY_IS_NAMED Error "key-identifier-is-the-keys"
        "its subject key identifier is not its key's" ["RFC 5280 4.2.1.2", "BR 7.1.2.11.4", "CPS 7.1.2"]
    VALIDITY_IS_THE_LEDGERS Error "validity-is-the-ledgers"
        "its validity is not the ledger's" ["RFC 5280 4.1.2.5", "CPS 6.3.2"]
    VALIDITY_IS_NOW Error "validity-is-now"
        "it is not valid now" ["CPS 6.3.2"]
    VALIDITY_IS_NOT_BACKDATED Error "validity-is-backdated-by-a-minute-at-most"
        "it is backdated by more than a minute" ["BR 7.1.2.7", "CPS 6.3.2"]
    ISSUER_IS_THE_ISSUERS_SUBJECT Error "issuer-is-its-issuers-subject"
        "its issuer is not, byte for byte, its issuer's subject" ["RFC 5280 4.1.2.4", "BR 7.1.4.1", "CPS 7.1.4"]
    VALIDITY_IS_WITHIN_THE_ISSUERS Error "validity-is-within-its-issuers"
        "it is valid when its issuer is not" ["RFC 5280 6.1.3", "CPS 6.3.2"]
    ISSUER_KEY_IS_NAMED Error "authority-key-identifier-is-the-issuers"
        "its authority key identifier is not its issuer's subject key identifier"
        ["RFC 5280 4.2.1.1", "BR 7.1.2.11.1", "CPS 7.1.2"]
    POINTS_TO_CRL Error "cert-points-to-a-crl"
        "it points to no CRL" ["RFC 5280 4.2.1.13", "BR 7.1.2.11.2", "CPS 4.9.9"]
    POINTS_TO_ISSUER Error "cert-points-to-its-issuer"
        "it points to no issuer certificate" ["RFC 5280 4.2.2.1", "BR 7.1.2.7.7", "CPS 7.1.2"]
}

/// The bytes of a message that is signed whole.
pub(crate) fn whole<'a>(message: &'a Message, f: &mut Findings) -> Option<&'a [u8]> {
    match message {
        Message::Whole(bytes) => Some(bytes),
        Message::Sha256(_) | Message::Batch(_) => {
            f.add(&MESSAGE_IS_WHOLE);
            None
        }
    }
}
