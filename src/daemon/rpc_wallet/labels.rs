//! What the wallet remembers for us as the names of its addresses: labels, and before 0.17 accounts.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::super::RpcError;
use super::super::probe::AddressBook;
use super::RpcWallet;

impl RpcWallet {
    pub(super) fn names_with(&self, prefix: &str) -> Result<Vec<String>, RpcError> {
        let mut names: Vec<String> = match self.abilities.address_book() {
            AddressBook::Labels => self.wallet.call("listlabels", &[])?,
            AddressBook::Accounts => self.wallet.call::<BTreeMap<String, IgnoredAny>>("listaccounts", &[])?.into_keys().collect(),
            AddressBook::Nameless => vec![],
        };
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }

    /// A label is written over the old one by one call, so that there is no moment without any. An account cannot be: when its last
    /// address gets another one, the daemon makes it a new address (`setaccount`, 0.3 to 0.16). So there each name gets an address of
    /// its own, which uses up no more keys than `setaccount` would.
    pub(super) fn name_address(&self, prefix: &str, name: &str) -> Result<(), RpcError> {
        let named = match self.abilities.address_book() {
            AddressBook::Labels => self.labelled(prefix)?,
            AddressBook::Accounts => None,
            AddressBook::Nameless => return Err(cannot_remember()),
        };
        match named {
            Some(address) => self.wallet.call::<Value>("setlabel", &[json!(address), json!(name)]).map(drop),
            None => self.wallet.call::<Value>("getnewaddress", &[json!(name)]).map(drop),
        }
    }

    /// An address with such a label. Another one besides, of a history that nobody can tell, keeps the label that it has.
    fn labelled(&self, prefix: &str) -> Result<Option<String>, RpcError> {
        let Some(label) = self.names_with(prefix)?.into_iter().next() else { return Ok(None) };
        let addresses: BTreeMap<String, IgnoredAny> = self.wallet.call("getaddressesbylabel", &[json!(label)])?;
        Ok(addresses.into_keys().next())
    }
}

fn cannot_remember() -> RpcError {
    let reason = "this daemon's wallet has neither labels nor accounts, by which it would remember the payment; set payouts.method to sendmany, \
                  whose payments carry their marks themselves";
    RpcError::Refused { method: "setlabel".to_owned(), reason: reason.to_owned() }
}
