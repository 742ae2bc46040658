//! `chancery secret edit`: an editor on a text in memory; what is saved is the next version or is asked for again, and nothing is left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::house::{House, PATIENCE, PYTHON, command, fail, status, text, until};

/// What stands on no disk.
const CANARY: &str = "canary-7a2be90c31";

fn house() -> House {
    let house = House::started();
    put(&house, "prod/other", &json!({"fields": {"value": "referred-to"}}));
    let fields = json!({"user": "app", "password": CANARY});
    put(
        &house,
        "prod/db",
        &json!({"fields": fields, "base64": {"bytes": "/wAK"}, "references": {"link": "chy://prod/other"}}),
    );
    house
}

fn put(house: &House, path: &str, body: &Value) {
    let mut body = body.clone();
    body["owner"] = json!("default");
    let (body, url) = (body.to_string(), house.https(&format!("/api/v1/secrets/{path}")));
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn value(house: &House, field: &str) -> String {
    house.run(&["secret", "get", "prod/db", "--field", field])
}

fn newest(house: &House) -> Value {
    house.json(&["secret", "show", "prod/db"])["newest"].clone()
}

/// An editor that is a shell's script: `$1` is the file, `$N` the how manieth time it is opened.
fn editor(house: &House, script: &str) -> PathBuf {
    let (path, count) = (house.path("editor"), house.path("count"));
    let _ = fs::remove_file(&count);
    let text = format!("#!/bin/sh\nset -e\necho x >>{0}; N=$(wc -l <{0})\n{script}\n", count.display());
    fs::write(&path, text).expect("an editor");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("its mode");
    path
}

fn edits(house: &House, what: &str, script: &str) -> Command {
    let mut edit = house.command(&["secret", "edit", what]);
    edit.env_remove("VISUAL").env("EDITOR", editor(house, script)).env("C", env!("CARGO_BIN_EXE_chancery"));
    edit.env("HOUSE", house.path("")).stdin(Stdio::null());
    edit
}

fn edit(house: &House, what: &str, script: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = edits(house, what, script).output().expect("the binary runs");
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!said.contains(CANARY), "{said}");
    (status.code(), said)
}

/// Where the editor was shown its text.
fn shown(house: &House) -> String {
    fs::read_to_string(house.path("where")).expect("the editor says where")
}

#[test]
fn what_is_saved_is_the_next_version_and_stood_in_memory_alone() {
    let house = house();
    let script = "stat -f -c %T $1 >$HOUSE/seen; stat -c %a $1 $(dirname $1) >>$HOUSE/seen; echo ${CHANCERY_TOKEN-none} >>$HOUSE/seen\n\
                  dirname $1 >$HOUSE/where; grep -v '^#' $1 >$HOUSE/body || true; grep '^#' $1 >$HOUSE/head\n\
                  sed -i 's/canary-7a2be90c31/second/' $1; rm $HOUSE/body";
    let (code, said) = edit(&house, "prod/db", script);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (newest(&house), value(&house, "password"), value(&house, "user")),
        (json!(2), "second".into(), "app".into())
    );
    let secret = house.json(&["secret", "get", "prod/db"]);
    assert_eq!(
        (&secret["fields"]["bytes"], &secret["fields"]["link"]),
        (&json!({"base64": "/wAK"}), &json!("referred-to"))
    );
    let references = &house.json(&["secret", "show", "prod/db"])["versions"][0]["references"];
    assert!(references["link"].as_str().is_some_and(|to| to.starts_with("chy://prod/other")), "{references}");
    let seen = fs::read_to_string(house.path("seen")).expect("what it saw");
    assert_eq!(seen, "tmpfs\n600\n700\nnone\n");
    let head = fs::read_to_string(house.path("head")).expect("a head");
    assert!(
        head.contains("version 1") && head.contains("bytes is no text") && head.contains("link is a reference"),
        "{head}"
    );
    assert!(!Path::new(shown(&house).trim()).exists(), "it went with the command");
    // One field, byte for byte; an editor's last line break is its own.
    let (code, said) = edit(&house, "chy://prod/db#password", "printf 'a\"b\\\\c#: d\\n' >$1");
    assert_eq!((code, value(&house, "password").as_str()), (Some(0), "a\"b\\c#: d"), "{said}");
    let (code, said) = edit(&house, "prod/db#note", "printf 'two\\nlines' >>$1");
    assert_eq!((code, value(&house, "note").as_str()), (Some(0), "two\nlines"), "{said}");
    assert_eq!(newest(&house), 4);
    // What changes nothing writes nothing.
    for (script, code, word) in [
        ("true", 0, "nothing was changed"),
        ("touch $1", 0, "nothing was changed"),
        (": >$1", 1, "empty"),
        ("sed -i 's/app/gone/' $1; exit 3", 1, "ended with 3"),
        ("sed -i 's/app/gone/' $1; kill -SEGV $$", 1, "crashed"),
        ("rm $1", 1, "took the text away"),
        ("rm $1; ln -s /etc/passwd $1", 1, "no file"),
    ] {
        let (exit, said) = edit(&house, "prod/db", script);
        assert!(exit == Some(code) && said.contains(word), "{script}: {exit:?} {said}");
    }
    for (what, word) in [("prod/db#bytes", "no text"), ("prod/db#link", "a reference"), ("prod/none", "404")] {
        let (code, said) = edit(&house, what, "echo no >$1");
        assert!(code == Some(1) && said.contains(word), "{what}: {said}");
    }
    let mut nowhere = edits(&house, "prod/db", "");
    nowhere.env("EDITOR", "/no/such/editor --wait");
    assert!(fail(nowhere).contains("/no/such/editor does not start"));
    assert_eq!(newest(&house), 4);
    let left = command("grep", &["-rlF", CANARY, text(&house.path(""))]);
    assert_eq!(fail(left), "", "some file has it");
}

#[test]
fn a_text_that_is_not_taken_is_shown_again_with_the_reason_on_top() {
    let house = house();
    let script = "case $N in 1) sed -i 's/^user = .*/user = new/' $1;;\n\
                  2) grep -q 'NOT WRITTEN' $1; grep -q '^# chancery: .*line [0-9]* below the head' $1; grep -q '^user = new' $1\n\
                  sed -i 's/^user = new/user = \"new\"/' $1; echo 'link = \"x\"' >>$1;;\n\
                  3) grep -q 'link is a reference' $1; grep -q '^link' $1; sed -i '/^link/d' $1; echo '\"not a name\" = \"x\"' >>$1;;\n\
                  4) grep -q 'NOT WRITTEN.*(4' $1; sed -i '/not a name/d' $1;; esac";
    let (code, said) = edit(&house, "prod/db", script);
    assert_eq!(code, Some(0), "{said}");
    let opened = fs::read_to_string(house.path("count")).expect("a count").lines().count();
    assert_eq!((opened, newest(&house), value(&house, "user")), (4, json!(2), "new".into()));
    // Left as it was, it is given up with the reason; an editor that mends nothing is not opened for ever.
    for script in ["[ $N = 2 ] || echo no toml >>$1", "[ $N = 1 ] && echo no toml >>$1 || touch $1"] {
        let (code, said) = edit(&house, "prod/db", script);
        assert!(code == Some(1) && said.contains("cannot be used"), "{said}");
        assert_eq!(fs::read_to_string(house.path("count")).expect("a count").lines().count(), 2);
    }
    assert_eq!(newest(&house), 2);
}

#[test]
fn who_was_overtaken_is_told_and_nobody_is_written_over_unawares() {
    let house = house();
    let other = "printf later | $C secret put prod/db --ask user >/dev/null";
    let script = format!(
        "case $N in 1) {other}; sed -i 's/{CANARY}/mine/' $1;;\n\
         2) grep -q 'another version was written meanwhile: 2' $1; grep -q '^user = .later.' $1; grep -q '^password = .mine.' $1\n\
         grep -q 'both of you' $1 && exit 9; touch $1;; esac"
    );
    let (code, said) = edit(&house, "prod/db", &script);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        (newest(&house), value(&house, "user"), value(&house, "password")),
        (json!(3), "later".into(), "mine".into())
    );
    // Both changed the same: it is said, and left alone it stays the other's.
    let script = "case $N in 1) printf his | $C secret put prod/db --ask user >/dev/null; sed -i 's/later/ours/' $1;;\n\
                  2) grep -q 'both of you changed user' $1; grep -q '^user = .ours.' $1;; esac";
    let (code, said) = edit(&house, "prod/db", script);
    assert!(code == Some(1) && said.contains("another version"), "{said}");
    assert_eq!((newest(&house), value(&house, "user")), (json!(4), "his".into()));
}

#[test]
fn an_interrupt_is_the_editors_affair_and_whatever_ends_the_command_leaves_nothing() {
    let (house, runtime) = (house(), tempfile::tempdir_in("/dev/shm").expect("a folder in memory"));
    for (signal, ends) in [("INT", false), ("TERM", true), ("HUP", true), ("KILL", true)] {
        for file in ["where", "go"] {
            let _ = fs::remove_file(house.path(file));
        }
        // It ends when it is told to, or when it is alone.
        let script = "dirname $1 >$HOUSE/where.new; mv $HOUSE/where.new $HOUSE/where\n\
                      while [ ! -e $HOUSE/go ] && [ -e $1 ]; do sleep 0.05; done; [ -e $1 ] && sed -i s/app/$N-app/ $1";
        let mut edit = edits(&house, "prod/db", script);
        // A folder of its own in memory: nobody else's next run sweeps it.
        let child = edit.env("XDG_RUNTIME_DIR", runtime.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("the binary runs");
        assert!(until(PATIENCE, || house.path("where").exists()), "the editor is open");
        let folder = shown(&house);
        assert!(Path::new(folder.trim()).starts_with(runtime.path()) && Path::new(folder.trim()).exists());
        assert!(status(&mut command("kill", &[&format!("-{signal}"), &child.id().to_string()])));
        if !ends {
            fs::write(house.path("go"), "").expect("a file");
        }
        let ended = child.wait().expect("an end");
        assert_eq!(ended.success(), !ends, "{signal}: {ended}");
        assert!(until(PATIENCE, || !Path::new(folder.trim()).exists()), "{signal}: {folder} is there");
    }
    assert_eq!(
        (newest(&house), value(&house, "user")),
        (json!(2), "1-app".into()),
        "what was saved after the interrupt"
    );
}

/// A terminal: once something stands on it, keys are typed.
const TERMINAL: &str = r"
import fcntl, os, pty, struct, sys, termios
ready, keys = sys.argv[1].encode(), sys.argv[2].encode().decode('unicode_escape').encode('latin1')
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[3], sys.argv[3:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
seen, sent = b'', False
while True:
    try: piece = os.read(fd, 65536)
    except OSError: break
    if not piece: break
    seen += piece
    if not sent and ready in seen: os.write(fd, keys); sent = True
_, ended = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(ended))
";

#[test]
fn vim_nano_and_emacs_keep_nothing_of_it_anywhere_else() {
    let house = house();
    let home = house.path("");
    // A user who keeps everything.
    fs::create_dir(home.join("kept")).expect("a folder");
    let kept = home.join("kept").display().to_string();
    let vimrc = format!(
        "set nocp undofile undodir={kept} backup backupdir={kept} directory={kept} viminfo='100,n{kept}/viminfo modeline\n"
    );
    fs::write(home.join(".vimrc"), vimrc).expect("a vimrc");
    fs::write(home.join(".nanorc"), format!("set backup\nset backupdir \"{kept}\"\nset historylog\n"))
        .expect("a nanorc");
    let emacs = format!(
        "(setq backup-directory-alist '((\".*\" . \"{kept}\")) auto-save-file-name-transforms '((\".*\" \"{kept}/\" t)))\n"
    );
    fs::write(home.join(".emacs"), emacs).expect("an .emacs");
    for (at, (editor, ready, keys)) in [
        ("vim", "value.txt", format!(":%s/{CANARY}/{CANARY}-vim/\\r:wq\\r")),
        // To the last line and the one before it, to its end.
        ("nano", "value.txt", "\\x1b/\\x1b[A\\x05-nano\\x13\\x18".to_owned()),
        ("emacs -nw", "value.txt", "\\x1b>\\x02-emacs\\x18\\x13\\x18\\x03".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        let name = editor.split(' ').next().expect("a name");
        let mut edit = house.command(&[]);
        let variables: Vec<_> =
            edit.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
        edit = command(
            PYTHON,
            &["-c", TERMINAL, ready, &keys, env!("CARGO_BIN_EXE_chancery"), "secret", "edit", "prod/db#password"],
        );
        for (name, value) in variables {
            match value {
                Some(value) => edit.env(name, value),
                None => edit.env_remove(name),
            };
        }
        edit.env("EDITOR", editor).env_remove("VISUAL").env("TERM", "xterm").current_dir(&home);
        let output = edit.stdin(Stdio::null()).output().expect("a terminal");
        assert!(output.status.success(), "{editor}: {}", String::from_utf8_lossy(&output.stdout));
        let expected = ["-vim", "-nano", "-emacs"].iter().take(at + 1).fold(CANARY.to_owned(), |all, more| all + more);
        assert_eq!(value(&house, "password"), expected, "{name}: {}", String::from_utf8_lossy(&output.stdout));
        let left = command("grep", &["-rlF", CANARY, text(&home)]);
        assert_eq!(fail(left), "", "{name} kept it");
    }
}
