//! The lines of the README and of `--help`, typed by somebody who has nothing yet.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::house::{DEMO_PORTS, status, succeed};

/// The blocks of shell in a document.
fn shell_blocks(text: &str) -> Vec<&str> {
    text.split("```sh\n").skip(1).map(|part| part.split("```").next().unwrap_or_default()).collect()
}

/// A machine of its own: a home, a checkout with the binary where the README says, and the demo running.
struct Newcomer {
    home: tempfile::TempDir,
    demo: std::process::Child,
}

impl Newcomer {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a home");
        let checkout = home.path().join("chancery");
        fs::create_dir_all(checkout.join("target/release")).expect("a checkout");
        symlink(env!("CARGO_BIN_EXE_chancery"), checkout.join("target/release/chancery")).expect("the binary");
        for name in ["deploy", "README.md"] {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), checkout.join(name)).expect("a checkout");
        }
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/.gitignore"), checkout.join(".gitignore")).expect("a checkout");
        // What else stands in a checkout is not to be written into.
        for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the checkout").flatten() {
            if entry.path().join("Cargo.toml").is_file() {
                fs::create_dir(checkout.join(entry.file_name())).expect("a crate's folder");
            }
        }
        succeed(Self::shell(home.path(), "git init -q . && git add -A"));
        let mut demo = Self::shell(home.path(), "exec deploy/quickstart.sh");
        let mut demo = demo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the demo");
        let mut words = std::io::BufReader::new(demo.stdout.take().expect("its words"));
        let mut said = String::new();
        while !said.contains("\nrunning ") {
            let read = std::io::BufRead::read_line(&mut words, &mut said).expect("words");
            assert!(read > 0, "the demo ended:\n{said}");
        }
        Self { home, demo }
    }

    fn shell(home: &Path, script: &str) -> Command {
        let mut bash = Command::new("bash");
        bash.env_clear().env("HOME", home).env("USER", "alice").env("EDITOR", "true").env("LANG", "C.UTF-8");
        bash.env("PATH", std::env::var_os("PATH").expect("PATH"));
        bash.env("CHANCERY_BIN", env!("CARGO_BIN_EXE_chancery")).current_dir(home.join("chancery"));
        bash.args(["-c", script]);
        bash
    }

    /// Types lines, one after the other, and stops at the first that fails. A line that serves goes on in the background until
    /// it is ready, and to the end.
    fn types(&self, lines: &str) {
        let mut script = "set -eo pipefail\ntrap 'kill $server 2>/dev/null && wait $server || true' EXIT\n".to_owned();
        for line in lines.lines() {
            match line.split('#').next().is_some_and(|line| line.trim_end().ends_with(" serve")) {
                true => script.push_str(&format!(
                    "{line} &\nserver=$!\nuntil curl -sf http://127.0.0.1:9080/readyz; do kill -0 $server; sleep 0.1; done\n"
                )),
                false => script.push_str(&format!("{line}\n")),
            }
        }
        let ended = Self::shell(self.home.path(), &script).stdin(Stdio::null()).output().expect("bash");
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "these lines fail:\n{lines}\n--- they said:\n{out}\n{err}");
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        status(Command::new("kill").arg(self.demo.id().to_string()));
        let _ = self.demo.wait();
    }
}

/// Where an example of `--help` is typed: after what a person there has done already. Those that are left out need more than a
/// machine with the demo: `agent` a plan, `clock accept` a clock that is doubted, `audit resume` and `rebuild` a harmed register.
const EXAMPLES: [(&str, &str); 16] = [
    ("issue tls", ""),
    ("issue client", ""),
    ("issue code", ""),
    ("sign", "cp chancery-demo/roots.pem .; rm app.tar.gz.p7s"),
    ("ssh sign-user", "mkdir -m 700 ~/.ssh; ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519"),
    ("ssh sign-host", "ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key"),
    ("certs list", ""),
    ("audit show", ""),
    (
        "audit verify",
        "rm -rf my-ca; ln -s chancery-demo my-ca; mkdir kept; curl -sf http://localhost:8080/log/checkpoint > kept/checkpoint; \
         chancery audit export export",
    ),
    ("token create", ""),
    ("token rescue", ""),
    ("completion", "mkdir -p ~/.local/share/bash-completion/completions ~/.zfunc ~/.config/fish/completions"),
    ("man", ""),
    ("login", "cp chancery-demo/admin.token token"),
    ("init", "rm -rf my-ca pin so-pin"),
    ("", "rm -rf my-ca pin so-pin"),
];

/// The lines of shell under a heading of examples.
fn examples(help: &str) -> String {
    let begins = |line: &str| line.starts_with("Example") || line.starts_with("First steps");
    let after = help.lines().skip_while(|line| !begins(line)).skip(1);
    let lines = after.take_while(|line| line.is_empty() || line.starts_with("  ")).filter(|line| !line.is_empty());
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn the_readmes_lines_and_those_of_help_work_when_typed_in_order_beside_the_demo() {
    let _ports = DEMO_PORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let blocks = shell_blocks(&readme);
    let [quickstart, first, own] = blocks.as_slice() else { panic!("the README has {} blocks of shell", blocks.len()) };
    assert!(quickstart.starts_with("deploy/quickstart.sh "), "{quickstart}");
    let newcomer = Newcomer::new();
    newcomer.types(&format!("{first}\n{own}"));
    newcomer.types("git ls-files --others --exclude-standard > ~/left; test ! -s ~/left || { cat ~/left; false; }");
    let environment: String =
        first.lines().filter(|line| line.starts_with("export ")).map(|line| format!("{line}\n")).collect();
    for (name, before) in EXAMPLES {
        let mut help = Command::new(env!("CARGO_BIN_EXE_chancery"));
        help.args(name.split_whitespace()).arg("--help").env("COLUMNS", "80");
        let lines = examples(&succeed(help));
        assert!(lines.contains("chancery"), "{name} --help has no example");
        newcomer.types(&format!("{environment}{before}\n{lines}"));
    }
}
