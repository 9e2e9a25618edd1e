//! The cluster's own authority, and the certificates of everybody in it.

use std::path::Path;

use palib::tls::{Authority, Grant, Identity, TlsError};

use crate::state::StateFolder;

/// The authority of a cluster: made at the first start, kept from then on.
pub(crate) fn authority(folder: &StateFolder) -> Result<Authority, TlsError> {
    let tls = folder.tls();
    if Authority::is_saved_in(&tls) {
        return Authority::load(&tls);
    }
    let authority = Authority::create(&folder.cluster())?;
    authority.save(&tls)?;
    Ok(authority)
}

/// Issues a certificate, unless there is one already that says the same.
pub(crate) fn ensure(authority: &Authority, folder: &StateFolder, grant: &Grant) -> Result<(), TlsError> {
    let (certificate, key) = (folder.certificate(&grant.name), folder.key(&grant.name));
    if certificate.exists() && key.exists() && says(&certificate, &key, &folder.authority(), grant) {
        return Ok(());
    }
    authority.issue(grant)?.save(&certificate, &key)
}

fn says(certificate: &Path, key: &Path, authority: &Path, grant: &Grant) -> bool {
    Identity::load(certificate, key, authority).is_ok_and(|identity| {
        let mut found = identity.grant().clone();
        let mut wanted = grant.clone();
        found.aliases.sort();
        wanted.aliases.sort();
        found == wanted
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn certificates_are_kept_until_they_must_say_something_else() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StateFolder::of(parent.path(), "test").unwrap();
        folder.create().unwrap();
        let first = authority(&folder).unwrap();
        assert_eq!(authority(&folder).unwrap().certificate_pem(), first.certificate_pem());
        let read = || fs::read(folder.certificate("a-1")).unwrap();
        ensure(&first, &folder, &Grant::process("a-1", ["a", "b"])).unwrap();
        let before = read();
        ensure(&first, &folder, &Grant::process("a-1", ["b", "a"])).unwrap();
        assert_eq!(read(), before);
        ensure(&first, &folder, &Grant::process("a-1", ["a"])).unwrap();
        assert_ne!(read(), before);
        let mode = fs::metadata(folder.key("a-1")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
