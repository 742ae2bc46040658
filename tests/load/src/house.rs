//! A server with a token and a register of its own: made, seeded, started, stopped.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hsm::testing::SOFTHSM_MODULE;

use crate::client::Load;
use crate::door::Door;
use crate::error::CompareError;
use crate::port::free_port;

const PIN: &str = "13572468";
/// A start that takes longer is none.
const START_MAX: Duration = Duration::from_secs(600);
/// An end that takes longer is made by SIGKILL, and counted as having taken so long.
const STOP_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(2);

/// What a register is filled with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filling {
    pub(crate) certificates: u64,
    pub(crate) revoked: u64,
    /// The server is to renew.
    pub(crate) renewing: u64,
    /// Begun some time ago: some ended, some wait for somebody.
    pub(crate) aged: u64,
    /// Whose they are: so many owners, none is one.
    pub(crate) owners: u64,
    /// Finished ACME orders.
    pub(crate) orders: u64,
    /// ACME accounts whose keys are kept.
    pub(crate) accounts: Option<u64>,
    /// The port of this host on which http-01 looks.
    pub(crate) challenges: Option<u16>,
}

pub(crate) struct House {
    server: PathBuf,
    dir: PathBuf,
    http: String,
    https: String,
    child: Option<Child>,
}

impl House {
    /// A new register, filled; one that stands there from an earlier run is taken as it is.
    pub(crate) fn make(server: &Path, seeder: &Path, dir: &Path, filling: &Filling) -> Result<House, CompareError> {
        let (https, http) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let house = House { server: server.to_owned(), dir: dir.to_owned(), http, https, child: None };
        if house.config().exists() {
            house.configure(filling)?;
            return Ok(house);
        }
        let away = |e| CompareError::Io(dir.display().to_string(), e);
        std::fs::create_dir_all(dir.join("tokens")).map_err(away)?;
        let tokens = dir.join("tokens");
        let conf = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        std::fs::write(house.softhsm(), conf).map_err(away)?;
        for secret in ["pin", "so-pin"] {
            std::fs::write(dir.join(secret), PIN).map_err(away)?;
            std::fs::set_permissions(dir.join(secret), std::fs::Permissions::from_mode(0o600)).map_err(away)?;
        }
        let mut init = house.command(&house.server);
        init.args(["init", "--demo", "--module", SOFTHSM_MODULE, "--token-label", "bench"]).arg(dir.join("ca"));
        init.arg("--pin-file").arg(dir.join("pin")).arg("--create-token").arg(dir.join("so-pin"));
        init.args(["--https", &house.https, "--http", &house.http]);
        done(init.stdout(Stdio::null()).stderr(Stdio::piped()), "chancery init")?;
        house.configure(filling)?;
        let mut seed = house.command(seeder);
        seed.arg("seed").arg("--config").arg(house.config());
        let Filling { certificates, revoked, renewing, aged, owners, orders, accounts, challenges: _ } = filling;
        let owners = &(*owners).max(1);
        let numbers = [
            ("--certificates", certificates),
            ("--revoked", revoked),
            ("--renewing", renewing),
            ("--aged", aged),
            ("--owners", owners),
            ("--orders", orders),
        ];
        for (flag, number) in numbers {
            seed.args([flag, &number.to_string()]);
        }
        if let Some(accounts) = accounts {
            seed.arg("--account-keys").arg(house.account_keys()).args(["--accounts", &accounts.to_string()]);
        }
        done(seed.stdout(Stdio::inherit()).stderr(Stdio::inherit()), "chancery-load seed")?;
        Ok(house)
    }

    /// Its ports, those of an earlier run may be taken by now; and where http-01 looks.
    fn configure(&self, filling: &Filling) -> Result<(), CompareError> {
        let file = self.config();
        let away = |e| CompareError::Io(file.display().to_string(), e);
        let text = std::fs::read_to_string(&file).map_err(away)?;
        let line = |text: &str| match (text.split_once(" = ").map_or(text, |(key, _)| key), filling.challenges) {
            ("https", _) => format!("https = \"{}\"", self.https),
            ("http", _) => format!("http = \"{}\"", self.http),
            ("http01_port", Some(port)) => format!("http01_port = {port}"),
            _ => text.to_owned(),
        };
        let lines: Vec<String> = text.lines().map(line).collect();
        std::fs::write(&file, lines.join("\n") + "\n").map_err(away)
    }

    /// Starts the server; answers how long it took until it was ready.
    pub(crate) fn start(&mut self) -> Result<Duration, CompareError> {
        let away = |e| CompareError::Io(self.server.display().to_string(), e);
        let log = std::fs::File::create(self.dir.join("server.log")).map_err(away)?;
        let began = Instant::now();
        let mut serve = self.command(&self.server);
        let child = serve.arg("serve").stdout(Stdio::null()).stderr(log).spawn().map_err(away)?;
        let child = self.child.insert(child);
        while !is_ready(&self.http) {
            let ended = child.try_wait().ok().flatten().is_some();
            if ended || began.elapsed() > START_MAX {
                let log = std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
                return Err(CompareError::Failed(format!("the server did not become ready: {log}")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(began.elapsed())
    }

    /// Sends SIGTERM; answers how long the process went on, at most [`STOP_MAX`].
    pub(crate) fn stop(&mut self) -> Result<Duration, CompareError> {
        let Some(mut child) = self.child.take() else { return Ok(Duration::ZERO) };
        let began = Instant::now();
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| CompareError::Failed("a process without a number".into()))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|e| CompareError::Io("SIGTERM".into(), e.into()))?;
        while began.elapsed() < STOP_MAX {
            if child.try_wait().map_err(|e| CompareError::Io("the server".into(), e))?.is_some() {
                return Ok(began.elapsed());
            }
            std::thread::sleep(LOOK);
        }
        eprintln!("the server did not end in {} s and is killed", STOP_MAX.as_secs());
        let _ = child.kill();
        let _ = child.wait();
        Ok(began.elapsed())
    }

    /// `HOST:PORT` of its plain HTTP.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Bytes of the database.
    pub(crate) fn database_bytes(&self) -> u64 {
        std::fs::metadata(self.ca().join("chancery.db")).map_or(0, |meta| meta.len())
    }

    /// Looks at the size of the write-ahead log, from anywhere.
    pub(crate) fn looker(&self) -> impl Fn() -> u64 + Send + 'static {
        let path = self.ca().join("chancery.db-wal");
        move || std::fs::metadata(&path).map_or(0, |meta| meta.len())
    }

    pub(crate) fn token(&self) -> Result<String, CompareError> {
        let text = std::fs::read_to_string(self.ca().join("admin.token"));
        text.map(|text| text.trim().to_owned()).map_err(|e| CompareError::Io("admin.token".into(), e))
    }

    pub(crate) fn door(&self) -> Result<Door, CompareError> {
        Ok(Door::new(&self.https, "localhost", &self.roots()?)?)
    }

    /// Issuance for one round by 64 callers.
    pub(crate) fn load(&self, round: Duration) -> Result<Load, CompareError> {
        Ok(Load {
            address: self.https.clone(),
            server_name: "localhost".into(),
            roots_pem: self.roots()?,
            token: self.token()?,
            owner: "default".into(),
            domain: "example.internal".into(),
            hosts: 1_024,
            clients: 64,
            count: u64::MAX,
            most: round,
            pid: None,
        })
    }

    fn roots(&self) -> Result<Vec<u8>, CompareError> {
        std::fs::read(self.ca().join("roots.pem")).map_err(|e| CompareError::Io("roots.pem".into(), e))
    }

    /// The keys of the seeded ACME accounts.
    pub(crate) fn account_keys(&self) -> PathBuf {
        self.dir.join("account-keys.json")
    }

    /// What stands before every ACME URL.
    pub(crate) fn public_https(&self) -> Result<String, CompareError> {
        let file = self.config();
        let text = std::fs::read_to_string(&file).map_err(|e| CompareError::Io(file.display().to_string(), e))?;
        let line = text.lines().find_map(|line| line.strip_prefix("public_https = "));
        let url = line.map(|line| line.trim_matches('"').to_owned());
        url.ok_or_else(|| CompareError::Failed("no public_https in the configuration".into()))
    }

    /// A profile like another, whose issuer has the profile's name. The next start reads it.
    pub(crate) fn copy_profile(&self, like: &str, name: &str) -> Result<(), CompareError> {
        let file = |name: &str| self.ca().join("profiles").join(format!("{name}.toml"));
        let away = |name: &str, e| CompareError::Io(file(name).display().to_string(), e);
        let text = std::fs::read_to_string(file(like)).map_err(|e| away(like, e))?;
        let line = |line: &str| match line.split_once(" = ") {
            Some(("issuer", _)) => format!("issuer = \"{name}\""),
            Some(("name", _)) => format!("name = \"{name}\""),
            _ => line.to_owned(),
        };
        let lines: Vec<String> = text.lines().map(line).collect();
        std::fs::write(file(name), lines.join("\n") + "\n").map_err(|e| away(name, e))
    }

    /// A folder on the register's disk.
    pub(crate) fn folder(&self) -> &Path {
        &self.dir
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca")
    }

    fn config(&self) -> PathBuf {
        self.ca().join("chancery.toml")
    }

    fn softhsm(&self) -> PathBuf {
        self.dir.join("softhsm2.conf")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.softhsm()).env("CHANCERY_CONFIG", self.config()).stdin(Stdio::null());
        command
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn done(command: &mut Command, what: &str) -> Result<(), CompareError> {
    let output = command.output().map_err(|e| CompareError::Io(what.into(), e))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(CompareError::Failed(format!("{what}: {}: {said}", output.status)))
        }
    }
}

/// What a load balancer would see.
fn is_ready(http: &str) -> bool {
    use std::io::{Read, Write};
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(http)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
