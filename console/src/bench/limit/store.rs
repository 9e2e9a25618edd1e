//! The store of the limit: redb, one thread, one commit for all that wait.

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::{Condvar, Mutex};
use redb::{Database, ReadableTable as _, TableDefinition};
use tokio::sync::Notify;

use super::{READY, put_frame};

/// One row for each request, in the order they came.
const REQUESTS: TableDefinition<'_, &[u8; 12], &[u8]> = TableDefinition::new("requests");
const COUNTER: TableDefinition<'_, &str, u64> = TableDefinition::new("counter");

/// The way out of a connection.
#[derive(Default)]
pub(super) struct Out {
    pub(super) buffer: Mutex<BytesMut>,
    pub(super) wake: Notify,
}

impl Out {
    pub(super) fn tell_ready(&self) {
        put_frame(&mut self.buffer.lock(), READY, &[]);
        self.wake.notify_one();
    }
}

/// A request that waits for its commit.
pub(super) struct Waiting {
    pub(super) out: Arc<Out>,
    pub(super) number: u64,
    pub(super) body: Bytes,
}

/// What waits for the next commit.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    wake: Condvar,
}

impl Queue {
    pub(super) fn push(&self, waiting: &mut Vec<Waiting>) {
        self.waiting.lock().append(waiting);
        self.wake.notify_one();
    }

    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock();
        while waiting.is_empty() {
            self.wake.wait(&mut waiting);
        }
        std::mem::take(&mut waiting)
    }
}

/// Opens the store, as a new one or one that another process left.
pub(super) fn open(folder: &Path) -> Result<Database, redb::Error> {
    let db = Database::create(folder.join("limit.redb"))?;
    Ok(db)
}

/// Commits until the process ends.
pub(super) fn write(db: &Database, queue: &Queue) -> Result<(), redb::Error> {
    loop {
        let batch = queue.take();
        let mut counted = Vec::with_capacity(batch.len());
        let txn = db.begin_write()?;
        {
            let mut requests = txn.open_table(REQUESTS)?;
            let mut counter = txn.open_table(COUNTER)?;
            let mut count = counter.get("count")?.map_or(0, |count| count.value());
            for request in &batch {
                count += 1;
                let mut key = [0; 12];
                key[4..].copy_from_slice(&request.number.to_be_bytes());
                // As much as a reply and a digest of the request take.
                let mut row = [0; 32];
                row[..8].copy_from_slice(&count.to_le_bytes());
                row[16..].copy_from_slice(&request.body[..16]);
                requests.insert(&key, &row[..])?;
                counted.push(count);
            }
            // Once for all of them: there is one counter, and nobody could see a value between.
            counter.insert("count", count)?;
        }
        txn.commit()?;
        for (request, count) in batch.into_iter().zip(counted) {
            put_frame(&mut request.out.buffer.lock(), request.number, &count.to_le_bytes());
            request.out.wake.notify_one();
        }
    }
}
