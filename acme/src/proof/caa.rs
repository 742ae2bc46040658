//! Certification Authority Authorization (RFC 8659, RFC 8657): may this CA issue for this name, to this account, this way?
//!
//! Off while `caa_identities` is empty: an internal CA mostly serves names nobody writes CAA records for. When on, every DNS name of
//! an order is checked, right before issuance, and the set that was checked is compared with the set that is certified
//! (Let's Encrypt, 2020: one name was checked N times).

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use policy::DnsName;

use super::resolve::{CaaRecord, LookupError};
use crate::limits::SUBPROBLEMS_MAX;
use crate::objects::{ChallengeKind, Identifier};
use crate::wire::{ErrorKind, Problem};

/// Who asks for issuance, as CAA parameters see it.
#[derive(Clone, Debug)]
pub struct Applicant<'a> {
    /// The names this CA answers to.
    pub identities: &'a [String],
    /// `accounturi` (RFC 8657 section 3).
    pub account_url: &'a str,
}

/// Checks every DNS identifier, each with the challenge that proved it, all of them in this time. `lookup` gives the CAA records
/// of one exact name.
pub async fn check<L, F>(
    applicant: &Applicant<'_>,
    names: &[(Identifier, ChallengeKind)],
    at_most: Duration,
    lookup: L,
) -> Result<(), Problem>
where
    L: Fn(String) -> F,
    F: Future<Output = Result<Vec<CaaRecord>, LookupError>>,
{
    let late = |_| {
        let secs = at_most.as_secs();
        Problem::new(
            ErrorKind::Dns,
            format!("the CAA records of {} names were not all read in {secs} s: order fewer at once", names.len()),
        )
    };
    tokio::time::timeout(at_most, check_each(applicant, names, lookup)).await.map_err(late)?
}

async fn check_each<L, F>(
    applicant: &Applicant<'_>,
    names: &[(Identifier, ChallengeKind)],
    lookup: L,
) -> Result<(), Problem>
where
    L: Fn(String) -> F,
    F: Future<Output = Result<Vec<CaaRecord>, LookupError>>,
{
    let mut checked = BTreeSet::new();
    let mut refused = Vec::new();
    for (identifier, method) in names {
        match identifier {
            // RFC 8738 section 4: CAA has no meaning for addresses.
            Identifier::Ip(_) => {}
            Identifier::Dns(name) => match relevant(name, &lookup).await {
                Ok(records) if permits(applicant, &records, name.is_wildcard(), *method) => {}
                Ok(_) => refused.push(
                    Problem::new(
                        ErrorKind::Caa,
                        format!("the CAA records that govern {name} do not allow this CA, account or challenge"),
                    )
                    .about(identifier.clone()),
                ),
                Err(failure) => {
                    refused.push(Problem::new(ErrorKind::Dns, failure.to_string()).about(identifier.clone()))
                }
            },
        }
        checked.insert(identifier);
    }
    let summary = format!("CAA does not permit issuance for {} identifiers", refused.len());
    // They are kept with the order, in a record that is bounded.
    refused.truncate(SUBPROBLEMS_MAX);
    if let Some(problem) = Problem::gather(refused, &summary) {
        return Err(problem);
    }
    let certified: BTreeSet<&Identifier> = names.iter().map(|(identifier, _)| identifier).collect();
    if checked != certified {
        return Err(Problem::new(
            ErrorKind::ServerInternal,
            "the names checked for CAA are not the names to be certified",
        ));
    }
    Ok(())
}

/// The tree climb of RFC 8659 section 3: the records of the name itself or of its closest ancestor that has any.
async fn relevant<L, F>(name: &DnsName, lookup: &L) -> Result<Vec<CaaRecord>, LookupError>
where
    L: Fn(String) -> F,
    F: Future<Output = Result<Vec<CaaRecord>, LookupError>>,
{
    let mut at = name.base();
    loop {
        let records = lookup(at.to_owned()).await?;
        if !records.is_empty() {
            return Ok(records);
        }
        match at.split_once('.') {
            Some((_, parent)) => at = parent,
            None => return Ok(Vec::new()),
        }
    }
}

fn permits(applicant: &Applicant<'_>, records: &[CaaRecord], wildcard: bool, method: ChallengeKind) -> bool {
    let known = ["issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"];
    // RFC 8659 section 4.1: an unknown property marked critical forbids issuance.
    if records.iter().any(|record| record.critical && !known.iter().any(|tag| record.tag.eq_ignore_ascii_case(tag))) {
        return false;
    }
    let of = |tag: &str| records.iter().filter(|record| record.tag.eq_ignore_ascii_case(tag)).collect::<Vec<_>>();
    let (issue, wild) = (of("issue"), of("issuewild"));
    // RFC 8659 section 4.3: issuewild counts for wildcards alone, and then instead of issue.
    let governing = if wildcard && !wild.is_empty() { wild } else { issue };
    governing.is_empty() || governing.iter().any(|record| allows(applicant, &record.value, method))
}

/// One value: `ca.example; accounturi=...; validationmethods=...`. What cannot be read allows nothing.
fn allows(applicant: &Applicant<'_>, value: &[u8], method: ChallengeKind) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let mut parts = text.split(';').map(str::trim);
    let issuer = parts.next().unwrap_or_default();
    if issuer.is_empty() || !applicant.identities.iter().any(|identity| identity.eq_ignore_ascii_case(issuer)) {
        return false;
    }
    parts.filter(|part| !part.is_empty()).all(|part| {
        match part.split_once('=').map(|(tag, value)| (tag.trim(), value.trim())) {
            Some((tag, url)) if tag.eq_ignore_ascii_case("accounturi") => url == applicant.account_url,
            Some((tag, methods)) if tag.eq_ignore_ascii_case("validationmethods") => {
                methods.split(',').any(|allowed| allowed.trim() == method.as_str())
            }
            // Parameters this CA has no meaning for are none of its business (RFC 8659 section 4.2).
            Some(_) => true,
            None => false,
        }
    })
}

#[cfg(test)]
#[path = "caa_tests.rs"]
mod tests;
