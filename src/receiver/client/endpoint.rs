//! Where to send: URLs as users write them.

use hyper::Uri;

/// What a body is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Traces.
    Traces,
    /// Metrics.
    Metrics,
    /// Logs.
    Logs,
    /// Profiles, which are still under development.
    Profiles,
}

impl Signal {
    /// The path over HTTP.
    pub const fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
            Signal::Profiles => "/v1development/profiles",
        }
    }

    /// The method over gRPC.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        }
    }
}

/// How requests go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// gRPC over HTTP/2.
    Grpc,
}

/// The parts of a URL that a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// Host and port, as headers have it.
    pub authority: String,
    /// Path and query, at least `/`.
    pub path: String,
}

impl Url {
    /// `schemes` are the plain one, its port, and the one with TLS.
    fn parse(text: &str, schemes: &[(&str, u16, &str)]) -> Option<Result<Url, String>> {
        let (scheme, _) = text.split_once("://")?;
        let (tls, port) = schemes.iter().find_map(|(plain, port, secret)| match scheme {
            scheme if scheme.eq_ignore_ascii_case(plain) => Some((false, *port)),
            scheme if scheme.eq_ignore_ascii_case(secret) => Some((true, 443)),
            _ => None,
        })?;
        Some(Url::of(text, tls, port))
    }

    fn of(text: &str, tls: bool, default_port: u16) -> Result<Url, String> {
        let uri: Uri = text.parse().map_err(|error| format!("`{text}` is no URL: {error}"))?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| format!("`{text}` names no host"))?;
        if authority.as_str().contains('@') {
            return Err("a URL with a password in it shows up in logs; use a token".to_owned());
        }
        let host = authority.host();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == host => default_port,
            None => return Err(format!("`{text}` is no URL: its port is no number up to 65535")),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Url {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            authority: format!("{host}:{port}"),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        })
    }

    /// A page: `http://…` or `https://…`.
    pub fn page(text: &str) -> Result<Url, String> {
        Url::parse(text, &[("http", 80, "https")])
            .unwrap_or_else(|| Err(format!("`{text}` is no URL; it must begin with http:// or https://")))
    }

    pub const fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// An OTLP endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// How requests go there.
    pub protocol: Protocol,
    pub(super) url: Url,
    /// What stands in front of the signals' paths, without `/` at the end.
    base: String,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match (self.protocol, self.url.tls) {
            (Protocol::Http, false) => "http",
            (Protocol::Http, true) => "https",
            (Protocol::Grpc, false) => "grpc",
            (Protocol::Grpc, true) => "grpcs",
        };
        write!(f, "{scheme}://{}{}", self.url.authority, self.base)
    }
}

impl Endpoint {
    /// Reads `http://HOST[:PORT][/PATH]`, `https://…`, `grpc://HOST[:PORT]` or `grpcs://…`. Without a port it is OTLP's
    /// own (4318, 4317), with TLS 443. Signals' paths go behind the path, as behind `OTEL_EXPORTER_OTLP_ENDPOINT`;
    /// `/v1/traces` at its end is taken as one of them.
    ///
    /// # Errors
    /// In words.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        let known = [(Protocol::Http, ("http", 4318, "https")), (Protocol::Grpc, ("grpc", 4317, "grpcs"))];
        let parsed = known.into_iter().find_map(|(protocol, names)| Some((protocol, Url::parse(text, &[names])?)));
        let Some((protocol, url)) = parsed else {
            return Err(format!(
                "`{text}` is no OTLP endpoint; examples: http://localhost:4318, grpc://localhost:4317"
            ));
        };
        let url = url?;
        if url.path.contains('?') {
            return Err(format!("`{text}`: an OTLP endpoint has no query"));
        }
        let base = url.path.trim_end_matches('/');
        let base = base.strip_suffix(Signal::Traces.http_path()).unwrap_or(base).to_owned();
        if protocol == Protocol::Grpc && !base.is_empty() {
            return Err(format!("`{text}`: a gRPC endpoint has no path"));
        }
        Ok(Endpoint { protocol, url, base })
    }

    /// Host, without the brackets of an IPv6 address, and port.
    pub fn address(&self) -> (&str, u16) {
        (&self.url.host, self.url.port)
    }

    /// The path of a signal over HTTP.
    pub(super) fn http_path(&self, signal: Signal) -> String {
        format!("{}{}", self.base, signal.http_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        for (text, shown, path) in [
            ("http://localhost:4318", "http://localhost:4318", "/v1/traces"),
            ("http://localhost", "http://localhost:4318", "/v1/traces"),
            ("HTTP://a:1/v1/traces", "http://a:1", "/v1/traces"),
            ("http://a:1/v1/traces/", "http://a:1", "/v1/traces"),
            ("https://otlp.example/otlp", "https://otlp.example:443/otlp", "/otlp/v1/traces"),
            ("https://otlp.example/otlp/v1/traces", "https://otlp.example:443/otlp", "/otlp/v1/traces"),
            ("grpc://[::1]:4317", "grpc://[::1]:4317", "/v1/traces"),
            ("grpc://localhost/", "grpc://localhost:4317", "/v1/traces"),
            ("grpcs://otlp.example", "grpcs://otlp.example:443", "/v1/traces"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.http_path(Signal::Traces).as_str()), (shown, path));
        }
        assert_eq!(Endpoint::parse("grpc://[::1]:4317").unwrap().url.host, "::1");
    }

    #[test]
    fn what_is_no_endpoint_is_said() {
        for (text, word) in [
            ("localhost:4318", "examples"),
            ("", "examples"),
            ("ftp://a", "examples"),
            ("http://", "no URL"),
            ("http://a b", "no URL"),
            ("http://a:99999", "no URL"),
            ("http://user:secret@a", "token"),
            ("http://a/?key=1", "query"),
            ("grpc://a/path", "no path"),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn pages_are_read() {
        let url = Url::page("http://127.0.0.1/v1/diff?window=1").unwrap();
        assert_eq!((url.port, url.path.as_str(), url.scheme()), (80, "/v1/diff?window=1", "http"));
        assert!(Url::page("grpc://a").is_err());
    }
}
