//! A long ledger, written into the store row by row, with hashes taken here: so the program's own are checked by another hand.

use std::time::{SystemTime, UNIX_EPOCH};

use bursar::store::Store;
use rusqlite::{Connection, Statement, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::World;

/// Transactions of a block.
const PER_BLOCK: u64 = 20;

/// Account, base units, output, the wallet's word.
type Leg = (&'static str, i64, Option<u64>, Option<&'static str>);

/// Deposits and payouts by turns, until there are as many postings. Returns the hash of the last.
pub(super) fn write(world: &World, postings: u64) -> String {
    let dir = world.coin().service_dir();
    drop(Store::open(&dir).expect("a store"));
    bursar::ledger::signing::ensure_key(world.coin()).expect("its key");
    let mut connection = Connection::open(dir.join("bursar.db")).expect("its file");
    let tx = connection.transaction().expect("a transaction");
    let wallet = &world.coin().wallet.name;
    tx.execute("INSERT INTO wallets (name, opened_s, opening_height) VALUES (?1, 0, 0)", [wallet]).expect("the wallet");
    let head = {
        let entry = "INSERT INTO entries (seq, event, time_s, wallet, account, txid, vout, category, block, height, amount, kind, previous, hash)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'posting', ?12, ?13)";
        let transaction = "INSERT INTO transactions (txid, wallet, state, block, height, net, seen_net, own, event, final)
                           VALUES (?1, ?2, 'confirmed', ?3, ?4, ?5, ?5, ?6, ?7, 1)";
        let entry = tx.prepare(entry).expect("a statement");
        let mut writer = Writer { entry, wallet, now: now(), seq: 0, head: "0".repeat(64) };
        let mut transaction = tx.prepare(transaction).expect("a statement");
        for number in 1.. {
            if writer.seq >= postings {
                break;
            }
            let (event, net) = (writer.seq + 1, writer.event(number));
            let (txid, height, block) = place(number);
            transaction.execute(params![txid, wallet, block, height, net, net < 0, event]).expect("a transaction");
        }
        writer.head
    };
    tx.commit().expect("all of it");
    head
}

struct Writer<'c> {
    entry: Statement<'c>,
    wallet: &'c str,
    now: i64,
    seq: u64,
    head: String,
}

impl Writer<'_> {
    /// Posts the transaction of this number; returns what the wallet gains.
    fn event(&mut self, number: u64) -> i64 {
        let (event, amount) = (self.seq + 1, 5_000_000 + (number % 1_000).cast_signed());
        let legs: &[Leg] = match number % 2 {
            1 => &[("deposit", -amount, None, None), ("wallet", amount, Some(number % 7), Some("receive"))],
            _ => &[("payout", 4_000_000, None, None), ("fee", 2_000, None, None), ("wallet", -4_002_000, None, None)],
        };
        legs.iter().for_each(|leg| self.post(event, number, leg));
        legs.iter().filter(|leg| leg.0 == "wallet").map(|leg| leg.1).sum()
    }

    fn post(&mut self, event: u64, number: u64, (account, amount, vout, category): &Leg) {
        self.seq += 1;
        let (txid, height, block) = place(number);
        let time_s = self.now - 1_000_000 + number.cast_signed();
        // The order of these keys is that of the text.
        let at = format!(r#"{{"height":{height},"hash":"{block}"}}"#);
        let (before, after) = (
            json!([self.seq, event, time_s, self.wallet, account, txid, vout, category]).to_string(),
            json!([amount, "posting", null, null, self.head]).to_string(),
        );
        let text = format!("{},{at},{}", before.trim_end_matches(']'), after.trim_start_matches('['));
        let hash = hex::encode(Sha256::digest(text));
        let row =
            params![self.seq, event, time_s, self.wallet, account, txid, vout, category, block, height, amount, self.head, hash];
        self.entry.execute(row).expect("an entry");
        self.head = hash;
    }
}

/// Txid, height and block of a transaction.
fn place(number: u64) -> (String, u64, String) {
    let digest = |what: &str, number: u64| hex::encode(Sha256::digest(format!("{what} {number}")));
    let height = 1 + number / PER_BLOCK;
    (digest("transaction", number), height, digest("block", height))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a time")
}
