//! Which conf options a program knows: its own `-help -help-debug` says. Works offline; nothing is started.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use thiserror::Error;

/// The help is printed within a second; a program that takes longer did not understand `-help`.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a program that has printed its help may take to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// The longest help seen is 60 kB.
const MAX_HELP: u64 = 4 * 1024 * 1024;

/// Why the options of a program are unknown.
#[derive(Debug, Error)]
#[error("{}: the options that it knows cannot be found ({reason}); nothing was started. Check daemon.program in bursar.toml", program.display())]
pub struct OptionsUnknown {
    /// The program.
    pub program: PathBuf,
    /// What went wrong.
    pub reason: String,
}

/// The names of the options that `program` knows, without the dash. Options that a daemon does not know it ignores in a conf file, most
/// often in silence, so this is how a missing protection shows.
pub fn known_options(program: &Path) -> Result<BTreeSet<String>, OptionsUnknown> {
    let unknown = |reason: String| OptionsUnknown { program: program.to_owned(), reason };
    let help = help_of(program).map_err(unknown)?;
    let options = options_in(&help);
    if options.contains("datadir") {
        Ok(options)
    } else {
        Err(unknown("its -help lists no `-datadir`: is it a coin daemon?".to_owned()))
    }
}

fn help_of(program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(["-help", "-help-debug"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let help = read_in_time(&mut child);
    // Only a program that ignored -help still runs, be it with its output closed; it has been given no data directory of ours to harm.
    let began = Instant::now();
    while help.is_ok() && began.elapsed() < FAREWELL && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().map_err(|error| error.to_string())?;
    help
}

fn read_in_time(child: &mut Child) -> Result<String, String> {
    let Some(stdout) = child.stdout.take() else { return Err("it has no output".to_owned()) };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(MAX_HELP).read_to_end(&mut text);
        // The receiver is gone when the deadline passed; then nobody needs the text.
        let _ = sender.send(read.map(|_| String::from_utf8_lossy(&text).into_owned()));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not end within {} s", PATIENCE.as_secs())),
    }
}

/// Lines such as `  -rpcport=<port>` or `  -server`.
fn options_in(help: &str) -> BTreeSet<String> {
    let dashed = help.lines().filter_map(|line| line.trim_start().strip_prefix('-'));
    let name = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    dashed.map(name).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_the_dashed_words_that_start_a_line() {
        let help = "Options:\n\n  -?\n       Print this help message\n\n  -datadir=<dir>\n       Specify -data directory\n  -server\n -rpcauth=<userpw>\n";
        let options: Vec<String> = options_in(help).into_iter().collect();
        assert_eq!(options, ["datadir", "rpcauth", "server"]);
    }

    #[test]
    fn a_program_that_is_no_daemon_is_named() {
        let error = known_options(Path::new("/bin/true")).unwrap_err().to_string();
        assert!(error.contains("/bin/true") && error.contains("-datadir"), "{error}");
        assert!(known_options(Path::new("/nonexistent/coind")).unwrap_err().to_string().contains("No such file"));
    }
}
