//! The authority that makes the certificates of one cluster.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType,
};

use super::{Grant, SERVER_NAME, TlsError, files};

/// The names of an authority's files.
const CERTIFICATE_FILE: &str = "authority.pem";
const KEY_FILE: &str = "authority.key";

/// The authority of one cluster. Whoever has its key can be anybody in the cluster: only the FTM holds it.
pub struct Authority {
    cluster: String,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key, as text.
pub struct IssuedPem {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// Makes a new authority for a cluster.
    ///
    /// # Errors
    /// If the cluster's name can't stand in a certificate, or no key can be made.
    pub fn create(cluster: &str) -> Result<Self, TlsError> {
        // The name is checked like those of all grants, before a certificate with it exists.
        Grant::ftm().uris(cluster)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = named(cluster);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = new_key()?;
        let certificate_pem = parameters.self_signed(&key).map_err(|error| making(&error))?.pem();
        Ok(Self { cluster: cluster.to_owned(), certificate_pem, issuer: Issuer::new(parameters, key) })
    }

    /// Reads an authority that was saved in this folder.
    ///
    /// # Errors
    /// If its files can't be read, are damaged, or the key could be read by others.
    pub fn load(folder: &Path) -> Result<Self, TlsError> {
        let (certificate_file, key_file) = (folder.join(CERTIFICATE_FILE), folder.join(KEY_FILE));
        let key_pem = files::read_key(&key_file)?;
        let certificate_pem = files::read(&certificate_file)?;
        let key = KeyPair::from_pem(&key_pem)
            .map_err(|error| TlsError::Damaged { file: key_file, reason: error.to_string() })?;
        let damaged = |reason: String| TlsError::Damaged { file: certificate_file.clone(), reason };
        let cluster =
            super::identity::common_name(&certificate_pem).map_err(|error| damaged(error.to_string()))?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { cluster, certificate_pem, issuer })
    }

    /// Saves it into a folder, the key so that only its owner can read it. What was there is replaced.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn save(&self, folder: &Path) -> Result<(), TlsError> {
        files::write(&folder.join(KEY_FILE), &self.issuer.key().serialize_pem(), files::KEY_MODE)?;
        files::write(&folder.join(CERTIFICATE_FILE), &self.certificate_pem, files::CERTIFICATE_MODE)
    }

    /// Whether a whole authority lies in this folder.
    #[must_use]
    pub fn is_saved_in(folder: &Path) -> bool {
        // The certificate is written last.
        folder.join(CERTIFICATE_FILE).exists()
    }

    /// The name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Its own certificate, which every process must have.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a certificate that grants this, with a key of its own.
    ///
    /// # Errors
    /// If a name in it can't stand in a certificate, or no key can be made.
    pub fn issue(&self, grant: &Grant) -> Result<IssuedPem, TlsError> {
        let mut parameters =
            CertificateParams::new([SERVER_NAME.to_owned()]).map_err(|error| making(&error))?;
        for uri in grant.uris(&self.cluster)? {
            let uri = uri.try_into().map_err(|error| making(&error))?;
            parameters.subject_alt_names.push(SanType::URI(uri));
        }
        parameters.distinguished_name = named(&grant.name);
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Every process is called and calls.
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = new_key()?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(|error| making(&error))?.pem();
        Ok(IssuedPem { certificate, key: key.serialize_pem() })
    }
}

impl IssuedPem {
    /// Saves both, the key so that only its owner can read it. What was there is replaced.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn save(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        files::write(key, &self.key, files::KEY_MODE)?;
        files::write(certificate, &self.certificate, files::CERTIFICATE_MODE)
    }
}

/// Ed25519: small, quick, and its signatures need no random numbers.
fn new_key() -> Result<KeyPair, TlsError> {
    KeyPair::generate_for(&PKCS_ED25519).map_err(|error| making(&error))
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn making(error: &rcgen::Error) -> TlsError {
    TlsError::Making { reason: error.to_string() }
}
