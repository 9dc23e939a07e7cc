//! The person at the keyboard, for the record: as the kernel knows them. The environment names whomever it is told to.

use std::env;

use uzers::{get_current_uid, get_user_by_uid};

/// Who gives the order.
pub(super) fn who() -> String {
    let uid = get_current_uid();
    let name = get_user_by_uid(uid).and_then(|user| user.name().to_str().map(str::to_owned));
    named(uid, name, env::var("SUDO_USER").ok())
}

/// The user's name, or number where the host knows no name. For whom root acts only `sudo` knows: root can write what it likes anyhow, and nobody else is
/// believed.
fn named(uid: u32, name: Option<String>, caller: Option<String>) -> String {
    let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("uid:{uid}"));
    match caller.filter(|caller| uid == 0 && !caller.is_empty() && *caller != name) {
        Some(caller) => format!("{name} (for {caller})"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_acts_for_somebody_and_a_user_without_a_name_has_a_number() {
        let told = |uid, name: Option<&str>, caller: Option<&str>| named(uid, name.map(str::to_owned), caller.map(str::to_owned));
        assert_eq!(told(0, Some("root"), Some("alice")), "root (for alice)");
        assert_eq!(told(0, Some("root"), Some("root")), "root");
        assert_eq!(told(0, Some("root"), Some("")), "root");
        assert_eq!(told(0, None, Some("alice")), "uid:0 (for alice)");
        assert_eq!(told(1000, Some("bob"), Some("alice")), "bob");
        assert_eq!(told(1000, None, None), "uid:1000");
    }
}
