//! `spandiff inspect`: what is in there, before anything is compared.

use super::profiles::{self, SamplingSeen};
use super::side::{distinct_digits, shown_id};
use crate::cli::args::{Common, InspectArgs};
use crate::cli::config::{hex, settings};
use crate::cli::engine::{Batch, Catalog, Sink, TracePrefix};
use crate::cli::error::{Failure, Problem};
use crate::cli::inputs::{Inputs, resolve};
use crate::cli::opened::{Opened, open_one};
use crate::cli::progress::Progress;
use crate::cli::reading::{self, Found, Reader, total_bytes};
use crate::cli::{exit, output};
use crate::model::{Limits, Symbols, TraceId, Warnings};
use crate::report::json::{pretty, warnings};
use crate::report::page::{DIM, Page, STRONG};
use crate::report::schema;
use crate::report::units::{bytes, count, counted, duration};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

/// Lines of each list in text.
const LISTED: usize = 20;

/// Runs the command.
pub fn run(common: &Common, args: &InspectArgs) -> Result<ExitCode, Failure> {
    let settings = settings(common, None)?;
    let inputs = resolve(&args.inputs, &settings.limits).map_err(Failure::Problems)?;
    let progress = Progress::new(common.quiet, None, total_bytes(&inputs.sources));
    let reader = Reader { settings: &settings, said: common.traces_said(), progress: &progress };
    let (opened, mut problems) = open_what_can_be(&inputs, common, &settings.limits);
    let (profiles, traces): (Vec<&Opened>, Vec<&Opened>) = opened.iter().partition(|source| source.is_profile);
    let mut overview = Overview { catalog: Catalog::new(&settings.limits), sampling: SamplingSeen::default() };
    let (found, unread) = reader.read_what_can_be(&traces, &mut overview, None);
    problems.extend(unread);
    let mut held = Vec::new();
    for source in profiles {
        match reader.profile(source) {
            Ok(profile) => held.push((source.name.as_str(), profile)),
            Err(problem) => problems.push(problem),
        }
    }
    drop(progress);
    if found.sources.is_empty() && held.is_empty() {
        return Err(Failure::Problems(problems));
    }
    let mut merged = found.warnings();
    merged.merge(&overview.catalog.warnings());
    for (_, profile) in &held {
        merged.merge(&profile.totals.warnings);
    }
    let mut view = view(&overview.catalog, &found, &merged, inputs.wanted);
    view.sampling = (!overview.catalog.is_empty()).then(|| overview.sampling.name());
    view.profiles = held.iter().map(|(name, profile)| profiles::view(name, profile)).collect();
    if let Some(prefix) = inputs.wanted
        && view.traces.is_empty()
    {
        return Err(Problem::new(format!("no trace begins with #{prefix}"))
            .hint("without # behind the inputs, spandiff inspect lists all traces")
            .into());
    }
    let file = common.output.as_deref();
    let options = output::options(settings.color, file);
    output::to(file, |out| match &*args.format {
        "json" => {
            out.write_all(&pretty(&view)?)?;
            out.write_all(b"\n")
        }
        _ => text(&view, &Page::new(&options), out),
    })?;
    // What could be read is shown, what could not is named all the same.
    if problems.is_empty() { Ok(ExitCode::from(exit::DONE)) } else { Err(Failure::Problems(problems)) }
}

/// All sources that can be opened, and what is wrong with the others.
fn open_what_can_be(inputs: &Inputs, common: &Common, limits: &Limits) -> (Vec<Opened>, Vec<Problem>) {
    let (mut opened, mut problems) = (Vec::new(), Vec::new());
    for source in &inputs.sources {
        match open_one(source, common.said(), limits) {
            Ok(source) => opened.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    (opened, problems)
}

/// Catalogs everything, and looks at how traces were sampled.
struct Overview {
    catalog: Catalog,
    sampling: SamplingSeen,
}

impl Sink for Overview {
    fn batch(&mut self, batch: Batch, symbols: &Symbols) {
        self.sampling.look(&batch);
        self.catalog.batch(batch, symbols);
    }
}

/// What is shown, and the JSON `spandiff.inspect/v1`.
#[derive(Serialize)]
struct View<'a> {
    schema: &'static str,
    sources: Vec<SourceView<'a>>,
    totals: Totals,
    window: Option<schema::Window>,
    services: Vec<ServiceView<'a>>,
    entry_points: Vec<EntryView<'a>>,
    /// Longest first.
    traces: Vec<TraceView<'a>>,
    /// How the traces were sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampling: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profiles: Vec<profiles::View<'a>>,
    warnings: Vec<schema::Warning<'a>>,
    #[serde(skip)]
    merged: &'a Warnings,
}

#[derive(Serialize)]
struct SourceView<'a> {
    name: &'a str,
    formats: Vec<&'static str>,
    compression: &'a str,
    bytes_stored: u64,
    bytes: u64,
    bytes_lost: u64,
    records: u64,
    spans: u64,
    sha256: String,
    warnings: Vec<schema::Warning<'a>>,
}

#[derive(Serialize)]
struct Totals {
    traces: u64,
    spans: u64,
    errors: u64,
}

#[derive(Serialize)]
struct ServiceView<'a> {
    service: &'a str,
    spans: u64,
    errors: u64,
}

#[derive(Serialize)]
struct EntryView<'a> {
    service: &'a str,
    name: &'a str,
    traces: u64,
    spans: u64,
    traces_with_errors: u64,
}

#[derive(Serialize)]
struct TraceView<'a> {
    trace_id: String,
    service: &'a str,
    name: &'a str,
    has_root: bool,
    start_unix_ns: String,
    duration_ns: u64,
    spans: u64,
    errors: u64,
    #[serde(skip)]
    id: TraceId,
}

fn view<'a>(catalog: &Catalog, found: &'a Found, merged: &'a Warnings, wanted: Option<TracePrefix>) -> View<'a> {
    let mut traces: Vec<_> =
        catalog.traces().filter(|trace| wanted.is_none_or(|prefix| prefix.matches(trace.id))).copied().collect();
    traces.sort_unstable_by_key(|trace| (std::cmp::Reverse(trace.duration_ns()), trace.id));
    let mut services = catalog.services(&found.symbols);
    services.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.spans));
    let mut entries = catalog.entry_points(&found.symbols);
    entries.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.traces));
    let symbols = &found.symbols;
    View {
        schema: "spandiff.inspect/v1",
        sources: found.sources.iter().map(source).collect(),
        totals: Totals {
            traces: catalog.len() as u64,
            spans: catalog.spans(),
            errors: catalog.traces().map(|trace| trace.errors).sum(),
        },
        window: catalog
            .time_range()
            .map(|(start, end)| schema::Window { start_unix_ns: start.to_string(), end_unix_ns: end.to_string() }),
        services: services
            .into_iter()
            .map(|(service, totals)| ServiceView { service, spans: totals.spans, errors: totals.errors })
            .collect(),
        entry_points: entries
            .into_iter()
            .map(|((service, name), totals)| EntryView {
                service,
                name,
                traces: totals.traces,
                spans: totals.spans,
                traces_with_errors: totals.with_errors,
            })
            .collect(),
        traces: traces
            .into_iter()
            .map(|trace| TraceView {
                trace_id: trace.id.to_string(),
                service: symbols.get(trace.service),
                name: symbols.get(trace.name),
                has_root: trace.has_root,
                start_unix_ns: trace.start_ns.to_string(),
                duration_ns: trace.duration_ns(),
                spans: trace.spans,
                errors: trace.errors,
                id: trace.id,
            })
            .collect(),
        sampling: None,
        profiles: Vec::new(),
        warnings: warnings(merged),
        merged,
    }
}

fn source(source: &reading::SourceFound) -> SourceView<'_> {
    let report = &source.report;
    SourceView {
        name: &source.name,
        formats: report.formats.iter().map(|format| format.name()).collect(),
        compression: report.compression,
        bytes_stored: report.bytes_in,
        bytes: report.bytes,
        bytes_lost: report.bytes_lost,
        records: report.records,
        spans: report.spans,
        sha256: hex(&source.sha256),
        warnings: warnings(&report.warnings),
    }
}

fn text(view: &View<'_>, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    if !view.sources.is_empty() {
        traces(view, page, out)?;
    }
    for (index, profile) in view.profiles.iter().enumerate() {
        if index > 0 || !view.sources.is_empty() {
            writeln!(out)?;
        }
        profiles::text(profile, page, out)?;
    }
    warned(view.merged, page, out)
}

fn traces(view: &View<'_>, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    let totals = &view.totals;
    let head = [
        counted(totals.traces, "trace", "traces"),
        counted(totals.spans, "span", "spans"),
        counted(totals.errors, "error", "errors"),
        counted(view.services.len() as u64, "service", "services"),
        counted(view.entry_points.len() as u64, "entry point", "entry points"),
    ];
    writeln!(out, "{}", page.paint(STRONG, &head.join(", ")))?;
    if let Some(window) = &view.window {
        writeln!(out, "from {} to {}", time(&window.start_unix_ns), time(&window.end_unix_ns))?;
    }
    if let Some(sampling) = view.sampling {
        writeln!(out, "sampling: {}", profiles::sampling_in_words(sampling))?;
    }
    section("sources", view.sources.iter().map(source_line), page, out)?;
    let entries = view.entry_points.iter().map(|it| {
        let failing = if it.traces_with_errors > 0 {
            format!(", {} with errors", count(it.traces_with_errors))
        } else {
            String::new()
        };
        (format!("{} ▸ {}", it.service, it.name), format!("{}{failing}", counted(it.traces, "trace", "traces")))
    });
    section("entry points", entries, page, out)?;
    let services = view.services.iter().map(|it| {
        let failing =
            if it.errors > 0 { format!(", {}", counted(it.errors, "error", "errors")) } else { String::new() };
        (it.service.to_owned(), format!("{}{failing}", counted(it.spans, "span", "spans")))
    });
    section("services", services, page, out)?;
    let digits = distinct_digits(&view.traces.iter().map(|trace| trace.id).collect::<Vec<_>>());
    let traces = view.traces.iter().map(|it| {
        let id: String = shown_id(it.id).chars().take(digits).collect();
        let errors = if it.errors > 0 { format!(", {}", counted(it.errors, "error", "errors")) } else { String::new() };
        (
            format!("#{id}  {} ▸ {}", it.service, it.name),
            format!("{:>8}  {}{errors}", duration(it.duration_ns), counted(it.spans, "span", "spans")),
        )
    });
    section("traces, longest first", traces, page, out)
}

/// Each warning with its count, and below it where it was seen first, in full: that is what people search for.
fn warned(merged: &Warnings, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    if merged.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", page.paint(STRONG, "warnings"))?;
    for (warning, counted) in merged.iter() {
        writeln!(out, "  {} {}: {}", warning.code(), count(counted.count), warning.explanation())?;
        if !counted.example.is_empty() {
            writeln!(out, "    {}", page.paint(DIM, &page.show(format!("first: {}", counted.example))))?;
        }
    }
    Ok(())
}

fn source_line(source: &SourceView<'_>) -> (String, String) {
    let mut format = if source.formats.is_empty() { "empty".to_owned() } else { source.formats.join(", ") };
    if !source.compression.is_empty() {
        let _ = write!(format, ", {}", source.compression);
    }
    let size = if source.bytes_stored == source.bytes {
        bytes(source.bytes)
    } else {
        format!("{} of {}", bytes(source.bytes_stored), bytes(source.bytes))
    };
    let counts =
        format!("{}, {}", counted(source.records, "record", "records"), counted(source.spans, "span", "spans"));
    (source.name.to_owned(), format!("{format}  {size}  {counts}"))
}

/// A list of names with something about each on the right; what is more than a screen needs is counted.
pub(super) fn section(
    title: &str,
    lines: impl ExactSizeIterator<Item = (String, String)>,
    page: &Page,
    out: &mut dyn Write,
) -> io::Result<()> {
    list(title, lines.len(), lines.take(LISTED).collect(), page, out)
}

fn list(title: &str, all: usize, lines: Vec<(String, String)>, page: &Page, out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", page.paint(STRONG, title))?;
    let lines: Vec<_> = lines.into_iter().map(|(left, right)| (page.show(left), page.show(right))).collect();
    let width = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    let right = lines.iter().map(|(_, right)| width(right)).max().unwrap_or(0);
    let longest = lines.iter().map(|(left, _)| width(left)).max().unwrap_or(0);
    let left = page.width.saturating_sub(right + 4).clamp(20, longest.max(20));
    for (name, about) in &lines {
        writeln!(out, "  {}  {about}", page.left(name, left))?;
    }
    let more = all.saturating_sub(lines.len());
    if more > 0 {
        writeln!(
            out,
            "  {}",
            page.paint(DIM, &page.show(format!("⋯ {} more (--format json lists all)", count(more as u64))))
        )?;
    }
    Ok(())
}

/// A time in UTC, to the millisecond.
pub(super) fn time(unix_ns: &str) -> String {
    let ns: i128 = unix_ns.parse().unwrap_or_default();
    match jiff::Timestamp::from_nanosecond(ns / 1_000_000 * 1_000_000) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{unix_ns} ns since 1970"),
    }
}
