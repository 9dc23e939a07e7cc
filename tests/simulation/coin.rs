//! Addresses, scripts and settings of the model's coin.

use std::path::Path;
use std::sync::LazyLock;

use bursar::config::{CoinSettings, DaemonMode, Method, Settings};

pub(crate) const FINAL_DEPTH: u64 = 4;
/// Versions of addresses are the same on all regtest chains.
const VERSION: u8 = 111;
/// First byte of hashes of payees, and of wallets.
const PAYEE: u8 = 0x77;
const OWN: u8 = 0x5e;

pub(crate) fn address(hash: [u8; 20]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(hash);
    bs58::encode(bytes).with_check().into_string()
}

pub(crate) fn script(hash: [u8; 20]) -> String {
    format!("76a914{}88ac", hex::encode(hash))
}

pub(crate) fn script_of(address: &str) -> Option<String> {
    let bytes = bs58::decode(address).with_check(None).into_vec().ok()?;
    let hash: [u8; 20] = bytes.get(1..)?.try_into().ok()?;
    (bytes[0] == VERSION).then(|| script(hash))
}

pub(crate) fn payee(number: u32) -> [u8; 20] {
    let mut hash = [PAYEE; 20];
    hash[1..5].copy_from_slice(&number.to_be_bytes());
    hash
}

/// The number of the payee of a script.
pub(crate) fn payee_of(script: &str) -> Option<u32> {
    let hash = hex::decode(script.get(6..46)?).ok()?;
    (hash[0] == PAYEE).then(|| u32::from_be_bytes([hash[1], hash[2], hash[3], hash[4]]))
}

/// A script of the wallet with these keys.
pub(crate) fn own(keys: u8, number: u64) -> [u8; 20] {
    let mut hash = [OWN; 20];
    hash[1] = keys;
    hash[2..10].copy_from_slice(&number.to_be_bytes());
    hash
}

pub(crate) fn is_own(script: &str, keys: u8) -> bool {
    script.starts_with(&format!("76a914{OWN:02x}{keys:02x}"))
}

/// Settings as an operator would write them.
pub(crate) fn settings(mode: DaemonMode, method: Method) -> CoinSettings {
    static LOADED: LazyLock<[CoinSettings; 2]> = LazyLock::new(|| [load("keep"), load("attach")]);
    let mut coin = LOADED[usize::from(mode == DaemonMode::Attach)].clone();
    coin.payouts.method = method;
    coin
}

fn load(mode: &str) -> CoinSettings {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bursar.toml");
    std::fs::write(&file, text(dir.path(), mode)).unwrap();
    let settings = Settings::load(&file).unwrap_or_else(|error| panic!("{error}"));
    settings.coins["coin"].clone()
}

fn text(dir: &Path, mode: &str) -> String {
    let credentials = dir.join("credentials");
    std::fs::write(&credentials, "user:password\n").unwrap();
    let access = match mode {
        "keep" => "program = '/bin/false'".to_owned(),
        _ => format!("rpc_credentials_file = '{}'", credentials.display()),
    };
    format!(
        "[coins.coin]
         profile = 'litecoin'
         chain = 'regtest'
         state_dir = '{dir}/state'
         [coins.coin.daemon]
         mode = '{mode}'
         {access}
         rpc_port = 1
         [coins.coin.wallet]
         name = 'bursar'
         [coins.coin.ledger]
         credit_depth = 2
         final_depth = {FINAL_DEPTH}
         [coins.coin.payouts]
         fee_rate_per_vb = 10
         max_outputs = 8
         ",
        dir = dir.display(),
    )
}
