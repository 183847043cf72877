//! A page over HTTP: for what another receiver or a web server has to tell.

use super::connection::{Connection, Failed, Target};
use super::endpoint::Url;
use super::{AGENT, ClientOptions, Read, bearer};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request};

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The HTTP status code. Redirections are not followed.
    pub status: u16,
    /// The media type, without parameters, in small letters; empty when there is none.
    pub content_type: String,
    /// The entity tag; empty when there is none.
    pub etag: String,
    /// The body.
    pub body: Bytes,
}

/// Fetches `url` (`http://…` or `https://…`) over a connection of its own: by GET, or by POST of `post`, which is JSON.
/// The time limit, the token and the authorities of `options` count. At most `bound` bytes are taken.
///
/// # Errors
/// In words: no URL, no connection, no answer in time, or more than `bound`.
pub async fn fetch(url: &str, post: Option<Bytes>, bound: usize, options: &ClientOptions) -> Result<Fetched, String> {
    let url = Url::page(url)?;
    let target = Target::new(&url, false, options.authorities.as_deref())?;
    let request = request(&url, post, options)?;
    let seconds = options.timeout.as_secs_f64();
    let read = tokio::time::timeout(options.timeout, async {
        let mut connection = Connection::open(&target).await?;
        let response = connection.send(request).await.map_err(|(why, _)| why)?;
        Read::of(response, bound).await
    });
    let read = read.await.unwrap_or_else(|_| Err(format!("no answer within {seconds} s")))?;
    if !read.whole {
        return Err(format!("the answer is longer than {bound} bytes"));
    }
    let header = |name: HeaderName| read.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = header(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let etag = header(ETAG).to_owned();
    Ok(Fetched { status: read.status.as_u16(), content_type: media_type, etag, body: read.body })
}

fn request(url: &Url, post: Option<Bytes>, options: &ClientOptions) -> Result<Request<Full<Bytes>>, Failed> {
    let is_post = post.is_some();
    let mut request = Request::new(Full::new(post.unwrap_or_default()));
    *request.uri_mut() = url.path.parse().map_err(|error| format!("{}: {error}", url.path))?;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.extend(HeaderValue::try_from(url.authority.as_str()).ok().map(|host| (HOST, host)));
    if let Some(token) = &options.token {
        headers.insert(AUTHORIZATION, bearer(token)?);
    }
    if is_post {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.method_mut() = Method::POST;
    }
    Ok(request)
}
