//! What holds of any OCSP response (RFC 6960).

use crate::encode::tlv;
use crate::lint::findings::Findings;
use crate::lint::named::lints;

lints! { OCSP;
    OCSP_READABLE Error "ocsp-is-readable"
        "it cannot be read" ["RFC 6960 4.2.1", "CPS 7.3"]
}

/// A response as it stands in a file. Answers who responds, where it is said.
pub(crate) fn whole(der: &[u8], f: &mut Findings) -> Option<String> {
    f.read(&OCSP_READABLE, "OCSPResponse", tlv::parts_of_sequence(der)).map(|_| String::new())
}
