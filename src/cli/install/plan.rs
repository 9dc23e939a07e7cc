//! What `bursar install` lays out, and what it refuses: plain facts in, plain data out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::coin::{Chain, Profile};
use crate::config::{self, CoinSettings, DaemonMode};
use crate::service::{Failure, exit};

/// The settings, below the root. The units read them there.
pub(super) const SETTINGS: &str = "etc/bursar/bursar.toml";

/// Where the units keep the state of a coin, by its name.
const STATE_ROOT: &str = "/var/lib/bursar";

/// Files of all coins.
const SHARED: [(&str, &str); 3] = [
    ("usr/lib/systemd/system/bursar-keep@.service", include_str!("../../../systemd/bursar-keep@.service")),
    ("usr/lib/systemd/system/bursar@.service", include_str!("../../../systemd/bursar@.service")),
    ("usr/lib/systemd/system/bursar.slice", include_str!("../../../systemd/bursar.slice")),
];
const SYSUSERS: &str = include_str!("../../../systemd/sysusers.conf.in");
const TMPFILES: &str = include_str!("../../../systemd/tmpfiles.conf.in");

/// Characters of a coin's name here: user names have at most 31, and `coin-` goes before it.
const MAX_NAME_CHARS: usize = 26;

/// What the templates say in the place of a coin's name.
const PLACEHOLDER: &str = "@COIN@";

/// One thing to lay out; paths are relative to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A folder, made with this mode when it is missing, and left alone when it is not.
    Folder(PathBuf, u32),
    /// A file with this content and mode, put in the place of an older one.
    File(PathBuf, u32, Vec<u8>),
    /// The settings: made when they are missing, never changed.
    Settings(String),
}

/// Everything but the program, the manual and the completions.
pub(super) fn layout(coin: &str, settings: Option<String>, backups: &[PathBuf]) -> Vec<Item> {
    let text = |path: String, content: &str| Item::File(path.into(), 0o644, content.as_bytes().to_owned());
    let of_coin = |template: &str| template.replace(PLACEHOLDER, coin);
    let mut items = vec![Item::Folder("etc/bursar".into(), 0o755)];
    items.extend(settings.map(Item::Settings));
    items.push(Item::Folder("etc/credstore.encrypted".into(), 0o700));
    items.extend(SHARED.map(|(path, content)| text(path.to_owned(), content)));
    items.push(text(format!("etc/sysusers.d/bursar-{coin}.conf"), &of_coin(SYSUSERS)));
    items.push(text(format!("etc/tmpfiles.d/bursar-{coin}.conf"), &of_coin(TMPFILES)));
    items.push(text(format!("etc/systemd/system/bursar@{coin}.service.d/50-backup-directories.conf"), &writable(backups)));
    items
}

/// A drop-in: the unit sees a read-only system, but for these. A folder that is missing must not keep the service from starting.
fn writable(backups: &[PathBuf]) -> String {
    let mut text =
        "# backup.directories and ledger.checkpoints_dir of bursar.toml, by `bursar install`: run it again when they change.\n[Service]\n".to_owned();
    for path in backups {
        let quoted = path.to_string_lossy().replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
        text.push_str(&format!("ReadWritePaths=\"-{quoted}\"\n"));
    }
    text
}

/// Refuses a name that cannot become a user's.
pub(super) fn check_name(coin: &str) -> Result<(), Failure> {
    config::check_name(coin).map_err(|problem| Failure::new("coin_name", problem, exit::USAGE))?;
    if coin.len() <= MAX_NAME_CHARS {
        return Ok(());
    }
    let message =
        format!("'{coin}' has more than {MAX_NAME_CHARS} characters: its user, coin-{coin}, cannot be made; nothing was written");
    Err(Failure::new("coin_name", message, exit::CONFIG).next("give the coin a shorter name in bursar.toml"))
}

/// The commented example with this coin in it, kept by its own unit.
pub(super) fn example(coin: &str, profiles: &BTreeMap<String, Profile>) -> Result<String, Failure> {
    let word = coin.split('-').next().unwrap_or(coin);
    let named =
        |profile: &&Profile| [coin, word].iter().any(|name| profile.name == *name || profile.ticker.to_lowercase() == *name);
    let Some((profile, params)) = profiles.values().find(named).and_then(|found| Some((found, found.chains.get(&Chain::Main)?)))
    else {
        let known = profiles.values().map(|profile| profile.ticker.to_lowercase()).collect::<Vec<_>>().join(", ");
        let message =
            format!("which coin '{coin}' is cannot be told from its name, and there is no {SETTINGS} yet; nothing was written");
        let next = format!("begin its name with one of {known}, or write the settings first, with `bursar init`");
        return Err(Failure::new("unknown_coin", message, exit::CONFIG).next(&next));
    };
    let changes = [
        ("[coins.ltc", format!("[coins.{coin}")),
        ("(here ltc;", format!("(here {coin};")),
        ("/bursar/ltc", format!("/bursar/{coin}")),
        ("profile = \"litecoin\"", format!("profile = \"{}\"", profile.name)),
        ("#program = \"litecoind\"", format!("#program = \"{}\"", profile.programs.daemon)),
        ("9332", params.rpc_port.to_string()),
        ("9333", params.p2p_port.to_string()),
        ("#separate_keeper = false", "separate_keeper = true".to_owned()),
    ];
    Ok(changes.iter().fold(config::EXAMPLE.to_owned(), |text, (from, to)| text.replace(from, to)))
}

/// Refuses settings that do not fit the units, with the line to change.
pub(super) fn check(coin: &CoinSettings) -> Result<(), Failure> {
    let name = &coin.name;
    let refused = |message: String, next: String| Err(Failure::new("settings", message, exit::CONFIG).next(&next));
    let home = Path::new(STATE_ROOT).join(name);
    if coin.state_dir != home {
        return refused(
            format!(
                "coins.{name}.state_dir is {}, but the units keep it in {}; nothing was written",
                coin.state_dir.display(),
                home.display()
            ),
            format!("take state_dir out of [coins.{name}]; with the daemon stopped, its data can be moved there"),
        );
    }
    if coin.daemon.mode == DaemonMode::Keep && !coin.daemon.separate_keeper {
        return refused(
            format!(
                "under systemd the daemon of '{name}' belongs to bursar-keep@{name}, but separate_keeper is off; nothing was written"
            ),
            format!("add this line below [coins.{name}.daemon]: separate_keeper = true"),
        );
    }
    Ok(())
}

/// The commands that follow, for a person to run. `attached`: somebody else runs the daemon.
pub(super) fn next_commands(root: &Path, coin: &str, attached: bool, backups: &[PathBuf]) -> Vec<String> {
    if root != Path::new("/") {
        let at = format!("--root={}", root.display());
        return vec![format!("systemd-sysusers {at}"), format!("systemd-tmpfiles {at} --create")];
    }
    let units = if attached { format!("bursar@{coin}") } else { format!("bursar-keep@{coin} bursar@{coin}") };
    let mut commands = vec![
        format!("systemd-sysusers /etc/sysusers.d/bursar-{coin}.conf"),
        format!("systemd-tmpfiles --create /etc/tmpfiles.d/bursar-{coin}.conf"),
    ];
    commands.extend(backups.iter().map(|path| format!("install -d -o coin-{coin} -g coin-{coin} -m 700 '{}'", path.display())));
    commands.push("systemctl daemon-reload".to_owned());
    commands.push(format!("systemctl enable --now {units}"));
    commands.push(format!("bursar check --coin {coin}"));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles() -> BTreeMap<String, Profile> {
        config::built_in_profiles().unwrap()
    }

    fn load(text: &str) -> config::Settings {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bursar.toml");
        std::fs::write(&file, text).unwrap();
        config::Settings::load(&file).unwrap()
    }

    #[test]
    fn the_example_of_every_coin_fits_the_units() {
        for profile in profiles().values() {
            for name in [profile.ticker.to_lowercase(), format!("{}-hot", profile.name)] {
                let settings = load(&example(&name, &profiles()).unwrap());
                let coin = settings.coin(Some(&name)).unwrap();
                assert_eq!(coin.profile.name, profile.name);
                check(coin).unwrap();
            }
        }
    }

    #[test]
    fn a_name_that_tells_no_coin_is_refused() {
        let failure = example("hot", &profiles()).unwrap_err();
        assert!(failure.next.unwrap().contains("ltc"));
        assert_eq!(check_name("Not a name").unwrap_err().code, "coin_name");
        assert_eq!(check_name("ltc-abcdefghijklmnopqrstuvw").unwrap_err().code, "coin_name");
        check_name("ltc-abcdefghijklmnopqrstuv").unwrap();
    }

    #[test]
    fn settings_that_do_not_fit_are_refused_with_the_line_to_change() {
        let refusal = |rest: &str| {
            let settings = load(&format!("[coins.ltc]\nprofile = 'litecoin'\nchain = 'main'\n{rest}"));
            let failure = check(settings.coin(None).unwrap()).unwrap_err();
            failure.next.unwrap()
        };
        assert!(refusal("").contains("separate_keeper = true"));
        assert!(refusal("state_dir = '/srv/ltc'").contains("state_dir"));
        let attached = "[coins.ltc.daemon]\nmode = 'attach'\nrpc_credentials_file = 'credential:rpc-credentials'\n";
        let settings = load(&format!("[coins.ltc]\nprofile = 'litecoin'\nchain = 'main'\n{attached}"));
        check(settings.coin(None).unwrap()).unwrap();
    }

    #[test]
    fn backup_folders_become_writable_whatever_their_names() {
        let text = writable(&["/mnt/a b".into(), "/mnt/100%".into(), "/mnt/\"q\"".into()]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        let quoted = [r#"ReadWritePaths="-/mnt/a b""#, r#"ReadWritePaths="-/mnt/100%%""#, r#"ReadWritePaths="-/mnt/\"q\"""#];
        assert_eq!(lines, quoted);
    }

    #[test]
    fn no_template_keeps_its_placeholder() {
        for item in layout("ltc", None, &[]) {
            let Item::File(path, _, content) = item else { continue };
            assert!(!String::from_utf8(content).unwrap().contains(PLACEHOLDER), "{}", path.display());
        }
    }
}
