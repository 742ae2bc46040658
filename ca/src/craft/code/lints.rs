//! What a code signature is held against.

use crate::lint::lints;

lints! { CODE;
    CODE_DIGEST Error "code-digest-is-the-asked"
        "another digest than the one asked for" ["CPS 7.5"]
    CODE_FORMAT Error "code-message-is-of-its-format"
        "a message of the other format" ["CPS 7.5"]
    CODE_READABLE Error "code-attributes-are-readable"
        "its attributes cannot be read" ["RFC 5652 5.3", "CPS 7.5"]
    CODE_DER Error "code-attributes-are-in-order"
        "its attributes are not in DER's order" ["RFC 5652 5.4", "CPS 7.5"]
    CODE_FOUR Error "code-has-four-attributes"
        "it has not four attributes" ["CPS 7.5"]
    CODE_ONE_VALUE Error "code-attributes-have-one-value"
        "an attribute without exactly one value" ["RFC 5652 11", "CPS 7.5"]
    CODE_ATTRIBUTE Error "code-attributes-are-the-asked"
        "an attribute that is not what was asked for" ["RFC 5652 11", "RFC 5035 3", "CPS 7.5"]
}
