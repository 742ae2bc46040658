//! Wrong usage, or a call for help, as clap words it.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

use crate::output;

/// Says it, as JSON where that was asked for, and how to end.
pub fn told(mut misuse: clap::Error) -> ExitCode {
    let code = u8::try_from(misuse.exit_code()).unwrap_or(2);
    if let Some(ContextValue::StyledStr(usage)) = misuse.get(ContextKind::Usage) {
        let usage = of_the_command(&usage.to_string());
        misuse.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
    }
    if misuse.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        output::say(&serde_json::json!({"error": misuse.render().to_string().trim_end(), "exit": code}).to_string());
    } else {
        match misuse.print() {
            // A closed pipe is the reader's choice, not our failure.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return ExitCode::FAILURE,
            Ok(()) | Err(_) => {}
        }
    }
    ExitCode::from(code)
}

/// A usage without what every command takes: clap shows such an option as needed wherever the environment sets it.
fn of_the_command(usage: &str) -> String {
    EVERYWHERE.iter().fold(usage.to_owned(), |usage, option| usage.replace(option, ""))
}

const EVERYWHERE: [&str; 4] =
    [" --config <FILE>", " --url <https://HOST:PORT>", " --cacert <FILE>", " --token-file <FILE>"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_shows_what_the_command_needs_and_not_what_all_take() {
        let usage = "Usage: chancery secret get --config <FILE> --cacert <FILE> --field <FIELD> <PATH>";
        assert_eq!(of_the_command(usage), "Usage: chancery secret get --field <FIELD> <PATH>");
        assert_eq!(of_the_command("Usage: chancery serve [OPTIONS]"), "Usage: chancery serve [OPTIONS]");
    }
}
