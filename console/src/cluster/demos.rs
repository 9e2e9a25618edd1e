//! The cluster files that are inside the binary.

/// A cluster file inside the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demo {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All of them, in the order in which they are best looked at.
pub const DEMOS: &[Demo] = &[
    Demo { name: "counter", text: include_str!("../../../demos/counter.toml") },
    Demo { name: "client-takeover", text: include_str!("../../../demos/client-takeover.toml") },
    Demo { name: "ledger", text: include_str!("../../../demos/ledger.toml") },
    Demo { name: "files", text: include_str!("../../../demos/files.toml") },
    Demo { name: "faults", text: include_str!("../../../demos/faults.toml") },
    Demo { name: "relay", text: include_str!("../../../demos/relay.toml") },
    Demo { name: "rollback", text: include_str!("../../../demos/rollback.toml") },
    Demo { name: "substitute", text: include_str!("../../../demos/substitute.toml") },
    Demo { name: "orders", text: include_str!("../../../demos/orders.toml") },
    Demo { name: "chain", text: include_str!("../../../demos/chain.toml") },
    Demo { name: "everything-dies", text: include_str!("../../../demos/everything-dies.toml") },
    Demo { name: "fig4", text: include_str!("../../../demos/fig4.toml") },
];

impl Demo {
    /// The demo of this name; `demos/NAME.toml` is understood too.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name = name.strip_prefix("demos/").unwrap_or(name);
        let name = name.strip_suffix(".toml").unwrap_or(name);
        DEMOS.iter().find(|demo| demo.name == name).copied()
    }
}
