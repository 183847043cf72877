//! Every limit, with its unit, default and reason. `--limit NAME=VALUE` sets one.

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $default:expr;)+) => {
        /// Bounds on what is read. All are inclusive.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Limits { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Name, default and explanation of each limit.
            pub const TABLE: &'static [(&'static str, u64, &'static str)] =
                &[$((stringify!($name), $default, concat!($($doc),+)),)+];

            /// Sets a limit by its name; false when there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => return false,
                }
                true
            }
        }
    };
}

limits! {
    /// Bytes of one input after decompression: stops decompression bombs.
    input_bytes = 64 << 30;
    /// Bytes of one record (a JSON document, a protobuf frame) after decompression: it must fit in memory, and offsets into it in 32 bits.
    record_bytes = 2 << 30;
    /// Bytes out for each byte in, beyond the first 64 MiB: real traces compress up to about 100 times, bombs 1,000 and more.
    compression_ratio = 1_000;
    /// Bytes of memory that a zstd frame may ask for as its window.
    zstd_window_bytes = 128 << 20;
    /// Spans of one trace: a million-span trace is legal, more than this is an attack or a bug.
    trace_spans = 16_000_000;
    /// Distinct traces that are told apart in one input.
    traces = 10_000_000;
    /// Distinct strings (span names, services, scopes) of one side.
    symbols = 4_000_000;
    /// Distinct resources of one side.
    resources = 1_000_000;
    /// Attributes of one span, resource, event or link; what exceeds it is left out.
    attributes = 1_024;
    /// Events of one span; what exceeds it is left out.
    events = 4_096;
    /// Links of one span; what exceeds it is left out.
    links = 4_096;
    /// Levels of lists and maps inside an attribute value, the same for every format.
    value_depth = 64;
    /// Levels of JSON around and inside a record.
    json_depth = 128;
    /// Bytes of one text value; longer ones are cut at a character.
    text_bytes = 1 << 20;
    /// Call paths of one profile: traces that would bring more are left out.
    paths = 1_000_000;
    /// Bytes of traces of which more spans are expected: beyond it those that were idle longest are closed.
    open_bytes = 1 << 30;
    /// Files of one directory or glob.
    files = 100_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_set_by_its_name() {
        let mut limits = Limits::default();
        assert!(limits.set("events", 7));
        assert_eq!(limits.events, 7);
        assert!(!limits.set("event", 7));
        assert!(Limits::TABLE.iter().all(|(name, default, why)| {
            let mut limits = Limits::default();
            *default > 0 && !why.is_empty() && limits.set(name, *default) && limits == Limits::default()
        }));
    }
}
