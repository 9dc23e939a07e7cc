//! How long each RPC method may take, and how long an answer may be.

use std::time::Duration;

/// Loopback accepts at once or not at all; a full accept queue needs a moment.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One thing is asked. A wallet that is busy (a send with 2,500 coins took 1.3 s) is still well below.
const QUICK: Duration = Duration::from_secs(30);
/// The answer grows with the wallet, or the call holds the wallet for long.
const SLOW: Duration = Duration::from_secs(300);
/// A file is written or read as a whole.
const FILE: Duration = Duration::from_secs(600);
/// All coins or all blocks are looked at.
const SCAN: Duration = Duration::from_secs(3600);
/// The whole chain is searched.
const RESCAN: Duration = Duration::from_secs(24 * 3600);

/// Answers are at most this long, in bytes: none of the small ones comes near it, and a broken daemon cannot fill our memory.
const MAX_ANSWER: u64 = 100_000_000;
/// Listings are at most this long, in bytes: an entry takes 400 to 900, and a wallet of ten busy years has a million.
const MAX_LISTING: u64 = 1_000_000_000;
/// An element of a listing that is read as it comes is at most this long, in bytes; the listing itself may have any length. An entry takes 400 to 900;
/// comments are a person's, and short.
const MAX_ELEMENT: u64 = 4_000_000;

/// Deadlines and sizes of the transport.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The same deadline for all methods instead of the table; none: the table.
    pub deadline: Option<Duration>,
    /// The same size for all answers in bytes instead of the table; none: the table.
    pub max_body: Option<u64>,
}

impl Limits {
    /// Patience until the connection stands.
    pub(super) fn connect_timeout(&self, method: &str) -> Duration {
        CONNECT_TIMEOUT.min(self.deadline(method))
    }

    /// Patience until the whole answer is here, from the start of the call.
    pub(super) fn deadline(&self, method: &str) -> Duration {
        self.deadline.unwrap_or_else(|| deadline_of(method))
    }

    /// The longest answer, in bytes.
    pub(super) fn max_body(&self, method: &str) -> u64 {
        let table = if method.starts_with("list") { MAX_LISTING } else { MAX_ANSWER };
        self.max_body.unwrap_or(table)
    }

    /// The longest element of an answer that is read as it comes, in bytes.
    pub(super) fn max_element(&self) -> u64 {
        self.max_body.unwrap_or(MAX_ELEMENT)
    }
}

fn deadline_of(method: &str) -> Duration {
    match method {
        "rescanblockchain" | "importprivkey" | "importaddress" | "importmulti" | "importdescriptors" | "importwallet" => RESCAN,
        "loadwallet" | "scantxoutset" | "gettxoutsetinfo" | "verifychain" => SCAN,
        "backupwallet" | "dumpwallet" | "createwallet" | "restorewallet" | "encryptwallet" | "keypoolrefill" | "unloadwallet" => {
            FILE
        }
        "sendmany"
        | "sendtoaddress"
        | "sendrawtransaction"
        | "signrawtransactionwithwallet"
        | "walletprocesspsbt"
        // It fills the keypool before it answers.
        | "walletpassphrase"
        | "generatetoaddress" => SLOW,
        // Names only, and the first call of all: who looks at a daemon that hangs must not wait as for a listing.
        "listwallets" => QUICK,
        listing if listing.starts_with("list") => SLOW,
        "getbalance" | "getbalances" | "getwalletinfo" | "getinfo" => SLOW,
        _ => QUICK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_has_the_patience_that_it_needs() {
        let limits = Limits::default();
        assert_eq!(limits.deadline("getblockcount"), Duration::from_secs(30));
        assert_eq!(limits.deadline("listwallets"), Duration::from_secs(30));
        assert_eq!(limits.deadline("listsinceblock"), Duration::from_secs(300));
        assert_eq!(limits.deadline("sendmany"), Duration::from_secs(300));
        assert_eq!(limits.deadline("backupwallet"), Duration::from_secs(600));
        assert_eq!(limits.deadline("rescanblockchain"), Duration::from_secs(86_400));
        assert!(limits.max_body("listsinceblock") > limits.max_body("getblockcount"));
    }
}
