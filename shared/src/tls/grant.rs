//! What a certificate lets its holder do.

use std::fmt;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsError;
use crate::limits::NAME_BYTES_MAX;

/// What the holder of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The fault tolerant manager: gives orders to processes.
    Ftm,
    /// A console or a command: asks the FTM.
    Operator,
    /// A member of aliases: calls and is called.
    Process,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Ftm => "ftm",
            Self::Operator => "operator",
            Self::Process => "process",
        }
    }
}

/// Who the holder of a certificate is, and for which aliases it may speak.
///
/// In a certificate it stands as URIs: `palib://CLUSTER/ROLE/NAME`, and `palib://CLUSTER/alias/ALIAS` for each alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// What it is.
    pub role: Role,
    /// Its name, such as `counter-1`.
    pub name: String,
    /// The aliases whose name it may put under its calls, and which it may serve.
    pub aliases: Vec<String>,
}

impl Grant {
    /// The grant of the FTM.
    #[must_use]
    pub fn ftm() -> Self {
        Self { role: Role::Ftm, name: "ftm".to_owned(), aliases: Vec::new() }
    }

    /// The grant of operators, who call under the alias `operator`.
    #[must_use]
    pub fn operator() -> Self {
        Self { role: Role::Operator, name: "operator".to_owned(), aliases: vec!["operator".to_owned()] }
    }

    /// The grant of a process.
    #[must_use]
    pub fn process(name: impl Into<String>, aliases: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let aliases = aliases.into_iter().map(Into::into).collect();
        Self { role: Role::Process, name: name.into(), aliases }
    }

    /// Whether its holder may call, or serve, under this alias.
    #[must_use]
    pub fn speaks_for(&self, alias: &str) -> bool {
        self.aliases.iter().any(|own| own == alias)
    }

    /// The URIs it stands as in a certificate.
    pub(super) fn uris(&self, cluster: &str) -> Result<Vec<String>, TlsError> {
        check_name(cluster)?;
        check_name(&self.name)?;
        let mut uris = vec![format!("palib://{cluster}/{}/{}", self.role.word(), self.name)];
        for alias in &self.aliases {
            check_name(alias)?;
            uris.push(format!("palib://{cluster}/alias/{alias}"));
        }
        Ok(uris)
    }

    /// Reads it from a certificate, whose signature was checked before.
    pub(super) fn from_certificate(der: &[u8]) -> Result<(String, Self), TlsError> {
        let damaged = |what: &dyn fmt::Display| TlsError::NoGrant { reason: what.to_string() };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| damaged(&error))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|error| damaged(&error))?
            .ok_or_else(|| damaged(&"it has no alternative names"))?;
        let uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        Self::from_uris(uris)
    }

    fn from_uris<'a>(uris: impl Iterator<Item = &'a str>) -> Result<(String, Self), TlsError> {
        let mut holder = None;
        let mut aliases = Vec::new();
        for uri in uris {
            let bad = |reason: &str| TlsError::NoGrant { reason: format!("`{uri}` {reason}") };
            let parts: Option<Vec<&str>> = uri.strip_prefix("palib://").map(|rest| rest.split('/').collect());
            let Some([cluster, kind, name]) = parts.as_deref() else {
                return Err(bad("is not of the form palib://CLUSTER/KIND/NAME"));
            };
            let role = match *kind {
                "ftm" => Role::Ftm,
                "operator" => Role::Operator,
                "process" => Role::Process,
                "alias" => {
                    aliases.push(((*cluster).to_owned(), (*name).to_owned()));
                    continue;
                }
                _ => return Err(bad("names something unknown")),
            };
            if holder.replace(((*cluster).to_owned(), role, (*name).to_owned())).is_some() {
                return Err(bad("is a second holder"));
            }
        }
        let (cluster, role, name) =
            holder.ok_or_else(|| TlsError::NoGrant { reason: "it names no holder".into() })?;
        if let Some((other, _)) = aliases.iter().find(|(other, _)| *other != cluster) {
            return Err(TlsError::NoGrant {
                reason: format!("it names two clusters, {cluster} and {other}"),
            });
        }
        let aliases = aliases.into_iter().map(|(_, alias)| alias).collect();
        Ok((cluster, Self { role, name, aliases }))
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Ftm => write!(out, "the FTM"),
            Role::Operator => write!(out, "an operator"),
            Role::Process => write!(out, "process {}", self.name),
        }
    }
}

/// Names are written into URIs as they are, so they must not contain what has a meaning there.
fn check_name(name: &str) -> Result<(), TlsError> {
    let bad = |reason| Err(TlsError::BadName { name: name.to_owned(), reason });
    if name.is_empty() {
        return bad("it is empty");
    }
    if name.len() > NAME_BYTES_MAX {
        return bad("it has more than 64 bytes");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return bad("only letters, digits, `-`, `_` and `.` are allowed");
    }
    Ok(())
}
