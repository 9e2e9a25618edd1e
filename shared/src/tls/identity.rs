//! Who a process is towards others, and whom it believes.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Grant, IssuedPem, TlsError, files};

/// The protocol named in the handshake. What this version of palib speaks is said in the first bytes after it.
const ALPN: &[u8] = b"palib";

/// The certificate and key of a process, and the authority it believes.
pub struct Identity {
    cluster: String,
    grant: Grant,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: CertificateDer<'static>,
}

impl Identity {
    /// Reads it from its files (PEM).
    ///
    /// # Errors
    /// If a file can't be read, is damaged, or the key could be read by others.
    pub fn load(certificate: &Path, key: &Path, authority: &Path) -> Result<Self, TlsError> {
        let issued = IssuedPem { key: files::read_key(key)?, certificate: files::read(certificate)? };
        let authority_pem = files::read(authority)?;
        let wrong = |file: &Path, reason: String| TlsError::Damaged { file: file.to_owned(), reason };
        // The parts are looked at one by one, so that an error names the right file.
        parse_certificate(&issued.certificate).map_err(|error| wrong(certificate, error.to_string()))?;
        parse_certificate(&authority_pem).map_err(|error| wrong(authority, error.to_string()))?;
        parse_key(&issued.key).map_err(|error| wrong(key, error.to_string()))?;
        Self::from_pem(&issued, &authority_pem)
    }

    /// Takes it from text.
    ///
    /// # Errors
    /// If a part is damaged or the certificate is not one of palib's.
    pub fn from_pem(issued: &IssuedPem, authority_pem: &str) -> Result<Self, TlsError> {
        let certificate = parse_certificate(&issued.certificate)?;
        let (cluster, grant) = Grant::from_certificate(&certificate)?;
        Ok(Self {
            cluster,
            grant,
            chain: vec![certificate],
            key: parse_key(&issued.key)?,
            authority: parse_certificate(authority_pem)?,
        })
    }

    /// What its own certificate grants.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The name of its cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// How it takes connections: only from holders of a certificate of its own authority.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let provider = provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider.clone())
            .build()
            .map_err(|error| unusable(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(self.chain.clone(), self.key.clone_key())
            })
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // No resumption: each connection shows both certificates, and nothing is sent in 0-RTT, where an
        // attacker could replay it.
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(config)
    }

    /// How it connects: only to holders of a certificate of its own authority.
    pub(crate) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = provider();
        let verifier = WebPkiServerVerifier::builder_with_provider(self.roots()?, provider.clone())
            .build()
            .map_err(|error| unusable(&error))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| {
                builder
                    .with_webpki_verifier(verifier)
                    .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            })
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        config.enable_early_data = false;
        Ok(config)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).map_err(|error| unusable(&error))?;
        Ok(Arc::new(roots))
    }
}

/// The grant in the certificate a peer has shown, if it is of this cluster. Its signature was checked in the
/// handshake.
pub(crate) fn peer_grant(cluster: &str, chain: &[CertificateDer<'_>]) -> Result<Grant, TlsError> {
    let shown = chain.first().ok_or_else(|| TlsError::NoGrant { reason: "none was shown".to_owned() })?;
    let (theirs, grant) = Grant::from_certificate(shown)?;
    if theirs != cluster {
        return Err(TlsError::NoGrant {
            reason: format!("it is of the cluster {theirs}, this is {cluster}"),
        });
    }
    Ok(grant)
}

/// What a certificate in DER says, and of which cluster it says it is. Its signature is not looked at.
///
/// # Errors
/// If it is no certificate, or says nothing that palib understands.
pub fn granted_by(der: &[u8]) -> Result<(String, Grant), TlsError> {
    Grant::from_certificate(der)
}

/// The common name in a certificate.
pub(super) fn common_name(pem: &str) -> Result<String, TlsError> {
    let der = parse_certificate(pem)?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| unusable(&error))?;
    let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.map(str::to_owned).ok_or_else(|| TlsError::NoGrant { reason: "it has no common name".to_owned() })
}

/// AES-128-GCM first: the processors this runs on do it in hardware, faster than the longer key or ChaCha20.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

fn parse_certificate(pem: &str) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| TlsError::Unusable { reason: format!("no certificate: {error}") })
}

fn parse_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| TlsError::Unusable { reason: format!("no private key: {error}") })
}

fn unusable(error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Unusable { reason: error.to_string() }
}
