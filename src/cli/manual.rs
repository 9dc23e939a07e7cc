//! The manual pages and the shells' completions, made from the arguments themselves.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};

use super::args::Cli;

/// Completions for one shell.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "bursar", &mut text);
    text
}

/// The page `bursar(1)`.
pub(super) fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    render(&command)
}

/// Every page, and completions of the shells in use, by their paths below the root.
pub(super) fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let mut command = Cli::command();
    command.build();
    let mut files = Vec::new();
    pages(&command, &mut files);
    let shells = [
        ("usr/share/bash-completion/completions/bursar", Shell::Bash),
        ("usr/share/zsh/vendor-completions/_bursar", Shell::Zsh),
        ("usr/share/fish/vendor_completions.d/bursar.fish", Shell::Fish),
    ];
    files.extend(shells.map(|(path, shell)| (path.into(), completions(shell))));
    files
}

/// The page of a verb and of each verb below it. A page that cannot be rendered is left out: writing into memory does not fail.
fn pages(command: &Command, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let name = command.get_display_name().unwrap_or("bursar");
    let path = Path::new("usr/share/man/man1").join(format!("{name}.1"));
    files.extend(render(command).map(|page| (path, page)));
    command.get_subcommands().filter(|verb| verb.get_name() != "help").for_each(|verb| pages(verb, files));
}

fn render(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}
