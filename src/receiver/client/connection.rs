//! Connections: TCP, TLS if wanted, and hyper's handshake.

use super::endpoint::Url;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Why nothing came of it, for people.
pub(super) type Failed = String;

/// What a connection leads to.
#[derive(Clone)]
pub(super) struct Target {
    host: String,
    port: u16,
    http2: bool,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}:{})", self.host, self.port)
    }
}

impl Target {
    pub fn new(url: &Url, http2: bool, authorities: Option<&[u8]>) -> Result<Target, Failed> {
        let tls = if url.tls {
            let name = ServerName::try_from(url.host.clone());
            let name = name.map_err(|_| format!("no certificate can be for a host named `{}`", url.host))?;
            Some((connector(http2, authorities)?, name))
        } else {
            None
        };
        Ok(Target { host: url.host.clone(), port: url.port, http2, tls })
    }
}

fn connector(http2: bool, authorities: Option<&[u8]>) -> Result<TlsConnector, Failed> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("the authorities are not PEM: {error}"))?;
                roots.add(certificate).map_err(|error| format!("an authority cannot be used: {error}"))?;
            }
        }
        // Those that cannot be read or used are as good as absent.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        return Err("there is no certificate authority to trust".to_owned());
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(TlsConnector::from(Arc::new(config)))
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A connection that is open; closed when it is dropped.
pub(super) struct Connection {
    sender: Sender,
    driver: AbortHandle,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Connection, Failed> {
        let Target { host, port, .. } = target;
        let stream = TcpStream::connect((host.as_str(), *port))
            .await
            .map_err(|error| format!("cannot connect to {host} port {port}: {error}"))?;
        // Requests are whole when they are sent: waiting for more would only cost time.
        let _ = stream.set_nodelay(true);
        match &target.tls {
            None => handshake(stream, target.http2).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                let stream = stream.map_err(|error| format!("no TLS with {host} port {port}: {error}"))?;
                handshake(stream, target.http2).await
            }
        }
    }

    /// Sends a request; one that was certainly not sent comes back with the error.
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, (Failed, Option<Request<Full<Bytes>>>)> {
        let closed = match &mut self.sender {
            Sender::One(sender) => sender.ready().await.err(),
            Sender::Two(sender) => sender.ready().await.err(),
        };
        if let Some(error) = closed {
            return Err((chain(&error), Some(request)));
        }
        let sent = match &mut self.sender {
            Sender::One(sender) => sender.try_send_request(request).await,
            Sender::Two(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| {
            let unsent = error.take_message();
            (chain(error.error()), unsent)
        })
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
) -> Result<Connection, Failed> {
    let stream = TokioIo::new(stream);
    let failed = |error: hyper::Error| format!("no HTTP: {}", chain(&error));
    let (sender, driver) = if http2 {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new()).handshake(stream).await.map_err(failed)?;
        (Sender::Two(sender), tokio::spawn(async move { drop(connection.await) }))
    } else {
        let (sender, connection) = http1::handshake(stream).await.map_err(failed)?;
        (Sender::One(sender), tokio::spawn(async move { drop(connection.await) }))
    };
    Ok(Connection { sender, driver: driver.abort_handle() })
}

/// An error with what is behind it, which hyper does not say by itself.
fn chain(error: &dyn Error) -> Failed {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
