//! The model as a `Wallet`, with what can happen to any call.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bursar::coin::{Amount, BlockHash, FeeRate, OutPoint, Txid};
use bursar::daemon::{
    AddressFacts, AddressScript, BalanceSource, Balances, BlockPlace, ChainCoin, DecodedTx, Entry, LockState, MempoolEntry,
    RpcError, SendMany, Signed, Tip, TxOutput, Unspent, Wallet, WalletIdentity, WalletTx,
};

use super::chain::Tx;
use super::coin::{address, script_of};
use super::entries::amount;
use super::faults::Fault;
use super::world::{Maker, World};

/// How bursar ends in the middle of something.
#[derive(Debug)]
pub(crate) struct Crash;

/// Ends bursar here.
pub(crate) fn crash() -> ! {
    resume_unwind(Box::new(Crash))
}

/// The model, shared by all who look at it.
pub(crate) type Shared = Rc<RefCell<World>>;

/// A connection to the model's wallet.
pub(crate) struct ModelWallet(pub(crate) Shared);

pub(crate) fn daemon_says(method: &str, code: i64, message: impl Into<String>) -> RpcError {
    RpcError::Daemon { method: method.to_owned(), code, message: message.into() }
}

pub(crate) fn lost(method: &str) -> RpcError {
    RpcError::Lost { method: method.to_owned(), reason: "timed out".to_owned(), waited: Duration::from_secs(60) }
}

pub(crate) fn queue_full(method: &str) -> RpcError {
    RpcError::Http { method: method.to_owned(), status: 500, body: "Work queue depth exceeded".to_owned() }
}

impl World {
    /// Why a call is not run at all.
    pub(crate) fn hindrance(&mut self, method: &str) -> Result<(), RpcError> {
        if !self.node.running {
            let (address, reason) = ("127.0.0.1:1".to_owned(), "connection refused".to_owned());
            return Err(RpcError::NotConnected { method: method.to_owned(), address, reason });
        }
        if self.node.warming > 0 {
            self.node.warming -= 1;
            return Err(daemon_says(method, -28, "Loading block index..."));
        }
        if self.strikes(Fault::QueueFull) {
            return Err(queue_full(method));
        }
        if self.strikes(Fault::DaemonKilled) {
            self.kill();
            return Err(lost(method));
        }
        Ok(())
    }
}

impl World {
    /// `sendrawtransaction`.
    fn take(&mut self, raw_hex: &str) -> Result<(), RpcError> {
        let says = |code, message: &str| Err(daemon_says("sendrawtransaction", code, message));
        let Some(tx) = Tx::read(raw_hex).filter(|tx| tx.signed) else { return says(-22, "TX decode failed") };
        let txid = self.add(tx, Maker::Bursar);
        match self.submit(&txid) {
            Ok(()) | Err((-27, _)) => {
                self.note(format!("{txid} is taken"));
                Ok(())
            }
            Err((code, message)) => {
                self.note(format!("{txid} is not taken: {message}"));
                says(code, &message)
            }
        }
    }
}

impl ModelWallet {
    /// One call: time passes, things happen, and either side may end before or after it.
    pub(crate) fn call<T>(&self, method: &str, run: impl FnOnce(&mut World) -> Result<T, RpcError>) -> Result<T, RpcError> {
        let crashes = {
            let mut world = self.0.borrow_mut();
            world.tick();
            if world.strikes(Fault::BlockAmid) {
                world.mine(false);
            }
            if world.strikes(Fault::ReorgAmid) {
                let depth = world.chance.between(1, 2);
                world.reorg(depth);
            }
            world.strikes(Fault::CrashBeforeCall)
        };
        if crashes {
            crash();
        }
        let (answer, crashes) = {
            let mut world = self.0.borrow_mut();
            let answer = world.hindrance(method).and_then(|()| run(&mut world));
            if world.strikes(Fault::SlowAnswer) {
                world.clock += 45;
            }
            let lost_it = answer.is_ok() && world.strikes(Fault::LostAnswer);
            (if lost_it { Err(lost(method)) } else { answer }, world.strikes(Fault::CrashAfterCall))
        };
        if crashes {
            crash();
        }
        answer
    }
}

/// What the daemon says of an outpoint's transaction, and so on: plain readings of the model.
impl Wallet for ModelWallet {
    fn tip(&self) -> Result<Tip, RpcError> {
        self.call("getblockchaininfo", |world| {
            Ok(Tip { height: world.node.height, hash: world.chain.active[world.node.height as usize] })
        })
    }

    fn block_hash(&self, height: u64) -> Result<BlockHash, RpcError> {
        self.call("getblockhash", |world| {
            let known = world.chain.active.get(height as usize).filter(|_| height <= world.node.height);
            known.copied().ok_or_else(|| daemon_says("getblockhash", -8, "Block height out of range"))
        })
    }

    fn block_place(&self, block: &BlockHash) -> Result<Option<BlockPlace>, RpcError> {
        self.call("getblockheader", |world| {
            let Some(height) = world.chain.block_height(block) else { return Ok(None) };
            let active = world.chain.is_active(block) && height <= world.node.height;
            let seen = active || world.node.seen.contains(block);
            Ok(seen.then_some(BlockPlace { height, active }))
        })
    }

    fn balances(&self) -> Result<Balances, RpcError> {
        self.call("getbalances", |world| {
            let sum = |fits: &dyn Fn(&OutPoint) -> bool| {
                amount(world.coins().iter().filter(|(coin, _)| fits(coin)).map(|(_, value)| value).sum())
            };
            Ok(Balances {
                trusted: sum(&|coin| world.is_trusted(&coin.txid)),
                pending: Some(sum(&|coin| world.node.mempool.contains(&coin.txid) && !world.is_trusted(&coin.txid))),
                immature: Some(Amount::ZERO),
                source: BalanceSource::Getbalances,
            })
        })
    }

    fn list_each(&self, block: Option<&BlockHash>, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), RpcError> {
        self.call("listsinceblock", |world| {
            let deepest = match block {
                None => i64::MAX,
                Some(block) => {
                    let height = world.chain.block_height(block).filter(|height| *height <= world.node.height);
                    let height = height.filter(|_| world.chain.is_active(block));
                    let height = height.ok_or_else(|| daemon_says("listsinceblock", -5, "Block not found"))?;
                    (world.node.height - height + 1) as i64
                }
            };
            let listed = world.wallet.known.keys().filter(|txid| world.depth(txid).abs() < deepest);
            _ = listed.flat_map(|txid| world.entries(txid)).try_for_each(visit);
            Ok(())
        })
    }

    fn transaction(&self, txid: &Txid) -> Result<Option<WalletTx>, RpcError> {
        self.call("gettransaction", |world| {
            let known = world.wallet.known.contains_key(txid);
            let shown = || WalletTx {
                entries: world.entries(txid),
                confirmations: world.depth(txid),
                raw_hex: world.chain.txs[txid].raw_hex(),
            };
            Ok(known.then(shown))
        })
    }

    fn decode(&self, raw_hex: &str) -> Result<DecodedTx, RpcError> {
        self.call("decoderawtransaction", |_| {
            let tx = Tx::read(raw_hex).ok_or_else(|| daemon_says("decoderawtransaction", -22, "TX decode failed"))?;
            let outputs = (0..).zip(&tx.outputs);
            let outputs =
                outputs.map(|(vout, (value, script))| TxOutput { vout, amount: amount(*value), script_hex: script.clone() });
            let vsize = 11 + 68 * tx.inputs.len() as u64 + 34 * tx.outputs.len() as u64;
            let inputs = tx.inputs.iter().map(|(input, _)| *input).collect();
            Ok(DecodedTx { txid: tx.txid(), vsize, inputs, outputs: outputs.collect(), extension: None })
        })
    }

    fn in_mempool(&self, txid: &Txid) -> Result<bool, RpcError> {
        self.call("getmempoolentry", |world| Ok(world.node.mempool.contains(txid)))
    }

    fn broadcast(&self, raw_hex: &str) -> Result<(), RpcError> {
        let taken = self.call("sendrawtransaction", |world| world.take(raw_hex));
        let ends = {
            let mut world = self.0.borrow_mut();
            // Peers have it. Of the wallet only what was flushed is left: Berkeley DB does not sync each write (`DB_TXN_WRITE_NOSYNC`). The machine
            // comes up again with all its services.
            let power_lost = taken.is_ok() && !world.faults.had(Fault::PowerLost) && world.strikes(Fault::PowerLost);
            if power_lost {
                world.reboot();
                world.start();
            }
            power_lost || taken.is_ok() && world.strikes(Fault::CrashAfterBroadcast)
        };
        if ends {
            crash();
        }
        taken
    }

    fn unspent(&self) -> Result<Vec<Unspent>, RpcError> {
        self.call("listunspent", |world| {
            let mut coins = world.coins();
            coins.retain(|(coin, _)| {
                (world.depth(&coin.txid) > 0 || world.node.mempool.contains(&coin.txid)) && !world.locked.contains(coin)
            });
            let unspent = |(outpoint, value): (OutPoint, i64)| Unspent {
                outpoint,
                amount: amount(value),
                confirmations: world.depth(&outpoint.txid),
                spendable: true,
                safe: world.is_trusted(&outpoint.txid),
                script_hex: Some(world.chain.txs[&outpoint.txid].outputs[outpoint.vout as usize].1.clone()),
                redeem_hex: None,
            };
            Ok(coins.into_iter().map(unspent).collect())
        })
    }

    fn locked(&self) -> Result<Vec<OutPoint>, RpcError> {
        self.call("listlockunspent", |world| Ok(world.locked.iter().copied().collect()))
    }

    fn address(&self, address: &str) -> Result<AddressFacts, RpcError> {
        self.call("getaddressinfo", |world| {
            let script = script_of(address);
            let is_mine = script.as_ref().is_some_and(|script| world.is_mine(script));
            Ok(AddressFacts { valid: script.is_some(), script_hex: script, is_mine })
        })
    }

    fn scripts(&self, addresses: &[&str]) -> Result<Vec<AddressScript>, RpcError> {
        self.call("validateaddress", |_| {
            let read = |address: &&str| script_of(address).map_or(AddressScript::Invalid, AddressScript::Known);
            Ok(addresses.iter().map(read).collect())
        })
    }

    fn fee_estimate(&self, _: u32) -> Result<Option<FeeRate>, RpcError> {
        self.call("estimatesmartfee", |_| Ok(Some(FeeRate::from_per_kvb(10_000))))
    }

    fn min_relay_rate(&self) -> Result<FeeRate, RpcError> {
        self.call("getmempoolinfo", |_| Ok(FeeRate::from_per_kvb(1000)))
    }

    fn mempool_entry(&self, txid: &Txid) -> Result<Option<MempoolEntry>, RpcError> {
        self.call("getmempoolentry", |world| {
            let held = world.node.mempool.contains(txid);
            Ok(held.then_some(MempoolEntry { ancestors: Some(1), descendants: Some(1) }))
        })
    }

    fn chain_coin(&self, outpoint: &OutPoint) -> Result<Option<ChainCoin>, RpcError> {
        self.call("gettxout", |world| {
            let (depth, held) = (world.depth(&outpoint.txid), world.node.mempool.contains(&outpoint.txid));
            let Some(tx) = world.chain.txs.get(&outpoint.txid).filter(|_| depth > 0 || held) else { return Ok(None) };
            let spender = world.chain.spender(outpoint).and_then(|by| world.chain.height_of(&by));
            let spent = spender.is_some_and(|height| height <= world.node.height)
                || world.node.mempool.iter().any(|txid| world.chain.txs[txid].spends(outpoint));
            let output = tx.outputs.get(outpoint.vout as usize).filter(|_| !spent);
            Ok(output.map(|(value, script)| ChainCoin {
                amount: amount(*value),
                script_hex: script.clone(),
                confirmations: depth.max(0).unsigned_abs(),
            }))
        })
    }

    fn change_address(&self) -> Result<String, RpcError> {
        self.call("getrawchangeaddress", |world| Ok(address(world.fresh_hash())))
    }

    fn compose(&self, inputs: &[(OutPoint, u32)], outputs: &[(String, Amount)], lock_height: u32) -> Result<String, RpcError> {
        self.call("createrawtransaction", |_| {
            let mut paid = Vec::new();
            for (to, value) in outputs {
                let script = script_of(to).ok_or_else(|| daemon_says("createrawtransaction", -5, "Invalid address"))?;
                paid.push((value.base_units(), script));
            }
            Ok(Tx { inputs: inputs.to_vec(), outputs: paid, lock: lock_height, signed: false }.raw_hex())
        })
    }

    fn sign(&self, unsigned_hex: &str) -> Result<Signed, RpcError> {
        self.call("signrawtransactionwithwallet", |world| {
            let tx =
                Tx::read(unsigned_hex).ok_or_else(|| daemon_says("signrawtransactionwithwallet", -22, "TX decode failed"))?;
            let complete = tx.inputs.iter().all(|(input, _)| world.own_value(input) > 0);
            Ok(Signed { raw_hex: Tx { signed: complete, ..tx }.raw_hex(), complete })
        })
    }

    fn why_unwanted(&self, raw_hex: &str) -> Result<Option<String>, RpcError> {
        self.call("testmempoolaccept", |world| {
            let tx = Tx::read(raw_hex).ok_or_else(|| daemon_says("testmempoolaccept", -22, "TX decode failed"))?;
            Ok((!world.has_inputs(&tx)).then(|| "missing-inputs".to_owned()))
        })
    }

    fn lock_coins(&self, coins: &[OutPoint]) -> Result<(), RpcError> {
        self.call("lockunspent", |world| {
            world.locked.extend(coins);
            Ok(())
        })
    }

    fn unlock_coins(&self, coins: &[OutPoint]) -> Result<(), RpcError> {
        self.call("lockunspent", |world| {
            coins.iter().for_each(|coin| _ = world.locked.remove(coin));
            Ok(())
        })
    }

    fn lock_state(&self) -> Result<LockState, RpcError> {
        self.call("getwalletinfo", |_| Ok(LockState::Unencrypted))
    }

    fn open_keys(&self, _: &str, _: u32) -> Result<(), RpcError> {
        Err(daemon_says("walletpassphrase", -15, "running with an unencrypted wallet"))
    }

    fn close_keys(&self) -> Result<(), RpcError> {
        Err(daemon_says("walletlock", -15, "running with an unencrypted wallet"))
    }

    fn new_address(&self) -> Result<String, RpcError> {
        self.call("getnewaddress", |world| Ok(address(world.fresh_hash())))
    }

    fn marks(&self, prefix: &str) -> Result<Vec<String>, RpcError> {
        self.call("listlabels", |world| {
            Ok(world.wallet.labels.iter().filter(|label| label.starts_with(prefix)).cloned().collect())
        })
    }

    fn set_mark(&self, prefix: &str, mark: &str) -> Result<(), RpcError> {
        self.call("setlabel", |world| {
            world.wallet.labels.retain(|label| !label.starts_with(prefix));
            world.wallet.labels.push(mark.to_owned());
            Ok(())
        })
    }

    fn own_addresses(&self) -> Result<Vec<String>, RpcError> {
        self.call("listreceivedbyaddress", |_| Ok(vec![]))
    }

    fn received_addresses(&self) -> Result<u64, RpcError> {
        self.call("listreceivedbyaddress", |world| Ok(world.wallet.addresses.min(1)))
    }

    fn transaction_count(&self) -> Result<Option<u64>, RpcError> {
        self.call("getwalletinfo", |world| Ok(Some(world.wallet.known.len() as u64)))
    }

    fn identity(&self) -> Result<WalletIdentity, RpcError> {
        self.call("getwalletinfo", |world| {
            Ok(WalletIdentity {
                name: world.wallet.name.to_owned(),
                fingerprint: world.wallet.fingerprint.map(str::to_owned),
                tx_count: world.wallet.known.len() as u64,
                keypool: 100,
                encrypted: false,
            })
        })
    }

    fn send_many(&self, order: &SendMany<'_>) -> Result<Txid, RpcError> {
        self.send(order)
    }

    fn backup_to(&self, _: &Path) -> Result<(), RpcError> {
        Err(daemon_says("backupwallet", -4, "Error: Wallet backup failed!"))
    }

    fn rescan(&self, _: u64) -> Result<(), RpcError> {
        Err(daemon_says("rescanblockchain", -32601, "Method not found"))
    }

    fn uptime_s(&self) -> Result<Option<u64>, RpcError> {
        self.call("uptime", |world| Ok(Some((world.clock - world.node.up_since).max(0).unsigned_abs())))
    }
}
