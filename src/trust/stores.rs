//! The stores that a host may have, and the steps that put a root into each and take it out again.

use std::path::{Path, PathBuf};

use super::anchor::Anchor;

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Debian, Ubuntu, Alpine: a folder, and `update-ca-certificates`.
    Debian,
    /// RHEL, Fedora, SUSE's kin: a folder, and `update-ca-trust`.
    Rhel,
    /// The system's keychain.
    MacOs,
    /// A Java keystore, and the file with its password.
    Java(PathBuf, Option<PathBuf>),
    /// A folder with an NSS database: Firefox, Chromium on Linux.
    Nss(PathBuf),
}

/// Where the system is: a folder that holds an image, or the host itself.
#[derive(Clone, Debug)]
pub struct Home(pub PathBuf);

impl Home {
    /// A path of the system's.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    fn is_image(&self) -> bool {
        self.0 != Path::new("/")
    }

    /// Which of the system's stores is there.
    pub fn system(&self) -> Option<Store> {
        if self.path(DEBIAN_UPDATE).exists() {
            return Some(Store::Debian);
        }
        if self.path(RHEL_UPDATE).exists() {
            return Some(Store::Rhel);
        }
        (!self.is_image() && cfg!(target_os = "macos")).then_some(Store::MacOs)
    }

    /// A program of the system's: in an image, its own.
    fn run(&self, program: &str, args: &[&str]) -> Step {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        match self.is_image() {
            false => Step::Run { program: program.to_owned(), args, stdin: None },
            true => {
                let args = [vec![self.0.display().to_string(), program.to_owned()], args].concat();
                Step::Run { program: "chroot".to_owned(), args, stdin: None }
            }
        }
    }
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new file, which nobody else has put there.
    Write { path: PathBuf, pem: String },
    /// The file goes away, if it holds this certificate and nothing else.
    Remove { path: PathBuf, pem: String },
    /// A program is run, with this on its standard input.
    Run { program: String, args: Vec<String>, stdin: Option<String> },
    /// The program is asked for the entry of this name: the step that follows is done where it is there, or where it is not. One that
    /// is there and is another certificate ends it all.
    Ask { program: String, args: Vec<String>, der: Vec<u8>, go_on: GoOn },
    /// An NSS database must not have this certificate under another name: it keeps one name for each, and the trust that is given and
    /// taken would be that of somebody else's entry.
    Unnamed { database: String, name: String, der: Vec<u8> },
}

/// Where the step behind a question is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoOn {
    /// Where the entry is there.
    There,
    /// Where there is none.
    Missing,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Write { path, .. } => write!(f, "write {}", path.display()),
            Step::Remove { path, .. } => write!(f, "remove {}", path.display()),
            Step::Run { program, args, stdin } => {
                write!(f, "run {program} {}{}", args.join(" "), if stdin.is_some() { " < the root" } else { "" })
            }
            Step::Unnamed { database, .. } => write!(f, "unless it has another name there (certutil -L -d {database})"),
            Step::Ask { program, args, go_on, .. } => {
                let whether = if *go_on == GoOn::There { "if it is there" } else { "unless it is there" };
                write!(f, "{whether} ({program} {})", args.join(" "))
            }
        }
    }
}

/// What puts roots into a store.
pub fn install(home: &Home, store: &Store, anchors: &[&Anchor]) -> Vec<Step> {
    let each = |step: &dyn Fn(&Anchor) -> Step| anchors.iter().map(|anchor| step(anchor)).collect::<Vec<_>>();
    let written = |folder: &str| each(&|anchor| Step::Write { path: file(home, folder, anchor), pem: anchor.pem() });
    match store {
        Store::Debian => [written(DEBIAN), vec![home.run(DEBIAN_UPDATE, &[])]].concat(),
        Store::Rhel => [written(RHEL), vec![home.run(RHEL_UPDATE, &["extract"])]].concat(),
        Store::MacOs => each(&|anchor| {
            fed("security", &["add-trusted-cert", "-d", "-r", "trustRoot", "-k", KEYCHAIN, "/dev/stdin"], anchor)
        }),
        Store::Java(keystore, password) => anchors
            .iter()
            .flat_map(|anchor| {
                let java = |act, more: &[&str]| keytool(act, anchor, keystore, password.as_deref(), more);
                let stdin = Some(anchor.pem());
                let import = java("-importcert", &["-noprompt", "-trustcacerts"]);
                [
                    asked("keytool", java("-exportcert", &[]), anchor, GoOn::Missing),
                    Step::Run { program: "keytool".to_owned(), args: import, stdin },
                ]
            })
            .collect(),
        Store::Nss(folder) => anchors
            .iter()
            .flat_map(|anchor| {
                let put = ["-A", "-d", &database(folder), "-n", &name(anchor), "-t", "C,,", "-a"];
                [unnamed(folder, anchor), fed("certutil", &put, anchor)]
            })
            .collect(),
    }
}

/// What takes exactly these out of it again.
pub fn uninstall(home: &Home, store: &Store, anchors: &[&Anchor]) -> Vec<Step> {
    let each =
        |steps: &dyn Fn(&Anchor) -> Vec<Step>| anchors.iter().flat_map(|anchor| steps(anchor)).collect::<Vec<_>>();
    let removed =
        |folder: &str| each(&|anchor| vec![Step::Remove { path: file(home, folder, anchor), pem: anchor.pem() }]);
    match store {
        // Without --fresh the link to a file that went away stays.
        Store::Debian => [removed(DEBIAN), vec![home.run(DEBIAN_UPDATE, &["--fresh"])]].concat(),
        Store::Rhel => [removed(RHEL), vec![home.run(RHEL_UPDATE, &["extract"])]].concat(),
        Store::MacOs => each(&|anchor| {
            let hash = anchor.fingerprint.hex().to_uppercase();
            vec![
                fed("security", &["remove-trusted-cert", "-d", "/dev/stdin"], anchor),
                run("security", &["delete-certificate", "-Z", &hash, KEYCHAIN]),
            ]
        }),
        Store::Java(keystore, password) => each(&|anchor| {
            let java = |act| keytool(act, anchor, keystore, password.as_deref(), &[]);
            vec![
                asked("keytool", java("-exportcert"), anchor, GoOn::There),
                Step::Run { program: "keytool".to_owned(), args: java("-delete"), stdin: None },
            ]
        }),
        Store::Nss(folder) => each(&|anchor| {
            let (database, name) = (database(folder), name(anchor));
            let args = ["-L", "-d", &database, "-n", &name, "-r"].map(str::to_owned).to_vec();
            vec![
                unnamed(folder, anchor),
                asked("certutil", args, anchor, GoOn::There),
                run("certutil", &["-D", "-d", &database, "-n", &name]),
            ]
        }),
    }
}

/// What is ours bears the fingerprint.
fn name(anchor: &Anchor) -> String {
    format!("chancery-{}", anchor.fingerprint.hex())
}

fn file(home: &Home, folder: &str, anchor: &Anchor) -> PathBuf {
    home.path(folder).join(format!("{}.crt", name(anchor)))
}

fn run(program: &str, args: &[&str]) -> Step {
    Step::Run { program: program.to_owned(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), stdin: None }
}

fn fed(program: &str, args: &[&str], anchor: &Anchor) -> Step {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Step::Run { program: program.to_owned(), args, stdin: Some(anchor.pem()) }
}

fn unnamed(folder: &Path, anchor: &Anchor) -> Step {
    Step::Unnamed { database: database(folder), name: name(anchor), der: anchor.der.clone() }
}

fn asked(program: &str, args: Vec<String>, anchor: &Anchor, go_on: GoOn) -> Step {
    Step::Ask { program: program.to_owned(), args, der: anchor.der.clone(), go_on }
}

/// The password that every Java has for its trust store protects nothing; another one is read by keytool itself.
fn keytool(act: &str, anchor: &Anchor, keystore: &Path, password: Option<&Path>, more: &[&str]) -> Vec<String> {
    let (how, which) = match password {
        Some(file) => ("-storepass:file", file.display().to_string()),
        None => ("-storepass", "changeit".to_owned()),
    };
    let (alias, keystore) = (name(anchor), keystore.display().to_string());
    let args = [&[act, "-alias", &alias, "-keystore", &keystore, how, &which], more].concat();
    args.into_iter().map(str::to_owned).collect()
}

fn database(folder: &Path) -> String {
    format!("sql:{}", folder.display())
}

const DEBIAN: &str = "/usr/local/share/ca-certificates";
const DEBIAN_UPDATE: &str = "/usr/sbin/update-ca-certificates";
const RHEL: &str = "/etc/pki/ca-trust/source/anchors";
const RHEL_UPDATE: &str = "/usr/bin/update-ca-trust";
const KEYCHAIN: &str = "/Library/Keychains/System.keychain";

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Fingerprint;
    use super::*;

    fn shown(steps: &[Step]) -> Vec<String> {
        let hash = Fingerprint::of(b"der");
        steps
            .iter()
            .map(|step| step.to_string().replace(&hash.hex(), "F").replace(&hash.hex().to_uppercase(), "F"))
            .collect()
    }

    /// Of the stores that these tests do not meet as they are, the steps as their manuals have them.
    #[test]
    fn each_store_has_its_steps_and_their_way_back() {
        let anchor = Anchor {
            fingerprint: Fingerprint::of(b"der"),
            subject: "CN=x".to_owned(),
            not_after: String::new(),
            der: b"der".to_vec(),
        };
        let (host, image) = (Home("/".into()), Home("/image".into()));
        for (home, store, there, back) in [
            (
                &host,
                Store::Rhel,
                &["write /etc/pki/ca-trust/source/anchors/chancery-F.crt", "run /usr/bin/update-ca-trust extract"][..],
                &["remove /etc/pki/ca-trust/source/anchors/chancery-F.crt", "run /usr/bin/update-ca-trust extract"][..],
            ),
            (
                &image,
                Store::Debian,
                &[
                    "write /image/usr/local/share/ca-certificates/chancery-F.crt",
                    "run chroot /image /usr/sbin/update-ca-certificates",
                ],
                &[
                    "remove /image/usr/local/share/ca-certificates/chancery-F.crt",
                    "run chroot /image /usr/sbin/update-ca-certificates --fresh",
                ],
            ),
            (
                &host,
                Store::MacOs,
                &[
                    "run security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain /dev/stdin < the root",
                ],
                &[
                    "run security remove-trusted-cert -d /dev/stdin < the root",
                    "run security delete-certificate -Z F /Library/Keychains/System.keychain",
                ],
            ),
        ] {
            assert_eq!(shown(&install(home, &store, &[&anchor])), there);
            assert_eq!(shown(&uninstall(home, &store, &[&anchor])), back);
        }
    }
}
