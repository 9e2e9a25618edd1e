//! Aliases that are taken out of the cluster file, and put back.

mod support;

use support::{Site, eventually};

const COUNTER: &str = "name = \"leaving\"\n[aliases.counter]\nkind = \"counter\"\nmembers = 2\n";
const CALLER: &str = "[aliases.caller]\nkind = \"caller\"\n[aliases.caller.options]\ntarget = \"counter\"\nrate = \"50/s\"\ncallers = 1\n";

/// Starts the cluster, waits until its redundancy table is as it should be, and stops it.
fn run_until(site: &Site, text: &str, what: &str, is: impl Fn(&[String]) -> bool) {
    let file = site.file("leaving.toml", text);
    site.palib(&["up", &file, "--detach"]).ok();
    eventually(what, || {
        let ran = site.palib(&["table", "counter", "--limit", "0", "--json"]);
        if ran.code != Some(0) {
            return Err(format!("{ran:?}"));
        }
        let rows = ran.json();
        let ids = rows.as_array().into_iter().flatten().filter_map(|row| row["id"].as_str());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        if is(&ids) { Ok(()) } else { Err(rows.to_string()) }
    });
    site.palib(&["down", "leaving"]).ok();
    site.assert_nobody_is_left();
}

#[test]
fn what_an_alias_left_is_dropped_when_it_is_gone_and_it_calls_anew_when_it_is_back() {
    let site = Site::new();
    let both = format!("{COUNTER}{CALLER}");
    run_until(&site, &both, "it has called", |ids| ids.iter().any(|id| id.starts_with("caller/i1/")));
    run_until(&site, COUNTER, "nothing is left of it", <[String]>::is_empty);
    run_until(&site, &both, "it calls again", |ids| ids.iter().any(|id| id.starts_with("caller/i2/")));
}
