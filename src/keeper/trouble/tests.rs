//! Each known end by the exact words of each generation (facts/daemons.md, sections 1, 6 and 7).

use super::*;
use proptest::prelude::*;

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// What 0.18 (L18), 0.21 (L21), Knots 29 (KN) and Peercoin 0.15 (PPC) print when they do not start.
const SAID: &[(&str, Trouble)] = &[
    // L18, L21, PPC; KN
    ("Error: Cannot obtain a lock on data directory /x. Litecoin Core is probably already running.", FolderLocked),
    ("Error: Cannot obtain a lock on directory /x. Bitcoin Knots is probably already running.", FolderLocked),
    ("Error: Cannot obtain a lock on data directory /x. Peercoin is probably already running.", FolderLocked),
    // L18 and L21; KN
    (
        "Error: Unable to bind to 127.0.0.1:1 on this computer. Litecoin Core is probably already running.\n\
         Error: Failed to listen on any port. Use -listen=0 if you want this.",
        PeerPortTaken,
    ),
    ("Error: Unable to bind to 127.0.0.1:1 on this computer. Bitcoin Knots is probably already running.", PeerPortTaken),
    // KN; L18 and L21 run on without RPC
    ("Error: Unable to start HTTP server. See debug log for details.", RpcPortTaken),
    // L18
    ("Error: wallet.dat corrupt, salvage failed", WalletSwapped),
    ("Error: Error loading : Wallet corrupted", WalletDamaged),
    (
        "Warning: Wallet file corrupt, data salvaged! Original wallet.dat saved as wallet.dat.1.bak in \"/x\"; if your balance or \
         transactions are incorrect you should restore from a backup.\nError: Error loading : Wallet corrupted",
        WalletDamaged,
    ),
    ("Error loading : Wallet requires newer version of Litecoin Core", WalletTooNew),
    // L21
    (
        "Error: \"/x/wallet.dat\" corrupt. Try using the wallet tool bitcoin-wallet to salvage or restoring a backup.",
        WalletDamaged,
    ),
    ("Error: Failed to load database path '/x'. Data is not in recognized format.", WalletDamaged),
    // KN
    (
        "SQLiteDatabase: Unable to obtain an exclusive lock on the database, is it being used by another instance of Bitcoin Knots?",
        WalletHeld,
    ),
    ("SQLiteDatabase: Failed to execute statement to verify database: database disk image is malformed", WalletDamaged),
    ("Error: Failed to open database path '/x'. Build does not support Berkeley DB database format.", WalletUnsupported),
    ("Wallet files should not be reused across chains. Restart bitcoind with -walletcrosschain to override.", OtherChainsWallet),
    // All, with the hint; the first line differs
    (": Error initializing block database.\nPlease restart with -reindex or -reindex-chainstate to recover.", ChainDamaged),
    (": Error opening block database.\nPlease restart with -reindex or -reindex-chainstate to recover.", ChainDamaged),
    (": Error opening coins database.\nPlease restart with -reindex or -reindex-chainstate to recover.", ChainDamaged),
    (": Error loading block database.\nPlease restart with -reindex or -reindex-chainstate to recover.", ChainDamaged),
    (": Corrupted block database detected.\nPlease restart with -reindex or -reindex-chainstate to recover.", ChainDamaged),
    (": Error opening block database.", ChainDamaged),
    ("You need to rebuild the database using -reindex to change -txindex", ChainOfOtherSettings),
    (
        "litecoind: chain.cpp:103: CBlockIndex* CBlockIndex::GetAncestor(int): Assertion `pindexWalk->pprev' failed.",
        FailedAssertion,
    ),
    // L18, L21, KN
    ("Error: Error: Disk space is low!", DiskFull),
    ("Error: Disk space is too low!", DiskFull),
    ("Error: A fatal internal error occurred, see debug.log for details: Disk space is too low!", DiskFull),
    (
        "Error: A fatal internal error occurred, see debug.log for details: Disk space is too low!\n\
         : Error initializing block database.",
        DiskFull,
    ),
    // L21; KN and PPC
    ("Error: Failed loading settings file:\n- Unable to parse settings file /x/settings.json", SettingsDamaged),
    ("Error: Settings file could not be read:\n- Unable to parse settings file /x/settings.json", SettingsDamaged),
    (
        "Error: Invalid or corrupt peers.dat (x). If you believe this is a bug, please report it to y. As a workaround, you can move \
         the file (\"/x/peers.dat\") out of the way",
        PeersDamaged,
    ),
    // L18; the others
    ("Error parsing command line arguments: Invalid parameter -bogus", BadArgument),
    ("Error: Error parsing command line arguments: Invalid parameter -bogus=1", BadArgument),
    ("Error: -zapwallettxes has been removed. If you are attempting to remove a stuck transaction", BadArgument),
    // L18; the others
    (
        "Error reading configuration file: parse error on line 1: -listen=0, options in configuration file must be specified \
         without leading -",
        BadConf,
    ),
    ("Error: Error reading configuration file: parse error on line 1: noequals, if you intended to specify a negated", BadConf),
    ("Error: Config setting for -rpcport only applied on regtest network when in [regtest] section.", BadConf),
    ("Error: Error reading configuration file: Failed to include configuration file x.conf", BadConf),
    ("Error: Error reading configuration file: specified config file \"/x\" could not be opened.", BadConf),
    ("Error: Invalid -rpcallowip subnet specification: bogus. Valid are a single IP", BadConf),
    ("Error: Invalid port specified in -rpcport: 'abc'", BadConf),
    ("Error: Invalid amount for -paytxfee=<amount>: 'abc'", BadConf),
    ("Error: Invalid amount for -maxtxfee=<amount>: '0.1' (must be at least the minrelay fee of 0.00001000 LTC/kB)", BadConf),
    ("EXCEPTION: St13runtime_error\nInvalid combination of -regtest and -testnet.\nlitecoin in AppInit()", BadConf),
    ("Error: Invalid combination of -regtest, -signet, -testnet and -chain. Can use at most one.", BadConf),
    // The loader
    (
        "litecoind: error while loading shared libraries: libboost_system.so.1.74.0: cannot open shared object file: No such file",
        BadProgram,
    ),
    ("Error: Out of memory. Terminating.", OutOfMemory),
    ("EXCEPTION: St9bad_alloc\nstd::bad_alloc", OutOfMemory),
];

#[test]
fn known_last_words_are_recognised_in_every_generation() {
    for (said, trouble) in SAID {
        assert_eq!(recognise(&lines(said)), Some(*trouble), "{said}");
        assert_eq!(diagnose("exit code 1", &lines(said)), Some(*trouble), "{said}");
        let reason = reason("exit code 1", &lines(said));
        assert!(reason.contains(trouble.next()), "{reason}");
    }
    assert_eq!(recognise(&lines("something new")), None);
    assert!(reason("exit code 1", &[]).contains("debug.log"));
}

#[test]
fn our_own_refusals_are_recognised_and_our_advice_is_not() {
    let refusals = [
        ("/x is in use by another daemon (pid 7), which bursar did not start: stop that one first", FolderLocked),
        ("its RPC port 127.0.0.1:1 is not free (Address already in use); stop what uses it", RpcPortTaken),
        ("another program took its RPC port 1 meanwhile and refuses our password", RpcPortTaken),
    ];
    for (said, trouble) in refusals {
        assert_eq!(recognise(&lines(said)), Some(trouble), "{said}");
    }
    // A reason that holds words, meaning and next step must mean what the words mean.
    for (said, trouble) in SAID {
        let whole = format!("litecoind did not start (exit code 1): {}", reason("exit code 1", &lines(said)));
        assert_eq!(recognise(std::slice::from_ref(&whole)), Some(*trouble), "{whole}");
        assert_eq!(told_by(trouble.next()), None, "{trouble:?}");
    }
}

#[test]
fn warnings_are_said_by_daemons_that_go_on() {
    let went_on = [
        "Warning: Config setting for -rpcport only applied on regtest network when in [regtest] section.",
        "Warning: Skipping -wallet path that doesn't exist. Failed to load database path '/x'. Path does not exist.",
        "Warning: Wallet file corrupt, data salvaged! Original wallet.dat saved as wallet.dat.1.bak",
    ];
    for said in went_on {
        assert_eq!(recognise(&lines(said)), None, "{said}");
    }
    assert_eq!(recognise(&lines("Warning: wallet.dat corrupt, salvage failed")), Some(WalletSwapped));
}

#[test]
fn only_a_failed_salvage_makes_the_wallet_suspect_and_it_outweighs_the_rest() {
    let swapped = lines("Error: wallet.dat corrupt, salvage failed\nError: Disk space is too low!");
    assert_eq!(recognise(&swapped), Some(WalletSwapped));
    assert_eq!(diagnose("ended by signal 9", &swapped), Some(WalletSwapped));
    assert!(line_about(&swapped, WalletSwapped).is_some_and(|line| line.contains("salvage failed")));
    let salvaged = lines("Warning: Wallet file corrupt, data salvaged! Original wallet.dat saved as wallet.dat.1.bak");
    assert_eq!(line_about(&salvaged, WalletSwapped), None);
    assert!(salvaged_wallet(&salvaged).is_some());
}

#[test]
fn a_signal_tells_what_the_words_do_not() {
    let bind = lines("Error: Unable to bind to 127.0.0.1:1 on this computer. Litecoin Core is probably already running.");
    assert_eq!(diagnose("ended by signal 9", &[]), Some(Killed));
    assert_eq!(diagnose("ended by signal 9", &bind), Some(Killed));
    assert_eq!(diagnose("ended by signal 11", &bind), Some(Crashed));
    assert_eq!(diagnose("ended by signal 11", &[]), Some(Crashed));
    assert_eq!(diagnose("ended by signal 6", &lines("x: y.cpp:1: f: Assertion `z' failed.")), Some(FailedAssertion));
    assert_eq!(diagnose("ended by signal 6", &lines("EXCEPTION\nInvalid combination of -regtest and -testnet.")), Some(BadConf));
    assert_eq!(diagnose("ended by signal 15", &[]), None);
    assert_eq!(diagnose("exit code 0", &[]), None);
    assert!(Killed.to_string().contains("memory") && Killed.next().contains("kernel"));
}

proptest! {
    /// Rubbish before, after and around the words changes nothing.
    #[test]
    fn rubbish_does_not_matter(case in 0..SAID.len(), rubbish in prop::collection::vec("[^A-Za-z]{0,80}", 0..5)) {
        let (said, trouble) = SAID[case];
        let mut all = rubbish.clone();
        all.extend(lines(said).into_iter().map(|line| format!("{line}{}", rubbish.concat())));
        all.extend(rubbish);
        prop_assert_eq!(recognise(&all), Some(trouble));
    }
}
