//! A mark on the time line: a deployment began, and what came before it is what comes after it is compared with.

/// Bytes of a label that are kept: it is shown in one line.
pub const MAX_LABEL_BYTES: usize = 200;
/// Marks that are kept; more than this many deployments a day nobody asks about.
pub const MAX_MARKS: usize = 256;

/// A mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// What it is called: `deploy v1.2.3`.
    pub label: String,
    /// When it was set, nanoseconds since 1970.
    pub unix_ns: u64,
    /// How often the deployment will be looked at, one look a window; `None` when that is not known.
    pub looks: Option<u32>,
    /// The cohort it concerns; `None` for all.
    pub cohort: Option<String>,
}

impl Mark {
    /// A mark with a label cut to [`MAX_LABEL_BYTES`], on whole characters.
    pub fn new(label: &str, unix_ns: u64) -> Mark {
        let mut end = label.len().min(MAX_LABEL_BYTES);
        while !label.is_char_boundary(end) {
            end -= 1;
        }
        Mark { label: label.get(..end).unwrap_or_default().to_owned(), unix_ns, looks: None, cohort: None }
    }

    /// Whether it speaks of a cohort.
    pub fn concerns(&self, cohort: &str) -> bool {
        self.cohort.as_deref().is_none_or(|own| own == cohort)
    }
}
