//! Another branch of a world's chain, made by a daemon of its own.

use bursar::coin::{Amount, Txid};
use serde_json::{Value, json};

use super::World;

impl World {
    /// The height of the chain.
    pub fn height(&self) -> u64 {
        self.node_rpc("getblockcount", json!([])).as_u64().expect("a height")
    }

    /// The block at a height.
    pub fn block_at(&self, height: u64) -> Value {
        self.node_rpc("getblockhash", json!([height]))
    }

    /// Takes away all blocks from this height on, until somebody brings others or reconsiders. Returns the first of them.
    pub fn invalidate_from(&self, height: u64) -> Value {
        let first = self.block_at(height);
        self.node_rpc("invalidateblock", json!([first]));
        self.settle();
        first
    }

    /// Mines blocks of which none is one that was taken away: the same block again would be the one that is invalid.
    pub fn mine_to_other_address(&self, blocks: u64) {
        self.node_rpc("generatetoaddress", json!([blocks, self.outside_address()]));
        self.settle();
    }

    /// The wallet writes a copy of itself.
    pub fn wallet_file_to(&self, file: &std::path::Path) {
        self.rpc("backupwallet", json!([file]));
    }

    /// All blocks, oldest first, as `submitblock` takes them.
    pub fn blocks(&self) -> Vec<Value> {
        (1..=self.height()).map(|height| self.node_rpc("getblock", json!([self.block_at(height), 0]))).collect()
    }

    /// A signed transaction of the stranger that spends an input of `txid` back to himself.
    pub fn rival_of(&self, txid: &Txid) -> Value {
        let raw = self.outside_rpc("gettransaction", json!([txid]))["hex"].clone();
        let input = self.node_rpc("decoderawtransaction", json!([raw]))["vin"][0].clone();
        let parent = self.outside_rpc("gettransaction", json!([input["txid"]]))["hex"].clone();
        let vout = usize::try_from(input["vout"].as_u64().expect("an output")).expect("a number");
        let spent = &self.node_rpc("decoderawtransaction", json!([parent]))["vout"][vout];
        let value = Amount::parse_reported(&spent["value"].to_string(), 8).expect("an amount").base_units() - 100_000;
        let value: Value = serde_json::from_str(&Amount::from_base_units(value).to_decimal(8)).expect("a number");
        let address = self.outside_address();
        let inputs = json!([{"txid": input["txid"], "vout": input["vout"]}]);
        let unsigned = self.node_rpc("createrawtransaction", json!([inputs, {address: value}]));
        // The coin is spent on this chain, so the daemon must be told what it was.
        let script = &spent["scriptPubKey"]["hex"];
        let coin = json!({"txid": input["txid"], "vout": input["vout"], "scriptPubKey": script, "amount": spent["value"]});
        let signed = self.outside_rpc("signrawtransactionwithwallet", json!([unsigned, [coin]]));
        assert_eq!(signed["complete"], true, "{signed}");
        signed["hex"].clone()
    }

    /// Another daemon takes over the chain, mines blocks that begin with these transactions, and hands them back.
    pub fn mine_elsewhere(&self, raws: &[Value], blocks: u64) {
        let elsewhere = World::new(self.generation);
        let _keeper = elsewhere.start_daemon();
        let hand_over = |blocks: &[Value], to: &World| {
            for block in blocks {
                to.node_rpc("submitblock", json!([block]));
            }
        };
        let fork = self.height();
        hand_over(&self.blocks(), &elsewhere);
        for raw in raws {
            elsewhere.node_rpc("sendrawtransaction", json!([raw]));
        }
        elsewhere.mine(blocks);
        hand_over(&elsewhere.blocks()[usize::try_from(fork).expect("a number")..], self);
        self.settle();
        assert_eq!(self.height(), fork + blocks);
    }
}
