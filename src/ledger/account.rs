//! The accounts of the ledger, the kinds of its events, and their names.

use serde::{Deserialize, Serialize};

/// An account of the double-entry ledger.
///
/// The postings of one event sum to zero. `Wallet` is what we hold; where money came from (deposit, mined, staked, opening) runs
/// negative, where it went (payout, fee, unexplained) positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What the wallet holds: trusted money.
    Wallet,
    /// Received from others.
    Deposit,
    /// Paid out by batches of ours.
    Payout,
    /// Fees of our own transactions.
    Fee,
    /// Mined and matured.
    Mined,
    /// Staked and matured.
    Staked,
    /// Sent to ourselves without an order: within a wallet, where the receipt stands under `Deposit` as every receipt does, or to another wallet
    /// of ours, where the receipt stands here, too.
    Internal,
    /// From before bursar.
    Opening,
    /// A spend that bursar did not order.
    Unexplained,
}

/// All accounts.
pub(super) const ACCOUNTS: [Account; 9] = [
    Account::Wallet,
    Account::Deposit,
    Account::Payout,
    Account::Fee,
    Account::Mined,
    Account::Staked,
    Account::Internal,
    Account::Opening,
    Account::Unexplained,
];

/// Why an event was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What an adopted wallet held.
    Opening,
    /// A transaction of the wallet.
    Posting,
    /// A transaction that is not money any more.
    Reversal,
    /// A claim that came after its transaction was posted as unexplained, or an order that had made what was taken for something else.
    Claimed,
    /// A person's word.
    Explained,
    /// A payment of one wallet of ours and the receipt of another turned out to be one transfer.
    Transfer,
}

impl Account {
    /// Its name, in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Account::Wallet => "wallet",
            Account::Deposit => "deposit",
            Account::Payout => "payout",
            Account::Fee => "fee",
            Account::Mined => "mined",
            Account::Staked => "staked",
            Account::Internal => "internal",
            Account::Opening => "opening",
            Account::Unexplained => "unexplained",
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Account> {
        ACCOUNTS.into_iter()
    }

    /// Whether it says what money was for, so that a person can explain an amount by it.
    pub fn explains(self) -> bool {
        !matches!(self, Account::Wallet | Account::Unexplained)
    }

    /// The account of that name.
    pub fn from_name(name: &str) -> Option<Account> {
        ACCOUNTS.into_iter().find(|account| account.name() == name)
    }
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Opening, Kind::Posting, Kind::Reversal, Kind::Claimed, Kind::Explained, Kind::Transfer];

    /// Its name, in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Opening => "opening",
            Kind::Posting => "posting",
            Kind::Reversal => "reversal",
            Kind::Claimed => "claimed",
            Kind::Explained => "explained",
            Kind::Transfer => "transfer",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_lead_back() {
        for account in ACCOUNTS {
            assert_eq!(serde_json::to_value(account).unwrap(), account.name());
            assert_eq!(Account::from_name(account.name()), Some(account));
        }
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!((Account::from_name("Wallet"), Kind::from_name("")), (None, None));
    }
}
