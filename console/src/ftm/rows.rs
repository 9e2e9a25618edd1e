//! What others are told of the tables: rows in words.

use palib::control::{AliasRow, MemberRow, MemberState, ProcessRow, TableChange};
use palib_core::alias::{self, Member};
use palib_core::ids::{AliasId, ProcessId};
use palib_core::manager::{Phase, Seat};

use super::{Ftm, RunInfo, clock, now_ns};

/// The number of the site. There is one until tables are shared between machines.
pub(super) const SITE: u32 = 1;

impl Ftm {
    /// All rows of an alias.
    pub(super) fn alias_row(&self, id: AliasId) -> Option<AliasRow> {
        let info = self.aliases.get(&id)?;
        let rows = self.manager.table().rows(id)?;
        let in_service = rows.in_service().map(|member| member.port);
        let member = |member: &Member| self.member_row(id, member, in_service == Some(member.port));
        Some(AliasRow {
            alias: info.spec.name.clone(),
            alias_id: id.0,
            kind: info.spec.runs(),
            incarnation: rows.incarnation().0,
            site: SITE,
            members: rows.members().iter().map(member).collect(),
        })
    }

    /// The rows of these aliases as a change of the table; those apart that are not known for sure.
    pub(super) fn table_of(&self, aliases: impl IntoIterator<Item = AliasId>) -> TableChange {
        let rows = |aliases: Vec<AliasId>| aliases.into_iter().filter_map(|id| self.alias_row(id)).collect();
        let (sure, unsure) = aliases.into_iter().partition(|alias| self.manager.is_settled(*alias));
        let (aliases, unsure) = (rows(sure), rows(unsure));
        TableChange { version: self.table_version, aliases, unsure, gone: Vec::new() }
    }

    /// The rows of all aliases, the operators' own among them, and the aliases that exist no longer.
    pub(super) fn whole_table(&self) -> TableChange {
        let mut table =
            TableChange { gone: self.gone.clone(), ..self.table_of(self.aliases.keys().copied()) };
        table.aliases.push(AliasRow {
            alias: "operator".to_owned(),
            alias_id: self.operator.id,
            kind: "operator".to_owned(),
            incarnation: self.operator.incarnation,
            site: SITE,
            members: Vec::new(),
        });
        table
    }

    /// All processes.
    pub(super) fn process_rows(&self) -> Vec<ProcessRow> {
        self.seats.keys().filter_map(|seat| self.process_row(*seat)).collect()
    }

    fn member_row(&self, alias: AliasId, member: &Member, in_service: bool) -> MemberRow {
        let seat = self.seats.get(&member.seat);
        let run = self.runs.get(&member.process);
        let dead = member.state == alias::MemberState::Dead;
        let serves = matches!(member.state, alias::MemberState::InService | alias::MemberState::Promoting);
        // Who waits at a defect point says so, whatever made it the one in service.
        let waits = run.is_some_and(|run| run.paused.is_some());
        let why = if serves && !waits {
            self.aliases.get(&alias).map(|info| info.why.clone())
        } else {
            seat.map(|seat| seat.why.clone())
        };
        MemberRow {
            port: member.port.0,
            process: seat.map(|seat| seat.name.clone()).unwrap_or_default(),
            process_id: member.process.0,
            pid: run.and_then(RunInfo::living).map(|mark| mark.pid),
            address: run.filter(|_| !dead).and_then(|run| run.address),
            in_service,
            state: state_word(member.state),
            since_unix_ms: clock::unix_ms_of(member.since),
            why: why.unwrap_or_default(),
        }
    }

    fn process_row(&self, seat: Seat) -> Option<ProcessRow> {
        let info = self.seats.get(&seat)?;
        let phase = self.manager.run(seat).map(|run| run.phase);
        let run = self.runs.get(&ProcessId(info.state.process_id));
        let stopped = info.state.hang.is_some();
        let paused = run.is_some_and(|run| run.paused.is_some());
        let state = match phase {
            None if info.state.down => "down",
            None => "dead",
            Some(_) if stopped => "stopped",
            Some(_) if paused => "paused",
            Some(Phase::Starting | Phase::Adopted) => "starting",
            Some(Phase::Up) => "up",
            Some(Phase::Hung | Phase::Fenced) => "hung",
        };
        let (mut in_service, mut backup) = (Vec::new(), Vec::new());
        for id in &info.aliases {
            let serves = self.manager.table().rows(*id).and_then(|rows| rows.in_service());
            let list =
                if serves.is_some_and(|member| member.seat == seat) { &mut in_service } else { &mut backup };
            list.push(self.alias_name(*id));
        }
        // A run that is over was the last to be measured, but nothing of it is there any more.
        let run = run.filter(|run| run.living().is_some());
        let stats = run.map(|run| run.stats.clone()).unwrap_or_default();
        Some(ProcessRow {
            process: info.name.clone(),
            process_id: info.state.process_id,
            pid: run.and_then(RunInfo::living).map(|mark| mark.pid),
            state: state.to_owned(),
            since_unix_ms: info.since_unix_ms,
            why: info.why.clone(),
            starts: info.state.starts,
            in_service,
            backup,
            rss_bytes: stats.rss_bytes,
            cpu_ms: stats.cpu_ms,
            heard_ms_ago: run
                .and_then(|run| run.heard_ns)
                .map(|heard| now_ns().saturating_sub(heard) / 1_000_000),
        })
    }
}

fn state_word(state: alias::MemberState) -> MemberState {
    match state {
        alias::MemberState::Starting => MemberState::Starting,
        alias::MemberState::Promoting => MemberState::Promoting,
        alias::MemberState::InService => MemberState::InService,
        alias::MemberState::Backup => MemberState::Backup,
        alias::MemberState::Hung => MemberState::Hung,
        alias::MemberState::Dead => MemberState::Dead,
    }
}
