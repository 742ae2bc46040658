//! A real sshd of its own folder and port, for the promises that are about logging in.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use load::free_port;

use crate::house::{House, PATIENCE, command, status, succeed, text, until};

/// An sshd, ended by process id. Its host key is signed by the host CA, users are trusted through the user CA, and what that revoked is
/// refused.
pub struct Sshd {
    child: Option<Child>,
    pub port: u16,
    pub folder: PathBuf,
    pub user: String,
}

impl Sshd {
    /// One that lets people in by certificate alone.
    pub fn start(house: &House) -> Self {
        Self::named(house, "sshd", "none")
    }

    /// One of a name of its own, which takes the keys of a file too.
    pub fn named(house: &House, name: &str, authorized_keys: &str) -> Self {
        let folder = house.path(name);
        std::fs::create_dir(&folder).expect("a folder");
        // sshd's privilege separation folder; Debian's unit file makes it, and nobody started that unit here.
        std::fs::create_dir_all("/run/sshd").expect("/run/sshd");
        let host_key = folder.join("host_ed25519");
        keygen(&host_key);
        let public = folder.join("host_ed25519.pub");
        house.run(&["ssh", "sign-host", text(&public), "--principal", "localhost"]);
        let user_ca = house.run(&["ssh", "ca"]);
        std::fs::write(folder.join("user_ca.pub"), user_ca).expect("user_ca.pub");
        let known_hosts = house.run(&["ssh", "ca", "--known-hosts", "localhost"]);
        // ssh looks a non-standard port up as [host]:port.
        let port = free_port();
        let known_hosts = known_hosts.replace(" localhost ", &format!(" [localhost]:{port} "));
        std::fs::write(folder.join("known_hosts"), known_hosts).expect("known_hosts");
        house.run(&["ssh", "krl", "--out", text(&folder.join("revoked_keys"))]);
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nHostCertificate {key}-cert.pub\nTrustedUserCAKeys {ca}\n\
             RevokedKeys {revoked}\nAuthorizedKeysFile {authorized_keys}\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\nStrictModes no\nPidFile none\n\
             LogLevel VERBOSE\nMaxStartups 100\n",
            key = host_key.display(),
            ca = folder.join("user_ca.pub").display(),
            revoked = folder.join("revoked_keys").display(),
        );
        std::fs::write(folder.join("sshd_config"), config).expect("sshd_config");
        let user = succeed(command("id", &["-un"])).trim().to_owned();
        let mut sshd = Self { child: None, port, folder, user };
        sshd.run();
        sshd
    }

    /// Lets it run, anew where it was ended.
    pub fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("sshd.log"));
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", text(&self.folder.join("sshd_config"))])
            .stdin(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("sshd starts");
        self.child = Some(child);
        let listens = until(PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
        assert!(listens, "sshd listens: {}", self.log());
    }

    /// Ends it.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Fetches what is revoked, as hosts do each minute.
    pub fn fetch_revoked(&self, house: &House) {
        house.run(&["ssh", "krl", "--out", text(&self.folder.join("revoked_keys"))]);
    }

    /// Logs in with a key (and the certificate beside it) and runs a command there.
    pub fn login(&self, key: &str) -> Command {
        let mut ssh = Command::new("ssh");
        let known = format!("UserKnownHostsFile={}", self.folder.join("known_hosts").display());
        ssh.args(["-F", "none", "-p", &self.port.to_string(), "-i", key, "-o", &known]);
        for option in
            ["GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"]
        {
            ssh.args(["-o", option]);
        }
        ssh.env_remove("SSH_AUTH_SOCK").arg(format!("{}@localhost", self.user)).arg("echo inside");
        ssh
    }

    /// Whether that lets in.
    pub fn lets_in(&self, key: &Path) -> bool {
        status(&mut self.login(text(key)))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("sshd.log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.end();
    }
}

/// A key without a passphrase, and its public half beside it.
pub fn keygen(path: &Path) {
    succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(path)]));
}
