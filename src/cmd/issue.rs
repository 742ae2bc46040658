//! `chancery issue tls|client|code`: a certificate, its chain and, unless a CSR is given, a key made on this host.
//!
//! The key of a TLS or client certificate never leaves this host; the key of a code-signing certificate never leaves
//! the HSM.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use policy::Name;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, OtherNameValue, PKCS_ECDSA_P256_SHA256, SanType};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::files::{self, Folder, Input, Outputs, PUBLIC, Place, SECRET, Standing};
use crate::Global;
use crate::failure::{Exit, Failure, OrFail};
use crate::output::{self, field};
use crate::parts::csr;
use crate::parts::span::{Span, span};

#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A TLS server certificate for DNS names and addresses
    #[command(after_help = "Example:\n  chancery issue tls www.example.internal 127.0.0.1 --out ./web")]
    Tls(Leaf),
    /// A TLS client certificate
    #[command(after_help = "Example:\n  chancery issue client agent7.example.internal --out ./agent7")]
    Client(Leaf),
    /// A code-signing certificate for a new key inside the HSM
    #[command(after_help = "Example:\n  chancery issue code --key nightly --out ./nightly")]
    Code(Code),
}

#[derive(clap::Args)]
struct Leaf {
    /// Names: DNS names or IP addresses; with --profile also a mailbox, a URI or upn:NAME@DOMAIN (from the CSR where none is given)
    names: Vec<String>,
    /// Whose it is; its rules decide which names are allowed
    #[arg(long, default_value = "default")]
    owner: String,
    /// A certificate request (PEM or DER) instead of a key made here
    #[arg(long)]
    csr: Option<PathBuf>,
    /// The profile, where the default for this kind is not wanted
    #[arg(long)]
    profile: Option<String>,
    /// Lifetime, such as 16h or 30d, within the profile's bounds
    #[arg(long, value_parser = span)]
    validity: Option<Span>,
    /// Let the server renew it by itself at two thirds of its lifetime, with the same key
    #[arg(long)]
    renew: bool,
    /// The serial of the certificate whose place it takes, where names or profile are others
    #[arg(long, value_name = "SERIAL")]
    replaces: Option<String>,
    /// Folder for cert.pem, chain.pem, fullchain.pem and key.pem
    #[arg(long)]
    out: PathBuf,
    /// Replace certificates that are there; a key never is
    #[arg(long)]
    force: bool,
}

#[derive(clap::Args)]
struct Code {
    /// The key's label in the HSM
    #[arg(long)]
    key: String,
    /// Whose it is
    #[arg(long, default_value = "default")]
    owner: String,
    /// The name in the certificate's subject, by default the label
    #[arg(long)]
    subject: Option<String>,
    /// p256, rsa2048, rsa3072 or rsa4096, within the profile's bounds
    #[arg(long, default_value = "p256")]
    algorithm: String,
    /// Folder for cert.pem and chain.pem
    #[arg(long)]
    out: PathBuf,
    /// Replace certificates that are there
    #[arg(long)]
    force: bool,
}

/// Runs `chancery issue`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    match args.what {
        What::Tls(leaf) => leaf_certificate(leaf, "tls-server", global).await,
        What::Client(leaf) => leaf_certificate(leaf, "tls-client", global).await,
        What::Code(code) => code_certificate(code, global).await,
    }
}

async fn leaf_certificate(args: Leaf, profile: &str, global: &Global) -> Result<(), Failure> {
    if args.names.is_empty() && args.csr.is_none() {
        return Err(Failure::new(Exit::Usage, "there is no name to certify")
            .help("name it: a DNS name or an IP address; or pass a request that has one, with --csr"));
    }
    let client = global.client()?;
    let mut outputs = Outputs::new(args.force);
    let (csr, key) = match &args.csr {
        Some(path) => {
            let input = Input::open(path)?;
            outputs = outputs.reading(&input);
            let csr = csr::read(input)?;
            csr::fits(&csr, &args.out)?;
            (csr, None)
        }
        None => {
            let (csr, key) = request(&args.names)?;
            (csr, Some(key))
        }
    };
    let mut body = json!({
        "profile": args.profile.as_deref().unwrap_or(profile),
        "owner": args.owner,
        "csr": csr,
        "renew": args.renew,
    });
    if !args.names.is_empty() {
        body["names"] = json!(args.names);
    }
    if let Some(validity) = args.validity {
        body["validity_secs"] = json!(validity.secs());
    }
    if let Some(serial) = &args.replaces {
        body["replaces"] = json!(serial);
    }
    let _folder = Folder::take(&args.out)?;
    // Before the request: a certificate whose key or itself could not be kept would be worth nothing.
    let places = CertificatePlaces::take(&mut outputs, &args.out, || Standing::Forced)?;
    let kept = match &key {
        Some(key) => {
            let path = args.out.join("key.pem");
            outputs.place(&path, SECRET, Standing::Never)?.fill(key.as_bytes())?;
            Some(path)
        }
        None => None,
    };
    let issued = client.post("/api/v1/certificates", &body).await.inspect_err(|_| {
        if let Some(path) = &kept {
            let _ = std::fs::remove_file(path);
        }
    })?;
    if issued.get("certificate").is_none() {
        // Others approve it first; a key that was made stays for what is collected.
        super::request::waits(&issued, &args.out, global);
        return Ok(());
    }
    places.fill(&issued)?;
    report(&issued, &args.out, global.json);
    Ok(())
}

async fn code_certificate(args: Code, global: &Global) -> Result<(), Failure> {
    let client = global.client()?;
    csr::no_key(&args.out)?;
    let _folder = Folder::take(&args.out)?;
    // Before the request: the key in the token is made once.
    let places = CertificatePlaces::take(&mut Outputs::new(args.force), &args.out, || Standing::Forced)?;
    let body = json!({
        "label": args.key,
        "owner": args.owner,
        "algorithm": args.algorithm,
        "subject": args.subject.unwrap_or_else(|| args.key.clone()),
    });
    let issued = client.post("/api/v1/keys", &body).await?;
    places.fill(&issued)?;
    report(&issued, &args.out, global.json);
    Ok(())
}

/// A key made here and a request for it. The names travel beside the CSR, and in it for servers that look there.
fn request(names: &[String]) -> Result<(String, Zeroizing<String>), Failure> {
    let parsed = |name: &String| Name::parse(name).or_fail(format!("{name:?} cannot be certified"));
    let names = names.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).or_fail("cannot make a key")?;
    let mut params = CertificateParams::default();
    params.subject_alt_names =
        names.iter().map(alternative).collect::<Result<_, _>>().or_fail("these names do not fit into a request")?;
    params.distinguished_name = DistinguishedName::new();
    let host = names.iter().find_map(|name| match name {
        Name::Dns(name) if name.as_str().len() <= 64 => Some(name.as_str()),
        Name::Dns(_) | Name::Ip(_) | Name::Email(_) | Name::Uri(_) | Name::Upn(_) => None,
    });
    if let Some(host) = host {
        params.distinguished_name.push(DnType::CommonName, host);
    }
    let csr = params.serialize_request(&key).and_then(|csr| csr.pem()).or_fail("cannot make a request")?;
    Ok((csr, Zeroizing::new(key.serialize_pem())))
}

fn alternative(name: &Name) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        Name::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        Name::Ip(ip) => SanType::IpAddress(*ip),
        Name::Email(mailbox) => SanType::Rfc822Name(mailbox.as_str().try_into()?),
        Name::Uri(uri) => SanType::URI(uri.as_str().try_into()?),
        Name::Upn(upn) => SanType::OtherName((UPN.to_vec(), OtherNameValue::Utf8String(upn.clone()))),
    })
}

/// szOID_NT_PRINCIPAL_NAME.
const UPN: [u64; 10] = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3];

/// `cert.pem`, `chain.pem` (the intermediates) and `fullchain.pem` in a folder, held for a certificate resource.
pub struct CertificatePlaces {
    certificate: Place,
    chain: Place,
    full: Place,
}

impl CertificatePlaces {
    /// Takes all three; `standing` says what may go away.
    pub fn take<'a>(outputs: &mut Outputs, dir: &Path, standing: impl Fn() -> Standing<'a>) -> Result<Self, Failure> {
        let mut place = |name| outputs.place(&dir.join(name), PUBLIC, standing());
        Ok(Self { certificate: place("cert.pem")?, chain: place("chain.pem")?, full: place("fullchain.pem")? })
    }

    /// Writes them. The certificate is in the register already: where they cannot be written it is had from there.
    pub fn fill(self, issued: &Value) -> Result<(), Failure> {
        let (certificate, full) = (field(issued, "certificate"), field(issued, "chain"));
        let intermediates = full.strip_prefix(&certificate).unwrap_or(&full).to_owned();
        let serial = field(issued, "serial");
        let filled = self.certificate.fill(certificate.as_bytes());
        let filled = filled.and_then(|()| self.chain.fill(intermediates.as_bytes()));
        filled.and_then(|()| self.full.fill(full.as_bytes())).map_err(|failure| {
            failure.help(format!("it was issued: `chancery certs show {serial} --pem` prints it with its chain"))
        })
    }
}

/// What was issued, and where it is.
pub fn report(issued: &Value, dir: &Path, as_json: bool) {
    let left_out = field(issued, "left_out");
    if !left_out.is_empty() {
        output::notice(&format!("the request asked for {left_out} too, which is left out"), as_json);
    }
    if as_json {
        return output::json(issued);
    }
    let mut facts = output::shown(issued, &["serial", "profile", "names", "not_after", "operation"]);
    facts.push(("written to", files::shown(dir)));
    output::facts(&facts);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_file_holds_the_intermediates_only() {
        let dir = tempfile::tempdir().unwrap();
        let places = CertificatePlaces::take(&mut Outputs::new(false), dir.path(), || Standing::Forced).unwrap();
        places.fill(&json!({"certificate": "LEAF\n", "chain": "LEAF\nCA\n"})).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("chain.pem")).unwrap(), "CA\n");
        assert_eq!(std::fs::read_to_string(dir.path().join("fullchain.pem")).unwrap(), "LEAF\nCA\n");
    }
}
