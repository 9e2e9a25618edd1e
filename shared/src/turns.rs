//! Taking turns with other tasks.

use std::future::poll_fn;
use std::task::Poll;

/// Lets the tasks run that are ready now. Not the runtime's own way to yield, which looks at the network as well:
/// that costs a system call.
pub(crate) async fn let_others_run() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets leave what was put on links just now: one turn for the task that writes to a link, and one for that of its
/// connection, which is woken by it. That holds on a runtime of one thread; on one of several the others may take them, and
/// these turns only give them the time.
pub(crate) async fn let_messages_leave() {
    let_others_run().await;
    let_others_run().await;
}
