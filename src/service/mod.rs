//! The long-running side of one coin.
//!
//! Everything that bursar does is an [`Order`], carried out by [`World::execute`] on one thread that owns the store. The CLI places orders on
//! the control socket of the running service; when none runs, it opens the [`World`] itself. So there is one protocol and one way to do a thing.

mod answer;
mod api;
mod exports;
mod failure;
mod http;
mod imports;
mod intake;
mod metrics;
mod notify;
mod order;
mod pulse;
mod run;
mod schedule;
mod server;
/// The tokens of the HTTP API.
pub mod tokens;
mod trigger;
mod webhook;
mod world;

pub(crate) use answer::audit_level;
pub use answer::{
    Answer, AuditSummary, CheckReport, Checked, DaemonReport, FollowedAudit, FollowedStatus, FollowedSync, KeeperWords,
    LastFlush, Level, QueueStatus, StatusReport,
};
pub use api::DESCRIPTION as API_DESCRIPTION;
pub use failure::{Failure, exit};
pub use imports::{IMPORT_HEADER, open_import, unreadable_import};
pub use order::{Order, WithoutStore};
pub use run::run;
use webhook::secrets as webhook_secrets;
pub use world::World;
