//! A PostgreSQL of a test's own.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::nouns::database::Database;

const PREFIX: &str = "chancery-postgres-";
const INSTALLED: &str = "/usr/lib/postgresql";
const USER: &str = "chancery";
/// A cluster on a busy machine takes seconds; this means it never will.
const START_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A PostgreSQL cluster of its own, in a temporary directory, on a loopback port. Stopped by its process id on drop.
#[derive(Debug)]
pub struct TestPostgres {
    home: PathBuf,
    port: u16,
    server: Option<Child>,
    databases: AtomicU32,
}

impl TestPostgres {
    /// Makes a cluster and starts it.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start: a test without its database has failed.
    pub fn start() -> TestPostgres {
        let mut postgres = TestPostgres::home();
        let data = postgres.data();
        let made = as_server("initdb")
            .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"])
            .arg("--pgdata")
            .arg(&data)
            .current_dir(&postgres.home)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", said(&made));
        postgres.resume();
        postgres
    }

    /// Makes a standby of this server, and starts it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn standby(&self) -> TestPostgres {
        let mut standby = TestPostgres::home();
        let made = as_server("pg_basebackup")
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", USER])
            .args(["--checkpoint", "fast", "--write-recovery-conf", "--no-sync", "--pgdata"])
            .arg(standby.data())
            .current_dir(&standby.home)
            .output()
            .expect("pg_basebackup runs");
        assert!(made.status.success(), "pg_basebackup: {}", said(&made));
        standby.resume();
        standby
    }

    /// A PgBouncer before this server, with so many sessions for its clients.
    ///
    /// # Panics
    /// If PgBouncer is not installed or does not start.
    pub fn pooler(&self, mode: &str, sessions: u32) -> TestPooler {
        let port = free_port();
        let conf = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={USER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n\
             default_pool_size = {sessions}\n",
            self.port
        );
        let file = self.home.join(format!("pooler-{port}.ini"));
        fs::write(&file, conf).expect("its configuration");
        let mut command = as_server_of("/usr/sbin/pgbouncer");
        let server = command.arg("-q").arg(&file).current_dir(&self.home).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().expect("PgBouncer is installed (apt-get install pgbouncer)");
        let pooler = TestPooler { port, server };
        let give_up = Instant::now() + START_MAX;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < give_up, "pgbouncer did not start");
            std::thread::sleep(POLL);
        }
        pooler
    }

    /// Starts the server again after [`TestPostgres::stop`] or [`TestPostgres::kill`].
    ///
    /// # Panics
    /// If it does not start.
    pub fn resume(&mut self) {
        assert!(self.server.is_none(), "the server runs already");
        if self.port == 0 {
            self.port = free_port();
        }
        let log = fs::File::create(self.home.join("log")).expect("a log file");
        let server = as_server("postgres")
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(&self.home)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .current_dir(&self.home)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres runs");
        self.server = Some(server);
        self.await_start();
    }

    /// Starts the server again with TLS, under this certificate and key.
    ///
    /// # Panics
    /// If it does not start.
    pub fn with_tls(&mut self, certificate_pem: &str, key_pem: &str) {
        self.stop();
        for (name, text) in [("server.crt", certificate_pem), ("server.key", key_pem)] {
            let path = self.data().join(name);
            fs::write(&path, text).expect("a file of the server's");
            // PostgreSQL refuses a key that others may read.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
            if let Some((uid, gid)) = other_user() {
                chown(&path, Some(uid), Some(gid)).expect("its owner");
            }
        }
        let mut conf = fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf")).expect("its conf");
        conf.write_all(b"ssl = on\n").expect("its conf takes a line");
        self.resume();
    }

    /// Stops the server as an operator would: connections are closed, what is committed is flushed.
    pub fn stop(&mut self) {
        self.end("-INT");
    }

    /// Stops the server as a crash would.
    pub fn kill(&mut self) {
        self.end("-QUIT");
    }

    /// Freezes the server: connections stay open, new ones are taken by the kernel, and nothing is answered.
    pub fn freeze(&self) {
        self.signal_all("-STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal_all("-CONT");
    }

    fn signal_all(&self, signal: &str) {
        let Some(server) = &self.server else { return };
        let id = server.id().to_string();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        // The server first: then it makes no more of them.
        let ids = std::iter::once(id.as_str()).chain(children.split_whitespace());
        // One may end meanwhile.
        let _ = Command::new("kill").arg(signal).args(ids).stderr(Stdio::null()).status();
    }

    /// A fresh, empty database in it.
    ///
    /// # Panics
    /// If the server does not make one.
    pub fn database(&self) -> Database {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name}"));
        Database::Postgres(self.url(&name))
    }

    /// The first cell of the answer to a question, as text.
    ///
    /// # Panics
    /// If the server refuses, or answers none.
    pub fn ask(&self, sql: &str) -> String {
        let (url, sql) = (self.url("postgres"), sql.to_owned());
        let thread = std::thread::spawn(move || {
            let found = postgres::Client::connect(&url, NoTls)?.simple_query(&sql)?;
            let cell = found.iter().find_map(|message| match message {
                postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            });
            Ok::<_, postgres::Error>(cell.unwrap_or_default())
        });
        thread.join().expect("the thread ends").expect("the server answers")
    }

    /// The loopback port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn home() -> TestPostgres {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        sweep();
        let name = format!("{PREFIX}{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let home = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&home).expect("a directory for the cluster");
        if let Some((uid, gid)) = other_user() {
            chown(&home, Some(uid), Some(gid)).expect("the directory is the server's");
        }
        TestPostgres { home, port: 0, server: None, databases: AtomicU32::new(0) }
    }

    fn url(&self, name: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Does something in it, as its superuser.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn run(&self, sql: &str) {
        let (url, sql) = (self.url("postgres"), sql.to_owned());
        // The driver runs a loop of its own, which must not be started inside a test's.
        let thread = std::thread::spawn(move || {
            postgres::Client::connect(&url, NoTls).and_then(|mut client| client.batch_execute(&sql))
        });
        thread.join().expect("the thread ends").expect("the server does as asked");
    }

    fn await_start(&mut self) {
        let give_up = Instant::now() + START_MAX;
        loop {
            let url = self.url("postgres");
            let answer = std::thread::spawn(move || postgres::Client::connect(&url, NoTls).map(drop)).join();
            if matches!(answer, Ok(Ok(()))) {
                return;
            }
            let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
            let log = || fs::read_to_string(self.home.join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < give_up, "postgres did not start: {}", log());
            std::thread::sleep(POLL);
        }
    }

    fn end(&mut self, signal: &str) {
        let Some(mut server) = self.server.take() else { return };
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let _ = server.wait();
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // A frozen server would not hear.
        self.thaw();
        self.end("-QUIT");
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// A PgBouncer. Stopped by its process id on drop.
#[derive(Debug)]
pub struct TestPooler {
    port: u16,
    server: Child,
}

impl TestPooler {
    /// The loopback port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for TestPooler {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
    probe.local_addr().expect("it has an address").port()
}

/// A program of the server's package, run as a user that it accepts: it refuses root.
fn as_server(program: &str) -> Command {
    let versions = fs::read_dir(INSTALLED).expect("PostgreSQL is installed (apt-get install postgresql)");
    let newest = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("PostgreSQL is installed (apt-get install postgresql)");
    as_server_of(Path::new(INSTALLED).join(newest.to_string()).join("bin").join(program))
}

fn as_server_of(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    if let Some((uid, gid)) = other_user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// Root runs the server as `postgres`; anyone else as themselves.
fn other_user() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(args).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"])? != 0 {
        return None;
    }
    Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends and removes clusters whose test process was killed before it could.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|rest| rest.split_once('-'));
        let Some((owner, _)) = owner else { continue };
        if owner.parse::<u32>().is_err() || Path::new("/proc").join(owner).exists() {
            continue;
        }
        end_stray(&entry.path());
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// By the process id that the server wrote, if that process is still this server.
fn end_stray(home: &Path) {
    let Ok(text) = fs::read_to_string(home.join("data/postmaster.pid")) else { return };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()) else { return };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if String::from_utf8_lossy(&command).contains(&*home.to_string_lossy()) {
        let _ = Command::new("kill").args(["-QUIT", &pid.to_string()]).status();
    }
}

/// Whether the files of a register are for their owner alone.
pub fn is_private(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 == 0)
}
