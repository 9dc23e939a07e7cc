//! Which RPC method needs which role: each call is made by the least powerful user that may make it, and daemons that can hold a
//! whitelist per user (0.20 and later) are told the same.

use super::access::KEEPER_USER;
use crate::config::RpcRole;

/// What only looks.
const OBSERVE: &[&str] = &[
    "estimatefee",
    "estimatesmartfee",
    "getaddressesbylabel",
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
    "listaccounts",
    "listlabels",
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
const PAY: &[&str] = &[
    "converttopsbt",
    "createrawtransaction",
    "decoderawtransaction",
    "finalizepsbt",
    "getnewaddress",
    "getrawchangeaddress",
    "lockunspent",
    "sendmany",
    "sendrawtransaction",
    "setlabel",
    "signrawtransaction",
    "signrawtransactionwithwallet",
    "testmempoolaccept",
    "walletlock",
    "walletpassphrase",
    "walletprocesspsbt",
];

/// What bursar's repairs and backups, the demo, and an operator with the daemon's own client need besides, in all generations: the union of what Litecoin
/// Core 0.18 and 0.21 and Bitcoin Knots 29 list in `help`, of their hidden methods for test chains, and of what older daemons (accounts) and
/// proof-of-stake ones have instead. A name that a daemon does not know does no harm in its whitelist.
const ADMIN: &[&str] = &[
    "abandontransaction",
    "abortrescan",
    "addmultisigaddress",
    "addnode",
    "addwitnessaddress",
    "analyzepsbt",
    "backupwallet",
    "bumpfee",
    "clearbanned",
    "combinepsbt",
    "combinerawtransaction",
    "createmultisig",
    "createpsbt",
    "createwallet",
    "createwalletdescriptor",
    "decodepsbt",
    "decodescript",
    "deriveaddresses",
    "descriptorprocesspsbt",
    "disconnectnode",
    "dumpmasterprivkey",
    "dumpprivkey",
    "dumptxoutset",
    "dumpwallet",
    "encryptwallet",
    "enumeratesigners",
    "estimatepriority",
    "estimaterawfee",
    "fundrawtransaction",
    "generate",
    "generateblock",
    "generatetoaddress",
    "generatetodescriptor",
    "getaccount",
    "getaccountaddress",
    "getaddednodeinfo",
    "getaddressesbyaccount",
    "getaddrmaninfo",
    "getblockfilter",
    "getblockfrompeer",
    "getblockstats",
    "getblocktemplate",
    "getchainstates",
    "getchaintips",
    "getchaintxstats",
    "getconnectioncount",
    "getdeploymentinfo",
    "getdescriptoractivity",
    "getdescriptorinfo",
    "getdifficulty",
    "getgeneralinfo",
    "getgenerate",
    "gethdkeys",
    "getindexinfo",
    "getmemoryinfo",
    "getmempoolancestors",
    "getmempooldescendants",
    "getmempoolstats",
    "getnettotals",
    "getnetworkhashps",
    "getnodeaddresses",
    "getprioritisedtransactions",
    "getrawtransaction",
    "getreceivedbyaccount",
    "getreceivedbyaddress",
    "getreceivedbylabel",
    "getrpcwhitelist",
    "gettxoutproof",
    "gettxoutsetinfo",
    "gettxspendingprevout",
    "getzmqnotifications",
    "importaddress",
    "importcoinstake",
    "importdescriptors",
    "importmempool",
    "importmulti",
    "importprivkey",
    "importprunedfunds",
    "importpubkey",
    "importwallet",
    "invalidateblock",
    "joinpsbts",
    "keypoolrefill",
    "listaddressgroupings",
    "listbanned",
    "listdescriptors",
    "listmempooltransactions",
    "listminting",
    "listprunelocks",
    "listreceivedbyaccount",
    "listreceivedbylabel",
    "listwalletdir",
    "listwallettransactions",
    "loadtxoutset",
    "loadwallet",
    "logging",
    "maxmempool",
    "migratewallet",
    "mockscheduler",
    "move",
    "newkeypool",
    "optimizeutxoset",
    "ping",
    "preciousblock",
    "prioritisetransaction",
    "pruneblockchain",
    "psbtbumpfee",
    "reconsiderblock",
    "removeprunedfunds",
    "rescanblockchain",
    "resendwallettransactions",
    "reservebalance",
    "restorewallet",
    "savefeeestimates",
    "savemempool",
    "scanblocks",
    "scantxoutset",
    "scriptthreadsinfo",
    "send",
    "sendall",
    "sendfrom",
    "sendtoaddress",
    "setaccount",
    "setban",
    "setfeerate",
    "setgenerate",
    "sethdseed",
    "setmocktime",
    "setnetworkactive",
    "setprunelock",
    "setscriptthreadsenabled",
    "settxfee",
    "setwalletflag",
    "signmessage",
    "signmessagewithprivkey",
    "signrawtransactionwithkey",
    "simulaterawtransaction",
    "staking",
    "stop",
    "submitblock",
    "submitheader",
    "submitpackage",
    "sweepprivkeys",
    "syncwithvalidationinterfacequeue",
    "unloadwallet",
    "upgradewallet",
    "utxoupdatepsbt",
    "verifychain",
    "verifymessage",
    "verifytxoutproof",
    "waitforblock",
    "waitforblockheight",
    "waitfornewblock",
    "walletcreatefundedpsbt",
    "walletdisplayaddress",
    "walletpassphrasechange",
];

/// What a keeper asks, whose password lies where the daemon can read it: whether the daemon is up, and how it is.
const KEEPER: &[&str] =
    &["getblockchaininfo", "getblockcount", "getmininginfo", "getnetworkinfo", "getstakinginfo", "getwalletinfo", "uptime"];

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
        RpcRole::Admin => [OBSERVE, PAY, ADMIN].concat(),
    }
}

/// The methods that the daemon's user of this name may call; none for a name that is not bursar's, which may call nothing.
pub(super) fn whitelist_of_user(user: &str) -> Option<Vec<&'static str>> {
    if user == KEEPER_USER {
        return Some(KEEPER.to_vec());
    }
    RpcRole::ALL.into_iter().find(|role| role.user() == user).map(whitelist)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_method_has_one_place_and_each_role_may_what_the_lesser_may() {
        let all = [OBSERVE, PAY, ADMIN].concat();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a method is named twice");
        for role in RpcRole::ALL {
            assert!(whitelist(role).iter().all(|method| role_of(method) <= role), "{role:?}");
        }
        assert!(KEEPER.iter().all(|method| OBSERVE.contains(method)));
        assert!(all.iter().all(|method| method.bytes().all(|byte| byte.is_ascii_lowercase())), "a comma would be another method");
    }

    #[test]
    fn money_and_keys_are_out_of_reach_of_those_who_only_look() {
        for method in ["sendmany", "sendtoaddress", "dumpprivkey", "dumpwallet", "stop", "backupwallet", "walletpassphrase"] {
            assert!(!OBSERVE.contains(&method), "{method}");
        }
        for method in
            ["dumpprivkey", "dumpwallet", "listdescriptors", "stop", "createwallet", "walletpassphrasechange", "importprivkey"]
        {
            assert!(!whitelist(RpcRole::Pay).contains(&method), "{method}");
            assert!(ADMIN.contains(&method), "{method}");
        }
        assert_eq!(whitelist_of_user("__cookie__"), None);
    }
}
