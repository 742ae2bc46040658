//! What is counted, in the OpenMetrics text format; `exposition` makes the older one of it.
//!
//! Counting costs a hash and an atomic add per request and never blocks one. Gauges that live in the register (head,
//! counts, expiry) are read at scrape time. Labels are closed sets (route templates, not paths), so that a stranger cannot
//! make series.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::MatchedPath;
use ca::{OcspState, REFUSED_APART_MAX, RefusalState, SigningTimes};
use http::{Method, StatusCode};
use lifecycle::RenewalCounts;
use policy::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use secrets::{Tally, UNREAD_DAYS};
use store::AuditState;

use super::connections::{ByListener, Connections, Ending};
use super::vitals::Vitals;

/// Seconds; the HSM is the slow part, hence the fine steps around one millisecond and the tail for a slow network HSM.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// One answered request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: Route,
    method: &'static str,
    status: u16,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: Route,
}

/// The template of a route as a label. Sharing axum's own string saves an allocation per request.
type Route = Arc<str>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTask {
    task: &'static str,
}

/// Values read from the register when somebody scrapes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings {
    /// 1 while the HSM answers.
    pub(crate) hsm_ready: bool,
    /// Leaves in the log.
    pub(crate) log_size: u64,
    /// Intents without a conclusion.
    pub(crate) unconcluded: u64,
    /// Credentials by state.
    pub(crate) states: Vec<(&'static str, u64)>,
    /// Live credentials that expire within a time, each number with those before it.
    pub(crate) expiring: Vec<(&'static str, u64)>,
    /// Secrets of each sort, and how many are older than their rotations allow.
    pub(crate) secrets: (Tally, u64),
    /// CRLs, heads, CAs and tokens.
    pub(crate) vitals: Vitals,
}

/// What the process knows without the register, read when somebody scrapes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    /// How far the service's own audit is.
    pub(crate) audited: AuditState,
    /// Alarms about rows that are not what the log says.
    pub(crate) alarms: u64,
    /// Whether nothing is written, since the register is not what this node knew.
    pub(crate) held: bool,
    /// Whether the register cannot be written, or lacks a connection.
    pub(crate) away: bool,
    /// How long the write-ahead log is that another program keeps; 0 where none does.
    pub(crate) held_log_bytes: u64,
    /// Whether nothing begins, since the clock is not believed.
    pub(crate) clock_held: bool,
    /// What `readyz` says, part by part.
    pub(crate) ready: Vec<(&'static str, bool)>,
    /// Signatures of each token.
    pub(crate) signing: Vec<(String, SigningTimes)>,
    /// Whether each token answers.
    pub(crate) tokens: Vec<(String, bool)>,
    /// Whether something can be issued under each profile.
    pub(crate) profiles: Vec<(String, bool)>,
    /// What became of renewals.
    pub(crate) renewals: RenewalCounts,
    /// OCSP requests, and who answers them.
    pub(crate) ocsp: OcspState,
    /// What was refused beyond what is leaves of its own.
    pub(crate) refusals: RefusalState,
    /// When the log said of the last good backup, and its length.
    pub(crate) backup: Option<(Timestamp, u64)>,
}

/// All counters of this process.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    duration: Family<ByRoute, Histogram, fn() -> Histogram>,
    denied: Family<ByReason, Counter>,
    panics: Counter,
    shed: Counter,
    task_failures: Family<ByTask, Counter>,
    https: Arc<Connections>,
    http: Arc<Connections>,
    hsm_ready: Gauge,
    log_size: Gauge<u64, AtomicU64>,
    unconcluded: Gauge<u64, AtomicU64>,
    states: Family<ByState, Gauge<u64, AtomicU64>>,
    expiring: Family<ByBucket, Gauge<u64, AtomicU64>>,
    secrets: Family<ByState, Gauge<u64, AtomicU64>>,
    secrets_expiring: Family<ByBucket, Gauge<u64, AtomicU64>>,
    audit: Audit,
    ends: Ends,
    ready: Family<ByPart, Gauge>,
}

/// What ends, and when: seconds since 1970.
#[derive(Default)]
struct Ends {
    crl_next: Family<ByIssuer, Gauge>,
    crl_this: Family<ByIssuer, Gauge>,
    crl_entries: Family<ByIssuer, Gauge<u64, AtomicU64>>,
    crl_bytes: Family<ByIssuer, Gauge<u64, AtomicU64>>,
    crl_took: Family<ByIssuer, Gauge<f64, AtomicU64>>,
    uncovered: Family<ByIssuer, Gauge<u64, AtomicU64>>,
    ca: Family<ByIssuer, Gauge>,
    sealed: Family<ByIssuer, Gauge<u64, AtomicU64>>,
    checkpoint: Gauge,
    unsigned: Gauge<u64, AtomicU64>,
    first_token: Gauge,
    last_admin_token: Gauge,
    one_factor: Gauge<u64, AtomicU64>,
}

impl Ends {
    fn register(&self, registry: &mut Registry) {
        let help = "When the newest CRL of an issuer ends, seconds since 1970";
        registry.register("crl_next_update_timestamp_seconds", help, self.crl_next.clone());
        let help = "Of when the newest CRL of an issuer is, seconds since 1970";
        registry.register("crl_this_update_timestamp_seconds", help, self.crl_this.clone());
        registry.register("crl_entries", "Entries of the newest CRL of an issuer", self.crl_entries.clone());
        registry.register("crl_bytes", "Length of the newest CRL of an issuer, bytes", self.crl_bytes.clone());
        let help = "How long this node took to make the newest CRL of an issuer, signature and disk included, seconds";
        registry.register("crl_made_seconds", help, self.crl_took.clone());
        let help = "Revocations of an issuer that its newest CRL does not have";
        registry.register("revocations_uncovered", help, self.uncovered.clone());
        let help = "When a CA's certificate ends, seconds since 1970";
        registry.register("ca_not_after_timestamp_seconds", help, self.ca.clone());
        let help = "Sealed records that stand under a generation of the sealing key";
        registry.register("sealed_records", help, self.sealed.clone());
        let help = "Of when the newest signed head of the log is, seconds since 1970; 0 until one is signed";
        registry.register("checkpoint_timestamp_seconds", help, self.checkpoint.clone());
        registry.register("log_unsigned", "Leaves of the log that no signed head covers", self.unsigned.clone());
        let help = "When the first API token ends, seconds since 1970; 0 where there is none";
        registry.register("api_token_first_end_timestamp_seconds", help, self.first_token.clone());
        let help = "When the last administrator's token ends, seconds since 1970; 0 where there is none";
        registry.register("admin_token_last_end_timestamp_seconds", help, self.last_admin_token.clone());
        let help = "Administrators' tokens without a second factor";
        registry.register("admin_tokens_without_second_factor", help, self.one_factor.clone());
    }

    fn set(&self, vitals: &Vitals) {
        for crl in &vitals.crls {
            let label = ByIssuer { issuer: crl.issuer.clone() };
            self.crl_next.get_or_create(&label).set(crl.next_update.unix());
            self.crl_this.get_or_create(&label).set(crl.this_update.unix());
            self.uncovered.get_or_create(&label).set(crl.uncovered);
            self.crl_entries.get_or_create(&label).set(crl.entries);
            self.crl_bytes.get_or_create(&label).set(crl.bytes);
            match crl.took {
                Some(took) => drop(self.crl_took.get_or_create(&label).set(took.as_secs_f64())),
                None => drop(self.crl_took.remove(&label)),
            }
        }
        for (issuer, until) in &vitals.cas {
            self.ca.get_or_create(&ByIssuer { issuer: issuer.clone() }).set(until.unix());
        }
        for (generation, count) in &vitals.sealed {
            self.sealed.get_or_create(&ByIssuer { issuer: generation.clone() }).set(*count);
        }
        let unix = |at: Option<Timestamp>| at.map_or(0, Timestamp::unix);
        self.checkpoint.set(unix(vitals.checkpoint));
        self.unsigned.set(vitals.unsigned);
        self.first_token.set(unix(vitals.tokens.first));
        self.last_admin_token.set(unix(vitals.tokens.last_admin.map(|(until, _)| until)));
        self.one_factor.set(u64::try_from(vitals.tokens.one_factor).unwrap_or(u64::MAX));
    }
}

/// One of the CAs: a closed set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByIssuer {
    issuer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPart {
    part: &'static str,
}

/// The service's own audit of its register.
#[derive(Default)]
struct Audit {
    newest: Gauge<u64, AtomicU64>,
    round_at: Gauge<u64, AtomicU64>,
    all_since: Gauge,
    findings: Gauge<u64, AtomicU64>,
    alarms: Gauge<u64, AtomicU64>,
    held: Gauge,
    away: Gauge,
    held_log_bytes: Gauge<u64, AtomicU64>,
    clock_held: Gauge,
    backup_at: Gauge,
    backup_bytes: Gauge<u64, AtomicU64>,
}

impl Audit {
    fn register(&self, registry: &mut Registry) {
        let count = [
            ("audit_newest_leaf", "Leaves up to this one were audited as they came", &self.newest),
            (
                "audit_round_leaf",
                "Leaves that the present round through all of them looked at, the newest first",
                &self.round_at,
            ),
            ("audit_findings", "Findings of the service's own audit since its start", &self.findings),
            ("register_alarms", "Alarms about rows that are not what the log says, since the start", &self.alarms),
        ];
        for (name, help, gauge) in count {
            registry.register(name, help, gauge.clone());
        }
        let help = "Every leaf and row was audited since then, seconds since 1970; 0 until the first round is through";
        registry.register("audit_all_since_timestamp_seconds", help, self.all_since.clone());
        registry.register(
            "register_held",
            "1 while nothing is written: the register is not what this node knew",
            self.held.clone(),
        );
        let help = "1 while the register cannot be written, or a connection to it is missing";
        registry.register("register_away", help, self.away.clone());
        let help = "Bytes of the write-ahead log while another program keeps it from being begun anew; else 0";
        registry.register("register_held_log_bytes", help, self.held_log_bytes.clone());
        registry.register(
            "clock_held",
            "1 while nothing is issued: the clock is not believed",
            self.clock_held.clone(),
        );
        let help = "When the log said of the last good backup, seconds since 1970; 0 where it knows of none";
        registry.register("backup_last_timestamp_seconds", help, self.backup_at.clone());
        registry.register("backup_last_bytes", "Length of the last good backup, bytes", self.backup_bytes.clone());
    }

    fn set(&self, own: &Own) {
        self.newest.set(own.audited.newest);
        self.round_at.set(own.audited.round_at);
        self.all_since.set(own.audited.all_since.map_or(0, Timestamp::unix));
        self.findings.set(own.audited.findings);
        self.alarms.set(own.alarms);
        self.held.set(own.held.into());
        self.away.set(own.away.into());
        self.held_log_bytes.set(own.held_log_bytes);
        self.clock_held.set(own.clock_held.into());
        self.backup_at.set(own.backup.map_or(0, |(at, _)| at.unix()));
        self.backup_bytes.set(own.backup.map_or(0, |(_, bytes)| bytes));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByBucket {
    within: &'static str,
}

impl Metrics {
    /// Fresh counters.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("chancery");
        let open = Family::<ByListener, Gauge>::default();
        let endings = Family::<Ending, Counter>::default();
        let refused = Family::<ByListener, Counter>::default();
        let accept_failures = Counter::default();
        let duration =
            Family::<ByRoute, Histogram, fn() -> Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let metrics = Self {
            requests: Family::default(),
            duration: duration.clone(),
            denied: Family::default(),
            panics: Counter::default(),
            shed: Counter::default(),
            task_failures: Family::default(),
            https: Connections::new("https", &open, &endings, &refused, &accept_failures),
            http: Connections::new("http", &open, &endings, &refused, &accept_failures),
            hsm_ready: Gauge::default(),
            log_size: Gauge::default(),
            unconcluded: Gauge::default(),
            states: Family::default(),
            expiring: Family::default(),
            secrets: Family::default(),
            secrets_expiring: Family::default(),
            audit: Audit::default(),
            ends: Ends::default(),
            ready: Family::default(),
            registry: Registry::default(),
        };
        registry.register("connections_open", "Open connections", open);
        registry.register("connections_ended", "Connections by how they ended", endings);
        registry.register("connections_refused", "Connections closed because the bound was reached", refused);
        registry.register("accept_failures", "Failures of accept itself", accept_failures);
        registry.register("http_requests", "Answered requests", metrics.requests.clone());
        registry.register("http_request_duration_seconds", "Time to answer", duration);
        registry.register("authentication_failures", "Credentials that did not hold", metrics.denied.clone());
        registry.register("panics", "Handlers that panicked", metrics.panics.clone());
        registry.register("requests_shed", "Requests refused because the bound was reached", metrics.shed.clone());
        registry.register("task_failures", "Failed runs of background tasks", metrics.task_failures.clone());
        registry.register("hsm_ready", "1 while the HSM answers", metrics.hsm_ready.clone());
        registry.register("log_size", "Leaves in the log", metrics.log_size.clone());
        registry.register("unconcluded_intents", "Intents without a conclusion", metrics.unconcluded.clone());
        registry.register("credentials", "Credentials by state", metrics.states.clone());
        registry.register(
            "credentials_expiring",
            "Live credentials that expire within a time, each number with those before it",
            metrics.expiring.clone(),
        );
        let help = format!(
            "Secrets by how they are, each counted up to {}: unread is what nobody read for {UNREAD_DAYS} days",
            store::WARDS_COUNTED_MAX
        );
        registry.register("secrets", help, metrics.secrets.clone());
        registry.register(
            "secrets_expiring",
            "Secrets whose current version expires within a time, each number with those before it",
            metrics.secrets_expiring.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", version);
        registry.register("ready", "1 while this part of `readyz` is right", metrics.ready.clone());
        metrics.ends.register(&mut registry);
        metrics.audit.register(&mut registry);
        Self { registry, ..metrics }
    }

    /// The counters of the HTTPS listener.
    pub(crate) fn https(&self) -> Arc<Connections> {
        Arc::clone(&self.https)
    }

    /// The counters of the plain listener.
    pub(crate) fn http(&self) -> Arc<Connections> {
        Arc::clone(&self.http)
    }

    /// One request was answered.
    pub(crate) fn answered(&self, route: Option<&MatchedPath>, method: &Method, status: StatusCode, took: Duration) {
        let route: Route = route.map_or_else(|| Arc::from("unmatched"), |path| Arc::from(path.as_str()));
        self.duration.get_or_create(&ByRoute { route: Arc::clone(&route) }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { route, method: method_label(method), status: status.as_u16() }).inc();
    }

    /// A credential did not hold.
    pub(crate) fn denied(&self, reason: &'static str) {
        self.denied.get_or_create(&ByReason { reason }).inc();
    }

    /// A handler panicked.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// A request was turned away because the bound was reached.
    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    /// A background task failed once.
    pub(crate) fn task_failed(&self, task: &'static str) {
        self.task_failures.get_or_create(&ByTask { task }).inc();
    }

    fn set_secrets(&self, (tally, overdue): &(Tally, u64)) {
        let Tally { all, expired, ending, unread, stuck } = *tally;
        let states = [("all", all), ("expired", expired), ("unread", unread), ("stuck", stuck), ("overdue", *overdue)];
        for (state, count) in states {
            self.secrets.get_or_create(&ByState { state }).set(count);
        }
        let mut within = 0;
        for (word, count) in ["24h", "7d", "30d", "90d"].into_iter().zip(ending) {
            within += count;
            self.secrets_expiring.get_or_create(&ByBucket { within: word }).set(within);
        }
    }

    /// The whole, as text, with these readings.
    pub(crate) fn text(&self, readings: &Readings, own: &Own) -> Result<String, std::fmt::Error> {
        self.audit.set(own);
        self.hsm_ready.set(i64::from(readings.hsm_ready));
        self.log_size.set(readings.log_size);
        self.unconcluded.set(readings.unconcluded);
        for &(state, count) in &readings.states {
            self.states.get_or_create(&ByState { state }).set(count);
        }
        for &(within, count) in &readings.expiring {
            self.expiring.get_or_create(&ByBucket { within }).set(count);
        }
        self.set_secrets(&readings.secrets);
        self.ends.set(&readings.vitals);
        for &(part, is) in &own.ready {
            self.ready.get_or_create(&ByPart { part }).set(is.into());
        }
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        signatures(&mut text, &own.signing)?;
        each(&mut text, ("chancery_token_ready", "1 while the token answers"), "token", &own.tokens)?;
        let fit = ("chancery_profile_fit", "1 while an issuer can sign what the profile says");
        each(&mut text, fit, "profile", &own.profiles)?;
        renewals(&mut text, own.renewals)?;
        ocsp(&mut text, &own.ocsp)?;
        refusals(&mut text, &own.refusals)?;
        super::process::append(&mut text);
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// What the tokens count themselves. There are few of them, by names that an operator gave.
fn signatures(text: &mut String, tokens: &[(String, SigningTimes)]) -> std::fmt::Result {
    let name = "chancery_signature_duration_seconds";
    writeln!(text, "# HELP {name} Time for a signature, waiting included.\n# TYPE {name} histogram")?;
    for (token, times) in tokens {
        let mut sum = 0_u64;
        for (bound_ms, count) in &times.counts {
            sum += count;
            let le = bound_ms.map_or("+Inf".to_owned(), |bound| format!("{:?}", bound as f64 / 1_000.0));
            writeln!(text, "{name}_bucket{{token=\"{token}\",le=\"{le}\"}} {sum}")?;
        }
        writeln!(text, "{name}_sum{{token=\"{token}\"}} {}", times.total.as_secs_f64())?;
        writeln!(text, "{name}_count{{token=\"{token}\"}} {sum}")?;
    }
    let name = "chancery_signature_failures";
    writeln!(text, "# HELP {name} Signatures that a token was asked for and did not make.\n# TYPE {name} counter")?;
    for (token, times) in tokens {
        writeln!(text, "{name}_total{{token=\"{token}\"}} {}", times.failed)?;
    }
    let name = "chancery_signatures_waiting";
    writeln!(text, "# HELP {name} What waits for a session of the token.\n# TYPE {name} gauge")?;
    for (token, times) in tokens {
        writeln!(text, "{name}{{token=\"{token}\"}} {}", times.queued)?;
    }
    Ok(())
}

/// Of each of a few that an operator named, whether it is so.
fn each(text: &mut String, (name, help): (&str, &str), label: &str, all: &[(String, bool)]) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}.\n# TYPE {name} gauge")?;
    for (one, is) in all {
        writeln!(text, "{name}{{{label}=\"{one}\"}} {}", u8::from(*is))?;
    }
    Ok(())
}

/// What the renewer counts itself.
fn renewals(text: &mut String, counts: RenewalCounts) -> std::fmt::Result {
    let name = "chancery_renewals";
    writeln!(text, "# HELP {name} Renewals by the server, by outcome.\n# TYPE {name} counter")?;
    for (outcome, count) in [("renewed", counts.renewed), ("failed", counts.failed), ("given-up", counts.given_up)] {
        writeln!(text, "{name}_total{{outcome=\"{outcome}\"}} {count}")?;
    }
    Ok(())
}

/// What the responders count themselves.
fn ocsp(text: &mut String, state: &OcspState) -> std::fmt::Result {
    let name = "chancery_ocsp_answers";
    writeln!(text, "# HELP {name} OCSP requests, by what came of them.\n# TYPE {name} counter")?;
    let outcomes =
        [("memory", state.answered), ("limited", state.limited), ("refused", state.refused), ("later", state.later)];
    for (outcome, count) in outcomes {
        writeln!(text, "{name}_total{{outcome=\"{outcome}\"}} {count}")?;
    }
    let name = "chancery_ocsp_signed";
    writeln!(
        text,
        "# HELP {name} OCSP responses that were signed.\n# TYPE {name} counter\n{name}_total {}",
        state.signed
    )?;
    let name = "chancery_ocsp_unknown";
    writeln!(text, "# HELP {name} OCSP requests for what the register does not hold.\n# TYPE {name} counter")?;
    for (serial, count) in [("ours", state.alarms), ("other", state.strangers)] {
        writeln!(text, "{name}_total{{serial=\"{serial}\"}} {count}")?;
    }
    let name = "chancery_ocsp_kept";
    writeln!(text, "# HELP {name} OCSP responses in memory.\n# TYPE {name} gauge\n{name} {}", state.kept)?;
    let name = "chancery_ocsp_responder_expiry_timestamp_seconds";
    writeln!(text, "# HELP {name} When an OCSP responder's certificate ends.\n# TYPE {name} gauge")?;
    for (issuer, until) in &state.responders {
        writeln!(text, "{name}{{issuer=\"{issuer}\"}} {}", until.unix())?;
    }
    Ok(())
}

/// What the gate counts where it writes no leaf for each.
fn refusals(text: &mut String, state: &RefusalState) -> std::fmt::Result {
    let name = "chancery_refusals_counted";
    writeln!(text, "# HELP {name} Refused requests that are counted in the log and no entries of their own.")?;
    writeln!(text, "# TYPE {name} counter\n{name}_total {}", state.counted)?;
    let name = "chancery_refusals_untold";
    writeln!(text, "# HELP {name} Of those, how many no entry of the log tells yet.")?;
    writeln!(text, "# TYPE {name} gauge\n{name} {}", state.untold)?;
    let name = "chancery_refused_apart";
    writeln!(
        text,
        "# HELP {name} Actors who were refused lately and have a number of their own, {REFUSED_APART_MAX} at most."
    )?;
    writeln!(text, "# TYPE {name} gauge\n{name} {}", state.apart)?;
    let name = "chancery_refusals_nameless";
    writeln!(text, "# HELP {name} Refused requests of actors who are too many to have a number of their own.")?;
    writeln!(text, "# TYPE {name} counter\n{name}_total {}", state.nameless)?;
    let name = "chancery_refused_insistently";
    writeln!(text, "# HELP {name} Actors who were refused so often lately that it is an alarm.")?;
    writeln!(text, "# TYPE {name} gauge\n{name} {}", state.insistent.len())
}

/// Methods are an open set on the wire and a closed one here.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an operator builds alerts on stands in docs/CONFIG.md, all of it.
    #[test]
    fn every_metric_is_documented() {
        let docs = include_str!("../../../docs/CONFIG.md");
        let metrics = Metrics::new();
        metrics.answered(None, &Method::GET, StatusCode::OK, Duration::ZERO);
        metrics.denied("token");
        metrics.task_failed("audit");
        let readings = Readings { states: vec![("issued", 1)], expiring: vec![("24h", 1)], ..Readings::default() };
        let text = metrics.text(&readings, &Own::default()).expect("text");
        let names: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        assert!(names.len() > 15, "{text}");
        for name in names {
            let is_ours = !name.starts_with("process_");
            let row = if is_ours { format!("| `{name}` |") } else { format!("`{name}") };
            assert!(docs.contains(&row), "{name} is not in docs/CONFIG.md");
        }
    }

    #[test]
    fn the_audit_is_told_without_the_register() {
        let audited = AuditState {
            newest: 70,
            round_at: 40,
            all_since: Some(Timestamp::from_unix(1_790_000_000)),
            findings: 3,
            ..AuditState::default()
        };
        let text = Metrics::new()
            .text(
                &Readings::default(),
                &Own {
                    audited,
                    alarms: 2,
                    held: true,
                    clock_held: true,
                    away: true,
                    held_log_bytes: 7,
                    ready: vec![("hsm", false)],
                    signing: vec![("spare".to_owned(), SigningTimes { failed: 2, ..SigningTimes::default() })],
                    tokens: vec![("main".to_owned(), true), ("spare".to_owned(), false)],
                    profiles: vec![("tls-server".to_owned(), true), ("vpn".to_owned(), false)],
                    refusals: RefusalState { counted: 9, untold: 4, nameless: 7, apart: 5, ..RefusalState::default() },
                    ..Own::default()
                },
            )
            .expect("text");
        for line in [
            "chancery_audit_newest_leaf 70",
            "chancery_audit_round_leaf 40",
            "chancery_audit_all_since_timestamp_seconds 1790000000",
            "chancery_audit_findings 3",
            "chancery_register_alarms 2",
            "chancery_register_held 1",
            "chancery_register_away 1",
            "chancery_register_held_log_bytes 7",
            "chancery_clock_held 1",
            "chancery_ready{part=\"hsm\"} 0",
            "chancery_token_ready{token=\"main\"} 1",
            "chancery_token_ready{token=\"spare\"} 0",
            "chancery_profile_fit{profile=\"vpn\"} 0",
            "chancery_signature_failures_total{token=\"spare\"} 2",
            "chancery_refusals_counted_total 9",
            "chancery_refusals_untold 4",
            "chancery_refused_apart 5",
            "chancery_refusals_nameless_total 7",
            "chancery_refused_insistently 0",
            "chancery_build_info{version=\"0.1.0\"} 1",
            "chancery_renewals_total{outcome=\"renewed\"} 0",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is missing in\n{text}");
        }
    }
}
