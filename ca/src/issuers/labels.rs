//! Labels of keys in the token, and of the CAs they make.

pub(crate) const ROOT: &str = "root";
pub(crate) const TLS: &str = "tls";
pub(crate) const CODE: &str = "code";
pub(crate) const SSH_USER: &str = "ssh-user";
pub(crate) const SSH_HOST: &str = "ssh-host";
/// Signs the log's heads.
pub(crate) const LOG: &str = "log";
/// Seals what lies in the register and must not be read there.
pub(crate) const SEAL: &str = "seal";
