//! What a certificate says of its holder, and identities in files.

use palib::tls::{Identity, IssuedPem, granted_by};

/// As DER, as a peer shows it, and as PEM, as it lies in a file.
pub(super) fn certificate(data: &[u8]) -> bool {
    let granted = granted_by(data);
    if let Ok((cluster, grant)) = &granted {
        assert!(!cluster.contains('/') && !grant.name.contains('/'), "{cluster} {grant:?}");
        assert!(grant.aliases.iter().all(|alias| !alias.contains('/')), "{grant:?}");
    }
    let text = String::from_utf8_lossy(data).into_owned();
    let issued = IssuedPem { certificate: text.clone(), key: text.clone() };
    // Its own key and its own authority: it need only not be believed by accident or end the process.
    let _ = Identity::from_pem(&issued, &text);
    granted.is_ok()
}
