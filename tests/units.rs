//! The units as `bursar install` lays them out, judged by systemd's own tools. Nothing is started: that needs a real init.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::float_arithmetic, reason = "systemd prints tenths")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Larger is worse; what is measured as the best of units that still work.
const MAX_EXPOSURE: f64 = 1.1;

/// A tree that `bursar install` made.
struct Tree(tempfile::TempDir);

impl Tree {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn install(&self, coin: &str) -> Output {
        self.install_with(&["--coin", coin])
    }

    fn install_with(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
        command.args(["install", "--root"]).arg(self.path()).args(args).output().unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    fn settings(&self, text: &str) {
        fs::create_dir_all(self.path().join("etc/bursar")).unwrap();
        fs::write(self.path().join("etc/bursar/bursar.toml"), text).unwrap();
    }

    /// Every file and folder, with mode and content.
    fn everything(&self) -> Vec<(PathBuf, u32, Vec<u8>, u64)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let facts = fs::symlink_metadata(&path).unwrap();
                let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                found.push((path.clone(), facts.mode() & 0o7777, content, facts.ino()));
                if facts.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn every_credential_that_the_settings_speak_of_is_passed_by_the_unit() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = fs::read_to_string(root.join("config/bursar.toml")).unwrap();
    let unit = fs::read_to_string(root.join("systemd/bursar@.service")).unwrap();
    let names: Vec<&str> = settings.split("\"credential:").skip(1).filter_map(|text| text.split('"').next()).collect();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let line = format!("LoadCredentialEncrypted={name}:bursar-%i.{name}\n");
        assert!(unit.contains(&line), "{name}");
    }
}

fn empty() -> Tree {
    Tree(tempfile::tempdir().unwrap())
}

fn installed(coin: &str) -> Tree {
    let tree = empty();
    let output = tree.install(coin);
    assert!(output.status.success(), "{}", said(&output));
    tree
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs one of systemd's tools on the tree.
fn tool(name: &str, tree: &Tree, args: &[&str]) -> Output {
    let root = format!("--root={}", tree.path().display());
    Command::new(name)
        .arg(root)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}: run scripts/test, which brings it"))
}

/// systemd's own units, which ours name: `verify` looks for them in the tree.
fn add_systemds_own_units(tree: &Tree) {
    let from = ["/usr/lib/systemd/system", "/lib/systemd/system"].into_iter().find(|dir| Path::new(dir).is_dir());
    let to = tree.path().join("usr/lib/systemd");
    let copied = Command::new("cp").arg("-r").arg(from.expect("systemd's units")).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn systemd_finds_nothing_to_say_of_the_installed_units() {
    for coin in ["ltc", "doge-hot"] {
        let tree = installed(coin);
        add_systemds_own_units(&tree);
        let units = [format!("bursar-keep@{coin}.service"), format!("bursar@{coin}.service"), "bursar.slice".to_owned()];
        let output = tool("systemd-analyze", &tree, &["verify", "--man=no", &units[0], &units[1], &units[2]]);
        assert_eq!((said(&output).as_str(), output.status.code()), ("", Some(0)));
    }
}

#[test]
fn verify_would_find_a_mistake() {
    let tree = installed("ltc");
    add_systemds_own_units(&tree);
    let unit = tree.path().join("usr/lib/systemd/system/bursar@.service");
    fs::write(&unit, tree.read("usr/lib/systemd/system/bursar@.service").replace("ProtectHome", "ProtectHouse")).unwrap();
    assert!(said(&tool("systemd-analyze", &tree, &["verify", "--man=no", "bursar@ltc.service"])).contains("ProtectHouse"));
}

#[test]
fn the_exposure_of_both_units_is_as_low_as_it_gets() {
    let tree = installed("ltc");
    for unit in ["bursar-keep@ltc.service", "bursar@ltc.service"] {
        let output = tool("systemd-analyze", &tree, &["security", "--offline=true", unit]);
        let text = said(&output);
        let line = text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{text}"));
        let number = line.rsplit(": ").next().unwrap().split_whitespace().next().unwrap();
        let exposure: f64 = number.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(exposure <= MAX_EXPOSURE, "{line}");
        println!("{unit}: {exposure}");
    }
}

#[test]
fn users_and_folders_are_made_from_what_was_laid_out() {
    let tree = installed("ltc");
    let output = tool("systemd-sysusers", &tree, &["bursar-ltc.conf"]);
    assert!(output.status.success(), "{}", said(&output));
    let user = tree.read("etc/passwd").lines().find(|line| line.starts_with("coin-ltc:")).unwrap().to_owned();
    assert!(user.ends_with(":bursar coin ltc:/var/lib/bursar/ltc:/usr/sbin/nologin"), "{user}");
    assert!(tree.read("etc/group").lines().any(|line| line.starts_with("coin-ltc:")));
    let output = tool("systemd-tmpfiles", &tree, &["--create", "bursar-ltc.conf"]);
    if !rustix::process::geteuid().is_root() {
        return println!("not root: systemd-tmpfiles cannot give folders to another user");
    }
    assert!(output.status.success(), "{}", said(&output));
    let uid: u32 = user.split(':').nth(2).unwrap().parse().unwrap();
    for (folder, mode, owner) in [("", 0o755, 0), ("daemon", 0o700, uid), ("service", 0o700, uid)] {
        let facts = fs::metadata(tree.path().join("var/lib/bursar/ltc").join(folder)).unwrap();
        assert_eq!((facts.mode() & 0o7777, facts.uid()), (mode, owner), "{folder}");
    }
}

#[test]
fn installing_again_changes_nothing() {
    let tree = installed("ltc");
    let before = tree.everything();
    let output = tree.install("ltc");
    assert!(output.status.success(), "{}", said(&output));
    assert!(tree.everything() == before, "{}", said(&output));
    let mode = |path: &str| before.iter().find(|found| found.0 == tree.path().join(path)).unwrap().1;
    assert_eq!(mode("usr/bin/bursar"), 0o755);
    assert_eq!(mode("etc/bursar/bursar.toml"), 0o644, "each coin's own user reads it, and it holds no secret");
    assert_eq!(mode("etc/credstore.encrypted"), 0o700);
}

#[test]
fn a_second_coin_and_a_new_version_go_beside_and_over_the_first() {
    let tree = installed("ltc");
    let settings = tree.read("etc/bursar/bursar.toml");
    let more = "\n[coins.doge]\nprofile = \"dogecoin\"\nchain = \"main\"\n[coins.doge.daemon]\nseparate_keeper = true\n";
    tree.settings(&format!("{settings}{more}[coins.doge.backup]\ndirectories = [\"/mnt/a\"]\n"));
    fs::write(tree.path().join("usr/lib/systemd/system/bursar@.service"), "of an older version").unwrap();
    let output = tree.install("doge");
    assert!(output.status.success(), "{}", said(&output));
    assert!(tree.read("usr/lib/systemd/system/bursar@.service").contains("ExecStart=/usr/bin/bursar run"));
    let drop_in = tree.read("etc/systemd/system/bursar@doge.service.d/50-backup-directories.conf");
    assert!(drop_in.contains("ReadWritePaths=\"-/mnt/a\""), "{drop_in}");
    assert!(tree.path().join("etc/sysusers.d/bursar-ltc.conf").exists(), "the first coin stays");
    assert!(tree.read("etc/bursar/bursar.toml").ends_with("directories = [\"/mnt/a\"]\n"), "settings are never changed");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let coin = "[coins.ltc]\nprofile = \"litecoin\"\nchain = \"main\"\n";
    let cases = [
        (coin.to_owned(), "ltc", "separate_keeper = true"),
        (format!("{coin}state_dir = \"/srv/ltc\"\n[coins.ltc.daemon]\nseparate_keeper = true\n"), "ltc", "take state_dir out"),
        (coin.to_owned(), "doge", "[coins.doge]"),
    ];
    for (settings, name, words) in cases {
        let tree = empty();
        tree.settings(&settings);
        let before = tree.everything();
        let output = tree.install(name);
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(tree.everything() == before);
    }
    let tree = empty();
    for args in [&["--coin", "hot"][..], &["--coin", "No"], &[], &["--coin", "ltc", "--config", "/etc/other.toml"]] {
        let output = tree.install_with(args);
        assert!(matches!(output.status.code(), Some(2 | 78)), "{}", said(&output));
    }
    let output = tree.install_with(&["--coin", "ltc", "--dry-run"]);
    assert!(output.status.success() && said(&output).contains("bursar-keep@.service"), "{}", said(&output));
    assert!(tree.everything().is_empty(), "neither a refusal nor --dry-run writes");
}

#[test]
fn settings_that_only_root_can_read_are_pointed_at() {
    let tree = installed("ltc");
    fs::set_permissions(tree.path().join("etc/bursar/bursar.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(said(&tree.install("ltc")).contains("chmod a+r"));
}

#[test]
fn completions_and_manual_are_printed() {
    let print = |args: &[&str]| said(&Command::new(env!("CARGO_BIN_EXE_bursar")).args(args).output().unwrap());
    assert!(print(&["completions", "bash"]).contains("complete"));
    assert!(print(&["man"]).contains(".TH bursar 1"));
}

#[test]
fn a_verb_does_nothing_among_the_files_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return println!("not root: no file can be given to another user");
    }
    let tree = empty();
    let state = tree.path().join("state");
    fs::create_dir_all(state.join("service")).unwrap();
    std::os::unix::fs::chown(state.join("service"), Some(4711), Some(4711)).unwrap();
    let settings = format!("[coins.ltc]\nprofile = \"litecoin\"\nchain = \"regtest\"\nstate_dir = \"{}\"\n", state.display());
    tree.settings(&settings);
    for verb in ["status", "render", "run"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
        let output = command.arg("--config").arg(tree.path().join("etc/bursar/bursar.toml")).arg(verb).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("runuser -u coin-ltc"), "{}", said(&output));
    }
    assert_eq!(fs::read_dir(state.join("service")).unwrap().count(), 0);
    assert!(!state.join("daemon").exists());
}
