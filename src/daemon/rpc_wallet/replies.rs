//! Daemon answers, read leniently: what we need must be there, everything else may be anything. Amounts stay decimal text until they
//! are integers.

use serde::Deserialize;
use serde_json::Number;

use super::super::rpc::unreadable;
use super::super::{Category, DecodedTx, Entry, Extension, RpcError, TxOutput, WalletTx};
use crate::coin::{Amount, BlockHash, OutPoint, Timestamp, Txid};

/// An amount, exactly as reported.
pub(super) fn amount(method: &str, number: &Number, decimals: u8) -> Result<Amount, RpcError> {
    Amount::parse_reported(&number.to_string(), decimals).map_err(|error| unreadable(method, &error.to_string()))
}

/// An amount that may be missing.
pub(super) fn amount_if_any(method: &str, number: Option<&Number>, decimals: u8) -> Result<Option<Amount>, RpcError> {
    number.map(|number| amount(method, number, decimals)).transpose()
}

/// A line of `listsinceblock`, or of the `details` of `gettransaction`.
#[derive(Clone, Deserialize)]
pub(super) struct EntryReply {
    txid: Option<Txid>,
    vout: Option<u32>,
    #[serde(default)]
    category: String,
    address: Option<String>,
    amount: Number,
    fee: Option<Number>,
    #[serde(default)]
    confirmations: i64,
    blockhash: Option<BlockHash>,
    #[serde(default)]
    abandoned: bool,
    comment: Option<String>,
    time: Option<i64>,
    timereceived: Option<i64>,
}

impl EntryReply {
    /// The fact in it.
    pub(super) fn into_entry(self, method: &str, decimals: u8) -> Result<Entry, RpcError> {
        Ok(Entry {
            // Only moves between the accounts of old wallets have none; they are no transactions, and their category says so.
            txid: self.txid.unwrap_or(Txid::from_bytes([0; 32])),
            vout: self.vout,
            category: category(&self.category, self.txid.is_some()),
            address: self.address,
            amount: amount(method, &self.amount, decimals)?,
            fee: amount_if_any(method, self.fee.as_ref(), decimals)?,
            confirmations: self.confirmations,
            block: self.blockhash,
            abandoned: self.abandoned,
            comment: self.comment.filter(|comment| !comment.is_empty()),
            time: Timestamp(self.timereceived.or(self.time).unwrap_or_default()),
        })
    }
}

fn category(word: &str, has_txid: bool) -> Category {
    match word {
        _ if !has_txid => Category::Other(word.to_owned()),
        "send" => Category::Send,
        "receive" => Category::Receive,
        "generate" => Category::Generate,
        "immature" => Category::Immature,
        "orphan" => Category::Orphan,
        other => Category::Other(other.to_owned()),
    }
}

/// `gettransaction`: what its entries share stands at the top.
#[derive(Deserialize)]
pub(super) struct TransactionReply {
    txid: Txid,
    #[serde(default)]
    confirmations: i64,
    blockhash: Option<BlockHash>,
    comment: Option<String>,
    time: Option<i64>,
    timereceived: Option<i64>,
    details: Vec<EntryReply>,
    hex: String,
}

impl TransactionReply {
    /// The fact in it: entries as `listsinceblock` would give them.
    pub(super) fn into_transaction(self, decimals: u8) -> Result<WalletTx, RpcError> {
        let shared = |detail: EntryReply| EntryReply {
            txid: Some(self.txid),
            confirmations: self.confirmations,
            blockhash: self.blockhash,
            comment: self.comment.clone(),
            time: self.time,
            timereceived: self.timereceived,
            ..detail
        };
        let entries = self.details.into_iter().map(|detail| shared(detail).into_entry("gettransaction", decimals));
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(WalletTx { entries, confirmations: self.confirmations, raw_hex: self.hex })
    }
}

/// `decoderawtransaction`.
#[derive(Deserialize)]
pub(super) struct DecodedReply {
    pub(super) txid: Txid,
    pub(super) vsize: Option<u64>,
    pub(super) size: Option<u64>,
    pub(super) vin: Vec<InputReply>,
    pub(super) vout: Vec<OutputReply>,
    /// The kernels of its part in Litecoin's extension block (MWEB).
    #[serde(default)]
    pub(super) vkern: Vec<KernelReply>,
}

impl DecodedReply {
    /// The fact in it. `bytes` is its size where the daemon says none.
    pub(super) fn into_decoded(self, bytes: u64, decimals: u8) -> Result<DecodedTx, RpcError> {
        let amount = |value: &Number| amount("decoderawtransaction", value, decimals);
        let mut outputs = Vec::new();
        for reply in &self.vout {
            if !reply.ismweb {
                let (Some(value), Some(vout), Some(script)) = (&reply.value, reply.n, &reply.script) else {
                    return Err(unreadable("decoderawtransaction", "an output lacks value, n or scriptPubKey"));
                };
                outputs.push(TxOutput { vout, amount: amount(value)?, script_hex: script.hex.clone() });
            }
        }
        let mut extension = Extension::default();
        // Ids of coins in there are as long as those of transactions, and none is that of one.
        extension.inputs.extend(self.vin.iter().filter_map(|input| Some(OutPoint { txid: input.output_id?, vout: 0 })));
        for pegout in self.vkern.iter().flat_map(|kernel| &kernel.pegout) {
            extension.pegouts.push((pegout.script.hex.clone(), amount(&pegout.value)?));
        }
        let takes_part = !self.vkern.is_empty() || !extension.inputs.is_empty() || self.vout.iter().any(|reply| reply.ismweb);
        Ok(DecodedTx {
            txid: self.txid,
            vsize: self.vsize.or(self.size).unwrap_or(bytes),
            inputs: self.vin.iter().filter_map(|input| Some(OutPoint { txid: input.txid?, vout: input.vout? })).collect(),
            outputs,
            extension: takes_part.then_some(extension),
        })
    }
}

/// An input; a coinbase has no txid, and one from Litecoin's extension block an id of its own kind.
#[derive(Deserialize)]
pub(super) struct InputReply {
    txid: Option<Txid>,
    vout: Option<u32>,
    output_id: Option<Txid>,
}

/// An output. One that stays in Litecoin's extension block has an id of its own kind, and nothing else is known of it.
#[derive(Deserialize)]
pub(super) struct OutputReply {
    #[serde(default)]
    ismweb: bool,
    value: Option<Number>,
    n: Option<u32>,
    #[serde(rename = "scriptPubKey")]
    script: Option<ScriptReply>,
}

/// A kernel: what a transaction moves into the extension block, and out of it.
#[derive(Deserialize)]
pub(super) struct KernelReply {
    #[serde(default)]
    pegout: Vec<PegoutReply>,
}

/// What is paid out of the extension block: the block's own transaction makes the output.
#[derive(Deserialize)]
pub(super) struct PegoutReply {
    value: Number,
    #[serde(rename = "scriptPubKey")]
    script: ScriptReply,
}

/// A locking script.
#[derive(Deserialize)]
pub(super) struct ScriptReply {
    pub(super) hex: String,
}

/// `gettxout`.
#[derive(Deserialize)]
pub(super) struct TxOutReply {
    pub(super) value: Number,
    #[serde(default)]
    pub(super) confirmations: u64,
    #[serde(rename = "scriptPubKey")]
    pub(super) script: ScriptReply,
}

/// `getmempoolentry`.
#[derive(Deserialize)]
pub(super) struct MempoolReply {
    pub(super) ancestorcount: Option<u64>,
    pub(super) descendantcount: Option<u64>,
}

/// `getbalances`.
#[derive(Deserialize)]
pub(super) struct BalancesReply {
    pub(super) mine: MineReply,
}

/// The part of `getbalances` whose keys we hold.
#[derive(Deserialize)]
pub(super) struct MineReply {
    pub(super) trusted: Number,
    pub(super) untrusted_pending: Number,
    pub(super) immature: Number,
    /// Wallets that avoid reuse only: what is left out of the former two.
    pub(super) used: Option<Number>,
}

/// Balances in `getwalletinfo` and `getinfo`.
#[derive(Deserialize)]
pub(super) struct WalletBalanceReply {
    pub(super) balance: Number,
    pub(super) unconfirmed_balance: Option<Number>,
    pub(super) immature_balance: Option<Number>,
}

/// `scantxoutset`.
#[derive(Deserialize)]
pub(super) struct ScanReply {
    pub(super) success: bool,
    #[serde(default)]
    pub(super) unspents: Vec<ScannedReply>,
}

/// A coin that it found.
#[derive(Deserialize)]
pub(super) struct ScannedReply {
    pub(super) txid: Txid,
    pub(super) vout: u32,
    pub(super) amount: Number,
}

/// What tells wallets apart, in `getwalletinfo` and `getinfo`.
#[derive(Deserialize)]
pub(super) struct WalletInfoReply {
    pub(super) walletname: Option<String>,
    pub(super) txcount: Option<u64>,
    #[serde(default)]
    pub(super) keypoolsize: u64,
    pub(super) unlocked_until: Option<i64>,
    #[serde(default)]
    pub(super) unlocked_minting_only: bool,
    pub(super) hdseedid: Option<String>,
    pub(super) hdmasterkeyid: Option<String>,
    #[serde(default)]
    pub(super) descriptors: bool,
    /// 0.17 and later.
    pub(super) private_keys_enabled: Option<bool>,
}

/// `listdescriptors`.
#[derive(Deserialize)]
pub(super) struct DescriptorsReply {
    pub(super) descriptors: Vec<DescriptorReply>,
}

/// One descriptor, public keys only.
#[derive(Deserialize)]
pub(super) struct DescriptorReply {
    pub(super) desc: String,
}

/// A line of `listunspent`.
#[derive(Deserialize)]
pub(super) struct UnspentReply {
    pub(super) txid: Txid,
    /// A confidential coin (MWEB) is listed without one, and without a script: seen on Litecoin 0.21.2.
    pub(super) vout: Option<u32>,
    pub(super) amount: Number,
    pub(super) address: Option<String>,
    #[serde(default)]
    pub(super) confirmations: i64,
    pub(super) spendable: Option<bool>,
    pub(super) safe: Option<bool>,
    #[serde(rename = "scriptPubKey")]
    pub(super) script_hex: Option<String>,
    #[serde(rename = "redeemScript")]
    pub(super) redeem_hex: Option<String>,
}

/// `getblockchaininfo`.
#[derive(Deserialize)]
pub(super) struct ChainReply {
    pub(super) blocks: u64,
    pub(super) bestblockhash: BlockHash,
    /// Of 0.16 and later.
    #[serde(default)]
    pub(super) initialblockdownload: bool,
}

/// `getblockheader` and `getblock`.
#[derive(Deserialize)]
pub(super) struct HeaderReply {
    pub(super) height: u64,
    pub(super) confirmations: i64,
}

/// `validateaddress` and `getaddressinfo`.
#[derive(Deserialize)]
pub(super) struct AddressReply {
    pub(super) isvalid: Option<bool>,
    #[serde(rename = "scriptPubKey")]
    pub(super) script_hex: Option<String>,
    pub(super) ismine: Option<bool>,
}

/// A line of `listreceivedbyaddress`.
#[derive(Deserialize)]
pub(super) struct ReceivedReply {
    pub(super) address: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<Entry, RpcError> {
        serde_json::from_str::<EntryReply>(text).unwrap().into_entry("listsinceblock", 8)
    }

    #[test]
    fn an_entry_keeps_every_digit_of_its_amount() {
        let txid = "ab".repeat(32);
        let text = format!(
            r#"{{"txid":"{txid}","vout":1,"category":"send","amount":-90071992.54740993,"fee":-0.00000001,"confirmations":-2,
                "abandoned":true,"comment":"mark","time":5,"timereceived":7,"new":[1.5]}}"#
        );
        let entry = entry(&text).unwrap();
        assert_eq!(entry.amount, Amount::from_base_units(-9_007_199_254_740_993));
        assert_eq!(entry.fee, Some(Amount::from_base_units(-1)));
        assert_eq!((entry.confirmations, entry.abandoned, entry.time), (-2, true, Timestamp(7)));
        assert_eq!(entry.category, Category::Send);
    }

    #[test]
    fn what_is_unknown_is_kept_as_other() {
        let txid = "ab".repeat(32);
        let staked = entry(&format!(r#"{{"txid":"{txid}","category":"stake","amount":1.0}}"#)).unwrap();
        assert_eq!(staked.category, Category::Other("stake".to_owned()));
        let moved = entry(r#"{"category":"send","amount":1.0,"account":"a","otheraccount":"b"}"#).unwrap();
        assert_eq!(moved.category, Category::Other("send".to_owned()));
    }

    fn decoded(text: &str) -> Result<DecodedTx, RpcError> {
        serde_json::from_str::<DecodedReply>(text).unwrap().into_decoded(9, 8)
    }

    /// As Litecoin 0.21.2 says it of a payment from one coin of the chain and one of the extension block, with its change in there.
    #[test]
    fn a_payment_out_of_the_extension_block_pays_what_its_kernel_pays() {
        let [txid, spent, hidden, change] = ["ab", "cd", "ef", "12"].map(|byte| byte.repeat(32));
        let text = format!(
            r#"{{"txid":"{txid}","vsize":194,"vin":[{{"ismweb":false,"txid":"{spent}","vout":3}},{{"ismweb":true,"output_id":"{hidden}"}}],
                "vout":[{{"ismweb":false,"value":6.9999113,"n":0,"scriptPubKey":{{"hex":"5920"}}}},{{"ismweb":true,"output_id":"{change}"}}],
                "vkern":[{{"fee":0.0000251,"pegin":6.9999113,"pegout":[{{"value":25.00000000,"scriptPubKey":{{"hex":"0014"}}}}]}}]}}"#
        );
        let decoded = decoded(&text).unwrap();
        let paid: Vec<(&str, i64)> = decoded.paid().map(|(script, amount)| (script, amount.base_units())).collect();
        assert_eq!(paid, [("5920", 699_991_130), ("0014", 2_500_000_000)]);
        let spent: Vec<(String, u32)> = decoded.spent().map(|coin| (coin.txid.to_string(), coin.vout)).collect();
        assert_eq!(spent, [("cd".repeat(32), 3), ("ef".repeat(32), 0)]);
        assert_eq!((decoded.inputs.len(), decoded.outputs.len()), (1, 1), "on the chain");
    }

    #[test]
    fn a_plain_transaction_has_no_part_in_an_extension_block_and_each_of_its_outputs_an_amount() {
        let plain =
            |output: &str| decoded(&format!(r#"{{"txid":"{}","vin":[{{"coinbase":"00"}}],"vout":[{output}]}}"#, "ab".repeat(32)));
        let whole = plain(r#"{"value":1.0,"n":0,"scriptPubKey":{"hex":"51"}}"#).unwrap();
        assert_eq!((whole.extension, whole.vsize, whole.inputs.len()), (None, 9, 0));
        assert!(plain(r#"{"n":0,"scriptPubKey":{"hex":"51"}}"#).is_err(), "no amount");
    }

    #[test]
    fn an_amount_that_cannot_be_exact_is_an_error() {
        for amount in ["1e-9", "0.000000001", "99999999999999999999"] {
            let error = entry(&format!(r#"{{"category":"receive","amount":{amount}}}"#)).unwrap_err();
            assert!(matches!(error, RpcError::Unreadable { .. }), "{amount}");
        }
    }
}
