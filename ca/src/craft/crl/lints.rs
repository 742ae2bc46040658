//! What a CRL of ours is held against.

use crate::lint::lints;

lints! { OUR_CRLS;
    CRL_BEGINS_AS_BEFORE Error "crl-begins-with-what-was-listed"
        "its list does not begin with what was listed before" ["CPS 4.9.7"]
    CRL_ALGORITHM Error "crl-algorithm-is-the-issuers-keys"
        "its signature algorithm is not its issuer's key's" ["RFC 5280 5.1.1.2", "BR 7.1.3.2", "CPS 7.2"]
    CRL_ISSUER Error "crl-issuer-is-its-issuers-subject"
        "its issuer is not, byte for byte, its issuer's subject" ["RFC 5280 5.1.2.3", "BR 7.2", "CPS 7.2"]
    CRL_UPDATES Error "crl-updates-are-the-ledgers"
        "its updates are not the ledger's" ["RFC 5280 5.1.2.5", "BR 7.2", "CPS 4.9.7"]
    CRL_IS_CURRENT Error "crl-is-current"
        "it is not current" ["RFC 5280 5.1.2.4", "CPS 4.9.7"]
    CRL_LISTS_ALL Error "crl-lists-what-is-revoked"
        "it does not list what is revoked" ["RFC 5280 5", "CPS 4.9.7"]
    CRL_NOT_CRITICAL Error "crl-extensions-are-not-critical"
        "a critical extension" ["RFC 5280 5.2", "CPS 7.2.2"]
    CRL_EXTENSIONS_KNOWN Error "crl-extensions-are-known"
        "an extension that no CRL of ours has" ["RFC 5280 5.2", "BR 7.2.2", "CPS 7.2.2"]
    CRL_NUMBER Error "crl-number-is-the-planned"
        "its number is not the planned one" ["RFC 5280 5.2.3", "BR 7.2.2", "CPS 7.2.2"]
    CRL_SCOPE Error "crl-scope-is-its-parts"
        "its issuing distribution point is not, critical and alone, the URL that certificates of its part have"
        ["RFC 5280 5.2.5", "RFC 5280 6.3.3", "CPS 7.2.2"]
    CRL_BASE Error "crl-delta-names-its-base"
        "its delta indicator is not, critical and alone, the number of the CRL that it rests on; or it is no delta and has one"
        ["RFC 5280 5.2.4", "CPS 7.2.2"]
    CRL_FRESHEST Error "crl-points-to-its-deltas"
        "its freshestCRL is not the place of its deltas; or it has none, or is one, and has a freshestCRL"
        ["RFC 5280 5.2.6", "CPS 7.2.2"]
    CRL_ISSUER_KEY Error "crl-authority-key-identifier-is-the-issuers"
        "its authority key identifier is not its issuer's subject key identifier"
        ["RFC 5280 5.2.1", "BR 7.2.2", "CPS 7.2.2"]
}
