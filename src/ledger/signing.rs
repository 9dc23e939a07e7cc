//! The key of one coin's service: Ed25519, in the files and signatures of minisign, so that whoever gets something that bursar signed can check it
//! with the Debian package of that name, on a machine without bursar.
//!
//! A signature tells that bytes came from this service. It does not stop whoever has taken the machine, and the key with it, from signing something
//! else: what was signed before and lies elsewhere does.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign::{KeyPair, SecretKeyBox, SignatureBox};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{CoinSettings, open_secret};
use crate::daemon::create_file;

/// What the name of a signature ends with, after the name of the file that it is of.
pub const SIGNATURE_SUFFIX: &str = ".minisig";
/// The file of the key, below the service's state.
const KEY_FILE: &str = "signing.key";
/// What is said of a key that is not there.
const GONE: &str = "there is no key: bring it back if it was moved away, or the next start of the service makes another one, of which everybody who checks \
                    signatures has to be told";
/// Bytes of an Ed25519 signature.
const SIGNATURE_BYTES: usize = 64;

/// Why the key could not be used.
#[derive(Debug, Error)]
#[error("{}: {problem}; nothing was signed", file.display())]
pub struct SigningError {
    /// The file of the key.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// The private key. Not `Debug`: what it comes from prints itself there.
pub struct SigningKey {
    file: PathBuf,
    secret: minisign::SecretKey,
    public: PublicKey,
}

/// The public half. Its text is one line of base64, as `minisign -P` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(minisign::PublicKey);

/// Where the key of a coin lies.
pub fn key_file(coin: &CoinSettings) -> PathBuf {
    coin.service_dir().join(KEY_FILE)
}

impl SigningKey {
    /// The coin's key, which was made by [`ensure_key`]. One that is damaged, or that others can read, is never replaced: that is for a person to do,
    /// who then has to tell everybody the new public key.
    pub fn of(coin: &CoinSettings) -> Result<SigningKey, SigningError> {
        SigningKey::at(&key_file(coin))
    }

    fn at(file: &Path) -> Result<SigningKey, SigningError> {
        let refused = |problem: String| SigningError { file: file.to_owned(), problem };
        if matches!(file.try_exists(), Ok(false)) {
            return Err(refused(GONE.to_owned()));
        }
        let mut text = Zeroizing::new(String::new());
        open_secret(file).map_err(refused)?.read_to_string(&mut text).map_err(|error| refused(error.to_string()))?;
        // The crate's words name what is wrong, never what is in the file.
        let secret = SecretKeyBox::from(text.to_string()).into_unencrypted_secret_key();
        let secret = secret.map_err(|error| refused(format!("it is not a key of ours: {error}")))?;
        let public = minisign::PublicKey::from_secret_key(&secret).map_err(|error| refused(error.to_string()))?;
        Ok(SigningKey { file: file.to_owned(), secret, public: PublicKey(public) })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The text of the `.minisig` file for `content`. The comment, one line of plain text, is signed with it.
    pub fn sign(&self, content: &[u8], comment: &str) -> Result<String, SigningError> {
        let public = &self.public.0;
        let signed = minisign::sign(Some(public), &self.secret, Cursor::new(content), Some(comment), Some("signature of bursar"));
        signed
            .map(SignatureBox::into_string)
            .map_err(|error| SigningError { file: self.file.clone(), problem: error.to_string() })
    }
}

/// Makes the coin's key, 0600, if there is none; whether it was made. Every store has one beside it from its beginning: where a key lies and no store, a
/// store was lost.
pub fn ensure_key(coin: &CoinSettings) -> Result<bool, SigningError> {
    ensure(&key_file(coin))
}

fn ensure(file: &Path) -> Result<bool, SigningError> {
    let made = match file.try_exists() {
        Ok(true) => Ok(false),
        Ok(false) => make(file).map(|()| true),
        Err(error) => Err(error),
    };
    made.map_err(|error| SigningError { file: file.to_owned(), problem: error.to_string() })
}

/// Makes a key. Another one that appears meanwhile is kept.
fn make(file: &Path) -> io::Result<()> {
    let key =
        KeyPair::generate_unencrypted_keypair().and_then(|pair| pair.sk.to_box(Some("secret key of bursar: never copy it")));
    let text = Zeroizing::new(key.map_err(io::Error::other)?.into_string());
    match create_file(file, 0o600, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

impl PublicKey {
    /// The signed comment of a `.minisig` text that fits `content`.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub fn check(&self, content: &[u8], signature: &str) -> Result<String, String> {
        let signature = read(signature)?;
        minisign::verify(&self.0, &signature, Cursor::new(content), true, false, false).map_err(|error| error.to_string())?;
        signature.trusted_comment().map_err(|error| error.to_string())
    }

    /// Whether a `.minisig` text names another key than this. It may still not fit what it is of.
    pub fn is_of_another(&self, signature: &str) -> bool {
        read(signature).is_ok_and(|signature| signature.keynum() != self.0.keynum())
    }
}

fn read(signature: &str) -> Result<SignatureBox, String> {
    // The crate would panic at a shorter one.
    let last = signature.lines().nth(3).and_then(|line| BASE64.decode(line.trim()).ok());
    if last.is_none_or(|bytes| bytes.len() != SIGNATURE_BYTES) {
        return Err("it is not a signature of minisign".to_owned());
    }
    SignatureBox::from_string(signature).map_err(|error| error.to_string())
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_base64())
    }
}

impl FromStr for PublicKey {
    type Err = String;
    /// Takes the line of base64.
    fn from_str(text: &str) -> Result<PublicKey, String> {
        let key = minisign::PublicKey::from_base64(text.trim());
        key.map(PublicKey).map_err(|_| format!("'{text}' is not a public key of minisign: `bursar ledger key` prints one"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key() -> (tempfile::TempDir, SigningKey) {
        let dir = tempfile::tempdir().unwrap();
        assert!(ensure(&dir.path().join(KEY_FILE)).unwrap());
        let key = SigningKey::at(&dir.path().join(KEY_FILE)).unwrap();
        (dir, key)
    }

    fn problem(file: &Path) -> String {
        SigningKey::at(file).err().unwrap().to_string()
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let (dir, first) = key();
        let file = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        assert_eq!(SigningKey::at(&file).unwrap().public(), first.public());
        make(&file).unwrap();
        assert_eq!(SigningKey::at(&file).unwrap().public(), first.public(), "a second one does not take its place");
    }

    #[test]
    fn a_key_that_is_gone_is_not_made_anew_by_whoever_uses_it() {
        let (dir, key) = key();
        let file = dir.path().join(KEY_FILE);
        fs::remove_file(&file).unwrap();
        assert!(problem(&file).contains("there is no key: bring it back") && !file.exists());
        assert!(ensure(&file).unwrap() && !ensure(&file).unwrap());
        assert_ne!(SigningKey::at(&file).unwrap().public(), key.public());
    }

    #[test]
    fn what_was_signed_is_checked_by_the_public_key_as_text() {
        let (_dir, key) = key();
        let signature = key.sign(b"content", "file of a test").unwrap();
        let public: PublicKey = key.public().to_string().parse().unwrap();
        assert_eq!(public.check(b"content", &signature).unwrap(), "file of a test");
        assert!(public.check(b"Content", &signature).is_err());
        assert!(public.check(b"content", &signature.replace("of a test", "of another")).is_err(), "the comment is signed, too");
        let (_dir, other) = self::key();
        assert!(other.public().check(b"content", &signature).unwrap_err().contains("key id"));
        assert!(other.public().is_of_another(&signature) && !public.is_of_another(&signature));
    }

    #[test]
    fn a_damaged_signature_is_refused_and_no_more() {
        let (_dir, key) = key();
        let whole = key.sign(b"content", "c").unwrap();
        for end in 0..whole.len() - 1 {
            assert!(key.public().check(b"content", &whole[..end]).is_err(), "{end}");
        }
        for line in 0..4 {
            let short: Vec<&str> = whole.lines().enumerate().map(|(at, text)| if at == line { "AAAA" } else { text }).collect();
            assert!(key.public().check(b"content", &short.join("\n")).is_err(), "{line}");
        }
        assert!("".parse::<PublicKey>().is_err() && "RWQ".parse::<PublicKey>().is_err());
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_damaged_is_refused_and_stays() {
        let (dir, _key) = key();
        let file = dir.path().join(KEY_FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(problem(&file).contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, &text[..text.len() / 2]).unwrap();
        let words = problem(&file);
        assert!(words.contains("nothing was signed") && !words.contains(&text[30..60]), "{words}");
        assert_eq!(fs::read_to_string(&file).unwrap(), &text[..text.len() / 2]);
    }
}
