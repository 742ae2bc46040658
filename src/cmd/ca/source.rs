//! Where another program's CA is read from: files, each opened once and bounded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ca::estates::{self, Estate, Gathered, ejbca, openssl, step, vault};

use crate::cmd::files;
use crate::failure::{Exit, Failure, OrFail};

/// What is named on the command line.
pub struct Named<'a> {
    /// Kinds and paths, in pairs.
    pub from: &'a [String],
    /// The CA's certificate and those above it.
    pub chain: Option<&'a Path>,
    /// CRLs that lie elsewhere.
    pub crls: &'a [PathBuf],
}

/// Reads and judges it.
pub fn estate(named: &Named<'_>) -> Result<Estate, Failure> {
    let mut gathered = gathered(named)?;
    for path in named.crls {
        let bytes = files::read(path, CRL_BYTES_MAX)?;
        let der = estates::der(&bytes, "X509 CRL");
        let der = der.map_err(|why| Failure::new(Exit::Failed, format!("{} {why}", files::shown(path))))?;
        gathered.crls.push((files::shown(path), der));
    }
    Estate::of(gathered).or_fail("nothing is taken in")
}

fn gathered(named: &Named<'_>) -> Result<Gathered, Failure> {
    let (kinds, paths): (Vec<&String>, Vec<&String>) =
        named.from.chunks(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?))).unzip();
    let paths: Vec<&Path> = paths.into_iter().map(Path::new).collect();
    let (Some(kind), Some(path)) = (kinds.first(), paths.first()) else {
        return Err(Failure::new(Exit::Usage, "name what it is and where it lies").help("--from openssl DIR"));
    };
    if kinds.iter().any(|other| other != kind) {
        return Err(Failure::new(Exit::Usage, "a CA comes from one program: --from names several"));
    }
    let place = files::shown(path);
    let chain = named.chain.map(|path| files::read(path, CHAIN_BYTES_MAX)).transpose()?;
    let wanted = || {
        let says = format!("the CA's certificate is not part of what {kind} gives");
        Failure::new(Exit::Usage, says).help("name it, and those above it, with --chain FILE")
    };
    let found = match (kind.as_str(), paths.len()) {
        ("openssl", 1) => openssl::gather(folder(path, place, chain)?),
        ("vault" | "openbao", 1) => vault::gather(&place, &files::read(path, DUMP_BYTES_MAX)?, chain.as_deref()),
        ("step-ca", 1) => step::gather(&place, &files::read(path, DUMP_BYTES_MAX)?, &chain.ok_or_else(wanted)?),
        ("ejbca", _) => {
            let read = |path: &&Path| Ok((files::shown(path), files::read(path, DUMP_BYTES_MAX)?));
            let texts = paths.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
            ejbca::gather(&place, &texts, &chain.ok_or_else(wanted)?)
        }
        ("openssl" | "vault" | "openbao" | "step-ca", _) => {
            return Err(Failure::new(Exit::Usage, format!("{kind} gives one thing, and --from names several")));
        }
        (other, _) => {
            let says = format!("`{}` is no program whose CAs are read", policy::shown(other));
            return Err(Failure::new(Exit::Usage, says).help("it is openssl, vault, openbao, ejbca or step-ca"));
        }
    };
    found.or_fail("nothing is taken in")
}

/// A folder of `openssl ca`, or of easy-rsa.
fn folder(dir: &Path, place: String, chain: Option<Vec<u8>>) -> Result<openssl::Folder, Failure> {
    let index = files::text(&dir.join("index.txt"), INDEX_BYTES_MAX)?;
    let crlnumber = dir.join("crlnumber");
    let crlnumber = crlnumber.exists().then(|| files::text(&crlnumber, NUMBER_BYTES_MAX)).transpose()?;
    let chain = match chain {
        Some(chain) => chain,
        None => {
            let there = AUTHORITIES.iter().map(|name| dir.join(name)).find(|path| path.exists());
            let says = format!("{place} has no certificate of the CA itself under a usual name");
            let there = there.ok_or_else(|| Failure::new(Exit::Failed, says).help("name it with --chain FILE"))?;
            files::read(&there, CHAIN_BYTES_MAX)?
        }
    };
    let mut certificates = Vec::new();
    for name in ["newcerts", "certs_by_serial"] {
        for path in listed(&dir.join(name))? {
            let bytes = files::read(&path, FILE_BYTES_MAX)?;
            // Without the text that openssl writes before it, which is most of the file.
            let bytes = estates::der(&bytes, "CERTIFICATE").unwrap_or(bytes);
            certificates.push((format!("{name}/{}", named(&path)), bytes));
        }
    }
    let mut moved = Vec::new();
    for name in MOVED {
        for path in listed(&dir.join(name))? {
            if let Ok(der) = estates::der(&files::read(&path, FILE_BYTES_MAX)?, "CERTIFICATE") {
                moved.push((format!("{name}/{}", named(&path)), der));
            }
        }
    }
    // Each once, however often the index names it, and of each the certificate alone.
    let names: BTreeSet<&str> = openssl::named(&index).take(estates::CERTIFICATES_MAX).collect();
    for name in names {
        let path = dir.join(name);
        if path.is_file()
            && let Ok(der) = estates::der(&files::read(&path, FILE_BYTES_MAX)?, "CERTIFICATE")
        {
            moved.push((name.to_owned(), der));
        }
    }
    let (mut crls, mut held) = (Vec::new(), 0);
    for path in listed(&dir.join("crl"))?.into_iter().chain(listed(dir)?) {
        let name = named(&path);
        let ending = name.rsplit('.').next().unwrap_or_default();
        if ending == "crl" || (name.starts_with("crl") && ["pem", "der"].contains(&ending)) || in_crls(&path) {
            let bytes = files::read(&path, CRL_BYTES_MAX)?;
            held += bytes.len() as u64;
            if held > DUMP_BYTES_MAX {
                let says = format!("the CRLs in {} have more than {DUMP_BYTES_MAX} bytes together", files::shown(dir));
                return Err(Failure::new(Exit::Failed, says).help("leave the newest of each series there"));
            }
            crls.push((name, bytes));
        }
    }
    Ok(openssl::Folder { place, index, crlnumber, certificates, moved, crls, chain })
}

fn in_crls(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == "crl")
}

/// The files of a folder that are not hidden, by name; none where there is no folder.
fn listed(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).or_fail(format!("cannot read {}", files::shown(dir))),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.or_fail(format!("cannot read {}", files::shown(dir)))?.path();
        // Hidden ones are those of tools: .gitkeep, .DS_Store.
        if path.is_file() && !named(&path).starts_with('.') {
            paths.push(path);
        }
        if paths.len() > estates::CERTIFICATES_MAX {
            let says = format!("{} has more than {} files", files::shown(dir), estates::CERTIFICATES_MAX);
            return Err(Failure::new(Exit::Failed, says));
        }
    }
    paths.sort();
    Ok(paths)
}

fn named(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Where openssl's own configuration, easy-rsa and most guides put it.
const AUTHORITIES: [&str; 8] = [
    "cacert.pem",
    "ca.pem",
    "ca.crt",
    "ca.cert.pem",
    "ca-cert.pem",
    "certs/ca.cert.pem",
    "certs/cacert.pem",
    "certs/ca.crt",
];
/// Where easy-rsa 3 keeps what it issued, and moves what it renewed, revoked or let expire.
const MOVED: [&str; 6] =
    ["issued", "expired", "renewed/issued", "renewed/certs_by_serial", "revoked/issued", "revoked/certs_by_serial"];
const CHAIN_BYTES_MAX: u64 = 256 << 10;
/// A million entries.
const INDEX_BYTES_MAX: u64 = 256 << 20;
const NUMBER_BYTES_MAX: u64 = 256;
/// A certificate with the text before it.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// 400,000 entries.
const CRL_BYTES_MAX: u64 = 32 << 20;
/// An export in one file.
const DUMP_BYTES_MAX: u64 = 2 << 30;
