//! psql, mariadb and curl log in with what was written for them, whatever characters a password has; what cannot be written is refused.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use load::free_port;
use serde_json::json;

use super::web::Web;
use super::{CANARY, HARD, Scene, mode, put, said};
use crate::house::{PATIENCE, command, status, succeed, text, until};
use crate::postgres::Postgres;

/// Passwords that a reader could take apart.
const PASSWORDS: [&str; 7] = [HARD, ":", "\\", "#begins", "ends\\", "'\"'", "ä ö \t\\:tab"];

fn write(scene: &Scene, kind: &str, more: &[&str]) -> (Option<i32>, String, PathBuf) {
    let out = scene.house.path(kind);
    let (code, _, told) = scene.asked(&[&["helper", kind, "--out", text(&out)], more].concat(), "");
    (code, told, out)
}

#[test]
fn psql_logs_in_with_any_password() {
    let target = Postgres::start();
    target.run("CREATE ROLE \"a:b\\c\" LOGIN");
    target.ask_for_passwords("chancery");
    let scene = Scene::new(&format!(
        "[[pgpass]]\nhost = \"127.0.0.1\"\nport = {}\nusername = \"other\"\npassword = \"chy://prod/other#password\"\n\
         [[pgpass]]\nhost = \"127.0.0.1\"\nport = {0}\ndatabase = \"postgres\"\nusername = \"a:b\\\\c\"\npassword = \"chy://prod/db#password\"\n",
        target.port()
    ));
    for password in PASSWORDS {
        put(&scene.house, "prod/db", &json!({ "password": password }));
        target.run(&format!("ALTER ROLE \"a:b\\c\" PASSWORD '{}'", password.replace('\'', "''")));
        let (code, told, file) = write(&scene, "pgpass", &["--force"]);
        assert_eq!((code, mode(&file)), (Some(0), 0o600), "{told}");
        assert!(!told.contains(password) || password.len() < 3, "{told}");
        let port = target.port().to_string();
        let mut psql = command(
            "psql",
            &["-w", "-h", "127.0.0.1", "-p", &port, "-U", "a:b\\c", "-d", "postgres", "-qAtc", "SELECT 7"],
        );
        psql.env("PGPASSFILE", &file).env_remove("PGPASSWORD");
        let (code, out, told) = said(psql, "");
        assert_eq!((code, out.as_str()), (Some(0), "7\n"), "{password:?}: {told}");
    }
    // Nothing over what is there, and nothing half-written.
    let (code, told, file) = write(&scene, "pgpass", &[]);
    assert!(code == Some(1) && told.contains("--force"), "{told}");
    put(&scene.house, "prod/db", &json!({"password": "two\nlines"}));
    let before = fs::read(&file).expect("the file");
    let (code, told, file) = write(&scene, "pgpass", &["--force"]);
    assert!(code == Some(1) && told.contains("no line of text"), "{told}");
    assert_eq!(fs::read(&file).expect("the file"), before);
}

/// A MariaDB on loopback, ended by process id.
struct Maria {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Maria {
    fn start() -> Maria {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let datadir = format!("--datadir={}", data.display());
        let mut install = command(
            "mariadb-install-db",
            &["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &datadir],
        );
        // Two servers that begin at one moment give their temporary tables the same names.
        install.env("TMPDIR", folder.path());
        succeed(install);
        let (port, socket) = (free_port(), folder.path().join("socket"));
        let mut server = Command::new("/usr/sbin/mariadbd");
        server.args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--user=root", &datadir]);
        server.arg(format!("--port={port}")).arg(format!("--socket={}", socket.display()));
        server.env("TMPDIR", folder.path());
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("mariadbd");
        let maria = Maria { child, port, folder };
        assert!(until(PATIENCE, || status(&mut maria.client("SELECT 1"))), "MariaDB is ready");
        maria
    }

    fn client(&self, sql: &str) -> Command {
        let socket = format!("--socket={}", self.folder.path().join("socket").display());
        command("mariadb", &["--no-defaults", &socket, "-u", "root", "-e", sql])
    }
}

impl Drop for Maria {
    fn drop(&mut self) {
        status(Command::new("kill").arg(self.child.id().to_string()));
        let _ = self.child.wait();
    }
}

#[test]
fn mariadb_logs_in_with_any_password() {
    let target = Maria::start();
    let scene = Scene::new(&format!(
        "[[mycnf]]\nhost = \"127.0.0.1\"\nport = {}\nusername = \"we'ird \\\"#\\\\\"\npassword = \"chy://prod/db#password\"\n",
        target.port
    ));
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    let user = quoted("we'ird \"#\\");
    succeed(target.client(&format!("CREATE USER '{user}'@'%'")));
    for password in PASSWORDS {
        put(&scene.house, "prod/db", &json!({ "password": password }));
        succeed(target.client(&format!("SET PASSWORD FOR '{user}'@'%' = PASSWORD('{}')", quoted(password))));
        let (code, told, file) = write(&scene, "mycnf", &["--force"]);
        assert_eq!((code, mode(&file)), (Some(0), 0o600), "{told}");
        let defaults = format!("--defaults-file={}", file.display());
        let (code, out, told) = said(command("mariadb", &[&defaults, "--protocol=tcp", "-N", "-e", "SELECT 7"]), "");
        assert_eq!((code, out.as_str()), (Some(0), "7\n"), "{password:?}: {told}");
    }
}

#[test]
fn curl_logs_in_and_what_readers_do_not_agree_on_is_refused() {
    let scene = Scene::new(
        "[[netrc]]\nmachine = \"localhost\"\nusername = \"other\"\npassword = \"chy://prod/other#password\"\n\
         [[netrc]]\nmachine = \"127.0.0.1\"\nusername = \"chy://prod/git#username\"\npassword = \"chy://prod/git#password\"\n",
    );
    let (folder, seen) = (scene.house.path("served"), scene.house.path("seen"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("file"), "content").expect("a file");
    let password = format!("{CANARY}:$%&/()=?!,;.-_<>|{{[]}}~");
    put(&scene.house, "prod/git", &json!({ "password": password }));
    let web = Web::start(&folder, "deploy", &password, &seen);
    let (code, told, file) = write(&scene, "netrc", &[]);
    assert_eq!((code, mode(&file)), (Some(0), 0o600), "{told}");
    let url = format!("http://127.0.0.1:{}/file", web.port());
    let (code, out, told) = said(command("curl", &["-sS", "-f", "--netrc-file", text(&file), &url]), "");
    assert_eq!((code, out.as_str()), (Some(0), "content"), "{told}");
    // To standard output, for a pipe; nobody is told what he reads.
    let (code, out, told) = scene.asked(&["helper", "netrc", "--out", "-"], "");
    assert_eq!((code, out.as_bytes()), (Some(0), &*fs::read(&file).expect("the file")), "{told}");
    for bad in ["a b", "a\"b", "a\\b", "#a", "it's"] {
        put(&scene.house, "prod/git", &json!({ "password": bad }));
        let before = fs::read(&file).expect("the file");
        let (code, told, file) = write(&scene, "netrc", &["--force"]);
        assert!(code == Some(1) && told.contains("cannot be written into a netrc"), "{bad}: {told}");
        assert_eq!(fs::read(&file).expect("the file"), before, "nothing is half-written");
    }
    let (code, told, _) = write(&scene, "pgpass", &[]);
    assert!(code == Some(1) && told.contains("[[pgpass]]"), "{told}");
}
