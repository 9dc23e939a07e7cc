//! Which RPC method needs which role: each call is made by the least powerful user that may make it, and daemons that can hold a
//! whitelist per user (0.20 and later) are told the same.

use crate::config::RpcRole;

/// What only looks.
const OBSERVE: &[&str] = &[
    "estimatefee",
    "estimatesmartfee",
    "getbalance",
    "getbalances",
    "getbestblockhash",
    "getblock",
    "getblockchaininfo",
    "getblockcount",
    "getblockhash",
    "getblockheader",
    "getinfo",
    "getmempoolentry",
    "getmempoolinfo",
    "getmininginfo",
    "getnetworkinfo",
    "getpeerinfo",
    "getrawmempool",
    "getrpcinfo",
    "getstakinginfo",
    "gettransaction",
    "gettxout",
    "getunconfirmedbalance",
    "getwalletinfo",
    "help",
    "listlockunspent",
    "listreceivedbyaddress",
    "listsinceblock",
    "listtransactions",
    "listunspent",
    "listwallets",
    "uptime",
    "validateaddress",
    "getaddressinfo",
];

/// What a payment needs besides.
const PAY: &[&str] = &["decoderawtransaction", "sendmany", "sendrawtransaction", "settxfee"];

/// The least role that may call this method.
pub fn role_of(method: &str) -> RpcRole {
    if OBSERVE.contains(&method) {
        RpcRole::Observe
    } else if PAY.contains(&method) {
        RpcRole::Pay
    } else {
        RpcRole::Admin
    }
}

/// The methods that a role may call.
pub fn whitelist(role: RpcRole) -> Vec<&'static str> {
    match role {
        RpcRole::Observe => OBSERVE.to_vec(),
        RpcRole::Pay => [OBSERVE, PAY].concat(),
        RpcRole::Admin => [OBSERVE, PAY].concat(),
    }
}
