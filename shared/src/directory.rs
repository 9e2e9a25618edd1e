//! What this process knows of the port alias table: names, ports, addresses and who is in service.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use palib_core::ids::{AliasId, CallId, Incarnation, Origin, PortId, TransId};
use palib_core::resend::Route;
use parking_lot::RwLock;

use crate::control::{AliasRow, OPERATOR_ALIAS, TableChange};
use crate::stable::Names;
use crate::{Error, Result};

/// The table as last told, for look-ups from many tasks.
#[derive(Default)]
pub(crate) struct Directory {
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    rows: BTreeMap<AliasId, AliasRow>,
    by_name: BTreeMap<String, AliasId>,
    addresses: BTreeMap<PortId, SocketAddr>,
    gone: BTreeMap<AliasId, Incarnation>,
}

impl Directory {
    /// Takes a change over. Returns the new routes of the aliases in it.
    pub(crate) fn apply(&self, change: &TableChange) -> Vec<(AliasId, Route)> {
        let mut table = self.table.write();
        for &(alias, last) in &change.gone {
            table.gone.insert(AliasId(alias), Incarnation(last));
            if let Some(row) = table.rows.remove(&AliasId(alias)) {
                table.by_name.remove(&row.alias);
            }
        }
        let mut routes = Vec::new();
        let unknown = |row: &&AliasRow| !table.rows.contains_key(&AliasId(row.alias_id));
        let unsure: Vec<&AliasRow> = change.unsure.iter().filter(unknown).collect();
        for row in unsure.into_iter().chain(&change.aliases) {
            let alias = AliasId(row.alias_id);
            let old = table.rows.insert(alias, row.clone());
            for member in old.iter().flat_map(|row| &row.members) {
                table.addresses.remove(&PortId(member.port));
            }
            for member in &row.members {
                if let Some(address) = member.address {
                    table.addresses.insert(PortId(member.port), address);
                }
            }
            table.by_name.insert(row.alias.clone(), alias);
            routes.push((alias, route_of(row)));
        }
        routes
    }

    pub(crate) fn id(&self, name: &str) -> Result<AliasId> {
        self.table.read().by_name.get(name).copied().ok_or_else(|| Error::UnknownAlias(name.to_owned()))
    }

    pub(crate) fn name(&self, alias: AliasId) -> String {
        self.alias(alias).unwrap_or_else(|| format!("#{alias}"))
    }

    /// The aliases that exist no longer, each with its last incarnation. One that is back was not forgotten by that.
    pub(crate) fn gone(&self) -> Vec<(AliasId, Incarnation)> {
        self.table.read().gone.iter().map(|(alias, last)| (*alias, *last)).collect()
    }

    pub(crate) fn route(&self, alias: AliasId) -> Option<Route> {
        self.table.read().rows.get(&alias).map(route_of)
    }

    pub(crate) fn address(&self, port: PortId) -> Option<SocketAddr> {
        self.table.read().addresses.get(&port).copied()
    }

    /// The process that holds a port.
    pub(crate) fn process(&self, port: PortId) -> Option<String> {
        let table = self.table.read();
        let mut members = table.rows.values().flat_map(|row| &row.members);
        members.find(|member| member.port == port.0).map(|member| member.process.clone())
    }

    /// The addresses of all members of an alias: callers keep warm links to all of them.
    pub(crate) fn addresses(&self, alias: AliasId) -> Vec<SocketAddr> {
        let table = self.table.read();
        let members = table.rows.get(&alias).map(|row| row.members.iter());
        members.into_iter().flatten().filter_map(|member| member.address).collect()
    }

    /// The port of an alias that is reached at an address.
    pub(crate) fn port_at(&self, alias: AliasId, address: SocketAddr) -> Option<PortId> {
        let table = self.table.read();
        let members = &table.rows.get(&alias)?.members;
        members.iter().find(|member| member.address == Some(address)).map(|member| PortId(member.port))
    }

    /// The ports that are reached at an address.
    pub(crate) fn ports_at(&self, address: SocketAddr) -> Vec<PortId> {
        let table = self.table.read();
        table.addresses.iter().filter(|(_, at)| **at == address).map(|(port, _)| *port).collect()
    }

    /// An id as people read it: `caller/i3/42`.
    pub(crate) fn id_text(&self, id: CallId) -> String {
        format!("{}/{}/{}", self.name(id.source), id.origin, id.trans)
    }

    /// The id that [`Self::id_text`] wrote.
    pub(crate) fn parse_id(&self, text: &str) -> Result<CallId> {
        parse_call_id(text, |name| if name == OPERATOR_ALIAS { Ok(AliasId(0)) } else { self.id(name) })
    }
}

impl Names for Directory {
    fn alias(&self, id: AliasId) -> Option<String> {
        if id == AliasId(0) {
            return Some(OPERATOR_ALIAS.to_owned());
        }
        self.table.read().rows.get(&id).map(|row| row.alias.clone())
    }
}

/// Reads an id in the form `caller/i3/42` or `caller/p7/42`, with `alias` to look up the name.
///
/// # Errors
/// If the text has another form, or the name is unknown.
pub fn parse_call_id(text: &str, alias: impl FnOnce(&str) -> Result<AliasId>) -> Result<CallId> {
    let unknown = || Error::UnknownCall(format!("{text:?} (an id looks like caller/i3/42)"));
    let mut parts = text.split('/');
    let (Some(source), Some(origin), Some(trans), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown());
    };
    let trans = TransId(trans.parse().map_err(|_| unknown())?);
    let origin = match (origin.get(..1), origin.get(1..)) {
        (Some("i"), Some(number)) => Origin::Incarnation(Incarnation(number.parse().map_err(|_| unknown())?)),
        (Some("p"), Some(number)) => Origin::Port(PortId(number.parse().map_err(|_| unknown())?)),
        _ => return Err(unknown()),
    };
    Ok(CallId { source: alias(source)?, origin, trans })
}

fn route_of(row: &AliasRow) -> Route {
    Route {
        incarnation: Incarnation(row.incarnation),
        port: row.in_service().map(|member| PortId(member.port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A caller that was started just after the FTM took over its predecessor's calls, while the FTM still waited for the
    /// holder of the alias they were for. It knew no name for it, and booked them under a number.
    #[test]
    fn rows_that_nobody_is_sure_of_are_taken_where_nothing_is_known() {
        let row = |incarnation| AliasRow {
            alias: "relay".to_owned(),
            alias_id: 2,
            kind: "relay".to_owned(),
            incarnation,
            site: 1,
            members: Vec::new(),
        };
        let change = |sure: &[AliasRow], unsure: &[AliasRow]| TableChange {
            version: 1,
            aliases: sure.to_vec(),
            unsure: unsure.to_vec(),
            gone: Vec::new(),
        };
        let directory = Directory::default();
        directory.apply(&change(&[], &[row(1)]));
        assert_eq!(directory.name(AliasId(2)), "relay");
        directory.apply(&change(&[row(3)], &[]));
        directory.apply(&change(&[], &[row(1)]));
        let route = directory.route(AliasId(2)).expect("a row");
        assert_eq!(route.incarnation, Incarnation(3), "what was known is better");
    }
}
