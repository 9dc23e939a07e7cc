//! What this daemon can do, found by asking it. A name or a version says little: forks keep old calls and lack new ones.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rpc::Rpc;
use super::{BalanceSource, RpcError};

/// What a daemon can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// The daemon's version number, such as 180100.
    pub version: u64,
    /// What it calls itself to peers, such as `/LitecoinCore:0.18.1/`; empty where it does not say.
    pub subversion: String,
    /// Its chain in its own words: `main`, `test`, `regtest`, …
    pub chain: String,
    /// All RPC methods that `help` lists.
    pub methods: BTreeSet<String>,
    /// Takes arguments by name.
    pub named_arguments: bool,
    /// Which RPC says the balances.
    pub balance: BalanceSource,
    /// How `sendmany` is called.
    pub sendmany: SendmanyForm,
    /// How the chain is searched again.
    pub rescan: RescanWay,
    /// `listsinceblock` takes `include_watchonly`.
    pub lists_watch_only: bool,
    /// `listsinceblock` answers `removed`.
    pub lists_removed: bool,
    /// `createrawtransaction` takes the outputs as a list (0.17 and later), which has an order.
    pub lists_outputs: bool,
}

/// How `sendmany` is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendmanyForm {
    /// The first argument is an account (before 0.17); else it is a dummy.
    pub from_account: bool,
    /// Takes `fee_rate`, in base units per virtual byte.
    pub fee_rate: bool,
    /// Takes `conf_target`, blocks for its own estimate.
    #[serde(default)]
    pub conf_target: bool,
}

/// How the chain is searched again for the wallet's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RescanWay {
    /// `rescanblockchain`, while it runs.
    Rpc,
    /// Only by a restart with `-rescan`.
    Restart,
}

/// How a wallet names its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressBook {
    /// By labels (0.17 and later).
    Labels,
    /// By accounts (before 0.18).
    Accounts,
    /// Not at all.
    Nameless,
}

impl AddressBook {
    const fn name(self) -> &'static str {
        match self {
            AddressBook::Labels => "labels",
            AddressBook::Accounts => "accounts",
            AddressBook::Nameless => "no names: the method journaled cannot be used",
        }
    }
}

impl Abilities {
    /// Asks the daemon. `wallet` is RPC to the wallet that is to be used; it need not be loaded.
    pub(super) fn probe(node: &Rpc, wallet: &Rpc) -> Result<Abilities, RpcError> {
        let methods = methods_in(&node.call::<String>("help", &[])?);
        let has = |method: &str| methods.contains(method);
        let about = About::ask(node, &methods)?;
        let sendmany = help(node, &methods, "sendmany")?;
        let listsinceblock = help(node, &methods, "listsinceblock")?.to_lowercase();
        Ok(Abilities {
            version: about.version,
            subversion: about.subversion,
            chain: about.chain,
            named_arguments: takes_names(node)?,
            balance: probe_balance(node, wallet, &methods)?,
            sendmany: SendmanyForm {
                from_account: sendmany.contains("fromaccount"),
                fee_rate: sendmany.contains("fee_rate"),
                conf_target: sendmany.contains("conf_target"),
            },
            rescan: if has("rescanblockchain") { RescanWay::Rpc } else { RescanWay::Restart },
            lists_watch_only: listsinceblock.contains("watchonly"),
            lists_removed: listsinceblock.contains("include_removed"),
            lists_outputs: help(node, &methods, "createrawtransaction")?.lines().next().is_some_and(|line| line.contains("] [")),
            methods,
        })
    }

    /// Whether `help` lists the method.
    pub fn has(&self, method: &str) -> bool {
        self.methods.contains(method)
    }

    /// How addresses are named.
    pub fn address_book(&self) -> AddressBook {
        let has = |methods: &[&str]| methods.iter().all(|method| self.has(method));
        match () {
            () if has(&["listlabels", "getaddressesbylabel", "setlabel"]) => AddressBook::Labels,
            () if has(&["listaccounts"]) => AddressBook::Accounts,
            () => AddressBook::Nameless,
        }
    }

    /// Several wallets, each under its own path.
    pub fn wallet_paths(&self) -> bool {
        self.has("listwallets")
    }
}

impl fmt::Display for Abilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or = |method: &str, otherwise: &str| if self.has(method) { method.to_owned() } else { otherwise.to_owned() };
        writeln!(f, "daemon          {} (version {}), chain {}", self.subversion, self.version, self.chain)?;
        writeln!(f, "wallets         {}", if self.wallet_paths() { "several, by path" } else { "one" })?;
        writeln!(f, "wallet files    {}, {}", or("createwallet", "made at start"), or("loadwallet", "loaded at start"))?;
        writeln!(f, "fingerprint     {}", if self.has("listdescriptors") { "descriptors or HD seed" } else { "HD seed" })?;
        writeln!(f, "balance         {}", self.balance.method())?;
        let fee = match self.sendmany {
            SendmanyForm { fee_rate: true, .. } => "fee rate in the call",
            SendmanyForm { conf_target: true, .. } => "target in the call, fee rate from the conf (paytxfee)",
            _ => "fee rate from the conf (paytxfee)",
        };
        let first = if self.sendmany.from_account { "from the default account" } else { "by comment" };
        writeln!(f, "sendmany        {first}, {fee}")?;
        let rescan = if self.rescan == RescanWay::Rpc { "rescanblockchain" } else { "restart with -rescan" };
        writeln!(f, "rescan          {rescan}")?;
        let removed = if self.lists_removed { "with removed entries" } else { "without removed entries" };
        writeln!(f, "listsinceblock  {removed}")?;
        writeln!(f, "address facts   {}", or("getaddressinfo", "validateaddress"))?;
        writeln!(f, "address book    {}", self.address_book().name())?;
        writeln!(f, "mempool         {}", or("getmempoolentry", "getrawmempool"))?;
        write!(f, "uptime          {}", or("uptime", "not told"))
    }
}

impl BalanceSource {
    /// The RPC method's name.
    pub const fn method(self) -> &'static str {
        match self {
            BalanceSource::Getbalances => "getbalances",
            BalanceSource::Getwalletinfo => "getwalletinfo",
            BalanceSource::Getinfo => "getinfo",
            BalanceSource::Getbalance => "getbalance",
        }
    }
}

/// Version and chain.
struct About {
    version: u64,
    subversion: String,
    chain: String,
}

impl About {
    fn ask(node: &Rpc, methods: &BTreeSet<String>) -> Result<About, RpcError> {
        let method = if methods.contains("getnetworkinfo") { "getnetworkinfo" } else { "getinfo" };
        let about: Value = node.call(method, &[])?;
        let subversion = about.get("subversion").and_then(Value::as_str).unwrap_or_default().to_owned();
        let version = about.get("version").map(version_number).unwrap_or_default();
        Ok(About { version, subversion, chain: chain_of(node, methods)? })
    }
}

/// Old forks say "v0.6.3" instead of a number.
fn version_number(version: &Value) -> u64 {
    version.as_u64().unwrap_or_else(|| {
        let digits = version.as_str().unwrap_or_default().split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        digits.chain(["0", "0", "0", "0"]).take(4).fold(0, |sum, part| {
            let part: u64 = part.parse().unwrap_or_default();
            sum.saturating_mul(100).saturating_add(part.min(99))
        })
    })
}

/// The chain in the daemon's words. The oldest daemons say only whether it is the test chain.
fn chain_of(node: &Rpc, methods: &BTreeSet<String>) -> Result<String, RpcError> {
    for method in ["getblockchaininfo", "getmininginfo"] {
        if methods.contains(method) {
            let answer: Value = node.call(method, &[])?;
            if let Some(chain) = answer.get("chain").and_then(Value::as_str) {
                return Ok(chain.to_owned());
            }
        }
    }
    let answer: Value = node.call("getinfo", &[])?;
    let is_test = answer.get("testnet").and_then(Value::as_bool).unwrap_or_default();
    Ok(if is_test { "test" } else { "main" }.to_owned())
}

/// The first word of each line, without headings (`== Wallet ==`).
fn methods_in(help: &str) -> BTreeSet<String> {
    let first_words = help.lines().filter_map(|line| line.split_whitespace().next());
    first_words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).map(str::to_owned).collect()
}

/// The help of one method; empty when there is no such method.
fn help(node: &Rpc, methods: &BTreeSet<String>, method: &str) -> Result<String, RpcError> {
    if methods.contains(method) { node.call("help", &[json!(method)]) } else { Ok(String::new()) }
}

/// Old daemons answer an object of arguments with "Params must be an array".
fn takes_names(node: &Rpc) -> Result<bool, RpcError> {
    let names = Map::from_iter([("command".to_owned(), json!("help"))]);
    match node.call_named::<Value>("help", &names) {
        Ok(_) => Ok(true),
        Err(RpcError::Daemon { code: -32600 | -32602 | -1 | -8, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The best RPC that says the balances: more is told by the newer ones. Without a loaded wallet, the help must do.
fn probe_balance(node: &Rpc, wallet: &Rpc, methods: &BTreeSet<String>) -> Result<BalanceSource, RpcError> {
    if methods.contains("getbalances") {
        return Ok(BalanceSource::Getbalances);
    }
    for source in [BalanceSource::Getwalletinfo, BalanceSource::Getinfo] {
        let says_balance = match wallet.call::<Value>(source.method(), &[]) {
            Ok(answer) => answer.get("balance").is_some(),
            Err(RpcError::Daemon { code: -18 | -19, .. }) => help(node, methods, source.method())?.contains("\"balance\""),
            // Asked even where `help` does not list it: deprecated calls hide.
            Err(RpcError::Daemon { code: -32601, .. }) => false,
            Err(error) => return Err(error),
        };
        if says_balance {
            return Ok(source);
        }
    }
    Ok(BalanceSource::Getbalance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_the_first_words_of_the_help() {
        let help = "== Blockchain ==\ngetbestblockhash\ngetblock \"blockhash\" ( verbosity )\n\n== Wallet ==\nsendmany \"\" {\"address\":amount}\n";
        let methods: Vec<String> = methods_in(help).into_iter().collect();
        assert_eq!(methods, ["getbestblockhash", "getblock", "sendmany"]);
    }

    #[test]
    fn versions_are_numbers_even_when_spelled_out() {
        assert_eq!(version_number(&json!(180_100)), 180_100);
        assert_eq!(version_number(&json!("v0.6.3.1-beta")), 60_301);
        assert_eq!(version_number(&json!(null)), 0);
    }
}
