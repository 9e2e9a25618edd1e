//! Why this process ends, for its FTM: in a file, because a process that may answer nobody any more has no time to tell
//! it over a link.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A process has one end, so this is one for the process, like its exit code.
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Where the last words of a process lie that tells in the file `fired` which defect point it passes.
fn beside(fired: &Path) -> PathBuf {
    fired.with_extension("last-words")
}

/// Last words are kept beside this file from now on.
pub(crate) fn keep_in(fired: &Path) {
    let _ = FILE.set(beside(fired));
}

/// Says why this process ends. Best effort: the log has it, too.
pub(crate) fn say(words: &str) {
    if let Some(file) = FILE.get().filter(|file| !file.as_os_str().is_empty()) {
        let _ = fs::write(file, words);
    }
}

/// What a process said that has ended, by its file `fired`; nothing is left of it then.
#[must_use]
pub fn take_last_words(fired: &Path) -> Option<String> {
    let file = beside(fired);
    let words = fs::read_to_string(&file).ok()?;
    let _ = fs::remove_file(&file);
    Some(words).filter(|words| !words.is_empty())
}
