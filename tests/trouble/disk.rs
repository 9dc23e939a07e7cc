//! A full disk: a small file system in memory, in a mount namespace of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bursar::keeper::{Keeper, ProcessState};
use serde_json::json;

use crate::support::{Generation, World, wait_for};
use crate::{DEADLINE, fails_with, pid_of, refusal, with_each_keeper};

/// Where the next test has its small disks.
const PLACE: &str = "BURSAR_TEST_SMALL_DISKS";

#[test]
fn a_full_disk_is_named_and_survived() {
    let place = tempfile::tempdir().unwrap();
    let inside = Command::new("unshare")
        .arg("-rm")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "disk::on_small_disks", "--nocapture"])
        .env(PLACE, place.path())
        .stdin(Stdio::null())
        .output()
        .expect("`unshare` of util-linux");
    let said = [inside.stdout, inside.stderr].concat();
    // Without namespaces of its own this cannot be tried, and that must be seen: nothing is skipped in silence.
    assert!(inside.status.success(), "in `unshare -rm`: {}", String::from_utf8_lossy(&said));
}

fn small_disk(name: &str, mebibytes: u32) -> String {
    let dir = Path::new(&std::env::var_os(PLACE).unwrap()).join(name);
    fs::create_dir(&dir).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(&dir).status();
    assert!(mounted.unwrap().success(), "mount of a tmpfs on {}", dir.display());
    dir.display().to_string()
}

/// Writes until nothing more goes.
fn fill(dir: &str) -> std::path::PathBuf {
    let path = Path::new(dir).join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    path
}

fn world_on(generation: Generation, dir: &str) -> World {
    World::with(generation, &[("state_dir", &format!("'{dir}/state'"))])
}

/// Not a test of its own: it is run in a mount namespace.
#[test]
#[ignore = "run by another test"]
fn on_small_disks() {
    for generation in Generation::ALL {
        too_small(generation);
        full_before_the_start(generation);
        filled_while_it_runs(generation);
    }
}

/// A world on a small disk of its own; `name` is used once for each kind of keeper.
fn small_world(generation: Generation, name: &str, mebibytes: u32) -> World {
    let place = Path::new(&std::env::var_os(PLACE).unwrap()).to_owned();
    let name = (0..).map(|number| format!("{generation:?}-{name}-{number}")).find(|name| !place.join(name).exists());
    world_on(generation, &small_disk(&name.unwrap(), mebibytes))
}

fn too_small(generation: Generation) {
    with_each_keeper(
        || small_world(generation, "small", 40),
        |world| {
            let words = ["Disk space is", "the disk is full", "free some space"];
            fails_with(world.keeper().start(&[]), "daemon_not_started", &words);
        },
    );
}

fn full_before_the_start(generation: Generation) {
    with_each_keeper(
        || small_world(generation, "full", 300),
        |world| {
            let mut keeper = world.start_daemon();
            keeper.stop().unwrap();
            let conf = fs::read(world.coin().conf_file()).unwrap();
            let filler = fill(world.coin().state_dir.parent().unwrap().to_str().unwrap());
            let (_, said) = refusal(keeper.start(&[]));
            assert!(said.contains("No space left on device") || said.contains("Disk space is"), "{generation:?}: {said}");
            assert_eq!(fs::read(world.coin().conf_file()).unwrap(), conf, "the conf is whole");
            fs::remove_file(filler).unwrap();
            keeper.start(&[]).unwrap();
            keeper.stop().unwrap();
        },
    );
}

fn filled_while_it_runs(generation: Generation) {
    let dir = small_disk(&format!("{generation:?}-filled"), 300);
    let world = world_on(generation, &dir);
    let mut keeper = world.start_daemon();
    world.mine(3);
    let pid = pid_of(&mut keeper);
    let filler = fill(&dir);
    let ended = wait_for(DEADLINE, "the crash", || {
        // A flush is what it dies of; Knots dies of the next block.
        for (method, params) in [("gettxoutsetinfo", json!([])), ("generatetoaddress", json!([1, crate::support::BURN_ADDRESS]))]
        {
            let _ = world.try_rpc("/", method, params);
        }
        Some(keeper.state()).filter(|state| *state != ProcessState::Running { pid })
    });
    assert!(matches!(&ended, ProcessState::Exited { status, .. } if status.contains("signal")), "{generation:?}: {ended:?}");
    fs::remove_file(filler).unwrap();
    let mut next = Keeper::new(world.coin());
    next.start(&[]).unwrap();
    world.node_rpc("getblockcount", json!([]));
    next.stop().unwrap();
}
