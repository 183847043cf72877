//! The servers that are compared with: what a careful person writes with tonic, axum, prost and `serde_json` in an hour.

use super::client::Protocol;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

const MOST_BYTES: usize = 64 << 20;

static SPANS: AtomicU64 = AtomicU64::new(0);

fn count(request: &ExportTraceServiceRequest) {
    let spans = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    SPANS.fetch_add(spans.map(|scope| scope.spans.len() as u64).sum(), Ordering::Relaxed);
}

struct Counting;

#[tonic::async_trait]
impl TraceService for Counting {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        count(request.get_ref());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Serves until it is killed; prints the port.
pub fn serve(protocol: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        std::io::stdout().flush().unwrap();
        if protocol == format!("{:?}", Protocol::Grpc) {
            let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
            let service = TraceServiceServer::new(Counting).max_decoding_message_size(MOST_BYTES);
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        } else {
            let handler = if protocol == format!("{:?}", Protocol::HttpProto) {
                post(async |body: Bytes| {
                    count(&ExportTraceServiceRequest::decode(body).unwrap());
                    ExportTraceServiceResponse::default().encode_to_vec()
                })
            } else {
                post(async |body: Bytes| {
                    count(&serde_json::from_slice(&body).unwrap());
                    serde_json::to_vec(&ExportTraceServiceResponse::default()).unwrap()
                })
            };
            let app = Router::new().route("/v1/traces", handler).layer(DefaultBodyLimit::max(MOST_BYTES));
            axum::serve(listener, app).await.unwrap();
        }
    });
}
