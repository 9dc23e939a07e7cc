//! The passphrase's file: plain, or encrypted by age; read at the moment of use.

use std::fs;
use std::io::{BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::UnlockError;
use crate::config::{WalletSettings, open_secret};

/// No passphrase is longer, in bytes; stops a file that is something else.
const MOST_BYTES: usize = 4096;

/// The passphrase, wiped when it is dropped. Errors name the file and never what is in it.
pub(super) fn read(settings: &WalletSettings) -> Result<Zeroizing<String>, UnlockError> {
    let file = settings.passphrase_file.as_deref().unwrap_or(Path::new(""));
    let at = |file: &Path| {
        let file = file.to_owned();
        move |problem: String| UnlockError::File { file, problem }
    };
    let opened = open_secret(file).map_err(at(file))?;
    let bytes = match &settings.passphrase_identity_file {
        None => read_all(opened).map_err(at(file))?,
        Some(identity_file) => {
            let identities = identities(identity_file).map_err(at(identity_file))?;
            decrypt(BufReader::new(opened), &identities).map_err(at(file))?
        }
    };
    one_line(&bytes).map_err(at(file))
}

/// What tells whether the file was changed: nothing of what is in it.
pub(super) fn print_of(settings: &WalletSettings) -> String {
    let files = [&settings.passphrase_file, &settings.passphrase_identity_file];
    let prints = files.into_iter().flatten().map(|file| {
        fs::metadata(file).map_or_else(
            |error| format!("{:?}", error.kind()),
            |about| {
                format!(
                    "{}:{}:{}.{}:{}.{}",
                    about.ino(),
                    about.len(),
                    about.mtime(),
                    about.mtime_nsec(),
                    about.ctime(),
                    about.ctime_nsec()
                )
            },
        )
    });
    prints.collect::<Vec<_>>().join(" ")
}

fn read_all(reader: impl Read) -> Result<Zeroizing<Vec<u8>>, String> {
    // Large enough from the beginning: a buffer that grows leaves what it held behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 64));
    reader.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > MOST_BYTES {
        return Err(format!("it is longer than {MOST_BYTES} bytes, so it is no passphrase"));
    }
    Ok(bytes)
}

fn identities(file: &Path) -> Result<Vec<Box<dyn age::Identity + Send + Sync>>, String> {
    let opened = open_secret(file)?;
    // age names a bad line by its number only, so its words can be passed on.
    let parsed = age::IdentityFile::from_buffer(BufReader::new(opened)).map_err(|error| error.to_string())?;
    parsed.into_identities().map_err(|error| error.to_string())
}

fn decrypt(
    file: impl std::io::BufRead,
    identities: &[Box<dyn age::Identity + Send + Sync>],
) -> Result<Zeroizing<Vec<u8>>, String> {
    let decryptor = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(file)).map_err(|error| error.to_string())?;
    let plain = decryptor.decrypt(identities.iter().map(|identity| identity.as_ref() as &dyn age::Identity));
    read_all(plain.map_err(|error| error.to_string())?)
}

/// The one line of the file, without the line's end that editors add.
fn one_line(bytes: &[u8]) -> Result<Zeroizing<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err("it is empty".to_owned());
    }
    if line.contains(['\n', '\r', '\0']) {
        return Err("it holds more than one line: the passphrase alone is expected".to_owned());
    }
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use age::secrecy::ExposeSecret;

    use super::*;

    const SECRET: &str = "correct horse ü";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
            let file = self.0.path().join(name);
            fs::write(&file, bytes).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            file
        }

        fn plain(&self, bytes: &[u8], mode: u32) -> WalletSettings {
            WalletSettings { passphrase_file: Some(self.file("passphrase", bytes, mode)), ..WalletSettings::default() }
        }

        /// Encrypted to a new identity, which lies beside it.
        fn encrypted(&self, armored: bool) -> WalletSettings {
            let identity = age::x25519::Identity::generate();
            let format = if armored { age::armor::Format::AsciiArmor } else { age::armor::Format::Binary };
            let mut bytes = Vec::new();
            let to: &dyn age::Recipient = &identity.to_public();
            let output = age::armor::ArmoredWriter::wrap_output(&mut bytes, format).unwrap();
            let mut output = age::Encryptor::with_recipients(std::iter::once(to)).unwrap().wrap_output(output).unwrap();
            output.write_all(SECRET.as_bytes()).unwrap();
            output.finish().unwrap().finish().unwrap();
            WalletSettings {
                passphrase_file: Some(self.file("passphrase.age", &bytes, 0o600)),
                passphrase_identity_file: Some(self.file("identity", identity.to_string().expose_secret().as_bytes(), 0o600)),
                ..WalletSettings::default()
            }
        }
    }

    fn problem(settings: &WalletSettings) -> String {
        let error = read(settings).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains("horse"), "{said}");
        error.to_string()
    }

    #[test]
    fn the_line_is_read_without_its_end() {
        for end in ["", "\n", "\r\n"] {
            let folder = Folder::new();
            assert_eq!(*read(&folder.plain(format!("{SECRET}{end}").as_bytes(), 0o600)).unwrap(), SECRET);
        }
        let folder = Folder::new();
        assert_eq!(*read(&folder.plain(b" with spaces \n", 0o400)).unwrap(), " with spaces ");
    }

    #[test]
    fn a_file_that_is_no_passphrase_or_that_others_can_read_is_refused_without_showing_it() {
        let folder = Folder::new();
        let long = "horse".repeat(1000);
        for (bytes, mode, words) in [
            (SECRET.as_bytes(), 0o640, "chmod 600"),
            (SECRET.as_bytes(), 0o604, "chmod 600"),
            (b"".as_slice(), 0o600, "empty"),
            (b"\n".as_slice(), 0o600, "empty"),
            (b"horse\nhorse\n".as_slice(), 0o600, "more than one line"),
            (b"horse\xff".as_slice(), 0o600, "UTF-8"),
            (long.as_bytes(), 0o600, "longer than"),
        ] {
            let said = problem(&folder.plain(bytes, mode));
            assert!(said.contains(words), "{said}");
        }
        let missing = WalletSettings { passphrase_file: Some(folder.0.path().join("none")), ..WalletSettings::default() };
        assert!(problem(&missing).contains("No such file"));
        let not_a_file = WalletSettings { passphrase_file: Some(folder.0.path().to_owned()), ..WalletSettings::default() };
        assert!(problem(&not_a_file).contains("not a file"));
    }

    #[test]
    fn an_age_file_is_decrypted_by_its_identity_and_by_no_other() {
        for armored in [false, true] {
            let (folder, other) = (Folder::new(), Folder::new());
            let settings = folder.encrypted(armored);
            assert_eq!(*read(&settings).unwrap(), SECRET);
            let strangers = WalletSettings {
                passphrase_identity_file: other.encrypted(armored).passphrase_identity_file,
                ..settings.clone()
            };
            problem(&strangers);
            let exposed = settings.passphrase_identity_file.clone().unwrap();
            fs::set_permissions(&exposed, Permissions::from_mode(0o644)).unwrap();
            assert!(problem(&settings).contains("chmod 600"));
        }
    }

    #[test]
    fn the_print_tells_another_file_and_nothing_of_what_is_in_it() {
        let folder = Folder::new();
        let settings = folder.plain(SECRET.as_bytes(), 0o600);
        let print = print_of(&settings);
        assert_eq!(print, print_of(&settings));
        let replaced = folder.file("new", b"another passphrase", 0o600);
        fs::rename(replaced, settings.passphrase_file.as_ref().unwrap()).unwrap();
        assert_ne!(print, print_of(&settings));
        assert!(!print.contains("horse"));
    }
}
