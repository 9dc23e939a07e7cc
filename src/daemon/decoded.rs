//! A transaction as the daemon reads its bytes.

use crate::coin::{Amount, OutPoint, Txid};

/// One output of a decoded transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxOutput {
    /// Its position.
    pub vout: u32,
    /// Its amount.
    pub amount: Amount,
    /// The locking script, in hex.
    pub script_hex: String,
}

/// A decoded transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedTx {
    /// Its id.
    pub txid: Txid,
    /// Virtual size (size where the daemon knows no virtual size).
    pub vsize: u64,
    /// The outputs that it spends.
    pub inputs: Vec<OutPoint>,
    /// What it pays.
    pub outputs: Vec<TxOutput>,
    /// Its part in Litecoin's extension block (MWEB), if it has one.
    pub extension: Option<Extension>,
}

impl DecodedTx {
    /// All that it spends, on the chain and in the extension block: none of it can be spent twice.
    pub fn spent(&self) -> impl Iterator<Item = OutPoint> {
        self.inputs.iter().chain(self.extension.iter().flat_map(|extension| &extension.inputs)).copied()
    }

    /// All that it pays to locking scripts, in hex: by outputs of its own, and out of the extension block.
    pub fn paid(&self) -> impl Iterator<Item = (&str, Amount)> {
        let own = self.outputs.iter().map(|output| (output.script_hex.as_str(), output.amount));
        let pegouts = self.extension.iter().flat_map(|extension| &extension.pegouts);
        own.chain(pegouts.map(|(script_hex, amount)| (script_hex.as_str(), *amount)))
    }
}

/// What a transaction does in Litecoin's extension block (MWEB), as far as anybody can see it. Coins and change that stay in there show no amount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// The coins that it spends there. They have ids and no outpoints: each stands as the first output of its id.
    pub inputs: Vec<OutPoint>,
    /// What it pays out of there, as locking script in hex and amount. The block's own transaction has these outputs, not this one; but its
    /// id commits to them.
    pub pegouts: Vec<(String, Amount)>,
}
