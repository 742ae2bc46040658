//! ssh-add opens a key with the passphrase that is named for it, and no other question is answered.

use std::process::{Child, Command, Stdio};

use super::{CANARY, Scene, said};
use crate::house::{PATIENCE, command, succeed, text, until};

/// An agent in the house's folder, ended by process id.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ssh_add_opens_a_key_with_the_passphrase_that_is_named_for_it() {
    let scene = Scene::new("");
    let (key, other, socket) = (scene.house.path("id"), scene.house.path("id2"), scene.house.path("agent.sock"));
    for (file, passphrase) in [(&key, CANARY), (&other, CANARY)] {
        succeed(command("ssh-keygen", &["-q", "-t", "ed25519", "-N", passphrase, "-f", text(file)]));
    }
    scene.name(&format!("[[ssh]]\nkey = \"{}\"\nsecret = \"chy://prod/git#password\"\n", key.display()));
    let mut agent = Command::new("ssh-agent");
    agent.args(["-D", "-a", text(&socket)]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _agent = Agent(agent.spawn().expect("ssh-agent runs"));
    assert!(until(PATIENCE, || socket.exists()), "the agent listens");
    let ssh = |program: &str, arguments: &[&str]| {
        let mut ssh = scene.with(program, arguments);
        ssh.env("SSH_AUTH_SOCK", &socket).env("SSH_ASKPASS", scene.house.path("bin/chancery-askpass"));
        ssh.env("SSH_ASKPASS_REQUIRE", "force").env_remove("DISPLAY");
        said(ssh, "")
    };
    let before = scene.accesses();
    let (code, out, told) = ssh("ssh-add", &[text(&key)]);
    assert_eq!(code, Some(0), "{out}{told}");
    assert!(ssh("ssh-add", &["-l"]).1.contains("ED25519"));
    assert_eq!(scene.accesses(), before + 1);
    let (code, _, told) = ssh("ssh-add", &[text(&other)]);
    assert!(code != Some(0) && told.contains("no entry of helpers.toml"), "{told}");
    assert_eq!(scene.accesses(), before + 1, "nothing was opened for the other");
}

#[test]
fn a_question_of_a_server_or_for_people_is_not_answered() {
    let scene = Scene::new(
        "[[ssh]]\nkey = \"/home/a/id\"\nsecret = \"chy://prod/git#password\"\n[[ssh]]\nlogin = \"a@host\"\nsecret = \"chy://prod/other#password\"\n",
    );
    let ask = |prompt: &str, kind: &[(&str, &str)]| {
        let mut askpass = scene.with("chancery-askpass", &[prompt]);
        askpass.envs(kind.iter().copied());
        said(askpass, "")
    };
    assert_eq!(ask("Enter passphrase for key '/home/a/id': ", &[]).1, format!("{CANARY}\n"));
    assert_eq!(ask("a@host's password: ", &[]).1, "another-secret\n");
    let before = scene.accesses();
    for prompt in [
        "(a@evil.test) Enter passphrase for key '/home/a/id': ",
        "(b@evil.test) a@host's password: ",
        "a@host.evil.test's password: ",
        "Enter passphrase for key '/home/a/id': \n",
        "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
    ] {
        let (code, out, told) = ask(prompt, &[]);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{prompt:?}: {told}");
    }
    let (code, out, _) = ask("Enter passphrase for key '/home/a/id': ", &[("SSH_ASKPASS_PROMPT", "confirm")]);
    assert_eq!((code, out.as_str()), (Some(3), ""));
    assert_eq!(scene.accesses(), before);
}
