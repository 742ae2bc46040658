//! What holds of any certificate, whoever made it.

use crate::lint::lints;

lints! { CERTIFICATE;
    CERT_READABLE Error "cert-is-readable"
        "it cannot be read" ["RFC 5280 4.1", "CPS 4.3.1"]
    CERT_ALONE Error "cert-is-followed-by-nothing"
        "bytes follow the certificate" ["RFC 5280 4.1", "CPS 4.3.1"]
    CERT_VERSION Error "cert-is-version-3"
        "it is not of version 3" ["RFC 5280 4.1.2.1", "BR 7.1.1", "CPS 7.1.1"]
    CERT_ONE_SERIAL Error "cert-has-one-reading-of-serial"
        "two parsers read two serials" ["RFC 5280 4.1.2.2", "CPS 4.3.1"]
    CERT_ONE_ALGORITHM Error "cert-has-one-reading-of-algorithm"
        "two parsers read two signature algorithms" ["RFC 5280 4.1.2.3", "CPS 4.3.1"]
    CERT_ONE_ISSUER Error "cert-has-one-reading-of-issuer"
        "two parsers read two issuers" ["RFC 5280 4.1.2.4", "CPS 4.3.1"]
    CERT_ONE_SUBJECT Error "cert-has-one-reading-of-subject"
        "two parsers read two subjects" ["RFC 5280 4.1.2.6", "CPS 4.3.1"]
    CERT_ONE_KEY Error "cert-has-one-reading-of-key"
        "two parsers read two keys" ["RFC 5280 4.1.2.7", "CPS 4.3.1"]
    CERT_ONE_VALIDITY Error "cert-has-one-reading-of-validity"
        "two parsers read two validities" ["RFC 5280 4.1.2.5", "CPS 4.3.1"]
    CERT_ONE_EXTENSIONS Error "cert-has-one-reading-of-extensions"
        "two parsers read two sets of extensions" ["RFC 5280 4.1.2.9", "CPS 4.3.1"]
    CERT_BEGINS_FIRST Error "cert-begins-before-it-ends"
        "it ends before it begins" ["RFC 5280 4.1.2.5", "CPS 6.3.2"]
    CERT_EXTENSION_ONCE Error "cert-has-each-extension-once"
        "an extension stands in it twice" ["RFC 5280 4.2", "CPS 7.1.2"]
    CERT_EXTENSION_READABLE Error "cert-extensions-are-readable"
        "an extension cannot be read" ["RFC 5280 4.2", "CPS 7.1.2"]
    CERT_POLICIES_NOT_CRITICAL Warning "cert-policies-are-not-critical"
        "critical policies, which webpki refuses" ["BR 7.1.2.7.9", "CPS 7.1.9"]
}
