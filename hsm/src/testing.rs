//! Test tokens: private SoftHSM tokens for the tests of this and other rooms (feature `testing`; never in a product), and for what
//! SoftHSM has not, tokens of kryoptic.
//!
//! All tokens of a test process live in one directory of its own, named after the process. SoftHSM reads its place from
//! `SOFTHSM2_CONF` when it is initialised, kryoptic from `KRYOPTIC_CONF`, so both variables are set once, before the first token;
//! child processes inherit them and see the same tokens. Directories of dead processes are swept when the next one starts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;

use crate::config::{PinSource, TokenConfig, TokenSelector, Wanted};
use crate::custody::{Key, KeyKind};
use crate::module::init_token;

/// SoftHSM2 as Debian installs it.
pub const SOFTHSM_MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Tokens of kryoptic that one process may have.
const KRYOPTIC_SLOTS: u32 = 8;

/// An import is tried so often: tokens of other tests go and come within milliseconds.
const IMPORTS_MAX: usize = 50;

const PREFIX: &str = "chancery-softhsm-";
const PIN: &str = "24680135";
const SO_PIN: &str = "so-13579086";

/// The public view of a key that is in no token, for what is signed outside of one (seeded registers). No pool signs with it.
///
/// # Panics
/// If the SubjectPublicKeyInfo is not one of that kind.
pub fn outside_key(label: &str, kind: KeyKind, spki_der: Vec<u8>) -> Key {
    Key::new(label.to_owned(), Vec::new(), kind, spki_der).expect("a public key of that kind")
}

/// A SoftHSM token of its own.
#[derive(Clone, Debug)]
pub struct TestToken {
    module: PathBuf,
    label: String,
    serial: String,
    home: PathBuf,
}

impl TestToken {
    /// Makes and initialises a token. The label is made unique, so that two tests may use one word.
    ///
    /// # Panics
    /// If SoftHSM2 is not installed or does not do it: a test without its token has failed.
    pub fn new(word: &str) -> TestToken {
        TestToken::behind(Path::new(SOFTHSM_MODULE), word)
    }

    /// The same through another module that ends at SoftHSM, a fault-injecting one for instance.
    ///
    /// # Panics
    /// As [`TestToken::new`].
    pub fn behind(module: &Path, word: &str) -> TestToken {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let home = home();
        let label = format!("{word}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (pin, so_pin) = (home.join(format!("{label}.pin")), home.join(format!("{label}.so-pin")));
        write_private(&pin, PIN);
        write_private(&so_pin, SO_PIN);
        let serial = init_token(module, &label, &PinSource::File(so_pin), &PinSource::File(pin))
            .expect("SoftHSM2 makes a token (apt-get install softhsm2)");
        TestToken { module: module.to_owned(), label, serial, home: home.to_owned() }
    }

    /// A token of kryoptic, which speaks PKCS#11 3.2 and has ML-DSA. Its module is built first if it is not there (some minutes).
    ///
    /// # Panics
    /// If it cannot be built, or does not do it.
    pub fn kryoptic(word: &str) -> TestToken {
        TestToken::behind(kryoptic_module(), word)
    }

    /// How to open it.
    pub fn config(&self) -> TokenConfig {
        TokenConfig::new(&self.module, TokenSelector::Label(self.label.clone()), PinSource::File(self.pin_file()))
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its serial number.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The file with its user PIN.
    pub fn pin_file(&self) -> PathBuf {
        self.home.join(format!("{}.pin", self.label))
    }

    /// Its user PIN.
    pub fn pin(&self) -> &'static str {
        PIN
    }

    /// The configuration file that `SOFTHSM2_CONF` names.
    pub fn softhsm_conf(&self) -> PathBuf {
        self.home.join("softhsm2.conf")
    }

    /// Puts a key of a file into it with the tool of SoftHSM, which takes any module, as one that was made outside: it may decrypt as
    /// well. The id is in hex; `more` are further arguments, `--aes` for instance.
    ///
    /// # Panics
    /// If the tool does not do it.
    pub fn import(&self, key: &Path, (label, id): (&str, &str), more: &[&str]) {
        for _ in 0..IMPORTS_MAX {
            let mut import = Command::new("softhsm2-util");
            import.arg("--import").arg(key).args(["--token", &self.label, "--label", label, "--id", id, "--pin", PIN]);
            let output = import.args(more).arg("--module").arg(&self.module).output().expect("softhsm2-util runs");
            let said = String::from_utf8_lossy(&output.stderr);
            match output.status.success() {
                true => return,
                // It looks at all tokens before it does anything, and another test took one of them away meanwhile.
                false if said.contains("Could not get info about the token") => {}
                false => panic!("softhsm2-util: {said}"),
            }
        }
        panic!("softhsm2-util met a token that went away {IMPORTS_MAX} times");
    }

    /// A second token with everything that this one has, as a vendor's clone of it: another label and serial number, the same PIN and
    /// the same objects. Modules that are initialised see it after their next restart; the one it was made by is restarted.
    ///
    /// # Panics
    /// If it is no token of SoftHSM's, or cannot be copied.
    pub fn twin(&self, word: &str) -> TestToken {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Its last 31 bits are its slot's number, which is never that of SoftHSM's empty slot: how many tokens there are.
        let (label, serial) = (format!("{word}-twin-{number}"), format!("70000000{:08x}", 0x4000_0000 + number));
        let twin = TestToken { module: self.module.clone(), label, serial, home: self.home.clone() };
        twin.take_the_place_of_none(self);
        fs::copy(self.pin_file(), twin.pin_file()).expect("a PIN can be copied");
        let module = crate::module::Module::shared(&self.module).expect("the module is loaded");
        module.restart(module.generation()).expect("the module starts again");
        twin
    }

    /// Has a key of it do more than sign, as somebody with its PIN and the vendor's tool can: it may decrypt as well.
    ///
    /// # Panics
    /// If the token does not do it.
    pub fn loosen(&self, label: &str) {
        let module = crate::module::Module::shared(&self.module).expect("the module is loaded");
        let inside = module.enter().expect("the module is initialised");
        let wanted = Wanted { label: Some(self.label.clone()), serial: None, manufacturer: None, model: None };
        let place = crate::module::slots::find(&inside.context, &wanted).expect("the token is there");
        let session = inside.context.open_rw_session(place.slot).expect("a session");
        // A pool that is open on it has logged in already.
        let _ = session.login(UserType::User, Some(&PinSource::File(self.pin_file()).read().expect("a PIN")));
        let key = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.as_bytes().to_vec())];
        for handle in session.find_objects(&key).expect("a search") {
            session.update_attributes(handle, &[Attribute::Decrypt(true)]).expect("an attribute is changed");
        }
    }

    /// Puts what another token has in the place of this one, whose directory was moved away: somebody exchanged it.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub fn exchange(&self, other: &TestToken) {
        self.take_the_place_of_none(other);
    }

    fn take_the_place_of_none(&self, of: &TestToken) {
        let from = of.directory();
        // SoftHSM finds a token's serial number in the last 16 digits of its directory's name.
        let (high, low) = self.serial.split_at(4);
        let place = self.home.join("tokens").join(format!("00000000-0000-0000-{high}-{low}"));
        // It appears as a whole: SoftHSM takes what it finds while it begins.
        let made = self.home.join(format!("being-made-{}", self.serial));
        fs::DirBuilder::new().mode(0o700).create(&made).expect("a place for a token");
        for file in fs::read_dir(&from).expect("a token's files").filter_map(Result::ok) {
            let mut bytes = fs::read(file.path()).expect("a token's file");
            let pad = |label: &str| format!("{label:<32}").into_bytes();
            for (old, new) in
                [(pad(&of.label), pad(&self.label)), (of.serial.clone().into(), self.serial.clone().into())]
            {
                if let Some(at) = bytes.windows(old.len()).position(|there| there == old) {
                    bytes.splice(at..at + old.len(), new);
                }
            }
            fs::write(made.join(file.file_name()), bytes).expect("a token's file");
        }
        fs::rename(made, place).expect("a token's place");
    }

    /// The directory where SoftHSM keeps this one token; move it away to take the token out.
    ///
    /// # Panics
    /// If it is not there, moved away for instance.
    pub fn directory(&self) -> PathBuf {
        // SoftHSM names the directory by a UUID and makes the serial number of its last 16 digits.
        fs::read_dir(self.home.join("tokens"))
            .expect("the token directory is there")
            .filter_map(Result::ok)
            .find(|entry| entry.file_name().to_string_lossy().replace('-', "").ends_with(&self.serial))
            .expect("the token's own directory is there")
            .path()
    }
}

/// A pool of one session on a module of its own (a copy of the file), whose turns no other test of the process waits for.
#[cfg(test)]
pub(crate) fn alone(label: &str) -> (crate::pool::Pool, crate::custody::Mint, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let module = folder.path().join("module.so");
    fs::copy(SOFTHSM_MODULE, &module).expect("a copy of the module");
    let deadline = std::time::Duration::from_secs(4);
    let config = TokenConfig { module, sessions: 1, deadline, ..TestToken::new(label).config() };
    let (pool, mint) = crate::pool::open(config).expect("the token opens");
    (pool, mint, folder)
}

/// kryoptic, from `tests/kryoptic`: a workspace of its own.
fn kryoptic_module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (manifest, target) = (root.join("tests/kryoptic/Cargo.toml"), root.join("target/kryoptic"));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
        let built = cargo.arg("--target-dir").arg(&target).output().expect("cargo runs");
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "kryoptic is not built (tests/run.sh installs what that takes): {said}");
        target.join("release/libkryoptic.so")
    })
}

/// The directory of this process's tokens, with SoftHSM and kryoptic told of it.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        sweep();
        let home = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(home.join("tokens")).expect("a directory for tokens");
        let conf = home.join("softhsm2.conf");
        let tokens = home.join("tokens");
        let text =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        write_private(&conf, &text);
        let kryoptic = home.join("kryoptic.toml");
        let slot = |n| {
            let file = home.join(format!("kryoptic-{n}.sql"));
            format!("[[slots]]\nslot = {n}\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n", file.display())
        };
        write_private(&kryoptic, &(1..=KRYOPTIC_SLOTS).map(slot).collect::<String>());
        set_places(&conf, &kryoptic);
        home
    })
}

#[allow(unsafe_code)]
fn set_places(softhsm: &Path, kryoptic: &Path) {
    // SAFETY: this runs once, before this crate loads a module, whose `getenv` is the only foreign reader of the
    // environment in our test processes; readers in Rust take the lock that `set_var` holds.
    unsafe {
        std::env::set_var("SOFTHSM2_CONF", softhsm);
        std::env::set_var("KRYOPTIC_CONF", kryoptic);
    }
}

fn write_private(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("a private file can be made");
    file.write_all(text.as_bytes()).expect("a private file can be written");
}

fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
        if process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists() {
            // Another test process may be sweeping too: what is gone already is as good.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
