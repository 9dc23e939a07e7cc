//! `rpcauth`: the salted hash of an RPC password, which may stand in a conf file.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The value of an `rpcauth` option: `user:salt$hash`, the hash being HMAC-SHA256 of the password under the salt, as in Bitcoin Core's
/// `share/rpcauth/rpcauth.py`. The salt is random hex, sixteen bytes there.
pub fn rpcauth(user: &str, password: &str, salt: &str) -> String {
    // HMAC takes keys of every length, so there is no error to meet; an empty hash would fit no password.
    let hash = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map(|mut mac| {
        mac.update(password.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    });
    format!("{user}:{salt}${}", hash.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_script_in_bitcoin_core() {
        // `rpcauth.py`'s password_to_hmac("f7efda5c189b999524f151318c0c86", …), run in Python.
        assert_eq!(
            rpcauth("bob", "DONT_USE_THIS_YOU_WILL_GET_ROBBED_8ak1gI25KFTvjovL3gAM967mies3E=", "f7efda5c189b999524f151318c0c86"),
            "bob:f7efda5c189b999524f151318c0c86$6a893624cf4e913febf42d423c0934e0ac30d850e21fa45193a24e20cb3de41c"
        );
    }
}
