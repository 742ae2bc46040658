//! `chancery helper askpass`: what ssh and ssh-add ask a program for (SSH_ASKPASS, ssh(1)).
//!
//! The question is a text, and a server has a say in some of them: what it asks stands behind `(USER@HOST)` since OpenSSH 8.5. So a question is
//! compared as a whole with those that an entry of ours stands for: a server cannot ask for the passphrase of a key.

use super::map::{Common, Map, Ssh, Unlocks};
use super::opened::Opened;
use crate::Global;
use crate::cmd::deliver::read::print;
use crate::failure::{Exit, Failure};

pub const HELP: &str = "\
Examples:
  ln -s \"$(command -v chancery)\" ~/.local/bin/chancery-askpass
  export SSH_ASKPASS=~/.local/bin/chancery-askpass SSH_ASKPASS_REQUIRE=force
  ssh-add ~/.ssh/id_ed25519 </dev/null

An entry of helpers.toml says which secret opens what: a key, or a login as ssh shows it:
  [[ssh]]
  key = \"~/.ssh/id_ed25519\"
  secret = \"chy://prod/ssh/deploy#passphrase\"
  [[ssh]]
  login = \"deploy@router.example.internal\"
  secret = \"chy://prod/router#password\"

Questions that no entry stands for are answered with a failure: whether a host's key is right, a server's own questions, a passphrase that was wrong.";

/// What ssh asks.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The question, as ssh words it
    prompt: String,
}

/// Runs `chancery helper askpass`.
pub async fn run(args: Args, global: &Global) -> Result<(), Failure> {
    let Args { common, prompt } = args;
    match std::env::var("SSH_ASKPASS_PROMPT").as_deref() {
        // Something is told, such as to touch a key: nobody looks here.
        Ok("none") => return Ok(()),
        Ok(_) => return Err(unanswered("it asks whether something may be done, which is for people")),
        Err(_) => {}
    }
    let map = Map::load(common.helpers.as_deref(), common.environment.as_deref())?;
    let entry = map.ssh.iter().find(|entry| entry.is_asked(&prompt));
    let entry = entry.ok_or_else(|| unanswered("no entry of helpers.toml stands for it"))?;
    let opened = Opened::fetch([&entry.secret], common.sourcing, global).await?;
    let secret = opened.secret_line(&entry.secret)?;
    if secret.len() > ANSWER_BYTES_MAX {
        let says = format!("{} has more than {ANSWER_BYTES_MAX} bytes, and ssh would cut it", entry.secret);
        return Err(Failure::new(Exit::Failed, says));
    }
    print(secret.as_bytes(), true)
}

fn unanswered(why: &str) -> Failure {
    Failure::new(Exit::Refused, "the question is not answered").since(why)
}

impl Ssh {
    /// Whether this is one of the questions for it, word for word (`readpass.c`, `sshconnect2.c` and `ssh-add.c` of OpenSSH).
    fn is_asked(&self, prompt: &str) -> bool {
        match &self.unlocks {
            Unlocks::Key(key) => [
                format!("Enter passphrase for key '{key}': "),
                format!("Enter passphrase for {key}: "),
                format!("Enter passphrase for {key} (will confirm each use): "),
            ]
            .iter()
            .any(|question| question == prompt),
            // The second is of a server that asks by PAM.
            Unlocks::Login(login) => [format!("{login}'s password: "), format!("({login}) Password: ")]
                .iter()
                .any(|question| question == prompt),
        }
    }
}

/// OpenSSH reads 1,024 with the end of the line.
const ANSWER_BYTES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_as_a_whole_or_not_at_all() {
        let entry = |unlocks| Ssh { unlocks, secret: "chy://a".parse().unwrap() };
        let key = entry(Unlocks::Key("/home/a/.ssh/id".to_owned()));
        assert!(key.is_asked("Enter passphrase for key '/home/a/.ssh/id': "));
        assert!(key.is_asked("Enter passphrase for /home/a/.ssh/id: "));
        for other in [
            // A server's question, in OpenSSH's brackets.
            "(a@evil.test) Enter passphrase for key '/home/a/.ssh/id': ",
            "Enter passphrase for key '/home/a/.ssh/id2': ",
            "Enter passphrase for key '/home/a/.ssh/id': \nx",
            "Bad passphrase, try again for /home/a/.ssh/id: ",
            "a@host's password: ",
            "",
        ] {
            assert!(!key.is_asked(other), "{other:?}");
        }
        let login = entry(Unlocks::Login("a@host".to_owned()));
        assert!(login.is_asked("a@host's password: ") && login.is_asked("(a@host) Password: "));
        for other in [
            "b@host's password: ",
            "a@host.evil.test's password: ",
            "(a@evil.test) a@host's password: ",
            "(a@host) OTP: ",
        ] {
            assert!(!login.is_asked(other), "{other:?}");
        }
    }
}
