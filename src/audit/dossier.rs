//! What each side knows of one transaction: the ledger, the wallet, chain and mempool; and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::snapshot::decoded;
use super::{AuditError, StrayCoins, Suspect, SuspectKind, Verdict, records};
use crate::coin::{Amount, BlockHash, OutPoint, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{Entry, RpcError, Wallet};
use crate::ledger::{Claim, Followed, Posting, TxState, following};
use crate::store::{Store, StoreError, Tx};

/// Transactions that are told of at a time.
const TOLD: usize = 20;
/// Postings, entries and outputs of one transaction that are told.
const LINES: usize = 20;

/// What is known of the transactions that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The name of the wallet that it is of.
    #[serde(default)]
    pub wallet: String,
    /// When the last audit was; none before the first.
    pub audited: Option<Timestamp>,
    /// What it came to.
    pub verdict: Option<Verdict>,
    /// What it said besides naming transactions.
    pub remarks: Vec<String>,
    /// The coins that one side alone had.
    pub coins: Option<StrayCoins>,
    /// The transactions.
    pub dossiers: Vec<Dossier>,
    /// How many more the last audit named.
    pub more: u64,
    /// Why the wallet could not be asked.
    pub unasked: Option<String>,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dossier {
    /// Which.
    pub txid: Txid,
    /// As what the last audit named it; none: it did not.
    pub suspect: Option<Suspect>,
    /// What the ledger knows.
    pub ledger: LedgerFacts,
    /// What the wallet knows now; none: it was not asked, or it does not know the transaction.
    pub wallet: Option<WalletFacts>,
    /// What chain and mempool say; none: they were not asked.
    pub chain: Option<ChainFacts>,
    /// What a person does about it.
    pub next: String,
}

/// What the ledger knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerFacts {
    /// Where it stands; none: the ledger never saw it.
    pub followed: Option<Followed>,
    /// What it was ordered as, such as a batch; none: by nobody.
    pub claim: Option<Claim>,
    /// Its postings, oldest first; the first of them.
    pub postings: Vec<Posting>,
}

/// What the wallet knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletFacts {
    /// Blocks since, by the wallet's count; negative when it lost to another one.
    pub confirmations: i64,
    /// What it lists for it; the first of them.
    pub entries: Vec<Entry>,
}

/// What chain and mempool say of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainFacts {
    /// Whether the mempool holds it.
    pub in_mempool: bool,
    /// The blocks that either side has it in.
    pub blocks: Vec<PlacedBlock>,
    /// Its outputs; of a transaction that the wallet does not know those that were posted.
    pub outputs: Vec<PlacedOutput>,
}

/// A block, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedBlock {
    /// The block.
    pub block: BlockHash,
    /// Its height; none: the daemon does not know it.
    pub height: Option<u64>,
    /// Whether it is on the active chain.
    pub active: bool,
}

/// An output, and whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedOutput {
    /// Its position.
    pub vout: u32,
    /// Its amount; none where nobody says.
    pub amount: Option<Amount>,
    /// Whether chain or mempool hold it unspent; none where the daemon did not say.
    pub unspent: Option<bool>,
}

pub(super) fn explain(
    store: &mut Store,
    name: &str,
    wallet: Result<&dyn Wallet, RpcError>,
    coin: &CoinSettings,
    txid: Option<&Txid>,
) -> Result<Explanation, AuditError> {
    let last = store.read(|tx| records::last(tx, coin.wallet.followed(name)))?;
    let name = match &wallet {
        Ok(wallet) => wallet.identity()?.name,
        Err(_) => name.to_owned(),
    };
    let suspects = last.as_ref().map(|last| last.suspects.clone()).unwrap_or_default();
    let txids: Vec<Txid> = match txid {
        Some(txid) => vec![*txid],
        None => suspects.iter().map(|suspect| suspect.txid).collect::<BTreeSet<_>>().into_iter().collect(),
    };
    let (wallet, unasked) = match wallet {
        Ok(wallet) => (Some(wallet), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let mut dossiers = Vec::new();
    for txid in txids.iter().take(TOLD) {
        let suspect = suspects.iter().find(|suspect| suspect.txid == *txid).cloned();
        dossiers.push(dossier(store, wallet, &name, *txid, suspect)?);
    }
    let more = txids.len().saturating_sub(TOLD) as u64;
    let (audited, verdict) = (last.as_ref().map(|last| last.time), last.as_ref().map(|last| last.verdict));
    let (remarks, coins) = last.map(|last| (last.remarks, last.coins)).unwrap_or_default();
    Ok(Explanation { wallet: name, audited, verdict, remarks, coins, dossiers, more, unasked })
}

fn dossier(
    store: &mut Store,
    wallet: Option<&dyn Wallet>,
    name: &str,
    txid: Txid,
    suspect: Option<Suspect>,
) -> Result<Dossier, AuditError> {
    let ledger = store.read(|tx| ledger_facts(tx, name, &txid))?;
    let (mut known, mut chain) = (None, None);
    if let Some(wallet) = wallet {
        known = wallet.transaction(&txid)?.map(|known| WalletFacts {
            confirmations: known.confirmations,
            entries: known.entries.into_iter().take(LINES).collect(),
        });
        chain = Some(chain_facts(wallet, &txid, &ledger, known.as_ref())?);
    }
    let next = next(suspect.as_ref(), &ledger, wallet.is_some().then_some(known.is_some())).to_owned();
    Ok(Dossier { txid, suspect, ledger, wallet: known, chain, next })
}

fn ledger_facts(tx: &Tx<'_>, name: &str, txid: &Txid) -> Result<LedgerFacts, StoreError> {
    let followed = following::one(tx, name, txid)?;
    let claim = following::claim_of(tx, txid, followed.as_ref().and_then(|followed| followed.comment.as_deref()))?;
    Ok(LedgerFacts { followed, claim, postings: following::postings_of(tx, txid, LINES)? })
}

fn chain_facts(
    wallet: &dyn Wallet,
    txid: &Txid,
    ledger: &LedgerFacts,
    known: Option<&WalletFacts>,
) -> Result<ChainFacts, RpcError> {
    let posted = ledger.followed.as_ref().and_then(|followed| match followed.state {
        TxState::Confirmed { block, .. } | TxState::Immature { block, .. } => Some(block),
        _ => None,
    });
    let shown = known.into_iter().flat_map(|known| &known.entries).filter_map(|entry| entry.block);
    let mut blocks = Vec::new();
    for block in posted.into_iter().chain(shown).collect::<BTreeSet<_>>() {
        let place = wallet.block_place(&block)?;
        blocks.push(PlacedBlock {
            block,
            height: place.map(|place| place.height),
            active: place.is_some_and(|place| place.active),
        });
    }
    let outputs = match known {
        Some(_) => decoded(wallet, txid)?.map(|transaction| transaction.outputs).unwrap_or_default(),
        None => vec![],
    };
    let decoded = outputs.iter().map(|output| (output.vout, Some(output.amount)));
    let posted = ledger.postings.iter().filter_map(|posting| Some((posting.vout?, posting.amount.checked_neg().ok())));
    let outputs: BTreeMap<u32, Option<Amount>> = posted.chain(decoded).collect();
    let placed = |(vout, amount)| PlacedOutput {
        vout,
        amount,
        unspent: wallet.chain_coin(&OutPoint { txid: *txid, vout }).ok().map(|coin| coin.is_some()),
    };
    Ok(ChainFacts {
        in_mempool: wallet.in_mempool(txid)?,
        blocks,
        outputs: outputs.into_iter().take(LINES).map(placed).collect(),
    })
}

/// What a person does about it. `known`: whether the wallet knows it now, where it was asked.
fn next(suspect: Option<&Suspect>, ledger: &LedgerFacts, known: Option<bool>) -> &'static str {
    match (suspect.map(|suspect| suspect.kind), known) {
        (Some(SuspectKind::Lost), Some(true)) => "the wallet knows it again: `bursar audit run --deep`",
        (Some(SuspectKind::Lost), _) => "`bursar repair plan` says how the wallet finds it again",
        (Some(SuspectKind::Extra), _) => "`bursar ledger sync`, then `bursar audit run --deep`: it should be posted by then",
        (Some(SuspectKind::Changed), _) => {
            "see on the chain which amount is true. The ledger's: `bursar repair plan`. The wallet's: `bursar ledger explain` follows it, under your name"
        }
        (Some(SuspectKind::Contradicted), _) => {
            "if its block is on the active chain, the wallet is wrong: `bursar repair plan`; if not, `bursar ledger sync` finds the proof"
        }
        (Some(SuspectKind::Puzzling), _) => {
            "a newer bursar may know what it is; until then a person has to look at it on the chain"
        }
        (Some(SuspectKind::Unexplained), _) => "find out who paid, then `bursar ledger explain TXID --as ACCOUNT --reason …`",
        (Some(SuspectKind::FoundLate), _) => "nothing: it is posted now",
        (Some(SuspectKind::Limbo), _) => {
            "nothing yet: bursar broadcasts its payments again with each block; if it stays, its fee may be too low"
        }
        (Some(SuspectKind::Transfer | SuspectKind::Untrusted | SuspectKind::Pending), _) => {
            "nothing: it waits for its confirmation"
        }
        (None, _) if ledger.followed.is_none() && known == Some(false) => "neither ledger nor wallet know it: check the id",
        (None, _) if ledger.followed.is_none() => "the ledger does not follow it: `bursar ledger sync`",
        (None, _) => "nothing: the last audit did not name it",
    }
}
