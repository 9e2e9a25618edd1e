//! The steps of a call as events, for the calls that are traced step by step.
//!
//! Nothing is formatted and nothing is allocated for a call that is not.

use palib_core::ids::{AliasId, CallId, PortId};
use palib_core::message::Request;

use crate::control::What;
use crate::process::Shared;

/// What became durable of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// The roll-forward point.
    Block,
    /// The outcome.
    Outcome,
}

impl Shared {
    /// A request is sent for the first time.
    pub(crate) fn trace_asked<B>(&self, request: &Request<B>, port: PortId, outbox: bool) {
        if self.trace.sampler.begins(request.id) {
            let to = self.directory.process(port).unwrap_or_default();
            self.trace.push(self.asked(request, to, outbox));
        }
    }

    /// A request is sent again. `first_ns` is when it was first sent, if it was this process that did.
    pub(crate) fn trace_resent<B>(
        &self,
        request: &Request<B>,
        port: PortId,
        first_ns: Option<u64>,
        outbox: bool,
    ) {
        let id = request.id;
        // What is sent again is worth every further step; and where it was not in the sample, the first one too.
        if !self.trace.sampler.traces(id)
            && self.trace.sampler.watch(id)
            && let Some(at_ns) = first_ns
        {
            self.trace.push_at(at_ns, self.asked(request, String::new(), outbox));
        }
        self.trace.push(What::Resent {
            call: self.directory.id_text(id),
            target: self.directory.name(request.target),
            attempt: request.attempt,
            to: self.directory.process(port).unwrap_or_default(),
        });
    }

    fn asked<B>(&self, request: &Request<B>, to: String, outbox: bool) -> What {
        What::Asked {
            call: self.directory.id_text(request.id),
            target: self.directory.name(request.target),
            to,
            outbox,
        }
    }

    /// A request came in.
    pub(crate) fn trace_received<B>(&self, request: &Request<B>, alias: &str, from: &str) {
        let again = request.attempt > 0;
        if self.trace.sampler.begins(request.id) || (again && self.trace.sampler.watch(request.id)) {
            self.trace.push(What::Received {
                call: self.directory.id_text(request.id),
                alias: alias.to_owned(),
                from: from.to_owned(),
                attempt: request.attempt,
            });
        }
    }

    /// A request is given to the service.
    pub(crate) fn trace_executing(&self, id: CallId, alias: &str) {
        if self.trace.sampler.traces(id) {
            let call = self.directory.id_text(id);
            self.trace.push(What::Executing { call, alias: alias.to_owned() });
        }
    }

    /// Something of a call is durable.
    pub(crate) fn trace_stable(&self, id: CallId, alias: &str, what: Durable) {
        if self.trace.sampler.traces(id) {
            let what = match what {
                Durable::Block => "roll-forward point",
                Durable::Outcome => "outcome",
            };
            let (call, alias) = (self.directory.id_text(id), alias.to_owned());
            self.trace.push(What::Stable { call, alias, what: what.to_owned() });
        }
    }

    /// An outcome is sent.
    pub(crate) fn trace_answered(&self, id: CallId, alias: &str, to: &str, redundant: bool) {
        if self.trace.sampler.traces(id) {
            let (call, alias, to) = (self.directory.id_text(id), alias.to_owned(), to.to_owned());
            self.trace.push(What::Answered { call, alias, to, redundant });
            self.trace.sampler.ends(id);
        }
    }

    /// The outcome of a traced call came in, so long after the call was first made.
    pub(crate) fn trace_returned(&self, id: CallId, target: AliasId, us: u64) {
        let (call, target) = (self.directory.id_text(id), self.directory.name(target));
        self.trace.push(What::Call { call, target, us });
        self.trace.sampler.ends(id);
    }
}
