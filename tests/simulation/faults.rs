//! What can go wrong, and how often it does in one history.

use std::collections::BTreeMap;

use super::chance::Chance;

macro_rules! faults {
    ($($name:ident $often:literal $label:literal),+ $(,)?) => {
        /// One kind of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault { $($name),+ }

        impl Fault {
            const ALL: &[(Fault, u64, &str)] = &[$((Fault::$name, $often, $label)),+];
        }
    };
}

// How often: of a thousand occasions, at full intensity. Occasions differ: a call, a step, a commit, an act.
faults! {
    CrashBeforeCall 3 "bursar crashed before a call",
    CrashAfterCall 3 "bursar crashed after a call",
    CrashAtStep 35 "bursar crashed after a step",
    CrashBeforeCommit 6 "bursar crashed before a commit",
    CrashAfterCommit 6 "bursar crashed after a commit",
    QueueFull 6 "the work queue was full",
    LostAnswer 6 "an answer was lost",
    SlowAnswer 8 "an answer was slow",
    DaemonKilled 2 "the daemon was killed",
    SendLost 140 "the reply of a send was lost",
    SendLate 220 "a send ran late",
    CrashWhileItHangs 200 "bursar was killed while a send hung",
    SendNever 90 "a send never ran and nobody said so",
    SendRefused 80 "a send was refused for certain",
    SendFailsBefore 70 "a send failed with -4 before the commit",
    SendFailsAfter 70 "a send failed with -4 or -1 after the commit",
    SendKillsBefore 60 "the daemon died in a send before the commit",
    SendKillsAfter 260 "the daemon died in a send after the commit",
    NotBroadcast 90 "a txid was answered that the mempool never saw",
    CrashAfterBroadcast 80 "bursar crashed right after a broadcast",
    PowerLost 400 "the power failed right after a broadcast",
    Unreadable 30 "the reply of a send could not be read",
    WalletLocked 20 "the wallet was locked",
    BlockAmid 10 "a block came between two calls",
    ReorgAmid 3 "a reorg came between two calls",
    Reorg 120 "a reorg",
    DeepReorg 400 "a reorg deeper than final",
    Contested 60 "a double spend right after a flush",
    Flip 300 "a branch in which our payment won took the place of one in which it lost",
    Eviction 60 "an eviction",
    DoubleSpend 200 "a double spend",
    DepositUndone 400 "a deposit was double-spent by its sender in another branch",
    FeeBump 60 "a fee bump by a stranger hand",
    Restart 150 "a restart of the daemon",
    Kill 100 "a kill of the daemon",
    BlocksLost 300 "blocks were lost with a kill",
    MempoolLost 400 "a mempool was lost with a restart",
    Reboot 80 "a reboot of the host",
    Zap 180 "a zap",
    Salvage 150 "a salvage",
    OldWallet 200 "an old copy of the wallet",
    OtherWallet 600 "another wallet answered",
    PaidByHand 600 "a person paid a batch in doubt by hand",
    PaidAtOnce 120 "a person paid by hand right after a lost answer",
    PaidElse 500 "a person paid the same for another reason",
    StoreRestored 600 "an older copy of the store",
    Poor 100 "funds too low",
    OtherMethod 400 "the method was changed",
    HastyWord 250 "a person called a disputed batch unpaid at once",
    FalseWord 200 "a person said restarted who had not",
}

/// A history has one of two disasters at most: the store goes back, or the wallet.
const OF_STORES: &[Fault] = &[Fault::StoreRestored];
const OF_WALLETS: &[Fault] = &[Fault::Zap, Fault::Salvage, Fault::OldWallet, Fault::Reboot, Fault::PowerLost];

/// Which faults a history has, and which it had.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    chance: Chance,
    often: BTreeMap<Fault, u64>,
    pub(crate) calm: bool,
    pub(crate) counts: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Each history has its own mixture: some kinds often, some never.
    pub(crate) fn new(seed: u64) -> Faults {
        let mut chance = Chance::new(seed ^ 0xFA17);
        let intensity = *[40, 100, 200, 400].get(chance.below(4) as usize).unwrap_or(&100);
        let mut often = BTreeMap::new();
        let spared = if chance.permille(500) { OF_STORES } else { OF_WALLETS };
        for (fault, of_1000, _) in Fault::ALL {
            if !spared.contains(fault) && chance.permille(650) {
                often.insert(*fault, (of_1000 * intensity / 100).clamp(1, 600));
            }
        }
        Faults { chance, often, calm: false, counts: BTreeMap::new() }
    }

    /// Whether it strikes now.
    pub(crate) fn strikes(&mut self, fault: Fault) -> bool {
        let of_1000 = self.often.get(&fault).copied().unwrap_or(0);
        let strikes = !self.calm && of_1000 > 0 && self.chance.permille(of_1000);
        if strikes {
            *self.counts.entry(fault).or_default() += 1;
        }
        strikes
    }

    pub(crate) fn had(&self, fault: Fault) -> bool {
        self.counts.contains_key(&fault)
    }
}

/// Its name in reports.
pub(crate) fn label(fault: Fault) -> &'static str {
    Fault::ALL.iter().find(|(known, ..)| *known == fault).map_or("", |(_, _, label)| label)
}
