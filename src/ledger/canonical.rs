//! What a posting's hash is taken over: its fields as one JSON array, always the same bytes. They outlive every version of bursar: an older ledger has to
//! verify, and whoever has an export can take the hashes without bursar.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Account, Kind, Posting};
use crate::store::StoreError;

/// The fields of a posting, but for its own hash, borrowed from where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'f> {
    pub(super) seq: u64,
    pub(super) event: u64,
    pub(super) time_s: i64,
    pub(super) wallet: &'f str,
    pub(super) account: Account,
    pub(super) txid: Option<&'f str>,
    pub(super) vout: Option<u32>,
    pub(super) category: Option<&'f str>,
    pub(super) block: Option<Place<'f>>,
    pub(super) amount: i64,
    pub(super) kind: Kind,
    pub(super) reverses: Option<u64>,
    pub(super) note: Option<&'f str>,
    pub(super) previous: &'f str,
}

/// The block of a posting.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Place<'f> {
    pub(super) height: u64,
    pub(super) hash: &'f str,
}

impl Fields<'_> {
    /// Adds the bytes to a buffer.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let Fields { seq, event, time_s, wallet, account, txid, vout, category, block, amount, kind, reverses, note, previous } =
            self;
        let fields = (
            seq,
            event,
            time_s,
            wallet,
            account.name(),
            txid,
            vout,
            category,
            block,
            amount,
            kind.name(),
            reverses,
            note,
            previous,
        );
        serde_json::to_writer(buffer, &fields).map_err(|error| StoreError::Damaged(format!("table entries: {error}")))
    }
}

/// SHA-256, in hex, over the posting's fields.
pub(super) fn hash(posting: &Posting) -> Result<String, StoreError> {
    let txid = posting.txid.map(|txid| txid.to_string());
    let block = posting.block.map(|block| (block.height, block.hash.to_string()));
    let fields = Fields {
        seq: posting.seq,
        event: posting.event,
        time_s: posting.time.0,
        wallet: &posting.wallet,
        account: posting.account,
        txid: txid.as_deref(),
        vout: posting.vout,
        category: posting.category.as_deref(),
        block: block.as_ref().map(|(height, hash)| Place { height: *height, hash }),
        amount: posting.amount.base_units(),
        kind: posting.kind,
        reverses: posting.reverses,
        note: posting.note.as_deref(),
        previous: &posting.previous,
    };
    let mut bytes = Vec::with_capacity(512);
    fields.write(&mut bytes)?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coin::{Amount, Timestamp};
    use crate::daemon::Tip;

    /// As a posting was first hashed, by the names and orders of its own types.
    fn oracle(posting: &Posting) -> String {
        let Posting {
            seq,
            event,
            time,
            wallet,
            account,
            txid,
            vout,
            category,
            block,
            amount,
            kind,
            reverses,
            note,
            previous,
            ..
        } = posting;
        let fields = (seq, event, time, wallet, account, txid, vout, category, block, amount, kind, reverses, note, previous);
        hex::encode(Sha256::digest(serde_json::to_vec(&fields).unwrap()))
    }

    fn any_posting() -> impl Strategy<Value = Posting> {
        let numbers = (any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>(), prop::option::of(any::<u64>()));
        let texts = (any::<String>(), prop::option::of(any::<String>()), prop::option::of(any::<String>()));
        let places = (prop::option::of(any::<[u8; 32]>()), prop::option::of((any::<u64>(), any::<[u8; 32]>())));
        (numbers, texts, places, prop::option::of(any::<u32>()), 0..9_usize, any::<[u8; 32]>()).prop_map(
            |((seq, event, time, amount, reverses), (wallet, category, note), (txid, block), vout, name, previous)| Posting {
                seq,
                event,
                time: Timestamp(time),
                wallet,
                account: super::super::ACCOUNTS[name],
                txid: txid.map(crate::coin::Txid::from_bytes),
                vout,
                category,
                block: block.map(|(height, hash)| Tip { height, hash: crate::coin::BlockHash::from_bytes(hash) }),
                amount: Amount::from_base_units(amount),
                kind: [Kind::Opening, Kind::Posting, Kind::Reversal, Kind::Claimed, Kind::Explained, Kind::Transfer][name % 6],
                reverses,
                note,
                previous: hex::encode(previous),
                hash: String::new(),
            },
        )
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_every_ledger_before(posting in any_posting()) {
            prop_assert_eq!(hash(&posting).unwrap(), oracle(&posting));
        }
    }

    /// Taken by a ledger of the first version.
    #[test]
    fn an_old_hash_is_still_the_hash() {
        let bytes = br#"[2,1,1700000030,"bursar","wallet","ab",4,"receive",{"height":1,"hash":"cd"},5000001,"posting",null,"it's \"so\"","00"]"#;
        let fields = Fields {
            seq: 2,
            event: 1,
            time_s: 1_700_000_030,
            wallet: "bursar",
            account: Account::Wallet,
            txid: Some("ab"),
            vout: Some(4),
            category: Some("receive"),
            block: Some(Place { height: 1, hash: "cd" }),
            amount: 5_000_001,
            kind: Kind::Posting,
            reverses: None,
            note: Some("it's \"so\""),
            previous: "00",
        };
        let mut written = Vec::new();
        fields.write(&mut written).unwrap();
        assert_eq!(written, bytes);
    }
}
