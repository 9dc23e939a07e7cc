//! What happens to wallet files while the daemon does not run.

use std::collections::BTreeMap;

use bursar::coin::Txid;

use super::faults::Fault;
use super::world::{Maker, WalletFile, World};

impl World {
    /// One of the troubles of wallets, perhaps. At most one in a history takes comments away silently: after a first one
    /// nothing would be left that tells of a second.
    pub(crate) fn damage(&mut self) {
        let spoiled = [Fault::Zap, Fault::Salvage, Fault::OldWallet].iter().any(|fault| self.faults.had(*fault));
        if self.put_away.is_some() || self.node.running || self.spared {
            return;
        }
        if !spoiled && self.has_paid_for_good() && self.strikes(Fault::OldWallet) {
            self.wallet = self.archived.clone();
            self.rescan();
        } else if !spoiled && self.strikes(Fault::Zap) {
            let unconfirmed: Vec<Txid> = self.wallet.known.keys().filter(|txid| self.depth(txid) == 0).copied().collect();
            unconfirmed.iter().for_each(|txid| _ = self.wallet.known.remove(txid));
            // A zap switches the mempool's file off; what miners hold is mined all the same.
            self.node.mempool.clear();
            self.signs.push((self.clock, "the daemon's log says: Zapping all transactions from wallet".to_owned()));
        } else if !spoiled && self.strikes(Fault::Salvage) {
            self.wallet.known.clear();
            self.wallet.labels.clear();
            self.node.mempool.clear();
            self.rescan();
            self.signs.push((self.clock, "the wallet was salvaged or migrated since: wallet.dat.1.bak".to_owned()));
        } else if self.strikes(Fault::OtherWallet) {
            // A daemon of 0.18 makes a new one in silence: under its own name, or under the one that it was told.
            let name = if self.chance.permille(500) { "" } else { "bursar" };
            let fingerprint = self.wallet.fingerprint.map(|_| "another seed");
            let other = WalletFile { name, keys: 2, fingerprint, known: BTreeMap::new(), addresses: 1, labels: vec![] };
            self.put_away = Some(std::mem::replace(&mut self.wallet, other));
        }
    }

    /// A person brings the right wallet back. The daemon does not run.
    pub(crate) fn right_wallet(&mut self) {
        if let Some(right) = self.put_away.take() {
            self.note("the right wallet is back");
            self.wallet = right;
            self.rescan();
        }
    }

    /// The wallet finds again what the chain has for it, without comments.
    fn rescan(&mut self) {
        let txids: Vec<Txid> = self.chain.txs.keys().filter(|txid| self.depth(txid) > 0).copied().collect();
        txids.iter().for_each(|txid| self.notice(txid));
    }

    /// Whether an earlier payment of bursar's is in a block, so that its lost comment tells of a lost history.
    fn has_paid_for_good(&self) -> bool {
        let mut ours = self.makers.iter().filter(|(_, maker)| **maker == Maker::Bursar);
        ours.any(|(txid, _)| self.depth(txid) > 0)
    }
}
