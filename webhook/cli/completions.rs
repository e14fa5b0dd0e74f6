//! `verdict completions`: what a shell needs to complete commands and flags.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, Ended, Failed, terminal};

/// For bash: `source <(verdict completions bash)` in ~/.bashrc. For zsh: `verdict completions zsh > _verdict` in a folder
/// of $fpath. For fish: `verdict completions fish > ~/.config/fish/completions/verdict.fish`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "verdict", &mut script);
    terminal::print_script(std::str::from_utf8(&script)?);
    Ok(Ended::Done)
}
