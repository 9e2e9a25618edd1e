//! The rules of the house, as tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files are split: nobody keeps more in their head.
const FILE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder").to_owned()
}

/// All files of the repository whose names end so, as `(path below the root, text)`.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending))
                && let Ok(text) = fs::read_to_string(&path)
            {
                let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    files(&[".rs"])
}

/// Fails with every place at once.
fn none(what: &str, places: &[String]) {
    assert!(places.is_empty(), "{what}:\n  {}", places.join("\n  "));
}

/// The lines of files below a folder that hold one of these words.
fn lines_with(folder: &str, words: &[&str]) -> Vec<String> {
    let mut places = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with(folder)) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                places.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    places
}

/// The names of a package's dependencies, tests' own apart.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
    let table: toml::Table = text.parse().expect("a manifest is TOML");
    let of = table.get("dependencies").and_then(toml::Value::as_table);
    of.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn imports_go_down_only() {
    assert_eq!(dependencies("shared/core/Cargo.toml"), Vec::<String>::new(), "palib-core depends on nothing");
    let simulation = dependencies("shared/simulation/Cargo.toml");
    assert_eq!(simulation, ["palib-core", "rand_pcg"], "a simulation is the core and chance");
    for (manifest, forbidden) in [
        ("shared/Cargo.toml", &["palib-node", "palib-console"][..]),
        ("node/Cargo.toml", &["palib-console", "palib-core", "redb", "quinn"]),
        ("demos/hello/Cargo.toml", &["palib-node", "palib-console", "palib-core"]),
    ] {
        let found = dependencies(manifest);
        let wrong: Vec<String> =
            found.into_iter().filter(|name| forbidden.contains(&name.as_str())).collect();
        none(&format!("{manifest} must not depend on"), &wrong);
    }
}

#[test]
fn core_knows_no_clock_no_disk_and_no_network() {
    let words =
        ["std::time", "std::fs", "std::net", "std::thread", "SystemTime", "Instant::now", "use std::"];
    let places: Vec<String> = lines_with("shared/core/src", &words);
    none("palib-core does I/O", &places);
}

/// Else a seed would not mean the same schedule each time.
#[test]
fn the_simulation_knows_no_clock_no_thread_and_no_order_of_chance() {
    let words = ["std::time", "std::fs", "std::net", "std::thread", "std::env", "HashMap", "HashSet"];
    none("the simulation depends on more than its schedule", &lines_with("shared/simulation/src", &words));
}

#[test]
fn nothing_above_the_stable_area_knows_redb() {
    let mut places = lines_with("shared/src", &["redb::"]);
    places.retain(|place| !place.starts_with("shared/src/stable/"));
    places.extend(lines_with("node/src", &["redb::"]));
    none(
        "redb is named outside the stable area",
        &places.into_iter().filter(|place| !place.contains("stable::redb")).collect::<Vec<_>>(),
    );
}

#[test]
fn screens_see_the_model_and_ratatui_only() {
    let words = ["palib::transport", "palib::tls", "palib::stable", "crate::ftm", "quinn", "redb::"];
    none("a view reaches past the model", &lines_with("console/src/tui/view", &words));
    let words = ["ratatui", "crossterm", "tokio", "crate::tui"];
    none("the world knows a terminal or a runtime", &lines_with("console/src/world", &words));
}

#[test]
fn no_file_is_too_long() {
    let long = |(path, text): &(String, String)| {
        let lines = text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"))
    };
    none("split these files", &sources().iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    // Put together, so that this line is no finding of its own.
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    none("left for later", &lines_with("", &words));
    none("left over from looking for a mistake", &lines_with("", &[concat!("dbg", "!(")]));
}

#[test]
fn nothing_is_unsafe() {
    let word = [concat!("unsa", "fe {"), concat!("unsa", "fe fn"), concat!("allow(unsa", "fe_code")];
    none("unsafe code", &lines_with("", &word));
}

#[test]
fn the_repository_stands_on_its_own() {
    // Paths of the machine it was written on are of no use to anybody else.
    let words = [concat!("/wo", "rk/"), concat!("/tmp", "/wt"), concat!("/ro", "ot/")];
    let mut places = Vec::new();
    for (path, text) in files(&[".rs", ".md", ".toml", "run"]) {
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                places.push(format!("{path}:{}", number + 1));
            }
        }
    }
    none("a path of somebody's machine", &places);
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent = |(path, text): &(String, String)| {
        let told = text.lines().take(3).any(|line| line.starts_with("//!") || line.starts_with("#!"));
        // Test modules are told by their tests.
        (!told && !path.ends_with("tests.rs") && !path.contains("/tests/")).then(|| path.clone())
    };
    none("these files begin with no `//!`", &sources().iter().filter_map(silent).collect::<Vec<_>>());
}

#[test]
fn every_demo_is_inside_the_binary() {
    for (path, text) in files(&[".toml"]) {
        let Some(name) = path.strip_prefix("demos/").and_then(|name| name.strip_suffix(".toml")) else {
            continue;
        };
        if name.contains('/') {
            continue;
        }
        let demo = palib_console::cluster::Demo::find(name);
        assert_eq!(demo.map(|demo| demo.text), Some(text.as_str()), "{path} is not in cluster/demos.rs");
    }
}

#[test]
fn limits_are_stated_in_one_place() {
    let mut places =
        lines_with("shared/src", &["const BODY_BYTES_MAX", "const FRAME_BYTES_MAX", "const LINKS_MAX"]);
    places.retain(|place| !place.starts_with("shared/src/limits.rs"));
    none("a limit has a second home", &places);
}
