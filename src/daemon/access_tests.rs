use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::Settings;

fn coin(dir: &Path) -> CoinSettings {
    let file = dir.join("bursar.toml");
    fs::write(
        &file,
        "[coins.ltc]\nprofile = 'litecoin'\nchain = 'regtest'\nstate_dir = 'state'\n[coins.ltc.daemon]\nrpc_port = 1\n",
    )
    .unwrap();
    Settings::load(&file).unwrap().coins["ltc"].clone()
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// Files below `service/rpc` but for the lock, and their contents.
fn passwords(coin: &CoinSettings) -> Vec<(String, String)> {
    let entries = fs::read_dir(coin.rpc_dir()).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), text(&entry.path())));
    let mut found: Vec<_> = named.filter(|(name, _)| name != "lock").collect();
    found.sort();
    found
}

/// Whether the list fits the passwords that lie there, no more and no less.
fn in_step(coin: &CoinSettings) -> bool {
    let wanted: BTreeSet<String> = passwords(coin)
        .into_iter()
        .map(|(name, _)| hash_of(&coin.rpc_dir().join(&name), &format!("bursar-{}", name.trim_end_matches(".next"))).unwrap())
        .collect();
    rpcauth_lines(coin).unwrap().into_iter().collect::<BTreeSet<_>>() == wanted
}

#[test]
fn passwords_are_made_once_for_our_user_alone_and_the_list_holds_only_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    assert!(rpcauth_lines(&coin).unwrap().is_empty());
    assert!(ensure_access(&coin).unwrap());
    assert!(!ensure_access(&coin).unwrap(), "nothing changed");
    let made = passwords(&coin);
    assert_eq!(made.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["admin", "observe", "pay"]);
    assert_eq!(made.iter().map(|(_, pair)| pair).collect::<BTreeSet<_>>().len(), 3);
    let list = text(&coin.rpcauth_file());
    for (name, pair) in &made {
        let password = pair.trim_end().strip_prefix(&format!("bursar-{name}:")).unwrap();
        assert!(password.len() == 64 && !list.contains(password));
        assert_eq!(mode(&coin.rpc_dir().join(name)), 0o600);
    }
    assert_eq!((mode(&coin.rpcauth_file()), mode(&coin.rpc_dir())), (0o600, 0o700));
    assert!(in_step(&coin));
    let keeper = keeper_access(&coin).unwrap();
    assert_eq!(keeper_access(&coin).unwrap(), keeper);
    assert!(keeper.starts_with("bursar-keeper:") && !list.contains("keeper"));
    assert_eq!(mode(&coin.keeper_credentials_file()), 0o600);
}

#[test]
fn a_password_that_is_lost_is_made_again_and_the_list_follows() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    fs::remove_file(coin.credentials_file(RpcRole::Pay)).unwrap();
    assert!(ensure_access(&coin).unwrap() && in_step(&coin));
    fs::remove_file(coin.rpcauth_file()).unwrap();
    assert!(ensure_access(&coin).unwrap() && in_step(&coin));
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_advice_and_left_alone() {
    for open in [0o640, 0o604, 0o644, 0o660] {
        let dir = tempfile::tempdir().unwrap();
        let coin = coin(dir.path());
        ensure_access(&coin).unwrap();
        keeper_access(&coin).unwrap();
        let before = passwords(&coin);
        for file in [coin.credentials_file(RpcRole::Observe), coin.keeper_credentials_file()] {
            fs::set_permissions(&file, fs::Permissions::from_mode(open)).unwrap();
            let refusals = match &file {
                file if *file == coin.keeper_credentials_file() => vec![keeper_access(&coin).err()],
                _ => vec![ensure_access(&coin).err(), rotate(&coin).err()],
            };
            for refusal in refusals.into_iter().chain([planned_rpcauth(&coin, false).err()]) {
                let refusal = refusal.unwrap();
                assert!(refusal.path == file && refusal.reason.contains("chmod 600"), "{refusal}");
            }
            assert_eq!(passwords(&coin), before);
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        // Hashes are no secret, but a list that others could write is not ours: it is made again.
        fs::set_permissions(coin.rpcauth_file(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(rpcauth_lines(&coin).is_err());
        assert!(ensure_access(&coin).unwrap());
        assert_eq!(mode(&coin.rpcauth_file()), 0o600);
    }
}

#[test]
fn a_damaged_password_is_refused_without_quoting_it() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    let file = coin.credentials_file(RpcRole::Pay);
    let long = "topsecret".repeat(5);
    for damaged in [
        String::new(),
        "bursar-pay:".to_owned(),
        "bursar-pay:topsecret".to_owned(),
        format!("bursar-admin:{long}"),
        format!("x\nrpcbind=0.0.0.0:{long}"),
        format!("bursar-pay:{long}\n{long}"),
        long.repeat(200),
    ] {
        fs::write(&file, &damaged).unwrap();
        let refusal = ensure_access(&coin).unwrap_err();
        assert!(refusal.path == file && !refusal.to_string().contains("topsecret"), "{refusal}");
        assert_eq!(text(&file), damaged, "it is left for a person to look at");
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(ensure_access(&coin).unwrap_err().reason.contains("not a file"));
}

#[test]
fn a_damaged_list_never_reaches_the_conf_and_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    let sound = text(&coin.rpcauth_file());
    for damaged in [
        &sound[..sound.len() - 9],
        "x\n",
        "\n\n",
        &format!("{sound}bursar:5a17$00 #\n"),
        &sound.replace("bursar-pay", "bursar pay"),
    ] {
        fs::write(coin.rpcauth_file(), damaged).unwrap();
        let refusal = rpcauth_lines(&coin).unwrap_err();
        assert!(refusal.reason.contains("remove it"), "{refusal}");
        assert!(ensure_access(&coin).unwrap());
        assert_eq!(text(&coin.rpcauth_file()), sound);
    }
}

#[test]
fn rotation_adds_and_takes_nothing_away_until_the_daemon_answers_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    let (old, old_list) = (passwords(&coin), rpcauth_lines(&coin).unwrap());
    rotate(&coin).unwrap();
    let both = passwords(&coin);
    assert_eq!(both.len(), 6);
    assert!(old.iter().all(|pair| both.contains(pair)) && in_step(&coin));
    assert!(old_list.iter().all(|line| rpcauth_lines(&coin).unwrap().contains(line)));
    // Nothing listens on port 1: no answer is no proof.
    assert!(!adopt_rotated(&coin).unwrap());
    assert_eq!(passwords(&coin), both);
    // Once more, before anybody moved: the users keep what works.
    rotate(&coin).unwrap();
    assert!(old.iter().all(|pair| passwords(&coin).contains(pair)) && in_step(&coin));
}

#[test]
fn a_crash_between_any_two_steps_leaves_what_works_and_the_next_start_heals_the_list() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    let current = |role| text(&coin.credentials_file(role));
    let before = RpcRole::ALL.map(current);
    // In a rotation, after some of the new passwords.
    write_password(&next_file(&coin, RpcRole::Observe), RpcRole::Observe.user()).unwrap();
    assert_eq!(RpcRole::ALL.map(current), before);
    assert!(ensure_access(&coin).unwrap() && in_step(&coin) && passwords(&coin).len() == 4);
    // In an adoption, between rename and list: the daemon that runs knows both.
    fs::rename(next_file(&coin, RpcRole::Observe), coin.credentials_file(RpcRole::Observe)).unwrap();
    let hash = hash_of(&coin.credentials_file(RpcRole::Observe), RpcRole::Observe.user()).unwrap();
    assert!(rpcauth_lines(&coin).unwrap().contains(&hash), "the list that the daemon has holds it already");
    assert!(ensure_access(&coin).unwrap() && in_step(&coin));
    // In a fence, after some of the new passwords: the start after it gives the daemon exactly those that lie there.
    write_password(&coin.credentials_file(RpcRole::Observe), RpcRole::Observe.user()).unwrap();
    assert!(ensure_access(&coin).unwrap() && in_step(&coin));
    // A file that was never given its name is nobody's password.
    fs::write(coin.rpc_dir().join(".tmpAbc123"), "bursar-pay:half").unwrap();
    assert!(!ensure_access(&coin).unwrap());
}

#[test]
fn a_fence_leaves_no_password_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    rotate(&coin).unwrap();
    let (before, list) = (passwords(&coin), rpcauth_lines(&coin).unwrap());
    renew(&coin).unwrap();
    let after = passwords(&coin);
    assert_eq!(after.len(), 3, "none waits for its adoption");
    assert!(after.iter().all(|(_, pair)| before.iter().all(|(_, old)| old != pair)));
    assert!(rpcauth_lines(&coin).unwrap().iter().all(|line| !list.contains(line)) && in_step(&coin));
    assert!(!adopt_rotated(&coin).unwrap());
}

#[test]
fn a_leftover_of_a_rotation_that_is_damaged_is_named_and_never_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    ensure_access(&coin).unwrap();
    let next = next_file(&coin, RpcRole::Admin);
    fs::write(&next, "bursar-admin:").unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!adopt_rotated(&coin).unwrap());
    assert_eq!(ensure_access(&coin).unwrap_err().path, next);
    rotate(&coin).unwrap_err();
    renew(&coin).unwrap();
    assert!(!next.exists() && in_step(&coin));
}

#[test]
fn a_plan_writes_nothing_and_says_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let coin = coin(dir.path());
    let planned = planned_rpcauth(&coin, false).unwrap();
    assert!(planned.len() == 4 && planned.iter().all(|line| line.ends_with(NOT_MADE_YET)), "{planned:?}");
    assert!(!coin.state_dir.exists());
    ensure_access(&coin).unwrap();
    let made = [rpcauth_lines(&coin).unwrap(), vec![keeper_access(&coin).unwrap()]].concat();
    assert_eq!(planned_rpcauth(&coin, false).unwrap(), made);
    assert_eq!(planned_rpcauth(&coin, true).unwrap().iter().filter(|line| line.ends_with(NOT_MADE_YET)).count(), 3);
    rotate(&coin).unwrap();
    assert_eq!(planned_rpcauth(&coin, false).unwrap().len(), 7);
}
