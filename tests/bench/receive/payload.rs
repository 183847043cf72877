//! Requests that are encoded once; each copy gets a trace id of its own.

use super::client::Protocol;
use crate::data;
use prost::Message;
use std::sync::atomic::{AtomicU64, Ordering};

/// Spans of a request: one trace.
pub const SPANS: usize = 100;
const ATTRIBUTES: usize = 10;

/// The trace id in `data::span`.
const ID: u128 = 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c;

/// A request body and where its trace ids stand.
pub struct Payload {
    bytes: Vec<u8>,
    places: Vec<usize>,
    hex: bool,
    next: AtomicU64,
}

impl Payload {
    /// For a protocol, gRPC's envelope included.
    pub fn new(protocol: Protocol) -> Payload {
        let request = data::request(SPANS, ATTRIBUTES);
        let hex = protocol == Protocol::HttpJson;
        let (bytes, needle) = if hex {
            (serde_json::to_vec(&request).unwrap(), format!("{ID:032x}").into_bytes())
        } else {
            (request.encode_to_vec(), ID.to_be_bytes().to_vec())
        };
        let envelope = if protocol == Protocol::Grpc {
            let mut head = vec![0];
            head.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            head
        } else {
            Vec::new()
        };
        let bytes = [envelope, bytes].concat();
        let places: Vec<usize> = memchr::memmem::find_iter(&bytes, &needle).collect();
        assert_eq!(places.len(), SPANS);
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        Payload { bytes, places, hex, next: AtomicU64::new(seed) }
    }

    /// A copy with its own trace id.
    pub fn next(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = (ID & !u128::from(u64::MAX)) | u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bytes = self.bytes.clone();
        let text = if self.hex { format!("{id:032x}").into_bytes() } else { id.to_be_bytes().to_vec() };
        for &place in &self.places {
            bytes[place..place + text.len()].copy_from_slice(&text);
        }
        bytes
    }
}
