//! The policy of a takeover, as it is told to operators and as the machines know it.

use palib_core::relay::Policy as CorePolicy;

use crate::Policy;

impl From<Policy> for CorePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::RollForward => Self::RollForward,
            Policy::Substitute => Self::Substitute,
            Policy::RollBack => Self::RollBack,
        }
    }
}

impl From<CorePolicy> for Policy {
    fn from(policy: CorePolicy) -> Self {
        match policy {
            CorePolicy::RollForward => Self::RollForward,
            CorePolicy::Substitute => Self::Substitute,
            CorePolicy::RollBack => Self::RollBack,
        }
    }
}
