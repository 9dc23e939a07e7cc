//! One daemon: its rendered conf, its RPC, what it can do, and the `Wallet` that the capabilities work on.
//!
//! Nothing here retries. Every call has a deadline, and every failure says whether the daemon can have acted on it.

mod access;
mod conf;
mod credentials;
mod decoded;
mod error;
pub mod health;
mod http;
mod limits;
mod options;
mod private;
mod probe;
mod roles;
mod rpc;
mod rpc_wallet;
mod rpcauth;
mod slots;
pub mod staking;
mod streamed;
mod together;
mod transport;
mod waiting;
mod wallet;

pub use access::{
    AccessError, NOT_MADE_YET, adopt_rotated, ensure_access, keeper_access, planned_rpcauth, renew, rotate, rpcauth_lines,
};
pub use conf::render;
pub use decoded::{DecodedTx, Extension, TxOutput};
pub use error::RpcError;
pub use http::{Answer as HttpAnswer, AnswerReader, HttpError};
pub use limits::Limits;
pub use options::{OptionsUnknown, known_options};
pub use private::{create_file, make_private_dir, replace_file};
pub use probe::{Abilities, RescanWay, SendmanyForm};
pub use roles::{role_of, whitelist};
pub use rpc::Rpc;
pub use rpc_wallet::RpcWallet;
pub use rpcauth::rpcauth;
pub use streamed::{each_entry, each_watched_entry};
pub use waiting::{Wait, Waiting, last_wait};
pub use wallet::*;
