//! What responses, and who signs them, are held against.

use crate::lint::lints;

lints! { OUR_RESPONSES;
    OCSP_BATCH Error "ocsp-is-a-batch"
        "it is no batch" ["CPS 4.9.9"]
    OCSP_KEY Error "ocsp-is-signed-by-its-responder"
        "another key than the responder's signs" ["RFC 6960 4.2.2.2", "CPS 4.9.9"]
    OCSP_IS_CURRENT Error "ocsp-is-current"
        "responses that are not current" ["RFC 6960 4.2.2.1", "BR 4.9.10", "CPS 4.9.10"]
    OCSP_RESPONDER_LASTS Error "ocsp-does-not-outlive-its-responder"
        "responses that outlive their responder" ["RFC 6960 4.2.2.2.1", "CPS 4.9.9"]
    OCSP_LASTS Error "ocsp-lasts-a-day-and-a-half"
        "responses that hold for too long" ["RFC 6960 4.2.2.1", "BR 4.9.10", "CPS 4.9.10"]
    OCSP_LEDGER Error "ocsp-updates-are-the-ledgers"
        "their times are not the ledger's" ["RFC 6960 4.2.2.1", "CPS 4.9.10"]
    OCSP_COUNT Error "ocsp-batch-has-what-was-wanted"
        "not as many responses as were wanted" ["CPS 4.9.9"]
    OCSP_READABLE Error "ocsp-data-is-readable"
        "the response cannot be read" ["RFC 6960 4.2.1", "CPS 4.3.1"]
    OCSP_ONE_READING Error "ocsp-has-one-reading"
        "two parsers do not read one response" ["RFC 6960 4.2.1", "CPS 4.3.1"]
    OCSP_RESPONDER Error "ocsp-names-its-responder"
        "it names another responder" ["RFC 6960 4.2.2.3", "CPS 4.9.9"]
    OCSP_PRODUCED Error "ocsp-produced-is-now"
        "it was produced at another time" ["RFC 6960 4.2.2.1", "CPS 4.9.10"]
    OCSP_NONCE Error "ocsp-nonce-is-the-asked"
        "its nonce is not the one that was asked with" ["RFC 9654 2.1", "CPS 4.9.10"]
    OCSP_EXTENSIONS Error "ocsp-extensions-are-known"
        "an extension that no response of ours has" ["RFC 6960 4.4", "CPS 7.3"]
    OCSP_ASKED Error "ocsp-speaks-of-what-was-asked"
        "it does not speak of what was asked for" ["RFC 6960 4.2.2.3", "CPS 4.9.10"]
    OCSP_HASH Error "ocsp-hash-is-the-asked"
        "another hash than was asked with" ["RFC 6960 4.1.1", "CPS 7.3"]
    OCSP_ISSUER Error "ocsp-issuer-is-its-issuer"
        "it names another issuer" ["RFC 6960 4.1.1", "CPS 7.3"]
    OCSP_CERTIFICATE Error "ocsp-certificate-is-the-asked"
        "it names another certificate" ["RFC 6960 4.1.1", "CPS 7.3"]
    OCSP_STATUS Error "ocsp-status-is-the-registers"
        "it says what the register does not" ["RFC 6960 2.2", "BR 4.9.10", "CPS 4.9.10"]
    OCSP_UPDATES Error "ocsp-updates-are-the-planned"
        "its updates are not those that were planned" ["RFC 6960 4.2.2.1", "BR 4.9.10", "CPS 4.9.10"]
    RESPONDER_SUBJECT Error "responder-has-a-subject"
        "a responder without a subject" ["RFC 6960 4.2.2.2", "CPS 7.3"]
    RESPONDER_KEY Error "responder-key-is-not-its-issuers"
        "its key is its issuer's" ["RFC 6960 4.2.2.2", "CPS 7.3"]
    RESPONDER_LASTS Error "responder-lasts-two-weeks"
        "a responder that lives for longer than two weeks" ["RFC 6960 4.2.2.2.1", "CPS 7.3"]
    RESPONDER_POINTERS Error "responder-pointers-are-not-critical"
        "a pointer is marked critical" ["RFC 5280 4.2.1.1", "CPS 7.3"]
    RESPONDER_EXTENSIONS Error "responder-extensions-are-known"
        "an extension that no responder has" ["RFC 6960 4.2.2.2", "CPS 7.3"]
    RESPONDER_IS_ONE Error "responder-is-one"
        "basicConstraints, keyUsage, extendedKeyUsage or nocheck is not a responder's"
        ["RFC 6960 4.2.2.2", "RFC 6960 4.2.2.2.1", "CPS 7.3"]
}
