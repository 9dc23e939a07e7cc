//! What our own unconfirmed transactions do to the wallet's balance, and not to the ledger's. Pure.
//!
//! The ledger counts every own transaction whole, as soon as it is seen. The wallet counts a spent coin as spent, once, whoever spends
//! it, and counts an unconfirmed output only if it is in the mempool and hangs on nothing that is itself in doubt (facts/daemons.md §5).

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::coin::{Amount, AmountError, OutPoint, Txid};

/// An own unconfirmed transaction that is posted.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) txid: Txid,
    pub(super) in_mempool: bool,
    pub(super) inputs: Vec<OutPoint>,
    /// Its outputs that are ours, change included.
    pub(super) own: Vec<(OutPoint, Amount)>,
}

/// A coin of ours that a payment spends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coin {
    pub(super) value: Amount,
    /// The transaction that made it is posted: it is in the ledger's balance.
    pub(super) posted: bool,
}

/// Why the wallet's balance leaves out something of a payment, and by how much the ledger's balance is above it for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) txid: Txid,
    pub(super) in_mempool: bool,
    pub(super) above: Amount,
}

/// The share of each payment that is not trusted, in the order of txids. Without `trusts_change` none is, as by `spendzeroconfchange=0`.
pub(super) fn shares(
    payments: &[Payment],
    coins: &HashMap<OutPoint, Coin>,
    trusts_change: bool,
) -> Result<Vec<Share>, AmountError> {
    let untrusted =
        if trusts_change { untrusted(payments, coins) } else { payments.iter().map(|payment| payment.txid).collect() };
    let mut spenders: BTreeMap<OutPoint, Vec<Txid>> = BTreeMap::new();
    for payment in payments {
        for input in &payment.inputs {
            spenders.entry(*input).or_default().push(payment.txid);
        }
    }
    let mut above: BTreeMap<Txid, Amount> = untrusted.iter().map(|txid| (*txid, Amount::ZERO)).collect();
    for payment in payments.iter().filter(|payment| untrusted.contains(&payment.txid)) {
        let left = payment.own.iter().filter(|(coin, _)| !spenders.contains_key(coin)).map(|(_, value)| *value);
        add(&mut above, payment.txid, Amount::sum(left)?)?;
    }
    for (coin, mut by) in spenders {
        let Some(Coin { value, posted }) = coins.get(&coin).copied() else { continue };
        // The wallet takes a coin away once; the ledger took it away with each that spends it. The trusted one is the rightful.
        by.sort_by_key(|txid| (untrusted.contains(txid), *txid));
        for txid in by.into_iter().skip(usize::from(posted)) {
            add(&mut above, txid, value.checked_neg()?)?;
        }
    }
    let in_mempool: HashMap<Txid, bool> = payments.iter().map(|payment| (payment.txid, payment.in_mempool)).collect();
    let share = |(txid, above)| Share { txid, in_mempool: in_mempool.get(&txid).copied().unwrap_or(false), above };
    Ok(above.into_iter().map(share).collect())
}

fn add(above: &mut BTreeMap<Txid, Amount>, txid: Txid, amount: Amount) -> Result<(), AmountError> {
    let sum = above.entry(txid).or_insert(Amount::ZERO);
    *sum = sum.checked_add(amount)?;
    Ok(())
}

/// Those that are not in the mempool, or spend a coin that is not ours, not money, or of one that is not trusted itself.
fn untrusted(payments: &[Payment], coins: &HashMap<OutPoint, Coin>) -> HashSet<Txid> {
    let mut found: HashSet<Txid> = HashSet::new();
    loop {
        let doubtful = |input: &OutPoint| coins.get(input).is_none_or(|coin| !coin.posted) || found.contains(&input.txid);
        let more: Vec<Txid> = payments
            .iter()
            .filter(|payment| !found.contains(&payment.txid))
            .filter(|payment| !payment.in_mempool || payment.inputs.iter().any(doubtful))
            .map(|payment| payment.txid)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txid(number: u8) -> Txid {
        Txid::from_bytes([number; 32])
    }

    fn coin(number: u8, vout: u32) -> OutPoint {
        OutPoint { txid: txid(number), vout }
    }

    fn units(units: i64) -> Amount {
        Amount::from_base_units(units)
    }

    fn payment(number: u8, in_mempool: bool, inputs: &[OutPoint], change: i64) -> Payment {
        let own = vec![(coin(number, 1), units(change))];
        Payment { txid: txid(number), in_mempool, inputs: inputs.to_vec(), own }
    }

    fn coins(list: &[(OutPoint, i64, bool)]) -> HashMap<OutPoint, Coin> {
        list.iter().map(|(coin, value, posted)| (*coin, Coin { value: units(*value), posted: *posted })).collect()
    }

    fn above(shares: &[Share]) -> Vec<(Txid, i64)> {
        shares.iter().map(|share| (share.txid, share.above.base_units())).collect()
    }

    #[test]
    fn the_change_of_a_payment_in_limbo_is_missing_from_the_wallets_balance() {
        let coins = coins(&[(coin(1, 0), 10, true)]);
        assert_eq!(above(&shares(&[payment(2, false, &[coin(1, 0)], 6)], &coins, true).unwrap()), [(txid(2), 6)]);
        assert_eq!(above(&shares(&[payment(2, true, &[coin(1, 0)], 6)], &coins, true).unwrap()), []);
    }

    #[test]
    fn a_chain_in_limbo_is_missing_its_last_change_only() {
        let coins = coins(&[(coin(1, 0), 10, true), (coin(2, 1), 6, true)]);
        let chain = [payment(2, false, &[coin(1, 0)], 6), payment(3, false, &[coin(2, 1)], 4)];
        assert_eq!(above(&shares(&chain, &coins, true).unwrap()), [(txid(2), 0), (txid(3), 4)]);
    }

    #[test]
    fn a_coin_spent_twice_is_taken_away_once() {
        let coins = coins(&[(coin(1, 0), 10, true)]);
        let rivals = [payment(2, false, &[coin(1, 0)], 6), payment(3, true, &[coin(1, 0)], 5)];
        assert_eq!(above(&shares(&rivals, &coins, true).unwrap()), [(txid(2), -4)]);
    }

    #[test]
    fn a_payment_that_spends_an_unposted_coin_is_not_trusted() {
        let coins = coins(&[(coin(1, 0), 10, false)]);
        let found = shares(&[payment(2, true, &[coin(1, 0)], 6)], &coins, true).unwrap();
        assert_eq!(found, [Share { txid: txid(2), in_mempool: true, above: units(-4) }]);
    }

    #[test]
    fn of_a_daemon_that_trusts_no_change_all_unspent_change_is_missing() {
        let coins = coins(&[(coin(1, 0), 10, true), (coin(2, 1), 6, true)]);
        let chain = [payment(2, true, &[coin(1, 0)], 6), payment(3, true, &[coin(2, 1)], 4)];
        assert_eq!(above(&shares(&chain, &coins, true).unwrap()), []);
        assert_eq!(above(&shares(&chain, &coins, false).unwrap()), [(txid(2), 0), (txid(3), 4)]);
    }
}
