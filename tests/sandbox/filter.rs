//! The units' own `SystemCallFilter=` and its relatives as seccomp programs, for the sandbox of the test.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use seccompiler::{BpfProgram, TargetArch, compile_from_json};
use serde_json::{Value, json};

/// EPERM, as `SystemCallErrorNumber=` of the units says.
const NOT_PERMITTED: u32 = 1;
/// ENOSYS: what systemd answers to `clone3` under `RestrictNamespaces=`, so that the C library takes `clone`.
const NOT_THERE: u32 = 38;

/// PROT_WRITE and PROT_EXEC.
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;
/// SHM_EXEC.
const SHM_EXECUTE: u64 = 0o100_000;
/// All of CLONE_NEW*.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// S_ISUID and S_ISGID.
const SET_ID: u64 = 0o6000;
/// AF_UNIX, AF_INET, AF_INET6.
const FAMILIES: [(&str, u64); 3] = [("AF_UNIX", 1), ("AF_INET", 2), ("AF_INET6", 10)];

/// A unit's lines.
pub(crate) struct Unit(String);

impl Unit {
    /// One of the units that are shipped.
    pub(crate) fn read(name: &str) -> Unit {
        Unit(fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)).expect("the unit"))
    }

    fn values(&self, key: &str) -> Vec<&str> {
        self.0.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    }

    fn is_on(&self, key: &str) -> bool {
        self.values(key).last() == Some(&"yes")
    }

    /// What the filter allows: the first line's calls, less those of the lines with `~`.
    fn allowed(&self) -> BTreeSet<String> {
        let mut allowed = BTreeSet::new();
        for line in self.values("SystemCallFilter") {
            match line.strip_prefix('~') {
                Some(denied) => {
                    let denied: BTreeSet<String> = denied.split_whitespace().flat_map(expand).collect();
                    allowed.retain(|call| !denied.contains(call));
                }
                None => allowed.extend(line.split_whitespace().flat_map(expand)),
            }
        }
        allowed
    }

    /// Writes the programs into the folder; returns their files.
    pub(crate) fn programs(&self, folder: &Path) -> [PathBuf; 2] {
        assert_eq!(self.values("SystemCallErrorNumber"), ["EPERM"]);
        assert!(self.is_on("NoNewPrivileges") && self.is_on("RestrictNamespaces"));
        let (known, unknown): (Vec<String>, Vec<String>) = self.allowed().into_iter().partition(|call| is_known(call));
        assert!(known.len() > 200, "{known:?}");
        println!(
            "allowed by the unit, unknown to this machine's kind or to seccompiler, and so denied here: {}",
            unknown.join(" ")
        );
        let rules = known.iter().flat_map(|call| self.rules(call)).collect();
        let filter = compile(json!({"errno": NOT_PERMITTED}), json!("allow"), rules);
        let no_clone3 = compile(json!("allow"), json!({"errno": NOT_THERE}), vec![json!({"syscall": "clone3"})]);
        [("filter", filter), ("no-clone3", no_clone3)].map(|(name, program)| write(&folder.join(name), &program))
    }

    /// The call, with what the unit wants of its arguments.
    fn rules(&self, call: &str) -> Vec<Value> {
        let when = |index: u8, operation: Value, value: u64| json!({"syscall": call, "args": [{"index": index, "type": "dword", "op": operation, "val": value}]});
        let without = |index: u8, bits: u64| vec![when(index, json!({"masked_eq": bits}), 0)];
        let no_new_code = self.is_on("MemoryDenyWriteExecute");
        match call {
            "mmap" if no_new_code => {
                [0, WRITE, EXECUTE].iter().map(|bits| when(2, json!({"masked_eq": WRITE | EXECUTE}), *bits)).collect()
            }
            "mprotect" | "pkey_mprotect" if no_new_code => without(2, EXECUTE),
            "shmat" if no_new_code => without(2, SHM_EXECUTE),
            "socket" => {
                let families = self.values("RestrictAddressFamilies").concat();
                let number = |name: &str| FAMILIES.iter().find(|family| family.0 == name).expect("a family that is known").1;
                families.split_whitespace().map(|name| when(0, json!("eq"), number(name))).collect()
            }
            "clone" => without(0, NEW_NAMESPACES),
            "chmod" | "fchmod" | "mkdir" if self.is_on("RestrictSUIDSGID") => without(1, SET_ID),
            "fchmodat" | "mkdirat" if self.is_on("RestrictSUIDSGID") => without(2, SET_ID),
            _ => vec![json!({"syscall": call})],
        }
    }
}

/// A call, or all calls of a group, as systemd counts them.
fn expand(word: &str) -> Vec<String> {
    if !word.starts_with('@') {
        return vec![word.to_owned()];
    }
    let output = Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", word]).output();
    let output = output.expect("systemd-analyze runs: scripts/test brings it");
    let text = String::from_utf8(output.stdout).expect("text");
    let members = text.lines().skip(1).map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let members: Vec<String> = members.flat_map(expand).collect();
    assert!(!members.is_empty(), "{word}: {text}");
    members
}

fn is_known(call: &str) -> bool {
    try_compile(json!("allow"), json!({"errno": NOT_PERMITTED}), vec![json!({"syscall": call})]).is_some()
}

fn compile(otherwise: Value, matched: Value, rules: Vec<Value>) -> BpfProgram {
    try_compile(otherwise, matched, rules).expect("a filter")
}

fn try_compile(otherwise: Value, matched: Value, rules: Vec<Value>) -> Option<BpfProgram> {
    let text = json!({"main": {"mismatch_action": otherwise, "match_action": matched, "filter": rules}}).to_string();
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("an architecture that seccompiler knows");
    compile_from_json(text.as_bytes(), arch).ok()?.remove("main")
}

/// As the kernel, and bubblewrap, read it: `struct sock_filter` after `struct sock_filter`.
fn write(path: &Path, program: &BpfProgram) -> PathBuf {
    let mut file = File::create(path).expect("a file");
    for instruction in program {
        let mut bytes = instruction.code.to_ne_bytes().to_vec();
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
        file.write_all(&bytes).expect("written");
    }
    path.to_owned()
}
