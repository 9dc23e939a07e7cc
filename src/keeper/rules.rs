//! What a keeper concludes from an answer, and what it leaves to nobody else. What a daemon's last words mean stands in `trouble.rs`.

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

/// The arguments that would take the process out of the keeper's hands, lead it to another chain or to other wallets, or open its RPC to more than the conf.
const KEEPERS_OWN_ARGUMENTS: &[&str] = &[
    "daemon",
    "daemonwait",
    "datadir",
    "conf",
    "server",
    "rpcport",
    "rpcbind",
    "rpcuser",
    "rpcpassword",
    "rpcauth",
    "rpcwhitelist",
    "rpcwhitelistdefault",
    "chain",
    "testnet",
    "testnet4",
    "signet",
    "regtest",
    "walletdir",
];

/// The first of `extra` that only the keeper may set.
pub(super) fn reserved_argument<'a>(extra: &[&'a str]) -> Option<&'a str> {
    extra.iter().copied().find(|argument| {
        let name = argument.trim_start_matches('-').split('=').next().unwrap_or_default();
        // `-regtest.rpcport=1` sets it for that chain, and `-norpcauth` takes it away.
        let name = name.rsplit('.').next().unwrap_or(name);
        [name, name.strip_prefix("no").unwrap_or(name)].iter().any(|name| KEEPERS_OWN_ARGUMENTS.contains(name))
    })
}

/// Whether `extra` has the daemon salvage its wallet, as 0.18 and older do.
pub(super) fn asks_to_salvage(extra: &[&str]) -> bool {
    extra.iter().any(|argument| argument.trim_start_matches('-').split('=').next() == Some("salvagewallet"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn an_order_to_salvage_is_known() {
        assert!(asks_to_salvage(&["-rescan", "-salvagewallet"]) && asks_to_salvage(&["--salvagewallet=1"]));
        assert!(!asks_to_salvage(&["-rescan", "-wallet=salvagewallet"]));
    }

    #[test]
    fn arguments_of_the_keeper_are_reserved() {
        assert_eq!(reserved_argument(&["-rescan", "-zapwallettxes=1"]), None);
        assert_eq!(reserved_argument(&["-rescan", "--datadir=/x"]), Some("--datadir=/x"));
        assert_eq!(reserved_argument(&["-daemon"]), Some("-daemon"));
        assert_eq!(reserved_argument(&["-confirm", "-nolisten", "-no", "-", "", "=", "."]), None);
        for argument in
            ["-norpcauth", "-regtest.rpcport=1", "-testnet", "-chain=main", "-noregtest", "-server=0", "-walletdir=/x"]
        {
            assert_eq!(reserved_argument(&[argument]), Some(argument));
        }
    }
}
