//! Whom a defect names, held against who is there.

use super::Failure;
use crate::defect::Defect;
use crate::units::closest;

/// Who can be named in a cluster.
#[derive(Debug)]
pub(super) struct Targets<'a> {
    /// The cluster, for the message.
    pub(super) cluster: &'a str,
    /// Its aliases.
    pub(super) aliases: Vec<&'a str>,
    /// Its processes.
    pub(super) processes: Vec<&'a str>,
}

impl Targets<'_> {
    /// Whether all that a defect names is there: else it would hit nobody, however long it is tried.
    ///
    /// # Errors
    /// If not, what may be meant.
    pub(super) fn check(&self, defect: &Defect) -> Result<(), Failure> {
        let mut any = self.processes.clone();
        any.extend(&self.aliases);
        any.push("ftm");
        // Only an alias has defect points and a disk, and the FTM points of its own.
        let (known, what) = match defect.injury.alias() {
            Some(_) => (&self.aliases, "defect points and disks are those of an alias, and none"),
            None => (&any, "nothing"),
        };
        let targets = defect.targets();
        let Some(unknown) = targets.into_iter().find(|target| !known.contains(&target.0.as_str())) else {
            return Ok(());
        };
        let hint = match closest(&unknown.0, known.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        let cluster = self.cluster;
        Err(Failure::usage(format!("\"{defect}\": {what} is named `{unknown}` in {cluster}; {hint}")))
    }
}
