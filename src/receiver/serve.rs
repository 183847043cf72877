//! Sockets: binds them, accepts connections within a number, speaks HTTP/1.1, HTTP/2 and TLS on them, and ends them
//! well.

use super::counters::Counters;
use super::respond::Reply;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// A request's headers must have come after so long; an idle connection is closed after so long.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);
/// A TLS handshake must be done after so long.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of headers of one request.
const HEADER_BYTES: usize = 16 << 10;
/// Bytes that a sender may have under way before they are read, on one stream and one connection: enough for 300 MB/s
/// over a millisecond, and no more than 256 MiB from a thousand hostile connections.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// Requests on one HTTP/2 connection at a time.
const STREAMS: u32 = 128;
/// Pause after accepting failed, which means that there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers a request.
pub type Handler =
    Arc<dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Reply>> + Send>> + Send + Sync>;

/// A socket that is bound.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket; its file is removed in the end.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds a TCP socket.
    pub fn tcp(address: SocketAddr) -> io::Result<Listener> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Listener::Tcp(listener))
    }

    /// Binds a Unix socket. A file that a killed process left behind is taken over; one that somebody listens on is
    /// not.
    pub fn unix(path: &Path) -> io::Result<Listener> {
        let bound = UnixListener::bind(path).or_else(|error| {
            let in_use = error.kind() == io::ErrorKind::AddrInUse;
            if in_use && std::os::unix::net::UnixStream::connect(path).is_err() {
                std::fs::remove_file(path)?;
                return UnixListener::bind(path);
            }
            Err(error)
        })?;
        bound.set_nonblocking(true)?;
        Ok(Listener::Unix(bound, path.to_owned()))
    }

    /// Where it listens, for TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }
}

/// Where connections come from.
trait Source: Sync {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Source for tokio::net::TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        let (stream, _) = self.accept().await?;
        // Answers are small and wait for nothing.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Source for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        Ok(self.accept().await?.0)
    }
}

/// What connections share.
pub struct Server {
    /// TLS, if it is spoken.
    pub tls: Option<TlsAcceptor>,
    /// Places for connections.
    places: Arc<Semaphore>,
    most: u32,
    stop: watch::Sender<bool>,
    counters: Arc<Counters>,
}

impl Server {
    /// A server for so many connections at a time.
    pub fn new(connections: u32, tls: Option<TlsAcceptor>, counters: Arc<Counters>) -> Arc<Server> {
        let places = Arc::new(Semaphore::new(connections as usize));
        Arc::new(Server { tls, places, most: connections, stop: watch::Sender::new(false), counters })
    }

    /// Accepts connections until the server is stopped.
    ///
    /// # Errors
    /// When the socket cannot be used at all.
    pub async fn accept(self: Arc<Self>, listener: Listener, handler: Handler) -> io::Result<()> {
        match listener {
            Listener::Tcp(listener) => {
                self.accept_from(&tokio::net::TcpListener::from_std(listener)?, handler).await;
            }
            Listener::Unix(listener, path) => {
                self.accept_from(&tokio::net::UnixListener::from_std(listener)?, handler).await;
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    async fn accept_from(self: &Arc<Self>, source: &impl Source, handler: Handler) {
        let mut stop = self.stop.subscribe();
        loop {
            // A place first: whom there is no place for waits in the system's queue.
            let next = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, source.next().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                _ = stop.wait_for(|&stop| stop) => return,
            };
            match (place, accepted) {
                (Ok(place), Ok(stream)) => {
                    tokio::spawn(Arc::clone(self).connection(stream, Arc::clone(&handler), place));
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn connection<S>(self: Arc<Self>, stream: S, handler: Handler, place: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.counters.connections.add(1);
        match &self.tls {
            None => self.speak(stream, handler).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
                    self.speak(stream, handler).await;
                }
            }
        }
        self.counters.connections.sub(1);
        drop(place);
    }

    /// Answers the requests of one connection until it ends, or is told to.
    async fn speak<S>(&self, stream: S, handler: Handler)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(move |request| {
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let builder = protocols();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut stop = self.stop.subscribe();
        tokio::select! {
            // What breaks a connection is the other side's affair.
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|&stop| stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    /// Accepts nothing any more, and lets every connection end with the request that it is at.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until all connections have ended.
    pub async fn ended(&self) {
        let _ = self.places.acquire_many(self.most).await;
    }
}

fn protocols() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(STREAM_WINDOW as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(64 << 10);
    builder
}
