//! What the FTM, the processes and the operators say to each other: JSON frames, beside the calls.

mod event;
mod inspect;
mod node;
mod operator;
mod relay;
mod stats;
mod table;
mod ticket;

pub use event::{Event, TakeoverTiming, What};
pub use inspect::{AreaSummary, AreaTable, BrowseRow, InDoubtDecision, Page, TableRow};
pub use node::{Answer, FromFtm, Query, ToFtm};
pub use operator::{
    ArmedRow, FromFtmToOperator, OperatorAnswer, OperatorRequest, ProcessRow, Refused, ToFtmFromOperator,
};
pub use relay::{DownstreamRow, DownstreamState, Policy, RelayRow, RelayStage, Relays};
pub use stats::{AliasStats, NodeStats};
pub use table::{AliasRow, MemberRow, MemberState, TableChange};
pub use ticket::{JoinTicket, TICKET_VARIABLE, TicketAlias};

/// The alias of operators who call from the shell. Its number is 0; the aliases of a cluster file start at 1.
pub const OPERATOR_ALIAS: &str = "operator";
