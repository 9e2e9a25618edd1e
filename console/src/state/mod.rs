//! The state folder of a cluster: what lies where in it, and which clusters there are.

mod nodes;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// What can be wrong with a state folder.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The user has no home to keep state in.
    #[error("no home directory is known, so there is no place for state; name one with --state DIR")]
    NoHome,
    /// The operating system refused.
    #[error("{}: {source}; state is kept there, choose another place with --state DIR", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
    /// The name can't be the name of a folder.
    #[error(
        "{0:?} can't be a cluster's name: use letters, digits, '-', '_' and '.', at most 64, not starting with '.'"
    )]
    Name(String),
}

/// The folder that holds one cluster's state: `<parent>/<cluster>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// The folder of a cluster below a parent. Nothing is created.
    ///
    /// # Errors
    /// If the name can't be a folder's name.
    pub fn of(parent: &Path, cluster: &str) -> Result<Self, StateError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if cluster.is_empty() || cluster.len() > 64 || cluster.starts_with('.') || !cluster.chars().all(plain)
        {
            return Err(StateError::Name(cluster.to_owned()));
        }
        Ok(Self { path: parent.join(cluster) })
    }

    /// A folder given by its path, as the keeper and the FTM are told it.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Creates the folder and those inside it, all of them closed to other users.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn create(&self) -> Result<(), StateError> {
        for folder in [
            self.path.clone(),
            self.tls(),
            self.tickets(),
            self.areas(),
            self.logs(),
            self.files(),
            self.history(),
        ] {
            make_folder(&folder).map_err(|source| StateError::Io { path: folder, source })?;
        }
        Ok(())
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster's name: the name of the folder.
    #[must_use]
    pub fn cluster(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A copy of the cluster file this state was last started from.
    #[must_use]
    pub fn cluster_file(&self) -> PathBuf {
        self.path.join("cluster.toml")
    }

    /// Holds the folder the cluster file came from, in which commands of the user's own are run.
    #[must_use]
    pub fn origin(&self) -> PathBuf {
        self.path.join("origin")
    }

    /// There from the start of the cluster until an FTM has begun: the one that finds it is no successor of one that died,
    /// and starts every process.
    #[must_use]
    pub fn started_anew(&self) -> PathBuf {
        self.path.join("started-anew")
    }

    /// What the FTM must remember.
    #[must_use]
    pub fn ftm_store(&self) -> PathBuf {
        self.path.join("ftm.redb")
    }

    /// Holds the address of the FTM, `127.0.0.1:4711`.
    #[must_use]
    pub fn ftm_address(&self) -> PathBuf {
        self.path.join("ftm.addr")
    }

    /// Holds the process id of the FTM and its start time; gone once the FTM has ended in good order.
    #[must_use]
    pub fn ftm_pid(&self) -> PathBuf {
        self.path.join("ftm.pid")
    }

    /// Holds the process id of the keeper and its start time.
    #[must_use]
    pub fn keeper_pid(&self) -> PathBuf {
        self.path.join("keeper.pid")
    }

    /// The folder of certificates and keys.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.path.join("tls")
    }

    /// The certificate of the cluster's own authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.tls().join("authority.pem")
    }

    /// A certificate: of `ftm`, `operator` or a process.
    #[must_use]
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.tls().join(format!("{name}.pem"))
    }

    /// The private key to it.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.tls().join(format!("{name}.key"))
    }

    /// The folder of join tickets.
    #[must_use]
    pub fn tickets(&self) -> PathBuf {
        self.path.join("tickets")
    }

    /// The join ticket of a process.
    #[must_use]
    pub fn ticket(&self, process: &str) -> PathBuf {
        self.tickets().join(format!("{process}.json"))
    }

    /// Where a process tells which defect point it is about to die or to wait at.
    #[must_use]
    pub fn fired(&self, process: &str) -> PathBuf {
        self.tickets().join(format!("{process}.fired"))
    }

    /// Where the FTM keeps which of its own defect points are armed.
    #[must_use]
    pub fn armed_in_ftm(&self) -> PathBuf {
        self.tickets().join("ftm.armed")
    }

    /// The folder of stable areas.
    #[must_use]
    pub fn areas(&self) -> PathBuf {
        self.path.join("areas")
    }

    /// The stable area of an alias.
    #[must_use]
    pub fn area(&self, alias: &str) -> PathBuf {
        self.areas().join(format!("{alias}.redb"))
    }

    /// The incarnation of an alias, beside its stable area.
    #[must_use]
    pub fn incarnation(&self, alias: &str) -> PathBuf {
        self.areas().join(format!("{alias}.incarnation"))
    }

    /// The folder of logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What a process, the FTM (`ftm`) or the keeper (`keeper`) wrote to its standard output and error.
    #[must_use]
    pub fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    /// Where the `files` service creates and deletes its files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// All events but measurements, one JSON object per line.
    #[must_use]
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The callers' histories.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.path.join("history")
    }

    /// Takes the right to start the cluster, which nobody else has until the file is closed. None if somebody has it.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn begin_start(&self) -> Result<Option<fs::File>, StateError> {
        let path = self.path.join("start.lock");
        let failed = |source| StateError::Io { path: path.clone(), source };
        let file = fs::File::options().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The FTM that lives on this state, if one does.
    #[must_use]
    pub fn living_ftm(&self) -> Option<ProcessMark> {
        ProcessMark::read(&self.ftm_pid()).filter(ProcessMark::lives)
    }

    /// The keeper that lives on this state, if one does.
    #[must_use]
    pub fn living_keeper(&self) -> Option<ProcessMark> {
        ProcessMark::read(&self.keeper_pid()).filter(ProcessMark::lives)
    }
}

/// Where all clusters' folders lie: what `--state` says, else `$XDG_STATE_HOME/palib`, else `~/.local/state/palib`.
///
/// # Errors
/// If nothing is given and the user has no home.
pub fn parent_folder(given: Option<&Path>) -> Result<PathBuf, StateError> {
    use etcetera::BaseStrategy as _;
    if let Some(given) = given {
        // Processes in other folders read these paths too.
        return std::path::absolute(given)
            .map_err(|source| StateError::Io { path: given.to_owned(), source });
    }
    let home = etcetera::base_strategy::Xdg::new().map_err(|_| StateError::NoHome)?;
    Ok(home.state_dir().ok_or(StateError::NoHome)?.join("palib"))
}

/// A cluster that has state.
#[derive(Clone, Debug)]
pub struct FoundCluster {
    /// Its name.
    pub name: String,
    /// Its state folder.
    pub folder: StateFolder,
    /// The FTM, if one lives.
    pub ftm: Option<ProcessMark>,
    /// The keeper, if one lives.
    pub keeper: Option<ProcessMark>,
    /// What lives of it although FTM and keeper are gone.
    pub orphans: Vec<ProcessMark>,
}

impl FoundCluster {
    fn at(folder: StateFolder) -> Self {
        let (name, ftm, keeper) = (folder.cluster(), folder.living_ftm(), folder.living_keeper());
        // Looking through all processes of the machine is worth it only for who has nobody to look after them.
        let orphans = if ftm.or(keeper).is_some() { Vec::new() } else { folder.living_nodes() };
        Self { name, folder, ftm, keeper, orphans }
    }

    /// Whether anything of it lives that can be attached to or stopped.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.ftm.is_some() || self.keeper.is_some() || !self.orphans.is_empty()
    }
}

/// All clusters that have state below a parent, by name; stopped ones as well.
///
/// # Errors
/// If the parent is there and can't be read.
pub fn clusters(parent: &Path) -> Result<Vec<FoundCluster>, StateError> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| StateError::Io { path: parent.to_owned(), source })?,
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| StateFolder::at(entry.path()))
        .filter(|folder| folder.cluster_file().is_file())
        .map(FoundCluster::at)
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A process that can be told from a later one with the same number: its id and when it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessMark {
    /// The operating system's process id.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl ProcessMark {
    /// The mark of a process that lives now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let (_, start_time) = stat(pid)?;
        Some(Self { pid, start_time })
    }

    /// The mark of this process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        Self::of(pid).unwrap_or(Self { pid, start_time: 0 })
    }

    /// Whether the process lives: the same one, and more of it than an unreaped entry.
    #[must_use]
    pub fn lives(&self) -> bool {
        stat(self.pid)
            .is_some_and(|(state, start_time)| start_time == self.start_time && !matches!(state, 'Z' | 'X'))
    }

    /// The process id in the form system calls take.
    #[must_use]
    pub fn id(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.pid).ok()?)
    }

    /// Reads a mark from a file; none if it is missing or is no mark.
    #[must_use]
    pub fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let (pid, start_time) = text.trim().split_once(' ')?;
        Some(Self { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
    }

    /// Writes the mark to a file.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn write(&self, file: &Path) -> Result<(), StateError> {
        write_whole(file, format!("{} {}\n", self.pid, self.start_time).as_bytes())
    }
}

/// Makes a folder and those above it, closed to other users. Their names are durable when this returns: what must
/// outlive a loss of power lies below them.
fn make_folder(folder: &Path) -> io::Result<()> {
    let is_new = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let new: Vec<&Path> = folder.ancestors().take_while(is_new).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for made in new {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        fs::File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Writes a file so that a reader sees the old content or the new one, never a part; only the user may read it.
///
/// # Errors
/// If the operating system refuses.
pub fn write_whole(file: &Path, content: &[u8]) -> Result<(), StateError> {
    use std::io::Write as _;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new{}", std::process::id()));
    let beside = file.with_file_name(name);
    let write = || {
        let mut out =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        out.write_all(content)?;
        fs::rename(&beside, file)
    };
    write().map_err(|source| StateError::Io { path: file.to_owned(), source })
}

/// State and start time from `/proc/PID/stat`.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the command in parentheses, and may itself hold parentheses and spaces.
    let mut fields = text.get(text.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let own = ProcessMark::own();
        assert!(own.lives());
        assert!(!ProcessMark { start_time: own.start_time + 1, ..own }.lives());
    }

    #[test]
    fn a_mark_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.pid");
        ProcessMark::own().write(&file).unwrap();
        assert_eq!(ProcessMark::read(&file), Some(ProcessMark::own()));
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(ProcessMark::read(&file), None);
    }

    #[test]
    fn clusters_are_found_by_their_cluster_file() {
        let parent = tempfile::tempdir().unwrap();
        assert!(clusters(&parent.path().join("nowhere")).unwrap().is_empty());
        for name in ["b", "a"] {
            let folder = StateFolder::of(parent.path(), name).unwrap();
            folder.create().unwrap();
            fs::write(folder.cluster_file(), "").unwrap();
        }
        fs::create_dir(parent.path().join("other")).unwrap();
        let found = clusters(parent.path()).unwrap();
        assert_eq!(found.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(found.iter().all(|cluster| !cluster.runs()));
    }

    #[test]
    fn a_name_that_leaves_the_folder_is_refused() {
        for name in ["", "..", "a/b", ".hidden", "a b"] {
            assert!(StateFolder::of(Path::new("/tmp"), name).is_err(), "{name:?}");
        }
    }
}
