//! What a coin is, without any I/O: amounts in base units, hashes, times, profiles, addresses as text.

mod address;
mod amount;
mod fee_rate;
mod hash;
mod letters;
mod profile;
mod profile_rules;
mod time;
mod toml_text;
mod words;

pub use address::{AddressError, check_address};
pub use amount::{Amount, AmountError};
pub use fee_rate::FeeRate;
pub use hash::{BlockHash, HashError, OutPoint, Txid};
pub use letters::does_something;
pub use profile::{
    BUILT_IN, Chain, ChainParams, Deadline, Profile, ProfileError, Programs, Relay, Staking, StakingProof, Versions,
};
pub use time::{Day, Timestamp};
pub(crate) use toml_text::{Fault, TomlText};
pub use words::{BadWords, MOST_WORDS_CHARS, check_words, shell_word};
