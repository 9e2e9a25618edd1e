//! When calls are to be sent again, all in all.

use crate::ids::Nanos;

/// How many calls have a time to be sent again, and before when none of them is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Resends {
    count: usize,
    next: Nanos,
}

impl Resends {
    /// Before this none is due; none if no call has a time. It may be too early, by the time of a call that has been
    /// answered since: then whoever looks finds nothing.
    pub(super) fn next(&self) -> Option<Nanos> {
        (self.count > 0).then_some(self.next)
    }

    /// Sets the time of a call, or takes it away.
    pub(super) fn set(&mut self, set: &mut Option<Nanos>, due: Option<Nanos>) {
        self.count -= usize::from(set.is_some());
        *set = due;
        if let Some(due) = due {
            self.next = if self.count == 0 { due } else { self.next.min(due) };
            self.count += 1;
        }
        self.forget_if_none();
    }

    /// All calls were looked at: this is the first that is not due, if there is one.
    pub(super) fn look_again(&mut self, next: Option<Nanos>) {
        // Those that are due are set anew, and later than now.
        self.next = next.unwrap_or(Nanos(u64::MAX));
        self.forget_if_none();
    }

    fn forget_if_none(&mut self) {
        if self.count == 0 {
            self.next = Nanos::default();
        }
    }
}
