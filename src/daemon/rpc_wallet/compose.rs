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
        // A list keeps the order, which an object need not: the bytes are to be the same each time.
        let mut listed = Vec::new();
        for (address, amount) in outputs {
            listed.push(Value::Object(Map::from_iter([(address.clone(), Value::Number(exact(*amount, self.decimals)?))])));
        }
        self.node.call(method, &[Value::Array(inputs), Value::Array(listed), json!(lock_height)])
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
