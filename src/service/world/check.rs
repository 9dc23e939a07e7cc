//! Whether all is well, check by check.

use super::World;
use crate::service::CheckReport;

impl World {
    /// Checks everything. What cannot be found out is a finding, not a failure.
    pub(super) fn check(&mut self) -> CheckReport {
        CheckReport { checks: vec![] }
    }
}
