//! What the ledgers of several wallets should say, from inputs and outputs, what was read of each wallet, and what a person said.

use std::collections::{BTreeMap, BTreeSet};

use crate::coin::Txid;
use crate::ledger::Account;
use crate::ledger::model::Owner;
use crate::ledger::model::several::Shown;

/// What is known of an output that one wallet pays to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Both wallets have posted it: a transfer.
    Met,
    /// It was one, neither has it now, and a person has said something of the transaction.
    Parted,
    /// A person has said what it was, before the other side was known.
    Said,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    /// Comments that orders of the paying wallet carry.
    pub(super) marks: BTreeSet<String>,
    /// What each wallet showed at its last sync, and is money.
    posted: BTreeMap<(usize, Txid), Shown>,
    sides: BTreeMap<(Txid, u32), Side>,
    words: BTreeMap<Txid, Account>,
}

/// Who paid and who received an output, if they are two of our wallets.
fn receiver(shown: &Shown, payer: usize, vout: u32) -> Option<usize> {
    match shown.outputs[vout as usize].1 {
        Owner::Wallet(wallet) if wallet != payer && shown.debit > 0 => Some(wallet),
        _ => None,
    }
}

fn vouts(shown: &Shown) -> impl Iterator<Item = u32> + use<> {
    0..u32::try_from(shown.outputs.len()).unwrap()
}

impl Books {
    fn is_ordered(&self, wallet: usize, shown: &Shown) -> bool {
        wallet == 0 && shown.comment.as_ref().is_some_and(|comment| self.marks.contains(comment))
    }

    /// A wallet was read.
    pub(super) fn read(&mut self, wallet: usize, shown: Vec<Shown>) {
        let of_wallet = |(owner, _): &(usize, Txid)| *owner == wallet;
        let before: Vec<Shown> = self.posted.iter().filter(|(key, _)| of_wallet(key)).map(|(_, shown)| shown.clone()).collect();
        self.posted.retain(|key, _| !of_wallet(key));
        for shown in shown.iter().filter(|shown| shown.is_money) {
            self.posted.insert((wallet, shown.txid), shown.clone());
        }
        let txids: BTreeSet<Txid> = before.iter().chain(&shown).map(|shown| shown.txid).collect();
        txids.iter().for_each(|txid| self.meet(txid));
    }

    /// Where both wallets have posted an output it is a transfer; where neither has, it is none any more.
    fn meet(&mut self, txid: &Txid) {
        let ours =
            self.posted.iter().find(|((payer, of), shown)| of == txid && shown.debit > 0 && !self.is_ordered(*payer, shown));
        let payment = ours.map(|((payer, _), shown)| (*payer, shown.clone()));
        let received: BTreeSet<usize> = self.posted.keys().filter(|(_, of)| of == txid).map(|(wallet, _)| *wallet).collect();
        if let Some((payer, shown)) = &payment {
            for vout in vouts(shown) {
                let both = receiver(shown, *payer, vout).is_some_and(|receiver| received.contains(&receiver));
                let said_otherwise = self.sides.get(&(*txid, vout)) == Some(&Side::Said) && self.words[txid] != Account::Internal;
                if both && !said_otherwise {
                    self.sides.insert((*txid, vout), Side::Met);
                }
            }
        }
        if received.is_empty() {
            let is_said = self.words.contains_key(txid);
            self.sides.retain(|(of, _), side| of != txid || *side != Side::Met || is_said);
            self.sides
                .iter_mut()
                .filter(|((of, _), side)| of == txid && **side == Side::Met)
                .for_each(|(_, side)| *side = Side::Parted);
        }
    }

    /// A person's word was taken. Returns how much it should have moved.
    pub(super) fn said(&mut self, wallet: usize, txid: &Txid, account: Account) -> i64 {
        let shown = self.posted[&(wallet, *txid)].clone();
        let open = self.unexplained_of(wallet, &shown);
        let corrects = self.words.contains_key(txid) && open == 0;
        let mut moved = open;
        for vout in vouts(&shown) {
            let side = self.sides.get(&(*txid, vout)).copied();
            let stands = side == Some(Side::Said) || shown.outputs[vout as usize].1 == Owner::Stranger;
            moved += if corrects && stands { shown.outputs[vout as usize].0 } else { 0 };
            if receiver(&shown, wallet, vout).is_some() && side.is_none() {
                self.sides.insert((*txid, vout), Side::Said);
            }
        }
        self.words.insert(*txid, account);
        self.meet(txid);
        moved
    }

    /// Where the payer has an output.
    fn paid(&self, wallet: usize, shown: &Shown, vout: u32) -> Account {
        let word = self.words.get(&shown.txid).copied();
        let is_own = shown.outputs[vout as usize].1 == Owner::Wallet(wallet);
        match self.sides.get(&(shown.txid, vout)) {
            _ if self.is_ordered(wallet, shown) => Account::Payout,
            _ if is_own => Account::Internal,
            Some(Side::Met) => Account::Internal,
            None if receiver(shown, wallet, vout).is_some() => Account::Unexplained,
            _ => word.unwrap_or(Account::Unexplained),
        }
    }

    fn unexplained_of(&self, wallet: usize, shown: &Shown) -> i64 {
        let paid = |vout: &u32| shown.outputs[*vout as usize].1 != Owner::Change(wallet);
        let open = vouts(shown).filter(paid).filter(|vout| self.paid(wallet, shown, *vout) == Account::Unexplained);
        if shown.debit > 0 { open.map(|vout| shown.outputs[vout as usize].0).sum() } else { 0 }
    }

    /// What nobody has explained.
    pub(super) fn unexplained(&self, wallet: usize) -> BTreeMap<Txid, i64> {
        let of = self.posted.iter().filter(|((owner, _), _)| *owner == wallet);
        of.map(|((_, txid), shown)| (*txid, self.unexplained_of(wallet, shown))).filter(|(_, units)| *units != 0).collect()
    }

    /// The balances of a wallet's accounts.
    pub(super) fn balances(&self, wallet: usize) -> BTreeMap<Account, i64> {
        let mut sums = BTreeMap::new();
        let mut add = |account, units| {
            *sums.entry(account).or_insert(0) += units;
            *sums.entry(Account::Wallet).or_insert(0) -= units;
        };
        for ((_, txid), shown) in self.posted.iter().filter(|((owner, _), _)| *owner == wallet) {
            if shown.debit > 0 {
                add(Account::Fee, shown.fee());
            }
            for (vout, (value, owner)) in (0..).zip(&shown.outputs) {
                if shown.debit > 0 && *owner != Owner::Change(wallet) {
                    add(self.paid(wallet, shown, vout), *value);
                }
                let met = shown.debit == 0 && self.sides.get(&(*txid, vout)) == Some(&Side::Met);
                match owner {
                    Owner::Wallet(owner) if *owner != wallet => {}
                    Owner::Wallet(_) if shown.coinbase => add(Account::Mined, -value),
                    Owner::Wallet(_) if met => add(Account::Internal, -value),
                    Owner::Wallet(_) => add(Account::Deposit, -value),
                    Owner::Change(_) | Owner::Stranger => {}
                }
            }
        }
        sums.retain(|_, units| *units != 0);
        sums
    }

    /// Outputs of a wallet that a customer could have paid, in blocks with so many on top.
    pub(super) fn deposits(&self, wallet: usize, depth: i64) -> BTreeSet<(Txid, u32)> {
        let mut found = BTreeSet::new();
        for ((_, txid), shown) in self.posted.iter().filter(|((owner, _), shown)| *owner == wallet && shown.depth >= depth) {
            let counts = !shown.coinbase && (shown.debit == 0 || self.is_ordered(wallet, shown));
            let own = |vout: &u32| matches!(shown.outputs[*vout as usize], (1.., Owner::Wallet(owner)) if owner == wallet);
            let paid = vouts(shown).filter(own).filter(|vout| self.sides.get(&(*txid, *vout)) != Some(&Side::Met));
            found.extend(paid.filter(|_| counts).map(|vout| (*txid, vout)));
        }
        found
    }

    /// Transactions of a wallet that are in a block.
    pub(super) fn confirmed(&self, wallet: usize) -> BTreeSet<Txid> {
        let of = self.posted.iter().filter(|((owner, _), shown)| *owner == wallet && shown.depth > 0);
        of.map(|((_, txid), _)| *txid).collect()
    }
}
