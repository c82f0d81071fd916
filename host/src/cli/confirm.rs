//! Asking before something is gone for good.

use std::io::{self, IsTerminal, Write};

use clap::Args;

use super::failure::Failure;

/// The option of every command that asks.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Confirm {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Confirm {
    /// Goes on only if the person says so. Where nobody can be asked, `--yes` must say so.
    pub(super) fn ask(self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!("{question} Say --yes: there is nobody to ask")));
        }
        eprint!("{question} [y/N] ");
        io::stderr().flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::failed("nothing was done")),
        }
    }
}
