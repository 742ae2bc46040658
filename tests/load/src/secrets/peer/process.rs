//! The peer's process: its folder, its certificate, its configuration, its end.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::door::Door;
use crate::error::CompareError;
use crate::port::free_port;

/// What its certificate is for, as ours.
const NAME: &str = "localhost";
/// So much of the end of its log is told where it failed.
const TOLD_LINES: usize = 8;

/// Ends with its owner.
pub(super) struct Process {
    child: Child,
    program: PathBuf,
    name: String,
    address: String,
    certificate_pem: String,
    /// Goes when the process has gone.
    dir: TempDir,
}

impl Process {
    pub(super) fn start(program: &Path, dir: &Path) -> Result<Process, CompareError> {
        let cannot = |e: std::io::Error| {
            let how = "--peer takes RustyVault's server, the program `rvault` that `cargo install rusty_vault` makes";
            CompareError::Failed(format!("{}: {e}: {how}", program.display()))
        };
        let version = Command::new(program).arg("--version").stdin(Stdio::null()).output().map_err(cannot)?;
        let dir = tempfile::Builder::new().prefix("peer-").tempdir_in(dir).map_err(away("folder"))?;
        let address = format!("127.0.0.1:{}", free_port());
        let (certificate_pem, key_pem) = certificate()?;
        write(&dir.path().join(CERTIFICATE), &certificate_pem).map_err(away("certificate"))?;
        write(&dir.path().join(KEY), &key_pem).map_err(away("key"))?;
        let config = dir.path().join("config.json");
        write(&config, &configuration(dir.path(), &address).to_string()).map_err(away("configuration"))?;
        let log = std::fs::File::create(dir.path().join(LOG)).map_err(away("log"))?;
        let mut serve = Command::new(program);
        serve.arg("server").arg("--config").arg(&config).stdin(Stdio::null());
        serve.stdout(log.try_clone().map_err(away("log"))?).stderr(log);
        let child = serve.spawn().map_err(cannot)?;
        let name = name_of(program, &version.stdout);
        Ok(Process { child, program: program.to_owned(), name, address, certificate_pem, dir })
    }

    /// The way to it; its own certificate is all that is trusted.
    pub(super) fn door(&self) -> Result<Door, CompareError> {
        Ok(Door::new(&self.address, NAME, self.certificate_pem.as_bytes())?)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> Result<bool, CompareError> {
        let ended = self.child.try_wait().map_err(|e| CompareError::Io("the peer".into(), e))?;
        Ok(ended.is_some())
    }

    /// What failed, and the end of its log.
    pub(super) fn failed(&self, what: &str) -> CompareError {
        let log = std::fs::read_to_string(self.dir.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let told = lines.get(lines.len().saturating_sub(TOLD_LINES)..).unwrap_or_default().join("\n");
        CompareError::Failed(format!("the peer {} {what}\n{told}", self.program.display()).trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
const LOG: &str = "peer.log";

/// What it says that it is; else its file's name.
fn name_of(program: &Path, version: &[u8]) -> String {
    let version = String::from_utf8_lossy(version);
    match version.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => line.to_owned(),
        _ => program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    }
}

/// A P-256 certificate, its own issuer, and its key: both PEM.
fn certificate() -> Result<(String, String), CompareError> {
    made().map_err(|e| CompareError::Failed(format!("the peer's certificate: {e}")))
}

fn made() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// All that it keeps below its folder; TLS 1.3, no client certificates, and no log but of errors.
fn configuration(dir: &Path, address: &str) -> Value {
    let below = |name: &str| dir.join(name).display().to_string();
    json!({
        "storage": { "file": { "path": below("data") } },
        "listener": { "tcp": {
            "address": address,
            "tls_disable": false,
            "tls_cert_file": below(CERTIFICATE),
            "tls_key_file": below(KEY),
            "tls_disable_client_certs": true,
            "tls_min_version": "tls13",
            "tls_max_version": "tls13",
        } },
        "api_addr": format!("https://{address}"),
        "log_level": "error",
        "work_dir": below("work"),
    })
}

fn away(what: &'static str) -> impl FnOnce(std::io::Error) -> CompareError {
    move |e| CompareError::Io(format!("the peer's {what}"), e)
}

/// For its owner alone, and over nothing.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_tls_13_and_keeps_all_below_its_folder() {
        let config = configuration(Path::new("/run/peer-1"), "127.0.0.1:7");
        let listener = &config["listener"]["tcp"];
        assert_eq!((&listener["tls_min_version"], &listener["tls_max_version"]), (&json!("tls13"), &json!("tls13")));
        assert_eq!((&listener["address"], &listener["tls_disable"]), (&json!("127.0.0.1:7"), &json!(false)));
        let kept = ["/storage/file/path", "/work_dir", "/listener/tcp/tls_cert_file", "/listener/tcp/tls_key_file"];
        for at in kept {
            let place = config.pointer(at).and_then(Value::as_str).unwrap();
            assert!(place.starts_with("/run/peer-1/"), "{at}: {place}");
        }
    }

    #[test]
    fn its_certificate_is_of_p256_for_this_host_and_no_authority() {
        let (certificate, key) = certificate().unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).unwrap();
        let read = pem.parse_x509().unwrap();
        // id-ecPublicKey, an uncompressed point of P-256.
        assert_eq!(read.public_key().algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1");
        assert_eq!(read.public_key().subject_public_key.data.len(), 65);
        assert!(!read.is_ca());
        assert_eq!(read.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
    }

    #[test]
    fn its_name_is_what_it_says_or_the_files() {
        assert_eq!(name_of(Path::new("/x/rvault"), b"rusty_vault 0.2.1\n"), "rusty_vault 0.2.1");
        assert_eq!(name_of(Path::new("/x/rvault"), b""), "rvault");
    }
}
