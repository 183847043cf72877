//! Names of the capture's files: `traces-20261123T010203.123Z-000001.binpb.zst`, and `.part` behind while it is written.
//! Made of the time and a number alone, never of anything that was received.

use std::fmt;

/// The end of the name of a file that is being written.
const PART: &str = ".part";
/// Length of `20261123T010203.123Z`.
const STAMP_LEN: usize = 20;
/// The number has this many digits, or more once they do not suffice.
const DIGITS: usize = 6;

/// What kind of bodies a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Protobuf behind 4-byte lengths.
    Proto,
    /// JSON lines.
    Json,
}

impl Stream {
    const fn end(self) -> &'static str {
        match self {
            Stream::Proto => ".binpb.zst",
            Stream::Json => ".jsonl.zst",
        }
    }
}

/// The name of a finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    stamp: String,
    /// Grows with every file of a directory.
    pub number: u64,
    stream: Stream,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "traces-{}-{:0DIGITS$}{}", self.stamp, self.number, self.stream.end())
    }
}

impl Name {
    /// The name of a file that is begun at `unix_ns`.
    pub fn new(stream: Stream, unix_ns: u64, number: u64) -> Name {
        // Nanoseconds of 64 bits end in 2554, which is within what a timestamp can be.
        let time = jiff::Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap_or_default();
        Name { stamp: time.strftime("%Y%m%dT%H%M%S%.3fZ").to_string(), number, stream }
    }

    /// The name while the file is written.
    pub fn part(&self) -> String {
        format!("{self}{PART}")
    }

    /// Reads the name of a file; true if it is one that was being written. `None` for any other file.
    pub fn parse(text: &str) -> Option<(Name, bool)> {
        let (text, part) = text.strip_suffix(PART).map_or((text, false), |text| (text, true));
        let (text, stream) = [Stream::Proto, Stream::Json]
            .into_iter()
            .find_map(|stream| Some((text.strip_suffix(stream.end())?, stream)))?;
        let (stamp, number) = text.strip_prefix("traces-")?.split_once('-')?;
        let is_stamp = stamp.len() == STAMP_LEN
            && stamp.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'.',
                19 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            });
        let is_number = number.len() >= DIGITS && number.bytes().all(|byte| byte.is_ascii_digit());
        let name = Name { stamp: stamp.to_owned(), number: number.parse().ok()?, stream };
        (is_stamp && is_number).then_some((name, part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T01:02:03.123456789Z.
    const TIME: u64 = 1_795_395_723_123_456_789;

    #[test]
    fn names_are_made_of_time_and_number() {
        let name = Name::new(Stream::Proto, TIME, 1);
        assert_eq!(name.to_string(), "traces-20261123T010203.123Z-000001.binpb.zst");
        assert_eq!(name.part(), "traces-20261123T010203.123Z-000001.binpb.zst.part");
        assert_eq!(
            Name::new(Stream::Json, 0, 12_345_678).to_string(),
            "traces-19700101T000000.000Z-12345678.jsonl.zst"
        );
    }

    #[test]
    fn only_own_names_are_taken_for_own() {
        for name in [Name::new(Stream::Proto, TIME, 1), Name::new(Stream::Json, u64::MAX, u64::MAX)] {
            assert_eq!(Name::parse(&name.to_string()), Some((name.clone(), false)));
            assert_eq!(Name::parse(&name.part()), Some((name, true)));
        }
        for other in [
            "",
            "traces.binpb.zst",
            "traces-20261123T010203.123Z-000001.binpb",
            "traces-20261123T010203.123Z-000001.json.zst",
            "traces-20261123T010203.123Z-00001.binpb.zst",
            "traces-20261123T010203.123Z-00000x.binpb.zst",
            "traces-20261123T010203.123Z-99999999999999999999999.binpb.zst",
            "traces-2026-11-23T01-02-03.123-000001.binpb.zst",
            "my-traces-20261123T010203.123Z-000001.binpb.zst",
            "traces-20261123T010203.123Z-000001.binpb.zst.part.part",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
