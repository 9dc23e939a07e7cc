//! A wallet with a long history, made in seconds: strangers pay it in transactions that are composed here and need no signature, in blocks of their own.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::world::{BURN_ADDRESS, World};

/// The script of coins that anybody may spend.
const ANYONE: &str = "51";
/// What each deposit costs: the least that we receive, and the fee.
const LEAST: u64 = 10_000;
const FEE: u64 = 500;
/// A coin that pays one deposit.
const COIN: u64 = LEAST + 1_000 + FEE;
/// Coins made by one transaction, and transactions of a block that makes them.
const COINS: u64 = 2_000;
const SPLITS: usize = 10;
/// Addresses of ours that are paid by turns.
const ADDRESSES: usize = 200;

/// Pays so many deposits to the wallet, so many to a block. Returns what they are worth.
///
/// Needs a daemon with `generateblock` (0.20 and later).
pub fn deposit(world: &World, count: u64, per_block: u64) -> u64 {
    let targets: Vec<Vec<u8>> = (0..ADDRESSES).map(|_| script_of(world, &world.new_address())).collect();
    let coins = split(world, count);
    let mut worth = 0;
    let deposits: Vec<Transaction> = (0_u64..)
        .zip(&coins)
        .map(|(number, coin)| {
            let amount = LEAST + number % 1_000;
            worth += amount;
            Transaction::new(*coin, vec![(amount, targets[number as usize % ADDRESSES].clone())])
        })
        .collect();
    for block in deposits.chunks(per_block as usize) {
        mine(world, block);
    }
    world.settle();
    worth
}

/// Transaction and output.
type Coin = ([u8; 32], u32);

/// So many coins that anybody may spend.
fn split(world: &World, count: u64) -> Vec<Coin> {
    let open = world.node_rpc("decodescript", json!([ANYONE]))["p2sh"].as_str().expect("an address").to_owned();
    let script = script_of(world, &open);
    let transactions = count.div_ceil(COINS);
    let each = COIN * COINS + FEE * 1_000;
    let whole = (each * (transactions + 1)).div_ceil(100_000_000);
    let funding = world.pay_in(&open, &whole.to_string());
    let decoded = world.outside_rpc("gettransaction", json!([funding]));
    let decoded = world.node_rpc("decoderawtransaction", json!([decoded["hex"]]));
    let mut rest = whole * 100_000_000;
    let mut outputs = decoded["vout"].as_array().expect("outputs").iter();
    let at = outputs.find(|output| output["scriptPubKey"]["hex"] == hex::encode(&script)).expect("its output");
    let vout = at["n"].as_u64().expect("a number");
    let mut txid: [u8; 32] = hex::decode(&funding).expect("hex").try_into().expect("32 bytes");
    txid.reverse();
    let mut from: Coin = (txid, u32::try_from(vout).expect("a number"));
    world.mine(1);
    let (mut made, mut found) = (Vec::new(), Vec::new());
    for _ in 0..transactions {
        rest -= each;
        let mut outputs: Vec<(u64, Vec<u8>)> = (0..COINS).map(|_| (COIN, script.clone())).collect();
        outputs.push((rest, script.clone()));
        let transaction = Transaction::new(from, outputs);
        let id = transaction.id();
        found.extend((0..u32::try_from(COINS).expect("a number")).map(|vout| (id, vout)));
        from = (id, u32::try_from(COINS).expect("a number"));
        made.push(transaction);
    }
    made.chunks(SPLITS).for_each(|block| mine(world, block));
    found.truncate(count as usize);
    found
}

fn script_of(world: &World, address: &str) -> Vec<u8> {
    let facts = world.node_rpc("validateaddress", json!([address]));
    hex::decode(facts["scriptPubKey"].as_str().expect("a script")).expect("hex")
}

/// A block with these transactions, past the mempool.
fn mine(world: &World, transactions: &[Transaction]) {
    let raw: Vec<String> = transactions.iter().map(|transaction| hex::encode(&transaction.0)).collect();
    world.node_rpc("generateblock", json!([BURN_ADDRESS, raw]));
}

/// The bytes of a transaction.
struct Transaction(Vec<u8>);

impl Transaction {
    /// Spends one coin that anybody may spend.
    fn new((txid, vout): Coin, outputs: Vec<(u64, Vec<u8>)>) -> Transaction {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        bytes.push(1);
        bytes.extend(txid);
        bytes.extend(vout.to_le_bytes());
        // One push of the script whose hash the coin has.
        bytes.extend([2, 1, 0x51]);
        bytes.extend(u32::MAX.to_le_bytes());
        match u8::try_from(outputs.len()) {
            Ok(count) if count < 0xfd => bytes.push(count),
            _ => {
                bytes.push(0xfd);
                bytes.extend(u16::try_from(outputs.len()).expect("few outputs").to_le_bytes());
            }
        }
        for (amount, script) in outputs {
            bytes.extend(amount.to_le_bytes());
            bytes.push(u8::try_from(script.len()).expect("a short script"));
            bytes.extend(script);
        }
        bytes.extend(0_u32.to_le_bytes());
        Transaction(bytes)
    }

    fn id(&self) -> [u8; 32] {
        Sha256::digest(Sha256::digest(&self.0)).into()
    }
}
