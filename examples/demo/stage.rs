//! Where the demo plays: a folder, a settings file, a real litecoind that bursar keeps, and the two programs that an operator would type.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Longest wait for anything that the demo waits for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) dir: PathBuf,
    pub(crate) metrics: String,
    pub(crate) api: String,
    bursar: PathBuf,
    cli: PathBuf,
    rpc_port: u16,
    service: Option<Child>,
}

impl Stage {
    /// Writes settings, an age key pair, and folders; starts nothing.
    pub(crate) fn set(dir: &Path, daemon: &Path, cli: &Path) -> Result<Stage> {
        let [rpc_port, p2p_port, http_port, api_port] = free_ports()?;
        let identity = age::x25519::Identity::generate();
        let key_file = dir.join("identity.txt");
        write_private(&key_file, age::secrecy::ExposeSecret::expose_secret(&identity.to_string()))?;
        for copy in ["backup-a", "backup-b"] {
            fs::create_dir_all(dir.join(copy))?;
        }
        let settings = include_str!("bursar.toml")
            .replace("@daemon@", &daemon.display().to_string())
            .replace("@rpc_port@", &rpc_port.to_string())
            .replace("@p2p_port@", &p2p_port.to_string())
            .replace("@http_port@", &http_port.to_string())
            .replace("@api_port@", &api_port.to_string())
            .replace("@recipient@", &identity.to_public().to_string());
        fs::write(dir.join("bursar.toml"), settings)?;
        let bursar = std::env::current_exe()?.ancestors().nth(2).context("no target folder")?.join("bursar");
        ensure!(bursar.exists(), "{} is not built: run scripts/demo", bursar.display());
        let metrics = format!("http://127.0.0.1:{http_port}/metrics");
        let api = format!("http://127.0.0.1:{api_port}");
        Ok(Stage { dir: dir.to_owned(), metrics, api, bursar, cli: cli.to_owned(), rpc_port, service: None })
    }

    /// `bursar run` in the background, until it answers.
    pub(crate) fn start_service(&mut self) -> Result<()> {
        let log = fs::File::create(self.dir.join("service.log"))?;
        let service = self.command().arg("run").stderr(log).stdout(Stdio::null()).spawn()?;
        self.service = Some(service);
        self.wait_until("the service answers", |stage| Ok(stage.bursar(&["status"])?.0["daemon_error"].is_null()))
    }

    /// SIGTERM, and a patient wait for the end.
    pub(crate) fn stop_service(&mut self) -> Result<()> {
        let Some(mut service) = self.service.take() else { return Ok(()) };
        let pid = rustix::process::Pid::from_child(&service);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = service.wait()?;
        ensure!(status.success(), "the service ended with {status}; see {}", self.dir.join("service.log").display());
        Ok(())
    }

    /// Leaves the service running after the demo; tells its pid.
    pub(crate) fn leave_running(&mut self) -> u32 {
        self.service.take().map_or(0, |service| service.id())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.bursar);
        command.arg("--config").arg(self.dir.join("bursar.toml")).args(["--output", "json"]).stdin(Stdio::null());
        command
    }

    /// Runs one verb; its JSON and its exit code.
    pub(crate) fn bursar(&self, verb: &[&str]) -> Result<(Value, i32)> {
        let output = self.command().args(verb).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(text.trim())
            .with_context(|| format!("bursar {}: {text}{}", verb.join(" "), String::from_utf8_lossy(&output.stderr)))?;
        Ok((json, output.status.code().unwrap_or(-1)))
    }

    /// Runs one verb that must succeed.
    pub(crate) fn must(&self, verb: &[&str]) -> Result<Value> {
        match self.bursar(verb)? {
            (json, 0) => Ok(json),
            (json, code) => bail!("bursar {} exited with {code}: {json}", verb.join(" ")),
        }
    }

    /// The daemon's own command line client, on one of its wallets. The password goes in by a pipe.
    pub(crate) fn cli(&self, wallet: &str, call: &[&str]) -> Result<Value> {
        let credentials = fs::read_to_string(self.dir.join("coin/service/rpc/admin"))?;
        let (user, password) = credentials.trim().split_once(':').context("credentials")?;
        let mut child = Command::new(&self.cli)
            .args(["-regtest", "-stdinrpcpass", &format!("-rpcuser={user}"), &format!("-rpcport={}", self.rpc_port)])
            .arg(format!("-rpcwallet={wallet}"))
            .arg(format!("-datadir={}", self.dir.join("coin/daemon").display()))
            .args(call)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("stdin")?.write_all(format!("{password}\n").as_bytes())?;
        let output = child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(output.status.success(), "{}: {}", call.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Mines to a wallet, and waits until our ledger has seen the tip.
    pub(crate) fn mine(&self, wallet: &str, blocks: u32) -> Result<()> {
        let address = self.text(wallet, &["getnewaddress"])?;
        self.cli(wallet, &["generatetoaddress", &blocks.to_string(), &address])?;
        self.in_step()
    }

    /// Waits until the ledger stands at the daemon's tip.
    pub(crate) fn in_step(&self) -> Result<()> {
        self.must(&["ledger", "sync"]).map(|_| ())
    }

    /// A call that answers with a text.
    pub(crate) fn text(&self, wallet: &str, call: &[&str]) -> Result<String> {
        let answer = self.cli(wallet, call)?;
        answer.as_str().map(str::to_owned).with_context(|| format!("{}: {answer} is not a text", call.join(" ")))
    }

    pub(crate) fn wait_until(&self, what: &str, mut done: impl FnMut(&Stage) -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match done(self) {
                Ok(true) => return Ok(()),
                Ok(false) => "not yet".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            ensure!(Instant::now() < deadline, "waited {} s in vain until {what}: {last}", PATIENCE.as_secs());
            sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Stage {
    /// A demo that fails must leave nothing running.
    fn drop(&mut self) {
        if let Err(error) = self.stop_service() {
            let _ = writeln!(std::io::stderr(), "{error:#}");
        }
    }
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    Ok(writeln!(created, "{text}")?)
}

/// Four ports that are free now; held together, so that they differ.
fn free_ports() -> Result<[u16; 4]> {
    let held = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 4];
    for (port, listener) in ports.iter_mut().zip(held) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}
