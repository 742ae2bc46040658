//! The decision: policies in Cedar, rules per owner, one function that grants.
//!
//! Policies come as texts (the binary reads the folder; this crate reads nothing) and are checked against one schema when they
//! are loaded, so that a policy which could not be evaluated never gets to a decision. Four things are decided here and not in
//! Cedar, because no policy may loosen them: the scopes of a token, the bounds on names, the second factor of administrators, and that an
//! error is a refusal.

use std::collections::{BTreeMap, HashMap};

use ring::digest;
use serde::Serialize;

use crate::asking::{Action, Actor, MAX_NAMES, MAX_PRINCIPALS, Resource};
use crate::deciding::alike::Alike;
use crate::deciding::demand::Demand;
use crate::deciding::engine::Engine;
use crate::deciding::error::PolicyError;
use crate::deciding::explain::explain;
use crate::deciding::grant::{Grant, Refusal};
use crate::deciding::question::Question;
use crate::deciding::rules::{Matcher, OwnerRules};
use crate::deciding::shipped;
use crate::deciding::verdict::Verdict;
use crate::names::{Name, Owner, Principal};
use crate::text::Malformed;

/// The policies and owner rules in force.
///
/// Trusted for every decision. Whoever can change what is loaded here can grant anything to a known actor, but each leaf of
/// the log carries [`Policies::hash`], so the change is seen.
pub struct Policies {
    engine: Engine,
    owners: Vec<OwnerRules>,
    matchers: HashMap<Owner, Matcher>,
    demand: Option<Demand>,
    text: String,
    hash: [u8; 32],
}

impl Policies {
    /// Takes `(name, Cedar text)` pairs and owner rules; refuses what does not parse or does not fit the schema. A trailing
    /// `.cedar` is not part of a name.
    pub fn load(texts: &[(String, String)], owners: Vec<OwnerRules>) -> Result<Policies, PolicyError> {
        let texts = by_name(texts)?;
        let owners = canonical(owners)?;
        let matchers = owners.iter().map(|rules| Ok((rules.name.clone(), Matcher::new(rules)?)));
        let matchers = matchers.collect::<Result<_, PolicyError>>()?;
        let text = text(&texts, &owners);
        let hash = sha256(&text);
        Ok(Policies { engine: Engine::new(&texts)?, owners, matchers, demand: None, text, hash })
    }

    /// The same, and administrators prove a second factor first. Without it none is asked for but by what a policy says itself.
    #[must_use]
    pub fn demanding(mut self, demand: Demand) -> Policies {
        // What decides is in the hash: the last member of the canonical object.
        let member = serde_json::to_string(&demand).unwrap_or_else(|e| unreachable!("a number is JSON: {e}"));
        let rest = self.text.strip_suffix('}').unwrap_or(&self.text);
        self.text = format!("{rest},\"second_factor\":{member}}}");
        self.hash = sha256(&self.text);
        self.demand = Some(demand);
        self
    }

    /// What is demanded of administrators, where it is.
    pub fn demand(&self) -> Option<Demand> {
        self.demand
    }

    /// The policies that `init` writes, as `(file name, text)`.
    pub fn shipped() -> &'static [(&'static str, &'static str)] {
        shipped::FILES
    }

    /// Everything that decides, in canonical form: one JSON object of `version`, `schema`, `policies` by name, `owners`, and
    /// `second_factor` where one is demanded, without spaces.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of [`Policies::text`].
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The owner rules, sorted by owner.
    pub fn owners(&self) -> &[OwnerRules] {
        &self.owners
    }

    /// Which owners have what is written so, each with the rule that says so: a name of any kind, and, where it could be one, an
    /// account. An error: it is neither.
    pub fn having(&self, text: &str) -> Result<Vec<Claim<'_>>, Malformed> {
        let (name, account) = (Name::parse(text), Principal::parse(text).ok());
        if let (Err(error), None) = (&name, &account) {
            return Err(error.clone());
        }
        let mut claims = Vec::new();
        for rules in &self.owners {
            let Some(matcher) = self.matchers.get(&rules.name) else { continue };
            let by_name = name.as_ref().ok().and_then(|name| Some((name.kind(), matcher.by_rule(name)?)));
            let by_account = account.as_ref().and_then(|account| Some((ACCOUNTS, matcher.by_account_rule(account)?)));
            for (field, place) in by_name.into_iter().chain(by_account) {
                let list = rules.fields().into_iter().find(|(key, _)| *key == field).map_or(&[][..], |(_, list)| list);
                claims.extend(list.get(place).map(|rule| Claim { owner: &rules.name, field, rule }));
            }
        }
        Ok(claims)
    }

    /// Whether `actor` may do `action` on `resource`. The only maker of a [`Grant`]; the default is a [`Refusal`].
    pub fn decide(&self, actor: &Actor, action: Action, resource: &Resource) -> Result<Grant, Refusal> {
        self.judge(actor, action, resource, explain)
    }

    /// The same, and of a "no" nobody looks for what was missing, which costs some twenty times as much as the answer: for whoever was told
    /// so often that he does not listen. By these words, whatever it is that he may not know, he learns nothing of it.
    pub fn decide_briefly(&self, actor: &Actor, action: Action, resource: &Resource) -> Result<Grant, Refusal> {
        self.judge(actor, action, resource, |_, _, _| (None, Refusal::BRIEFLY.to_owned()))
    }

    fn judge(
        &self,
        actor: &Actor,
        action: Action,
        resource: &Resource,
        explain: impl Fn(&Engine, &Question<'_>, Option<String>) -> (Option<String>, String),
    ) -> Result<Grant, Refusal> {
        let refuse = |rule: Option<String>, missing: String, step_up: bool| Refusal {
            actor: Box::new(actor.clone()),
            action,
            resource: Box::new(resource.clone()),
            rule,
            missing,
            step_up,
            policy_hash: self.hash,
        };
        check_scope(actor, action).map_err(|missing| refuse(None, missing, false))?;
        check_bounds(action, resource).map_err(|missing| refuse(None, missing, false))?;
        let question = self.question(actor, action, resource);
        match self.engine.ask(&question) {
            Verdict::Permit { rule } => match self.demand.filter(|demand| demand.lacks(actor, action)) {
                Some(demand) => Err(refuse(Some(Demand::RULE.to_owned()), demand.missing(), true)),
                None => Ok(Grant::new(actor.clone(), action, resource.clone(), rule, self.hash)),
            },
            Verdict::Forbid { rule } => {
                let (rule, missing) = explain(&self.engine, &question, Some(rule));
                Err(refuse(rule, missing, self.would_step_up(&question)))
            }
            Verdict::Silence => {
                let (rule, missing) = explain(&self.engine, &question, None);
                Err(refuse(rule, missing, self.would_step_up(&question)))
            }
            Verdict::Broken { rule } => {
                let missing = format!("policy {rule} could not be evaluated, and what cannot be decided is refused");
                Err(refuse(Some(rule), missing, false))
            }
        }
    }

    /// Whether [`Policies::decide`] would grant it, and nothing more: for lists and other eyes. No grant comes of it, and of a "no" nobody
    /// looks for what was missing, which costs some twenty times as much as the answer.
    pub fn permits(&self, actor: &Actor, action: Action, resource: &Resource) -> bool {
        let is_bounded = check_scope(actor, action).is_ok() && check_bounds(action, resource).is_ok();
        is_bounded
            && matches!(self.engine.ask(&self.question(actor, action, resource)), Verdict::Permit { .. })
            && !self.demand.is_some_and(|demand| demand.lacks(actor, action))
    }

    /// All of an actor that the answers for an action depend on: who is held against much beside others like him is decided once with
    /// them.
    pub fn alike(&self, actor: &Actor, action: Action) -> Alike {
        Alike::of(actor, action, self.engine.names(&actor.id, action))
    }

    fn question<'a>(&self, actor: &'a Actor, action: Action, resource: &'a Resource) -> Question<'a> {
        let rules = resource.owner.as_ref().and_then(|owner| self.matchers.get(owner));
        let mfa = self.demand.map_or(actor.second_factor.is_some(), |demand| demand.is_met_by(actor.second_factor));
        Question::new((actor, mfa), action, resource, rules)
    }

    /// Whether a second factor would make the difference: a policy of the house's own asks for it.
    fn would_step_up(&self, question: &Question<'_>) -> bool {
        matches!(self.engine.ask(&question.stepped_up()), Verdict::Permit { .. })
    }
}

/// That an owner has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Who has it.
    pub owner: &'a Owner,
    /// The key of the list of rules: `dns`, `ip`, `principals`, `email`, `uri`, `upn`.
    pub field: &'static str,
    /// The rule, as the configuration writes it.
    pub rule: &'a str,
}

/// The key of the rules for accounts.
const ACCOUNTS: &str = "principals";

/// A token can do at most what it was made for, whatever its actor may do otherwise.
fn check_scope(actor: &Actor, action: Action) -> Result<(), String> {
    match &actor.scopes {
        None => Ok(()),
        Some(scopes) if scopes.contains(&action) => Ok(()),
        Some(scopes) => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            Err(format!("the scopes of its token ({}) do not include {action}", scopes.join(", ")))
        }
    }
}

fn check_bounds(action: Action, resource: &Resource) -> Result<(), String> {
    let (names, principals) = (resource.names.len(), resource.principals.len());
    if names > MAX_NAMES {
        return Err(format!("a certificate has at most {MAX_NAMES} names, this one has {names}"));
    }
    if principals > MAX_PRINCIPALS {
        return Err(format!("an SSH certificate has at most {MAX_PRINCIPALS} principals, this one has {principals}"));
    }
    // An SSH certificate without principals opens every account (OpenSSH PROTOCOL.certkeys: "zero-length ... is valid for any
    // principal of the specified type").
    if matches!(action, Action::SignSshUser | Action::SignSshHost) && principals == 0 {
        return Err("an SSH certificate needs at least one principal".to_owned());
    }
    Ok(())
}

fn by_name(texts: &[(String, String)]) -> Result<BTreeMap<&str, &str>, PolicyError> {
    let mut named = BTreeMap::new();
    for (name, text) in texts {
        let name = name.strip_suffix(".cedar").unwrap_or(name);
        if named.insert(name, text.as_str()).is_some() {
            return Err(PolicyError::DuplicatePolicy(name.to_owned()));
        }
    }
    Ok(named)
}

fn canonical(owners: Vec<OwnerRules>) -> Result<Vec<OwnerRules>, PolicyError> {
    let mut owners: Vec<OwnerRules> = owners.into_iter().map(OwnerRules::canonical).collect();
    owners.sort_by(|a, b| a.name.cmp(&b.name));
    match owners.iter().zip(owners.iter().skip(1)).find(|(a, b)| a.name == b.name) {
        Some((twice, _)) => Err(PolicyError::DuplicateOwner(twice.name.to_string())),
        None => Ok(owners),
    }
}

/// The order of these fields is the order of the canonical form.
#[derive(Serialize)]
struct Canonical<'a> {
    version: u32,
    schema: &'a str,
    policies: &'a BTreeMap<&'a str, &'a str>,
    owners: &'a [OwnerRules],
}

fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

fn text(policies: &BTreeMap<&str, &str>, owners: &[OwnerRules]) -> String {
    let canonical = Canonical { version: 1, schema: Engine::SCHEMA, policies, owners };
    serde_json::to_string(&canonical).unwrap_or_else(|e| unreachable!("maps of strings are JSON: {e}"))
}
