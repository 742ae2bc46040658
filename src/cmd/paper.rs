//! `chancery completion` and `chancery man`: what shells and man read of the command line, made from the command line itself.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Command, Parser};
use clap_complete::Shell;

use super::files::{self, Folder, Outputs, PUBLIC, Standing};
use crate::failure::{Failure, OrFail};
use crate::output;

/// What `completion --help` says after the flags.
pub const COMPLETION: &str = "\
Examples:
  chancery completion bash \\
    > ~/.local/share/bash-completion/completions/chancery
  chancery completion zsh > ~/.zfunc/_chancery
  chancery completion fish > ~/.config/fish/completions/chancery.fish";

/// What `man --help` says after the flags.
pub const MAN: &str = "\
Example:
  chancery man --out ~/.local/share/man/man1";

#[derive(Parser)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

#[derive(Parser)]
pub struct Man {
    /// Folder for chancery.1, chancery-issue.1 and the others
    #[arg(long)]
    out: PathBuf,
    /// Replace pages that are there
    #[arg(long)]
    force: bool,
}

/// Runs `chancery completion`.
pub fn complete(args: &Completion, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "chancery", &mut script);
    let script = String::from_utf8(script).or_fail("the script is not text")?;
    output::line(script.trim_end());
    Ok(())
}

/// Runs `chancery man`.
pub fn manual(args: &Man, command: Command) -> Result<(), Failure> {
    let _folder = Folder::take(&args.out)?;
    let mut pages = Vec::new();
    // `flatten`ed names (chancery-issue-tls) come with the built command.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    collect(&command, &mut pages)?;
    let mut outputs = Outputs::new(args.force);
    let mut places = Vec::new();
    for (name, page) in &pages {
        places.push((outputs.place(&args.out.join(name), PUBLIC, Standing::Forced)?, page));
    }
    for (place, page) in places {
        place.fill(page)?;
    }
    output::line(format!("{} pages in {}", pages.len(), files::shown(&args.out)));
    Ok(())
}

/// A page with its examples as they are typed: man fills and aligns what it is not told to leave alone.
fn render(man: &clap_mangen::Man, command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    let Some(text) = command.get_after_help().map(ToString::to_string) else { return Ok(()) };
    writeln!(page, ".SH EXAMPLES AND NOTES")?;
    for part in text.lines() {
        let line = part.replace('\\', "\\e").replace('-', "\\-");
        match part.chars().next() {
            None => writeln!(page, ".PP")?,
            Some(' ') => writeln!(page, ".nf\n{line}\n.fi")?,
            // A line that begins so would be a command.
            Some('.' | '\'') => writeln!(page, "\\&{line}")?,
            Some(_) => writeln!(page, "{line}")?,
        }
    }
    Ok(())
}

fn collect(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    render(&man, command, &mut page).or_fail("a page cannot be made")?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().filter(|one| !one.is_hide_set()).try_for_each(|one| collect(one, pages))
}
