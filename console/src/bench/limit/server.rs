//! The server of the limit.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::{Connection, SendStream};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::store::{self, Out, Queue, Waiting};
use super::{Certificates, Frames, GREETING, put_frame};
use crate::bench::part;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Commit it, then answer.
    Durable,
    /// Answer.
    Volatile,
    /// Wait until this process is dead, open its store, and go on as [`Mode::Durable`].
    After(u32),
}

/// Serves until its standard input is closed. Says its address on standard output.
pub(crate) async fn run(certificates: &Path, folder: &Path, mode: Mode) -> Result<(), String> {
    let configs = Certificates::at(certificates).configs()?;
    let endpoint =
        quinn::Endpoint::server(configs.server, part::ANY_PORT).map_err(|error| error.to_string())?;
    let queue = Arc::new(Queue::default());
    let outs: Arc<Mutex<Vec<Arc<Out>>>> = Arc::default();
    if mode != Mode::Volatile {
        let (folder, queue, outs) = (folder.to_owned(), queue.clone(), outs.clone());
        std::thread::spawn(move || {
            if let Err(error) = keep_store(&folder, mode, &queue, &outs) {
                eprintln!("the store of the limit: {error}");
                std::process::exit(3);
            }
        });
    }
    part::say(endpoint.local_addr().map_err(|error| error.to_string())?);
    let accepting = async {
        while let Some(incoming) = endpoint.accept().await {
            let (queue, outs) = (queue.clone(), outs.clone());
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    serve(connection, &queue, &outs, mode).await;
                }
            });
        }
    };
    tokio::select! {
        () = accepting => Ok(()),
        () = part::told_to_end() => Ok(()),
    }
}

fn keep_store(
    folder: &Path,
    mode: Mode,
    queue: &Queue,
    outs: &Mutex<Vec<Arc<Out>>>,
) -> Result<(), redb::Error> {
    if let Mode::After(pid) = mode {
        wait_for_death(pid).map_err(|error| redb::Error::Io(error.into()))?;
    }
    let db = store::open(folder)?;
    for out in &*outs.lock() {
        out.tell_ready();
    }
    store::write(&db, queue)
}

fn wait_for_death(pid: u32) -> rustix::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::INVAL)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None)?;
    Ok(())
}

async fn serve(connection: Connection, queue: &Queue, outs: &Mutex<Vec<Arc<Out>>>, mode: Mode) {
    let Ok((send, mut receive)) = connection.accept_bi().await else { return };
    let out = Arc::new(Out::default());
    outs.lock().push(out.clone());
    tokio::spawn(write_out(out.clone(), send));
    let mut frames = Frames::default();
    let mut chunks = [const { Bytes::new() }; 32];
    let mut waiting = Vec::new();
    while let Ok(Some(count)) = receive.read_chunks(&mut chunks).await {
        for chunk in &chunks[..count] {
            frames.feed(chunk, |number, body| {
                if number != GREETING {
                    waiting.push(Waiting { out: out.clone(), number, body });
                }
            });
        }
        if waiting.is_empty() {
            continue;
        }
        if mode == Mode::Volatile {
            let mut buffer = out.buffer.lock();
            for request in waiting.drain(..) {
                put_frame(&mut buffer, request.number, &[0; 8]);
            }
            drop(buffer);
            out.wake.notify_one();
        } else {
            queue.push(&mut waiting);
        }
    }
}

async fn write_out(out: Arc<Out>, mut send: SendStream) {
    loop {
        let chunk = out.buffer.lock().split().freeze();
        if chunk.is_empty() {
            out.wake.notified().await;
        } else if send.write_chunk(chunk).await.is_err() {
            return;
        }
    }
}
