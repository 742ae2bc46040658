//! What people look at before anything is signed: who is there, the machine, its program, the token, the time.

use std::path::{Path, PathBuf};

use ca::groups;
use policy::World;
use ring::digest::{SHA256, digest};

use super::script::{Script, Wants};
use crate::cmd::files;
use crate::failure::{Failure, OrFail};

/// The first steps of every ceremony.
pub fn opening(script: &mut Script, operators: &[String], quorum: usize) -> Result<(), Failure> {
    let here = operators.iter().map(|name| format!("- {name}")).collect::<Vec<_>>();
    let says = [vec!["These are the operators:".to_owned()], here, vec![format!("{quorum} of them have to confirm.")]];
    script.step("people", says.concat(), "Each of them is in the room, and was seen by the others", Wants::Yes)?;
    let says = vec!["Who watches and confirms nothing.".to_owned()];
    script.step("witness", says, "Names of the witnesses, or none", Wants::Words)?;
    apart(script)
}

/// The machine: nothing leads away from it, and its program is the one that was meant.
pub fn apart(script: &mut Script) -> Result<(), Failure> {
    script.step("network", networks(), "No cable is in, no radio is on", Wants::Yes)?;
    let program = std::env::current_exe().or_fail("this program cannot be found")?;
    let says = vec![
        format!("chancery {}", env!("CARGO_PKG_VERSION")),
        format!("SHA-256 of {}:", files::shown(&program)),
        groups(&file_sha256(&program)?),
    ];
    script.step("program", says, "It is the sum that was brought on paper", Wants::Yes)?;
    Ok(())
}

/// The token, and the time.
pub async fn token(script: &mut Script, module: &Path, pool: &hsm::Pool) -> Result<(), Failure> {
    let token = pool.describe().await.or_fail("cannot describe the token")?;
    let says = vec![
        format!("Token {}, serial {}, {} by {}", token.label, token.serial, token.model, token.manufacturer),
        format!("SHA-256 of its module {}:", files::shown(module)),
        groups(&file_sha256(module)?),
    ];
    script.step("token", says, "The serial is the one on the token's label and on its bag", Wants::Yes)?;
    let says = vec![format!("This machine says that it is {} (UTC).", World::real().now())];
    script.step("time", says, "Two clocks that came with two people say the same, within a minute", Wants::Yes)?;
    Ok(())
}

/// The hash that everybody reads and compares.
pub fn fingerprint(script: &mut Script, what: &str, sha256: &str) -> Result<(), Failure> {
    let says = vec![format!("SHA-256 of {what}:"), groups(sha256)];
    script.step("fingerprint", says, "One reads it aloud, the others wrote it down and read it back", Wants::Yes)?;
    Ok(())
}

/// SHA-256 of a file, in hexadecimal.
pub fn file_sha256(path: &Path) -> Result<String, Failure> {
    let mut context = ring::digest::Context::new(&SHA256);
    files::Input::open(path)?.pieces(|piece| context.update(piece))?;
    Ok(hex::encode(context.finish()))
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

/// The network interfaces of this machine, as the kernel shows them.
fn networks() -> Vec<String> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    let mut says = vec!["Network interfaces of this machine:".to_owned()];
    for path in found {
        let state = std::fs::read_to_string(path.join("operstate")).unwrap_or_default();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A loopback has no such state.
        let note = if state.trim() == "up" { ": A NETWORK, take it away first" } else { "" };
        says.push(format!("- {name}: {}{note}", state.trim()));
    }
    says
}
