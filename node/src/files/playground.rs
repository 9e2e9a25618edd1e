//! The folder in which files are created and deleted, in such a way that it can be told afterwards which call did it.
//!
//! A file has the id of the call that created it as its content: it is written under another name and then linked to
//! its own, which is one step and fails if there is a file already. A deleted file is first moved to a name with the
//! id of the call that deletes it, which is one step, too, and stays there until the outcome is registered.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use palib::Error;
use parking_lot::Mutex;

use crate::NodeError;

/// The longest name of a file: with the id of a call behind it, it must still be a name.
const NAME_BYTES_MAX: usize = 100;

/// What a call wants.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// `create`, or else `delete`.
    pub(super) creates: bool,
    pub(super) name: String,
    /// Which call it is.
    id: String,
}

/// How an operation ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was executed; false: there was nothing to do.
    Done(bool),
    /// It could not be begun; nothing has changed.
    Refused(String),
    /// It may or may not have had its effect.
    Unknown(String),
}

/// Deleted files whose deletion was registered, but that were not forgotten before their process died; by name.
#[derive(Default)]
pub(super) struct Leftovers(Mutex<HashMap<String, Vec<PathBuf>>>);

/// The folder.
pub(super) struct Playground {
    /// Where the files are.
    files: PathBuf,
    /// Where they are written before they are created.
    new: PathBuf,
    /// Where they lie after they were deleted.
    gone: PathBuf,
}

impl Operation {
    /// Reads `create NAME` or `delete NAME`.
    pub(super) fn parse(text: &str, id: String) -> Result<Self, Error> {
        let (verb, name) = text.split_once(' ').unwrap_or((text, ""));
        let creates = match verb {
            "create" => true,
            "delete" => false,
            _ => {
                return Err(Error::failed(format!(
                    "{text:?} is no request here; ask `create NAME` or `delete NAME`"
                )));
            }
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with('.') || !name.bytes().all(plain)
        {
            let rule =
                format!("letters, digits, `.`, `_` and `-`, not a dot first, {NAME_BYTES_MAX} at most");
            return Err(Error::failed(format!("{name:?} is no name of a file here; take {rule}")));
        }
        Ok(Self { creates, name: name.to_owned(), id })
    }

    /// The id as part of a file's name.
    fn tag(&self) -> String {
        self.id.replace('/', ",")
    }

    fn content(&self) -> String {
        format!("created by {}\n", self.id)
    }
}

impl Leftovers {
    /// Those of a name. Whoever takes them is past its own roll-forward point, so everything that was in doubt of
    /// this name before is registered by now.
    pub(super) fn take(&self, name: &str) -> Vec<PathBuf> {
        self.0.lock().remove(name).unwrap_or_default()
    }
}

impl Playground {
    /// Opens the folder, and makes it if need be.
    pub(super) fn open(files: PathBuf) -> Result<Self, NodeError> {
        let (new, gone) = (files.join(".new"), files.join(".gone"));
        for folder in [&files, &new, &gone] {
            fs::create_dir_all(folder).map_err(|error| NodeError::io(folder, error))?;
        }
        sync(&files).map_err(|error| NodeError::io(&files, error))?;
        Ok(Self { files, new, gone })
    }

    /// Has the effect, durably.
    pub(super) fn perform(&self, operation: &Operation) -> Ended {
        if operation.creates { self.create(operation) } else { self.delete(operation) }
    }

    /// Whether a call has had its effect. Only an effect tells: a call that found nothing to do has changed
    /// nothing, and neither has one that was not executed.
    pub(super) fn was_done(&self, operation: &Operation) -> io::Result<bool> {
        if operation.creates {
            return match fs::read_to_string(self.files.join(&operation.name)) {
                Ok(content) => Ok(content == operation.content()),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
                // Not written by this service, so not by this call.
                Err(error) if error.kind() == ErrorKind::InvalidData => Ok(false),
                Err(error) => Err(error),
            };
        }
        self.tombstone(operation).try_exists()
    }

    /// The outcome is registered: what told of the effect is needed no more.
    pub(super) fn forget(&self, operation: &Operation) {
        discard(&self.tombstone(operation));
    }

    /// Throws leftovers away.
    pub(super) fn discard(&self, leftovers: &[PathBuf]) {
        leftovers.iter().for_each(|path| discard(path));
    }

    /// What former members left behind. Called before this one has its first effect.
    pub(super) fn leftovers(&self) -> Leftovers {
        // A file that was not linked to its name yet tells nothing.
        for path in entries(&self.new) {
            discard(&path);
        }
        let mut found: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for path in entries(&self.gone) {
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('@'));
            if let Some((name, _)) = name {
                found.entry(name.to_owned()).or_default().push(path);
            }
        }
        Leftovers(Mutex::new(found))
    }

    fn create(&self, operation: &Operation) -> Ended {
        let written = self.new.join(operation.tag());
        if let Err(error) = write(&written, operation.content().as_bytes()) {
            discard(&written);
            return Ended::Refused(format!("{}: {error}", written.display()));
        }
        let linked = fs::hard_link(&written, self.files.join(&operation.name));
        discard(&written);
        match linked {
            Ok(()) => self.settled(&[&self.files]),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ended::Done(false),
            Err(error) => Ended::Refused(format!("{}: {error}", operation.name)),
        }
    }

    fn delete(&self, operation: &Operation) -> Ended {
        match fs::rename(self.files.join(&operation.name), self.tombstone(operation)) {
            Ok(()) => self.settled(&[&self.files, &self.gone]),
            Err(error) if error.kind() == ErrorKind::NotFound => Ended::Done(false),
            Err(error) => Ended::Refused(format!("{}: {error}", operation.name)),
        }
    }

    /// The effect is there; it counts once it is durable.
    fn settled(&self, folders: &[&Path]) -> Ended {
        match folders.iter().try_for_each(|folder| sync(folder)) {
            Ok(()) => Ended::Done(true),
            Err(error) => Ended::Unknown(format!("{}: {error}", self.files.display())),
        }
    }

    fn tombstone(&self, operation: &Operation) -> PathBuf {
        self.gone.join(format!("{}@{}", operation.name, operation.tag()))
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a file that is needed no more can't be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stage {
        folder: tempfile::TempDir,
        playground: Playground,
    }

    impl Stage {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let playground = Playground::open(folder.path().join("files")).unwrap();
            Self { folder, playground }
        }

        fn done(&self, text: &str, id: &str) -> bool {
            match self.playground.perform(&operation(text, id)) {
                Ended::Done(done) => done,
                other => panic!("{text} ended as {other:?}"),
            }
        }

        fn was_done(&self, text: &str, id: &str) -> bool {
            self.playground.was_done(&operation(text, id)).unwrap()
        }

        fn exists(&self, name: &str) -> bool {
            self.folder.path().join("files").join(name).exists()
        }
    }

    fn operation(text: &str, id: &str) -> Operation {
        Operation::parse(text, format!("caller/i1/{id}")).unwrap()
    }

    #[test]
    fn files_are_created_and_deleted_once() {
        let stage = Stage::new();
        assert!(stage.done("create a", "1"));
        assert!(!stage.done("create a", "2"));
        assert!(stage.exists("a"));
        assert!(stage.done("delete a", "3"));
        assert!(!stage.done("delete a", "4"));
        assert!(!stage.exists("a"));
    }

    #[test]
    fn the_folder_tells_which_call_created_a_file() {
        let stage = Stage::new();
        assert!(!stage.was_done("create a", "1"), "nothing has happened");
        stage.done("create a", "1");
        assert!(stage.was_done("create a", "1"));
        stage.done("create a", "2");
        assert!(!stage.was_done("create a", "2"), "the file is another call's");
    }

    #[test]
    fn the_folder_tells_which_call_deleted_a_file() {
        let stage = Stage::new();
        stage.done("create a", "1");
        assert!(!stage.was_done("delete a", "2"), "it was not executed");
        stage.done("delete a", "2");
        assert!(stage.was_done("delete a", "2"));
        stage.done("delete a", "3");
        assert!(!stage.was_done("delete a", "3"), "there was nothing to delete");
    }

    #[test]
    fn a_file_that_was_written_and_not_linked_is_not_created() {
        let stage = Stage::new();
        let create = operation("create a", "1");
        write(&stage.playground.new.join(create.tag()), create.content().as_bytes()).unwrap();
        assert!(!stage.was_done("create a", "1"));
        stage.playground.leftovers();
        assert!(entries(&stage.playground.new).is_empty());
        assert!(stage.done("create a", "1"));
    }

    #[test]
    fn what_tells_of_a_deletion_stays_until_the_next_call_on_that_name() {
        let stage = Stage::new();
        stage.done("create a", "1");
        stage.done("delete a", "2");
        stage.done("create b", "3");
        stage.done("delete b", "4");
        let leftovers = stage.playground.leftovers();
        stage.playground.discard(&leftovers.take("b"));
        assert!(stage.was_done("delete a", "2"));
        assert!(!stage.was_done("delete b", "4"));
        assert!(leftovers.take("b").is_empty());
    }

    #[test]
    fn a_name_can_not_leave_the_folder() {
        for name in ["", "..", ".new", "a/b", "/etc/passwd", "a b", "a@b"] {
            assert!(Operation::parse(&format!("create {name}"), String::new()).is_err(), "{name:?}");
        }
        assert!(Operation::parse(&format!("create {}", "x".repeat(101)), String::new()).is_err());
    }

    #[test]
    fn a_folder_that_can_not_be_written_refuses_and_changes_nothing() {
        let stage = Stage::new();
        fs::remove_dir_all(&stage.playground.new).unwrap();
        let create = operation("create a", "1");
        assert!(matches!(stage.playground.perform(&create), Ended::Refused(_)));
        assert!(!stage.exists("a"));
    }
}
