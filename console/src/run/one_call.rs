//! One exactly-once call of the operator's own.
//!
//! Each call takes a port of its own, and with it a fresh incarnation of the alias `operator`: so two operators at
//! once never share an id, and nothing of an operator has to be kept between calls.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use palib::control::{AliasRow, OperatorAnswer, OperatorRequest};
use palib::tls::Identity;
use palib::transport::{Endpoint, Link, LinkError};
use palib::wire::Frame;
use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Origin, TransId};
use palib_core::message::{Message, Outcome, Refusal, Request};
use tokio::time::timeout_at;

use crate::operator::{OperatorClient, OperatorError};

/// So many of the operators' last calls can be asked for again; servers forget the older ones.
const CALLS_KEPT: u64 = 64;
/// How long an answer is waited for before the request is sent again.
const RESEND_AFTER: Duration = Duration::from_millis(500);
/// A pause before somebody who was not ready is asked again.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallReport {
    /// Its id, such as `operator/i7/1`.
    pub id: String,
    /// The reply, or the service's own failure.
    pub outcome: Result<Bytes, Bytes>,
    /// Whether the answer came from the redundancy table.
    pub redundant: bool,
    /// How often the request was sent.
    pub sent: u32,
    /// How long it all took.
    pub took: Duration,
}

/// Why a call has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The FTM.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The operator's own certificate, or the endpoint.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The operator's own certificate.
    #[error("the operator's certificate can't be used: {0}")]
    Identity(#[from] palib::tls::TlsError),
    /// The alias is not there.
    #[error("there is no alias `{alias}`; there are: {known}")]
    NoAlias {
        /// The alias.
        alias: String,
        /// All aliases.
        known: String,
    },
    /// The text is no id of an operator's call.
    #[error("`{0}` is no id of an operator's call; it looks like operator/i7/1, as `palib call` printed it")]
    NotAnId(String),
    /// It was refused for good.
    #[error("call {id} was refused: {why}")]
    Refused {
        /// Its id.
        id: String,
        /// Why.
        why: &'static str,
    },
    /// The FTM did not answer in time, so nothing was sent.
    #[error("the FTM did not say within {waited:?} who serves `{alias}`; nothing was sent: call again")]
    NotSent {
        /// The alias.
        alias: String,
        /// How long was waited.
        waited: Duration,
    },
    /// Nobody answered in time.
    #[error(
        "call {id} has no outcome after {waited:?} ({last}); it may yet be executed. \
         Ask again with the same payload and --id {id}: it is never executed twice"
    )]
    Unknown {
        /// Its id.
        id: String,
        /// How often the request was sent.
        sent: u32,
        /// How long was waited.
        waited: Duration,
        /// What was seen last.
        last: String,
    },
}

/// Calls an alias, or asks again for a call made before. The deadline holds for all of it: an FTM that is being started
/// again is waited for as well.
///
/// # Errors
/// If there is no outcome: the error says whether the call may yet be executed.
pub async fn call(
    client: &OperatorClient,
    alias: &str,
    payload: Bytes,
    again: Option<&str>,
    deadline: Duration,
) -> Result<CallReport, CallError> {
    let began = Instant::now();
    let until = began + deadline;
    let prepared = timeout_at(until.into(), prepare(client, alias, again)).await;
    let not_sent = |_| CallError::NotSent { alias: alias.to_owned(), waited: deadline };
    let (row, id) = prepared.map_err(not_sent)??;
    let Origin::Incarnation(born) = id.origin else { return Err(CallError::NotAnId(id.to_string())) };
    let request = Request {
        id,
        born,
        target: AliasId(row.alias_id),
        // Asking again must not move the mark: it could only move it back.
        mark: Mark { born: Incarnation(born.0.saturating_sub(CALLS_KEPT)), trans: TransId(0) },
        attempt: 0,
        cancellable: false,
        body: payload,
    };
    let folder = client.folder();
    let identity =
        Identity::load(&folder.certificate("operator"), &folder.key("operator"), &folder.authority())?;
    let endpoint = Endpoint::bind(&identity, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let mut calling = Calling {
        client,
        alias,
        request,
        endpoint,
        text: text_of(id),
        last: "nothing was sent yet".to_owned(),
    };
    let answered = timeout_at(until.into(), calling.until_answered()).await;
    let took = began.elapsed();
    calling.endpoint.close().await;
    match answered {
        Ok(Ok((outcome, redundant))) => Ok(CallReport {
            id: calling.text,
            outcome: match outcome {
                Outcome::Reply(body) => Ok(body),
                Outcome::Failed(body) => Err(body),
            },
            redundant,
            sent: calling.request.attempt,
            took,
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let Calling { text: id, request, last, .. } = calling;
            Err(CallError::Unknown { id, sent: request.attempt, waited: deadline, last })
        }
    }
}

/// A call under way.
struct Calling<'a> {
    client: &'a OperatorClient,
    alias: &'a str,
    request: Request<Bytes>,
    endpoint: Endpoint,
    text: String,
    /// What was seen last, for the operator.
    last: String,
}

impl Calling<'_> {
    async fn until_answered(&mut self) -> Result<(Outcome<Bytes>, bool), CallError> {
        loop {
            let in_service = row_of(self.client, self.alias).await.ok();
            let address =
                in_service.as_ref().and_then(AliasRow::in_service).and_then(|member| member.address);
            let Some(address) = address else {
                self.last = format!("nobody is in service for {}", self.alias);
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let link = match self.endpoint.connect(address).await {
                Ok(link) => link,
                Err(error) => {
                    self.last = error.to_string();
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            match self.ask(&link).await? {
                Some(answer) => return Ok(answer),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Sends the request to one member; none if another must be asked.
    async fn ask(&mut self, link: &Link) -> Result<Option<(Outcome<Bytes>, bool)>, CallError> {
        loop {
            if let Err(error) = link.send_message(&Message::Request(self.request.clone())) {
                self.last = error.to_string();
                return Ok(None);
            }
            self.request.attempt += 1;
            let mut frames = Vec::new();
            match tokio::time::timeout(RESEND_AFTER, link.receive(&mut frames)).await {
                Ok(Err(error)) => {
                    self.last = error.to_string();
                    return Ok(None);
                }
                Err(_) => {
                    self.last = format!("{} holds it or is silent", link.peer().name);
                    // It may have been fenced meanwhile: whoever is in service now is asked.
                    return Ok(None);
                }
                Ok(Ok(())) => {}
            }
            for frame in frames {
                match frame {
                    Frame::Message(Message::Answer { id, outcome, redundant }) if id == self.request.id => {
                        return Ok(Some((outcome, redundant)));
                    }
                    Frame::Message(Message::Refused { id, refusal }) if id == self.request.id => {
                        return match refusal {
                            Refusal::NotInService | Refusal::Busy | Refusal::WindowExceeded => {
                                self.last = format!("{}: {}", link.peer().name, palib::refusal_text(refusal));
                                Ok(None)
                            }
                            other => Err(CallError::Refused {
                                id: self.text.clone(),
                                why: palib::refusal_text(other),
                            }),
                        };
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Whom to call, and under which id.
async fn prepare(
    client: &OperatorClient,
    alias: &str,
    again: Option<&str>,
) -> Result<(AliasRow, CallId), CallError> {
    let row = row_of(client, alias).await?;
    let id = match again {
        Some(text) => read_id(text)?,
        None => new_id(client).await?,
    };
    Ok((row, id))
}

async fn row_of(client: &OperatorClient, alias: &str) -> Result<AliasRow, CallError> {
    let rows = match client.request(OperatorRequest::Aliases).await? {
        OperatorAnswer::Aliases(rows) => rows,
        other => return Err(OperatorError::Refused(format!("the FTM answered {other:?}")).into()),
    };
    let known = rows.iter().map(|row| row.alias.as_str()).collect::<Vec<_>>().join(", ");
    let row = rows.into_iter().find(|row| row.alias == alias);
    row.ok_or_else(|| CallError::NoAlias { alias: alias.to_owned(), known })
}

async fn new_id(client: &OperatorClient) -> Result<CallId, CallError> {
    match client.request(OperatorRequest::OpenPort).await? {
        OperatorAnswer::Port { alias_id, incarnation, .. } => Ok(CallId {
            source: AliasId(alias_id),
            origin: Origin::Incarnation(Incarnation(incarnation)),
            trans: TransId(1),
        }),
        other => Err(OperatorError::Refused(format!("the FTM answered {other:?}")).into()),
    }
}

/// The alias of operators has number 0 in every cluster.
fn text_of(id: CallId) -> String {
    format!("{}/{}/{}", palib::control::OPERATOR_ALIAS, id.origin, id.trans)
}

fn read_id(text: &str) -> Result<CallId, CallError> {
    let not_an_id = || CallError::NotAnId(text.to_owned());
    let rest = text.strip_prefix(palib::control::OPERATOR_ALIAS).and_then(|rest| rest.strip_prefix("/i"));
    let (incarnation, trans) = rest.and_then(|rest| rest.split_once('/')).ok_or_else(not_an_id)?;
    Ok(CallId {
        source: AliasId(0),
        origin: Origin::Incarnation(Incarnation(incarnation.parse().map_err(|_| not_an_id())?)),
        trans: TransId(trans.parse().map_err(|_| not_an_id())?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_printed() {
        let id = read_id("operator/i7/1").expect("an id");
        assert_eq!(text_of(id), "operator/i7/1");
        for text in [
            "",
            "operator",
            "operator/p7/1",
            "caller/i7/1",
            "operator/i7",
            "operator/i7/x",
            "operator/i7/1/2",
        ] {
            assert!(read_id(text).is_err(), "{text}");
        }
    }
}
