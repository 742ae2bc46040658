//! What an end-entity certificate is held to by its profile's own words.

use crate::lint::lints;

lints! { PROFILED;
    LEAF_ISSUER_IS_THE_PROFILES Error "leaf-issuer-is-its-profiles"
        "its issuer is neither its profile's nor the fallback" ["CPS 7.1.2"]
    LEAF_ENDS_WITH_ITS_PROFILE Error "leaf-ends-with-its-profile"
        "it is valid after the end that its profile names" ["CPS 6.3.2"]
    LEAF_NAMES_ARE_ALLOWED Error "leaf-names-are-its-profiles"
        "its names are not what its profile allows" ["CPS 7.1.4"]
    LEAF_SUBJECT_FITS Error "leaf-subject-fits-its-template"
        "a subject that its profile's template does not make" ["CPS 7.1.4"]
    LEAF_ONE_SPIFFE_ID Error "leaf-has-one-spiffe-id"
        "a SPIFFE ID beside another URI" ["X509-SVID 2", "CPS 7.1.4"]
    LEAF_TIME_STAMPING_ALONE Error "leaf-time-stamping-is-critical-and-alone"
        "time stamping beside another purpose, or not critical" ["RFC 3161 2.3", "CPS 6.1.7"]
    LEAF_STAPLES_SOMETHING Error "leaf-must-staple-has-a-responder"
        "it must staple, and names no OCSP responder" ["RFC 7633 4.2.3.1", "CPS 7.1.2"]
    LEAF_POINTS_AS_ITS_PROFILE Error "leaf-points-as-its-profile-says"
        "it points elsewhere than its profile and its issuer say" ["RFC 5280 4.2.1.13", "RFC 5280 4.2.2.1", "CPS 7.1.2"]
    LEAF_PURPOSES_ARE_ITS_ISSUERS Error "leaf-purposes-are-its-issuers"
        "a purpose that its issuer is not for" ["RFC 5280 4.2.1.12", "CPS 6.1.7"]
}
