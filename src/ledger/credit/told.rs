//! An event as other programs read it, in the HTTP API and in the webhook: amounts are text, times are seconds since 1970.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::CreditEvent;

/// Bytes of an event's id.
const ID_BYTES: usize = 16;

/// An event for other programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// What tells it from all other events, of other stores too, and is the same however often it is read.
    pub id: String,
    /// `credit` or `reversal`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its number, without gaps.
    pub seq: u64,
    /// When a sync saw it.
    pub time: i64,
    /// The wallet that was paid.
    pub wallet: String,
    /// The transaction.
    pub txid: String,
    /// Its output.
    pub vout: u32,
    /// To whom.
    pub address: Option<String>,
    /// Decimal text, in coins.
    pub amount: String,
    /// The same in base units.
    pub amount_base_units: String,
    /// The block in which it was credited.
    pub block: String,
    /// Its height.
    pub height: u64,
    /// With how many it was credited; none for a reversal.
    pub confirmations: Option<u64>,
    /// Of a reversal, the number of the credit that it takes back; of a credit, that of the reversal after which it stands again.
    pub of: Option<u64>,
    /// Why a credit was taken back.
    pub reason: Option<&'static str>,
}

impl CreditEvent {
    /// The event as other programs read it. `store`: the store's own id; `decimals` of one coin.
    pub fn told(&self, store: &str, decimals: u8) -> Told {
        // A restored store gives numbers again; the hash covers all that the event says, and all events before it.
        let id = Sha256::digest(format!("{store}\ncredit\n{}", self.hash));
        Told {
            id: hex::encode(id.get(..ID_BYTES).unwrap_or_default()),
            kind: self.kind.name(),
            seq: self.seq,
            time: self.time.0,
            wallet: self.wallet.clone(),
            txid: self.txid.to_string(),
            vout: self.vout,
            address: self.address.clone(),
            amount: self.amount.to_decimal(decimals),
            amount_base_units: self.amount.base_units().to_string(),
            block: self.block.hash.to_string(),
            height: self.block.height,
            confirmations: self.confirmations(),
            of: self.follows,
            reason: self.reason.map(super::Reason::name),
        }
    }
}
