//! Every call of the `Wallet` on three generations of real daemons.

use crate::coin::write_credentials;
use crate::process::{Daemon, Generation};
use bursar::coin::{Amount, BlockHash, Chain, FeeRate, Txid};
use bursar::daemon::{
    Abilities, AddressScript, BalanceSource, Category, Entry, FeeChoice, FeeWay, RescanWay, Rpc, RpcError, RpcWallet, SendMany,
    Unspent, Wallet,
};
use serde_json::{Value, json};

const COIN: i64 = 100_000_000;

fn coins(amount: i64) -> Amount {
    Amount::from_base_units(amount * COIN)
}

/// A daemon, its wallet with 100 mature coins in two, and a second wallet that plays the stranger.
struct Scene {
    daemon: Daemon,
    wallet: RpcWallet,
    stranger: Rpc,
}

fn scene(generation: Generation) -> Scene {
    let daemon = Daemon::start(generation);
    let wallet = daemon.wallet();
    wallet.node_rpc().call::<Value>("createwallet", &[json!("stranger")]).unwrap();
    let stranger = wallet.node_rpc().at_wallet("stranger");
    Daemon::mine(wallet.wallet_rpc(), 2);
    Daemon::mine(&stranger, 100);
    Scene { daemon, wallet, stranger }
}

/// 20 per virtual byte, in the call where the daemon takes it; else its conf says it.
fn fee(wallet: &RpcWallet) -> FeeChoice {
    match wallet.fee_way().unwrap() {
        FeeWay::Rate => FeeChoice::Rate(FeeRate::from_per_vb(20)),
        FeeWay::Target { .. } | FeeWay::Conf { .. } => FeeChoice::Daemons,
    }
}

impl Scene {
    fn stranger_address(&self) -> String {
        self.stranger.call("getnewaddress", &[]).unwrap()
    }

    /// Pays two strangers, 1 and 2 coins, under the mark "mark".
    fn pay(&self) -> (Txid, [(String, Amount); 2]) {
        let outputs = [(self.stranger_address(), coins(1)), (self.stranger_address(), coins(2))];
        let order = SendMany { rpc_id: "batch 1", comment: "mark", outputs: &outputs, fee: fee(&self.wallet) };
        (self.wallet.send_many(&order).unwrap(), outputs)
    }
}

macro_rules! on_each_daemon {
    ($($name:ident)*) => {
        mod litecoin_0_18 { $( #[test] fn $name() { super::$name(crate::process::Generation::Litecoin018); } )* }
        mod litecoin_0_21 { $( #[test] fn $name() { super::$name(crate::process::Generation::Litecoin021); } )* }
        mod knots { $( #[test] fn $name() { super::$name(crate::process::Generation::Knots); } )* }
    };
}

on_each_daemon! {
    the_probe_finds_what_the_daemon_can_do
    a_wallet_is_created_only_on_order_and_loaded_when_it_exists
    blocks_are_found_by_height_and_by_hash
    a_payment_is_seen_on_every_side
    balances_coins_and_locks_agree
    coins_from_memory_are_those_of_a_new_listing
    addresses_are_told_apart
    all_addresses_are_counted_in_either_way
    a_backup_never_overwrites
    a_rescan_finds_what_was_forgotten
    a_reorg_shows_in_the_listing
    wrong_credentials_and_wrong_chains_are_named
    the_daemon_refuses_with_its_own_words
    a_call_that_works_for_long_is_not_cut_off
}

fn the_probe_finds_what_the_daemon_can_do(generation: Generation) {
    let daemon = Daemon::start(generation);
    let wallet = RpcWallet::connect(&daemon.coin).unwrap();
    let abilities = wallet.abilities();
    assert_eq!(abilities.chain, "regtest");
    assert!(abilities.version >= 180_000 && abilities.named_arguments && abilities.wallet_paths());
    assert!(!abilities.sendmany.from_account && abilities.lists_removed && abilities.lists_watch_only);
    assert_eq!(abilities.rescan, RescanWay::Rpc);
    let is_old = generation == Generation::Litecoin018;
    assert_eq!(abilities.balance, if is_old { BalanceSource::Getwalletinfo } else { BalanceSource::Getbalances });
    assert_eq!(abilities.sendmany.fee_rate, !is_old);
    assert_eq!(abilities.has("listdescriptors"), generation == Generation::Knots);
    for method in ["uptime", "getmempoolentry", "getaddressinfo", "loadwallet", "createwallet"] {
        assert!(abilities.has(method), "{method}");
    }
    let stored: Abilities = serde_json::from_str(&serde_json::to_string(abilities).unwrap()).unwrap();
    assert_eq!(&stored, abilities);
    assert!(abilities.to_string().contains("rescanblockchain"));
}

fn a_wallet_is_created_only_on_order_and_loaded_when_it_exists(generation: Generation) {
    let mut daemon = Daemon::start(generation);
    // 0.18 makes its default wallet by itself; one that is not in the conf it does not. The name needs encoding in the path.
    daemon.coin.wallet.name = "cold & dry?ü".to_owned();
    let mut wallet = RpcWallet::connect(&daemon.coin).unwrap();
    assert!(!wallet.wallet_loaded().unwrap());
    assert_eq!(wallet.ensure_loaded().unwrap_err().code(), Some(-18));
    assert!(!wallet.wallet_loaded().unwrap());
    wallet.create_wallet().unwrap();
    assert!(wallet.wallet_loaded().unwrap());
    assert_eq!(wallet.identity().unwrap().name, daemon.coin.wallet.name);
    assert_eq!(wallet.create_wallet().unwrap_err().code(), Some(-4));
    wallet.ensure_loaded().unwrap();

    wallet.node_rpc().call::<Value>("unloadwallet", &[json!(daemon.coin.wallet.name)]).unwrap();
    let unloaded = [
        wallet.transaction(&Txid::from_bytes([7; 32])).map(drop).unwrap_err(),
        wallet.list_since(None).map(drop).unwrap_err(),
        wallet.balances().map(drop).unwrap_err(),
        wallet.identity().map(drop).unwrap_err(),
    ];
    for error in unloaded {
        assert_eq!(error.code(), Some(-18), "{error}");
    }
    wallet.tip().unwrap();
    wallet.ensure_loaded().unwrap();
    assert_eq!(wallet.transaction(&Txid::from_bytes([7; 32])).unwrap().map(drop), None);
}

fn blocks_are_found_by_height_and_by_hash(generation: Generation) {
    let daemon = Daemon::start(generation);
    let wallet = daemon.wallet();
    Daemon::mine(wallet.wallet_rpc(), 3);
    let tip = wallet.tip().unwrap();
    assert_eq!(tip.height, 3);
    assert_eq!(wallet.block_hash(3).unwrap(), tip.hash);
    assert_eq!(wallet.block_hash(4).unwrap_err().code(), Some(-8));
    let place = wallet.block_place(&wallet.block_hash(1).unwrap()).unwrap().unwrap();
    assert_eq!((place.height, place.active), (1, true));
    assert_eq!(wallet.block_place(&BlockHash::from_bytes([9; 32])).unwrap(), None);
    assert!(wallet.uptime_s().unwrap().is_some());
}

fn a_payment_is_seen_on_every_side(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let before = wallet.tip().unwrap();
    let (txid, outputs) = scene.pay();

    assert!(wallet.in_mempool(&txid).unwrap());
    let known = wallet.transaction(&txid).unwrap().unwrap();
    check_payment(&known.entries, &txid, 0);
    let decoded = wallet.decode(&known.raw_hex).unwrap();
    assert_eq!((decoded.txid, decoded.inputs.len(), decoded.outputs.len()), (txid, 1, 3));
    for (address, amount) in &outputs {
        let script = wallet.address(address).unwrap().script_hex.unwrap();
        assert!(decoded.outputs.iter().any(|output| output.script_hex == script && output.amount == *amount));
    }
    let fee = known.entries[0].fee.unwrap().base_units().unsigned_abs();
    // From the conf on 0.18, from the call on the others; signatures vary by a byte.
    let tenths_per_vb = fee as u128 * 10 / u128::from(decoded.vsize);
    assert!((195..=205).contains(&tenths_per_vb), "{tenths_per_vb}");

    wallet.broadcast(&known.raw_hex).unwrap();
    Daemon::mine(&scene.stranger, 1);
    wallet.broadcast(&known.raw_hex).unwrap();
    assert!(!wallet.in_mempool(&txid).unwrap());
    let listing = wallet.list_since(Some(&before.hash)).unwrap();
    check_payment(&listing, &txid, 1);
    assert_eq!(listing[0].block, Some(wallet.tip().unwrap().hash));
    assert_eq!(wallet.list_since(Some(&wallet.tip().unwrap().hash)).unwrap(), []);
    assert_eq!(wallet.list_since(Some(&BlockHash::from_bytes([9; 32]))).unwrap_err().code(), Some(-5));
    assert!(wallet.list_since(None).unwrap().iter().any(|entry| entry.category == Category::Generate));
}

/// Two `send` entries of 1 and 2 coins, each with mark and fee.
fn check_payment(entries: &[Entry], txid: &Txid, confirmations: i64) {
    let mut amounts: Vec<i64> = entries.iter().map(|entry| entry.amount.base_units()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [-2 * COIN, -COIN]);
    for entry in entries {
        assert_eq!((&entry.txid, &entry.category, entry.confirmations), (txid, &Category::Send, confirmations));
        assert_eq!(entry.comment.as_deref(), Some("mark"));
        assert!(entry.fee.unwrap() < Amount::ZERO && entry.vout.is_some() && !entry.abandoned);
        assert!(entry.time.0 > 1_600_000_000);
    }
}

fn balances_coins_and_locks_agree(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let balances = wallet.balances().unwrap();
    assert_eq!((balances.trusted, balances.pending), (coins(100), Some(Amount::ZERO)));
    let coins_held = wallet.unspent().unwrap();
    assert_eq!(Amount::sum(coins_held.iter().map(|coin| coin.amount)).unwrap(), balances.trusted);
    assert!(coins_held.iter().all(|coin| coin.spendable && coin.safe && coin.confirmations > 100));

    let coin = coins_held[0].outpoint;
    assert_eq!(wallet.locked().unwrap(), []);
    wallet.wallet_rpc().call::<Value>("lockunspent", &[json!(false), json!([coin])]).unwrap();
    assert_eq!(wallet.locked().unwrap(), [coin]);
    assert_eq!(wallet.unspent().unwrap().len(), coins_held.len() - 1);

    // A stranger's payment is pending, not safe, and not trusted.
    let address = wallet.new_address().unwrap();
    Daemon::mine(&scene.stranger, 1);
    let args = json!({ "address": address, "amount": 5 });
    scene.stranger.call::<Value>("settxfee", &[json!(0.0002)]).unwrap();
    scene.stranger.call_named::<Value>("sendtoaddress", args.as_object().unwrap()).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while wallet.balances().unwrap().pending != Some(coins(5)) {
        assert!(std::time::Instant::now() < deadline, "{:?}", wallet.balances());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(wallet.balances().unwrap().trusted, coins(100));
    let pending = wallet.unspent().unwrap().into_iter().find(|coin| !coin.safe).unwrap();
    assert_eq!((pending.amount, pending.confirmations), (coins(5), 0));
}

/// Whatever changes what can be spent is noticed, twice in a row too.
fn coins_from_memory_are_those_of_a_new_listing(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let check = |what: &str| {
        // A block that leaves reaches the wallet in several steps, and only some are waited for by the calls that list.
        wallet.node_rpc().call::<Value>("syncwithvalidationinterfacequeue", &[]).unwrap();
        let ordered = |mut coins: Vec<Unspent>| {
            coins.sort_by_key(|coin| coin.outpoint);
            coins
        };
        for _ in 0..2 {
            let (coins, balances) = wallet.funds().unwrap();
            assert_eq!(balances, wallet.balances().unwrap(), "{what}");
            assert_eq!(ordered(coins), ordered(wallet.unspent().unwrap()), "{what}");
            assert_eq!(ordered(wallet.coins().unwrap()), ordered(wallet.unspent().unwrap()), "{what}");
        }
    };
    check("as it was");
    let coin = wallet.unspent().unwrap()[0].outpoint;
    wallet.lock_coins(&[coin]).unwrap();
    check("a coin is locked");
    wallet.unlock_coins(&[coin]).unwrap();
    check("and free again");
    let (txid, _) = scene.pay();
    check("a payment");
    Daemon::mine(&scene.stranger, 1);
    check("in a block");
    let stale = wallet.tip().unwrap().hash;
    wallet.node_rpc().call::<Value>("invalidateblock", &[json!(stale)]).unwrap();
    check("and out of it");
    let kept: bool = wallet.in_mempool(&txid).unwrap();
    check(if kept { "in the mempool again" } else { "nowhere" });
    wallet.node_rpc().call::<Value>("reconsiderblock", &[json!(stale)]).unwrap();
    check("in the block again");
    wallet.wallet_rpc().call::<Value>("removeprunedfunds", &[json!(txid)]).unwrap();
    check("the wallet forgot it");
}

fn addresses_are_told_apart(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let ours = wallet.new_address().unwrap();
    let facts = wallet.address(&ours).unwrap();
    assert!(facts.valid && facts.is_mine && facts.script_hex.is_some_and(|script| !script.is_empty()));
    let foreign = wallet.address(&scene.stranger_address()).unwrap();
    assert!(foreign.valid && !foreign.is_mine && foreign.script_hex.is_some());
    for bad in ["", "nonsense", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"] {
        let facts = wallet.address(bad).unwrap();
        assert!(!facts.valid && !facts.is_mine && facts.script_hex.is_none(), "{bad}");
    }
    let theirs = scene.stranger_address();
    let known = |address: &str| AddressScript::Known(wallet.address(address).unwrap().script_hex.unwrap());
    let together = wallet.scripts(&[&ours, "nonsense", &theirs, &ours, ""]).unwrap();
    let (ours_known, invalid) = (known(&ours), AddressScript::Invalid);
    assert_eq!(together, [ours_known.clone(), invalid.clone(), known(&theirs), ours_known.clone(), invalid]);
    assert_eq!(wallet.scripts(&[]).unwrap(), []);
    assert_eq!(wallet.scripts(&vec![ours.as_str(); 1001]).unwrap(), vec![ours_known; 1001]);

    scene.pay();
    Daemon::mine(&scene.stranger, 1);
    let own = wallet.own_addresses().unwrap();
    assert!(own.contains(&ours));
    for coin in wallet.wallet_rpc().call::<Vec<Value>>("listunspent", &[]).unwrap() {
        assert!(own.iter().any(|address| coin["address"] == **address), "change is ours: {coin}");
    }
    assert!(own.iter().all(|address| wallet.address(address).unwrap().is_mine));
}

/// By labels and, where there are many or the whitelist is an older bursar's, by what each address received.
fn all_addresses_are_counted_in_either_way(generation: Generation) {
    let scene = scene(generation);
    let (wallet, rpc) = (&scene.wallet, scene.wallet.wallet_rpc());
    let received =
        || rpc.call::<Vec<Value>>("listreceivedbyaddress", &[json!(0), json!(true), json!(true)]).unwrap().len() as u64;
    scene.pay();
    Daemon::mine(&scene.stranger, 1);
    let check = |more: &str| assert_eq!(wallet.received_addresses().unwrap(), received(), "{generation:?}: {more}");
    check("as it is");
    let before = received();
    let stranger = scene.stranger_address();
    rpc.call::<Value>("setlabel", &[json!(stranger), json!("a stranger's")]).unwrap();
    check("a stranger's with a label");
    for number in 0..20 {
        let address: String = rpc.call("getnewaddress", &[json!(format!("customer {}", number / 2))]).unwrap();
        check(&address);
        rpc.call::<Value>("setlabel", &[json!(address), json!(format!("customer {number}"))]).unwrap();
        check("under another label");
    }
    assert_eq!(received(), before + 21);
}

fn a_backup_never_overwrites(generation: Generation) {
    let daemon = Daemon::start(generation);
    let wallet = daemon.wallet();
    let file = daemon.dir.path().join("copy.dat");
    wallet.backup_to(&file).unwrap();
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size > 1000);
    let error = wallet.backup_to(&file).unwrap_err();
    assert!(matches!(error, RpcError::Refused { .. }) && error.is_certainly_not_run(), "{error}");
    assert!(matches!(wallet.backup_to("copy.dat".as_ref()), Err(RpcError::Refused { .. })));
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
    assert_eq!(wallet.backup_to("/nonexistent/copy.dat".as_ref()).unwrap_err().code(), Some(-4));
}

fn a_rescan_finds_what_was_forgotten(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let identity = wallet.identity().unwrap();
    assert_eq!((identity.tx_count, identity.encrypted, &identity.name), (2, false, &scene.daemon.coin.wallet.name));
    assert!(identity.fingerprint.as_ref().is_some_and(|fingerprint| fingerprint.len() >= 40) && identity.keypool > 0);

    let forgotten = wallet.list_since(None).unwrap()[0].txid;
    wallet.wallet_rpc().call::<Value>("removeprunedfunds", &[json!(forgotten)]).unwrap();
    assert_eq!(wallet.identity().unwrap().tx_count, 1);
    assert!(wallet.transaction(&forgotten).unwrap().is_none());
    wallet.rescan(0).unwrap();
    assert!(wallet.transaction(&forgotten).unwrap().is_some());

    // Use changes the keypool, never the fingerprint.
    wallet.new_address().unwrap();
    let later = wallet.identity().unwrap();
    assert_eq!((later.fingerprint, later.tx_count), (identity.fingerprint, identity.tx_count));
}

fn a_reorg_shows_in_the_listing(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let (txid, _) = scene.pay();
    Daemon::mine(&scene.stranger, 1);
    let stale = wallet.tip().unwrap().hash;
    wallet.node_rpc().call::<Value>("invalidateblock", &[json!(stale)]).unwrap();
    Daemon::mine(&scene.stranger, 2);

    let place = wallet.block_place(&stale).unwrap().unwrap();
    assert_eq!((place.height, place.active), (103, false));
    let listing = wallet.list_since(Some(&stale)).unwrap();
    assert!(listing.iter().any(|entry| entry.txid == txid && entry.block.is_none_or(|block| block != stale)));
}

fn wrong_credentials_and_wrong_chains_are_named(generation: Generation) {
    let daemon = Daemon::start(generation);
    let mut coin = daemon.coin.clone();
    coin.chain = Chain::Main;
    let error = RpcWallet::connect(&coin).unwrap_err();
    assert!(matches!(error, RpcError::WrongDaemon { .. }) && error.is_certainly_not_run(), "{error}");
    assert!(error.to_string().contains("chain regtest, not chain main"), "{error}");

    coin.daemon.rpc_credentials_file = Some(daemon.dir.path().join("wrong"));
    let error = RpcWallet::connect(&coin).unwrap_err();
    assert!(matches!(error, RpcError::NotConnected { .. }), "a missing file: {error}");
    write_credentials(&coin, "bursar-admin:wrong");
    let error = RpcWallet::connect(&coin).unwrap_err();
    assert!(matches!(error, RpcError::Http { status: 401, .. }) && error.is_certainly_not_run(), "{error}");
    assert!(!error.is_transient() && !format!("{error:?}").contains("wrong:"));

    // Read again for each call: the right password at the next call is enough.
    let rpc = Rpc::new(&coin);
    assert!(rpc.call::<Value>("getblockcount", &[]).is_err());
    write_credentials(&coin, "bursar-admin:right");
    rpc.call::<Value>("getblockcount", &[]).unwrap();
}

fn the_daemon_refuses_with_its_own_words(generation: Generation) {
    let scene = scene(generation);
    let wallet = &scene.wallet;
    let send = |address: &str, amount: Amount| {
        let outputs = [(address.to_owned(), amount)];
        let order = SendMany { rpc_id: "batch", comment: "mark", outputs: &outputs, fee: fee(wallet) };
        wallet.send_many(&order).unwrap_err()
    };
    let address = scene.stranger_address();
    assert_eq!(send("nonsense", coins(1)).code(), Some(-5));
    assert_eq!(send(&address, coins(1_000_000)).code(), Some(-6));
    assert_eq!(send(&address, Amount::from_base_units(1)).code(), Some(-6));
    assert!(matches!(send(&address, Amount::ZERO), RpcError::Refused { .. }));
    // None of the three knows it. What stands in no whitelist is refused before that.
    assert_eq!(wallet.node_rpc().call::<Value>("getinfo", &[]).unwrap_err().code(), Some(-32601));
    assert!(wallet.list_since(None).unwrap().iter().all(|entry| entry.category != Category::Send));

    wallet.wallet_rpc().call::<Value>("encryptwallet", &[json!("a passphrase")]).unwrap();
    assert!(wallet.identity().unwrap().encrypted);
    assert_eq!(send(&address, coins(1)).code(), Some(-13));
}

/// Our conf has the daemon drop silent connections after 5 s; a call under way must not count as one.
fn a_call_that_works_for_long_is_not_cut_off(generation: Generation) {
    let daemon = Daemon::start(generation);
    let tip: Value = Rpc::new(&daemon.coin).call("waitfornewblock", &[json!(8000)]).unwrap();
    assert_eq!(tip["height"], json!(0));
}
