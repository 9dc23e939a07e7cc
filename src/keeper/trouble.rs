//! What a daemon's last words mean, and whether starting it again can help. Pure.
//!
//! Texts are those of the daemons themselves: Bitcoin Core and Litecoin Core 0.18 and 0.21, Bitcoin Knots 29, Peercoin 0.15; each was seen.

use std::fmt;

/// A known kind of end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A salvage failed, after which 0.18 and older may have put a partial wallet in place of the damaged one.
    WalletSwapped,
    /// The wallet file is damaged.
    WalletDamaged,
    /// A SQLite wallet cannot be locked: another daemon has it open, or it is damaged (Knots says the same of both).
    WalletHeld,
    /// A newer daemon has written the wallet.
    WalletTooNew,
    /// The wallet is of a kind that this program was built without.
    WalletUnsupported,
    /// The wallet belongs to another chain or coin.
    OtherChainsWallet,
    /// Block index or chain state is damaged; the wallet is not.
    ChainDamaged,
    /// The chain data was made with other settings.
    ChainOfOtherSettings,
    /// The program stopped at a check of its own.
    FailedAssertion,
    /// No space is left on the disk.
    DiskFull,
    /// The RPC server cannot start.
    RpcPortTaken,
    /// The peer-to-peer port is not free.
    PeerPortTaken,
    /// Another daemon works on the data directory.
    FolderLocked,
    /// A line of the conf is refused.
    BadConf,
    /// A command line argument is refused.
    BadArgument,
    /// `settings.json` is damaged.
    SettingsDamaged,
    /// `peers.dat` is damaged.
    PeersDamaged,
    /// The program cannot be loaded.
    BadProgram,
    /// It got no memory.
    OutOfMemory,
    /// Signal 9, which bursar did not send.
    Killed,
    /// A signal of its own making, and no word about why.
    Crashed,
}

use Trouble::*;

/// What is said, and what that means. The first text that a line holds decides, so the special stand before the general.
const TEXTS: &[(&str, Trouble)] = &[
    ("salvage failed", WalletSwapped),
    ("Disk space is", DiskFull),
    ("No space left on device", DiskFull),
    ("bad_alloc", OutOfMemory),
    ("Out of memory", OutOfMemory),
    ("Wallet requires newer version", WalletTooNew),
    ("should not be reused across chains", OtherChainsWallet),
    ("Build does not support", WalletUnsupported),
    ("Unable to obtain an exclusive lock on the database", WalletHeld),
    ("allet corrupt", WalletDamaged),
    ("corrupt. Try using the wallet tool", WalletDamaged),
    ("Data is not in recognized format", WalletDamaged),
    ("to verify database", WalletDamaged),
    ("disk image is malformed", WalletDamaged),
    ("Error loading wallet", WalletDamaged),
    ("You need to rebuild the database using -reindex", ChainOfOtherSettings),
    ("Please restart with -reindex", ChainDamaged),
    ("Corrupted block database detected", ChainDamaged),
    ("ing block database", ChainDamaged),
    ("ing coins database", ChainDamaged),
    ("Fatal LevelDB error", ChainDamaged),
    ("Cannot obtain a lock on", FolderLocked),
    ("is in use by another daemon", FolderLocked), // bursar's own look before a start
    ("Unable to start HTTP server", RpcPortTaken),
    ("RPC port", RpcPortTaken), // bursar's own look before a start, and after it
    ("Unable to bind to", PeerPortTaken),
    ("Failed to listen on any port", PeerPortTaken),
    ("Unable to parse settings file", SettingsDamaged),
    ("Settings file could not be read", SettingsDamaged),
    ("corrupt peers.dat", PeersDamaged),
    ("Error parsing command line arguments", BadArgument),
    ("-zapwallettxes", BadArgument),
    ("Error reading configuration file", BadConf),
    ("Failed to include configuration file", BadConf),
    ("specified config file", BadConf),
    ("cannot be set in the configuration file", BadConf),
    ("only applied on", BadConf),
    ("Invalid combination of -", BadConf),
    ("Invalid port specified in -", BadConf),
    ("Invalid amount for -", BadConf),
    ("Invalid -", BadConf),
    ("must be at least the minrelay fee", BadConf),
    ("error while loading shared libraries", BadProgram),
    ("symbol lookup error", BadProgram),
    ("Exec format error", BadProgram),
    // bursar's own look before a start
    ("No such file or directory (os error 2); check daemon.program", BadProgram),
    ("Permission denied (os error 13); check daemon.program", BadProgram),
    ("is it a coin daemon?", BadProgram),
    ("Assertion", FailedAssertion),
];

/// A warning is said by a daemon that goes on. The one exception is a failed salvage, which ends it, however it is put.
const WARNING: &str = "Warning:";

/// The first words of a daemon that runs with what it could save of a damaged wallet (0.18 and older).
const SALVAGED: &str = "data salvaged";

impl Trouble {
    /// What to do about it.
    pub fn next(self) -> &'static str {
        match self {
            WalletSwapped => "do not start it again: copy the whole wallet folder, then `bursar repair plan`",
            WalletDamaged => "do not start it again: `bursar repair plan`",
            WalletHeld => "see whether another daemon has it open and stop that one; if none has, `bursar repair plan`",
            WalletTooNew => "use that version again, or a backup from before; nothing was changed",
            WalletUnsupported => "use a daemon that was built with it, as the one before; nothing was changed",
            OtherChainsWallet => "bring back the wallet of this coin and chain, or set wallet.name to it; nothing was changed",
            ChainDamaged => {
                "`bursar daemon start --with=-reindex-chainstate`; if that fails, `--with=-reindex`, which reads all blocks again and takes long"
            }
            ChainOfOtherSettings => {
                "take the setting back (pruning, indexes), or `bursar daemon start --with=-reindex`, which takes long"
            }
            FailedAssertion => {
                "look at its debug.log; when it stops there at each start, its block index is damaged: `bursar daemon start --with=-reindex`"
            }
            DiskFull => "free some space, then `bursar daemon start`",
            RpcPortTaken => {
                "stop what uses the port, or set another daemon.rpc_port; if nothing does, the daemon's debug.log names the conf line that it refuses"
            }
            PeerPortTaken => "stop what uses the port, or set another daemon.p2p_port",
            FolderLocked => "stop the other daemon first",
            BadConf => "`bursar render` writes the conf anew; where the value is one of bursar.toml, mend it there",
            BadArgument => "leave the argument out: this daemon's version does not take it",
            SettingsDamaged => {
                "move settings.json of the chain's folder out of the way; which wallets load at start is then forgotten"
            }
            PeersDamaged => "move peers.dat of the chain's folder out of the way: it is made anew",
            BadProgram => "install the daemon again, whole, and for this machine; daemon.program names it",
            OutOfMemory => "give the host more memory, or set a smaller daemon.dbcache_mib",
            Killed => {
                "ask the kernel's log: it kills the largest program when memory runs out; then more memory, or a smaller daemon.dbcache_mib"
            }
            Crashed => {
                "look at the end of its debug.log, and at the free space on its disk: older daemons crash when that runs out"
            }
        }
    }

    /// Whether it may go away by itself, so that another start is worth trying.
    pub fn may_pass(self) -> bool {
        match self {
            DiskFull | RpcPortTaken | PeerPortTaken | FolderLocked | OutOfMemory | Killed | Crashed | FailedAssertion => true,
            WalletSwapped | WalletDamaged | WalletHeld | WalletTooNew | WalletUnsupported | OtherChainsWallet => false,
            ChainDamaged | ChainOfOtherSettings | BadConf | BadArgument | SettingsDamaged | PeersDamaged | BadProgram => false,
        }
    }

    /// Whether a program that died of a signal can have said this as its reason. A taken peer port, for one, is an error that 0.21 goes on with.
    fn ends_by_signal(self) -> bool {
        matches!(self, WalletSwapped | ChainDamaged | FailedAssertion | DiskFull | BadConf | OutOfMemory)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WalletSwapped => "the wallet file was damaged, and the daemon may have replaced it by a partial one",
            WalletDamaged => "the wallet file is damaged",
            WalletHeld => "the wallet is open in another daemon, or its file is damaged",
            WalletTooNew => "a newer daemon has written this wallet",
            WalletUnsupported => "this program was built without this kind of wallet file",
            OtherChainsWallet => "this wallet file belongs to another coin or chain",
            ChainDamaged => "the chain data is damaged, the wallet is not",
            ChainOfOtherSettings => "the chain data was made with other settings",
            FailedAssertion => "the daemon stopped at a failed check of its own",
            DiskFull => "the disk is full",
            RpcPortTaken => "the RPC server cannot start: its port is taken, or a line of the conf about it is refused",
            PeerPortTaken => "the peer-to-peer port is taken",
            FolderLocked => "another daemon uses this data directory",
            BadConf => "the conf file is refused",
            BadArgument => "the daemon does not take an argument",
            SettingsDamaged => "settings.json is damaged",
            PeersDamaged => "peers.dat is damaged",
            BadProgram => "the program cannot be loaded",
            OutOfMemory => "the daemon got no memory",
            Killed => "it was killed, and not by bursar: perhaps the kernel did it, out of memory",
            Crashed => "the daemon crashed without a word",
        })
    }
}

/// The trouble that these last lines tell of; none: unknown. The last line that tells of one decides, but a full disk or no memory is the
/// cause of whatever else fails (Knots then says that it cannot initialize its block database), and a failed salvage is worse than all.
pub fn recognise(last_lines: &[String]) -> Option<Trouble> {
    if line_about(last_lines, WalletSwapped).is_some() {
        return Some(WalletSwapped);
    }
    let told = || last_lines.iter().rev().filter(|line| !line.starts_with(WARNING)).filter_map(|line| told_by(line));
    told().find(|trouble| matches!(trouble, DiskFull | OutOfMemory)).or_else(|| told().next())
}

/// The same of an end with its status, in the words of the keeper: a daemon that dies of a signal has often said nothing.
pub fn diagnose(status: &str, last_lines: &[String]) -> Option<Trouble> {
    let said = recognise(last_lines);
    let Some(signal) = status.strip_prefix("ended by signal ") else { return said };
    match signal {
        // It had no time to say why, so whatever stands there is about something else.
        "9" => said.filter(|trouble| *trouble == WalletSwapped).or(Some(Killed)),
        "4" | "6" | "7" | "8" | "11" => said.filter(|trouble| trouble.ends_by_signal()).or(Some(Crashed)),
        _ => said,
    }
}

/// The line that tells of this trouble.
pub(super) fn line_about(last_lines: &[String], trouble: Trouble) -> Option<&str> {
    last_lines.iter().map(String::as_str).find(|line| told_by(line) == Some(trouble))
}

/// A line that says that the daemon runs with what it could save of a damaged wallet (0.18 and older).
pub(super) fn salvaged_wallet(last_lines: &[String]) -> Option<&str> {
    last_lines.iter().map(String::as_str).find(|line| line.contains(SALVAGED))
}

/// The last line that says why, for a person: the one that tells of the trouble, else the last one at all.
pub(super) fn telling_line(last_lines: &[String], trouble: Option<Trouble>) -> Option<&str> {
    let about = trouble.and_then(|trouble| last_lines.iter().rev().find(|line| told_by(line) == Some(trouble)));
    about.or(last_lines.last()).map(String::as_str)
}

/// The last words, what they mean and the next step, as one text for an error.
pub(super) fn reason(status: &str, last_lines: &[String]) -> String {
    let words =
        if last_lines.is_empty() { "it printed nothing; look at its debug.log".to_owned() } else { last_lines.join(" / ") };
    match diagnose(status, last_lines) {
        Some(trouble) => format!("{}. {trouble}. Next: {}", words.trim_end_matches('.'), trouble.next()),
        None => words,
    }
}

fn told_by(line: &str) -> Option<Trouble> {
    TEXTS.iter().find(|(text, _)| line.contains(text)).map(|(_, trouble)| *trouble)
}

#[cfg(test)]
mod tests;
