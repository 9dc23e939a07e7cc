//! What a keeper concludes from an answer, or from a daemon's last words. Texts are those of the daemons themselves: Bitcoin Core
//! and Litecoin Core 0.18 and 0.21, Bitcoin Knots 29, Peercoin 0.15.

use crate::daemon::RpcError;

/// What the answer to a harmless first call says of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It answered our password.
    Ready,
    /// It is ours and says what it is busy with (code -28).
    WarmingUp(String),
    /// Nothing yet.
    Silent,
    /// Somebody else answers there: our fresh password is refused.
    NotOurs,
}

/// Reads the answer to a first call.
pub(super) fn readiness(answer: Result<(), &RpcError>) -> Readiness {
    match answer {
        Ok(()) => Readiness::Ready,
        Err(RpcError::Daemon { code: -28, message, .. }) => Readiness::WarmingUp(message.clone()),
        Err(RpcError::Http { status: 401 | 403, .. }) => Readiness::NotOurs,
        Err(_) => Readiness::Silent,
    }
}

/// The arguments that would take the process out of the keeper's hands.
const KEEPERS_OWN_ARGUMENTS: &[&str] =
    &["daemon", "daemonwait", "datadir", "conf", "rpcport", "rpcbind", "rpcuser", "rpcpassword", "rpcauth"];

/// The first of `extra` that only the keeper may set.
pub(super) fn reserved_argument<'a>(extra: &[&'a str]) -> Option<&'a str> {
    let name = |argument: &'a str| argument.trim_start_matches('-').split('=').next().unwrap_or_default();
    extra.iter().copied().find(|argument| KEEPERS_OWN_ARGUMENTS.contains(&name(argument)))
}

/// A line that says that the daemon may have put a partial wallet in place of a damaged one (0.18 and older): the next plain start
/// would come up with it and look healthy.
pub(super) fn swapped_wallet(last_lines: &[String]) -> Option<&str> {
    last_lines.iter().map(String::as_str).find(|line| line.contains("salvage failed"))
}

/// A line that says that the daemon runs with what it could save of a damaged wallet (0.18 and older).
pub(super) fn salvaged_wallet(last_lines: &[String]) -> Option<&str> {
    last_lines.iter().map(String::as_str).find(|line| line.contains("data salvaged"))
}

const REPAIR: &str = "the wallet file is damaged: do not start again, run `bursar repair plan`";

/// Known last words, and what to do about each. The first that fits is used, so the special stand before the general.
const HINTS: &[(&str, &str)] = &[
    ("Cannot obtain a lock on", "another daemon uses this data directory: stop that one first"),
    ("Unable to bind to", "the peer-to-peer port is taken: stop what uses it, or set another daemon.p2p_port"),
    ("Failed to listen on any port", "the peer-to-peer port is taken: stop what uses it, or set another daemon.p2p_port"),
    ("Unable to start HTTP server", "the RPC port is taken or the conf's RPC lines are refused: its debug.log says which"),
    (
        "salvage failed",
        "the wallet file is damaged, and the daemon may have replaced it by a partial one: do not start again, run `bursar repair plan`",
    ),
    (
        "Please restart with -reindex",
        "the chain data is damaged, the wallet is not: start once with -reindex-chainstate; if that fails, with -reindex",
    ),
    ("Wallet requires newer version", "a newer daemon has written this wallet: use that version, or a backup from before"),
    ("should not be reused across chains", "this wallet file belongs to another coin or chain"),
    (
        "Unable to obtain an exclusive lock on the database",
        "the wallet is open in another daemon, or its file is damaged: if no other daemon runs, `bursar repair plan`",
    ),
    ("Unable to parse settings file", "settings.json in the chain folder is damaged: move it out of the way"),
    ("Settings file could not be read", "settings.json in the chain folder is damaged: move it out of the way"),
    ("corrupt peers.dat", "peers.dat in the chain folder is damaged: move it out of the way, it will be made anew"),
    ("Disk space is", "the disk is full: free some space before starting again"),
    ("allet corrupt", REPAIR),
    ("corrupt. Try using the wallet tool", REPAIR),
    ("Data is not in recognized format", REPAIR),
    ("to verify database", REPAIR),
    ("disk image is malformed", REPAIR),
    ("Error loading wallet", REPAIR),
    ("Error parsing command line arguments", "this daemon does not know the argument"),
    ("Error reading configuration file", "the conf file is refused: `bursar render` writes it anew"),
    ("only applied on", "the conf file is refused: `bursar render` writes it anew"),
    ("Invalid combination of -regtest", "two chains are chosen at once: look for regtest= and testnet= in the conf file"),
    ("error while loading shared libraries", "the daemon's installation is incomplete"),
    ("Assertion", "the daemon stopped at a failed check, often damaged chain data: start once with -reindex"),
];

/// What to do about a daemon's last words, where they are known.
pub(super) fn hint(last_lines: &[String]) -> Option<&'static str> {
    let said = |text: &str| last_lines.iter().any(|line| line.contains(text));
    HINTS.iter().find(|(text, _)| said(text)).map(|(_, hint)| *hint)
}

/// The last words and the next step, as one text for an error.
pub(super) fn reason(last_lines: &[String]) -> String {
    let words =
        if last_lines.is_empty() { "it printed nothing; look at its debug.log".to_owned() } else { last_lines.join(" / ") };
    match hint(last_lines) {
        Some(hint) => format!("{words}. Next: {hint}"),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn known_last_words_have_a_next_step() {
        let cases = [
            ("Error: Cannot obtain a lock on data directory /x. Litecoin Core is probably already running.", "stop that one"),
            ("Error: wallet.dat corrupt, salvage failed", "partial one"),
            (
                "Error: \"/x/wallet.dat\" corrupt. Try using the wallet tool bitcoin-wallet to salvage or restoring a backup.",
                "repair",
            ),
            ("SQLiteDatabase: Failed to execute statement to verify database: database disk image is malformed", "repair"),
            ("Error: Failed to load database path '/x'. Data is not in recognized format.", "repair"),
            (
                ": Error opening block database.\nPlease restart with -reindex or -reindex-chainstate to recover.",
                "the wallet is not",
            ),
            ("Error: Error: Disk space is low!", "disk is full"),
            ("Error: Disk space is too low!", "disk is full"),
            ("Error: Failed loading settings file:\n- Unable to parse settings file /x/settings.json", "settings.json"),
            ("Error: Error parsing command line arguments: Invalid parameter -bogus", "argument"),
            ("Error loading : Wallet corrupted", "repair"),
        ];
        for (said, next) in cases {
            assert!(hint(&lines(said)).is_some_and(|hint| hint.contains(next)), "{said}");
        }
        assert_eq!(hint(&lines("something new")), None);
        assert!(reason(&[]).contains("debug.log"));
    }

    #[test]
    fn only_a_failed_salvage_makes_the_wallet_suspect() {
        assert!(swapped_wallet(&lines("Error: wallet.dat corrupt, salvage failed")).is_some());
        let salvaged = lines("Warning: Wallet file corrupt, data salvaged! Original wallet.dat saved as wallet.dat.1.bak");
        assert!(swapped_wallet(&salvaged).is_none());
        assert!(salvaged_wallet(&salvaged).is_some());
    }

    #[test]
    fn a_refused_password_means_somebody_else_answers() {
        let http = |status| RpcError::Http { method: "m".to_owned(), status, body: String::new() };
        let daemon = |code| RpcError::Daemon { method: "m".to_owned(), code, message: "Loading wallet...".to_owned() };
        assert_eq!(readiness(Ok(())), Readiness::Ready);
        assert_eq!(readiness(Err(&http(401))), Readiness::NotOurs);
        assert_eq!(readiness(Err(&http(503))), Readiness::Silent);
        assert_eq!(readiness(Err(&daemon(-28))), Readiness::WarmingUp("Loading wallet...".to_owned()));
        assert_eq!(readiness(Err(&daemon(-1))), Readiness::Silent);
    }

    #[test]
    fn arguments_of_the_keeper_are_reserved() {
        assert_eq!(reserved_argument(&["-rescan", "-zapwallettxes=1"]), None);
        assert_eq!(reserved_argument(&["-rescan", "--datadir=/x"]), Some("--datadir=/x"));
        assert_eq!(reserved_argument(&["-daemon"]), Some("-daemon"));
        assert_eq!(reserved_argument(&["-confirm"]), None);
    }
}
