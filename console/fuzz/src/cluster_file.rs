//! Cluster files, as an operator writes them.

use palib_console::cluster::ClusterFile;

/// A file is understood, or each mistake in it has its place and an advice.
pub(super) fn cluster_file(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    match ClusterFile::parse("fuzzed.toml", text) {
        Ok(file) => {
            assert_eq!(file.text, text);
            assert!(!file.aliases.is_empty(), "a cluster of nothing");
            for alias in &file.aliases {
                let members = file.members(&alias.name);
                assert!(!members.is_empty(), "{} has no member", alias.name);
            }
            for process in &file.processes {
                assert!(process.aliases.iter().all(|alias| file.alias(alias).is_some()), "{process:?}");
            }
            true
        }
        Err(error) => {
            assert!(!error.mistakes.is_empty(), "refused for nothing");
            let lines = text.lines().count();
            for mistake in &error.mistakes {
                assert!(mistake.line <= lines + 1, "{mistake:?} in {lines} lines");
                assert!(!mistake.what.is_empty() && !mistake.hint.is_empty(), "{mistake:?}");
            }
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
