//! `chancery ssh krl`: the list of revoked SSH certificates, into a file that sshd reads. Never an older one in a newer one's place: what it
//! lacks would let in again.

use std::cell::Cell;
use std::fmt;
use std::path::PathBuf;

use policy::Timestamp;
use serde_json::json;

use super::super::files::{self, Outputs, PUBLIC, Place, Standing};
use crate::Global;
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(clap::Args)]
pub(super) struct Krl {
    /// Where to write it; - is standard output. An earlier list makes room, and a file with nothing in it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace a file that is no such list, or a newer one
    #[arg(long)]
    force: bool,
    /// Say nothing of what is no failure, as where cron runs it
    #[arg(short, long)]
    quiet: bool,
}

/// How new a list is: its number, and when it was made, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    number: u64,
    made: u64,
}

impl Age {
    /// Of a list in the form of OpenSSH (PROTOCOL.krl): the magic, the format's version, the list's, its date.
    fn of(list: &[u8]) -> Option<Age> {
        let rest = list.strip_prefix(MAGIC)?;
        let (_format, rest) = rest.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (made, _) = rest.split_first_chunk::<8>()?;
        Some(Age { number: u64::from_be_bytes(*number), made: u64::from_be_bytes(*made) })
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = Timestamp::from_unix(i64::try_from(self.made).unwrap_or(i64::MAX));
        write!(f, "number {}, of {made}", self.number)
    }
}

pub(super) async fn run(args: Krl, global: &Global) -> Result<(), Failure> {
    let mut outputs = Outputs::new(args.force);
    let (place, there) = place(&args, &mut outputs)?;
    let list = global.client()?.get_bytes("/ssh/krl").await?;
    // sshd refuses everybody where it cannot read the list: what is none takes no list's place.
    let Some(new) = Age::of(&list) else {
        return Err(Failure::new(Exit::Failed, "the server's answer is no key revocation list: nothing was written"));
    };
    if let Some(there) = there.filter(|there| new < *there) {
        let says = format!(
            "the server's list ({new}) is older than the one in {} ({there}): nothing was written",
            files::shown(&args.out)
        );
        return Err(Failure::new(Exit::Refused, says).help(HELP));
    }
    let facts = [output::written_to(&place)];
    place.fill(&list)?;
    let report = json!({"written_to": args.out, "bytes": list.len(), "number": new.number});
    if global.json || !args.quiet {
        output::report(&outputs, &facts, &report, global.json);
    }
    Ok(())
}

/// Where it goes, and how new the list is that stands there; with --force nothing is asked of that.
fn place(args: &Krl, outputs: &mut Outputs) -> Result<(Place, Option<Age>), Failure> {
    let there = Cell::new(None);
    let is_list = |bytes: &[u8]| {
        there.set(Age::of(bytes));
        // One with nothing in it revokes nothing: a host has it from the day that it was set up, since sshd wants one.
        bytes.is_empty() || bytes.starts_with(MAGIC)
    };
    let place = outputs.place(&args.out, PUBLIC, Standing::Predecessor(&is_list))?;
    Ok((place, there.get()))
}

const MAGIC: &[u8] = b"SSHKRL\n\0";
const HELP: &str = "a node that was away has the newer one in a moment: ask again; where the service was put back to an older state, or the \
     file is of another service, see what is revoked there first, then --force";

#[cfg(test)]
mod tests {
    use super::*;

    fn list(number: u64, made: u64) -> Vec<u8> {
        [MAGIC, &[0, 0, 0, 1], &number.to_be_bytes(), &made.to_be_bytes(), b"the rest"].concat()
    }

    #[test]
    fn an_empty_file_makes_room_and_a_list_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("revoked_keys");
        let args = Krl { out: out.clone(), force: false, quiet: true };
        let there = |content: &[u8]| {
            std::fs::write(&out, content).unwrap();
            place(&args, &mut Outputs::new(false)).map(|(_, age)| age)
        };
        assert_eq!(there(b"").unwrap(), None);
        assert_eq!(there(&list(7, 5)).unwrap(), Some(Age { number: 7, made: 5 }));
        assert!(there(b"\n").is_err() && there(b"ssh-ed25519 AAAA").is_err());
    }

    #[test]
    fn how_new_a_list_is_is_said_with_a_date() {
        assert_eq!(Age { number: 7, made: 1_790_000_000 }.to_string(), "number 7, of 2026-09-21T14:13:20Z");
        assert_eq!(Age { number: 7, made: u64::MAX }.to_string(), "number 7, of 9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_list_is_older_by_its_number_and_then_by_its_date() {
        let age = |number, made| Age::of(&list(number, made)).unwrap();
        assert_eq!(age(7, 1_790_000_000), Age { number: 7, made: 1_790_000_000 });
        assert!(age(7, 5) < age(8, 5) && age(7, 9) < age(8, 5) && age(7, 5) < age(7, 6));
        for broken in [&b"SSHKRL\n"[..], b"no list", list(7, 5).get(..27).unwrap()] {
            assert_eq!(Age::of(broken), None);
        }
    }
}
