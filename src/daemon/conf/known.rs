//! What the program knows, by the options that its own help lists.

use std::collections::BTreeSet;

/// The options of one program; all that there are, when nobody asked it.
pub(super) struct Known<'a>(Option<&'a BTreeSet<String>>);

impl<'a> Known<'a> {
    pub(super) fn new(options: Option<&'a BTreeSet<String>>) -> Known<'a> {
        Known(options)
    }

    /// Whether it knows this option, or the one that `noNAME` turns off.
    pub(super) fn has(&self, name: &str) -> bool {
        let listed = |name: &str| self.0.is_none_or(|options| options.contains(name));
        listed(name) || name.strip_prefix("no").is_some_and(listed)
    }

    /// Whether its conf has sections: they came with `includeconf`, in 0.17.
    pub(super) fn has_sections(&self) -> bool {
        self.has("includeconf")
    }

    /// Whether a user's calls can be confined to a list (0.20 and later).
    pub(super) fn has_whitelists(&self) -> bool {
        self.has("rpcwhitelist") && self.has("rpcwhitelistdefault")
    }

    /// Whether `norpccookiefile` means that there is none. That came in 29, with `blockreservedweight` and without `upnp`; a little older ones (24 to
    /// 28) take it for an empty name, and do not start. The help says the same before and after.
    pub(super) fn can_do_without_cookie(&self) -> bool {
        self.0.is_some() && self.has("rpccookieperms") && self.has("blockreservedweight") && !self.has("upnp")
    }
}
