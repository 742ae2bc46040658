//! Names: of hosts, of people, of whoever owns what.

mod international;

mod dns;
mod name;
mod owner;
mod principal;

pub use dns::DnsName;
pub use name::Name;
pub use owner::Owner;
pub use principal::Principal;
