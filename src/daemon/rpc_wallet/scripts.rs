//! The locking scripts of many addresses, in few requests.

use serde_json::{Value, json};

use super::super::{AddressScript, RpcError};
use super::RpcWallet;
use super::replies::AddressReply;

impl RpcWallet {
    /// What tells of an address whether the wallet holds its key.
    pub(super) fn asks_own_addresses(&self) -> &'static str {
        if self.abilities.has("getaddressinfo") { "getaddressinfo" } else { "validateaddress" }
    }

    pub(super) fn scripts_of(&self, addresses: &[&str]) -> Result<Vec<AddressScript>, RpcError> {
        let mut scripts = Vec::with_capacity(addresses.len());
        for checked in self.node.ask_each::<AddressReply>("validateaddress", &each(addresses))? {
            scripts.push(script_of(checked?));
        }
        // Some daemons tell it only where a wallet is named.
        let unsaid: Vec<usize> = (0..scripts.len()).filter(|at| scripts[*at] == AddressScript::Unsaid).collect();
        let asked: Vec<&str> = unsaid.iter().map(|at| addresses[*at]).collect();
        let of_wallet = self.wallet.ask_each::<AddressReply>(self.asks_own_addresses(), &each(&asked))?;
        for (at, of_wallet) in unsaid.into_iter().zip(of_wallet) {
            scripts[at] = script_of(AddressReply { isvalid: Some(true), ..of_wallet? });
        }
        Ok(scripts)
    }
}

fn each(addresses: &[&str]) -> Vec<Vec<Value>> {
    addresses.iter().map(|address| vec![json!(address)]).collect()
}

fn script_of(reply: AddressReply) -> AddressScript {
    match reply.script_hex {
        _ if reply.isvalid != Some(true) => AddressScript::Invalid,
        Some(script) if !script.is_empty() => AddressScript::Known(script),
        _ => AddressScript::Unsaid,
    }
}
