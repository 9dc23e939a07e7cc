//! From the file to the settings: read, parse, fill in defaults, check each coin, check all coins together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::coin_rules::Place;
use super::raw::{RawCoin, RawSettings, RawWallet};
use super::source::{self, Source};
use super::{BackupSettings, CoinSettings, ConfigError, ScheduleSettings, Settings, WalletSettings};
use super::{coin_rules, credential, daemon_rules, host_rules, payout_rules, profiles, webhook_rules};
use crate::coin::{ChainParams, Profile};

/// Where the state of coin instances is kept unless set.
const STATE_ROOT: &str = "/var/lib/bursar";
/// The wallet that bursar has the daemon make or load, unless set.
const WALLET_NAME: &str = "bursar";

impl Settings {
    /// Reads and checks `file`, and the profiles that it points to.
    pub fn load(file: &Path) -> Result<Settings, ConfigError> {
        let text = source::read(file)?;
        let source = Source::new(file, &text);
        let raw: RawSettings = source.parse()?;
        // Everything is absolute from here on: the daemon and the service may run in other folders.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let base = file.parent().unwrap_or(Path::new("/"));
        let profiles_dir = raw.profiles_dir.as_ref().map(|dir| base.join(dir));
        let profiles = profiles::load(profiles_dir.as_deref())?;
        if raw.coins.is_empty() {
            return Err(source.refuse(&["coins"], "there is no coin: add a table such as [coins.ltc] with profile and chain"));
        }
        let mut coins = BTreeMap::new();
        for (name, raw) in raw.coins {
            let place = Place { source: &source, coin: &name };
            let coin = coin(&place, base, &profiles, raw)?;
            coins.insert(name, coin);
        }
        host_rules::check(&coins, &source)?;
        Ok(Settings { file, profiles, coins })
    }
}

fn coin(place: &Place<'_>, base: &Path, profiles: &BTreeMap<String, Profile>, raw: RawCoin) -> Result<CoinSettings, ConfigError> {
    coin_rules::check_coin_name(place)?;
    let (profile, params) = profile_and_chain(place, profiles, &raw)?;
    let (credit_depth, final_depth) = coin_rules::depths(place, &raw.ledger, &profile)?;
    let state_dir = base.join(raw.state_dir.unwrap_or_else(|| Path::new(STATE_ROOT).join(place.coin)));
    let state_dir = coin_rules::state_dir(place, state_dir)?;
    let checkpoints_dir =
        raw.ledger.checkpoints_dir.map(|dir| coin_rules::checkpoints_dir(place, base, &dir, &state_dir)).transpose()?;
    Ok(CoinSettings {
        name: place.coin.to_owned(),
        chain: raw.chain,
        state_dir,
        daemon: daemon_rules::daemon(place, base, raw.daemon, &profile, &params)?,
        wallet: wallet(place, base, raw.wallet)?,
        payouts: payout_rules::payouts(place, &raw.payouts, &profile)?,
        schedule: ScheduleSettings {
            sync: coin_rules::cron(place, "sync", raw.schedule.sync, "*/15 * * * * *")?,
            flush: coin_rules::cron(place, "flush", raw.schedule.flush, "0 */10 * * * *")?,
            audit: coin_rules::cron(place, "audit", raw.schedule.audit, "30 7-59/10 * * * *")?,
            checkpoint: coin_rules::cron(place, "checkpoint", raw.schedule.checkpoint, "0 3 0 * * *")?,
            backup: coin_rules::cron(place, "backup", raw.schedule.backup, "0 17 */6 * * *")?,
            drill: coin_rules::cron(place, "drill", raw.schedule.drill, "0 43 3 * * 0")?,
        },
        backup: BackupSettings {
            recipients: coin_rules::recipients(place, raw.backup.recipients)?,
            identity_file: identity_file(place, base, raw.backup.identity_file)?,
            directories: coin_rules::directories(place, base, raw.backup.directories)?,
        },
        health: coin_rules::health(place, &raw.health, raw.chain)?,
        http_listen: coin_rules::loopback(place, "http", raw.http.listen)?,
        api: payout_rules::api(place, base, raw.api)?,
        webhook: webhook_rules::webhook(place, base, raw.webhook)?,
        checkpoints_dir,
        scan_chain: raw.audit.scan_chain,
        credit_depth,
        final_depth,
        profile,
        params,
    })
}

fn wallet(place: &Place<'_>, base: &Path, raw: RawWallet) -> Result<WalletSettings, ConfigError> {
    let file = |key, file: Option<PathBuf>| file.map(|file| credential::file(place, &["wallet", key], base, file)).transpose();
    let name = coin_rules::wallet_name(place, "name", raw.name.unwrap_or_else(|| WALLET_NAME.to_owned()))?;
    let settings = WalletSettings {
        follow: coin_rules::followed_wallets(place, &name, raw.follow.unwrap_or_default())?,
        name,
        passphrase_file: file("passphrase_file", raw.passphrase_file)?,
        passphrase_identity_file: file("passphrase_identity_file", raw.passphrase_identity_file)?,
    };
    if settings.passphrase_identity_file.is_some() && settings.passphrase_file.is_none() {
        let problem = "there is no wallet.passphrase_file that it could decrypt";
        return Err(place.refuse(&["wallet", "passphrase_identity_file"], problem));
    }
    let encrypted = settings.passphrase_file.as_ref().is_some_and(|file| file.extension().is_some_and(|end| end == "age"));
    if encrypted && settings.passphrase_identity_file.is_none() {
        let problem = "it is encrypted by age: set wallet.passphrase_identity_file, too";
        return Err(place.refuse(&["wallet", "passphrase_file"], problem));
    }
    Ok(settings)
}

fn identity_file(place: &Place<'_>, base: &Path, file: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
    file.map(|file| credential::file(place, &["backup", "identity_file"], base, file)).transpose()
}

fn profile_and_chain(
    place: &Place<'_>,
    profiles: &BTreeMap<String, Profile>,
    raw: &RawCoin,
) -> Result<(Profile, ChainParams), ConfigError> {
    let Some(profile) = profiles.get(&raw.profile) else {
        let known = profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let problem = format!("there is no profile '{}': use one of {known}, or put {0}.toml into profiles_dir", raw.profile);
        return Err(place.refuse(&["profile"], problem));
    };
    let Some(params) = profile.chains.get(&raw.chain) else {
        let known = profile.chains.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let problem = format!("profile '{}' has no chain '{}': it has {known}", profile.name, raw.chain);
        return Err(place.refuse(&["chain"], problem));
    };
    Ok((profile.clone(), params.clone()))
}
