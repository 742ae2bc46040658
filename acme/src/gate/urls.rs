//! The URLs of this server's resources. They come from the configuration alone: a request's Host header may be forged or be that
//! of a proxy, and a client must find the same account under the same URL each time.

use crate::objects::ChallengeKind;

/// Makes and reads URLs below `external_url`/acme.
#[derive(Clone, Debug)]
pub struct Urls {
    base: String,
}

impl Urls {
    /// Below this origin.
    pub fn new(external_url: &str) -> Self {
        Self { base: format!("{external_url}/acme") }
    }

    /// What a request for this path and query must carry in its `url` header.
    pub fn of(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.base)
    }

    /// The directory.
    pub fn directory(&self) -> String {
        self.of("/directory")
    }

    /// An account: also its `kid`.
    pub fn account(&self, account: &str) -> String {
        self.of(&format!("/account/{account}"))
    }

    /// The account a `kid` names, if it is one of ours.
    pub fn account_of<'a>(&self, kid: &'a str) -> Option<&'a str> {
        let id = kid.strip_prefix(&self.base)?.strip_prefix("/account/")?;
        (!id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
    }

    /// The list of an account's orders.
    pub fn orders(&self, account: &str) -> String {
        self.of(&format!("/account/{account}/orders"))
    }

    /// An order.
    pub fn order(&self, order: &str) -> String {
        self.of(&format!("/order/{order}"))
    }

    /// Where its CSR goes.
    pub fn finalize(&self, order: &str) -> String {
        self.of(&format!("/order/{order}/finalize"))
    }

    /// An authorization.
    pub fn authz(&self, authz: &str) -> String {
        self.of(&format!("/authz/{authz}"))
    }

    /// One of its challenges.
    pub fn challenge(&self, authz: &str, kind: ChallengeKind) -> String {
        self.of(&format!("/chall/{authz}/{}", kind.as_str()))
    }

    /// A certificate.
    pub fn certificate(&self, serial: &str) -> String {
        self.of(&format!("/cert/{serial}"))
    }

    /// The same with one of its chains; 0 is the one that it comes with.
    pub fn chain(&self, serial: &str, which: usize) -> String {
        match which {
            0 => self.certificate(serial),
            other => self.of(&format!("/cert/{serial}/{other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_is_read_back_and_nothing_else_is() {
        let urls = Urls::new("https://localhost:8443");
        let kid = urls.account("00ff");
        assert_eq!(urls.account_of(&kid), Some("00ff"));
        for foreign in [
            "",
            "00ff",
            "/acme/account/00ff",
            "http://localhost:8443/acme/account/00ff",
            "https://localhost:8443/acme/account/",
            "https://localhost:8443/acme/account/00ff/",
            "https://localhost:8443/acme/account/00ff/orders",
            "https://localhost:8443/acme/account/../order/00ff",
            "https://localhost:8443.evil.example/acme/account/00ff",
            "https://other:8443/acme/account/00ff",
        ] {
            assert_eq!(urls.account_of(foreign), None, "{foreign}");
        }
    }
}
