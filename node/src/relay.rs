//! A relay that passes calls on: it asks another alias what it was asked, and answers what it was answered. The other
//! one may be a relay as well (patent, Figs 14 to 18).
//!
//! With the option `substitute` it lets another alias take the place of the one that did not answer its predecessor
//! (claim 26), if the cluster file says `on_takeover = "substitute"`.

use std::time::Duration;

use palib::control::TicketAlias;
use palib::{Area, Call, Reply, Result, Service, Substitute, Unanswered, Undo};

use crate::NodeError;
use crate::effects::work;
use crate::options::Options;
use crate::relayed::{Calls, Relayed};

/// The service.
pub(crate) struct Relay {
    to: String,
    /// Who takes the place of `to`.
    substitute: Option<String>,
    /// Whether what `to` was asked is cancelled then.
    cancel_old: bool,
    /// How long it takes between an answer and its own.
    work: Duration,
    relayed: Relayed,
}

impl Relay {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&["to", "substitute", "cancel_old", "work"])?;
        let to = options.text("to")?;
        let to = to.ok_or_else(|| {
            options.wrong("to", "is missing: name the alias to pass calls on to, such as to = \"counter\"")
        })?;
        let substitute = options.text("substitute")?;
        if [Some(&to), substitute.as_ref()].contains(&Some(&alias.alias)) {
            return Err(options.wrong("to", "can't be the relay itself"));
        }
        let target = substitute.as_ref().map_or(to.clone(), |other| format!("{to}|{other}"));
        let cancel_old = options.flag("cancel_old")?.unwrap_or(true);
        // Of a call whose place was taken, and that is not cancelled, nobody knows whether it had its effect.
        let most = if substitute.is_some() && !cancel_old { 2 } else { 1 };
        Ok(Self {
            relayed: Relayed::of(&[(&target, Calls { most, answered: 1 })]),
            to,
            substitute,
            cancel_old,
            work: options.time("work")?.unwrap_or_default(),
        })
    }

    /// What takes the place of a call that was not answered. A substitute that did not answer is itself asked again.
    fn instead(&self, call: &Unanswered) -> Option<Substitute> {
        let target = self.substitute.clone().filter(|_| call.target == self.to)?;
        Some(Substitute { target, body: call.body.clone(), cancel_old: self.cancel_old })
    }
}

impl Service for Relay {
    async fn handle(&self, call: Call) -> Result<Reply> {
        self.relayed.begins(&call);
        let reply = call.relay(&self.to, call.body().clone()).await?;
        work(self.work).await;
        let mut count = self.relayed.completed(&call);
        call.commit(move |area| {
            count(area)?;
            Ok(reply.clone())
        })
        .await
    }

    async fn undo(&self, undo: Undo) -> Result<()> {
        self.relayed.undo(undo).await
    }

    async fn substitute(&self, call: Unanswered) -> Option<Substitute> {
        self.instead(&call)
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.relayed.promoted(area)
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.relayed.read()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::options::tests::alias;

    fn unanswered(target: &str) -> Unanswered {
        Unanswered {
            id_text: "caller/i1/1".to_owned(),
            request: "inc k 1".into(),
            position: "1".to_owned(),
            target: target.to_owned(),
            body: "inc k 1".into(),
        }
    }

    #[test]
    fn a_substitute_takes_the_place_of_the_one_that_did_not_answer_and_of_nobody_else() {
        let relay = Relay::new(&alias("relay", json!({ "to": "main", "substitute": "spare" }))).unwrap();
        let instead = relay.instead(&unanswered("main")).unwrap();
        assert_eq!((instead.target.as_str(), &instead.body[..]), ("spare", &b"inc k 1"[..]));
        assert!(instead.cancel_old, "unless the file says otherwise");
        assert!(relay.instead(&unanswered("spare")).is_none());
        let plain = Relay::new(&alias("relay", json!({ "to": "main" }))).unwrap();
        assert!(plain.instead(&unanswered("main")).is_none());
    }

    #[test]
    fn a_relay_must_know_whom_to_pass_calls_on_to() {
        for wrong in [json!({}), json!({ "to": "relay" }), json!({ "to": "a", "substitute": "relay" })] {
            assert!(Relay::new(&alias("relay", wrong.clone())).is_err(), "{wrong}");
        }
    }
}
