//! Profile files (`.spanprofile`): eight bytes of magic, the major version, a zstd frame with the message of
//! `proto/spandiff/v1/profile.proto`.
//!
//! Equal contents become equal bytes. Numbers beyond what any traffic reaches (2⁸⁰ weighted, 2⁴⁸ counted) are written as
//! that bound, so that files which are read can be added without overflow.

mod columns;
mod decode;
mod encode;
#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, missing_docs, dead_code, reason = "made by prost-build")]
mod generated;

use super::ReadError;
use super::decompress::{Bounded, Codec, Failure, Meter, Raw, decoder};
use crate::model::Limits;
use crate::model::profile::Profile;
use std::io::{self, Read, Write};

/// The first bytes of every profile, of whatever version. Not text, and not the beginning of any trace format.
pub const MAGIC: [u8; 8] = *b"\x89SPANPRO";
/// The major version that is written and read.
pub const VERSION: u16 = 1;
/// The name of the message in that version.
const SCHEMA: &str = "spandiff.profile/v1";
/// More of zstd costs much time for few bytes.
const COMPRESSION_LEVEL: i32 = 6;
/// Bytes of one message below the top: what is decoded at once takes up to eight times as much memory.
const MESSAGE_BYTES: usize = 64 << 20;

/// Why a profile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It does not begin like one.
    #[error("this is not a profile")]
    NotAProfile,
    /// It is of a major version that is not known here.
    #[error("the profile is of version {found}, and this program reads version {known}")]
    Version {
        /// Its version.
        found: u16,
        /// The version that can be read.
        known: u16,
    },
    /// It cannot have been written like this.
    #[error("the profile is damaged at {place}: {what}")]
    Damaged {
        /// Which part of it.
        place: String,
        /// What is wrong there.
        what: String,
    },
    /// The stream failed, is broken or over a limit.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ProfileError {
    fn damaged(place: impl Into<String>, what: impl Into<String>) -> ProfileError {
        ProfileError::Damaged { place: place.into(), what: what.into() }
    }
}

/// Whether bytes begin like a profile of any version.
pub fn is_profile(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

/// A profile as the bytes of a file. Equal contents give equal bytes, in whatever order they came together.
///
/// # Errors
/// When zstd fails, which it does for want of memory only.
pub fn encode(profile: &Profile) -> io::Result<Vec<u8>> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = zstd::stream::write::Encoder::new(file, COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    encode::message(&profile.canonical(), &mut |bytes| encoder.write_all(bytes))?;
    encoder.finish()
}

/// Reads a profile to the end of its stream.
///
/// # Errors
/// When it is none, of another version, damaged or over a limit.
pub fn decode(input: &mut dyn Read, limits: &Limits) -> Result<Profile, ProfileError> {
    let meter = Meter::default();
    let mut raw = Raw { input, meter: &meter };
    let mut head = Vec::with_capacity(MAGIC.len() + 2);
    let result = (&mut raw).take(MAGIC.len() as u64 + 2).read_to_end(&mut head);
    failure(&meter)?;
    result.map_err(ReadError::Io)?;
    version(&head)?;
    let mut bytes = Vec::new();
    let result = decoder(raw, Codec::Zstd, limits).and_then(|inner| {
        let stream = Bounded { inner, meter: &meter, limits: *limits, codec: Codec::Zstd };
        stream.take(limits.record_bytes.saturating_add(1)).read_to_end(&mut bytes)
    });
    failure(&meter)?;
    result.map_err(ReadError::Io)?;
    if bytes.len() as u64 > limits.record_bytes {
        return Err(super::decompress::record_limit(bytes.len() as u64, limits).into());
    }
    decode::message(&bytes, limits)
}

fn version(head: &[u8]) -> Result<(), ProfileError> {
    let rest = head.strip_prefix(&MAGIC).ok_or(ProfileError::NotAProfile)?;
    let found = rest.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes));
    match found {
        Some(VERSION) => Ok(()),
        Some(found) => Err(ProfileError::Version { found, known: VERSION }),
        None => Err(ProfileError::damaged("its first bytes", "it ends there")),
    }
}

fn failure(meter: &Meter) -> Result<(), ReadError> {
    match meter.failure.take() {
        None => Ok(()),
        Some(Failure::Io(error)) => Err(ReadError::Io(error)),
        Some(Failure::Limit(limit)) => Err(limit),
        Some(Failure::Broken(what)) => Err(ReadError::Compression { codec: "zstd", at: meter.bytes.get(), what }),
    }
}

#[cfg(test)]
mod tests;
