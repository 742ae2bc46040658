//! What an end-entity certificate is held against.

use crate::lint::lints;

lints! { LEAF;
    LEAF_PROFILE_IS_X509 Error "leaf-profile-is-of-certificates"
        "the profile makes no X.509 certificates" ["CPS 7.1"]
    LEAF_IS_SHORT Error "leaf-is-as-short-as-its-profile"
        "it is valid for longer than its profile allows" ["BR 6.3.2", "CPS 6.3.2"]
    LEAF_KEY_IS_ALLOWED Error "leaf-key-is-of-an-allowed-kind"
        "its key is of a kind that its profile does not allow" ["BR 6.1.5", "CPS 6.1.5"]
    LEAF_KEY_IS_ITS_OWN Error "leaf-key-is-not-its-issuers"
        "its key is its issuer's" ["CPS 6.1.1"]
    LEAF_IS_NO_CA Error "leaf-is-not-a-ca"
        "a leaf that is a CA" ["RFC 5280 4.2.1.9", "BR 7.1.2.7.8", "CPS 7.1.2"]
    LEAF_CONSTRAINTS_CRITICAL Error "leaf-basic-constraints-are-critical"
        "basicConstraints is not critical" ["BR 7.1.2.7.8", "CPS 7.1.2"]
    LEAF_SIGNS_NO_CERTIFICATES Error "leaf-key-usage-is-not-a-cas"
        "a leaf with the key usage of a CA" ["RFC 5280 4.2.1.3", "BR 7.1.2.7.11", "CPS 6.1.7"]
    LEAF_EXTENSIONS_KNOWN Error "leaf-extensions-are-known"
        "an extension that no profile has" ["BR 7.1.2.11.5", "CPS 7.1.2"]
    LEAF_EXTENSIONS_ARE_THE_PROFILES Error "leaf-extensions-are-its-profiles"
        "basicConstraints, keyUsage or extendedKeyUsage is not the profile's" ["CPS 7.1.2"]
    LEAF_NAMES_READABLE Error "leaf-names-are-readable"
        "its names cannot be read" ["RFC 5280 4.2.1.6", "CPS 7.1.4"]
    LEAF_NAMES_ARE_GRANTED Error "leaf-names-are-the-granted"
        "its names are not those that were granted" ["BR 7.1.2.7.12", "CPS 3.2.2"]
    LEAF_NAMES_WITHIN Error "leaf-names-are-within-the-constraints"
        "a name that a CA above it may not certify" ["RFC 5280 4.2.1.10", "RFC 5280 6.1.3", "CPS 7.1.5"]
    LEAF_ONE_READING_OF_NAMES Error "leaf-has-one-reading-of-names"
        "two parsers read two sets of names" ["RFC 5280 4.2.1.6", "CPS 4.3.1"]
    LEAF_SUBJECT_EMPTY Error "leaf-subject-is-empty-where-wanted"
        "a subject where the profile wants none" ["BR 7.1.2.7.2", "CPS 7.1.4"]
    LEAF_SUBJECT_GIVEN Error "leaf-subject-is-there-where-wanted"
        "no subject" ["RFC 5280 4.1.2.6", "CPS 7.1.4"]
    LEAF_SUBJECT_IS_A_NAME Error "leaf-subject-is-one-of-its-names"
        "a subject that is not one of its names" ["BR 7.1.4.3", "CPS 7.1.4"]
}
