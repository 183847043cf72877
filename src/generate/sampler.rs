//! Runs a program once, with random numbers, and records the spans.
//!
//! Jitter falls on every piece of own work; what contains it follows. So intervals nest, and a parent is as long as its
//! parts, which independent noise on every span would not give.

use super::deployment::scope;
use super::fleet::{Database, Site};
use super::noise::Climate;
use super::program::{Failure, Follow, Node, Program, Service, Step, What};
use super::random::Random;
use super::record::{Event, Process, Span};
use super::semconv::{self, Outcome, Run};
use crate::model::{Kind, SpanId, Status, TraceId};

/// OTLP span flags: sampled, and the sender knows whether the parent is remote.
const FLAGS_LOCAL: u32 = 0x101;
/// … and it is.
const FLAGS_REMOTE: u32 = 0x301;
/// A loop does something of its own between two rounds.
const BETWEEN_REPEATS_US: u32 = 60;

/// Why a database whose volume is lost fails.
const VOLUME_LOST: Failure =
    Failure { exception: "ConnectionRefusedError", message: "connection refused: no process listens on the port" };

/// What all requests of one side share.
#[derive(Debug)]
pub struct Setting<'a> {
    /// What the system does.
    pub program: &'a Program,
    /// Where it runs.
    pub processes: Vec<Process>,
    /// How chance behaves.
    pub climate: Climate,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Number of its entry point.
    pub entry: usize,
    /// When it begins, nanoseconds since 1970.
    pub start_ns: u64,
    /// When, as a share of the window.
    pub moment: f64,
}

/// Samples the spans of one request: one trace, or more if context is lost on the way; none if nobody answers it.
pub fn sample(setting: &Setting<'_>, request: Request, random: Random) -> Vec<Span> {
    let mut sampler = Sampler {
        program: setting.program,
        processes: &setting.processes,
        climate: &setting.climate,
        random,
        spans: Vec::new(),
        trace_id: TraceId(0),
        severed: false,
        moment: request.moment,
        site: None,
        of_request: 1.0,
        pace: 1.0,
    };
    sampler.trace_id = sampler.new_trace_id();
    sampler.of_request = setting.climate.of_request(&mut sampler.random);
    if let Some(fleet) = &setting.program.fleet {
        let site = fleet.site(setting.program.gone_instance, &mut sampler.random);
        sampler.site = Some(site);
        // Without its database a site is taken offline: the load balancer sends nothing to it.
        if request.entry == 0 && fleet.mariadb(site).is_some_and(|one| fleet.is_given_up(one, request.moment)) {
            return Vec::new();
        }
    }
    if let Some(entry) = setting.program.entries.get(request.entry) {
        sampler.run(&entry.node, &Caller::default(), request.start_ns, false);
    }
    sampler.shift_slow_clock();
    sampler.spans.retain(|span| setting.program.unexported != Some(span.label));
    sampler.spans
}

struct Sampler<'a> {
    program: &'a Program,
    processes: &'a [Process],
    climate: &'a Climate,
    random: Random,
    spans: Vec<Span>,
    trace_id: TraceId,
    severed: bool,
    moment: f64,
    /// The databases behind the request, where the system has a fleet of them.
    site: Option<Site>,
    /// Factor on all work of this request.
    of_request: f64,
    /// Factor on the own work of the operation that runs.
    pace: f64,
}

/// What an operation knows of the one that calls it.
#[derive(Default)]
struct Caller<'a> {
    id: SpanId,
    process: Option<usize>,
    /// The process that the caller's request goes to.
    callee: Option<usize>,
    /// A pattern and how the caller filled it: client and server see the same URL.
    filled: Option<(&'static str, &'a str)>,
    links: &'a [(TraceId, SpanId)],
}

struct Done {
    end_ns: u64,
    error: bool,
}

impl<'a> Sampler<'a> {
    /// Runs one operation from `start_ns` on. Recursion ends with the program, which we wrote.
    fn run(&mut self, node: &'a Node, caller: &Caller<'_>, start_ns: u64, times_out: bool) -> Done {
        let outer = (self.trace_id, self.severed, self.pace);
        let nobody = Caller { callee: caller.callee, filled: caller.filled, ..Caller::default() };
        let caller = if node.severed { &nobody } else { caller };
        if node.severed {
            (self.trace_id, self.severed) = (self.new_trace_id(), true);
        }
        let number = self.begin(node, caller, start_ns);
        let process = self.process_of(node, caller);
        self.pace = self.pace_of(node, process, caller);
        let filled = self.fill(node, caller);
        let callee = self.callee(node);
        let id = self.spans.get(number).map_or(SpanId::NONE, |span| span.id);
        let me = Caller { id, process, callee, filled: Some((semconv::pattern(&node.what), &filled)), links: &[] };
        let done = if times_out {
            Done { end_ns: start_ns + self.work(node.timeout_us), error: false }
        } else {
            self.steps(node, &me, start_ns)
        };
        let outcome = match node.failure.or_else(|| self.refused(node)) {
            _ if times_out => Outcome::TimedOut,
            Some(failure) => Outcome::Failed(failure),
            None if done.error && node.propagates => Outcome::Inherited,
            None => Outcome::Fine,
        };
        self.finish(number, node, caller, &me, done.end_ns, outcome);
        for follow in &node.follow {
            self.follow(follow, number);
        }
        (self.trace_id, self.severed, self.pace) = outer;
        Done { end_ns: done.end_ns, error: outcome.is_error() }
    }

    fn steps(&mut self, node: &'a Node, me: &Caller<'_>, start_ns: u64) -> Done {
        let mut done = Done { end_ns: start_ns, error: false };
        for step in &node.steps {
            let inner = match step {
                Step::Own(us) => Done { end_ns: done.end_ns + self.work(*us), error: false },
                Step::Call(callee) if self.is_given_up(callee) => Done { end_ns: done.end_ns, error: false },
                Step::Call(callee) => self.group(callee, 1, me, done.end_ns),
                Step::Parallel(width, callee) => self.group(callee, *width, me, done.end_ns),
            };
            done = Done { end_ns: inner.end_ns, error: done.error || inner.error };
        }
        done
    }

    /// Runs an operation as often as it says, `width` at once: each next run starts where a lane is free first.
    fn group(&mut self, node: &'a Node, width: u32, me: &Caller<'_>, start_ns: u64) -> Done {
        let mut fails_first: Vec<bool> = (0..node.times).map(|index| index < node.flaky).collect();
        self.random.shuffle(&mut fails_first);
        let mut lanes = vec![start_ns; width.max(1) as usize];
        let mut error = false;
        for (index, fails_first) in fails_first.into_iter().enumerate() {
            let Some(lane) = (0..lanes.len()).min_by_key(|&lane| lanes.get(lane).copied()) else { break };
            let mut at = lanes.get(lane).copied().unwrap_or(start_ns);
            if index >= lanes.len() {
                at += self.work(BETWEEN_REPEATS_US);
            }
            if fails_first {
                at = self.run(node, me, at, true).end_ns + self.work(BETWEEN_REPEATS_US);
            }
            let done = self.run(node, me, at, false);
            error |= done.error;
            if let Some(free) = lanes.get_mut(lane) {
                *free = done.end_ns;
            }
        }
        Done { end_ns: lanes.into_iter().max().unwrap_or(start_ns), error }
    }

    /// Runs a consumer of the messages that were sent by spans from `first` on.
    fn follow(&mut self, follow: &'a Follow, first: usize) {
        let sent = self.spans.iter().skip(first);
        let sent: Vec<_> = sent.filter(|span| span.label == follow.producers && span.status != Status::Error).collect();
        let Some(earliest) = sent.first() else { return };
        let (id, process) = (earliest.id, earliest.process);
        let links: Vec<_> = sent.iter().map(|span| (span.trace_id, span.id)).collect();
        let sent_ns = sent.iter().map(|span| span.end_ns).max().unwrap_or_default();
        let start_ns = sent_ns + self.work(follow.delay_us);
        let caller = Caller { id, process: Some(process), links: &links, ..Caller::default() };
        self.run(&follow.node, &caller, start_ns, false);
    }

    fn begin(&mut self, node: &Node, caller: &Caller<'_>, start_ns: u64) -> usize {
        let remote = node.kind.is_incoming() && !caller.id.is_none();
        self.spans.push(Span {
            label: node.label,
            severed: self.severed,
            trace_id: self.trace_id,
            id: SpanId(self.random.nonzero()),
            parent_id: caller.id,
            flags: if remote { FLAGS_REMOTE } else { FLAGS_LOCAL },
            name: "".into(),
            kind: node.kind,
            start_ns,
            end_ns: start_ns,
            attributes: Vec::new(),
            events: Vec::new(),
            links: caller.links.to_vec(),
            status: Status::Unset,
            status_message: "",
            process: 0,
            scope: super::record::Scope { name: "", version: "" },
        });
        self.spans.len() - 1
    }

    fn finish(
        &mut self,
        number: usize,
        node: &Node,
        caller: &Caller<'_>,
        me: &Caller<'_>,
        end_ns: u64,
        outcome: Outcome,
    ) {
        let Some((_, service)) = self.program.service(node.service) else { return };
        let attributes = self.attributes(node, service, caller, me, outcome);
        let Some(span) = self.spans.get_mut(number) else { return };
        span.name = semconv::display_name(&node.what, node.kind, service.conventions);
        span.scope = scope(service, &node.what);
        span.process = me.process.unwrap_or_default();
        span.end_ns = end_ns;
        span.attributes = attributes;
        if outcome.is_error() {
            span.status = Status::Error;
        }
        if let Some(failure) = outcome.failure() {
            span.status_message = failure.message;
            span.events.push(Event {
                time_ns: end_ns,
                name: "exception",
                attributes: vec![
                    ("exception.type", failure.exception.into()),
                    ("exception.message", failure.message.into()),
                ],
            });
        }
    }

    fn attributes(
        &mut self,
        node: &Node,
        service: &Service,
        caller: &Caller<'_>,
        me: &Caller<'_>,
        outcome: Outcome,
    ) -> super::record::Attributes {
        let other = if node.kind.is_outgoing() { me.callee } else { caller.process };
        let run = Run {
            conventions: service.conventions,
            filled: me.filled.map_or("", |(_, filled)| filled),
            peer: other.and_then(|number| self.processes.get(number)).map(|process| process.address.as_str()),
            instance: self.instance(&node.what),
            database: self.database(&node.what),
            messages: caller.links.len(),
            outcome,
        };
        semconv::attributes(node, &run, &mut self.random)
    }

    /// The pod that runs an operation: its caller's if that is of the same service, the one that was called, or any.
    fn process_of(&mut self, node: &Node, caller: &Caller<'_>) -> Option<usize> {
        let (service, _) = self.program.service(node.service)?;
        let fits = |number: &usize| self.processes.get(*number).is_some_and(|process| process.service == service);
        if !node.kind.is_incoming()
            && let Some(same) = caller.process.filter(fits)
        {
            return Some(same);
        }
        caller.callee.filter(fits).or_else(|| self.any_process(service))
    }

    fn any_process(&mut self, service: usize) -> Option<usize> {
        let cluster = self.site.map_or(0, Site::cluster);
        let here = |process: &Process| process.service == service && process.cluster == cluster;
        let all = self.processes.iter().enumerate().filter(|(_, process)| here(process));
        let all: Vec<usize> = all.map(|(number, _)| number).collect();
        self.random.pick(&all).copied()
    }

    fn callee(&mut self, node: &Node) -> Option<usize> {
        let host = match &node.what {
            What::Http(http) if node.kind == Kind::Client => http.host,
            What::Rpc(rpc) if node.kind == Kind::Client => rpc.host,
            _ => return None,
        };
        let (service, _) = self.program.service(host)?;
        self.any_process(service)
    }

    fn fill(&mut self, node: &Node, caller: &Caller<'_>) -> String {
        let pattern = semconv::pattern(&node.what);
        match caller.filled {
            Some((same, filled)) if same == pattern => filled.to_owned(),
            _ => semconv::fill(pattern, &mut self.random),
        }
    }

    fn instance(&mut self, what: &What) -> u32 {
        let What::Sql(sql) = what else { return 0 };
        match self.program.gone_instance {
            Some(gone) if sql.instances > 1 => {
                let drawn = self.random.below(u64::from(sql.instances) - 1) as u32;
                drawn + u32::from(drawn >= gone)
            }
            _ => self.random.below(u64::from(sql.instances)) as u32,
        }
    }

    /// The database of the fleet that such an operation asks.
    fn database(&self, what: &What) -> Option<&'a Database> {
        let (fleet, site) = (self.program.fleet.as_ref()?, self.site?);
        match what {
            What::Sql(_) => fleet.mariadb(site),
            What::Redis(_) => fleet.redis(site),
            _ => None,
        }
    }

    fn refused(&self, node: &Node) -> Option<Failure> {
        let (fleet, database) = (self.program.fleet.as_ref()?, self.database(&node.what)?);
        fleet.fails(database, self.moment).then_some(VOLUME_LOST)
    }

    fn is_given_up(&self, node: &Node) -> bool {
        let asked = self.program.fleet.as_ref().zip(self.database(&node.what));
        asked.is_some_and(|(fleet, database)| fleet.is_given_up(database, self.moment))
    }

    /// The factor on the own work of one run of an operation.
    fn pace_of(&mut self, node: &Node, process: Option<usize>, caller: &Caller<'_>) -> f64 {
        let mut pace = self.of_request * self.climate.of_run(node, process, &mut self.random);
        if let Some((of_thousand, factor)) = node.tail
            && self.random.below(1_000) < of_thousand
        {
            pace *= factor;
        }
        let is_canary =
            |number: Option<usize>| number.and_then(|n| self.processes.get(n)).is_some_and(|one| one.is_canary);
        if is_canary(process) || is_canary(caller.process) { pace * node.canary_factor } else { pace }
    }

    /// So many microseconds of work, give or take what chance does, in nanoseconds.
    fn work(&mut self, us: u32) -> u64 {
        let swing = self.climate.of_work(&mut self.random);
        (f64::from(us) * 1_000.0 * self.program.scale * swing * self.pace) as u64
    }

    fn new_trace_id(&mut self) -> TraceId {
        TraceId(u128::from(self.random.nonzero()) << 64 | u128::from(self.random.bits()))
    }

    fn shift_slow_clock(&mut self) {
        let Some((slow, behind_ns)) = self.program.slow_clock else { return };
        let Some((slow, _)) = self.program.service(slow) else { return };
        for span in &mut self.spans {
            if self.processes.get(span.process).is_some_and(|process| process.service == slow) {
                span.start_ns = span.start_ns.saturating_sub(behind_ns);
                span.end_ns = span.end_ns.saturating_sub(behind_ns);
                for event in &mut span.events {
                    event.time_ns = event.time_ns.saturating_sub(behind_ns);
                }
            }
        }
    }
}
