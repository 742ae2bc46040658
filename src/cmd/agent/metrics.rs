//! The agent's state as Prometheus reads it from a file: what stands there, for how long it is good, how often it failed.
//!
//! No value, and no reason: labels are names of the plan.

use std::fmt::Write;

use agent::{SecretState, SecretStatus, State, Status};
use policy::Timestamp;

/// The text format of Prometheus (0.0.4): each metric with its help, its type and a line for each name.
pub fn text(certificates: &[Status], secrets: &[SecretStatus]) -> String {
    let mut text = String::new();
    let of_certificates = |value: fn(&Status) -> Option<i64>| {
        certificates.iter().filter_map(move |one| Some((one.name.as_str(), value(one)?))).collect::<Vec<_>>()
    };
    let of_secrets = |value: fn(&SecretStatus) -> Option<i64>| {
        secrets.iter().filter_map(move |one| Some((one.name.as_str(), value(one)?))).collect::<Vec<_>>()
    };
    add(
        &mut text,
        "certificate_ok",
        "gauge",
        "Whether the certificate in service is the one that should be.",
        &of_certificates(|one| Some(i64::from(one.state == State::Ok))),
    );
    add(
        &mut text,
        "certificate_not_after_seconds",
        "gauge",
        "The last second of its validity.",
        &of_certificates(|one| one.not_after.map(Timestamp::unix)),
    );
    add(
        &mut text,
        "certificate_failures",
        "gauge",
        "Attempts failed in a row.",
        &of_certificates(|one| Some(i64::from(one.failures))),
    );
    add(
        &mut text,
        "certificate_renewals_total",
        "counter",
        "How often it was replaced by a newer one.",
        &of_certificates(|one| i64::try_from(one.renewals).ok()),
    );
    add(
        &mut text,
        "secret_ok",
        "gauge",
        "Whether the file is what the server has.",
        &of_secrets(|one| Some(i64::from(one.state == SecretState::Ok))),
    );
    add(
        &mut text,
        "secret_in_place",
        "gauge",
        "Whether the file is there.",
        &of_secrets(|one| Some(i64::from(one.in_place))),
    );
    add(
        &mut text,
        "secret_good_until_seconds",
        "gauge",
        "Until when it may be used while nobody answers.",
        &of_secrets(|one| one.good_until.map(Timestamp::unix)),
    );
    add(
        &mut text,
        "secret_last_answer_seconds",
        "gauge",
        "When the server answered last.",
        &of_secrets(|one| one.last_answer.map(Timestamp::unix)),
    );
    add(
        &mut text,
        "secret_failures",
        "gauge",
        "Looks failed in a row.",
        &of_secrets(|one| Some(i64::from(one.failures))),
    );
    add(
        &mut text,
        "secret_changes_total",
        "counter",
        "How often the file was written.",
        &of_secrets(|one| i64::try_from(one.changes).ok()),
    );
    text
}

/// One metric; nothing where nobody has it.
fn add(text: &mut String, name: &str, kind: &str, help: &str, values: &[(&str, i64)]) {
    if values.is_empty() {
        return;
    }
    // Names of the plan are small letters, digits and three signs: nothing in them is to be escaped.
    let _ = writeln!(text, "# HELP chancery_agent_{name} {help}\n# TYPE chancery_agent_{name} {kind}");
    for (of, value) in values {
        let _ = writeln!(text, "chancery_agent_{name}{{name=\"{of}\"}} {value}");
    }
}
