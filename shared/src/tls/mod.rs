//! The cluster's own authority, its certificates, and what a certificate lets its holder do.
//!
//! Every process has a certificate of the cluster's authority and shows it in both directions. The certificate
//! itself says who its holder is and for which aliases it may speak ([`Grant`]), as names in URI form, so that no
//! process has to ask anybody whether to believe another one. Nothing outside the state folder is trusted: no
//! public authority, no other cluster's.

mod authority;
mod files;
mod grant;
mod identity;

pub use authority::{Authority, IssuedPem};
pub use grant::{Grant, Role};
pub use identity::Identity;
#[doc(hidden)]
pub use identity::granted_by;
pub(crate) use identity::peer_grant;

use std::path::PathBuf;

/// The name every certificate has, whichever host its process runs on: who a peer is follows from its grant and
/// not from where it is reached.
pub const SERVER_NAME: &str = "palib.internal";

/// What can be wrong with certificates and keys.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read or written.
    #[error("{}: {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// A key that others may read.
    #[error(
        "{}: mode {mode:03o} lets others than its owner read this private key; chmod 600 {}, and if somebody \
         may have read it, remove the cluster's tls folder so that new keys are made",
        file.display(), file.display()
    )]
    KeyIsReadable {
        /// The file.
        file: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file that does not hold what it should.
    #[error("{}: {reason}; remove the cluster's tls folder so that it is made again", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A name that can't stand in a certificate.
    #[error("`{name}` can't be named in a certificate: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A certificate that says nothing that palib understands.
    #[error("the certificate is not one of palib's: {reason}")]
    NoGrant {
        /// What is missing or wrong.
        reason: String,
    },
    /// Making keys or certificates failed.
    #[error("making a certificate failed: {reason}")]
    Making {
        /// The maker's words.
        reason: String,
    },
    /// The certificate and the key do not go together, or the like.
    #[error("the identity can't be used: {reason}")]
    Unusable {
        /// The TLS library's words.
        reason: String,
    },
}
