//! Addresses as text: is this the spelling of an address of this coin and chain? The daemon has the last word.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Bech32m};
use thiserror::Error;

use super::ChainParams;

/// Longest text that is looked at. MWEB addresses, the longest known, have 115 characters.
const MAX_ADDRESS_CHARS: usize = 200;
/// Errors quote this much of a text at most.
const MAX_QUOTED_CHARS: usize = 80;
/// Errors quote this much of what may be a private key or seed.
const MAX_QUOTED_SECRET_CHARS: usize = 4;
/// A version byte, a 160-bit hash and a checksum in base58.
const MAX_BASE58_ADDRESS_CHARS: usize = 35;
/// The same in bytes, without the checksum.
const BASE58_ADDRESS_BYTES: usize = 21;

/// Why a text is not an address to pay to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Neither base58 nor bech32 with a right checksum.
    #[error("'{0}' is not an address: its checksum or spelling is wrong")]
    Malformed(String),
    /// Not even written like an address.
    #[error("'{text}' is not an address: {problem}")]
    Unlike {
        /// The start of what was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A well-formed address of something else.
    #[error("'{0}' is an address of another coin or network")]
    OtherNetwork(String),
    /// A confidential address, such as MWEB: its outputs cannot be checked after sending.
    #[error("'{0}' is a confidential address, whose payment could not be verified; ask the payee for a plain one")]
    Confidential(String),
    /// A bech32 address on a chain where segwit is not in force.
    #[error(
        "'{0}' is a segwit address, but segwit is not in force on this chain: anybody could take the payment; ask for another"
    )]
    Unprotected(String),
}

/// Checks the spelling, checksum and network of an address. What it accepts the daemon may still refuse.
pub fn check_address(text: &str, chain: &ChainParams) -> Result<(), AddressError> {
    if let Some(problem) = unlike_an_address(text, chain) {
        return Err(AddressError::Unlike { text: quote(text, quotable(text, chain)), problem });
    }
    match check_bech32(text, chain) {
        Some(verdict) => verdict,
        None => check_base58(text, chain),
    }
}

/// None when the text has no right bech32 or bech32m checksum.
fn check_bech32(text: &str, chain: &ChainParams) -> Option<Result<(), AddressError>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).or_else(|_| CheckedHrpstring::new::<Bech32m>(text)).ok()?;
    let prefix = checked.hrp().to_lowercase();
    let quoted = quote(text, MAX_QUOTED_CHARS);
    if chain.confidential.contains(&prefix) {
        return Some(Err(AddressError::Confidential(quoted)));
    }
    if chain.bech32.as_ref() != Some(&prefix) {
        return Some(Err(AddressError::OtherNetwork(quoted)));
    }
    // Version 0 must use bech32 and all others bech32m (BIP 350); 0 has 20 or 32 bytes, the others 2 to 40 (BIP 141).
    if bech32::segwit::decode(text).is_err() {
        return Some(Err(AddressError::Malformed(quoted)));
    }
    Some(if chain.segwit_inactive { Err(AddressError::Unprotected(quoted)) } else { Ok(()) })
}

fn check_base58(text: &str, chain: &ChainParams) -> Result<(), AddressError> {
    match bs58::decode(text).with_check(None).into_vec().as_deref() {
        Ok(bytes @ [version, ..]) if bytes.len() == BASE58_ADDRESS_BYTES => {
            let known = chain.p2pkh.contains(version) || chain.p2sh.contains(version);
            if known { Ok(()) } else { Err(AddressError::OtherNetwork(text.to_owned())) }
        }
        _ => Err(malformed(text, chain)),
    }
}

fn malformed(text: &str, chain: &ChainParams) -> AddressError {
    AddressError::Malformed(quote(text, quotable(text, chain)))
}

/// What tells that a text is no address before its checksum does.
fn unlike_an_address(text: &str, chain: &ChainParams) -> Option<&'static str> {
    let mixed = |text: &str| text.bytes().any(|b| b.is_ascii_lowercase()) && text.bytes().any(|b| b.is_ascii_uppercase());
    match text {
        "" => Some("it is empty"),
        _ if text.len() > MAX_ADDRESS_CHARS => Some("it is too long"),
        _ if text.chars().any(char::is_control) => Some("it has a control character"),
        _ if text.chars().any(char::is_whitespace) => Some("it has a space"),
        _ if !text.is_ascii() => Some("it has a letter that is not ASCII, and may only look like one"),
        _ if begins_like_bech32(text, chain) && mixed(text) => Some("it mixes upper and lower case"),
        _ => None,
    }
}

/// Whether a text begins with a bech32 prefix of this chain.
fn begins_like_bech32(text: &str, chain: &ChainParams) -> bool {
    let start = text.to_ascii_lowercase();
    chain.bech32.iter().chain(&chain.confidential).any(|prefix| start.starts_with(&format!("{prefix}1")))
}

/// How much of a text an error may quote. A longer one that does not begin like a bech32 address may be a private key, pasted by mistake.
fn quotable(text: &str, chain: &ChainParams) -> usize {
    let may_be_secret = text.len() > MAX_BASE58_ADDRESS_CHARS && !begins_like_bech32(text, chain);
    if may_be_secret { MAX_QUOTED_SECRET_CHARS } else { MAX_QUOTED_CHARS }
}

/// The start of a text without control characters, so that no log line is forged and none floods.
fn quote(text: &str, max_chars: usize) -> String {
    let start: String = text.chars().take(max_chars).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(max_chars).is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use Chain::{Main, Regtest, Test};
    use proptest::prelude::*;

    use super::*;
    use crate::coin::{BUILT_IN, Chain, Profile};

    /// Given out by litecoind 0.21 in regtest.
    const MWEB: &str =
        "tmweb1qqd90uqf57qqatus0xc8pge9npk7yvt5upxlj39z9nvua69qlrf785qjtwzqzmhqz467d759qx5gamy2vtgl7zykez365audht942cucq7gy97ss4";
    /// The wallet import format of a well-known private key.
    const PRIVATE_KEY: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";

    fn params(coin: &str, chain: Chain) -> ChainParams {
        Profile::built_in(coin).unwrap().unwrap().chains[&chain].clone()
    }

    fn verdict(text: &str, coin: &str, chain: Chain) -> &'static str {
        match check_address(text, &params(coin, chain)) {
            Ok(()) => "ok",
            Err(AddressError::Malformed(_) | AddressError::Unlike { .. }) => "malformed",
            Err(AddressError::OtherNetwork(_)) => "other network",
            Err(AddressError::Confidential(_)) => "confidential",
            Err(AddressError::Unprotected(_)) => "unprotected",
        }
    }

    /// The bech32 text of another with another prefix.
    fn with_prefix(prefix: &str, text: &str) -> String {
        let (_, data) = bech32::decode(text).unwrap();
        bech32::encode::<Bech32>(bech32::Hrp::parse(prefix).unwrap(), &data).unwrap()
    }

    #[test]
    fn addresses_seen_in_the_wild_and_in_the_coins_own_tests_are_accepted() {
        for (coin, chain, address) in [
            ("bitcoin", Main, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            ("bitcoin", Main, "3P14159f73E4gFr7JterCCQh9QjiTjiZrG"),
            ("bitcoin", Main, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            ("bitcoin", Main, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
            ("bitcoin", Main, "bc1qkw7lz3ahms6e0ajv27mzh7g62tchjpmve4afc29u7w49tddydy2syv0087"),
            ("bitcoin", Main, "bc1p5rgvqejqh9dh37t9g94dd9cm8vtqns7dndgj423egwggsggcdzmsspvr7j"),
            ("bitcoin", Test, "mhJuoGLgnJC8gdBgBzEigsoyG4omQXejPT"),
            ("bitcoin", Test, "2N5VpzKEuYvZJbmg6eUNGnfrrD1ir92FWGu"),
            ("bitcoin", Test, "tb1q74fxwnvhsue0l8wremgq66xzvn48jlc5zthsvz"),
            ("bitcoin", Regtest, "bcrt1qwf52dt9y2sv0f7fwkcpmtfjf74d4np2saeljt6"),
            ("litecoin", Main, "LT2KVaAy1ppRuxRgrS5RNU3vBsy7RibPeA"),
            ("litecoin", Main, "MHrYRxAiMNBTku3eoDHwhA1LQGDjUStZW2"),
            ("litecoin", Main, "3L1YkZjdeNSqaZcNKZFXQfyokx3zVYm7r6"),
            ("litecoin", Main, "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"),
            ("litecoin", Test, "QXaUgLHkZcbJb2j5XgMYzY8cF9YM48Y81Z"),
            ("litecoin", Test, "2N5VpzKEuYvZJbmg6eUNGnfrrD1ir92FWGu"),
            ("litecoin", Regtest, "mrKyUKdKeNcSgLjU4E6Rnwtze4E8YbHFry"),
            ("litecoin", Regtest, "QeLMqMAxGZ7GBZyPH4nBj646vNvtPDEYZj"),
            ("litecoin", Regtest, "rltc1qt8ppaf4ka52allyskhnxv58urhyflmqk8dqxsw"),
            ("dogecoin", Main, "DD4KSSuBJqcjuTcvUg1CgUKeurPUFeEZkE"),
            ("dogecoin", Main, "A7HRQk3GFCW2QasvdZxXuYj8kkQK5QrYLs"),
            ("dogecoin", Test, "nhRsrUaxZou6sewjqaS37cJrMRJRgwVXdk"),
            ("dogecoin", Test, "2MsvyG12kxxipe276Au4zKqvd2xdrBuHWb3"),
            ("dogecoin", Regtest, "mrKyUKdKeNcSgLjU4E6Rnwtze4E8YbHFry"),
            ("peercoin", Main, "p92W3t7YkKfQEPDb7cG9jQ6iMh7cpKLvwK"),
            ("peercoin", Test, "mhJuoGLgnJC8gdBgBzEigsoyG4omQXejPT"),
            ("blackcoin", Main, "BKDvboD1CzZ5KycP1FRSXRoi7XXhHoQhS1"),
            ("blackcoin", Test, "n14L5xqAs7QRzNiTLPNaPeqaF9CRoxzVnU"),
        ] {
            assert_eq!(verdict(address, coin, chain), "ok", "{address} on {coin} {chain}");
        }
    }

    #[test]
    fn every_version_byte_and_prefix_of_every_profile_is_accepted_there() {
        for (coin, _) in BUILT_IN {
            let profile = Profile::built_in(coin).unwrap().unwrap();
            for (chain, params) in &profile.chains {
                for version in params.p2pkh.iter().chain(&params.p2sh) {
                    let mut bytes = vec![*version];
                    bytes.extend([7; 20]);
                    let address = bs58::encode(bytes).with_check().into_string();
                    assert_eq!(check_address(&address, params), Ok(()), "{address} on {coin} {chain}");
                }
                let Some(prefix) = &params.bech32 else { continue };
                let address = bech32::segwit::encode_v0(bech32::Hrp::parse(prefix).unwrap(), &[7; 20]).unwrap();
                let expected = if *coin == "blackcoin" { "unprotected" } else { "ok" };
                assert_eq!(verdict(&address, coin, *chain), expected, "{address} on {coin} {chain}");
            }
        }
    }

    #[test]
    fn addresses_of_other_coins_and_networks_are_told_from_nonsense() {
        for (coin, chain, address) in [
            ("bitcoin", Main, "LT2KVaAy1ppRuxRgrS5RNU3vBsy7RibPeA"),
            ("bitcoin", Main, "MHrYRxAiMNBTku3eoDHwhA1LQGDjUStZW2"),
            ("bitcoin", Main, "mhJuoGLgnJC8gdBgBzEigsoyG4omQXejPT"),
            ("bitcoin", Main, "tb1q74fxwnvhsue0l8wremgq66xzvn48jlc5zthsvz"),
            ("bitcoin", Main, "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9"),
            ("bitcoin", Main, MWEB),
            ("litecoin", Main, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            ("litecoin", Main, "rltc1qt8ppaf4ka52allyskhnxv58urhyflmqk8dqxsw"),
            ("litecoin", Regtest, "LT2KVaAy1ppRuxRgrS5RNU3vBsy7RibPeA"),
            ("dogecoin", Main, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            ("dogecoin", Main, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            ("peercoin", Main, "DD4KSSuBJqcjuTcvUg1CgUKeurPUFeEZkE"),
        ] {
            assert_eq!(verdict(address, coin, chain), "other network", "{address} on {coin} {chain}");
        }
    }

    #[test]
    fn misspelt_addresses_are_refused() {
        for address in [
            "",
            " ",
            "bc1",
            "1",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf",
            " 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa\n",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "bc1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            // Version 1 with version 0's checksum, version 0 with version 1's (BIP 350).
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47",
            // Version 0 with 16 bytes (BIP 173).
            "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
            PRIVATE_KEY,
        ] {
            assert_eq!(verdict(address, "bitcoin", Main), "malformed", "{address}");
        }
    }

    #[test]
    fn confidential_addresses_are_refused_on_every_chain_of_their_coin() {
        let on_main = with_prefix("ltcmweb", MWEB);
        for chain in [Main, Test, Regtest] {
            assert_eq!(verdict(MWEB, "litecoin", chain), "confidential");
            assert_eq!(verdict(&on_main, "litecoin", chain), "confidential");
        }
        assert_eq!(verdict(&MWEB.replace("97ss4", "97ss5"), "litecoin", Regtest), "malformed");
    }

    #[test]
    fn what_may_be_a_private_key_is_not_repeated() {
        for key in [PRIVATE_KEY, &PRIVATE_KEY.replace('H', "J")] {
            for coin in ["bitcoin", "dogecoin"] {
                let error = check_address(key, &params(coin, Main)).unwrap_err().to_string();
                assert!(!error.contains(&key[..8]), "{error}");
            }
        }
    }

    #[test]
    fn huge_and_hostile_texts_are_quoted_briefly_on_one_line() {
        for text in ["1".repeat(1_000_000), format!("a\nERROR forged {}", "é".repeat(500))] {
            let error = check_address(&text, &params("bitcoin", Main)).unwrap_err().to_string();
            assert!(error.chars().count() < 160 && !error.contains('\n'), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), coin in 0..BUILT_IN.len()) {
            let _ = check_address(&text, &params(BUILT_IN[coin].0, Main));
        }

        #[test]
        fn no_text_that_looks_like_an_address_panics_or_is_accepted(text in "(bc1|ltc1|[1-9A-HJ-NP-Za-km-z])[0-9a-zA-Z]{0,120}") {
            prop_assert!(check_address(&text, &params("bitcoin", Main)).is_err());
        }

        #[test]
        fn one_wrong_character_is_noticed(position in 0usize..42, with in "[0-9a-z]") {
            let right = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
            let mut wrong = right.to_owned();
            wrong.replace_range(position..=position, &with);
            prop_assert_eq!(check_address(&wrong, &params("bitcoin", Main)).is_ok(), wrong == right);
        }
    }
}
