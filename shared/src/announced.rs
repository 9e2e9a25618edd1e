//! The FTM as it announces itself: by its address, in a file of the cluster's state.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::tls::Role;
use crate::transport::{Endpoint, Link};

/// A handshake with somebody who is there takes milliseconds; an FTM that has just died never answers, and the next one
/// may listen elsewhere. Where nothing passes for a while, an attempt that lasted longer would knock ever more seldom,
/// and find out late that the way is free again.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Makes a link to the FTM whose address lies in this file, and to nobody else who may listen there now.
///
/// # Errors
/// In words: the file can't be read, nobody answers there, or it is not the FTM.
pub async fn connect_ftm(endpoint: &Endpoint, address_file: &Path) -> Result<Link, String> {
    let file = address_file.display();
    let text = std::fs::read_to_string(address_file).map_err(|error| format!("{file}: {error}"))?;
    let address = text.trim().parse().map_err(|_| format!("{file}: {text:?} is no address"))?;
    let link = timeout(CONNECT_WITHIN, endpoint.connect(address)).await;
    let link = link.map_err(|_| format!("{address} does not answer"))?.map_err(|error| error.to_string())?;
    if link.peer().role != Role::Ftm {
        link.close("this was meant for the FTM");
        return Err(format!("{address} is {}, not the FTM", link.peer().name));
    }
    Ok(link)
}
