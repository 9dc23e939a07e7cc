//! The machine of the daemon: clock, network, node and wallets, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};

use bursar::coin::{BlockHash, OutPoint, Txid};

use super::chain::{Chain, Tx};
use super::chance::Chance;
use super::coin::{is_own, own, script, script_of};
use super::faults::{Fault, Faults, label};

/// What a payment costs, in base units.
pub(crate) const FEE: i64 = 2000;

/// Who made a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Bursar,
    /// A person, because a batch in doubt looked lost.
    HandInstead,
    /// A person, who owed the same to the same payees for another reason.
    HandElse,
    Stranger,
}

/// What a wallet file knows of a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) comment: Option<String>,
    pub(crate) time: i64,
}

/// A wallet file.
#[derive(Clone, Debug)]
pub(crate) struct WalletFile {
    pub(crate) name: &'static str,
    pub(crate) keys: u8,
    pub(crate) fingerprint: Option<&'static str>,
    pub(crate) known: BTreeMap<Txid, Known>,
    pub(crate) addresses: u64,
    /// Of addresses that were made for them.
    pub(crate) labels: Vec<String>,
}

/// A call that a process has read and not run yet.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    pub(crate) due: u64,
    pub(crate) process: u64,
    pub(crate) outputs: Vec<(String, i64)>,
    pub(crate) comment: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) running: bool,
    pub(crate) process: u64,
    pub(crate) up_since: i64,
    pub(crate) height: u64,
    pub(crate) seen: BTreeSet<BlockHash>,
    pub(crate) mempool: BTreeSet<Txid>,
    pub(crate) warming: u32,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: i64,
    pub(crate) ticks: u64,
    pub(crate) chance: Chance,
    pub(crate) faults: Faults,
    pub(crate) chain: Chain,
    pub(crate) node: Node,
    pub(crate) wallet: WalletFile,
    /// The wallet as the disk surely has it.
    pub(crate) on_disk: WalletFile,
    /// The right wallet, while another one is loaded.
    pub(crate) put_away: Option<WalletFile>,
    /// The store went back: nothing is to happen to wallets beside that.
    pub(crate) spared: bool,
    /// As it was at the beginning.
    pub(crate) archived: WalletFile,
    pub(crate) locked: BTreeSet<OutPoint>,
    pub(crate) wallet_broadcasts: bool,
    pub(crate) boot: u64,
    pub(crate) signs: Vec<(i64, String)>,
    pub(crate) pending: Vec<Late>,
    pub(crate) makers: BTreeMap<Txid, Maker>,
    pub(crate) log: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        let chance = Chance::new(seed ^ 0x0DAE);
        let fingerprint = (!seed.is_multiple_of(3)).then_some("seed of bursar");
        let wallet = WalletFile { name: "bursar", keys: 1, fingerprint, known: BTreeMap::new(), addresses: 10, labels: vec![] };
        let node = Node {
            running: true,
            process: 1,
            up_since: 1_768_000_000,
            height: 0,
            seen: BTreeSet::new(),
            mempool: BTreeSet::new(),
            warming: 0,
        };
        let mut world = World {
            clock: 1_768_000_000,
            ticks: 0,
            chance,
            faults: Faults::new(seed),
            chain: Chain::default(),
            node,
            on_disk: wallet.clone(),
            archived: wallet.clone(),
            wallet,
            put_away: None,
            spared: false,
            locked: BTreeSet::new(),
            wallet_broadcasts: true,
            boot: 1,
            signs: vec![],
            pending: vec![],
            makers: BTreeMap::new(),
            log: vec![],
        };
        world.chain.mine(&[]);
        let coins = if world.strikes(Fault::Poor) { 3 } else { 12 };
        for _ in 0..coins {
            // Of different sizes, so that another sum is paid with other coins.
            let value = 40_000_000 + world.chance.below(80_000_000) as i64;
            world.deposit(value);
        }
        for _ in 0..6 {
            world.mine(true);
        }
        world.on_disk = world.wallet.clone();
        world.archived = world.wallet.clone();
        world
    }

    pub(crate) fn note(&mut self, words: impl std::fmt::Display) {
        let line = format!("{:>6} t+{} h{} {words}", self.ticks, self.clock - 1_768_000_000, self.node.height);
        self.log.push(line);
    }

    /// Whether a fault strikes; noted.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.faults.strikes(fault);
        if strikes {
            self.note(format!("! {}", label(fault)));
        }
        strikes
    }

    pub(crate) fn is_mine(&self, txt: &str) -> bool {
        is_own(txt, self.wallet.keys)
    }

    /// The value of a coin of this wallet; 0 when it is somebody else's.
    pub(crate) fn own_value(&self, coin: &OutPoint) -> i64 {
        if !self.wallet.known.contains_key(&coin.txid) {
            return 0;
        }
        match self.chain.txs.get(&coin.txid).and_then(|tx| tx.outputs.get(coin.vout as usize)) {
            Some((value, script)) if self.is_mine(script) => *value,
            _ => 0,
        }
    }

    pub(crate) fn debit(&self, tx: &Tx) -> i64 {
        tx.inputs.iter().map(|(input, _)| self.own_value(input)).sum()
    }

    /// As the wallet counts: above zero in the node's chain, below when something else there spends the same, else zero.
    pub(crate) fn depth(&self, txid: &Txid) -> i64 {
        let in_chain = |height: u64| height <= self.node.height;
        let count = |height: u64| (self.node.height - height + 1) as i64;
        if let Some(height) = self.chain.height_of(txid).filter(|height| in_chain(*height)) {
            return count(height);
        }
        let Some(tx) = self.chain.txs.get(txid) else { return 0 };
        let lost = |input: &OutPoint| {
            let rival = self.chain.spender(input).filter(|rival| rival != txid);
            rival.and_then(|rival| self.chain.height_of(&rival)).filter(|height| in_chain(*height)).map(|height| -count(height))
        };
        let parents = tx.inputs.iter().filter(|(input, _)| self.chain.txs.contains_key(&input.txid));
        let worst = parents.map(|(input, _)| self.depth(&input.txid)).filter(|depth| *depth < 0).min();
        tx.inputs.iter().filter_map(|(input, _)| lost(input)).min().or(worst).unwrap_or(0)
    }

    pub(crate) fn is_live(&self, txid: &Txid) -> bool {
        self.wallet.known.contains_key(txid) && self.depth(txid) >= 0
    }

    /// Confirmed, or ours in the mempool out of trusted coins.
    pub(crate) fn is_trusted(&self, txid: &Txid) -> bool {
        if self.depth(txid) > 0 {
            return true;
        }
        let parents = |tx: &Tx| tx.inputs.iter().all(|(input, _)| self.own_value(input) > 0 && self.is_trusted(&input.txid));
        self.is_live(txid) && self.node.mempool.contains(txid) && self.chain.txs.get(txid).is_some_and(parents)
    }

    /// Own coins of live transactions that no live transaction spends.
    pub(crate) fn coins(&self) -> Vec<(OutPoint, i64)> {
        let live: Vec<&Txid> = self.wallet.known.keys().filter(|txid| self.is_live(txid)).collect();
        let spent: BTreeSet<OutPoint> =
            live.iter().flat_map(|txid| self.chain.txs[*txid].inputs.iter().map(|(input, _)| *input)).collect();
        let mut found = Vec::new();
        for txid in live {
            for (vout, (value, script)) in (0..).zip(&self.chain.txs[txid].outputs) {
                let coin = OutPoint { txid: *txid, vout };
                if self.is_mine(script) && !spent.contains(&coin) {
                    found.push((coin, *value));
                }
            }
        }
        found
    }

    /// Coins that a send may choose.
    pub(crate) fn spendable(&self) -> Vec<(OutPoint, i64)> {
        let mut coins = self.coins();
        coins.retain(|(coin, _)| {
            let spent =
                self.chain.spender(coin).and_then(|by| self.chain.height_of(&by)).is_some_and(|at| at <= self.node.height);
            self.is_trusted(&coin.txid) && !self.locked.contains(coin) && !spent
        });
        coins
    }

    pub(crate) fn fresh_script(&mut self) -> String {
        script(self.fresh_hash())
    }

    pub(crate) fn fresh_hash(&mut self) -> [u8; 20] {
        self.wallet.addresses += 1;
        own(self.wallet.keys, self.chance.next())
    }

    /// What `sendmany` does once nothing refuses it any more.
    pub(crate) fn pay(
        &mut self,
        outputs: &[(String, i64)],
        comment: Option<&str>,
        maker: Maker,
        broadcast: bool,
    ) -> Result<Txid, (i64, String)> {
        let asked: i64 = outputs.iter().map(|(_, value)| value).sum();
        let mut missing = asked + FEE;
        let mut inputs = Vec::new();
        for (coin, value) in self.spendable() {
            if missing > 0 {
                inputs.push((coin, 0xffff_fffe));
                missing -= value;
            }
        }
        if missing > 0 {
            return Err((-6, "Insufficient funds".to_owned()));
        }
        let mut paid: Vec<(i64, String)> = Vec::new();
        for (address, value) in outputs {
            let script = script_of(address).ok_or_else(|| (-5, format!("Invalid Litecoin address: {address}")))?;
            paid.push((*value, script));
        }
        if missing < 0 {
            let at = self.chance.below(paid.len() as u64 + 1) as usize;
            let change = (-missing, self.fresh_script());
            paid.insert(at, change);
        }
        let tx = Tx { inputs, outputs: paid, lock: 0, signed: true };
        let txid = self.add(tx, maker);
        let time = self.clock;
        self.wallet.known.insert(txid, Known { comment: comment.map(str::to_owned), time });
        self.note(format!("{maker:?} pays {asked} by {txid} broadcast={broadcast}"));
        if broadcast {
            _ = self.submit(&txid);
        }
        Ok(txid)
    }

    pub(crate) fn add(&mut self, tx: Tx, maker: Maker) -> Txid {
        let txid = tx.txid();
        self.chain.txs.insert(txid, tx);
        self.makers.entry(txid).or_insert(maker);
        txid
    }

    /// Gives a transaction to the node's mempool, and through it to the network.
    pub(crate) fn submit(&mut self, txid: &Txid) -> Result<(), (i64, String)> {
        if self.depth(txid) > 0 {
            return Err((-27, "Transaction already in block chain".to_owned()));
        }
        if self.node.mempool.contains(txid) {
            self.chain.elsewhere.insert(*txid);
            return Ok(());
        }
        let tx = self.chain.txs[txid].clone();
        if !self.has_inputs(&tx) {
            return Err((-25, "bad-txns-inputs-missingorspent".to_owned()));
        }
        let rivals = self.rivals(txid);
        let signals = |rival: &Txid| self.chain.txs[rival].inputs.iter().all(|(_, sequence)| *sequence < 0xffff_fffe);
        if !rivals.is_empty() {
            let dearest = rivals.iter().map(|rival| self.fee(&self.chain.txs[rival])).max().unwrap_or(0);
            if !rivals.iter().all(signals) || self.fee(&tx) <= dearest {
                return Err((-26, "txn-mempool-conflict".to_owned()));
            }
            rivals.iter().for_each(|rival| _ = self.node.mempool.remove(rival));
        }
        self.node.mempool.insert(*txid);
        self.chain.elsewhere.insert(*txid);
        self.notice(txid);
        self.clean_mempool();
        Ok(())
    }

    fn fee(&self, tx: &Tx) -> i64 {
        let value = |coin: &OutPoint| self.chain.txs.get(&coin.txid).map_or(0, |tx| tx.outputs[coin.vout as usize].0);
        tx.inputs.iter().map(|(input, _)| value(input)).sum::<i64>() - tx.outputs.iter().map(|(value, _)| value).sum::<i64>()
    }

    /// Others of the mempool that spend the same.
    pub(crate) fn rivals(&self, txid: &Txid) -> Vec<Txid> {
        let tx = &self.chain.txs[txid];
        let spends = |other: &&Txid| *other != txid && tx.inputs.iter().any(|(input, _)| self.chain.txs[*other].spends(input));
        self.node.mempool.iter().filter(spends).copied().collect()
    }

    /// Whether all that it spends is in the node's chain or mempool, and unspent in the chain.
    pub(crate) fn has_inputs(&self, tx: &Tx) -> bool {
        tx.inputs.iter().all(|(input, _)| {
            let there = !self.chain.txs.contains_key(&input.txid)
                || self.depth(&input.txid) > 0
                || self.node.mempool.contains(&input.txid);
            let spender = self.chain.spender(input).and_then(|by| self.chain.height_of(&by));
            there && spender.is_none_or(|height| height > self.node.height)
        })
    }

    /// The wallet hears of a transaction; one that was not made here has no comment.
    pub(crate) fn notice(&mut self, txid: &Txid) {
        let tx = self.chain.txs[txid].clone();
        let own_input = |coin: &OutPoint| {
            let output = self.chain.txs.get(&coin.txid).and_then(|tx| tx.outputs.get(coin.vout as usize));
            output.is_some_and(|(_, script)| self.is_mine(script))
        };
        let concerns =
            tx.outputs.iter().any(|(_, script)| self.is_mine(script)) || tx.inputs.iter().any(|(coin, _)| own_input(coin));
        if concerns {
            let time = self.clock;
            self.wallet.known.entry(*txid).or_insert(Known { comment: None, time });
        }
    }

    /// What is confirmed, or has lost its coins, leaves the mempool.
    pub(crate) fn clean_mempool(&mut self) {
        loop {
            let gone = self.node.mempool.iter().find(|txid| self.depth(txid) != 0 || !self.has_inputs(&self.chain.txs[*txid]));
            let Some(txid) = gone.copied() else { return };
            self.node.mempool.remove(&txid);
        }
    }
}
