//! Hosts that are logged in to by OpenSSH: which they are (`hosts`), the key that logs in (`keeper`), OpenSSH's client
//! as it runs (`client`), what that shows (`verdict`), and the login itself (`login`).
//!
//! Nothing is changed at a host by a login: keys are put there by the host's own agent, which asks for them. What is shown here is that one
//! lets in, or does not.

mod client;
mod hosts;
mod keeper;
mod login;
mod verdict;

pub use hosts::{HOSTS_MAX, NoHosts, SshHost, ssh_hosts};
pub use login::{SshLogin, Trusted};
