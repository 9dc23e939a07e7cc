//! The tokens of the HTTP API: who may use it, and for what.
//!
//! A token is 256 random bits, told once, to whom it is made for. The file holds its SHA-256 alone, so that whoever reads a backup of it has
//! no token; a slow hash would add nothing to so many bits. One line for each: name, role, hash in hex, time of making in seconds since 1970.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::FlockOperation;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Failure, exit};
use crate::coin::Timestamp;
use crate::config::{self, CoinSettings};
use crate::daemon::replace_file;

/// What every token begins with, so that scanners for lost secrets know it.
const PREFIX: &str = "bursar_";
/// Bytes of a token's random part.
const TOKEN_BYTES: usize = 32;
/// Characters of a name at most: it stands in logs and in the history of payouts.
const MAX_NAME_CHARS: usize = 64;
/// Bytes of the file at most: some thousands of tokens.
const MOST_FILE_BYTES: u64 = 1 << 20;
/// The first line of the file.
const HEADER: &str =
    "# Tokens of bursar's HTTP API, made by `bursar token`: name, role, SHA-256, made at (seconds since 1970).\n";

/// What the holder of a token may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at payouts, batches and the queue.
    Read,
    /// Submit payouts, too.
    Submit,
    /// Hold, release and cancel payouts and send what is queued, too.
    Operate,
}

impl Role {
    const ALL: [Role; 3] = [Role::Read, Role::Submit, Role::Operate];

    /// Its name, on the command line and in the file.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Submit => "submit",
            Role::Operate => "operate",
        }
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Role, String> {
        let found = Role::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("'{text}' is not a role: {}", Role::ALL.map(Role::name).join(", ")))
    }
}

/// One token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub made: Timestamp,
    #[serde(skip)]
    hash: [u8; 32],
}

fn refused(code: &str, message: String) -> Failure {
    Failure::new(code, message, exit::FAILED)
}

fn unusable(file: &Path, problem: impl std::fmt::Display) -> Failure {
    refused("tokens_file", format!("{}: {problem}", file.display()))
        .next("see to that file: its owner is the coin's own user, its mode 0600, and `bursar token` writes it")
}

/// The file that the settings name.
fn file_of(coin: &CoinSettings) -> Result<PathBuf, Failure> {
    coin.api.tokens_file.clone().ok_or_else(|| {
        let message = format!("coins.{}.api.tokens_file is not set; nothing was done", coin.name);
        Failure::new("no_tokens_file", message, exit::CONFIG).next("set it in bursar.toml, such as \"tokens\"")
    })
}

/// All tokens, in the order of their making. No file: none.
pub fn list(coin: &CoinSettings) -> Result<Vec<Token>, Failure> {
    read(&file_of(coin)?)
}

/// Makes a token and returns its text, which is told nowhere else.
pub fn add(coin: &CoinSettings, name: &str, role: Role, now: Timestamp) -> Result<String, Failure> {
    check_name(name)?;
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| refused("random", format!("the system gave no random bits ({error}); no token was made")))?;
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    change(coin, |tokens| {
        if tokens.iter().any(|token| token.name == name) {
            let failure = refused("token_exists", format!("there is a token '{name}' already; no other was made"));
            return Err(failure.next("choose another name, or remove that one first: `bursar token remove`"));
        }
        tokens.push(Token { name: name.to_owned(), role, made: now, hash: hash(&text) });
        Ok(())
    })?;
    Ok(text)
}

/// Takes a token away: whoever uses it is refused from then on.
pub fn remove(coin: &CoinSettings, name: &str) -> Result<(), Failure> {
    change(coin, |tokens| {
        let before = tokens.len();
        tokens.retain(|token| token.name != name);
        if tokens.len() == before {
            let failure = refused("unknown_token", format!("there is no token '{name}'; nothing was changed"));
            return Err(failure.next("`bursar token list` shows those that there are"));
        }
        Ok(())
    })
}

/// Changes the file: whole or not at all, and one change after the other.
fn change(coin: &CoinSettings, work: impl FnOnce(&mut Vec<Token>) -> Result<(), Failure>) -> Result<(), Failure> {
    let file = file_of(coin)?;
    let io = |error: io::Error| unusable(&file, format!("{error}; nothing was changed"));
    // The file itself is replaced by each change, so a lock on it would hold nobody off.
    let folder = File::open(file.parent().unwrap_or(Path::new("."))).map_err(io)?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
    let mut tokens = read(&file)?;
    work(&mut tokens)?;
    let line = |token: &Token| format!("{} {} {} {}\n", token.name, token.role.name(), hex::encode(token.hash), token.made.0);
    let text: String = std::iter::once(HEADER.to_owned()).chain(tokens.iter().map(line)).collect();
    replace_file(&file, 0o600, text.as_bytes()).map_err(io)
}

/// It stands in one word of a line, and in logs.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    let message = format!("a token's name has 1 to {MAX_NAME_CHARS} letters, digits, '.', '-' and '_'; no token was made");
    Err(Failure::new("usage", message, exit::USAGE))
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Reads the file. One that others can read or change is refused: they could give themselves a token.
pub(super) fn read(file: &Path) -> Result<Vec<Token>, Failure> {
    if fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(vec![]);
    }
    let opened = config::open_secret(file).map_err(|problem| unusable(file, problem))?;
    let mut text = String::new();
    let read = opened.take(MOST_FILE_BYTES + 1).read_to_string(&mut text).map_err(|error| unusable(file, error))?;
    if read as u64 > MOST_FILE_BYTES {
        return Err(unusable(file, format!("it is longer than {} KiB: tokens are not all that it holds", MOST_FILE_BYTES >> 10)));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|(at, line)| {
        parse(line).ok_or_else(|| unusable(file, format!("line {} is not a token's: name, role, SHA-256, time", at + 1)))
    });
    parsed.collect()
}

fn parse(line: &str) -> Option<Token> {
    let [name, role, hex_hash, made] = line.split_ascii_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let mut hash = [0; 32];
    hex::decode_to_slice(hex_hash, &mut hash).ok()?;
    check_name(name).ok()?;
    Some(Token { name: name.to_owned(), role: role.parse().ok()?, made: Timestamp(made.parse().ok()?), hash })
}

/// The token that this text is. All are compared to their ends, whichever fits.
pub(super) fn find<'a>(tokens: &'a [Token], text: &str) -> Option<&'a Token> {
    let hash = hash(text);
    tokens.iter().fold(None, |found, token| if bool::from(token.hash.ct_eq(&hash)) { Some(token) } else { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn coin(dir: &Path) -> CoinSettings {
        let file = dir.join("bursar.toml");
        let text = "[coins.ltc]\nprofile = 'litecoin'\nchain = 'regtest'\nstate_dir = 'state'\n[coins.ltc.api]\ntokens_file = 'tokens'\n";
        fs::write(&file, text).unwrap();
        config::Settings::load(&file).unwrap().coins.remove("ltc").unwrap()
    }

    #[test]
    fn a_token_is_known_by_its_hash_until_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let coin = coin(dir.path());
        assert_eq!(list(&coin).unwrap(), vec![]);
        let shop = add(&coin, "shop", Role::Submit, Timestamp(5)).unwrap();
        let desk = add(&coin, "desk", Role::Operate, Timestamp(6)).unwrap();
        assert_ne!(shop, desk);
        let file = dir.path().join("tokens");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&shop) && !text.contains(&shop[PREFIX.len()..]), "{text}");
        let tokens = list(&coin).unwrap();
        assert_eq!(find(&tokens, &shop).unwrap().name, "shop");
        assert_eq!(find(&tokens, &desk).unwrap().role, Role::Operate);
        for wrong in ["", "bursar_", &shop[..shop.len() - 1], &format!("{shop}="), &hex::encode(hash(&shop))] {
            assert_eq!(find(&tokens, wrong), None, "{wrong}");
        }
        assert_eq!(add(&coin, "shop", Role::Read, Timestamp(7)).unwrap_err().code, "token_exists");
        remove(&coin, "shop").unwrap();
        assert_eq!(find(&list(&coin).unwrap(), &shop), None);
        assert_eq!(remove(&coin, "shop").unwrap_err().code, "unknown_token");
    }

    #[test]
    fn names_that_would_break_the_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let coin = coin(dir.path());
        for name in ["", "a b", "a\nroot", "#a", "ä", &"x".repeat(65)] {
            assert_eq!(add(&coin, name, Role::Read, Timestamp(1)).unwrap_err().code, "usage", "{name}");
        }
    }

    #[test]
    fn a_file_that_others_may_change_or_that_is_damaged_gives_nobody_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let coin = coin(dir.path());
        add(&coin, "shop", Role::Submit, Timestamp(5)).unwrap();
        let file = dir.path().join("tokens");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
        assert_eq!(list(&coin).unwrap_err().code, "tokens_file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "shop submit\n").unwrap();
        assert_eq!(list(&coin).unwrap_err().code, "tokens_file");
        fs::write(&file, "#".repeat(2 << 20)).unwrap();
        assert_eq!(list(&coin).unwrap_err().code, "tokens_file");
    }

    #[test]
    fn what_never_ends_in_the_place_of_the_file_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let coin = coin(dir.path());
        let file = dir.path().join("tokens");
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, 0o600.into()).unwrap();
        assert_eq!(list(&coin).unwrap_err().code, "tokens_file");
        fs::remove_file(&file).unwrap();
        symlink("/dev/zero", &file).unwrap();
        assert_eq!(list(&coin).unwrap_err().code, "tokens_file");
    }
}
