//! Where a run keeps what came of it.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{RunError, Summary};
use crate::history;
use crate::state::StateFolder;

/// The folder of a run. Unless it was asked for, it goes away with the run.
pub(super) struct Folder {
    /// What goes away; none once it is to stay.
    temporary: Option<TempDir>,
    path: PathBuf,
    parent: PathBuf,
    cluster: String,
}

impl Folder {
    /// The folder that was asked for, or a temporary one.
    pub(super) fn create(out: Option<&Path>, cluster: &str) -> Result<Self, RunError> {
        let (temporary, path) = match out {
            Some(out) => {
                let out = std::path::absolute(out).map_err(RunError::io(out))?;
                fs::create_dir_all(&out).map_err(RunError::io(&out))?;
                (None, out)
            }
            None => {
                let folder = tempfile::Builder::new().prefix("palib-run-").tempdir();
                let folder = folder.map_err(RunError::io(&std::env::temp_dir()))?;
                let path = folder.path().to_owned();
                (Some(folder), path)
            }
        };
        let parent = path.join("state");
        if parent.exists() {
            let why = format!(
                "there is the state of another run in it; remove {} unless that goes on, or name another folder",
                parent.display()
            );
            return Err(RunError::io(&path)(std::io::Error::other(why)));
        }
        Ok(Self { temporary, path, parent, cluster: cluster.to_owned() })
    }

    /// Where the cluster keeps its state.
    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    /// The cluster's state folder.
    pub(super) fn state(&self) -> Result<StateFolder, RunError> {
        Ok(StateFolder::of(&self.parent, &self.cluster).map_err(crate::keeper::ClusterError::from)?)
    }

    /// The whole history, in one file.
    pub(super) fn history(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }

    /// Puts the callers' histories together.
    pub(super) fn merge_history(&self) -> Result<(), RunError> {
        let files = history::files_in(&self.state()?.history())?;
        history::merge(&files, &self.history())?;
        Ok(())
    }

    /// Lets the folder stay, because somebody will want to look into it.
    pub(super) fn keep_for_looking(&mut self, tell: &mut dyn FnMut(&str)) {
        // From now on it is a folder like one that was asked for.
        self.temporary.take().map(TempDir::keep);
        tell(&format!("everything of this run stays in {}", self.path.display()));
    }

    /// Removes the state of a run that was interrupted: nobody looks into it, and there are keys in it.
    pub(super) fn discard(&self) -> Result<(), RunError> {
        if self.parent.exists() {
            fs::remove_dir_all(&self.parent).map_err(RunError::io(&self.parent))?;
        }
        Ok(())
    }

    /// Writes the summary and brings what is worth keeping to the top; keys and tickets go.
    pub(super) fn finish(&self, summary: &Summary) -> Result<(), RunError> {
        if self.temporary.is_some() {
            return Ok(());
        }
        let state = self.state()?;
        for (from, name) in
            [(state.areas(), "areas"), (state.logs(), "logs"), (state.events(), "events.jsonl")]
        {
            let to = self.path.join(name);
            if from.exists() {
                if to.is_dir() {
                    fs::remove_dir_all(&to).map_err(RunError::io(&to))?;
                }
                fs::rename(&from, &to).map_err(RunError::io(&to))?;
            }
        }
        self.discard()?;
        let file = self.path.join("summary.json");
        let text = serde_json::to_string(summary).unwrap_or_default();
        fs::write(&file, text + "\n").map_err(RunError::io(&file))
    }
}
