//! Shares on their way in: typed by one holder after another, unseen unless he wants to see it, or a line each from a pipe.

use std::io::{self, BufRead, Read, Write};

use secrets::recovery::{Gathering, RecoveryKey, RecoveryPrivate, SHARE_CHARACTERS, ShareError};
use zeroize::Zeroizing;

use crate::cmd::secret::typed;
use crate::failure::{Exit, Failure, OrFail};
use crate::output;

/// A share that somebody types: as it stands on the paper, in one line or in several, the spaces as he likes. It ends when it is long enough,
/// or with an empty line; what does not begin as a share does is one line. None at the end of what is piped.
pub fn typed(prompt: &str, is_shown: bool) -> Result<Option<Zeroizing<String>>, Failure> {
    let mut share = Zeroizing::new(String::with_capacity(SHARE_BYTES_MAX));
    loop {
        let line = line(if share.is_empty() { prompt } else { GOES_ON }, is_shown)?;
        let Some(line) = line else { return Ok((!share.is_empty()).then_some(share)) };
        match (line.trim().is_empty(), share.is_empty()) {
            (true, false) => return Ok(Some(share)),
            (true, true) => continue,
            (false, _) => {}
        }
        share.push_str(&line);
        let characters = share.chars().filter(|c| c.is_ascii_alphanumeric()).count();
        let begins = share.trim_start().get(..BEGINNING.len()).is_some_and(|text| text.eq_ignore_ascii_case(BEGINNING));
        if !begins || characters >= SHARE_CHARACTERS || share.len() + LINE_BYTES_MAX > SHARE_BYTES_MAX {
            return Ok(Some(share));
        }
    }
}

/// A line of it; none at the end.
fn line(prompt: &str, is_shown: bool) -> Result<Option<Zeroizing<String>>, Failure> {
    if typed::is_terminal() && !is_shown {
        let bytes = typed::unseen(prompt)?;
        let text = std::str::from_utf8(&bytes).map(str::to_owned).map(Zeroizing::new);
        return text.map(Some).or_fail("what was typed is no text");
    }
    if typed::is_terminal() {
        let mut err = io::stderr().lock();
        let _ = write!(err, "{prompt}").and_then(|()| err.flush());
    }
    let mut line = Zeroizing::new(String::with_capacity(LINE_BYTES_MAX));
    let read = io::stdin().lock().take(LINE_BYTES_MAX as u64).read_line(&mut line).or_fail("no share can be read")?;
    Ok((read > 0).then_some(line))
}

/// The private half, of as many shares as it takes. At a terminal a share that is refused is asked for again; of a pipe it ends the command.
pub fn gathered(key: &RecoveryKey, is_shown: bool) -> Result<RecoveryPrivate, Failure> {
    let mut gathering = Gathering::of(key.clone());
    let mut refused = 0;
    while gathering.missing() > 0 {
        let (number, of) = (gathering.numbers().count() + 1, key.threshold());
        let prompt = format!("Share {number} of the {of} that are needed: ");
        let Some(share) = typed(&prompt, is_shown)? else { return Err(too_few(key, &gathering)) };
        match gathering.take(&share) {
            Ok(taken) => output::say(&format!(
                "share {} is good; {}",
                taken.number,
                match taken.missing {
                    0 => "these are enough".to_owned(),
                    missing => format!("{missing} more needed"),
                }
            )),
            Err(why) if typed::is_terminal() && refused < REFUSED_MAX => {
                refused += 1;
                output::say(&format!("not taken: {why}. {}", what_to_do(&why)));
            }
            Err(why) => return Err(refusal(&why)),
        }
    }
    gathering.join().map_err(|error| {
        Failure::new(Exit::Refused, "the shares do not open this register").because(&error).help(
            "stop: find a backup whose recovery key has the fingerprint that stands on the papers (docs/RECOVERY.md)",
        )
    })
}

fn too_few(key: &RecoveryKey, gathering: &Gathering) -> Failure {
    let (there, missing) = (gathering.numbers().count(), gathering.missing());
    let says = format!("{there} good shares are too few: {missing} more of {} are needed", key.shares());
    Failure::new(Exit::Refused, says).help("nothing was changed; give the same command when enough holders are there")
}

/// Why a share is not taken, and what its holder does.
pub fn refusal(why: &ShareError) -> Failure {
    Failure::new(Exit::Refused, format!("a share is not taken: {why}")).help(what_to_do(why))
}

fn what_to_do(why: &ShareError) -> &'static str {
    match why {
        ShareError::Foreign
        | ShareError::Character { .. }
        | ShareError::Length { .. }
        | ShareError::Mistyped { .. } => "Compare it with the paper, group by group, and type it again",
        ShareError::Newer => "Use a newer version of this program",
        ShareError::OtherSet { .. } => {
            "It is an older paper, or another register's: look at the line above the share on the paper"
        }
        ShareError::Twice { .. } | ShareError::OtherNumber { .. } => "Another holder's share is wanted",
        ShareError::Impossible | ShareError::NoSuch { .. } | ShareError::Gone { .. } | ShareError::Wrong { .. } => {
            "Set it aside and use another holder's; then compare the fingerprint on the papers with that of the register's key"
        }
    }
}

/// How a share begins.
const BEGINNING: &str = "CHY1";
const GOES_ON: &str = "and on: ";
/// A share has under a hundred characters, with blanks in between; a line that is longer is none.
const LINE_BYTES_MAX: usize = 512;
/// So much is kept of what somebody types for one.
const SHARE_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;
/// So many slips are forgiven at a terminal.
const REFUSED_MAX: u32 = 20;
