//! What a daemon's last words mean, and whether starting it again can help. Pure.

/// A known kind of end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The wallet file is damaged.
    WalletDamaged,
}

impl Trouble {
    /// What to do about it.
    pub fn next(self) -> &'static str {
        match self {
            Trouble::WalletDamaged => "do not start it again: `bursar repair plan`",
        }
    }

    /// Whether it may go away by itself, so that another start is worth trying.
    pub fn may_pass(self) -> bool {
        match self {
            Trouble::WalletDamaged => false,
        }
    }
}

/// The trouble that these last lines tell of; none: unknown.
pub fn recognise(_last_lines: &[String]) -> Option<Trouble> {
    None
}
