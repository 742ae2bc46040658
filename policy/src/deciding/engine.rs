//! Cedar, behind our own words: the only file that names it.
//!
//! Policies are checked strictly against the schema at load, so evaluation cannot fail for want of an attribute. Should it fail
//! all the same, the answer is [`Verdict::Broken`]: Cedar skips a policy that errs, and a skipped `forbid` would be a permit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Context, Decision, Effect, Entities, Entity, EntityId,
    EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode,
    Validator,
};

use crate::asking::Action;
use crate::deciding::error::PolicyError;
use crate::deciding::memo::Memo;
use crate::deciding::named::Named;
use crate::deciding::question::Question;
use crate::deciding::verdict::Verdict;

/// The policies, ready to be asked.
pub(crate) struct Engine {
    authorizer: Authorizer,
    by_action: HashMap<Action, Scoped>,
    sentences: HashMap<String, String>,
    actor: EntityTypeName,
    resource: EntityUid,
    plain: Context,
    memo: Memo,
}

/// The policies whose scope has one action: the others could never say anything about it.
struct Scoped {
    action: EntityUid,
    all: PolicySet,
    /// The same without the forbids: would anything permit this at all?
    permits: PolicySet,
    /// Whose ids they tell from others.
    named: Named,
}

impl Engine {
    /// What a policy can see.
    pub(crate) const SCHEMA: &'static str = include_str!("schema.cedarschema");

    pub(crate) fn new(texts: &BTreeMap<&str, &str>) -> Result<Engine, PolicyError> {
        let mut all = PolicySet::new();
        for (file, text) in texts {
            for policy in parse(file, text)? {
                let name = policy.id().to_string();
                all.add(policy).map_err(|_| PolicyError::DuplicatePolicy(name))?;
            }
        }
        if !all.policies().any(|policy| policy.effect() == Effect::Permit) {
            return Err(PolicyError::Empty);
        }
        check_against_schema(&all)?;
        let named = named(&all);
        Ok(Engine {
            authorizer: Authorizer::new(),
            by_action: Action::ALL.iter().map(|action| (*action, Scoped::new(&all, &named, *action))).collect(),
            sentences: sentences(&all),
            actor: type_name("Actor"),
            // Policies see a resource by its attributes; which one it is, is not for them to know.
            resource: uid(&type_name("Resource"), "it"),
            plain: context(&[], &[], &[], (false, i64::MAX)),
            memo: Memo::default(),
        })
    }

    /// What all policies together say. The same words always get the same answer, so it is remembered.
    pub(crate) fn ask(&self, question: &Question<'_>) -> Verdict {
        self.memo.recall(question, || self.evaluate(question, |scoped| &scoped.all))
    }

    /// Whether a policy with this action in its scope may tell this id from others.
    pub(crate) fn names(&self, id: &str, action: Action) -> bool {
        self.by_action.get(&action).is_none_or(|scoped| scoped.named.has(id))
    }

    /// Whether any policy permits it, whatever others forbid.
    pub(crate) fn some_permit(&self, question: &Question<'_>) -> bool {
        matches!(self.evaluate(question, |scoped| &scoped.permits), Verdict::Permit { .. })
    }

    /// The sentence a policy carries for those it refuses (`@missing("...")`).
    pub(crate) fn sentence(&self, rule: &str) -> Option<&str> {
        self.sentences.get(rule).map(String::as_str)
    }

    fn evaluate(&self, question: &Question<'_>, of: impl Fn(&Scoped) -> &PolicySet) -> Verdict {
        let Some(scoped) = self.by_action.get(&question.action) else { return Verdict::Silence };
        let (request, entities) = match self.request(question, scoped) {
            Ok(both) => both,
            Err(why) => return Verdict::Broken { rule: why },
        };
        let response = self.authorizer.is_authorized(&request, of(scoped), &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Verdict::Broken { rule: broken_policy(error) };
        }
        let first = response.diagnostics().reason().min().map(PolicyId::to_string);
        match (response.decision(), first) {
            (Decision::Allow, Some(rule)) => Verdict::Permit { rule },
            (Decision::Deny, Some(rule)) => Verdict::Forbid { rule },
            (Decision::Deny, None) => Verdict::Silence,
            // Cedar never allows without a policy that permits; if it did, it would not be ours to grant.
            (Decision::Allow, None) => Verdict::Silence,
        }
    }

    /// Two entities and a context: the whole world a policy can see.
    fn request(&self, question: &Question<'_>, scoped: &Scoped) -> Result<(Request, Entities), String> {
        let actor = uid(&self.actor, question.id);
        let factor = (question.mfa, question.mfa_secs_ago);
        let context = match question.says_nothing_of_names() && !question.mfa {
            true => self.plain.clone(),
            false => context(&question.outside, &question.unproven, &question.foreign, factor),
        };
        let entities = [
            entity(
                actor.clone(),
                [
                    ("id", text(question.id)),
                    ("roles", set(&question.roles)),
                    ("owners", set(&question.owners)),
                    ("proof", text(question.proof)),
                    ("strength", text(question.strength)),
                ],
            )?,
            entity(
                self.resource.clone(),
                [
                    ("kind", text(question.kind)),
                    ("owner", text(question.owner)),
                    ("profile", text(question.profile)),
                    ("key", text(question.key)),
                    ("path", text(question.path)),
                ],
            )?,
        ];
        let entities = Entities::from_entities(entities, None).map_err(|why| why.to_string())?;
        let request = Request::new(actor, scoped.action.clone(), self.resource.clone(), context, None);
        Ok((request.map_err(|why| why.to_string())?, entities))
    }
}

impl Scoped {
    fn new(all: &PolicySet, named: &HashMap<PolicyId, Named>, action: Action) -> Scoped {
        let action = uid(&type_name("Action"), action.as_str());
        let in_scope = |policy: &&Policy| match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::In(actions) => actions.contains(&action),
            ActionConstraint::Eq(one) => one == action,
        };
        let scoped: Vec<&Policy> = all.policies().filter(in_scope).collect();
        let permits = scoped.iter().copied().filter(|policy| policy.effect() == Effect::Permit);
        let named = scoped.iter().map(|policy| named.get(policy.id()));
        Scoped {
            all: policy_set(scoped.iter().copied()),
            permits: policy_set(permits),
            named: Named::all(named),
            action,
        }
    }
}

fn policy_set<'a>(policies: impl Iterator<Item = &'a Policy>) -> PolicySet {
    PolicySet::from_policies(policies.cloned()).expect("policies of one set have distinct names")
}

fn named(all: &PolicySet) -> HashMap<PolicyId, Named> {
    all.policies().map(|policy| (policy.id().clone(), Named::by(policy.to_json().ok().as_ref()))).collect()
}

fn sentences(all: &PolicySet) -> HashMap<String, String> {
    let sentence = |policy: &Policy| Some((policy.id().to_string(), policy.annotation("missing")?.to_owned()));
    all.policies().filter_map(sentence).collect()
}

/// A file's policies, named: by the file where it has one, by `@id` where it has several.
fn parse(file: &str, text: &str) -> Result<Vec<Policy>, PolicyError> {
    let refuse = |why: String| PolicyError::Policy { name: file.to_owned(), why };
    let set = PolicySet::from_str(text).map_err(|why| refuse(detailed(&why)))?;
    if set.templates().next().is_some() {
        return Err(refuse("templates (?principal, ?resource) are not used here; write the policy out".to_owned()));
    }
    let policies: Vec<&Policy> = set.policies().collect();
    let single = policies.len() == 1;
    let name = |policy: &Policy| match policy.annotation("id") {
        Some(id) if !id.is_empty() => Ok(id.to_owned()),
        Some(_) | None if single => Ok(file.to_owned()),
        Some(_) | None => Err(refuse("it has several policies; give each a name with @id(\"...\")".to_owned())),
    };
    policies.into_iter().map(|policy| Ok(policy.new_id(PolicyId::new(name(policy)?)))).collect()
}

/// Strict: a policy that compares a set with a string, or names an unknown action, is a mistake and not a "no".
fn check_against_schema(policies: &PolicySet) -> Result<(), PolicyError> {
    let result = Validator::new(schema()).validate(policies, ValidationMode::Strict);
    match result.validation_errors().next() {
        Some(error) => Err(PolicyError::Policy { name: error.policy_id().to_string(), why: error.to_string() }),
        None => Ok(()),
    }
}

fn schema() -> Schema {
    let parsed = Schema::from_cedarschema_str(Engine::SCHEMA);
    parsed.map(|(schema, _warnings)| schema).expect("the schema built into the program parses")
}

/// Cedar's error with the help it has: where, and what was expected.
fn detailed(error: &cedar_policy::ParseErrors) -> String {
    let each: Vec<String> = error.iter().map(ToString::to_string).collect();
    each.join("; ")
}

fn broken_policy(error: &AuthorizationError) -> String {
    match error {
        AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
    }
}

fn type_name(name: &str) -> EntityTypeName {
    EntityTypeName::from_str(name).expect("a plain word is an entity type")
}

fn uid(of_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}

fn entity<const N: usize>(uid: EntityUid, attributes: [(&str, RestrictedExpression); N]) -> Result<Entity, String> {
    let attributes: HashMap<String, RestrictedExpression> =
        attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entity::new(uid, attributes, HashSet::new()).map_err(|why| why.to_string())
}

fn context(outside: &[String], unproven: &[String], foreign: &[String], (mfa, ago): (bool, i64)) -> Context {
    let pairs = [
        ("outside", set(outside)),
        ("unproven", set(unproven)),
        ("foreign", set(foreign)),
        ("mfa", RestrictedExpression::new_bool(mfa)),
        ("mfa_secs_ago", RestrictedExpression::new_long(ago)),
    ];
    Context::from_pairs(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)))
        .expect("sets of strings, a truth and a number are a context")
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn set<S: AsRef<str>>(values: &[S]) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|value| text(value.as_ref())))
}
