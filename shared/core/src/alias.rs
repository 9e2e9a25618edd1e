//! The port alias table (patent, Fig 4): which ports an alias has, and who of them is in service.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId};

/// The place of a process in the cluster. It has a name and outlives its runs: whoever is started again under the
/// same name sits in the same seat, as another process with other ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u32);

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// Its process was started and has not joined yet.
    Starting,
    /// It is being promoted.
    Promoting,
    /// It has the mark of service.
    InService,
    /// It waits to take over.
    Backup,
    /// It missed its heartbeats.
    Hung,
    /// Its process is gone; the port is never used again.
    Dead,
}

/// One row: a member of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its port.
    pub port: PortId,
    /// The process that holds the port.
    pub process: ProcessId,
    /// Whose seat it is.
    pub seat: Seat,
    /// Its state.
    pub state: MemberState,
    /// Since when.
    pub since: Nanos,
}

/// All rows of one alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AliasRows {
    incarnation: Incarnation,
    in_service: Option<PortId>,
    members: Vec<Member>,
}

impl AliasRows {
    /// The incarnation of the member in service, or of the one being promoted.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The members, in the order they were registered.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with the mark of service.
    #[must_use]
    pub fn in_service(&self) -> Option<&Member> {
        self.members.iter().find(|member| Some(member.port) == self.in_service)
    }
}

/// The port alias table of a site. Its operations keep what must always hold: an alias has at most one member in
/// service, its incarnation only rises, the mark is given in the incarnation that is current, and no port is
/// registered twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[doc(alias = "name service table")]
pub struct PortAliasTable {
    aliases: BTreeMap<AliasId, AliasRows>,
    highest_port: PortId,
}

impl PortAliasTable {
    /// Adds an alias with the incarnation it had last.
    pub fn create(&mut self, alias: AliasId, incarnation: Incarnation) {
        self.aliases.insert(alias, AliasRows { incarnation, ..AliasRows::default() });
    }

    /// The rows of an alias.
    #[must_use]
    pub fn rows(&self, alias: AliasId) -> Option<&AliasRows> {
        self.aliases.get(&alias)
    }

    /// All aliases and their rows.
    pub fn iter(&self) -> impl Iterator<Item = (AliasId, &AliasRows)> {
        self.aliases.iter().map(|(alias, rows)| (*alias, rows))
    }

    /// The incarnation of an alias; zero if there is no such alias.
    #[must_use]
    pub fn incarnation(&self, alias: AliasId) -> Incarnation {
        self.rows(alias).map_or(Incarnation(0), AliasRows::incarnation)
    }

    /// Registers a port. The row of a dead process of the same seat goes: its successor stands for it now.
    ///
    /// # Panics
    /// If the port was registered before, or the alias was not created: both are defects of the FTM.
    pub fn register(&mut self, alias: AliasId, member: Member) {
        assert!(member.port > self.highest_port, "port {} was given before", member.port);
        self.highest_port = member.port;
        let rows = self.known(alias);
        rows.members.retain(|old| old.seat != member.seat || old.state != MemberState::Dead);
        rows.members.push(member);
    }

    /// Registers a port that a process already had when the FTM was started again.
    ///
    /// # Panics
    /// If a member has this port, or the alias was not created.
    pub fn adopt(&mut self, alias: AliasId, member: Member) {
        self.highest_port = self.highest_port.max(member.port);
        let rows = self.known(alias);
        assert!(rows.members.iter().all(|old| old.port != member.port), "port {} is in use", member.port);
        rows.members.push(member);
    }

    /// Sets the state of the member with a port. Any state but in service takes the mark away from it.
    ///
    /// # Panics
    /// If the mark is asked for: [`Self::mark`] gives it.
    pub fn set_state(&mut self, alias: AliasId, port: PortId, state: MemberState, now: Nanos) {
        assert!(state != MemberState::InService, "the mark of service is given by `mark` alone");
        let rows = self.known(alias);
        if rows.in_service == Some(port) {
            rows.in_service = None;
        }
        if let Some(member) = rows.members.iter_mut().find(|member| member.port == port)
            && member.state != state
        {
            member.state = state;
            member.since = now;
        }
    }

    /// Raises the incarnation of an alias by one and takes the mark away: from here on the old member in service
    /// is fenced. Returns the new incarnation.
    pub fn raise(&mut self, alias: AliasId, now: Nanos) -> Incarnation {
        let rows = self.known(alias);
        rows.incarnation = rows.incarnation.next();
        if let Some(port) = rows.in_service.take()
            && let Some(old) = rows.members.iter_mut().find(|member| member.port == port)
        {
            // Whoever raised knows why, and says so in the next `set_state`.
            old.state = MemberState::Backup;
            old.since = now;
        }
        rows.incarnation
    }

    /// Gives a member the mark of service.
    ///
    /// # Panics
    /// If another member has it, the incarnation is not the current one, or the member is not there.
    pub fn mark(&mut self, alias: AliasId, port: PortId, incarnation: Incarnation, now: Nanos) {
        let rows = self.known(alias);
        assert!(rows.in_service.is_none_or(|other| other == port), "another member is in service");
        assert_eq!(rows.incarnation, incarnation, "the mark is given in the current incarnation");
        let member = rows.members.iter_mut().find(|member| member.port == port);
        let member = member.expect("only a member gets the mark");
        member.state = MemberState::InService;
        member.since = now;
        rows.in_service = Some(port);
    }

    fn known(&mut self, alias: AliasId) -> &mut AliasRows {
        self.aliases.get_mut(&alias).expect("aliases are created before they are used")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIAS: AliasId = AliasId(1);

    fn member(port: u32, seat: u32) -> Member {
        Member {
            port: PortId(port),
            process: ProcessId(port),
            seat: Seat(seat),
            state: MemberState::Backup,
            since: Nanos(0),
        }
    }

    fn pair() -> PortAliasTable {
        let mut table = PortAliasTable::default();
        table.create(ALIAS, Incarnation(0));
        table.register(ALIAS, member(1, 1));
        table.register(ALIAS, member(2, 2));
        table
    }

    #[test]
    fn raising_the_incarnation_takes_the_mark_away() {
        let mut table = pair();
        let first = table.raise(ALIAS, Nanos(1));
        table.mark(ALIAS, PortId(1), first, Nanos(1));
        assert_eq!(table.rows(ALIAS).unwrap().in_service().unwrap().port, PortId(1));
        assert_eq!(table.raise(ALIAS, Nanos(2)), Incarnation(2));
        assert!(table.rows(ALIAS).unwrap().in_service().is_none());
    }

    #[test]
    #[should_panic(expected = "current incarnation")]
    fn the_mark_is_not_given_in_an_old_incarnation() {
        let mut table = pair();
        let first = table.raise(ALIAS, Nanos(1));
        table.raise(ALIAS, Nanos(2));
        table.mark(ALIAS, PortId(1), first, Nanos(3));
    }

    #[test]
    #[should_panic(expected = "another member is in service")]
    fn two_members_never_have_the_mark() {
        let mut table = pair();
        let first = table.raise(ALIAS, Nanos(1));
        table.mark(ALIAS, PortId(1), first, Nanos(1));
        table.mark(ALIAS, PortId(2), first, Nanos(1));
    }

    #[test]
    #[should_panic(expected = "was given before")]
    fn a_port_is_never_registered_again() {
        let mut table = pair();
        table.set_state(ALIAS, PortId(2), MemberState::Dead, Nanos(1));
        table.register(ALIAS, member(2, 2));
    }

    #[test]
    fn a_successor_replaces_the_row_of_the_dead() {
        let mut table = pair();
        table.set_state(ALIAS, PortId(2), MemberState::Dead, Nanos(1));
        assert_eq!(table.rows(ALIAS).unwrap().members().len(), 2);
        table.register(ALIAS, member(3, 2));
        let ports: Vec<u32> =
            table.rows(ALIAS).unwrap().members().iter().map(|member| member.port.0).collect();
        assert_eq!(ports, [1, 3]);
    }
}
