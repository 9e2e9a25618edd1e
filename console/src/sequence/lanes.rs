//! The lanes of a chart, and their order.

use std::collections::BTreeSet;

use super::build::Seen;
use super::stand::Standing;
use super::{Lane, Wish};
use crate::world::{Role, World};

/// Clients, relays, servers; the members of an alias side by side.
pub(super) fn lanes(
    seen: &[Seen<'_>],
    standing: &Standing,
    world: &World,
    wish: &Wish,
    followed: bool,
) -> Vec<Lane> {
    let named: BTreeSet<&str> = seen.iter().flat_map(Seen::processes).collect();
    let mut aliases: Vec<(Role, &str)> =
        standing.members().keys().map(|alias| (world.role(alias), alias.as_str())).collect();
    aliases.sort_unstable();
    let mut lanes: Vec<Lane> = Vec::new();
    for (role, alias) in aliases {
        let members = &standing.members()[alias];
        let takes_part = members.iter().any(|member| named.contains(member.as_str()));
        for member in members {
            // A backup of a process that takes part is shown waiting.
            let idle = wish.idle_lanes && (takes_part || !followed);
            let is_wanted = named.contains(member.as_str()) || idle;
            if is_wanted && !lanes.iter().any(|lane| lane.process == *member) {
                lanes.push(Lane { process: member.clone(), alias: alias.to_owned(), role });
            }
        }
    }
    for process in named {
        if !lanes.iter().any(|lane| lane.process == process) {
            // An operator's own calls come from outside of all aliases.
            let role = if process == palib::control::OPERATOR_ALIAS { Role::Client } else { Role::Server };
            let lane = Lane { process: process.to_owned(), alias: String::new(), role };
            let place = if role == Role::Client { 0 } else { lanes.len() };
            lanes.insert(place, lane);
        }
    }
    lanes
}
