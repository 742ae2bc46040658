//! What was missing, in one sentence.
//!
//! A refusal that only says "no" is answered by giving somebody the role admin. So the question is asked again with one thing
//! changed at a time (the role, the owner, the strength of the proof), and what would have made the difference is named. Costs
//! some twenty evaluations, on refusals alone. Nobody learns another owner's rules from it: as long as no policy permits the act,
//! what forbids it is not told.
//!
//! Whose a secret or a transit key is, is told to nobody who has no right to it: then the question names no owner, and "its owner" is all
//! that the answer says. It says so of what is not there too.

use crate::asking::{ResourceKind, Role, Strength};
use crate::deciding::engine::Engine;
use crate::deciding::question::Question;
use crate::deciding::verdict::Verdict;

/// The rule that refused (if one did, and the actor may know) and what was missing.
pub(crate) fn explain(
    engine: &Engine,
    question: &Question<'_>,
    forbidden_by: Option<String>,
) -> (Option<String>, String) {
    match forbidden_by {
        Some(rule) if engine.some_permit(question) => forbidden(engine, question, rule),
        Some(_) | None => match forbidden_as_ones_own(engine, question) {
            Some(rule) => forbidden(engine, question, rule),
            None => (None, no_permit(engine, question)),
        },
    }
}

fn forbidden(engine: &Engine, question: &Question<'_>, rule: String) -> (Option<String>, String) {
    let sentence = match engine.sentence(&rule) {
        Some(sentence) => fill_in(sentence, question),
        None => format!("policy {rule} forbids it, whatever roles it has"),
    };
    (Some(rule), sentence)
}

/// What forbids it although it were the actor's own: of each of his owners whose it might be. None where one of them could.
fn forbidden_as_ones_own(engine: &Engine, question: &Question<'_>) -> Option<String> {
    if !has_hidden_owner(question) {
        return None;
    }
    let mut forbids = None;
    for &owner in &question.owners {
        let own = Question { owner, ..question.clone() };
        if !engine.some_permit(&own) {
            continue;
        }
        match engine.ask(&own) {
            Verdict::Forbid { rule } => forbids = forbids.or(Some(rule)),
            Verdict::Permit { .. } | Verdict::Silence | Verdict::Broken { .. } => return None,
        }
    }
    forbids
}

/// Whether it is of a sort that has owners, and the question names none: it may be anybody's, and need not be there.
fn has_hidden_owner(question: &Question<'_>) -> bool {
    let has_owners = [ResourceKind::Secret, ResourceKind::TransitKey].iter().any(|kind| kind.as_str() == question.kind);
    has_owners && question.owner.is_empty()
}

fn no_permit(engine: &Engine, question: &Question<'_>) -> String {
    if !question.unproven.is_empty() && engine.some_permit(&Question { unproven: Vec::new(), ..question.clone() }) {
        return format!("control of {} is not proven", list(&question.unproven));
    }
    if !question.foreign.is_empty() && engine.some_permit(&Question { foreign: Vec::new(), ..question.clone() }) {
        return format!(
            "a token: {} is not in the client certificate, which asks for its own names here",
            list(&question.foreign)
        );
    }
    if engine.some_permit(&of_the_owner(question)) {
        let whose = if has_hidden_owner(question) { "the owner of what it asks for" } else { "owner" };
        let owner = if question.owner.is_empty() { String::new() } else { format!(" {}", question.owner) };
        return format!("it does not belong to {whose}{owner}{}", belongs_to(question));
    }
    if engine.some_permit(&by_possession(question)) {
        return format!("stronger authentication than a {}: a client certificate", question.proof);
    }
    match roles(engine, question) {
        Some(roles) => format!("{roles}{}", has_roles(question)),
        None => format!("no policy permits {} on {}", question.action, described(question)),
    }
}

/// "the role admin", "the role issuer for owner web", or both.
fn roles(engine: &Engine, question: &Question<'_>) -> Option<String> {
    let (mut alone, mut with_owner, mut with_strength) = (Vec::new(), Vec::new(), Vec::new());
    for role in ROLES_TO_GIVE {
        let mut other = question.clone();
        other.roles.push(role.as_str());
        if engine.some_permit(&other) {
            alone.push(role.as_str());
        } else if engine.some_permit(&of_the_owner(&other)) {
            with_owner.push(role.as_str());
        } else if engine.some_permit(&by_possession(&of_the_owner(&other))) {
            with_strength.push(role.as_str());
        }
    }
    let of_owner = match has_hidden_owner(question) {
        true => " for its owner".to_owned(),
        false => format!(" for owner {}", question.owner),
    };
    let parts =
        [(alone, String::new()), (with_owner, of_owner), (with_strength, " with a client certificate".to_owned())];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(roles, _)| !roles.is_empty())
        .map(|(roles, condition)| format!("the role {}{condition}", roles.join(" or ")))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", or "))
}

fn of_the_owner<'a>(question: &Question<'a>) -> Question<'a> {
    let mut other = question.clone();
    if has_hidden_owner(question) {
        other.owner = ITS_OWNER;
    }
    if !other.owner.is_empty() {
        other.owners.push(other.owner);
    }
    other
}

fn by_possession<'a>(question: &Question<'a>) -> Question<'a> {
    Question { proof: "client-certificate", strength: Strength::Possession.as_str(), ..question.clone() }
}

fn belongs_to(question: &Question<'_>) -> String {
    match question.owners.is_empty() {
        true => " (it belongs to none)".to_owned(),
        false => format!(" (it belongs to {})", question.owners.join(", ")),
    }
}

fn has_roles(question: &Question<'_>) -> String {
    match question.roles.is_empty() {
        true => " (it has no role)".to_owned(),
        false => format!(" (it has {})", question.roles.join(", ")),
    }
}

fn described(question: &Question<'_>) -> String {
    let mut text = format!("a {}", question.kind);
    if !question.profile.is_empty() {
        text.push_str(&format!(" with profile {}", question.profile));
    }
    if !question.path.is_empty() {
        text.push_str(&format!(" at {}", question.path));
    }
    if !question.owner.is_empty() {
        text.push_str(&format!(" of owner {}", question.owner));
    }
    text
}

/// The words a `@missing` sentence may ask for.
fn fill_in(sentence: &str, question: &Question<'_>) -> String {
    let unknown = !question.has_rules && !question.outside.is_empty();
    let owner = match (question.owner, unknown) {
        ("", _) => "(none)".to_owned(),
        (owner, true) => format!("{owner}, which the configuration does not have"),
        (owner, false) => owner.to_owned(),
    };
    sentence
        .replace("{proof}", question.proof)
        .replace("{owner}", &owner)
        .replace("{profile}", question.profile)
        .replace("{unproven}", &list(&question.unproven))
        .replace("{foreign}", &list(&question.foreign))
        .replace("{outside}", &list(&question.outside))
}

/// All of a short list, the beginning of a long one.
fn list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED_MAX).map(String::as_str).collect();
    match names.len().saturating_sub(LISTED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// An owner that no policy can name: names have no blanks.
const ITS_OWNER: &str = "its owner";

/// A sentence with ten names is still read; one with a hundred is not.
const LISTED_MAX: usize = 10;

/// The roles that a person or a host can be given; the other two come with how one proves oneself.
const ROLES_TO_GIVE: [Role; 14] = [
    Role::Admin,
    Role::Operator,
    Role::Issuer,
    Role::SshUser,
    Role::CodeSigner,
    Role::SecretReader,
    Role::SecretWriter,
    Role::SecretLeaser,
    Role::TransitUser,
    Role::TransitEncrypter,
    Role::TransitManager,
    Role::Approver,
    Role::Auditor,
    Role::Agent,
];
