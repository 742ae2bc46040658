//! What a request for a CA's certificate is held against.

use crate::lint::lints;

lints! { REQUEST;
    REQUEST_IS_READ Error "ca-request-is-read"
        "a parser does not read it as a request" ["RFC 2986 4.1", "CPS 6.1.1"]
    REQUEST_ENDS Error "ca-request-ends"
        "bytes follow the request" ["RFC 2986 4.1", "CPS 6.1.1"]
    REQUEST_SUBJECT_IS_PLANNED Error "ca-request-subject-is-the-planned"
        "its subject is not the planned one" ["RFC 2986 4.1", "CPS 7.1.4"]
    REQUEST_KEY_IS_THE_GENERATIONS Error "ca-request-key-is-the-generations"
        "its key is not the generation's, or two parsers read two" ["RFC 2986 4.1", "CPS 6.1.1"]
    REQUEST_SIGNS_ITSELF Error "ca-request-signs-itself"
        "another key signs it" ["RFC 2986 4.2", "CPS 6.1.1"]
    REQUEST_ASKS_FOR_EXTENSIONS Error "ca-request-asks-for-extensions-alone"
        "it asks for something else than extensions" ["RFC 2985 5.4.2", "CPS 7.1.2"]
}
