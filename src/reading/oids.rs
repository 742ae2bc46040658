//! Object identifiers that have names people know.

/// The name of an object identifier, or itself.
pub fn named(oid: &str) -> String {
    NAMES.iter().find(|(known, _)| *known == oid).map_or_else(|| oid.to_owned(), |(_, name)| (*name).to_owned())
}

/// A reason for a revocation (RFC 5280 section 5.3.1), as `chancery certs revoke --reason` has it.
pub fn reason(code: u8) -> &'static str {
    match code {
        0 => "unspecified",
        1 => "key-compromise",
        2 => "ca-compromise",
        3 => "affiliation-changed",
        4 => "superseded",
        5 => "cessation-of-operation",
        6 => "certificate-hold",
        8 => "remove-from-crl",
        9 => "privilege-withdrawn",
        10 => "aa-compromise",
        _ => "an unknown reason",
    }
}

const NAMES: &[(&str, &str)] = &[
    // Signatures.
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    // Keys.
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.10045.2.1", "EC"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    // Curves.
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.132.0.10", "secp256k1"),
    // Purposes.
    ("1.3.6.1.5.5.7.3.17", "IPsec IKE"),
    ("1.3.6.1.5.5.7.3.21", "SSH client"),
    ("1.3.6.1.4.1.311.20.2.2", "smart card logon"),
    ("1.3.6.1.5.2.3.5", "Kerberos KDC"),
    ("1.3.6.1.4.1.311.10.3.4", "encrypting file system"),
    // Extensions.
    ("2.5.29.9", "subject directory attributes"),
    ("2.5.29.14", "subject key identifier"),
    ("2.5.29.15", "key usage"),
    ("2.5.29.16", "private key usage period"),
    ("2.5.29.17", "subject alternative names"),
    ("2.5.29.18", "issuer alternative names"),
    ("2.5.29.19", "basic constraints"),
    ("2.5.29.20", "CRL number"),
    ("2.5.29.21", "reason"),
    ("2.5.29.24", "invalidity date"),
    ("2.5.29.27", "delta CRL of"),
    ("2.5.29.28", "issuing distribution point"),
    ("2.5.29.30", "name constraints"),
    ("2.5.29.31", "CRL at"),
    ("2.5.29.32", "policies"),
    ("2.5.29.33", "policy mappings"),
    ("2.5.29.35", "authority key identifier"),
    ("2.5.29.36", "policy constraints"),
    ("2.5.29.37", "purposes"),
    ("2.5.29.46", "delta CRL at"),
    ("2.5.29.54", "inhibit any policy"),
    ("1.3.6.1.5.5.7.1.1", "authority information"),
    ("1.3.6.1.5.5.7.1.11", "subject information"),
    ("1.3.6.1.5.5.7.1.24", "TLS feature"),
    ("1.3.6.1.5.5.7.48.1", "OCSP"),
    ("1.3.6.1.5.5.7.48.2", "issuer's certificate"),
    ("1.3.6.1.5.5.7.48.1.2", "OCSP nonce"),
    ("1.3.6.1.5.5.7.48.1.5", "OCSP responder is not checked"),
    ("1.3.6.1.4.1.11129.2.4.2", "signed certificate timestamps"),
    ("1.3.6.1.4.1.11129.2.4.3", "precertificate poison"),
    ("2.16.840.1.113730.1.1", "Netscape certificate type"),
    ("2.16.840.1.113730.1.13", "Netscape comment"),
    ("1.3.6.1.4.1.311.20.2", "Microsoft template name"),
    ("1.3.6.1.4.1.311.21.7", "Microsoft template"),
    ("1.3.6.1.4.1.311.25.2", "Microsoft security identifier"),
    // Policies.
    ("2.5.29.32.0", "any policy"),
    ("2.23.140.1.2.1", "domain validated"),
    ("2.23.140.1.2.2", "organization validated"),
    ("2.23.140.1.2.3", "individual validated"),
    ("2.23.140.1.1", "extended validation"),
    // Containers and their protection.
    ("1.2.840.113549.1.7.1", "data"),
    ("1.2.840.113549.1.7.2", "signed data"),
    ("1.2.840.113549.1.7.3", "enveloped data"),
    ("1.2.840.113549.1.7.6", "encrypted data"),
    ("1.2.840.113549.1.5.13", "PBES2"),
    ("1.2.840.113549.1.12.1.3", "3DES with SHA-1 (old)"),
    ("1.2.840.113549.1.12.1.6", "RC2-40 with SHA-1 (broken)"),
    ("1.3.14.3.2.26", "SHA-1"),
    ("2.16.840.1.101.3.4.2.1", "SHA-256"),
    ("2.16.840.1.101.3.4.2.2", "SHA-384"),
    ("2.16.840.1.101.3.4.2.3", "SHA-512"),
];
