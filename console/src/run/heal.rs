//! Taking everything back that can be.

use palib::control::{OperatorAnswer, OperatorRequest, ProcessRow};

use crate::operator::{OperatorClient, OperatorError};

/// What the FTM answered.
type Asked = Result<OperatorAnswer, OperatorError>;

/// Takes back all there is: what is armed is disarmed, links and disks become whole, what is stopped or waits goes on, and
/// who was told to end is started again. `ask` asks the FTM, `tell` is told what was done.
///
/// What is refused may be over by itself just now, and must not keep the rest from being healed. What is still there
/// although it was asked for is returned, with the words of the FTM.
///
/// # Errors
/// If the FTM does not answer.
pub async fn heal<F: Future<Output = Asked>>(
    ask: impl Fn(OperatorRequest) -> F,
    mut tell: impl FnMut(OperatorAnswer),
) -> Result<Vec<OperatorError>, OperatorError> {
    let mut refused = Vec::new();
    for remedy in remedies(&ask).await? {
        match ask(remedy.clone()).await {
            Ok(answer) => tell(answer),
            Err(error) => refused.push((remedy, error)),
        }
    }
    if !refused.is_empty() {
        let left = remedies(&ask).await?;
        refused.retain(|(remedy, _)| left.contains(remedy));
    }
    Ok(refused.into_iter().map(|(_, error)| error).collect())
}

/// Takes back all there is in a cluster. What is still there although it was asked for is returned.
///
/// # Errors
/// If the FTM does not answer.
pub(super) async fn everything(client: &OperatorClient) -> Result<Vec<OperatorError>, OperatorError> {
    heal(|request| client.request(request), |_| ()).await
}

/// What a process needs; none, if nothing keeps it from anything.
#[must_use]
pub fn remedy(row: &ProcessRow) -> Option<OperatorRequest> {
    let process = row.process.clone();
    match row.state.as_str() {
        "stopped" | "paused" => Some(OperatorRequest::Resume { process }),
        "down" => Some(OperatorRequest::Restart { process }),
        _ => None,
    }
}

async fn remedies<F: Future<Output = Asked>>(
    ask: &impl Fn(OperatorRequest) -> F,
) -> Result<Vec<OperatorRequest>, OperatorError> {
    let mut remedies = Vec::new();
    for lasting in [OperatorRequest::Armed, OperatorRequest::Faults] {
        if let OperatorAnswer::Armed(rows) = ask(lasting).await? {
            remedies.extend(rows.into_iter().map(|row| OperatorRequest::Disarm { id: row.id }));
        }
    }
    if let OperatorAnswer::Processes(rows) = ask(OperatorRequest::Processes).await? {
        remedies.extend(rows.iter().filter_map(remedy));
    }
    Ok(remedies)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use palib::control::ArmedRow;

    use super::*;

    /// What is armed or broken at an FTM that never lets go of `D1`, and where `P1` fires between list and order.
    fn ask(there: &RefCell<Vec<&'static str>>, request: OperatorRequest) -> Asked {
        let mut there = there.borrow_mut();
        let row = |id: &&str| ArmedRow { id: (*id).to_owned(), spec: String::new() };
        match request {
            OperatorRequest::Armed => Ok(OperatorAnswer::Armed(there.iter().map(row).collect())),
            OperatorRequest::Disarm { id } if id == "D1" => Err(OperatorError::Refused(id)),
            OperatorRequest::Disarm { id } => {
                there.retain(|other| *other != id);
                if id == "P1" { Err(OperatorError::Refused(id)) } else { Ok(OperatorAnswer::Done(id)) }
            }
            _ => Ok(OperatorAnswer::Armed(Vec::new())),
        }
    }

    #[tokio::test]
    async fn what_is_over_by_itself_keeps_nothing_else_from_being_healed() {
        let there = RefCell::new(vec!["P1", "D1", "L1"]);
        let mut told = Vec::new();
        let left = heal(|request| std::future::ready(ask(&there, request)), |answer| told.push(answer)).await;
        let left: Vec<String> = left.expect("it answers").iter().map(ToString::to_string).collect();
        assert_eq!(told, [OperatorAnswer::Done("L1".to_owned())]);
        assert_eq!(left, ["D1"], "only what is still there is told");
    }

    #[test]
    fn who_was_told_to_exit_is_started_again() {
        let row = |state: &str| ProcessRow {
            process: "a".to_owned(),
            process_id: 1,
            pid: None,
            state: state.to_owned(),
            since_unix_ms: 0,
            why: String::new(),
            starts: 1,
            in_service: Vec::new(),
            backup: Vec::new(),
            rss_bytes: 0,
            cpu_ms: 0,
            heard_ms_ago: None,
        };
        let restart = OperatorRequest::Restart { process: "a".to_owned() };
        assert_eq!(remedy(&row("down")), Some(restart));
        assert_eq!(remedy(&row("up")), None);
    }
}
