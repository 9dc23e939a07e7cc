use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::coin::{Amount, Chain};

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const LTC: &str = "[coins.ltc]\nprofile = \"litecoin\"\nchain = \"regtest\"\n";

fn load(text: &str) -> Result<Settings, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("coins")).unwrap();
    let file = dir.path().join("bursar.toml");
    std::fs::write(&file, text).unwrap();
    Settings::load(&file)
}

/// Line, key and problem of the refusal.
fn refusal(text: &str) -> (usize, String, String) {
    match load(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => (error.line, error.key, error.problem),
    }
}

#[track_caller]
fn refused(text: &str, line: usize, key: &str, words: &str) {
    let found = refusal(text);
    assert_eq!((found.0, found.1.as_str()), (line, key), "{}", found.2);
    assert!(found.2.contains(words), "'{}' does not say '{words}'", found.2);
}

/// The example with every commented key switched on: a '#' followed by a letter or '[' is one.
fn example_in_full() -> String {
    let switch_on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    // A placeholder, so that nobody encrypts to a stranger by switching it on.
    EXAMPLE.lines().map(switch_on).collect::<Vec<_>>().join("\n").replace("age1...", RECIPIENT)
}

#[test]
fn checkpoints_do_not_lie_among_the_state_that_they_prove() {
    let coin = "[coins.ltc]\nprofile = 'litecoin'\nchain = 'main'\nstate_dir = '/s'\n[coins.ltc.ledger]\n";
    let key = "coins.ltc.ledger.checkpoints_dir";
    for dir in ["/s", "/s/x", "/x/../s/service"] {
        refused(&format!("{coin}checkpoints_dir = '{dir}'"), 6, key, "state_dir");
    }
    refused(&format!("{coin}checkpoints_dir = ''"), 6, key, "empty");
    let settings = load(&format!("{coin}checkpoints_dir = '/sx'")).unwrap();
    assert_eq!(settings.coin(None).unwrap().checkpoints_dir.as_deref(), Some(Path::new("/sx")));
}

#[test]
fn the_example_is_a_working_configuration_of_one_coin() {
    let settings = load(EXAMPLE).unwrap();
    let coin = settings.coin(None).unwrap();
    assert_eq!((coin.name.as_str(), coin.profile.name.as_str(), coin.chain), ("ltc", "litecoin", Chain::Main));
    assert_eq!(coin.payouts.max_amount, Some(Amount::from_base_units(25_000_000_000)));
    assert_eq!(coin.state_dir, Path::new("/var/lib/bursar/ltc"));
}

#[test]
fn the_example_with_everything_switched_on_works_and_shows_the_defaults() {
    let full = load(&example_in_full()).unwrap();
    assert_eq!(full.coins.keys().collect::<Vec<_>>(), ["doge", "ltc"]);
    let (shown, default) = (&full.coins["ltc"], load(EXAMPLE).unwrap());
    let default = default.coin(None).unwrap();
    let comparable = |coin: &CoinSettings| {
        let mut coin = coin.clone();
        coin.payouts.fee = FeeSettings::default();
        coin.payouts.flush = FlushSettings::default();
        (coin.api, coin.webhook) = (ApiSettings::default(), WebhookSettings::default());
        (coin.wallet.passphrase_file, coin.wallet.passphrase_identity_file) = (None, None);
        coin.wallet.follow.clear();
        coin.daemon.prune_mib = None;
        coin.daemon.data_dir = None;
        coin.checkpoints_dir = None;
        coin.backup = BackupSettings { recipients: vec![], identity_file: None, directories: vec![] };
        format!("{coin:?}")
    };
    assert_eq!(comparable(shown), comparable(default), "the example's comments show other defaults than the program has");
}

/// Keys that the parser knows in a table, from its own complaint about an unknown one. `chain` and `profile` come first
/// because a missing key would be complained about before.
fn known_keys(table: &str) -> BTreeSet<String> {
    let text = match table {
        "" => "zzz = 1\n".to_owned(),
        "coins.ltc" => format!("{LTC}zzz = 1\n"),
        _ => format!("{LTC}[{table}]\nzzz = 1\n"),
    };
    let (_, _, problem) = refusal(&text);
    problem.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

/// Keys that the example shows in a table, of whichever coin.
fn shown_keys(table: &str) -> BTreeSet<String> {
    let full: toml::Table = example_in_full().parse().unwrap();
    let coins = full["coins"].as_table().unwrap();
    let of = |table: &toml::Table| table.keys().cloned().collect::<BTreeSet<_>>();
    match table.strip_prefix("coins.ltc") {
        None => of(&full),
        Some("") => coins.values().flat_map(|coin| of(coin.as_table().unwrap())).collect(),
        Some(rest) => {
            let tables = coins.values().filter_map(|coin| coin.get(rest.trim_start_matches('.'))?.as_table());
            tables.flat_map(of).collect()
        }
    }
}

#[test]
fn the_example_shows_every_key_that_the_parser_knows_and_no_other() {
    let top = known_keys("coins.ltc");
    let tables: Vec<String> =
        top.iter().map(|key| format!("coins.ltc.{key}")).filter(|table| !shown_keys(table).is_empty()).collect();
    assert_eq!(tables.len(), 11, "{tables:?}");
    for table in tables.iter().map(String::as_str).chain(["", "coins.ltc"]) {
        assert_eq!(shown_keys(table), known_keys(table), "[{table}]");
    }
}

#[test]
fn a_small_file_gets_every_default() {
    let coin = load(LTC).unwrap().coin(None).unwrap().clone();
    let daemon = &coin.daemon;
    assert_eq!(daemon.mode, DaemonMode::Keep);
    assert_eq!(daemon.program, Path::new("litecoind"));
    assert_eq!((daemon.rpc_port, daemon.p2p_port), (19443, 19444));
    assert_eq!(daemon.rpc_connect.to_string(), "127.0.0.1:19443");
    assert_eq!((daemon.rpc_threads, daemon.rpc_work_queue, daemon.rpc_concurrency), (8, 64, 8));
    assert_eq!((daemon.keypool, daemon.stop_timeout_s, daemon.start_timeout_s), (1000, 600, 900));
    assert_eq!((coin.wallet.name.as_str(), coin.payouts.max_outputs, coin.http_listen), ("bursar", 500, None));
    assert_eq!((coin.credit_depth, coin.final_depth), (coin.profile.credit_depth, coin.profile.final_depth));
}

#[test]
fn relative_paths_start_at_the_file_and_bare_programs_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bursar.toml");
    let text = format!(
        "{LTC}state_dir = \"state\"\n[coins.ltc.daemon]\nprogram = \"./bin/litecoind\"\n\
         [coins.ltc.backup]\nrecipients = [\"{RECIPIENT}\"]\nidentity_file = \"id\"\ndirectories = [\"a\", \"/b\"]\n"
    );
    std::fs::write(&file, text).unwrap();
    let coin = Settings::load(&file).unwrap().coin(None).unwrap().clone();
    assert_eq!(coin.state_dir, dir.path().join("state"));
    assert_eq!(coin.daemon.program, dir.path().join("./bin/litecoind"));
    assert_eq!(coin.backup.identity_file, Some(dir.path().join("id")));
    assert_eq!(coin.backup.directories, [dir.path().join("a"), PathBuf::from("/b")]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
    refused(&format!("{LTC}[coins.ltc.daemon]\nrpc_prot = 1\n"), 5, "coins.ltc.daemon.rpc_prot", "did you mean `rpc_port`?");
    refused(&format!("{LTC}[coins.ltc.deamon]\nrpc_port = 1\n"), 4, "coins.ltc.deamon", "did you mean `daemon`?");
    refused(&format!("profile_dir = \"x\"\n{LTC}"), 1, "profile_dir", "did you mean `profiles_dir`?");
    refused("[coins.ltc]\nprofile = \"litecoin\"\nchain = \"mainn\"\n", 3, "coins.ltc.chain", "did you mean `main`?");
}

#[test]
fn a_wrong_type_is_refused_in_plain_words() {
    let daemon = |line: &str| format!("{LTC}\n[coins.ltc.daemon]\n{line}\n");
    refused(&daemon("rpc_port = \"9332\""), 6, "coins.ltc.daemon.rpc_port", "without quotes");
    refused(&daemon("rpc_port = 70000"), 6, "coins.ltc.daemon.rpc_port", "from 0 to 65535");
    refused(&daemon("rpc_port = -1"), 6, "coins.ltc.daemon.rpc_port", "from 0 to 65535");
    refused(&daemon("rpc_port = 1.5"), 6, "coins.ltc.daemon.rpc_port", "whole number");
    refused(&daemon("listen = \"yes\""), 6, "coins.ltc.daemon.listen", "true or false");
    refused(&daemon("connect = \"host\""), 6, "coins.ltc.daemon.connect", "a list such as");
    refused(&daemon("rpc_connect = \"localhost\""), 6, "coins.ltc.daemon.rpc_connect", "write IP:port");
    refused(&format!("{LTC}daemon = 5\n"), 4, "coins.ltc.daemon", "expected a table");
    refused(&format!("{LTC}[coins.ltc.payouts]\nmax_amount = 5\n"), 5, "coins.ltc.payouts.max_amount", "a text in quotes");
}

#[test]
fn what_is_missing_is_named() {
    refused("[coins.ltc]\nchain = \"main\"\n", 1, "coins.ltc.profile", "is missing");
    refused("\n[coins.ltc]\nprofile = \"litecoin\"\n", 2, "coins.ltc.chain", "is missing");
    refused("", 1, "coins", "there is no coin");
}

#[test]
fn broken_toml_is_refused_with_its_line() {
    assert_eq!(refusal(&format!("{LTC}state_dir = \n")).0, 4);
    assert_eq!(refusal(&format!("{LTC}chain = \"main\"\n")).0, 4, "a key given twice");
    assert_eq!(refusal("[coins.ltc\n").0, 1);
}

#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let problem = |file: &Path| Settings::load(file).unwrap_err().to_string();
    assert!(problem(&dir.path().join("none.toml")).contains("bursar init"));
    assert!(problem(dir.path()).contains("is not a file"));
    let file = dir.path().join("latin1.toml");
    std::fs::write(&file, b"# ok\n# \xe9\n").unwrap();
    assert!(problem(&file).contains("latin1.toml:2: is not UTF-8"), "{}", problem(&file));
    let huge = dir.path().join("huge.toml");
    std::fs::File::create(&huge).unwrap().set_len(2 << 20).unwrap();
    assert!(problem(&huge).contains("no configuration"));
}

#[test]
fn values_out_of_range_are_refused() {
    let at = |table: &str, line: &str| format!("{LTC}[coins.ltc.{table}]\n{line}\n");
    for (table, line) in [
        ("daemon", "rpc_port = 0"),
        ("daemon", "p2p_port = 19443"),
        ("daemon", "rpc_concurrency = 64"),
        ("daemon", "rpc_concurrency = 0"),
        ("daemon", "keypool = 0"),
        ("daemon", "prune_mib = 549"),
        ("daemon", "stop_timeout_s = 0"),
        ("daemon", "rpc_connect = \"10.0.0.1:19443\""),
        ("daemon", "rpc_connect = \"127.0.0.1:0\""),
        ("daemon", "rpc_credentials_file = \"x\""),
        ("daemon", "program = \"\""),
        ("daemon", "connect = [\"a\\nrpcallowip=0.0.0.0/0\"]"),
        ("wallet", "name = \"../x\""),
        ("wallet", "name = \"a\\u0000\""),
        ("wallet", "name = \"a/b\""),
        ("wallet", "follow = [\"a/b\"]"),
        ("wallet", "follow = [\"\"]"),
        ("wallet", "follow = [\"bursar\"]"),
        ("wallet", "follow = [\"cold\", \"hot\", \"cold\"]"),
        ("ledger", "credit_depth = 0"),
        ("ledger", "credit_depth = 25"),
        ("ledger", "final_depth = 5"),
        ("payouts", "max_outputs = 3001"),
        ("payouts", "max_outputs = 0"),
        ("payouts", "fee_rate_per_vb = 0"),
        ("payouts", "fee_rate_per_vb = 10001"),
        ("payouts", "max_amount = \"-1\""),
        ("payouts", "max_amount = \"1e3\""),
        ("payouts", "max_amount = \"84000000.00000001\""),
        ("schedule", "sync = \"* * * * *\""),
        ("schedule", "audit = \"0 61 * * * *\""),
        ("schedule", "drill = \"every day at noon and midnight please\""),
        ("backup", "recipients = [\"age1nonsense\"]"),
        ("backup", "directories = [\"a\", \"b/../a\"]"),
        ("backup", "directories = [\"\"]"),
        ("http", "listen = \"0.0.0.0:9750\""),
    ] {
        let key = format!("coins.ltc.{table}.{}", line.split(' ').next().unwrap());
        refused(&at(table, line), 5, &key, "");
    }
}

#[test]
fn a_coin_that_needs_more_blocks_refuses_to_prune_as_far_as_others() {
    let dogecoin = LTC.replace("litecoin", "dogecoin");
    let with = |mib: u32| format!("{dogecoin}[coins.ltc.daemon]\nprune_mib = {mib}\n");
    refused(&with(2199), 5, "coins.ltc.daemon.prune_mib", "dogecoind refuses to start with less");
    assert_eq!(load(&with(2200)).unwrap().coins["ltc"].daemon.prune_mib, Some(2200));
}

#[test]
fn a_secret_key_among_the_recipients_is_not_repeated() {
    let secret = "AGE-SECRET-KEY-1QQPQQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGP";
    let (_, _, problem) = refusal(&format!("{LTC}[coins.ltc.backup]\nrecipients = [\"{secret}\"]\n"));
    assert!(problem.contains("secret key") && !problem.contains("1QQPQQ"), "{problem}");
}

#[test]
fn an_attached_daemon_needs_credentials_and_may_be_elsewhere() {
    let attach = format!("{LTC}[coins.ltc.daemon]\nmode = \"attach\"\nrpc_connect = \"10.0.0.1:19443\"\n");
    refused(&attach, 4, "coins.ltc.daemon.rpc_credentials_file", ".cookie");
    let coin = load(&format!("{attach}rpc_credentials_file = \"/c\"\n")).unwrap().coin(None).unwrap().clone();
    assert_eq!((coin.daemon.mode, coin.credentials_file(RpcRole::Pay)), (DaemonMode::Attach, PathBuf::from("/c")));
}

#[test]
fn two_coins_share_nothing() {
    let second = |extra: &str, daemon: &str| {
        format!("{LTC}[coins.two]\nprofile = \"litecoin\"\nchain = \"regtest\"\n{extra}[coins.two.daemon]\n{daemon}")
    };
    refused(&second("", ""), 7, "coins.two.daemon.rpc_port", "rpc_port of coin 'ltc'");
    refused(&second("", "rpc_port = 1\n"), 7, "coins.two.daemon.p2p_port", "p2p_port of coin 'ltc'");
    refused(&second("", "rpc_port = 19444\np2p_port = 3\n"), 8, "coins.two.daemon.rpc_port", "p2p_port of coin 'ltc'");
    let shared = "state_dir = \"/var/lib/bursar/x/../ltc/two\"\n";
    refused(&second(shared, "rpc_port = 1\np2p_port = 2\n"), 7, "coins.two.state_dir", "of its own");
    assert_eq!(load(&second("", "rpc_port = 1\np2p_port = 2\n")).unwrap().coins.len(), 2);
}

#[test]
fn every_listener_has_a_port_of_its_own() {
    let api = |port: &str| format!("[coins.ltc.api]\ntokens_file = \"/t\"\nlisten = \"{port}\"\n");
    let http = "[coins.ltc.http]\nlisten = \"127.0.0.1:9750\"\n";
    let key = "coins.ltc.api.listen";
    refused(&format!("{LTC}{}", api("127.0.0.1:19443")), 6, key, "19443 is daemon.rpc_port of this coin too");
    refused(&format!("{LTC}{}", api("127.0.0.1:19444")), 6, key, "19444 is daemon.p2p_port of this coin too");
    refused(&format!("{LTC}{http}{}", api("127.0.0.1:9750")), 8, key, "9750 is http.listen of this coin too");
    assert!(load(&format!("{LTC}{http}{}", api("127.0.0.2:9750"))).is_ok(), "another address");
    let attached = "[coins.ltc.daemon]\nmode = \"attach\"\nrpc_credentials_file = \"/c\"\nrpc_connect = \"127.0.0.1:5\"\n";
    refused(&format!("{LTC}{attached}{}", api("127.0.0.1:5")), 10, key, "5 is daemon.rpc_connect of this coin too");
    let two = "[coins.two]\nprofile = \"litecoin\"\nchain = \"regtest\"\n[coins.two.daemon]\nrpc_port = 1\np2p_port = 2\n\
               [coins.two.http]\nlisten = \"127.0.0.1:9750\"\n";
    refused(&format!("{LTC}{}{two}", api("127.0.0.1:9750")), 14, "coins.two.http.listen", "9750 is api.listen of coin 'ltc' too");
    let elsewhere = "[coins.two]\nprofile = \"litecoin\"\nchain = \"regtest\"\nwallet.name = \"w\"\n\
                     [coins.two.daemon]\nmode = \"attach\"\nrpc_credentials_file = \"/c\"\nrpc_connect = \"10.0.0.1:19443\"\n";
    assert!(load(&format!("{LTC}{elsewhere}")).is_ok(), "a daemon of another host");
}

#[test]
fn one_wallet_belongs_to_one_coin() {
    let attach = |name: &str, wallet: &str| {
        format!(
            "[coins.{name}]\nprofile = \"litecoin\"\nchain = \"main\"\nwallet.name = \"{wallet}\"\n\
             [coins.{name}.daemon]\nmode = \"attach\"\nrpc_credentials_file = \"/c\"\n"
        )
    };
    refused(&(attach("a", "w") + &attach("b", "w")), 12, "coins.b.daemon.rpc_connect", "one wallet, one coin");
    assert!(load(&(attach("a", "w") + &attach("b", "v"))).is_ok());
    let follows = attach("a", "w").replace("wallet.name", "wallet.follow = [\"v\"]\nwallet.name");
    refused(&(follows.clone() + &attach("b", "v")), 13, "coins.b.daemon.rpc_connect", "wallet 'v'");
    let wallet = load(&follows).unwrap().coin(None).unwrap().wallet.clone();
    assert_eq!((wallet.followed("v"), wallet.followed("w")), (Some("v"), None));
}

#[test]
fn a_coin_is_found_by_name_or_by_being_the_only_one() {
    let one = load(LTC).unwrap();
    assert_eq!(one.coin(None).unwrap().name, one.coin(Some("ltc")).unwrap().name);
    assert!(one.coin(Some("btc")).unwrap_err().to_string().contains("there are: ltc"));
    let two = load(&format!("{LTC}[coins.btc]\nprofile = \"bitcoin\"\nchain = \"main\"\n")).unwrap();
    assert!(two.coin(None).unwrap_err().to_string().contains("btc, ltc"));
    assert_eq!(two.coin(Some("btc")).unwrap().profile.name, "bitcoin");
}

#[test]
fn bad_coin_names_are_refused() {
    for name in ["LTC", "a_b", "-a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        refused(&LTC.replace("ltc", name), 1, &format!("coins.{name}"), "a coin's name");
    }
}

#[test]
fn profiles_from_a_folder_replace_and_add() {
    let dir = tempfile::tempdir().unwrap();
    let coins = dir.path().join("profiles");
    std::fs::create_dir(&coins).unwrap();
    let built_in = crate::coin::BUILT_IN.iter().find(|(name, _)| *name == "litecoin").unwrap().1;
    std::fs::write(coins.join("litecoin.toml"), built_in.replace("rpc_port = 19443", "rpc_port = 5555")).unwrap();
    std::fs::write(coins.join("mycoin.toml"), built_in.replace("\"litecoin\"", "\"mycoin\"")).unwrap();
    let file = dir.path().join("bursar.toml");
    std::fs::write(&file, format!("profiles_dir = \"profiles\"\n{LTC}")).unwrap();
    let settings = Settings::load(&file).unwrap();
    assert_eq!(settings.coin(None).unwrap().daemon.rpc_port, 5555);
    assert!(settings.profiles.contains_key("mycoin") && settings.profiles.contains_key("dogecoin"));

    std::fs::write(coins.join("other.toml"), built_in).unwrap();
    assert!(Settings::load(&file).unwrap_err().problem.contains("litecoin.toml"));
    std::fs::write(coins.join("other.toml"), "name = \"other\"\nticker = 5\n").unwrap();
    let error = Settings::load(&file).unwrap_err();
    assert_eq!((error.file, error.line, error.key.as_str()), (coins.join("other.toml"), 2, "ticker"));
    refused(&format!("profiles_dir = \"nowhere\"\n{LTC}"), 0, "profiles_dir", "cannot be read");
    refused(&LTC.replace("litecoin", "mycoin"), 2, "coins.ltc.profile", "dogecoin");
}

#[test]
fn a_credential_is_a_file_that_systemd_passes_and_its_name_is_no_path() {
    for bad in ["credential:", "credential:../id", "credential:a/b", "credential:.id"] {
        let text = format!("{LTC}[coins.ltc.backup]\nidentity_file = \"{bad}\"\n");
        refused(&text, 5, "coins.ltc.backup.identity_file", "credential:NAME");
    }
}

#[test]
fn an_encrypted_passphrase_needs_its_identity_and_an_identity_its_passphrase() {
    let wallet = |line: &str| format!("{LTC}[coins.ltc.wallet]\n{line}\n");
    refused(&wallet("passphrase_file = \"pass.age\""), 5, "coins.ltc.wallet.passphrase_file", "passphrase_identity_file");
    let alone = wallet("passphrase_identity_file = \"identity\"");
    refused(&alone, 5, "coins.ltc.wallet.passphrase_identity_file", "no wallet.passphrase_file");
}
