//! The capture: what is acknowledged is on disk, whatever happens, and every other command can read it.

use prost::Message as _;
use spandiff::ingest::{Context, ReadReport, read};
use spandiff::model::{Limits, SpanStore, Symbols};
use spandiff::receiver::capture::{Body, Capture, CaptureError, CaptureOptions, Fsync, Recovered};
use spandiff::receiver::counters::Counters;
use spandiff::receiver::moment::Moment;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};

const SECOND: u64 = 1_000_000_000;

/// A request of `spans` spans; span ids count from `first`.
fn request(first: u64, spans: u64) -> Vec<u8> {
    let spans = (first..first + spans).map(|id| Span {
        trace_id: (u128::from(id) + 1).to_be_bytes().to_vec(),
        span_id: (id + 1).to_be_bytes().to_vec(),
        name: format!("operation {}", id % 7),
        start_time_unix_nano: 1_772_445_600_000_000_000 + id,
        end_time_unix_nano: 1_772_445_600_000_001_000 + id,
        ..Span::default()
    });
    let scope = ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() };
    TracesData { resource_spans: vec![ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }] }
        .encode_to_vec()
}

/// The same as JSON, over several lines.
fn json(first: u64, spans: u64) -> String {
    let spans: Vec<_> = (first..first + spans)
        .map(|id| {
            format!(
                "{{\"traceId\":\"{:032x}\",\r\n\"spanId\":\"{:016x}\",\n\"name\":\"operation {}\",\"kind\":2,\
                 \"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\"}}",
                id + 1,
                id + 1,
                id % 7,
                1_772_445_600_000_000_000 + id,
                1_772_445_600_000_001_000 + id
            )
        })
        .collect();
    format!("\u{feff}{{\"resourceSpans\":[\n{{\"scopeSpans\":[{{\"spans\":[{}]}}]}}]}}\n", spans.join(",\n"))
}

fn options(directory: &Path) -> CaptureOptions {
    CaptureOptions {
        directory: directory.to_owned(),
        fsync: Fsync::Never,
        file_bytes: 1 << 30,
        file_age_ns: 3600 * SECOND,
        keep_bytes: None,
        counters: Arc::new(Counters::default()),
    }
}

fn at(seconds: u64) -> Moment {
    Moment { steady_ns: seconds * SECOND, unix_ns: 1_795_395_723_123_000_000 + seconds * SECOND }
}

/// The capture's files, sorted by name.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .collect();
    files.sort();
    files
}

fn names(directory: &Path) -> Vec<String> {
    files(directory).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// Whether a file is still being written.
pub(crate) fn any_part(directory: &Path) -> bool {
    files(directory).iter().any(|path| path.extension().is_some_and(|end| end == "part"))
}

/// How often each span id stands in the bytes.
fn spans_in(bytes: &[u8]) -> (BTreeMap<u64, u32>, ReadReport) {
    let (mut store, mut symbols) = (SpanStore::default(), Symbols::default());
    let mut context =
        Context { limits: Limits::default(), symbols: &mut symbols, sink: &mut store, report: ReadReport::default() };
    let mut input = bytes;
    read::read(&mut input, None, &mut context).unwrap();
    let report = context.report;
    let mut found = BTreeMap::new();
    for span in &store.spans {
        *found.entry(span.id.0 - 1).or_insert(0) += 1;
    }
    (found, report)
}

/// How often each span id stands in all files together; none of them may be damaged unless `torn`.
pub(crate) fn captured(directory: &Path, torn: bool) -> BTreeMap<u64, u32> {
    let mut all = BTreeMap::new();
    for path in files(directory) {
        let (found, report) = spans_in(&fs::read(&path).unwrap());
        assert!(torn || report.warnings.is_empty(), "{}: {:?}", path.display(), report.warnings);
        for (id, times) in found {
            *all.entry(id).or_insert(0) += times;
        }
    }
    all
}

fn once(ids: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u32> {
    ids.into_iter().map(|id| (id, 1)).collect()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within 30 s");
        std::thread::yield_now();
    }
}

#[test]
fn both_encodings_are_kept_and_read_back_while_written_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(&directory.path().join("new/sub"));
    let mut capture = Capture::open(options.clone()).unwrap();
    assert_eq!(*capture.recovered(), Recovered::default());
    capture.commit(at(0)).unwrap();
    assert!(names(&options.directory).is_empty(), "no file without anything in it");
    for round in 0..20 {
        capture.add(Body::Proto(&request(round * 10, 5)));
        capture.add(Body::Proto(b""));
        capture.add(Body::Json(json(round * 10 + 5, 3).as_bytes()));
        capture.add(Body::Json(b"{}"));
        capture.add(Body::Json(b" \n"));
        capture.add(Body::Json(json(round * 10 + 8, 2).as_bytes()));
        capture.commit(at(round)).unwrap();
        assert_eq!(captured(&options.directory, false), once(0..round * 10 + 10));
    }
    let stem = "traces-20261123T010203.123Z-00000";
    assert_eq!(names(&options.directory), [format!("{stem}1.binpb.zst.part"), format!("{stem}2.jsonl.zst.part")]);
    capture.close().unwrap();
    assert_eq!(names(&options.directory), [format!("{stem}1.binpb.zst"), format!("{stem}2.jsonl.zst")]);
    assert_eq!(captured(&options.directory, false), once(0..200));
    let bytes: u64 = files(&options.directory).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!((options.counters.capture_bytes.get(), options.counters.capture_files.get()), (bytes, 2));
}

#[test]
fn files_are_finished_by_size_and_by_age() {
    let directory = tempfile::tempdir().unwrap();
    let by_size = CaptureOptions { file_bytes: 1, ..options(directory.path()) };
    let mut capture = Capture::open(by_size).unwrap();
    for round in 0..3 {
        capture.add(Body::Proto(&request(round, 1)));
        capture.commit(at(round)).unwrap();
    }
    capture.close().unwrap();
    assert_eq!(names(directory.path()).len(), 3);
    let by_age = CaptureOptions { file_age_ns: 10 * SECOND, ..options(directory.path()) };
    let counters = Arc::clone(&by_age.counters);
    let mut capture = Capture::open(by_age).unwrap();
    capture.add(Body::Proto(&request(3, 1)));
    capture.commit(at(100)).unwrap();
    capture.commit(at(109)).unwrap();
    assert_eq!(counters.capture_files.get(), 0);
    // Nothing has to come for it.
    capture.commit(at(110)).unwrap();
    wait_until("the file being finished", || counters.capture_files.get() == 1);
    assert!(!any_part(directory.path()));
    capture.close().unwrap();
    assert_eq!(names(directory.path()).last().unwrap(), "traces-20261123T010343.123Z-000004.binpb.zst");
    assert_eq!(captured(directory.path(), false), once(0..4));
}

#[test]
fn only_the_oldest_own_files_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let others = ["traces-2026.binpb.zst", "a.json", "traces-20261123T010203.123Z-000000.binpb.zst.bak"];
    for name in others {
        fs::write(directory.path().join(name), "x").unwrap();
    }
    let options = CaptureOptions { file_bytes: 1, keep_bytes: Some(0), ..options(directory.path()) };
    let mut capture = Capture::open(options.clone()).unwrap();
    capture.add(Body::Proto(&request(0, 1)));
    capture.commit(at(0)).unwrap();
    capture.close().unwrap();
    assert_eq!(names(directory.path()).len(), others.len(), "what is beyond the bound goes, what is not ours stays");

    let mut capture = Capture::open(CaptureOptions { keep_bytes: None, ..options.clone() }).unwrap();
    for round in 0..10 {
        capture.add(Body::Proto(&request(round, 1)));
        // The clock goes backwards: age is by number.
        capture.commit(at(10 - round)).unwrap();
    }
    capture.close().unwrap();
    let size = |path: &PathBuf| fs::metadata(path).unwrap().len();
    let own = || files(directory.path()).into_iter().filter(|path| path.to_string_lossy().ends_with("binpb.zst"));
    let largest = own().map(|path| size(&path)).max().unwrap();
    Capture::open(CaptureOptions { keep_bytes: Some(3 * largest), ..options }).unwrap().close().unwrap();
    let left: Vec<u64> = own()
        .filter(|path| !path.to_string_lossy().contains("traces-2026."))
        .flat_map(|path| spans_in(&fs::read(path).unwrap()).0.into_keys())
        .collect();
    assert_eq!(left.iter().copied().collect::<std::collections::BTreeSet<_>>(), [7, 8, 9].into());
}

#[test]
fn a_tail_that_is_cut_anywhere_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut capture = Capture::open(options(directory.path())).unwrap();
    let mut before = 0;
    for round in 0..3 {
        before = files(directory.path()).first().map_or(0, |path| fs::metadata(path).unwrap().len());
        capture.add(Body::Proto(&request(round * 10, 10)));
        capture.commit(at(0)).unwrap();
    }
    drop(capture);
    let part = files(directory.path()).remove(0);
    let (whole, before) = (fs::read(&part).unwrap(), before as usize);
    for cut in before..=whole.len() {
        let again = tempfile::tempdir().unwrap();
        let path = again.path().join(part.file_name().unwrap());
        let bytes = &whole[..cut];
        fs::write(&path, bytes).unwrap();
        // Other commands read it as it is.
        let (found, _) = spans_in(bytes);
        assert!((0..20).all(|id| found.get(&id) == Some(&1)), "cut at {cut}");
        let mut capture = Capture::open(options(again.path())).unwrap();
        let spans = if cut == whole.len() { 30 } else { 20 };
        let cut_off = if cut == whole.len() { 0 } else { cut - before };
        let expected = Recovered { files: 1, bytes_cut: cut_off as u64, failed: Vec::new() };
        assert_eq!(*capture.recovered(), expected, "cut at {cut}");
        assert!(!path.exists(), "renamed");
        assert_eq!(captured(again.path(), false), once(0..spans));
        capture.add(Body::Proto(&request(spans, 1)));
        capture.commit(at(0)).unwrap();
        capture.close().unwrap();
        assert_eq!(names(again.path()).len(), 2, "never appended to");
        assert_eq!(captured(again.path(), false), once(0..=spans));
    }
}

#[test]
fn a_tail_of_anything_else_is_cut_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let mut capture = Capture::open(options(directory.path())).unwrap();
    for round in 0..2 {
        capture.add(Body::Json(json(round * 10, 10).as_bytes()));
        capture.commit(at(0)).unwrap();
    }
    drop(capture);
    let part = files(directory.path()).remove(0);
    let whole = fs::read(&part).unwrap();
    let mut flipped = whole.clone();
    let at_byte = flipped.len() - 20;
    flipped[at_byte] ^= 0x10;
    let zeros = [whole.as_slice(), &[0; 5000]].concat();
    let repeated = [whole.as_slice(), &whole[..10]].concat();
    for (bytes, spans) in [(flipped, 10), (zeros, 20), (repeated, 20), (vec![0; 100], 0), (Vec::new(), 0)] {
        fs::write(&part, &bytes).unwrap();
        let capture = Capture::open(options(directory.path())).unwrap();
        assert_eq!(capture.recovered().files, 1);
        assert_eq!(captured(directory.path(), false), once(0..spans));
        capture.close().unwrap();
        for path in files(directory.path()) {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_directory_belongs_to_one_receiver() {
    let directory = tempfile::tempdir().unwrap();
    let capture = Capture::open(options(directory.path())).unwrap();
    let error = Capture::open(options(directory.path())).unwrap_err();
    assert!(error.to_string().contains("another receiver writes its capture to"), "{error}");
    capture.close().unwrap();
    Capture::open(options(directory.path())).unwrap().close().unwrap();
}

#[test]
fn a_file_that_somebody_removes_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("capture");
    let options = options(&inner);
    let mut capture = Capture::open(options.clone()).unwrap();
    capture.add(Body::Proto(&request(0, 1)));
    capture.commit(at(0)).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    capture.add(Body::Proto(&request(1, 1)));
    capture.commit(at(1)).unwrap();
    assert_eq!(captured(&inner, false), once([1]));
    assert_eq!(options.counters.capture_failures.get(), 1);
    capture.close().unwrap();
}

#[test]
fn every_way_to_sync_keeps_everything() {
    for fsync in [Fsync::Always, Fsync::Interval(1_000_000), Fsync::Never] {
        let directory = tempfile::tempdir().unwrap();
        let options = CaptureOptions { fsync, file_bytes: 200, ..options(directory.path()) };
        let mut capture = Capture::open(options.clone()).unwrap();
        for round in 0..30 {
            capture.add(Body::Proto(&request(round, 1)));
            capture.commit(at(0)).unwrap();
        }
        capture.close().unwrap();
        assert_eq!(captured(directory.path(), false), once(0..30));
        assert_eq!(options.counters.capture_failures.get(), 0);
        assert!(names(directory.path()).iter().all(|name| name.ends_with(".binpb.zst")));
    }
}

#[test]
fn what_compresses_like_a_bomb_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut capture = Capture::open(options(directory.path())).unwrap();
    // 78 MB of one span: more than a reader takes without looking at the ratio.
    let body = request(0, 1).repeat(1_200_000);
    capture.add(Body::Proto(&body));
    capture.commit(at(0)).unwrap();
    capture.close().unwrap();
    let (found, report) = spans_in(&fs::read(files(directory.path()).remove(0)).unwrap());
    assert_eq!(found, BTreeMap::from([(0, 1_200_000)]));
    assert!(report.bytes > 64 << 20, "{}", report.bytes);
}

#[test]
fn a_full_disk_costs_nothing_that_was_acknowledged_and_passes() {
    if !cfg!(unix) {
        eprintln!("skipped: no file size limit on this system");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // A largest file size stands in for a full disk: the write that passes it is cut short, and the next one fails.
    let script = "ulimit -f 8; trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut process = child(directory.path(), 0, Some(script)).env("SPANDIFF_CAPTURE_LARGE", "1").spawn().unwrap();
    let (mut acknowledged, mut refused) = (BTreeMap::new(), 0);
    for (word, id) in lines(&mut process) {
        match word.as_str() {
            "ack" => acknowledged.extend(once(id..id + 8)),
            _ => refused += 1,
        }
        if refused == 20 {
            break;
        }
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(acknowledged.len() > 8);
    let found = captured(directory.path(), true);
    assert!(acknowledged.keys().all(|id| found.get(id) == Some(&1)));
    Capture::open(options(directory.path())).unwrap().close().unwrap();
    assert!(acknowledged.keys().all(|id| captured(directory.path(), false).get(id) == Some(&1)));
}

/// A file system of its own with `bytes` of room, unmounted when it goes.
pub(crate) struct Tmpfs(pub(crate) tempfile::TempDir);

impl Tmpfs {
    /// `None` when this process may not mount one.
    pub(crate) fn mount(bytes: u64) -> Option<Tmpfs> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Tmpfs(directory))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_that_gets_room_again_is_used_again() {
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        eprintln!("skipped: no right to mount a small file system");
        return;
    };
    let directory = disk.0.path().join("capture");
    for fsync in [Fsync::Always, Fsync::Interval(1_000_000), Fsync::Never] {
        let ballast = disk.0.path().join("ballast");
        fs::write(&ballast, vec![1; 900 << 10]).unwrap();
        let options = CaptureOptions { fsync, file_bytes: 40_000, ..options(&directory) };
        let mut capture = Capture::open(options.clone()).unwrap();
        let (mut written, mut refused) = (BTreeMap::new(), 0);
        let mut since = 0;
        for id in 0.. {
            capture.add(Body::Proto(&request(id * 20, 10)));
            capture.add(Body::Json(json(id * 20 + 10, 10).as_bytes()));
            match capture.commit(at(0)) {
                Ok(()) => {
                    written.extend(once(id * 20..id * 20 + 20));
                    since += u32::from(refused == 5);
                }
                Err(CaptureError::Full(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            if refused == 5 && ballast.exists() {
                assert_eq!(captured(&directory, false), written, "nothing of what was refused");
                fs::remove_file(&ballast).unwrap();
            }
            if since == 50 {
                break;
            }
        }
        assert_eq!((refused, options.counters.capture_failures.get()), (5, 5));
        capture.close().unwrap();
        assert_eq!(captured(&directory, false), written);
        fs::remove_dir_all(&directory).unwrap();
    }
}

/// The child of the fault tests: writes until it is killed, and says on standard output what is acknowledged.
#[test]
fn child_that_writes() {
    let Some(directory) = std::env::var_os("SPANDIFF_CAPTURE_CHILD") else { return };
    let fsync = if std::env::var_os("SPANDIFF_CAPTURE_SYNC").is_some() { Fsync::Always } else { Fsync::Never };
    let first: u64 = std::env::var("SPANDIFF_CAPTURE_FIRST").unwrap().parse().unwrap();
    let options = CaptureOptions { file_bytes: 20_000, fsync, ..options(Path::new(&directory)) };
    let mut capture = Capture::open(options).unwrap();
    let mut out = std::io::stdout().lock();
    for round in 0.. {
        let id = first + round * 8;
        capture.add(Body::Proto(&request(id, 4)));
        capture.add(Body::Json(json(id + 4, 4).as_bytes()));
        let word = match capture.commit(at(round / 100)) {
            Ok(()) => "ack",
            Err(CaptureError::Full(_)) => "full",
            Err(error) => panic!("{error}"),
        };
        writeln!(out, "{word} {id}").unwrap();
        out.flush().unwrap();
    }
}

fn child(directory: &Path, first: u64, wrap: Option<&str>) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrap {
        None => Command::new(&program),
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).arg(&program);
            shell
        }
    };
    command
        .args(["--exact", "capture::child_that_writes", "--nocapture", "--test-threads", "1"])
        .env("SPANDIFF_CAPTURE_CHILD", directory)
        .env("SPANDIFF_CAPTURE_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// What the child says, line by line.
fn lines(child: &mut Child) -> impl Iterator<Item = (String, u64)> + use<> {
    BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).filter_map(|line| {
        let (word, id) = line.rsplit_once(' ')?;
        // The test harness may have written on the same line before.
        Some((word.rsplit("...").next()?.trim().to_owned(), id.parse().ok()?))
    })
}

#[test]
fn kill_9_costs_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    let mut first = 0;
    for round in 0..12 {
        let mut command = child(directory.path(), first, None);
        if round % 3 == 0 {
            command.env("SPANDIFF_CAPTURE_SYNC", "1");
        }
        let mut process = command.spawn().unwrap();
        let mut said = lines(&mut process);
        let mut last = first;
        for (word, id) in said.by_ref().take(5 + round * 17) {
            assert_eq!(word, "ack");
            acknowledged.extend(once(id..id + 8));
            last = id;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // What it said before it died, and we had not read, it has acknowledged as well.
        for (_, id) in said {
            acknowledged.extend(once(id..id + 8));
            last = id;
        }
        first = last + 1000;
        let found = captured(directory.path(), true);
        let lost: Vec<_> = acknowledged.keys().filter(|id| !found.contains_key(id)).collect();
        assert!(lost.is_empty(), "round {round}: {} acknowledged spans are gone: {lost:?}", lost.len());
        assert!(found.values().all(|times| *times == 1));
        assert!(found.len() <= acknowledged.len() + 8 * (round + 1), "at most the group that was being written");
    }
    let capture = Capture::open(options(directory.path())).unwrap();
    assert!(capture.recovered().failed.is_empty());
    capture.close().unwrap();
    let found = captured(directory.path(), false);
    assert!(acknowledged.keys().all(|id| found.contains_key(id)));
    assert!(!any_part(directory.path()));
}
