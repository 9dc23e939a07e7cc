//! Which failures of `sendmany` prove that nothing was sent: a closed list. Everything else is doubt.

use crate::daemon::RpcError;

/// What a failed `sendmany` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Not sent: an address of the batch is refused.
    PayeeAddress,
    /// Not sent: an amount of the batch is refused.
    PayeeAmount,
    /// Not sent: the transaction would be too large.
    TooLarge,
    /// Not sent: the wallet has too little that it may spend.
    Funds,
    /// Not sent: the daemon knows no fee, or a too high one.
    Fee,
    /// Not sent: the wallet is locked.
    Locked,
    /// Not sent: the daemon never ran the call.
    NotRun,
    /// It may have been sent.
    Doubt,
}

impl Verdict {
    /// A smaller batch may go through, or show the culprit.
    pub fn calls_for_a_split(self) -> bool {
        matches!(self, Verdict::PayeeAddress | Verdict::PayeeAmount | Verdict::TooLarge)
    }

    /// Alone in its batch, the payee is the culprit.
    pub fn blames_the_payee(self) -> bool {
        matches!(self, Verdict::PayeeAddress | Verdict::PayeeAmount)
    }
}

/// How much of the daemon's text has to agree.
enum Text {
    /// All of it.
    Is(&'static str),
    /// Its beginning.
    Begins(&'static str),
    /// Its beginning, and further on this: coins put their own name between.
    Names(&'static str, &'static str),
}

impl Text {
    fn matches(&self, message: &str) -> bool {
        match self {
            Text::Is(text) => message == *text,
            Text::Begins(text) => message.starts_with(text),
            Text::Names(start, then) => message.strip_prefix(start).is_some_and(|rest| rest.contains(then)),
        }
    }
}

/// Seen on Litecoin 0.18 and 0.21, Bitcoin Knots 29 and Peercoin 0.15, each raised before the wallet commits a transaction. The codes
/// −1 and −4 are not here and never will be: they fall on both sides of the commit.
const CERTAIN: &[(i64, Text, Verdict)] = &[
    (-5, Text::Names("Invalid ", " address: "), Verdict::PayeeAddress),
    (-8, Text::Begins("Invalid parameter, duplicated address"), Verdict::PayeeAddress),
    (-3, Text::Is("Invalid amount"), Verdict::PayeeAmount),
    (-3, Text::Is("Invalid amount for send"), Verdict::PayeeAmount),
    (-3, Text::Is("Amount out of range"), Verdict::PayeeAmount),
    (-6, Text::Is("Transaction amount too small"), Verdict::PayeeAmount),
    (-6, Text::Is("Transaction too large"), Verdict::TooLarge),
    (-6, Text::Begins("Maximum transaction weight is less than transaction weight without inputs"), Verdict::TooLarge),
    (-6, Text::Begins("Maximum transaction weight is too low, can not accommodate change output"), Verdict::TooLarge),
    (-6, Text::Begins("The inputs size exceeds the maximum weight."), Verdict::TooLarge),
    (-6, Text::Begins("Internal bug detected: \"Fee needed > fee paid\""), Verdict::TooLarge),
    (-6, Text::Is("Insufficient funds"), Verdict::Funds),
    (-6, Text::Is("Wallet has insufficient funds"), Verdict::Funds),
    (-6, Text::Begins("Unconfirmed UTXOs are available, but spending them creates a chain of transactions"), Verdict::Funds),
    (-6, Text::Begins("Fee estimation failed. Fallbackfee is disabled."), Verdict::Fee),
    (-6, Text::Begins("Fee exceeds maximum configured by "), Verdict::Fee),
    (-6, Text::Names("Fee rate (", ") is lower than the minimum fee rate setting ("), Verdict::Fee),
    (-13, Text::Is("Error: Please enter the wallet passphrase with walletpassphrase first."), Verdict::Locked),
    (-13, Text::Is("Error: Wallet unlocked for block minting only."), Verdict::Locked),
];

/// What a failed `sendmany` means.
pub fn classify(error: &RpcError) -> Verdict {
    if error.is_certainly_not_run() {
        return Verdict::NotRun;
    }
    let RpcError::Daemon { code, message, .. } = error else {
        return Verdict::Doubt;
    };
    let message = message.trim();
    let certain = CERTAIN.iter().find(|(known, text, _)| known == code && text.matches(message));
    certain.map_or(Verdict::Doubt, |(_, _, verdict)| *verdict)
}

/// What it means that a mempool would not take a signed transaction, in its words: `dust` (all generations, some with a number before or
/// after it), `tx-size` (0.18 to 29). Nothing was given to it.
pub fn unwanted(why: &str) -> Verdict {
    match why {
        _ if why.contains("dust") => Verdict::PayeeAmount,
        _ if why.contains("tx-size") => Verdict::TooLarge,
        _ => Verdict::NotRun,
    }
}
