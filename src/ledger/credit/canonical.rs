//! What an event's hash is taken over: its fields as one JSON array, always the same bytes, as with the ledger's entries.

use sha2::{Digest, Sha256};

use super::CreditEvent;
use crate::store::StoreError;

/// SHA-256, in hex, over the event's fields.
pub(super) fn hash(event: &CreditEvent) -> Result<String, StoreError> {
    let CreditEvent {
        seq,
        kind,
        time,
        wallet,
        txid,
        vout,
        address,
        amount,
        block,
        tip_height,
        follows,
        reason,
        event,
        previous,
        ..
    } = event;
    let output = (wallet, txid, vout, address, amount);
    let place = (block.height, block.hash, tip_height);
    let bytes = serde_json::to_vec(&(seq, kind, time, output, place, follows, reason, event, previous))
        .map_err(|error| StoreError::Damaged(format!("table credits: {error}")))?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::{CreditKind, Reason};
    use super::*;
    use crate::coin::{Amount, BlockHash, Timestamp, Txid};
    use crate::daemon::Tip;

    #[test]
    fn the_bytes_are_those_that_others_can_make() {
        let event = CreditEvent {
            seq: 2,
            kind: CreditKind::Reversal,
            time: Timestamp(1_700_000_030),
            wallet: "hot".to_owned(),
            txid: Txid::from_bytes([0xab; 32]),
            vout: 4,
            address: Some("it's \"so\"".to_owned()),
            amount: Amount::from_base_units(5_000_001),
            block: Tip { height: 7, hash: BlockHash::from_bytes([0xcd; 32]) },
            tip_height: 12,
            follows: Some(1),
            reason: Some(Reason::Reorged),
            event: 30,
            previous: "00".to_owned(),
            hash: String::new(),
        };
        let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
        let text =
            format!(r#"[2,"reversal",1700000030,["hot","{ab}",4,"it's \"so\"",5000001],[7,"{cd}",12],1,"reorged",30,"00"]"#);
        assert_eq!(hash(&event).unwrap(), hex::encode(Sha256::digest(text.as_bytes())));
    }
}
