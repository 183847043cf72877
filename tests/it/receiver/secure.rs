//! T-19 and T-20: TLS, certificates of senders, tokens, Unix sockets.

use super::http::{Answer, JSON, PROTO, ask, send};
use super::payload::{proto, span};
use super::peer::{EXPORT, call, call_over, code, framed, h2, run};
use super::response::status;
use super::seen::names;
use super::server::{Server, fails};
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// An authority, and what it signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key, both PEM.
    fn signed(&self, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A directory with `cert.pem` and `key.pem` of the server and `ca.pem` of the authority.
fn certificates(authority: &Authority) -> TempDir {
    let work = tempfile::tempdir().unwrap();
    let (cert, key) = authority.signed(ExtendedKeyUsagePurpose::ServerAuth);
    for (name, text) in [("cert.pem", cert), ("key.pem", key), ("ca.pem", authority.pem())] {
        std::fs::write(work.path().join(name), text).unwrap();
    }
    work
}

/// A sender that trusts `authority`, shows `identity` and speaks `protocol`.
async fn connect(
    to: SocketAddr,
    authority: &Authority,
    identity: Option<(String, String)>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert], PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = tokio::net::TcpStream::connect(to).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// One request over HTTP/1.1 on a stream of any kind; an error when the stream breaks before the answer.
async fn post(stream: TlsStream<tokio::net::TcpStream>, body: &[u8]) -> std::io::Result<Answer> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = stream;
    let length = body.len().to_string();
    let head = super::http::head("POST", "/v1/traces", &[PROTO, ("Content-Length", &length), ("Connection", "close")]);
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    super::http::answer(&mut std::io::Cursor::new(bytes)).ok_or_else(|| std::io::Error::other("no answer"))
}

#[test]
fn t_19_tls_over_every_protocol() {
    let authority = Authority::new();
    let server = Server::within(
        certificates(&authority),
        &["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--admin-listen", "off"],
    );
    run(async {
        let stream = connect(server.http, &authority, None, b"http/1.1").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(post(stream, &proto("http/1.1")).await.unwrap().status, 200);
        let stream = connect(server.http, &authority, None, b"h2").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let kind = [("content-type", "application/x-protobuf")];
        assert_eq!(h2(stream, "POST", "/v1/traces", &kind, proto("h2")).await.0.status, 200);
        let stream = connect(server.grpc, &authority, None, b"h2").await.unwrap();
        assert_eq!(call_over(stream, EXPORT, &[], framed(0, &proto("grpc"))).await.code, code::OK);
        // Whoever does not trust the certificate, and whoever speaks no TLS, gets nowhere.
        assert!(connect(server.http, &Authority::new(), None, b"h2").await.is_err());
    });
    let mut plain = super::http::connect(server.http);
    let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ask(&mut plain, "POST", "/v1/traces", &[PROTO], &proto("plain"))
    }));
    assert!(answer.is_err(), "plain HTTP has no answer");
    assert_eq!(names(&server.stop().spans), ["grpc", "h2", "http/1.1"]);
}

#[test]
fn t_19_senders_with_certificates() {
    let authority = Authority::new();
    let server = Server::within(
        certificates(&authority),
        &["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--client-ca", "ca.pem", "--admin-listen", "off"],
    );
    run(async {
        let good = authority.signed(ExtendedKeyUsagePurpose::ClientAuth);
        let stream = connect(server.http, &authority, Some(good.clone()), b"http/1.1").await.unwrap();
        assert_eq!(post(stream, &proto("http")).await.unwrap().status, 200);
        let stream = connect(server.grpc, &authority, Some(good), b"h2").await.unwrap();
        assert_eq!(call_over(stream, EXPORT, &[], framed(0, &proto("grpc"))).await.code, code::OK);
        // None; one of another authority; one that is for servers. TLS 1.3 tells the sender only after its handshake.
        let stranger = Authority::new().signed(ExtendedKeyUsagePurpose::ClientAuth);
        let serving = authority.signed(ExtendedKeyUsagePurpose::ServerAuth);
        for identity in [None, Some(stranger), Some(serving)] {
            let refused = match connect(server.http, &authority, identity, b"http/1.1").await {
                Ok(stream) => post(stream, &proto("never")).await.is_err(),
                Err(_) => true,
            };
            assert!(refused);
        }
    });
    assert_eq!(names(&server.stop().spans), ["grpc", "http"]);
}

#[test]
fn t_19_wrong_files_are_errors_at_the_start() {
    let authority = Authority::new();
    let work = certificates(&authority);
    std::fs::write(work.path().join("empty.pem"), "").unwrap();
    let (_, other) = authority.signed(ExtendedKeyUsagePurpose::ServerAuth);
    std::fs::write(work.path().join("other.pem"), other).unwrap();
    let listen = ["--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for (wrong, named) in [
        (&["--tls-cert", "cert.pem"][..], "--tls-key"),
        (&["--tls-key", "key.pem"], "--tls-cert"),
        (&["--client-ca", "ca.pem"], "--tls-cert"),
        (&["--tls-cert", "gone.pem", "--tls-key", "key.pem"], "gone.pem"),
        (&["--tls-cert", "empty.pem", "--tls-key", "key.pem"], "--tls-cert"),
        (&["--tls-cert", "cert.pem", "--tls-key", "empty.pem"], "--tls-key"),
        (&["--tls-cert", "cert.pem", "--tls-key", "other.pem"], "--tls-key"),
        (&["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--client-ca", "empty.pem"], "--client-ca"),
        (&["--token-file", "gone"], "gone"),
        (&["--token-file", "empty.pem"], "empty.pem"),
    ] {
        let ended = fails(work.path(), &[&listen[..], wrong].concat());
        assert_eq!(ended.code, Some(2), "{wrong:?}");
        assert!(ended.said.starts_with("error:") && ended.said.contains(named), "{wrong:?}: {}", ended.said);
        assert!(!ended.said.contains("PRIVATE KEY"));
    }
}

#[test]
fn t_19_a_token_for_every_protocol() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("token"), "s3cret\n").unwrap();
    let server = Server::within(work, &["--token-file", "token"]);
    let right = ("Authorization", "Bearer s3cret");
    assert_eq!(send(server.http, "POST", "/v1/traces", &[PROTO, right], &proto("http")).status, 200);
    let called = call(server.grpc, EXPORT, &[("authorization", "Bearer s3cret")], framed(0, &proto("grpc")));
    assert_eq!(called.code, code::OK);
    for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer ", "s3cret", "Basic czNjcmV0", "Bearer S3CRET", ""] {
        for kind in [PROTO, JSON] {
            let answer = send(server.http, "POST", "/v1/traces", &[kind, ("Authorization", wrong)], b"");
            assert_eq!((answer.status, status(&answer).0), (401, 16), "{wrong}");
            assert!(answer.header("www-authenticate").is_some());
        }
        let called = call(server.grpc, EXPORT, &[("authorization", wrong)], framed(0, &proto("never")));
        assert_eq!(called.code, code::UNAUTHENTICATED, "{wrong}");
    }
    assert_eq!(send(server.http, "POST", "/v1/traces", &[PROTO], &proto("never")).status, 401);
    assert_eq!(send(server.http, "POST", "/v1/metrics", &[PROTO], b"").status, 401);
    // The admin port is behind the same token, but for what probes ask.
    assert_eq!(send(server.admin, "GET", "/v1/gate", &[], b"").status, 401);
    assert_eq!(send(server.admin, "GET", "/v1/gate", &[right], b"").status, 200);
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(send(server.admin, "GET", probe, &[], b"").status, 200, "{probe}");
    }
    assert_eq!(names(&server.stop().spans), ["grpc", "http"]);
}

#[test]
fn t_20_a_unix_socket_takes_both_protocols() {
    let server = Server::with(&["--unix-socket", "otlp.sock", "--grpc-listen", "off", "--http-listen", "off"]);
    let path = server.path("otlp.sock");
    let mut wire = UnixStream::connect(&path).unwrap();
    wire.set_read_timeout(Some(super::server::PATIENCE)).unwrap();
    assert_eq!(ask(&mut wire, "POST", "/v1/traces", &[PROTO], &proto("http")).status, 200);
    run(async {
        let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        let body = framed(0, &super::payload::request(vec![span("grpc")]).encode_to_vec());
        assert_eq!(call_over(stream, EXPORT, &[], body).await.code, code::OK);
    });
    drop(wire);
    let ended = server.stop();
    assert_eq!(names(&ended.spans), ["grpc", "http"]);
    assert!(!path.exists(), "the file goes with the receiver");
}

#[test]
fn t_20_a_socket_that_a_killed_receiver_left_is_taken_over() {
    let first = Server::with(&["--unix-socket", "otlp.sock"]);
    let path = first.path("otlp.sock");
    let work = first.kill();
    assert!(path.exists(), "nobody removed it");
    let second = Server::within(work, &["--unix-socket", "otlp.sock"]);
    let mut wire = UnixStream::connect(&path).unwrap();
    wire.set_read_timeout(Some(super::server::PATIENCE)).unwrap();
    assert_eq!(ask(&mut wire, "POST", "/v1/traces", &[PROTO], &proto("again")).status, 200);
    assert_eq!(names(&second.spans()), ["again"]);
}
