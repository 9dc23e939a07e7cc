//! The `Wallet` trait: what the capabilities ask of one wallet on one daemon, and the plain facts that it answers.

use std::ops::ControlFlow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DecodedTx, RpcError};
use crate::coin::{Amount, BlockHash, FeeRate, OutPoint, Timestamp, Txid};

/// The end of the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// Blocks above genesis.
    pub height: u64,
    /// The block's hash.
    pub hash: BlockHash,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlace {
    /// Its height on its own branch.
    pub height: u64,
    /// Whether it is on the active chain.
    pub active: bool,
}

/// Which RPC the balances came from: they differ in what they include.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BalanceSource {
    /// `getbalances` (0.19 and later).
    Getbalances,
    /// `getwalletinfo` (0.10 and later).
    Getwalletinfo,
    /// `getinfo` (before 0.16): trusted balance only.
    Getinfo,
    /// `getbalance`: trusted balance only.
    Getbalance,
}

/// What the wallet says that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balances {
    /// Confirmed, plus our own transactions in the mempool (change included).
    pub trusted: Amount,
    /// Strangers' transactions in the mempool; none where the daemon does not say.
    pub pending: Option<Amount>,
    /// Mined or staked and not yet spendable; none where the daemon does not say.
    pub immature: Option<Amount>,
    /// Which RPC said so.
    pub source: BalanceSource,
}

/// What an entry of a wallet's listing is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Paid by us.
    Send,
    /// Paid to us.
    Receive,
    /// Mined or staked, spendable.
    Generate,
    /// Mined or staked, not yet spendable: not money yet.
    Immature,
    /// Mined or staked in a block that is no longer on the active chain: not money.
    Orphan,
    /// Something this version does not know: kept, flagged, never dropped.
    Other(String),
}

/// One line of the wallet's listing: one output of one transaction, from one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The transaction.
    pub txid: Txid,
    /// The output; unknown for some categories.
    pub vout: Option<u32>,
    /// What it is.
    pub category: Category,
    /// To whom, where the wallet knows.
    pub address: Option<String>,
    /// Negative when paid by us.
    pub amount: Amount,
    /// Negative; the whole transaction's fee, repeated in each of its `send` entries: count it once per txid.
    pub fee: Option<Amount>,
    /// Negative when conflicted; 0 when unconfirmed. Some coins count other things: use the block for depth.
    pub confirmations: i64,
    /// The block that holds it.
    pub block: Option<BlockHash>,
    /// Only `send` entries say so, but it holds for the whole transaction.
    pub abandoned: bool,
    /// The comment given when it was sent; a payment to ourselves carries it in the receipt too.
    pub comment: Option<String>,
    /// When the wallet saw it.
    pub time: Timestamp,
}

/// One transaction as the wallet knows it.
#[derive(Clone, Debug)]
pub struct WalletTx {
    /// Its entries. A stranger's payment that lost to another one in a block has none left (all generations).
    pub entries: Vec<Entry>,
    /// As in its entries, and known without them: negative when it lost to a transaction in a block.
    pub confirmations: i64,
    /// The signed transaction in hex.
    pub raw_hex: String,
}

impl WalletTx {
    /// Whether one of its entries has this comment, compared whole.
    pub fn has_comment(&self, comment: &str) -> bool {
        self.entries.iter().any(|entry| entry.comment.as_deref() == Some(comment))
    }
}

/// One coin that the wallet can spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unspent {
    /// Which output.
    pub outpoint: OutPoint,
    /// How much.
    pub amount: Amount,
    /// Blocks since.
    pub confirmations: i64,
    /// Whether we hold the key.
    pub spendable: bool,
    /// False for unconfirmed money of strangers.
    pub safe: bool,
    /// Its locking script in hex, where the daemon says it: what kind of coin it is, and how large the input that spends it.
    pub script_hex: Option<String>,
    /// Where that is a hash of a script: the script, where the daemon says it.
    pub redeem_hex: Option<String>,
}

/// One output that the chain or the mempool holds unspent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCoin {
    /// How much.
    pub amount: Amount,
    /// Its locking script in hex.
    pub script_hex: String,
    /// Blocks since; 0 in the mempool.
    pub confirmations: u64,
}

/// A coin that the chain holds for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldCoin {
    /// Which output.
    pub outpoint: OutPoint,
    /// How much.
    pub amount: Amount,
}

/// A transaction in the mempool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MempoolEntry {
    /// Transactions of the mempool that it stands on, itself included; none where the daemon does not say.
    pub ancestors: Option<u64>,
    /// Transactions of the mempool that stand on it, itself included; none where the daemon does not say.
    pub descendants: Option<u64>,
}

/// A transaction that the wallet was asked to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The bytes in hex.
    pub raw_hex: String,
    /// Whether every input is signed.
    pub complete: bool,
}

/// Whether a wallet's keys can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// It is not encrypted: there is nothing to open.
    Unencrypted,
    /// They cannot.
    Locked,
    /// They can until then (the daemon's clock).
    OpenUntil(Timestamp),
    /// They can, for staking alone.
    ForStakingOnly,
}

/// What the daemon says about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFacts {
    /// Whether it is an address of this chain.
    pub valid: bool,
    /// Its locking script in hex, when valid.
    pub script_hex: Option<String>,
    /// Whether this wallet holds its key.
    pub is_mine: bool,
}

/// Where payments to an address go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressScript {
    /// To this locking script, in hex.
    Known(String),
    /// It is an address of this chain, but the daemon does not say its script: payments to it cannot be checked.
    Unsaid,
    /// It is no address of this chain.
    Invalid,
}

/// What tells one wallet from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletIdentity {
    /// The wallet's name; empty for the default one.
    pub name: String,
    /// HD seed id, or a hash over its public descriptors; none where the daemon says nothing that lasts.
    pub fingerprint: Option<String>,
    /// Transactions that the wallet knows.
    pub tx_count: u64,
    /// Keys made ahead.
    pub keypool: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

/// What a `sendmany` is to do.
#[derive(Clone, Debug)]
pub struct SendMany<'a> {
    /// Sent as the JSON-RPC id, so that the daemon's log names the batch.
    pub rpc_id: &'a str,
    /// The mark, kept by the wallet as the transaction's comment.
    pub comment: &'a str,
    /// One amount per address; no address twice, no script twice.
    pub outputs: &'a [(String, Amount)],
    /// What it may cost.
    pub fee: FeeChoice,
}

/// How the daemon chooses the fee of a `sendmany`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeeChoice {
    /// As it does by itself: by its conf (`paytxfee`), or as its coin always does.
    #[default]
    Daemons,
    /// By this rate; only daemons that take it in the call.
    Rate(FeeRate),
    /// By its own estimate for so many blocks; only daemons that take a target in the call.
    Target(u32),
}

/// How a daemon can be told what a `sendmany` is to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeeWay {
    /// A rate in the call (0.21 and later).
    Rate,
    /// A target for its own estimate in the call (0.15 and later); a rate only in its conf.
    Target {
        /// The rate that its conf holds (`paytxfee`); none: its own estimate.
        conf_rate: Option<FeeRate>,
    },
    /// Only in its conf.
    Conf {
        /// The rate that its conf holds (`paytxfee`); none: its own estimate.
        conf_rate: Option<FeeRate>,
    },
}

/// One wallet on one daemon.
///
/// Every call names its wallet where the daemon has several, has a deadline, and is made exactly once. Except where said
/// otherwise, calling twice is harmless.
pub trait Wallet {
    /// The wallet of this name on the same daemon, loaded, as soon as it has heard of all that the mempool holds now; none where this one stands alone.
    fn wallet_beside(&self, _name: &str) -> Result<Option<Box<dyn Wallet>>, RpcError> {
        Ok(None)
    }

    /// The end of the active chain.
    fn tip(&self) -> Result<Tip, RpcError>;

    /// Whether the daemon says that it is still far behind the chain, as while it builds it anew (`-reindex-chainstate`); false where it does not say.
    fn builds_chain(&self) -> Result<bool, RpcError> {
        Ok(false)
    }

    /// Hash of the active chain's block at `height`.
    fn block_hash(&self, height: u64) -> Result<BlockHash, RpcError>;

    /// Where a block stands; none when the daemon does not know it.
    fn block_place(&self, block: &BlockHash) -> Result<Option<BlockPlace>, RpcError>;

    /// Where each of these blocks stands, in their order.
    fn block_places(&self, blocks: &[BlockHash]) -> Result<Vec<Option<BlockPlace>>, RpcError> {
        blocks.iter().map(|block| self.block_place(block)).collect()
    }

    /// What the wallet holds, by the best RPC that the daemon has.
    fn balances(&self) -> Result<Balances, RpcError>;

    /// Hands on all entries after `block` (all there are when none), unconfirmed included, of what the wallet can spend, as its balances are: what it
    /// only watches is none of its money. Entries are handed on as they come: there may be millions, and they are never held. A visitor that breaks ends the call, which then succeeds; [`super::each_entry`] is for visitors that may fail.
    ///
    /// What was handed on counts only when the call succeeds: half a listing is none. The visitor must not call the daemon, for this call is open still.
    ///
    /// What daemons say a reorg took away is left aside: a deposit that was reorged out and double-spent stands in neither list (facts/daemons.md §8).
    fn list_each(&self, block: Option<&BlockHash>, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), RpcError>;

    /// The same, with what the wallet only watches, where it watches anything.
    fn list_each_watched(
        &self,
        block: Option<&BlockHash>,
        visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), RpcError> {
        self.list_each(block, visit)
    }

    /// [`Wallet::list_each`] as a list, for what is small by nature: since a recent block, never from the beginning.
    fn list_since(&self, block: Option<&BlockHash>) -> Result<Vec<Entry>, RpcError> {
        let mut entries = Vec::new();
        self.list_each(block, &mut |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    /// One transaction, with the entries that [`Wallet::list_each`] has of it; none when the wallet does not know it (code -5).
    fn transaction(&self, txid: &Txid) -> Result<Option<WalletTx>, RpcError>;

    /// Those of these transactions that the wallet has with these comments. An implementation may say so by what it has read of them before, while it
    /// can tell that the daemon has run on since: comments are lost by repairs, and these need a start.
    fn carrying(&self, commented: &[(Txid, String)]) -> Result<Vec<Txid>, RpcError> {
        let mut carrying = Vec::new();
        for (txid, comment) in commented {
            let known = self.transaction(txid)?;
            if known.is_some_and(|known| known.has_comment(comment)) {
                carrying.push(*txid);
            }
        }
        Ok(carrying)
    }

    /// Decodes a transaction.
    fn decode(&self, raw_hex: &str) -> Result<DecodedTx, RpcError>;

    /// Whether the mempool holds it.
    fn in_mempool(&self, txid: &Txid) -> Result<bool, RpcError>;

    /// Gives signed bytes to the network, again and again if need be. Never makes a new payment.
    fn broadcast(&self, raw_hex: &str) -> Result<(), RpcError>;

    /// Coins that can be spent, unconfirmed included.
    fn unspent(&self) -> Result<Vec<Unspent>, RpcError>;

    /// The same as of now, for what is about to be sent: an implementation may keep them while it can tell that nothing moved. Whoever
    /// looks for what is wrong asks for `unspent`.
    fn coins(&self) -> Result<Vec<Unspent>, RpcError> {
        self.unspent()
    }

    /// `coins`, and what the wallet holds beside them.
    fn funds(&self) -> Result<(Vec<Unspent>, Balances), RpcError> {
        Ok((self.coins()?, self.balances()?))
    }

    /// Coins that are locked against spending.
    fn locked(&self) -> Result<Vec<OutPoint>, RpcError>;

    /// What the daemon says about an address.
    fn address(&self, address: &str) -> Result<AddressFacts, RpcError>;

    /// Where payments to these addresses go, in their order, asked together: some hundred of them cost one call.
    fn scripts(&self, addresses: &[&str]) -> Result<Vec<AddressScript>, RpcError>;

    /// The daemon's estimate of what confirms within so many blocks; none where it has none.
    fn fee_estimate(&self, target_blocks: u32) -> Result<Option<FeeRate>, RpcError>;

    /// The lowest rate that the daemon's mempool takes and relays now.
    fn min_relay_rate(&self) -> Result<FeeRate, RpcError>;

    /// How the daemon can be told what a `sendmany` is to cost.
    fn fee_way(&self) -> Result<FeeWay, RpcError> {
        Ok(FeeWay::Rate)
    }

    /// How a transaction stands in the mempool; none when it is not in it.
    fn mempool_entry(&self, txid: &Txid) -> Result<Option<MempoolEntry>, RpcError>;

    /// An output that nobody has spent, mempool included; none when there is no such output, or it is spent.
    fn chain_coin(&self, outpoint: &OutPoint) -> Result<Option<ChainCoin>, RpcError>;

    /// Every coin that the chain holds for these addresses, whoever has their keys; none where the daemon cannot look for them. Reads the whole set of
    /// unspent outputs: takes minutes on a main chain.
    fn scan_chain(&self, _addresses: &[String]) -> Result<Option<Vec<HeldCoin>>, RpcError> {
        Ok(None)
    }

    /// A new address of this wallet, for change. Each call uses up a key.
    fn change_address(&self) -> Result<String, RpcError>;

    /// An unsigned transaction in hex of exactly these inputs, each with its sequence number, and exactly these outputs, in this
    /// order. The same arguments give the same bytes.
    fn compose(&self, inputs: &[(OutPoint, u32)], outputs: &[(String, Amount)], lock_height: u32) -> Result<String, RpcError>;

    /// Has the wallet sign. Sends nothing, and the same bytes give the same signatures.
    fn sign(&self, unsigned_hex: &str) -> Result<Signed, RpcError>;

    /// Why the daemon's mempool would not take these signed bytes, in its words; none when it would, or cannot be asked. Gives nothing to
    /// the network.
    fn why_unwanted(&self, _raw_hex: &str) -> Result<Option<String>, RpcError> {
        Ok(None)
    }

    /// Keeps coins from being spent by anything that chooses coins by itself. A restart of the daemon forgets it.
    fn lock_coins(&self, coins: &[OutPoint]) -> Result<(), RpcError>;

    /// Lets them be spent again.
    fn unlock_coins(&self, coins: &[OutPoint]) -> Result<(), RpcError>;

    /// Whether the wallet's keys can be used now.
    fn lock_state(&self) -> Result<LockState, RpcError>;

    /// Opens the wallet's keys for so many seconds; then the daemon closes them by itself.
    fn open_keys(&self, passphrase: &str, seconds: u32) -> Result<(), RpcError>;

    /// Closes the wallet's keys.
    fn close_keys(&self) -> Result<(), RpcError>;

    /// A new address of this wallet, for deposits.
    fn new_address(&self) -> Result<String, RpcError>;

    /// The marks beginning so that the wallet remembers by themselves, beside any transaction: [`Wallet::set_mark`] left them. None on a
    /// daemon that can remember none.
    fn marks(&self, prefix: &str) -> Result<Vec<String>, RpcError>;

    /// Has the wallet remember this mark, in the place of one that begins with the prefix where the daemon can overwrite it. The first
    /// one uses up a key, for an address that nobody is ever given.
    ///
    /// # Errors
    /// [`RpcError::Refused`] where the daemon can remember none.
    fn set_mark(&self, prefix: &str, mark: &str) -> Result<(), RpcError>;

    /// All addresses that this wallet gave out or received on.
    fn own_addresses(&self) -> Result<Vec<String>, RpcError>;

    /// How many addresses this wallet gave out: what it has in its address book, used or not.
    fn received_addresses(&self) -> Result<u64, RpcError>;

    /// How many transactions the wallet knows, by its own count; none where it does not count them.
    fn transaction_count(&self) -> Result<Option<u64>, RpcError> {
        Ok(None)
    }

    /// What tells this wallet from another.
    fn identity(&self) -> Result<WalletIdentity, RpcError>;

    /// Pays many at once, in one transaction. **Calling twice pays twice.** A failure is a certain refusal only where
    /// `payout::rules` says so; everything else is doubt.
    fn send_many(&self, order: &SendMany<'_>) -> Result<Txid, RpcError>;

    /// Has the daemon write a copy of the wallet to `file`, which must not exist.
    fn backup_to(&self, file: &Path) -> Result<(), RpcError>;

    /// Searches the chain again for this wallet's transactions, from `height` (`rescanblockchain`). Takes long.
    fn rescan(&self, height: u64) -> Result<(), RpcError>;

    /// How long the daemon has been up, in seconds; none where it does not say.
    fn uptime_s(&self) -> Result<Option<u64>, RpcError>;
}
