//! Every kind of trouble between a ledger and its wallet that we know, made for real on the real daemons: what an operator's `audit run` says of it,
//! which transactions it names and as what, whether payouts freeze, and what ends it. README.md has the same table for people.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod daemons;
mod found;
mod lost;
mod readme;
mod reorgs;
mod scene;
mod unconfirmed;
mod unordered;
mod wallets;

use std::collections::BTreeSet;

use bursar::coin::Txid;

use crate::scene::Scene;
use crate::support::Generation;

/// What an audit is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Agrees,
    Explained,
    Unexplained,
    /// It comes to no verdict: the code of the failure.
    Fails(&'static str),
}

impl Says {
    fn word(self) -> &'static str {
        match self {
            Says::Agrees => "agrees",
            Says::Explained => "explained",
            Says::Unexplained => "unexplained",
            Says::Fails(code) => code,
        }
    }
}

/// A kind of trouble, as a row of the README's table.
struct Trouble {
    /// Its first cell.
    kind: &'static str,
    /// The daemons that can have it.
    on: &'static [Generation],
    says: Says,
    /// As what transactions are named, sorted.
    names: &'static [&'static str],
    frozen: bool,
    make: fn(&mut Scene) -> Made,
}

/// A trouble that was made.
struct Made {
    /// Every transaction that has to be named, and as what.
    named: BTreeSet<(&'static str, Txid)>,
    /// What ends it: after that the audit agrees, and payouts are open.
    mend: Mend,
}

type Mend = Box<dyn FnOnce(&mut Scene)>;

impl Made {
    /// One that ends by `mend`.
    fn until(named: &[(&'static str, Txid)], mend: impl FnOnce(&mut Scene) + 'static) -> Made {
        Made { named: named.iter().copied().collect(), mend: Box::new(mend) }
    }
}

const ALL: &[Generation] = &Generation::ALL;
/// The daemons with wallets of Berkeley DB, whose keys can be had one by one.
const WITH_KEYS: &[Generation] = &[Generation::Litecoin018, Generation::Litecoin021];

/// All of them.
fn troubles() -> impl Iterator<Item = &'static Trouble> {
    let themes = [
        lost::TROUBLES,
        found::TROUBLES,
        unordered::TROUBLES,
        reorgs::TROUBLES,
        unconfirmed::TROUBLES,
        wallets::TROUBLES,
        daemons::TROUBLES,
    ];
    themes.into_iter().flatten()
}

/// Makes one trouble after the other in a world, which agrees before and after each; a new world when its chain is long.
fn play(troubles: &[Trouble], generation: Generation, world: impl Fn() -> Scene) {
    let mut scene = world();
    for trouble in troubles.iter().filter(|trouble| trouble.on.contains(&generation)) {
        if !scene.has_room() {
            scene = world();
        }
        play_one(trouble, &mut scene, &format!("{generation:?}: {}", trouble.kind));
    }
}

fn play_one(trouble: &Trouble, scene: &mut Scene, context: &str) {
    scene.assert_agrees(&format!("{context}: before"));
    let Made { named, mend } = (trouble.make)(scene);
    let kinds: BTreeSet<&str> = named.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), trouble.names, "{context}: as the table says");
    let audit = scene.audit();
    let found = (audit.says.as_str(), &audit.named, audit.frozen);
    let named = named.iter().map(|(kind, txid)| ((*kind).to_owned(), *txid)).collect();
    assert_eq!(found, (trouble.says.word(), &named, trouble.frozen), "{context}: {:#}", audit.whole);
    if trouble.says == Says::Unexplained {
        // What an entry of an unknown kind is worth is unknown too.
        let accounted = audit.whole["residue"] == 0 || trouble.names == ["puzzling"];
        assert!(accounted, "{context}: what is named accounts for all of it: {:#}", audit.whole);
        let again = scene.audit();
        assert_eq!((&again.says, &again.named, again.frozen), (&audit.says, &audit.named, true), "{context}: again");
    }
    mend(scene);
    scene.assert_agrees(&format!("{context}: after"));
    assert_eq!(scene.world.done(&["ledger", "verify"])["fault"], serde_json::Value::Null, "{context}");
}

/// Plays the troubles of a module on each daemon.
macro_rules! on_each_daemon {
    ($troubles:expr, $scene:expr) => {
        #[test]
        fn on_litecoin_0_18() {
            crate::play($troubles, crate::Generation::Litecoin018, || $scene(crate::Generation::Litecoin018));
        }

        #[test]
        fn on_litecoin_0_21() {
            crate::play($troubles, crate::Generation::Litecoin021, || $scene(crate::Generation::Litecoin021));
        }

        #[test]
        fn on_knots() {
            crate::play($troubles, crate::Generation::Knots, || $scene(crate::Generation::Knots));
        }
    };
}
use on_each_daemon;
