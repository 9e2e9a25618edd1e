//! Reading and writing certificates and keys.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::TlsError;

/// The mode of a private key.
pub(super) const KEY_MODE: u32 = 0o600;
/// The mode of a certificate, which is no secret.
pub(super) const CERTIFICATE_MODE: u32 = 0o644;

/// Writes a file as a whole or not at all. The mode is set when the file is created, not after: there is no
/// moment at which somebody else could open a key.
pub(super) fn write(file: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let temporary = file.with_extension(format!("new-{}", std::process::id()));
    let wrote =
        write_new(&temporary, text, mode).and_then(|()| fs::rename(&temporary, file)).and_then(|()| {
            let folder =
                file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        });
    wrote.map_err(|error| {
        // Best effort: what is reported is why the writing failed.
        let _ = fs::remove_file(&temporary);
        problem(file, &error)
    })
}

fn write_new(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

/// Reads a certificate.
pub(super) fn read(file: &Path) -> Result<String, TlsError> {
    fs::read_to_string(file).map_err(|error| problem(file, &error))
}

/// Reads a private key, unless others may read it as well.
pub(super) fn read_key(file: &Path) -> Result<String, TlsError> {
    let key = File::open(file).map_err(|error| problem(file, &error))?;
    let mode = key.metadata().map_err(|error| problem(file, &error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TlsError::KeyIsReadable { file: file.to_owned(), mode });
    }
    io::read_to_string(key).map_err(|error| problem(file, &error))
}

fn problem(file: &Path, error: &io::Error) -> TlsError {
    TlsError::File { file: file.to_owned(), reason: error.to_string() }
}
