//! What to do first where nothing was issued yet: commands that work as they stand, here and for this visitor.

use http::{HeaderMap, Uri, header};
use policy::{Actor, OwnerRules};

use super::asked::owners;
use crate::app::App;

/// The owner that who names none asks for (`chancery issue`).
const UNNAMED: &str = "default";

/// The first commands, for a name that somebody's rules allow.
pub(super) struct First {
    /// Where the visitor reaches this service.
    pub(super) url: String,
    pub(super) owner: String,
    pub(super) name: String,
    /// What has to be said of the owner: nothing of the one that nobody needs to name.
    pub(super) of: String,
}

impl First {
    /// Of the first owner whose rules allow a DNS name, among those that the visitor may choose.
    pub(super) fn of(app: &App, actor: &Actor, headers: &HeaderMap, uri: &Uri) -> Option<Self> {
        // HTTP/2 names the host in the target.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or(uri.authority().map(http::uri::Authority::as_str))?;
        let chosen = owners(app, actor);
        let policies = app.authority().policies();
        let mut rules = policies.owners().iter().filter(|rules| chosen.iter().any(|name| name == rules.name.as_str()));
        let (owner, name) = rules.find_map(|rules| Some((rules.name.as_str().to_owned(), allowed(rules)?)))?;
        let of = if owner == UNNAMED { String::new() } else { format!(" --owner {owner}") };
        Some(Self { url: format!("https://{host}"), owner, name, of })
    }
}

/// A name that rules allow: one that they name, or one below what they name.
fn allowed(rules: &OwnerRules) -> Option<String> {
    let named = rules.dns.iter().find(|name| !name.contains('*')).cloned();
    named.or_else(|| rules.dns.iter().find_map(|name| name.strip_prefix("*.").map(|below| format!("www.{below}"))))
}

#[cfg(test)]
mod tests {
    use policy::Owner;

    use super::*;

    #[test]
    fn a_name_is_one_that_the_rules_allow() {
        for (dns, name) in [
            (&["*.example.internal", "localhost"][..], Some("localhost")),
            (&["*.example.internal"], Some("www.example.internal")),
            (&[], None),
        ] {
            let dns = dns.iter().map(|name| (*name).to_owned()).collect();
            let owner = Owner::parse("web").expect("an owner");
            let rules = OwnerRules { dns, ..OwnerRules::none(owner) };
            assert_eq!(allowed(&rules).as_deref(), name);
        }
    }
}
