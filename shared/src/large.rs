//! Large bodies of requests: counted for as long as anybody holds them, so that peers that send many are told to wait
//! before the memory is gone. Small ones are bounded by the number of requests in hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::limits::{LARGE_BODIES_BYTES_MAX, LARGE_BODY_BYTES};

/// The large bodies a process has in hand.
#[derive(Clone, Default)]
pub(crate) struct LargeBodies {
    bytes: Arc<AtomicUsize>,
}

/// A body, taken off the count when nobody holds it any more.
struct Counted {
    body: Bytes,
    bytes: Arc<AtomicUsize>,
}

impl LargeBodies {
    /// Counts a body. False if there are too many: then it is not counted, and must not be kept.
    pub(crate) fn admit(&self, body: &mut Bytes) -> bool {
        let length = body.len();
        if length <= LARGE_BODY_BYTES {
            return true;
        }
        let before = self.bytes.fetch_add(length, Ordering::Relaxed);
        let counted = Counted { body: std::mem::take(body), bytes: Arc::clone(&self.bytes) };
        if before + length > LARGE_BODIES_BYTES_MAX {
            return false;
        }
        *body = Bytes::from_owner(counted);
        true
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.body.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_count_until_the_last_holder_has_dropped_them() {
        let (held, body) = (LargeBodies::default(), Bytes::from(vec![7; 4 << 20]));
        let mut bodies = vec![body.clone(); LARGE_BODIES_BYTES_MAX / body.len()];
        assert!(bodies.iter_mut().all(|body| held.admit(body)));
        assert!(!held.admit(&mut body.clone()), "one too many");
        assert!(held.admit(&mut Bytes::from(vec![7; LARGE_BODY_BYTES])), "a small one is none of them");
        let slice = bodies[0].slice(..1);
        bodies.pop();
        assert!(held.admit(&mut body.clone()), "there was room again");
        drop(bodies);
        assert_eq!(held.bytes.load(Ordering::Relaxed), body.len(), "part of one is still held");
        drop(slice);
        assert_eq!(held.bytes.load(Ordering::Relaxed), 0);
    }
}
