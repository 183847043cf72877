//! What `receive` watches with: windows, baseline, policy, snapshots.

use super::options;
use crate::cli::args::ReceiveArgs;
use crate::cli::config::Settings;
use crate::cli::engine::{Profile, decode_profile};
use crate::cli::error::{Problem, warn};
use crate::cli::policy;
use crate::model::Limits;
use crate::receiver::board::Board;
use crate::receiver::client::{ClientOptions, fetch};
use crate::receiver::counters::Counters;
use crate::receiver::options::Options;
use crate::receiver::pipeline::PipelineOptions;
use crate::receiver::watch::snapshots::Snapshots;
use crate::receiver::watch::{Baseline, Judging, Watch, WatchOptions};
use crate::receiver::windows::Keep;
use crate::report::units::counted;
use std::sync::Arc;

const HOUR_NS: u64 = 3_600_000_000_000;
/// How long windows are kept unless said otherwise.
const RETAIN_NS: u64 = 24 * HOUR_NS;
/// Bytes of a profile that is a baseline.
const MOST_BASELINE_BYTES: usize = 256 << 20;

/// What watches.
pub struct Watched {
    /// How traces are folded.
    pub pipeline: PipelineOptions,
    /// What compares.
    pub watch: Arc<Watch>,
    /// Where verdicts hang.
    pub board: Arc<Board>,
    /// Where windows are written to.
    pub snapshots: Option<Snapshots>,
    /// What windows are compared with, in words.
    pub baseline: String,
}

/// Makes everything ready; `None` when nothing is to be watched.
pub fn open(
    args: &ReceiveArgs,
    settings: &Settings,
    options: &Options,
    counters: &Arc<Counters>,
) -> Result<Option<Watched>, Problem> {
    let Some(mut pipeline) = options::pipeline(args)? else { return Ok(None) };
    let policy = match &args.policy {
        Some(path) => policy::load(path)?,
        None => settings.policy.clone(),
    };
    let baseline = args.baseline.as_deref().map(|text| baseline(text, &settings.limits)).transpose()?;
    let baseline = baseline.unwrap_or_default();
    if let (Baseline::Cohort(value), None) = (&baseline, &pipeline.cohort_by) {
        return Err(Problem::new(format!("--baseline cohort:{value} needs cohorts"))
            .hint("add --cohort-by KEY, the resource attribute that tells them apart"));
    }
    let retain_ns = args.retain.unwrap_or(RETAIN_NS);
    if let Baseline::Window(age_ns) = &baseline
        && *age_ns > retain_ns
    {
        return Err(Problem::new(format!("--baseline {baseline} is older than what is kept"))
            .hint("raise --retain, for example to 8d for the same hour of the week before"));
    }
    let words = baseline.to_string();
    let board = Arc::new(Board::new());
    let watch = Watch::new(
        WatchOptions {
            judging: Judging { policy, diff: settings.options.clone(), config_sha256: settings.sha256.clone() },
            baseline,
            looks: args.looks,
            keep: Keep { retain_ns, most_bytes: options.window_budget(), window_ns: pipeline.window_ns },
            limits: settings.limits,
        },
        Arc::clone(&board),
        Arc::clone(counters),
    );
    let snapshots = args.snapshots.as_ref().map(|directory| restore(directory, &watch, options)).transpose()?;
    pipeline.first_window = watch.next_number();
    Ok(Some(Watched { pipeline, watch: Arc::new(watch), board, snapshots, baseline: words }))
}

/// Opens the directory of snapshots and takes up what is there.
fn restore(directory: &std::path::Path, watch: &Watch, options: &Options) -> Result<Snapshots, Problem> {
    let cannot = |error: std::io::Error| {
        Problem::new(format!("cannot use {} for snapshots", directory.display())).cause(error.to_string())
    };
    let snapshots = Snapshots::open(directory.to_owned()).map_err(cannot)?;
    let unused = watch.restore(snapshots.load(options.window_budget()).map_err(cannot)?);
    if unused > 0 {
        let files = counted(unused as u64, "file", "files");
        warn(false, &format!("{}: {files} could not be used", directory.display()));
    }
    Ok(snapshots)
}

/// What is compared with: words of the watch, a profile at a URL, or a file.
fn baseline(text: &str, limits: &Limits) -> Result<Baseline, Problem> {
    if let Some(baseline) = Baseline::parse(text) {
        return Ok(baseline);
    }
    let cannot = |cause: String| {
        Problem::new(format!("cannot read the baseline {text}"))
            .cause(cause)
            .hint("expected a profile (file or URL), cohort:VALUE, window:AGE such as window:7d, or mark")
    };
    let bytes = if text.starts_with("http://") || text.starts_with("https://") {
        download(text).map_err(cannot)?
    } else {
        std::fs::read(text).map_err(|error| cannot(error.to_string()))?
    };
    let profile: Profile = decode_profile(&mut bytes.as_slice(), limits).map_err(|error| cannot(error.to_string()))?;
    Ok(Baseline::Profile(text.to_owned(), Arc::new(profile)))
}

fn download(url: &str) -> Result<Vec<u8>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let fetched = runtime.block_on(fetch(url, None, MOST_BASELINE_BYTES, &ClientOptions::default()))?;
    match fetched.status {
        200 => Ok(fetched.body.to_vec()),
        status => Err(format!("the server answers {status}")),
    }
}
