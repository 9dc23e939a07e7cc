//! A STAND-IN for the 0.13 generation, the last with `getinfo`, which cannot be had here: Litecoin Core 0.18 behind a proxy that
//! answers `getinfo` from the real daemon's data and hides what that generation lacks. It proves that bursar works with these
//! answers; it does not prove how a real daemon of that age behaves otherwise.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::proxy::{Call, FaultProxy, Upstream};

/// Methods that are newer than 0.13 and that the stand-in does not have. Not all of them: those that decide how bursar goes about
/// its work.
const HIDDEN_METHODS: &[&str] = &[
    "converttopsbt",
    "createwallet",
    "finalizepsbt",
    "getaddressesbylabel",
    "getbalances",
    "getrpcinfo",
    "listlabels",
    "listwalletdir",
    "listwallets",
    "loadwallet",
    "rescanblockchain",
    "setlabel",
    "signrawtransactionwithwallet",
    "testmempoolaccept",
    "unloadwallet",
    "uptime",
    "walletprocesspsbt",
];

/// How the help of `createrawtransaction` began before 0.17: outputs are an object.
const CREATE_RAW_HELP: &str =
    "createrawtransaction [{\"txid\":\"id\",\"vout\":n},...] {\"address\":amount,\"data\":\"hex\",...} ( locktime )\n";

/// Fields of `getwalletinfo` that the stand-in leaves out, so that `getinfo` has to be used.
const HIDDEN_BALANCES: &[&str] = &["balance", "unconfirmed_balance", "immature_balance"];

/// A proxy that makes the litecoind 0.18 at `upstream` answer as a daemon of the `getinfo` generation, for its default wallet.
pub fn getinfo_standin(upstream: SocketAddr) -> FaultProxy {
    FaultProxy::start_rewriting(upstream, Box::new(|call, upstream| Some(answer(call, upstream))))
}

/// A STAND-IN for a daemon that can stake, which cannot be had here: the real daemon at `upstream`, which also lists the RPCs of `answers` in
/// its help, and answers them, or puts their fields into its own answers. What it answers is as it was recorded on real ones.
pub fn staking_standin(upstream: SocketAddr, answers: Arc<Mutex<HashMap<String, Value>>>) -> FaultProxy {
    let rewrite = move |call: &Call<'_>, upstream: &Upstream| {
        let answers = answers.lock().expect("answers");
        let of_node = |edit: &dyn Fn(&mut Value)| {
            let (status, body) = upstream.forward(call, None, None).unwrap_or_else(|error| (503, error.to_string()));
            let Ok(mut reply) = serde_json::from_str::<Value>(&body) else { return (status, body) };
            edit(&mut reply["result"]);
            (status, reply.to_string())
        };
        match (call.method.as_str(), answers.get(&call.method)) {
            ("help", _) if call.params.as_array().is_some_and(Vec::is_empty) => {
                let names: String = answers.keys().map(|name| format!("\n{name}")).collect();
                Some(of_node(&|list| *list = json!(format!("{}{names}", list.as_str().unwrap_or_default()))))
            }
            (_, None) => None,
            ("getmininginfo", Some(fields)) => Some(of_node(&|info| {
                fields.as_object().expect("fields").iter().for_each(|(key, value)| info[key] = value.clone());
            })),
            (_, Some(answer)) => Some(result(call, answer.clone())),
        }
    };
    FaultProxy::start_rewriting(upstream, Box::new(rewrite))
}

fn answer(call: &Call<'_>, upstream: &Upstream) -> (u16, String) {
    let asked_about = call.params[0].as_str().unwrap_or_default();
    match call.method.as_str() {
        _ if call.params.is_object() => refuse(call, 500, -32600, "Params must be an array"), // names came with 0.14
        hidden if HIDDEN_METHODS.contains(&hidden) => refuse(call, 404, -32601, "Method not found"),
        "help" if asked_about == "getinfo" => {
            result(call, json!("getinfo\n\nReturns an object containing various state info.\n"))
        }
        "help" if HIDDEN_METHODS.contains(&asked_about) => result(call, json!(format!("help: unknown command: {asked_about}"))),
        "help" if asked_about.is_empty() => edit(call, upstream, |list| *list = edited_help(list)),
        "getwalletinfo" => edit(call, upstream, |info| {
            let fields = info.as_object_mut();
            fields.into_iter().for_each(|fields| fields.retain(|key, _| !HIDDEN_BALANCES.contains(&key.as_str())));
        }),
        "getnetworkinfo" => edit(call, upstream, |info| info["version"] = json!(130_000)),
        "getinfo" => getinfo(call, upstream),
        "help" if asked_about == "createrawtransaction" => result(call, json!(CREATE_RAW_HELP)),
        "listaccounts" => {
            let labels = json!({"id": call.id, "method": "listlabels", "params": []});
            let (status, body) = pass(call, upstream, Some(&labels.to_string()));
            let reply = serde_json::from_str(&body).unwrap_or(Value::Null);
            let Some(labels) = Value::as_array(&reply["result"]) else { return (status, body) };
            let named = labels.iter().filter_map(Value::as_str).map(|label| (label.to_owned(), json!(0.0)));
            result(call, Value::Object(named.collect()))
        }
        "createrawtransaction" if !call.params[1].is_object() => refuse(call, 500, -3, "Expected type object, got array"),
        "signrawtransaction" => {
            let body = json!({"id": call.id, "method": "signrawtransactionwithwallet", "params": [call.params[0]]});
            pass(call, upstream, Some(&body.to_string()))
        }
        _ => pass(call, upstream, None),
    }
}

/// Daemons of that age have one wallet and no wallet paths; 0.18 may have more loaded, and its default wallet is `/wallet/`.
fn pass(call: &Call<'_>, upstream: &Upstream, body: Option<&str>) -> (u16, String) {
    if call.request.path() != "/" {
        return (404, String::new());
    }
    upstream.forward(call, Some("/wallet/"), body).unwrap_or_else(|error| (503, error.to_string()))
}

/// `getinfo` of 0.13, put together from what the daemon says elsewhere.
fn getinfo(call: &Call<'_>, upstream: &Upstream) -> (u16, String) {
    let ask = |method: &str| {
        let (status, body) = pass(call, upstream, Some(&json!({"id": 0, "method": method, "params": []}).to_string()));
        let mut reply: Value = serde_json::from_str(&body).map_err(|_| (status, body.clone()))?;
        if status == 200 { Ok(reply["result"].take()) } else { Err((status, body)) }
    };
    let gather = || -> Result<Value, (u16, String)> {
        let (wallet, chain, network) = (ask("getwalletinfo")?, ask("getblockchaininfo")?, ask("getnetworkinfo")?);
        Ok(json!({
            "version": 130_000,
            "protocolversion": network["protocolversion"],
            "walletversion": wallet["walletversion"],
            "balance": wallet["balance"],
            "blocks": chain["blocks"],
            "timeoffset": network["timeoffset"],
            "connections": network["connections"],
            "proxy": "",
            "difficulty": chain["difficulty"],
            "testnet": false,
            "keypoololdest": wallet["keypoololdest"],
            "keypoolsize": wallet["keypoolsize"],
            "paytxfee": wallet["paytxfee"],
            "relayfee": network["relayfee"],
            "errors": ""
        }))
    };
    match gather() {
        Ok(info) => result(call, info),
        Err(reply) => reply,
    }
}

fn edit(call: &Call<'_>, upstream: &Upstream, change: impl FnOnce(&mut Value)) -> (u16, String) {
    let (status, body) = pass(call, upstream, None);
    match serde_json::from_str::<Value>(&body) {
        Ok(mut reply) if status == 200 => {
            change(&mut reply["result"]);
            (status, reply.to_string())
        }
        _ => (status, body),
    }
}

/// The list of methods with `getinfo` and the like, and without the hidden ones.
fn edited_help(list: &Value) -> Value {
    let list = list.as_str().unwrap_or_default();
    let hidden = |line: &&str| !HIDDEN_METHODS.contains(&line.split(' ').next().unwrap_or_default());
    let kept: Vec<&str> = list.lines().filter(hidden).collect();
    json!(format!("{}\ngetinfo\nlistaccounts\nsignrawtransaction", kept.join("\n")))
}

fn result(call: &Call<'_>, value: Value) -> (u16, String) {
    (200, json!({"result": value, "error": null, "id": call.id}).to_string())
}

fn refuse(call: &Call<'_>, status: u16, code: i64, message: &str) -> (u16, String) {
    let error = json!({"code": code, "message": message});
    (status, json!({"result": null, "error": error, "id": call.id}).to_string())
}
