//! TLS for everything that listens: a certificate, and if wanted the authorities that senders' certificates must have.

use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// What the files of TLS hold, as PEM.
#[derive(Clone, Default)]
pub struct Pem {
    /// The server's certificate, and those above it.
    pub certificates: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
    /// Authorities of senders, if they must show certificates.
    pub client_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem(…)")
    }
}

/// What speaks TLS with senders; the error says in words which file is wrong and why.
pub fn acceptor(pem: &Pem) -> Result<TlsAcceptor, String> {
    let certificates = certificates(&pem.certificates, "--tls-cert")?;
    let key = PrivateKeyDer::from_pem_slice(&pem.key).map_err(|error| format!("--tls-key holds no key: {error}"))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &pem.client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for certificate in self::certificates(authorities, "--client-ca")? {
                roots.add(certificate).map_err(|error| format!("--client-ca: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| format!("--client-ca: {error}"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        builder.with_single_cert(certificates, key).map_err(|error| format!("--tls-cert and --tls-key: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(pem: &[u8], option: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("{option} is not PEM: {error}"))?;
    if read.is_empty() { Err(format!("{option} holds no certificate")) } else { Ok(read) }
}
