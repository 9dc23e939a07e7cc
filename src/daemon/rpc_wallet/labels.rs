//! What the wallet remembers for us as the names of its addresses: labels, and before 0.17 accounts.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::super::RpcError;
use super::super::probe::AddressBook;
use super::RpcWallet;

/// More labels than these are not asked one by one: each question looks through the whole address book.
const FEW: usize = 16;
/// This user may not call it.
const FORBIDDEN: u16 = 403;
/// No address has this label any more.
const NO_SUCH_LABEL: i64 = -11;

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

    /// How many addresses the book holds; none where it must be counted in another way: without labels, with very many, or where the daemon's whitelist
    /// was rendered by an older bursar.
    ///
    /// `listreceivedbyaddress` counts the same, but walks all transactions for that: 1.5 s and 3.4 MB for 50,000 (Litecoin 0.21), against a millisecond.
    pub(super) fn addresses_in_book(&self) -> Result<Option<u64>, RpcError> {
        if self.abilities.address_book() != AddressBook::Labels {
            return Ok(None);
        }
        let labels: Vec<String> = self.wallet.call("listlabels", &[])?;
        if labels.len() > FEW {
            return Ok(None);
        }
        let mut count = 0;
        for label in labels {
            match self.addresses_of(&label) {
                Ok(addresses) => count += addresses.len() as u64,
                Err(RpcError::Http { status: FORBIDDEN, .. } | RpcError::Daemon { code: NO_SUCH_LABEL, .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(count))
    }

    /// An address with such a label. Another one besides, of a history that nobody can tell, keeps the label that it has.
    fn labelled(&self, prefix: &str) -> Result<Option<String>, RpcError> {
        let Some(label) = self.names_with(prefix)?.into_iter().next() else { return Ok(None) };
        Ok(self.addresses_of(&label)?.into_keys().next())
    }

    fn addresses_of(&self, label: &str) -> Result<BTreeMap<String, IgnoredAny>, RpcError> {
        self.wallet.call("getaddressesbylabel", &[json!(label)])
    }
}

fn cannot_remember() -> RpcError {
    let reason = "this daemon's wallet has neither labels nor accounts, by which it would remember the payment; set payouts.method to sendmany, \
                  whose payments carry their marks themselves";
    RpcError::Refused { method: "setlabel".to_owned(), reason: reason.to_owned() }
}
