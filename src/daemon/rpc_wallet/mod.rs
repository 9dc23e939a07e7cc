//! [`Wallet`](super::Wallet) over RPC: one wallet of one daemon, by whatever calls the daemon has.

mod balances;
mod calls;
mod compose;
mod fees;
mod labels;
mod memory;
mod order;
mod replies;
mod scripts;

use serde_json::{Value, json};

use self::memory::Memory;
use super::RpcError;
use super::limits::Limits;
use super::probe::Abilities;
use super::rpc::Rpc;
use crate::coin::{Amount, Chain};
use crate::config::CoinSettings;

/// A named wallet that is not loaded has no answer of its own.
const NO_SUCH_WALLET: i64 = -18;
/// "Wallet already loaded", of 0.21 and later.
const ALREADY_LOADED: i64 = -35;
/// The general wallet error, told apart by its text only.
const WALLET_ERROR: i64 = -4;

/// One wallet of one daemon, over RPC.
#[derive(Debug)]
pub struct RpcWallet {
    node: Rpc,
    wallet: Rpc,
    name: String,
    /// The name under which the daemon's paths know it.
    path_name: String,
    decimals: u8,
    max_money: Amount,
    abilities: Abilities,
    memory: Memory,
}

impl RpcWallet {
    /// Finds out what the daemon can do, and checks that it is on the configured chain. The wallet need not be loaded yet.
    ///
    /// # Errors
    /// [`RpcError::WrongDaemon`] for another chain or wallet; [`RpcError::is_warming_up`] while it starts.
    pub fn connect(coin: &CoinSettings) -> Result<RpcWallet, RpcError> {
        RpcWallet::connect_with(coin, Limits::default())
    }

    /// The same with other deadlines and sizes.
    pub fn connect_with(coin: &CoinSettings, limits: Limits) -> Result<RpcWallet, RpcError> {
        let node = Rpc::with_limits(coin, limits);
        let path_name = name_on_path(&node, &coin.wallet.name)?;
        if path_name.is_none() && !coin.wallet.follow.is_empty() {
            return Err(RpcError::WrongDaemon {
                address: node.address().to_string(),
                expected: "several wallets, because wallet.follow names some".to_owned(),
                found: "a daemon of a single wallet; leave wallet.follow out for it".to_owned(),
            });
        }
        let wallet = path_name.as_ref().map_or_else(|| node.at_node(), |name| node.at_wallet(name));
        let abilities = Abilities::probe(&node, &wallet)?;
        check_chain(&node, &abilities.chain, coin.chain)?;
        let (decimals, max_money) = (coin.profile.decimals, coin.profile.max_money());
        let (name, path_name) = (coin.wallet.name.clone(), path_name.unwrap_or_default());
        Ok(RpcWallet { node, wallet, name, path_name, decimals, max_money, abilities, memory: Memory::default() })
    }

    /// The same wallet on the same daemon, with other deadlines: nothing is probed again.
    pub fn with_limits(&self, coin: &CoinSettings, limits: Limits) -> RpcWallet {
        let node = Rpc::with_limits(coin, limits);
        let wallet = if self.abilities.wallet_paths() { node.at_wallet(&self.path_name) } else { node.at_node() };
        let (name, path_name) = (self.name.clone(), self.path_name.clone());
        let (decimals, max_money, abilities) = (self.decimals, self.max_money, self.abilities.clone());
        RpcWallet { node, wallet, name, path_name, decimals, max_money, abilities, memory: Memory::default() }
    }

    /// Another wallet of the same daemon, by the same way: nothing is probed again. It need not be loaded.
    pub fn beside(&self, name: &str) -> RpcWallet {
        let (node, wallet) = (self.node.at_node(), self.node.at_wallet(name));
        let (decimals, max_money, abilities) = (self.decimals, self.max_money, self.abilities.clone());
        let (name, path_name) = (name.to_owned(), name.to_owned());
        RpcWallet { node, wallet, name, path_name, decimals, max_money, abilities, memory: Memory::default() }
    }

    /// What the daemon can do.
    pub fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// RPC to the daemon, with no wallet named.
    pub fn node_rpc(&self) -> &Rpc {
        &self.node
    }

    /// RPC to the wallet.
    pub fn wallet_rpc(&self) -> &Rpc {
        &self.wallet
    }

    /// Whether the wallet is loaded. Daemons with a single wallet always have it loaded.
    pub fn wallet_loaded(&self) -> Result<bool, RpcError> {
        if !self.abilities.wallet_paths() {
            return Ok(true);
        }
        match self.wallet.call::<Value>("getwalletinfo", &[]) {
            Ok(_) => Ok(true),
            Err(RpcError::Daemon { code: NO_SUCH_WALLET, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fails with [`RpcError::WatchOnly`] for a wallet of which nothing counts as its money: without private keys, and of the kind before descriptors, whose
    /// addresses are known to be the wallet's by their keys alone. It would look like one that nobody pays to: seen on Litecoin 0.18 and 0.21.
    pub fn ensure_not_watch_only(&self) -> Result<(), RpcError> {
        if !self.abilities.wallet_paths() {
            return Ok(());
        }
        let info = self.wallet_info()?;
        match info.private_keys_enabled {
            Some(false) if !info.descriptors => Err(RpcError::WatchOnly { wallet: self.name.clone() }),
            _ => Ok(()),
        }
    }

    /// Whether the daemon lists the wallet as loaded: cheap for a wallet of any size. Daemons with a single wallet always have it loaded.
    pub fn wallet_listed(&self) -> Result<bool, RpcError> {
        if !self.abilities.wallet_paths() {
            return Ok(true);
        }
        Ok(self.node.call::<Vec<String>>("listwallets", &[])?.contains(&self.path_name))
    }

    /// Loads the wallet if it exists and is not loaded. Never creates one: an empty wallet in place of a missing one would look like
    /// a loss.
    pub fn ensure_loaded(&mut self) -> Result<(), RpcError> {
        if self.wallet_loaded()? {
            return Ok(());
        }
        if !self.abilities.has("loadwallet") {
            let reason = format!("this daemon loads wallets at start only: restart it with wallet={}", self.name);
            return Err(RpcError::Refused { method: "loadwallet".to_owned(), reason });
        }
        match self.node.call::<Value>("loadwallet", &[json!(self.name)]) {
            Ok(_) => {}
            // Another caller was faster.
            Err(error) if is_already_loaded(&error) => {}
            Err(error) => return Err(error),
        }
        // While no wallet at all is loaded, the help of 0.18 leaves out what wallets can do.
        self.abilities = Abilities::probe(&self.node, &self.wallet)?;
        Ok(())
    }

    /// Makes a new wallet under the configured name and loads it. Only by a person's order: nothing calls it by itself.
    pub fn create_wallet(&self) -> Result<(), RpcError> {
        if !self.abilities.has("createwallet") {
            let reason = "this daemon makes its wallet by itself at the first start".to_owned();
            return Err(RpcError::Refused { method: "createwallet".to_owned(), reason });
        }
        self.node.call::<Value>("createwallet", &[json!(self.name)]).map(|_| ())
    }
}

fn is_already_loaded(error: &RpcError) -> bool {
    match error {
        RpcError::Daemon { code: ALREADY_LOADED, .. } => true,
        RpcError::Daemon { code: WALLET_ERROR, message, .. } => {
            message.contains("already loaded") || message.contains("Duplicate -wallet filename")
        }
        _ => false,
    }
}

/// The name on the wallet's path. Daemons with several wallets have a path for each; none: this one has no paths.
fn name_on_path(node: &Rpc, name: &str) -> Result<Option<String>, RpcError> {
    match node.call::<Vec<String>>("listwallets", &[]) {
        Ok(loaded) => Ok(Some(name_on_daemon(name, &loaded).to_owned())),
        Err(RpcError::Daemon { code: -32601, .. }) if name.is_empty() => Ok(None),
        Err(RpcError::Daemon { code: -32601, .. }) => Err(RpcError::WrongDaemon {
            address: node.address().to_string(),
            expected: format!("a wallet named '{name}'"),
            found: "a single wallet without a name".to_owned(),
        }),
        Err(error) => Err(error),
    }
}

/// Daemons of 0.15 and 0.16 call the default wallet by its file's name.
fn name_on_daemon<'a>(name: &'a str, loaded: &[String]) -> &'a str {
    if name.is_empty() && loaded == ["wallet.dat"] { "wallet.dat" } else { name }
}

fn check_chain(node: &Rpc, found: &str, chain: Chain) -> Result<(), RpcError> {
    let expected = match chain {
        Chain::Main => "main",
        Chain::Test => "test",
        Chain::Regtest => "regtest",
    };
    if found == expected {
        return Ok(());
    }
    let of = |chain: &str| format!("chain {chain}");
    Err(RpcError::WrongDaemon { address: node.address().to_string(), expected: of(expected), found: of(found) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_wallet_of_0_16_is_found_under_its_file_name() {
        assert_eq!(name_on_daemon("", &["wallet.dat".to_owned()]), "wallet.dat");
        assert_eq!(name_on_daemon("", &[String::new(), "hot".to_owned()]), "");
        assert_eq!(name_on_daemon("hot", &["wallet.dat".to_owned()]), "hot");
    }

    #[test]
    fn an_already_loaded_wallet_is_known_by_code_or_text() {
        let error = |code, message: &str| RpcError::Daemon { method: "loadwallet".to_owned(), code, message: message.to_owned() };
        assert!(is_already_loaded(&error(-35, "Wallet \"w2\" is already loaded.")));
        assert!(is_already_loaded(&error(
            -4,
            "Wallet file verification failed. Error loading wallet w2. Duplicate -wallet filename specified."
        )));
        assert!(is_already_loaded(&error(-4, "Wallet file verification failed. Wallet \"w2\" is already loaded.")));
        assert!(!is_already_loaded(&error(-4, "Wallet file verification failed. Data is not in recognized format.")));
        assert!(!is_already_loaded(&error(-18, "Wallet w2 not found.")));
    }
}
