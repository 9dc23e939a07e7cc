//! Transactions that bursar composes and the wallet signs: by PSBT where the daemon has it, else as raw transactions.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{RpcError, Signed};
use super::RpcWallet;
use super::order::exact;
use crate::coin::{Amount, OutPoint};

/// `walletprocesspsbt`.
#[derive(Deserialize)]
struct ProcessedReply {
    psbt: String,
}

/// `finalizepsbt`, and `signrawtransaction` in its forms.
#[derive(Deserialize)]
struct SignedReply {
    hex: Option<String>,
    complete: bool,
}

/// An answer of `testmempoolaccept`.
#[derive(Deserialize)]
struct AcceptReply {
    allowed: bool,
    #[serde(rename = "reject-reason")]
    reject_reason: Option<String>,
}

impl RpcWallet {
    pub(super) fn create_raw(
        &self,
        inputs: &[(OutPoint, u32)],
        outputs: &[(String, Amount)],
        lock_height: u32,
    ) -> Result<String, RpcError> {
        let method = "createrawtransaction";
        let input = |(coin, sequence): &(OutPoint, u32)| json!({"txid": coin.txid, "vout": coin.vout, "sequence": sequence});
        let inputs: Vec<Value> = inputs.iter().map(input).collect();
        let mut amounts = Vec::new();
        for (address, amount) in outputs {
            amounts.push((address.clone(), Value::Number(exact(*amount, self.decimals)?)));
        }
        // A list keeps the order, which is ours; daemons before 0.17 take an object alone. Both give the same bytes each time.
        let outputs = if self.abilities.lists_outputs {
            Value::Array(amounts.into_iter().map(|output| Value::Object(Map::from_iter([output]))).collect())
        } else {
            Value::Object(Map::from_iter(amounts))
        };
        self.node.call(method, &[Value::Array(inputs), outputs, json!(lock_height)])
    }

    pub(super) fn test_accept(&self, raw_hex: &str) -> Result<Option<String>, RpcError> {
        let method = "testmempoolaccept";
        if !self.abilities.has(method) {
            return Ok(None);
        }
        let replies: Vec<AcceptReply> = self.node.call(method, &[json!([raw_hex])])?;
        let refused = replies.into_iter().find(|reply| !reply.allowed);
        Ok(refused.map(|reply| reply.reject_reason.unwrap_or_else(|| "it says no reason".to_owned())))
    }

    pub(super) fn sign_raw(&self, unsigned_hex: &str) -> Result<Signed, RpcError> {
        let has = |methods: &[&str]| methods.iter().all(|method| self.abilities.has(method));
        let reply: SignedReply = if has(&["converttopsbt", "walletprocesspsbt", "finalizepsbt"]) {
            let psbt: String = self.node.call("converttopsbt", &[json!(unsigned_hex)])?;
            let processed: ProcessedReply = self.wallet.call("walletprocesspsbt", &[json!(psbt)])?;
            self.node.call("finalizepsbt", &[json!(processed.psbt)])?
        } else if has(&["signrawtransactionwithwallet"]) {
            self.wallet.call("signrawtransactionwithwallet", &[json!(unsigned_hex)])?
        } else {
            self.wallet.call("signrawtransaction", &[json!(unsigned_hex)])?
        };
        let raw_hex = reply.hex.unwrap_or_default();
        Ok(Signed { complete: reply.complete && !raw_hex.is_empty(), raw_hex })
    }

    pub(super) fn lock_unspent(&self, unlock: bool, coins: &[OutPoint]) -> Result<(), RpcError> {
        if coins.is_empty() {
            return Ok(());
        }
        self.wallet.call::<Value>("lockunspent", &[json!(unlock), json!(coins)]).map(|_| ())
    }
}
