//! What went wrong with a rotation, and what a person must do, in words that are true of what is there: keys on hosts are put there by
//! agents and shown by logins, passwords are set at the target. Each says the whole command that goes on.

use super::place::Product;
use super::record::Turning;
use crate::rotation::{Credential, Plan, Why};

impl Turning {
    /// What went wrong last, and what a person must do; none where nothing did.
    pub fn trouble_words(&self) -> Option<String> {
        let (rotation, product) = (self.rotation(), self.at().product);
        let why = rotation.trouble()?.why;
        let known = if product == Product::Ssh { of_hosts(why) } else { of_a_target(why) };
        let text = going_back(why).filter(|_| rotation.is_turning_back()).unwrap_or(known);
        let path = self.path();
        Some(match then(why).filter(|_| rotation.is_halted() || why == Why::NotBack) {
            Some(word) => format!("{text}, then `chancery secret rotate {path} {word}`"),
            None => text.to_owned(),
        })
    }

    /// What a rotation that ended where it halted leaves at its target, and what a person does about it.
    pub(super) fn left_words(&self, left: &Credential) -> String {
        let (path, place, current) = (self.path(), self.at().described(), self.rotation().current());
        let Credential { version, user } = left;
        match (self.at().product, &self.rotation().settings().plan) {
            (Product::Ssh, _) => format!(
                "version {version} of {path} may still be let in as {user} where no agent runs: agents take its key out of what they write. \
                 `chancery secret hosts {path}` says which hosts have which keys; take the line chancery:{path}#{version} out by hand on the others"
            ),
            (_, Plan::Single { .. }) => format!(
                "{user} may have the password of version {version} of {path} at {place} (`chancery secret get {path} --at {version}`): set the \
                 one of version {} there by hand (`chancery secret get {path}`)",
                current.version
            ),
            (_, Plan::Pair { .. } | Plan::Keys { .. }) => format!(
                "version {version} of {path} may still be let in as {user} at {place}: take it away there by hand. `chancery secret get {path} \
                 --at {version}` is what it is"
            ),
        }
    }
}

/// By which word it goes on, once a person did what is said.
fn then(why: Why) -> Option<&'static str> {
    match why {
        Why::SetRefused | Why::NoLogin | Why::Unknown => Some("--resume"),
        Why::NotReturned | Why::NothingLogsIn | Why::NotRetired => Some("--resume"),
        Why::NotBack => Some("--back"),
        Why::Away | Why::Returned => None,
    }
}

/// While it is not known yet how the way back ends.
fn going_back(why: Why) -> Option<&'static str> {
    match why {
        Why::SetRefused => Some(
            "the target refuses to set the new credential; what was begun is being undone, and nothing needs to be done yet",
        ),
        Why::NoLogin => Some(
            "the new credential does not log in; what was changed is being undone, which a login with the one in use has to show, and \
             nothing needs to be done yet",
        ),
        Why::Returned => Some(
            "the credential that was promoted stopped logging in; the one before it is being tried, to be in use again, and nothing needs \
             to be done yet",
        ),
        Why::Away | Why::NotBack | Why::Unknown | Why::NotReturned | Why::NothingLogsIn | Why::NotRetired => None,
    }
}

/// Of keys on hosts.
fn of_hosts(why: Why) -> &'static str {
    match why {
        Why::Away => {
            "not every host's agent says that it has the new key; it came into use nowhere, goes from hosts that have it, and the rotation is \
             begun again by itself"
        }
        Why::SetRefused => "the new key cannot be put on hosts, and the one in use stays. See to what was said",
        Why::NoLogin => {
            "every host said that it has the new key, and none lets in with it; it was taken away again, and the one in use lets in. See \
             whether sshd reads the file that the agent writes (AuthorizedKeysFile), and what its log says of the login"
        }
        Why::NotBack => {
            "the key before was not taken back: hosts did not answer, or do not let in with it. The one in use stays. See what was said of \
             each host"
        }
        Why::Unknown => {
            "hosts did not answer, or not all of them do the same, and which key lets in at which is not known. See to what was said of each \
             host, and that its agent runs"
        }
        Why::NotReturned => {
            "the new key failed, and was not taken away again. Take every key but the current version's out of what the agents write on the \
             hosts"
        }
        Why::NothingLogsIn => {
            "neither the key in use nor the one beside it is let in at the hosts. See that their agents run, that sshd reads the file that \
             they write (AuthorizedKeysFile), and what its log says of the login"
        }
        Why::NotRetired => {
            "the new key is in use; that the one before was taken away everywhere was not shown, and it may still let in. See to what was said \
             of each host, and that its agent runs"
        }
        Why::Returned => {
            "the key that was promoted stopped letting in; the one before it does and is in use again. Find out who changed it on the hosts"
        }
    }
}

/// Of passwords at a target, a program or a hook.
fn of_a_target(why: Why) -> &'static str {
    match why {
        Why::Away => "the target does not answer; nothing was changed, and it is tried again by itself",
        Why::SetRefused => {
            "the target refuses to set the new credential; the one in use stays. Where the rotation's administrator is not let in, write his \
             present name and password into his secret; where he has no right to set it, give him that; where the target says what else it \
             lacks, see to that"
        }
        Why::NoLogin => {
            "the new credential was set and does not log in; that was undone, and the one in use logs in. See whether the target has another \
             store of passwords, or rules that the new one breaks"
        }
        Why::NotBack => {
            "the credential before was not taken back: the target did not answer, refused it, or does not let it in. The one in use stays. \
             See what the target says of it"
        }
        Why::Unknown => {
            "the target does not answer any more, and which credential it has is not known: that is found out by a login. Wait until it \
             answers"
        }
        Why::NotReturned => {
            "the new credential failed, and the target refuses the way back. Set the password of the current version at the target by hand \
             (or take away what the pending version added)"
        }
        Why::NothingLogsIn => {
            "the credential in use does not log in, and neither does what was tried beside it. Set the password of the current version at \
             the target by hand"
        }
        Why::NotRetired => {
            "the new credential is in use; that the old one was taken away was not shown, and it may still log in. Take it away at the \
             target by hand"
        }
        Why::Returned => {
            "the credential that was promoted stopped logging in; the one before it does and is in use again. Find out who changed it"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Why; 9] = [
        Why::Away,
        Why::SetRefused,
        Why::NoLogin,
        Why::NotBack,
        Why::Unknown,
        Why::NotReturned,
        Why::NothingLogsIn,
        Why::NotRetired,
        Why::Returned,
    ];

    #[test]
    fn of_keys_on_hosts_nobody_is_told_of_passwords() {
        for why in ALL {
            let text = of_hosts(why);
            assert!(!text.contains("password") && !text.contains("administrator"), "{text}");
            // The command is said once, behind the rest, and only where it is of use.
            assert!(!text.contains("resume") && !of_a_target(why).contains("resume"), "{why:?}");
        }
    }

    #[test]
    fn while_it_turns_back_nothing_is_said_to_have_been_put_back() {
        for why in [Why::SetRefused, Why::NoLogin, Why::Returned] {
            let text = going_back(why).unwrap();
            assert!(text.contains("being") && !text.contains("was undone") && !text.contains("resume"), "{text}");
        }
    }
}
