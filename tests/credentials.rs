//! Secrets as systemd hands them over: in a folder named by the environment, with the mode that an ACL gives them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::{Generation, World};

/// Exit code and words of `backup verify` with this folder of credentials.
fn verify(world: &World, credentials: Option<&Path>) -> (Option<i32>, String) {
    let mut command = world.bursar_command(&["backup", "verify"]);
    command.env_remove("CREDENTIALS_DIRECTORY");
    if let Some(folder) = credentials {
        command.env("CREDENTIALS_DIRECTORY", folder);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_backup_is_opened_with_an_identity_that_systemd_passes() {
    let world = World::with(Generation::Litecoin021, &[("backup.identity_file", "\"credential:backup-identity\"")]);
    world.make_backup_places();
    world.start_daemon();
    world.done(&["ledger", "open"]);
    world.done(&["backup", "create"]);
    let folder = world.dir().join("passed");
    let identity = folder.join("backup-identity");
    fs::create_dir(&folder).unwrap();
    fs::copy(world.dir().join("identity.txt"), &identity).unwrap();
    for (mode, opened) in [(0o440, true), (0o400, true), (0o444, false), (0o460, false)] {
        fs::set_permissions(&identity, Permissions::from_mode(mode)).unwrap();
        let (code, words) = verify(&world, Some(&folder));
        assert_eq!(code == Some(0), opened, "{mode:o}: {words}");
        assert!(opened || words.contains("others can read it"), "{words}");
    }
    fs::remove_file(&identity).unwrap();
    for credentials in [Some(folder.as_path()), None] {
        let (code, words) = verify(&world, credentials);
        assert_ne!(code, Some(0));
        assert!(words.contains("systemd passed no such credential") && words.contains("backup-identity"), "{words}");
    }
}
