//! The calls of [`Wallet`], each by the best RPC that the probe found.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::super::probe::RescanWay;
use super::super::{
    AddressFacts, AddressScript, Balances, BlockPlace, ChainCoin, DecodedTx, Entry, FeeWay, HeldCoin, LockState, MempoolEntry,
    RpcError, SendMany, Signed, Tip, Unspent, Wallet, WalletIdentity, WalletTx,
};
use super::replies::{
    AddressReply, ChainReply, DecodedReply, DescriptorsReply, EntryReply, HeaderReply, MempoolReply, ReceivedReply, ScanReply,
    ScannedReply, TransactionReply, TxOutReply, UnspentReply, WalletInfoReply, amount,
};
use super::{RpcWallet, order};
use crate::coin::{Amount, BlockHash, FeeRate, OutPoint, Timestamp, Txid};

/// "Not found", of blocks and transactions; also of bad addresses.
const NOT_FOUND: i64 = -5;
/// `sendrawtransaction`: it is in a block already.
const ALREADY_IN_CHAIN: i64 = -27;

impl RpcWallet {
    pub(super) fn ask<T: DeserializeOwned>(&self, method: &str, args: &[Value]) -> Result<T, RpcError> {
        self.wallet.call(method, args)
    }

    pub(super) fn wallet_info(&self) -> Result<WalletInfoReply, RpcError> {
        let method = if self.abilities.has("getwalletinfo") { "getwalletinfo" } else { "getinfo" };
        self.ask(method, &[])
    }

    /// What lasts as long as the keys do. Descriptors are hashed without their ranges, which grow with use.
    fn fingerprint(&self, info: &WalletInfoReply) -> Result<Option<String>, RpcError> {
        if !info.descriptors || !self.abilities.has("listdescriptors") {
            return Ok(info.hdseedid.clone().or_else(|| info.hdmasterkeyid.clone()));
        }
        let reply: DescriptorsReply = self.ask("listdescriptors", &[])?;
        let sorted: BTreeSet<String> = reply.descriptors.into_iter().map(|descriptor| descriptor.desc).collect();
        let mut hash = Sha256::new();
        for descriptor in sorted {
            hash.update(descriptor.as_bytes());
            hash.update(b"\n");
        }
        Ok(Some(hex::encode(hash.finalize())))
    }

    /// Coins of `listaddressgroupings`: `[[[address, amount, label], …], …]`. Finds change addresses, which no other listing has.
    fn grouped_addresses(&self) -> Result<Vec<String>, RpcError> {
        let groups: Vec<Vec<Vec<Value>>> = self.ask("listaddressgroupings", &[])?;
        let first = |line: Vec<Value>| line.into_iter().next().and_then(|address| address.as_str().map(str::to_owned));
        Ok(groups.into_iter().flatten().filter_map(first).collect())
    }

    fn list(
        &self,
        block: Option<&BlockHash>,
        watched: bool,
        visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), RpcError> {
        let method = "listsinceblock";
        // An empty hash means "from the beginning" in every generation; the target only moves `lastblock`, which we do not use.
        let mut args = vec![json!(block.map(ToString::to_string).unwrap_or_default()), json!(1)];
        if self.abilities.lists_watch_only {
            args.push(json!(watched));
        }
        if self.abilities.lists_removed {
            args.push(json!(false));
        }
        self.wallet.list(method, &args, "transactions", |reply: EntryReply| match reply.into_entry(method, self.decimals) {
            Ok(entry) => visit(entry).map_break(Ok),
            Err(error) => ControlFlow::Break(Err(error)),
        })
    }

    /// Unconfirmed, unused and watch-only included.
    fn received(&self) -> Result<Vec<ReceivedReply>, RpcError> {
        self.ask("listreceivedbyaddress", &[json!(0), json!(true), json!(true)])
    }

    /// The answer, or none when it is this "not found" and no other error.
    fn found<T>(answer: Result<T, RpcError>, text: &str) -> Result<Option<T>, RpcError> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(RpcError::Daemon { code: NOT_FOUND, message, .. }) if message.to_lowercase().contains(text) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Confirmations are -1 for a block that is not on the active chain.
fn placed(answer: Result<HeaderReply, RpcError>) -> Result<Option<BlockPlace>, RpcError> {
    let header = RpcWallet::found(answer, "block not found")?;
    Ok(header.map(|header| BlockPlace { height: header.height, active: header.confirmations > 0 }))
}

impl Wallet for RpcWallet {
    fn wallet_beside(&self, name: &str) -> Result<Option<Box<dyn Wallet>>, RpcError> {
        let mut beside = self.beside(name);
        beside.ensure_loaded()?;
        beside.ensure_not_watch_only()?;
        // Wallets are told of a transaction a moment after the mempool has it (facts/daemons.md §5). Daemons that tell them at once do not know this call,
        // and one that refuses it leaves us where we were without it.
        if let Err(error) = self.node.call::<Value>("syncwithvalidationinterfacequeue", &[]) {
            debug!(%error, "the daemon did not say when its wallets had heard of the mempool");
        }
        Ok(Some(Box::new(beside)))
    }

    fn tip(&self) -> Result<Tip, RpcError> {
        if self.abilities.has("getblockchaininfo") {
            // Height and hash of one moment.
            let reply: ChainReply = self.node.call("getblockchaininfo", &[])?;
            return Ok(Tip { height: reply.blocks, hash: reply.bestblockhash });
        }
        let height = self.node.call("getblockcount", &[])?;
        Ok(Tip { height, hash: self.block_hash(height)? })
    }

    fn builds_chain(&self) -> Result<bool, RpcError> {
        if !self.abilities.has("getblockchaininfo") {
            return Ok(false);
        }
        Ok(self.node.call::<ChainReply>("getblockchaininfo", &[])?.initialblockdownload)
    }

    fn block_hash(&self, height: u64) -> Result<BlockHash, RpcError> {
        self.node.call("getblockhash", &[json!(height)])
    }

    fn block_place(&self, block: &BlockHash) -> Result<Option<BlockPlace>, RpcError> {
        let method = if self.abilities.has("getblockheader") { "getblockheader" } else { "getblock" };
        let answer = self.node.call::<HeaderReply>(method, &[json!(block)]);
        placed(answer)
    }

    fn block_places(&self, blocks: &[BlockHash]) -> Result<Vec<Option<BlockPlace>>, RpcError> {
        if !self.abilities.has("getblockheader") {
            return blocks.iter().map(|block| self.block_place(block)).collect();
        }
        let each: Vec<Vec<Value>> = blocks.iter().map(|block| vec![json!(block)]).collect();
        self.node.ask_each("getblockheader", &each)?.into_iter().map(placed).collect()
    }

    fn balances(&self) -> Result<Balances, RpcError> {
        self.balances_told()
    }

    fn list_each(&self, block: Option<&BlockHash>, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> Result<(), RpcError> {
        self.list(block, false, visit)
    }

    fn list_each_watched(
        &self,
        block: Option<&BlockHash>,
        visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<(), RpcError> {
        self.list(block, true, visit)
    }

    fn transaction(&self, txid: &Txid) -> Result<Option<WalletTx>, RpcError> {
        let asked = Instant::now();
        let answer = self.ask::<TransactionReply>("gettransaction", &[json!(txid), json!(false)]);
        let reply = RpcWallet::found(answer, "invalid or non-wallet transaction id")?;
        let known = reply.map(|reply| reply.into_transaction(self.decimals)).transpose()?;
        self.memory.note(txid, known.as_ref(), asked);
        Ok(known)
    }

    fn carrying(&self, commented: &[(Txid, String)]) -> Result<Vec<Txid>, RpcError> {
        self.remembered_carrying(commented)
    }

    fn decode(&self, raw_hex: &str) -> Result<DecodedTx, RpcError> {
        let reply: DecodedReply = self.node.call("decoderawtransaction", &[json!(raw_hex)])?;
        reply.into_decoded(raw_hex.len() as u64 / 2, self.decimals)
    }

    fn in_mempool(&self, txid: &Txid) -> Result<bool, RpcError> {
        if !self.abilities.has("getmempoolentry") {
            let mempool: Vec<Txid> = self.node.call("getrawmempool", &[])?;
            return Ok(mempool.contains(txid));
        }
        let answer = self.node.call::<Value>("getmempoolentry", &[json!(txid)]);
        Ok(RpcWallet::found(answer, "not in mempool")?.is_some())
    }

    fn broadcast(&self, raw_hex: &str) -> Result<(), RpcError> {
        match self.node.call::<Value>("sendrawtransaction", &[json!(raw_hex)]) {
            Ok(_) => Ok(()),
            Err(RpcError::Daemon { code: ALREADY_IN_CHAIN, .. }) => Ok(()),
            Err(RpcError::Daemon { message, .. }) if is_already_in_mempool(&message) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn unspent(&self) -> Result<Vec<Unspent>, RpcError> {
        let coins: Vec<UnspentReply> = self.ask("listunspent", &[json!(0)])?;
        let unspent = |(number, coin): (u32, UnspentReply)| {
            Ok(Unspent {
                // A coin that has no output of the chain gets the number of one that no transaction has, each another: it counts as
                // money that is held, nothing composes with it, and nothing is ever seen to have spent it.
                outpoint: OutPoint { txid: coin.txid, vout: coin.vout.unwrap_or(i32::MAX.unsigned_abs() - number) },
                amount: amount("listunspent", &coin.amount, self.decimals)?,
                confirmations: coin.confirmations,
                spendable: coin.spendable.unwrap_or(true),
                // Daemons that do not say it may list strangers' unconfirmed coins.
                safe: coin.safe.unwrap_or(coin.confirmations > 0),
                script_hex: coin.script_hex,
                redeem_hex: coin.redeem_hex,
            })
        };
        (0..).zip(coins).map(unspent).collect()
    }

    fn coins(&self) -> Result<Vec<Unspent>, RpcError> {
        Ok(self.remembered_coins()?.0)
    }

    fn funds(&self) -> Result<(Vec<Unspent>, Balances), RpcError> {
        let (coins, balances) = self.remembered_coins()?;
        Ok((coins, balances.map_or_else(|| self.balances(), Ok)?))
    }

    fn locked(&self) -> Result<Vec<OutPoint>, RpcError> {
        self.ask("listlockunspent", &[])
    }

    fn address(&self, address: &str) -> Result<AddressFacts, RpcError> {
        let checked: AddressReply = self.node.call("validateaddress", &[json!(address)])?;
        if checked.isvalid != Some(true) {
            return Ok(AddressFacts { valid: false, script_hex: None, is_mine: false });
        }
        let of_wallet: AddressReply = self.ask(self.asks_own_addresses(), &[json!(address)])?;
        let script_hex = checked.script_hex.or(of_wallet.script_hex);
        Ok(AddressFacts { valid: true, script_hex, is_mine: of_wallet.ismine.unwrap_or_default() })
    }

    fn scripts(&self, addresses: &[&str]) -> Result<Vec<AddressScript>, RpcError> {
        self.scripts_of(addresses)
    }

    fn fee_estimate(&self, target_blocks: u32) -> Result<Option<FeeRate>, RpcError> {
        self.estimate(target_blocks)
    }

    fn min_relay_rate(&self) -> Result<FeeRate, RpcError> {
        self.relay_rate()
    }

    fn fee_way(&self) -> Result<FeeWay, RpcError> {
        self.way_of_fees()
    }

    fn mempool_entry(&self, txid: &Txid) -> Result<Option<MempoolEntry>, RpcError> {
        if !self.abilities.has("getmempoolentry") {
            let unsaid = MempoolEntry { ancestors: None, descendants: None };
            return Ok(self.in_mempool(txid)?.then_some(unsaid));
        }
        let answer = self.node.call::<MempoolReply>("getmempoolentry", &[json!(txid)]);
        let reply = RpcWallet::found(answer, "not in mempool")?;
        Ok(reply.map(|reply| MempoolEntry { ancestors: reply.ancestorcount, descendants: reply.descendantcount }))
    }

    fn chain_coin(&self, outpoint: &OutPoint) -> Result<Option<ChainCoin>, RpcError> {
        let method = "gettxout";
        let reply: Option<TxOutReply> = self.node.call(method, &[json!(outpoint.txid), json!(outpoint.vout), json!(true)])?;
        let coin = |reply: TxOutReply| {
            let amount = amount(method, &reply.value, self.decimals)?;
            Ok(ChainCoin { amount, script_hex: reply.script.hex, confirmations: reply.confirmations })
        };
        reply.map(coin).transpose()
    }

    fn scan_chain(&self, addresses: &[String]) -> Result<Option<Vec<HeldCoin>>, RpcError> {
        let method = "scantxoutset";
        if !self.abilities.has(method) {
            return Ok(None);
        }
        let objects: Vec<Value> = addresses.iter().map(|address| json!(format!("addr({address})"))).collect();
        let reply: ScanReply = self.node.call(method, &[json!("start"), Value::Array(objects)])?;
        if !reply.success {
            let reason = "somebody broke the scan off".to_owned();
            return Err(RpcError::Refused { method: method.to_owned(), reason });
        }
        let held = |coin: ScannedReply| {
            let outpoint = OutPoint { txid: coin.txid, vout: coin.vout };
            Ok(HeldCoin { outpoint, amount: amount(method, &coin.amount, self.decimals)? })
        };
        reply.unspents.into_iter().map(held).collect::<Result<_, RpcError>>().map(Some)
    }

    fn change_address(&self) -> Result<String, RpcError> {
        if self.abilities.has("getrawchangeaddress") { self.ask("getrawchangeaddress", &[]) } else { self.new_address() }
    }

    fn compose(&self, inputs: &[(OutPoint, u32)], outputs: &[(String, Amount)], lock_height: u32) -> Result<String, RpcError> {
        self.create_raw(inputs, outputs, lock_height)
    }

    fn sign(&self, unsigned_hex: &str) -> Result<Signed, RpcError> {
        self.sign_raw(unsigned_hex)
    }

    fn why_unwanted(&self, raw_hex: &str) -> Result<Option<String>, RpcError> {
        self.test_accept(raw_hex)
    }

    fn lock_coins(&self, coins: &[OutPoint]) -> Result<(), RpcError> {
        self.lock_unspent(false, coins)
    }

    fn unlock_coins(&self, coins: &[OutPoint]) -> Result<(), RpcError> {
        self.lock_unspent(true, coins)
    }

    fn lock_state(&self) -> Result<LockState, RpcError> {
        let info = self.wallet_info()?;
        Ok(match info.unlocked_until {
            None => LockState::Unencrypted,
            Some(0) => LockState::Locked,
            Some(_) if info.unlocked_minting_only => LockState::ForStakingOnly,
            Some(until) => LockState::OpenUntil(Timestamp(until)),
        })
    }

    fn open_keys(&self, passphrase: &str, seconds: u32) -> Result<(), RpcError> {
        self.wallet.call_with_secret::<Value>("walletpassphrase", &(passphrase, seconds)).map(|_| ())
    }

    fn close_keys(&self) -> Result<(), RpcError> {
        self.ask::<Value>("walletlock", &[]).map(|_| ())
    }

    fn new_address(&self) -> Result<String, RpcError> {
        self.ask("getnewaddress", &[])
    }

    fn received_addresses(&self) -> Result<u64, RpcError> {
        match self.addresses_in_book()? {
            Some(count) => Ok(count),
            None => Ok(self.received()?.len() as u64),
        }
    }

    fn marks(&self, prefix: &str) -> Result<Vec<String>, RpcError> {
        self.names_with(prefix)
    }

    fn set_mark(&self, prefix: &str, mark: &str) -> Result<(), RpcError> {
        self.name_address(prefix, mark)
    }

    fn own_addresses(&self) -> Result<Vec<String>, RpcError> {
        let received = self.received()?;
        let unspent: Vec<UnspentReply> = self.ask("listunspent", &[json!(0)])?;
        let mut addresses: BTreeSet<String> = received.into_iter().map(|line| line.address).collect();
        addresses.extend(unspent.into_iter().filter_map(|coin| coin.address));
        addresses.extend(self.grouped_addresses()?);
        Ok(addresses.into_iter().collect())
    }

    fn transaction_count(&self) -> Result<Option<u64>, RpcError> {
        Ok(self.wallet_info()?.txcount)
    }

    fn identity(&self) -> Result<WalletIdentity, RpcError> {
        let info = self.wallet_info()?;
        let tx_count = match info.txcount {
            Some(count) => count,
            None => {
                let mut txids: HashSet<Txid> = HashSet::new();
                self.list_each_watched(None, &mut |entry| {
                    txids.insert(entry.txid);
                    ControlFlow::Continue(())
                })?;
                txids.len() as u64
            }
        };
        Ok(WalletIdentity {
            fingerprint: self.fingerprint(&info)?,
            tx_count,
            keypool: info.keypoolsize,
            encrypted: info.unlocked_until.is_some(),
            name: info.walletname.unwrap_or_else(|| self.name.clone()),
        })
    }

    fn send_many(&self, order: &SendMany<'_>) -> Result<Txid, RpcError> {
        let args = order::arguments(order, &self.abilities, self.decimals, self.max_money)?;
        self.wallet.call_as(order.rpc_id, "sendmany", &args)
    }

    fn backup_to(&self, file: &Path) -> Result<(), RpcError> {
        let refused = |reason: &str| {
            let reason = format!("{}: {reason}; no copy was made", file.display());
            Err(RpcError::Refused { method: "backupwallet".to_owned(), reason })
        };
        let Some(text) = file.to_str().filter(|_| file.is_absolute()) else {
            return refused("the daemon needs a full path in plain text");
        };
        // Daemons overwrite in silence.
        if file.symlink_metadata().is_ok() {
            return refused("there is something at this place already");
        }
        self.ask::<Value>("backupwallet", &[json!(text)]).map(|_| ())
    }

    fn rescan(&self, height: u64) -> Result<(), RpcError> {
        match self.abilities.rescan {
            RescanWay::Rpc => self.ask::<Value>("rescanblockchain", &[json!(height)]).map(|_| ()),
            RescanWay::Restart => {
                let reason = "this daemon rescans only when it is started with -rescan".to_owned();
                Err(RpcError::Refused { method: "rescanblockchain".to_owned(), reason })
            }
        }
    }

    fn uptime_s(&self) -> Result<Option<u64>, RpcError> {
        if self.abilities.has("uptime") { self.node.call("uptime", &[]).map(Some) } else { Ok(None) }
    }
}

/// Most daemons answer a rebroadcast with the txid again; some with one of these, with or without a number before or after.
fn is_already_in_mempool(message: &str) -> bool {
    message.contains("txn-already-in-mempool") || message.contains("txn-already-known")
}
