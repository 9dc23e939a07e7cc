//! Coin profiles: those built in, and those from a directory, which add to them or take their place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ConfigError, source};
use crate::coin::{BUILT_IN, Profile, ProfileError};

/// All profiles by name. A file `NAME.toml` in `dir` takes the place of the built-in profile of that name.
pub(super) fn load(dir: Option<&Path>) -> Result<BTreeMap<String, Profile>, ConfigError> {
    let mut profiles = BTreeMap::new();
    for (name, text) in BUILT_IN {
        profiles.insert((*name).to_owned(), parse(text, Path::new(&format!("built-in profile {name}")))?);
    }
    for file in dir.map_or(Ok(Vec::new()), toml_files)? {
        let profile = parse(&source::read(&file)?, &file)?;
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if profile.name != stem {
            let problem = format!("the profile calls itself '{}': name the file {0}.toml", profile.name);
            return Err(ConfigError { file: file.clone(), line: 0, key: "name".to_owned(), problem });
        }
        profiles.insert(profile.name.clone(), profile);
    }
    Ok(profiles)
}

fn parse(text: &str, file: &Path) -> Result<Profile, ConfigError> {
    Profile::parse(text, &file.display().to_string()).map_err(|ProfileError { line, key, problem, .. }| ConfigError {
        file: file.to_owned(),
        line,
        key,
        problem,
    })
}

fn toml_files(dir: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError {
        file: dir.to_owned(),
        line: 0,
        key: "profiles_dir".to_owned(),
        problem: format!("cannot be read ({error}): correct profiles_dir or leave it out"),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
