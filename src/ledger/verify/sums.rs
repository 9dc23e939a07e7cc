//! Balances added up anew, by wallet and account.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::ledger::{ACCOUNTS, Account};

/// The sum of each account that has a posting, in base units.
#[derive(Clone, Debug, Default)]
pub(in crate::ledger) struct Sums {
    wallets: BTreeMap<String, [Option<i64>; ACCOUNTS.len()]>,
}

impl Sums {
    /// Adds an amount; false where the sum does not fit 64 bits.
    pub(in crate::ledger) fn add(&mut self, wallet: &str, account: Account, amount: i64) -> bool {
        let sums = match self.wallets.get_mut(wallet) {
            Some(sums) => sums,
            None => self.wallets.entry(wallet.to_owned()).or_default(),
        };
        let sum = &mut sums[account as usize];
        let more = sum.unwrap_or(0).checked_add(amount);
        *sum = more.or(*sum);
        more.is_some()
    }

    /// Each account with a posting, sorted by wallet and by its name.
    pub(in crate::ledger) fn all(&self) -> Vec<(&str, &'static str, i64)> {
        let of = |account: Account, sums: &[Option<i64>; ACCOUNTS.len()]| sums[account as usize];
        let mut all: Vec<_> = (self.wallets.iter())
            .flat_map(|(wallet, sums)| {
                ACCOUNTS.into_iter().filter_map(move |account| Some((wallet.as_str(), account.name(), of(account, sums)?)))
            })
            .collect();
        all.sort_unstable();
        all
    }

    /// SHA-256, in hex, over all accounts that are not at zero: a JSON array of `[wallet, account, base units]`.
    pub(in crate::ledger) fn digest(&self) -> String {
        let all: Vec<_> = self.all().into_iter().filter(|(_, _, sum)| *sum != 0).collect();
        // Texts and numbers always become JSON.
        hex::encode(Sha256::digest(serde_json::to_vec(&all).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_what_stands_where_and_forgets_what_came_to_nothing() {
        let mut sums = Sums::default();
        assert!(sums.add("b", Account::Wallet, 5) && sums.add("b", Account::Deposit, -5) && sums.add("a", Account::Fee, 3));
        assert_eq!(sums.all(), [("a", "fee", 3), ("b", "deposit", -5), ("b", "wallet", 5)]);
        assert_eq!(sums.digest(), hex::encode(Sha256::digest(br#"[["a","fee",3],["b","deposit",-5],["b","wallet",5]]"#)));
        assert!(sums.add("a", Account::Fee, -3) && sums.add("a", Account::Payout, i64::MAX));
        assert!(!sums.add("a", Account::Payout, 1));
        assert_eq!(sums.all()[0], ("a", "fee", 0));
        let mut same = Sums::default();
        assert!(
            same.add("a", Account::Payout, i64::MAX) && same.add("b", Account::Deposit, -5) && same.add("b", Account::Wallet, 5)
        );
        assert_eq!(sums.digest(), same.digest());
    }
}
