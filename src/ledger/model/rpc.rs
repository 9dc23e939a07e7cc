//! The model as a `Wallet`.

use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use super::ModelWallet;
use super::world::amount;
use crate::coin::{Amount, BlockHash, FeeRate, OutPoint, Txid};
use crate::daemon::{
    AddressFacts, AddressScript, BalanceSource, Balances, BlockPlace, ChainCoin, DecodedTx, Entry, LockState, MempoolEntry,
    RpcError, SendMany, Signed, Tip, TxOutput, Unspent, Wallet, WalletIdentity, WalletTx,
};

fn unused(method: &str) -> RpcError {
    RpcError::Daemon { method: method.to_owned(), code: -32601, message: "not modelled".to_owned() }
}

impl Wallet for ModelWallet {
    fn wallet_beside(&self, name: &str) -> Result<Option<Box<dyn Wallet>>, RpcError> {
        let place = self.world.borrow().wallets.iter().position(|known| known == name);
        Ok(place.map(|place| Box::new(ModelWallet::at(Rc::clone(&self.world), place)) as Box<dyn Wallet>))
    }

    fn tip(&self) -> Result<Tip, RpcError> {
        if let Some(left) = self.restless.get().checked_sub(1) {
            self.restless.set(left);
            self.mine_empty();
        }
        let world = self.world.borrow();
        Ok(Tip { height: world.tip_height(), hash: *world.active.last().unwrap() })
    }

    fn block_hash(&self, height: u64) -> Result<BlockHash, RpcError> {
        self.world.borrow().active.get(height as usize).copied().ok_or_else(|| unused("getblockhash"))
    }

    fn block_place(&self, block: &BlockHash) -> Result<Option<BlockPlace>, RpcError> {
        match self.answers.get() {
            Some(0) => {
                self.answers.set(None);
                return Err(unused("getblockheader"));
            }
            left => self.answers.set(left.map(|left| left - 1)),
        }
        let world = self.world.borrow();
        let place = |height| BlockPlace { height, active: world.active_height(block).is_some() };
        Ok(world.heights.get(block).copied().map(place))
    }

    fn balances(&self) -> Result<Balances, RpcError> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let sum = |fits: &dyn Fn(&Txid) -> bool| {
            amount(view.coins().iter().filter(|(coin, _)| fits(&coin.txid)).map(|(_, value)| value).sum())
        };
        let pending = |txid: &Txid| view.depth(txid) == 0 && world.txs[txid].in_mempool && !view.is_trusted(txid);
        let missing = self.drift.get().map(|missing| missing + 1);
        self.drift.set(missing);
        let trusted = sum(&|txid| view.is_trusted(txid)).checked_sub(amount(missing.unwrap_or(0))).unwrap();
        Ok(Balances {
            trusted,
            pending: Some(sum(&pending)),
            immature: Some(sum(&|txid| view.depth(txid) > 0 && !world.is_mature(txid))),
            source: BalanceSource::Getbalances,
        })
    }

    /// Like the worst of the daemons: leaves out what is conflicted deeper than the block.
    fn list_each(&self, block: Option<&BlockHash>, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), RpcError> {
        let world = self.world.borrow();
        let depth = match block {
            None => i64::MAX,
            Some(block) => world.block_depth(block).ok_or_else(|| unused("listsinceblock"))?,
        };
        let view = world.of(self.place);
        let listed = view.txs().filter(|(txid, _)| view.depth(txid).abs() < depth);
        _ = listed.flat_map(|(txid, _)| view.entries(txid)).try_for_each(visit);
        Ok(())
    }

    fn transaction(&self, txid: &Txid) -> Result<Option<WalletTx>, RpcError> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let known = world.txs.get(txid).filter(|tx| view.knows(tx));
        let shown = |_| WalletTx { entries: view.entries(txid), confirmations: view.depth(txid), raw_hex: txid.to_string() };
        Ok(known.map(shown))
    }

    fn decode(&self, raw_hex: &str) -> Result<DecodedTx, RpcError> {
        if self.mute.get() {
            return Err(unused("decoderawtransaction"));
        }
        let txid: Txid = raw_hex.parse().unwrap();
        let world = self.world.borrow();
        let tx = &world.txs[&txid];
        let outputs =
            (0..).zip(&tx.outputs).map(|(vout, (value, _))| TxOutput { vout, amount: amount(*value), script_hex: String::new() });
        Ok(DecodedTx { txid, vsize: 100, inputs: tx.inputs.clone(), outputs: outputs.collect(), extension: None })
    }

    fn in_mempool(&self, txid: &Txid) -> Result<bool, RpcError> {
        Ok(self.world.borrow().txs.get(txid).is_some_and(|tx| tx.in_mempool))
    }

    fn broadcast(&self, _raw_hex: &str) -> Result<(), RpcError> {
        Err(unused("sendrawtransaction"))
    }

    fn unspent(&self) -> Result<Vec<Unspent>, RpcError> {
        let world = self.world.borrow();
        let view = world.of(self.place);
        let listed = |coin: &OutPoint| {
            let depth = view.depth(&coin.txid);
            world.is_mature(&coin.txid) && (depth > 0 || world.txs[&coin.txid].in_mempool) && !world.locked.contains(coin)
        };
        let coins = view.coins().into_iter().filter(|(coin, _)| listed(coin)).map(|(outpoint, value)| Unspent {
            outpoint,
            amount: amount(value),
            confirmations: view.depth(&outpoint.txid),
            spendable: true,
            safe: view.is_trusted(&outpoint.txid),
            script_hex: None,
            redeem_hex: None,
        });
        Ok(coins.collect())
    }

    fn locked(&self) -> Result<Vec<OutPoint>, RpcError> {
        Ok(self.world.borrow().locked.iter().copied().collect())
    }

    fn address(&self, _address: &str) -> Result<AddressFacts, RpcError> {
        Err(unused("getaddressinfo"))
    }

    fn scripts(&self, _addresses: &[&str]) -> Result<Vec<AddressScript>, RpcError> {
        Err(unused("validateaddress"))
    }

    fn fee_estimate(&self, _target_blocks: u32) -> Result<Option<FeeRate>, RpcError> {
        Err(unused("estimatesmartfee"))
    }

    fn min_relay_rate(&self) -> Result<FeeRate, RpcError> {
        Err(unused("getmempoolinfo"))
    }

    fn mempool_entry(&self, _txid: &Txid) -> Result<Option<MempoolEntry>, RpcError> {
        Err(unused("getmempoolentry"))
    }

    fn chain_coin(&self, _outpoint: &OutPoint) -> Result<Option<ChainCoin>, RpcError> {
        Err(unused("gettxout"))
    }

    fn change_address(&self) -> Result<String, RpcError> {
        Err(unused("getrawchangeaddress"))
    }

    fn compose(&self, _inputs: &[(OutPoint, u32)], _outputs: &[(String, Amount)], _lock: u32) -> Result<String, RpcError> {
        Err(unused("createrawtransaction"))
    }

    fn sign(&self, _unsigned_hex: &str) -> Result<Signed, RpcError> {
        Err(unused("walletprocesspsbt"))
    }

    fn lock_coins(&self, _coins: &[OutPoint]) -> Result<(), RpcError> {
        Err(unused("lockunspent"))
    }

    fn unlock_coins(&self, _coins: &[OutPoint]) -> Result<(), RpcError> {
        Err(unused("lockunspent"))
    }

    fn lock_state(&self) -> Result<LockState, RpcError> {
        Ok(LockState::Unencrypted)
    }

    fn open_keys(&self, _passphrase: &str, _seconds: u32) -> Result<(), RpcError> {
        Err(unused("walletpassphrase"))
    }

    fn close_keys(&self) -> Result<(), RpcError> {
        Err(unused("walletlock"))
    }

    fn new_address(&self) -> Result<String, RpcError> {
        Err(unused("getnewaddress"))
    }

    fn marks(&self, _prefix: &str) -> Result<Vec<String>, RpcError> {
        Err(unused("listlabels"))
    }

    fn set_mark(&self, _prefix: &str, _mark: &str) -> Result<(), RpcError> {
        Err(unused("setlabel"))
    }

    fn own_addresses(&self) -> Result<Vec<String>, RpcError> {
        Err(unused("listreceivedbyaddress"))
    }

    fn received_addresses(&self) -> Result<u64, RpcError> {
        Err(unused("listreceivedbyaddress"))
    }

    fn builds_chain(&self) -> Result<bool, RpcError> {
        Ok(self.builds_chain.get())
    }

    fn transaction_count(&self) -> Result<Option<u64>, RpcError> {
        Ok(Some(self.world.borrow().of(self.place).txs().count() as u64))
    }

    fn identity(&self) -> Result<WalletIdentity, RpcError> {
        let fingerprint = self.fingerprint.borrow().clone();
        Ok(WalletIdentity {
            name: self.world.borrow().wallets[self.place].clone(),
            fingerprint,
            tx_count: 0,
            keypool: 100,
            encrypted: false,
        })
    }

    fn send_many(&self, _order: &SendMany<'_>) -> Result<Txid, RpcError> {
        Err(unused("sendmany"))
    }

    fn backup_to(&self, _file: &Path) -> Result<(), RpcError> {
        Err(unused("backupwallet"))
    }

    fn rescan(&self, _height: u64) -> Result<(), RpcError> {
        self.find_again();
        Ok(())
    }

    fn uptime_s(&self) -> Result<Option<u64>, RpcError> {
        Ok(None)
    }
}
