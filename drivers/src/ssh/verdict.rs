//! What an ssh that ran shows of a host: by its own log, its exit status, and what it wanted of the key. A host, and whoever is on the way
//! to it, writes into the log too; so nobody is in but whose ssh had a signature, and nobody out but to whom the key was offered.

use std::net::SocketAddr;

use super::client::is_in;
use super::keeper::Asked;

/// What a host did.
pub(super) enum Said {
    In,
    Out,
    /// It was not reached, or not believed; in words.
    Away(String),
}

/// What one address shows. An error: no signature was asked for, so nothing is known of what the host does with the key, whatever the log
/// says; another address may show it.
pub(super) fn shown(
    ran: Result<(Option<i32>, String), String>,
    at: (&str, SocketAddr),
    asked: Asked,
) -> Result<Said, String> {
    let is_open = matches!(asked, Asked::Nothing | Asked::Key);
    match ran.map_or_else(Said::Away, |(code, log)| judged(code, &log, at, asked)) {
        Said::Away(why) if is_open => Err(why),
        said => Ok(said),
    }
}

/// Of a host whose key ssh does not believe, what is wrong with it; ssh's own last line says that and no more.
fn of_its_key(log: &str) -> &'static str {
    let has = |text: &str| log.lines().any(|line| line.contains(text));
    match () {
        () if has(" revoked by file ") => {
            "its host certificate is revoked here, or the CA that signed it: whoever has its key may answer there (`chancery ssh sign-host` \
             makes one for another key)"
        }
        () if has("REMOTE HOST IDENTIFICATION HAS CHANGED") => {
            "its host key is another than the lines of --roots say: it was changed, or another host answers there"
        }
        () if has("Certificate invalid") => {
            "its host certificate ended, or names another host (`chancery ssh sign-host` makes one)"
        }
        () => {
            "its host key is not known: it shows no host certificate of this house (`chancery ssh sign-host`), and no line of --roots has it"
        }
    }
}

/// A name as ssh writes it into its log: vis(3), where a backslash is two and what is not ASCII is octal. A domain's accounts have one.
fn as_logged(name: &str) -> String {
    let each = name.bytes().map(|byte| match byte {
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        other => format!("\\{other:03o}"),
    });
    each.collect()
}

/// ssh(1): "ssh exits with the exit status of the remote command or with 255 if an error occurred."
fn judged(code: Option<i32>, log: &str, (user, address): (&str, SocketAddr), asked: Asked) -> Said {
    if is_in(log, address) {
        return match asked {
            Asked::Signed => Said::In,
            // Whom it lets in without a key it lets in with any: nothing is known of this one.
            Asked::Nothing | Asked::Key | Asked::InVain => {
                Said::Away("it lets in without a key, or somebody on the way says so".to_owned())
            }
        };
    }
    let last = log.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ssh failed");
    // As ssh itself ends where no key was taken: a host's own words stand behind others.
    let is_denied = last.starts_with(&format!("{}@{}: Permission denied (", as_logged(user), address.ip()));
    match (code, asked) {
        (Some(255), _) if last == UNBELIEVED => Said::Away(of_its_key(log).to_owned()),
        (Some(255), _) if !is_denied => {
            Said::Away(last.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_CHARS_MAX).collect())
        }
        // sshd asks for a signature of a key that it takes: of one of a kind that is not signed with here, that is all there is to see.
        (Some(255), Asked::InVain) => Said::In,
        (Some(255), Asked::Key) => Said::Out,
        // The words of one who was not believed: a name of an algorithm may have a line of its own.
        (Some(255), Asked::Nothing) => Said::Away("it was not shown the key".to_owned()),
        (Some(255), Asked::Signed) => Said::Away("it takes the key, and denies the login all the same".to_owned()),
        (Some(_), _) => Said::Away("ssh ended without a login".to_owned()),
        (None, _) => Said::Away("ssh was ended".to_owned()),
    }
}

const WORDS_CHARS_MAX: usize = 120;
/// As ssh ends where it does not believe a host's key.
const UNBELIEVED: &str = "Host key verification failed.";

#[cfg(test)]
mod tests {
    use super::*;

    fn words(said: Said) -> &'static str {
        match said {
            Said::In => "in",
            Said::Out => "out",
            Said::Away(_) => "away",
        }
    }

    #[test]
    fn a_name_that_ssh_escapes_in_its_log_is_refused_as_any_other() {
        let address = "10.0.0.7:22".parse().unwrap();
        for (user, logged) in [("DOM\\alice", "DOM\\\\alice"), ("\u{e4}lice", "\\303\\244lice"), ("deploy", "deploy")] {
            let log = format!("{logged}@10.0.0.7: Permission denied (publickey).\n");
            let said = judged(Some(255), &log, (user, address), Asked::Key);
            assert!(matches!(said, Said::Out), "{user}");
        }
    }

    #[test]
    fn a_login_is_in_or_out_and_whatever_is_neither_is_away() {
        let denied = "root@10.0.0.7: Permission denied (publickey).\r\n";
        let told = "Received disconnect from 10.0.0.7 port 22:2: root@10.0.0.7: Permission denied (publickey).";
        let at = ("root", "10.0.0.7:22".parse().unwrap());
        let inside = "Authenticated to 10.0.0.7 ([10.0.0.7]:22) using \"publickey\".\r\n";
        let partly = "Authenticated using \"publickey\" with partial success.\r\n";
        for (code, log, asked, is) in [
            (None, inside, Asked::Signed, "in"),
            // Whatever comes behind it.
            (Some(255), &format!("{inside}Connection to 10.0.0.7 closed by remote host.\r\n"), Asked::Signed, "in"),
            (None, inside, Asked::Nothing, "away"),
            (None, inside, Asked::Key, "away"),
            (None, inside, Asked::InVain, "away"),
            (None, "Authenticated to 10.0.0.70 ([10.0.0.70]:22) using \"publickey\".", Asked::Signed, "away"),
            // One more proof is asked for, and not given.
            (Some(255), &format!("{partly}{denied}"), Asked::Signed, "away"),
            (Some(0), "", Asked::Signed, "away"),
            (Some(1), "", Asked::Signed, "away"),
            (Some(0), "", Asked::Nothing, "away"),
            (Some(255), denied, Asked::Key, "out"),
            (
                Some(255),
                &format!("Unable to negotiate with 10.0.0.7 port 22. Their offer: x\n{denied}"),
                Asked::Nothing,
                "away",
            ),
            (Some(255), denied, Asked::InVain, "in"),
            (Some(255), denied, Asked::Signed, "away"),
            (Some(255), told, Asked::Key, "away"),
            (Some(255), &format!("{denied}Connection closed"), Asked::Key, "away"),
            (Some(255), "other@10.0.0.7: Permission denied (publickey).", Asked::Key, "away"),
            (Some(255), "ssh: connect to host x port 22: Connection refused", Asked::Nothing, "away"),
            (Some(255), "Host key verification failed.", Asked::Nothing, "away"),
            (Some(255), "", Asked::Signed, "away"),
            (None, "", Asked::Signed, "away"),
        ] {
            assert_eq!(words(judged(code, log, at, asked)), is, "{log}");
        }
    }

    /// The name of an algorithm that a peer offers stands in the log as it is, and may have a line of its own, before any host key was shown.
    #[test]
    fn a_line_that_somebody_on_the_way_wrote_ends_the_search_at_no_address() {
        let at = ("root", "10.0.0.7:22".parse().unwrap());
        let forged =
            "Unable to negotiate. Their offer: x\nAuthenticated to 10.0.0.7 ([10.0.0.7]:22) using \"publickey\".\n";
        for (code, asked, goes_on) in [
            (None, Asked::Nothing, true),
            (None, Asked::Key, true),
            (Some(255), Asked::Nothing, true),
            (None, Asked::Signed, false),
            (None, Asked::InVain, false),
        ] {
            let said = shown(Ok((code, forged.to_owned())), at, asked);
            assert_eq!(said.is_err(), goes_on, "{code:?} {asked:?}");
        }
        let late = || Err("no answer within 7 s".to_owned());
        assert!(
            shown(late(), at, Asked::Key).is_err() && matches!(shown(late(), at, Asked::Signed), Ok(Said::Away(_)))
        );
    }

    #[test]
    fn a_host_key_that_is_not_believed_is_named_with_what_helps() {
        let at = ("root", "10.0.0.7:22".parse().unwrap());
        let said = |log: &str| match judged(Some(255), log, at, Asked::Nothing) {
            Said::Away(why) => why,
            Said::In | Said::Out => String::new(),
        };
        let unknown = "No ED25519 host key is known for web1 and you have requested strict checking.\r\n";
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n";
        let ended = "Certificate invalid: expired\r\n";
        let revoked = "Host key ED25519-CERT SHA256:x revoked by file /tmp/chancery-ssh-0/revoked\r\n";
        for (log, words) in [
            (revoked.to_owned(), "its host certificate is revoked here"),
            (unknown.to_owned(), "its host key is not known"),
            (changed.to_owned(), "its host key is another"),
            (format!("{ended}{unknown}"), "its host certificate ended"),
        ] {
            let why = said(&format!("{log}Host key verification failed.\r\n"));
            assert!(why.starts_with(words), "{why}");
        }
        let refused = "ssh: connect to host x port 22: Connection refused";
        assert_eq!(said(refused), refused);
    }
}
