//! What a CA certificate is held against.

use crate::lint::lints;

lints! { OUR_CAS;
    CA_PATH_FITS Error "ca-path-fits-below-its-issuer"
        "its issuer allows no such path below it" ["RFC 5280 4.2.1.9", "CPS 7.1.2"]
    CA_NAME_WITHIN Error "ca-name-is-within-the-constraints"
        "a subject that a CA above it may not certify" ["RFC 5280 4.2.1.10", "RFC 5280 6.1.3", "CPS 7.1.5"]
    ROOT_NAMES_ITSELF Error "root-names-itself"
        "a root that does not name itself as its issuer" ["RFC 5280 3.2", "BR 7.1.2.1", "CPS 7.1.4"]
    ROOT_SIGNS_ITSELF Error "root-signs-itself"
        "a root that another key signs" ["RFC 5280 3.2", "BR 7.1.2.1", "CPS 6.1.1"]
    CA_IS_CA Error "ca-is-a-ca"
        "basicConstraints is not critical CA:TRUE" ["RFC 5280 4.2.1.9", "BR 7.1.2.10.4", "CPS 7.1.2"]
    CA_PATH_IS_PLANNED Error "ca-path-is-the-planned"
        "another path length than planned" ["RFC 5280 4.2.1.9", "CPS 7.1.2"]
    CA_USAGE_IS_A_CAS Error "ca-key-usage-is-a-cas"
        "its key usage is not a CA's" ["RFC 5280 4.2.1.3", "BR 7.1.2.10.7", "CPS 6.1.7"]
    CA_PURPOSES_NOT_CRITICAL Error "ca-purposes-are-not-critical"
        "an extended key usage that is critical" ["BR 7.1.2.10.6", "CPS 7.1.2"]
    CA_EXTENSIONS_KNOWN Error "ca-extensions-are-known"
        "an extension that no CA profile has" ["BR 7.1.2.11.5", "CPS 7.1.2"]
    CA_EXTENSIONS_ARE_PLANNED Error "ca-extensions-are-the-planned"
        "its extensions are not, byte for byte, those that were planned" ["CPS 7.1.2"]
    CA_HAS_CONSTRAINTS Error "ca-has-basic-constraints"
        "no basicConstraints" ["RFC 5280 4.2.1.9", "BR 7.1.2.10.4", "CPS 7.1.2"]
    CA_HAS_USAGE Error "ca-has-key-usage"
        "no key usage" ["RFC 5280 4.2.1.3", "BR 7.1.2.10.7", "CPS 6.1.7"]
}
