//! A program in front of the daemon that a test can change while bursar runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Generation;

/// A script that `daemon.program` names. What it does is changed by replacing the whole file, as a package manager would.
pub struct ProgramSwitch {
    dir: TempDir,
}

impl ProgramSwitch {
    /// A script that runs this daemon.
    pub fn to(generation: Generation) -> ProgramSwitch {
        let switch = ProgramSwitch { dir: tempfile::tempdir().expect("a folder") };
        switch.turn_to(generation);
        switch
    }

    /// The script.
    pub fn program(&self) -> PathBuf {
        self.dir.path().join("coind")
    }

    /// A folder for what a script leaves or waits for.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The same as a TOML value for `daemon.program`.
    pub fn setting(&self) -> String {
        format!("'{}'", self.program().display())
    }

    /// From now on it runs this daemon.
    pub fn turn_to(&self, generation: Generation) {
        self.write(&format!("exec {} \"$@\"", generation.program().display()));
    }

    /// A STAND-IN for a broken daemon: asked for its options it answers as this one would, and otherwise it does what `script` says.
    pub fn stand_in(&self, generation: Generation, script: &str) {
        let program = generation.program();
        self.write(&format!("case \"$*\" in *-help*) exec {} \"$@\";; esac\n{script}", program.display()));
    }

    fn write(&self, script: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, format!("#!/bin/sh\n{script}\n")).expect("the script");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o700)).expect("its mode");
        fs::rename(&new, self.program()).expect("the script in its place");
    }
}
