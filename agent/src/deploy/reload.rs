//! Runs the command that makes a service read its files again.
//!
//! An argument list, never a shell: nothing in a plan is interpreted twice. Bounded in time and in output; a command
//! that does not end in time is killed, and counts as failed.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::{AgentError, bounded};
use crate::plan::Reload;

/// Runs the command; `Ok` only if it ended in time with status 0.
pub(crate) async fn run(reload: &Reload) -> Result<(), AgentError> {
    run_told(reload, Telling::Said).await
}

/// What is told of a command's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Its first words.
    Said,
    /// Nothing: it reads secrets, and may print them.
    Nothing,
}

/// The same, and what it said is told or not.
pub(crate) async fn run_told(reload: &Reload, telling: Telling) -> Result<(), AgentError> {
    let failed = |why: String| AgentError::Reload(format!("{}: {why}", reload.program));
    let mut child = Command::new(&reload.program)
        .args(&reload.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C at the agent's terminal is for the agent, which finishes what it installs.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(format!("cannot be started: {e}")))?;
    let said = Said::default();
    let readers =
        [child.stdout.take().map(|pipe| said.listen(pipe)), child.stderr.take().map(|pipe| said.listen(pipe))];
    let ended = timeout(reload.timeout, child.wait()).await;
    if ended.is_err() {
        // Killed and collected; a child that outlives even that is init's.
        let _ = timeout(OUTPUT_WAIT, child.kill()).await;
    }
    // A process the command left behind may hold the pipes open for good: its words are not waited for.
    for reader in readers.into_iter().flatten() {
        let stop = reader.abort_handle();
        if timeout(OUTPUT_WAIT, reader).await.is_err() {
            stop.abort();
        }
    }
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(format!("{}{}", outcome(status), said.text(telling)))),
        Ok(Err(e)) => Err(failed(format!("cannot be waited for: {e}"))),
        Err(_) => Err(failed(format!("not done after {} s, killed{}", reload.timeout.as_secs(), said.text(telling)))),
    }
}

fn outcome(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with status {code}"),
        None => format!("ended by a signal ({status})"),
    }
}

/// The first words a command said, on either pipe.
#[derive(Default, Clone)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    /// Reads a pipe to its end, so that the command never blocks on it, and keeps the beginning.
    fn listen(&self, mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<()> {
        let kept = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
                kept.extend(buffer.iter().take(count.min(room)));
            }
        })
    }

    fn text(&self, telling: Telling) -> String {
        if telling == Telling::Nothing {
            return "; what it said is not kept, as it may hold values: run it by hand".to_owned();
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bounded(&String::from_utf8_lossy(&kept), OUTPUT_BYTES_MAX) {
            text if text.is_empty() => text,
            text => format!(", said: {text}"),
        }
    }
}

/// Most output kept: a screenful for the status file.
const OUTPUT_BYTES_MAX: usize = 1_000;
/// How long a finished command's last words may take to arrive.
const OUTPUT_WAIT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str, secs: u64) -> Reload {
        Reload {
            program: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            timeout: Duration::from_secs(secs),
        }
    }

    async fn why(reload: Reload) -> String {
        run(&reload).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn status_zero_is_the_only_success() {
        run(&sh("exit 0", 5)).await.unwrap();
        let why = why(sh("echo so sorry >&2; exit 3", 5)).await;
        assert!(why.contains("status 3") && why.contains("so sorry"), "{why}");
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed() {
        let start = Instant::now();
        let why = why(sh("echo still here; exec sleep 600", 1)).await;
        assert!(why.contains("killed") && why.contains("still here"), "{why}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_flood_of_output_is_read_and_not_kept() {
        run(&sh("head -c 3000000 /dev/zero", 30)).await.unwrap();
        let why = why(sh("head -c 3000000 /dev/zero | tr '\\0' x; exit 1", 30)).await;
        assert!(why.len() < 2 * OUTPUT_BYTES_MAX, "{}", why.len());
    }

    #[tokio::test]
    async fn a_process_left_behind_does_not_hold_the_agent_up() {
        let start = Instant::now();
        run(&sh("sleep 20 & exit 0", 10)).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_process_left_behind_by_a_killed_command_is_not_listened_to_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("left");
        // The one left behind talks until nobody listens.
        let talk = "trap '' PIPE; while echo still here; do sleep 0.05; done";
        let script = format!("({talk}; : > {}) 2>/dev/null & exec sleep 600", left.display());
        assert!(why(sh(&script, 1)).await.contains("killed"));
        tokio::time::timeout(Duration::from_secs(60), async {
            while !left.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("nobody listens any more");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_says_so() {
        let reload =
            Reload { program: "/nonexistent/reload".to_owned(), args: vec![], timeout: Duration::from_secs(1) };
        assert!(why(reload).await.contains("cannot be started"));
    }
}
