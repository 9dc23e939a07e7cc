//! A daemon that bursar did not start.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Generation, World, free_port, wait_for};

/// A daemon on the world's folder that is none of the keeper's; it ends with the value.
pub struct ForeignDaemon(pub Child);

impl ForeignDaemon {
    /// Starts it with no conf of ours and another port, and waits until it works on the folder.
    pub fn start(world: &World) -> ForeignDaemon {
        let no_conf = world.dir().join("none.conf");
        File::create(&no_conf).unwrap();
        let log = world.coin().chain_dir().join("debug.log");
        fs::remove_file(&log).unwrap();
        let mut command = Command::new(world.generation.program());
        command.args(["-regtest", "-listen=0", "-printtoconsole=0", &format!("-rpcport={}", free_port())]);
        command.arg(format!("-datadir={}", world.coin().daemon_dir().display()));
        command.arg(format!("-conf={}", no_conf.display()));
        if world.generation == Generation::Knots {
            command.arg("-allowignoredconf"); // it notices that the folder holds another conf
        }
        let other = ForeignDaemon(command.stdin(Stdio::null()).spawn().unwrap());
        let loaded = || fs::read_to_string(&log).ok().filter(|text| text.contains("init message: Done loading"));
        wait_for(Duration::from_secs(60), "the other daemon", loaded);
        other
    }
}

impl Drop for ForeignDaemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
