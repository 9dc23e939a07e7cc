//! A daemon of the generation with `getinfo`, accounts and a single wallet. A STAND-IN: scripted answers in the form of 0.13, because no
//! package of that generation is to be had. It proves which calls the probe chooses, not that a real one answers so.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::server::{Request, Server, http};
use bursar::coin::{Amount, Txid};
use bursar::config::CoinSettings;
use bursar::daemon::{AddressScript, BalanceSource, Category, FeeChoice, RescanWay, RpcError, RpcWallet, SendMany, Wallet};
use serde_json::{Value, json};

const HELP: &str = "== Blockchain ==\ngetblockchaininfo\ngetblockcount\ngetblockhash index\ngetblockheader \"hash\" ( verbose )\n\
    getrawmempool ( verbose )\n\n== Control ==\ngetinfo\nhelp ( \"command\" )\n\n== Wallet ==\ngetbalance ( \"account\" minconf )\n\
    getnewaddress ( \"account\" )\ngetwalletinfo\nlistaccounts ( minconf includeWatchonly )\nlistsinceblock ( \"blockhash\" target-confirmations includeWatchonly)\n\
    sendmany \"fromaccount\" {\"address\":amount,...}\nvalidateaddress \"address\"";

/// What 0.13 answers: a result, or code and text.
fn old_answer(method: &str, params: &Value) -> Result<Value, (i64, &'static str)> {
    let txid = "ab".repeat(32);
    match method {
        _ if params.is_object() => Err((-32600, "Params must be an array")),
        "help" if params[0] == "sendmany" => {
            Ok(json!("sendmany \"fromaccount\" {\"address\":amount,...} ( minconf \"comment\" )"))
        }
        "help" if params[0] == "listsinceblock" => {
            Ok(json!("listsinceblock ( \"blockhash\" target-confirmations includeWatchonly)"))
        }
        "help" => Ok(json!(HELP)),
        "getblockchaininfo" => Ok(json!({ "chain": "regtest", "blocks": 7, "bestblockhash": "cd".repeat(32) })),
        "getinfo" => {
            Ok(serde_json::from_str(r#"{"version":130200,"balance":12.50000000,"stake":0.00000000,"testnet":false}"#).unwrap())
        }
        "getwalletinfo" => Ok(json!({ "walletversion": 130_000, "txcount": 3, "keypoolsize": 101, "hdmasterkeyid": "ef" })),
        "validateaddress" if params[0] == "unsaid" => Ok(json!({ "isvalid": true, "ismine": false })),
        "validateaddress" => Ok(json!({ "isvalid": true, "scriptPubKey": "76a914", "ismine": true, "account": "" })),
        "getrawmempool" => Ok(json!([txid])),
        "listsinceblock" => Ok(json!({ "transactions": [
            { "account": "", "category": "stake", "amount": 1.5, "txid": txid, "vout": 1, "confirmations": 2, "time": 9 },
        ], "lastblock": "" })),
        "listaccounts" => Ok(json!({ "": 12.5, "bursar:me:1:a": 0.0, "bursar:other:7:b": 0.0, "customer": -1.5 })),
        "getnewaddress" => Ok(json!("fresh")),
        "listlabels" => Ok(json!(["", "gone"])),
        "getaddressesbylabel" if params[0] == "gone" => Err((-11, "No addresses with label gone")),
        "getaddressesbylabel" => Ok(json!({ "one": { "purpose": "receive" } })),
        "listreceivedbyaddress" => Ok(json!([{ "address": "one" }, { "address": "two" }, { "address": "three" }])),
        "sendmany" => Ok(json!(txid)),
        _ => Err((-32601, "Method not found")),
    }
}

/// HTTP status and body.
fn reply(call: &Value, help: &str) -> (&'static str, Value) {
    if call["method"] == "getaddressesbylabel" && help.contains("not allowed") {
        return ("403 Forbidden", Value::Null);
    }
    let answer = match old_answer(call["method"].as_str().unwrap(), &call["params"]) {
        Ok(Value::String(text)) if text == HELP => Ok(json!(help)),
        answer => answer,
    };
    match answer {
        Ok(result) => ("200 OK", json!({ "result": result, "error": null, "id": call["id"] })),
        Err((code, message)) => {
            let error = json!({ "code": code, "message": message });
            ("500 Internal Server Error", json!({ "result": null, "error": error, "id": call["id"] }))
        }
    }
}

/// The daemon, and the calls that it got.
fn old_daemon() -> (Server, Arc<Mutex<Vec<Value>>>) {
    daemon_with(HELP.to_owned())
}

/// The same with another help.
fn daemon_with(help: String) -> (Server, Arc<Mutex<Vec<Value>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&calls);
    let server = Server::start(move |mut stream| {
        let Request { head, json: call } = Request::read(&mut stream);
        assert!(head.starts_with("POST / "), "a single wallet has no path: {head}");
        let answer = match &call {
            Value::Array(calls) => ("200 OK", calls.iter().map(|call| reply(call, &help).1).collect()),
            call => reply(call, &help),
        };
        let answer = http(answer.0, &answer.1.to_string());
        log.lock().unwrap().push(call);
        let _ = stream.write_all(answer.as_bytes());
    });
    (server, calls)
}

fn connect(coin: &CoinSettings) -> RpcWallet {
    RpcWallet::connect(coin).unwrap()
}

#[test]
fn the_next_best_call_is_used_where_one_is_missing() {
    let (server, _) = old_daemon();
    let wallet = connect(&server.coin);
    let abilities = wallet.abilities();
    assert_eq!((abilities.version, abilities.balance, abilities.rescan), (130_200, BalanceSource::Getinfo, RescanWay::Restart));
    assert!(abilities.sendmany.from_account && !abilities.sendmany.fee_rate && !abilities.named_arguments);
    assert!(abilities.lists_watch_only && !abilities.lists_removed && !abilities.wallet_paths());

    let balances = wallet.balances().unwrap();
    assert_eq!((balances.trusted, balances.pending), (Amount::from_base_units(1_250_000_000), None));
    let facts = wallet.address("any").unwrap();
    assert!(facts.valid && facts.is_mine && facts.script_hex.as_deref() == Some("76a914"));
    assert!(wallet.in_mempool(&Txid::from_bytes([0xab; 32])).unwrap() && !wallet.in_mempool(&Txid::from_bytes([1; 32])).unwrap());
    assert_eq!(wallet.uptime_s().unwrap(), None);
    assert!(wallet.wallet_loaded().unwrap());
    let identity = wallet.identity().unwrap();
    assert_eq!((identity.tx_count, identity.keypool, identity.fingerprint.as_deref()), (3, 101, Some("ef")));
    let listing = wallet.list_since(None).unwrap();
    assert_eq!(listing[0].category, Category::Other("stake".to_owned()));
    assert!(matches!(wallet.rescan(0), Err(RpcError::Refused { .. })));
    assert!(matches!(wallet.create_wallet(), Err(RpcError::Refused { .. })));
}

#[test]
fn scripts_are_asked_of_the_wallet_only_where_the_node_does_not_say_them() {
    let (server, calls) = old_daemon();
    let wallet = connect(&server.coin);
    calls.lock().unwrap().clear();
    let known = AddressScript::Known("76a914".to_owned());
    assert_eq!(wallet.scripts(&["one", "two"]).unwrap(), [known.clone(), known.clone()]);
    assert_eq!(wallet.scripts(&["one", "unsaid", "two"]).unwrap(), [known.clone(), AddressScript::Unsaid, known]);
    let asked: Vec<usize> = calls.lock().unwrap().iter().map(|calls| calls.as_array().unwrap().len()).collect();
    assert_eq!(asked, [2, 3, 1]);
}

#[test]
fn marks_are_accounts_and_each_gets_an_address_of_its_own() {
    let (server, calls) = old_daemon();
    let wallet = connect(&server.coin);
    assert_eq!(wallet.marks("bursar:me:").unwrap(), ["bursar:me:1:a"]);
    calls.lock().unwrap().clear();
    wallet.set_mark("bursar:me:", "bursar:me:2:c").unwrap();
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len(), 1, "setaccount would leave an address to the old account: {calls:?}");
    assert_eq!((&calls[0]["method"], &calls[0]["params"]), (&json!("getnewaddress"), &json!(["bursar:me:2:c"])));
}

#[test]
fn addresses_are_counted_by_what_they_received_where_they_cannot_be_by_labels() {
    for help in [
        HELP.to_owned(),
        // A label that went meanwhile; and a whitelist that an older bursar rendered.
        format!("{HELP}\nlistlabels\ngetaddressesbylabel\nsetlabel"),
        format!("{HELP}\nlistlabels\ngetaddressesbylabel\nsetlabel\nnot allowed"),
    ] {
        let (server, calls) = daemon_with(help.clone());
        let wallet = connect(&server.coin);
        assert_eq!(wallet.received_addresses().unwrap(), 3, "{help}");
        assert_eq!(calls.lock().unwrap().last().unwrap()["method"], "listreceivedbyaddress");
    }
}

#[test]
fn a_daemon_without_labels_and_accounts_is_told_no_mark() {
    let (server, _) = daemon_with(HELP.replace("listaccounts", "listnothing"));
    let wallet = connect(&server.coin);
    assert_eq!(wallet.marks("bursar:").unwrap(), [] as [String; 0]);
    let refused = wallet.set_mark("bursar:me:", "bursar:me:2:c").unwrap_err();
    assert!(
        matches!(refused, RpcError::Refused { .. }) && refused.to_string().contains("payouts.method to sendmany"),
        "{refused}"
    );
    assert!(wallet.abilities().to_string().contains("journaled cannot be used"));
}

#[test]
fn a_payment_goes_out_by_position_with_its_mark() {
    let (server, calls) = old_daemon();
    let wallet = connect(&server.coin);
    let outputs = [("payee".to_owned(), Amount::from_base_units(1))];
    let order = SendMany { rpc_id: "batch 1", comment: "mark", outputs: &outputs, fee: FeeChoice::Daemons };
    wallet.send_many(&order).unwrap();
    let calls = calls.lock().unwrap();
    let sent = calls.last().unwrap();
    assert_eq!(sent["params"].to_string(), r#"["",{"payee":0.00000001},1,"mark"]"#);
    assert_eq!(sent["id"], json!("batch 1"));
}

#[test]
fn a_wallet_with_a_name_is_not_looked_for_in_a_daemon_with_one_wallet() {
    let (server, _) = old_daemon();
    let mut coin = server.coin.clone();
    coin.wallet.name = "hot".to_owned();
    let error = RpcWallet::connect(&coin).unwrap_err();
    assert!(matches!(error, RpcError::WrongDaemon { .. }), "{error}");
}
