//! Whether a payment that nobody can find has become impossible: what it could have spent is spent otherwise, for good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coin::{OutPoint, Txid};

/// A transaction of ours in a block, made since a batch, that is not the batch's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// Which.
    pub txid: Txid,
    /// Blocks on it, its own included.
    pub depth: u64,
    /// Whether it pays a payee of the batch: then it proves nothing about that payee.
    pub pays_a_payee: bool,
    /// What it spends.
    pub inputs: Vec<OutPoint>,
}

/// What became of a coin that a payment in doubt may have spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Nobody we know of has spent it.
    Unspent,
    /// Spent by a transaction of ours that is not deep enough yet.
    NotFinal(Txid),
    /// Spent by a transaction that pays a payee of the batch.
    PaysAPayee(Txid),
    /// Spent, at final depth, by a transaction that pays none of them: whatever else would spend it is dead.
    Swept(Txid),
}

/// What became of each coin.
pub fn fates(coins: &[OutPoint], spenders: &[Spender], final_depth: u64) -> Vec<(OutPoint, Fate)> {
    let mut spent: BTreeMap<OutPoint, Fate> = BTreeMap::new();
    for spender in spenders {
        let fate = match (spender.pays_a_payee, spender.depth >= final_depth) {
            (true, _) => Fate::PaysAPayee(spender.txid),
            (false, false) => Fate::NotFinal(spender.txid),
            (false, true) => Fate::Swept(spender.txid),
        };
        spent.extend(spender.inputs.iter().map(|input| (*input, fate)));
    }
    coins.iter().map(|coin| (*coin, spent.get(coin).copied().unwrap_or(Fate::Unspent))).collect()
}

/// The transactions that together spent every coin that the payment could have spent; none while one coin is left, and none when it
/// is not known what the wallet held.
pub fn swept(fates: &[(OutPoint, Fate)]) -> Option<Vec<Txid>> {
    let mut by = Vec::new();
    for (_, fate) in fates {
        let Fate::Swept(txid) = fate else { return None };
        if !by.contains(txid) {
            by.push(*txid);
        }
    }
    (!by.is_empty()).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin(number: u8) -> OutPoint {
        OutPoint { txid: Txid::from_bytes([number; 32]), vout: 0 }
    }

    fn spender(number: u8, depth: u64, pays_a_payee: bool, inputs: &[u8]) -> Spender {
        let inputs = inputs.iter().map(|number| coin(*number)).collect();
        Spender { txid: Txid::from_bytes([number; 32]), depth, pays_a_payee, inputs }
    }

    fn proof(held: &[u8], spenders: &[Spender]) -> Option<usize> {
        let held: Vec<OutPoint> = held.iter().map(|number| coin(*number)).collect();
        swept(&fates(&held, spenders, 6)).map(|by| by.len())
    }

    #[test]
    fn only_the_sweep_of_every_coin_at_final_depth_is_proof() {
        let first = spender(100, 6, false, &[1, 2, 50]);
        assert_eq!(proof(&[1, 2], std::slice::from_ref(&first)), Some(1));
        assert_eq!(proof(&[1, 2, 3], std::slice::from_ref(&first)), None, "one coin is left");
        assert_eq!(proof(&[1, 2, 3], &[first.clone(), spender(101, 7, false, &[3])]), Some(2));
        assert_eq!(proof(&[1, 2, 3], &[first.clone(), spender(101, 5, false, &[3])]), None, "not deep enough");
        assert_eq!(proof(&[1, 2, 3], &[first, spender(101, 99, true, &[3])]), None, "it pays a payee");
    }

    #[test]
    fn a_wallet_of_which_nothing_is_known_proves_nothing() {
        assert_eq!(proof(&[], &[spender(100, 6, false, &[1])]), None);
    }

    #[test]
    fn each_coin_has_its_fate() {
        let spenders = [spender(100, 6, false, &[1]), spender(101, 1, false, &[2]), spender(102, 6, true, &[3])];
        let coins = [1, 2, 3, 4].map(coin);
        let [a, b, c] = [100, 101, 102].map(|number| Txid::from_bytes([number; 32]));
        let expected = [Fate::Swept(a), Fate::NotFinal(b), Fate::PaysAPayee(c), Fate::Unspent];
        assert_eq!(fates(&coins, &spenders, 6), coins.into_iter().zip(expected).collect::<Vec<_>>());
    }
}
