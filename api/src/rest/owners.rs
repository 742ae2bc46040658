//! Owners over HTTP: whose names are whose, for whoever may read the owner's certificates.

use axum::extract::State as Shared;
use axum::response::Response;
use http::StatusCode;
use policy::{Action, Actor, Owner, OwnerRules, Policies, Resource};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::intake::{Caller, Params, Segment, json};
use crate::problem::{Kind, Problem};

/// The name rules of an owner, as the configuration writes them.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnerInForce {
    /// Who.
    #[schema(example = "web")]
    name: String,
    /// Hosts: exact, or `*.` and all below.
    dns: Vec<String>,
    /// Networks and addresses.
    ip: Vec<String>,
    /// SSH principals: exact, or `*`.
    principals: Vec<String>,
    /// Mailboxes: exact, or `*@` and a domain.
    email: Vec<String>,
    /// URIs: exact, or all below a path.
    uri: Vec<String>,
    /// User principal names: exact, or `*@` and a domain.
    upn: Vec<String>,
    /// Where a name was asked for: the rule by which the owner has it, with the list it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Rule>,
}

/// A rule that has a name.
#[derive(Serialize, ToSchema)]
struct Rule {
    /// `dns`, `ip`, `principals`, `email`, `uri` or `upn`.
    list: &'static str,
    /// As it is written.
    rule: String,
}

impl OwnerInForce {
    fn of(rules: &OwnerRules, by: Option<Rule>) -> Self {
        let OwnerRules { name, dns, ip, principals, email, uri, upn } = rules.clone();
        Self { name: name.to_string(), dns, ip, principals, email, uri, upn, by }
    }
}

/// The owners that the caller may see.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnerList {
    items: Vec<OwnerInForce>,
}

/// Which owners.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnerParams {
    /// Only those who have this name, or this account of SSH, each with the rule that says so: one who has it by two lists comes
    /// twice.
    having: Option<String>,
}

/// Lists the owners whose certificates the caller may read, with their name rules.
#[utoipa::path(get, path = "/api/v1/owners", tag = "owners", operation_id = "listOwners", params(OwnerParams),
    responses((status = 200, description = "The owners", body = OwnerList)))]
pub(crate) async fn list(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Params(params): Params<OwnerParams>,
) -> Result<Response, Problem> {
    let policies = app.authority().policies();
    let visible = |owner: &Owner| may_see(&policies, &actor, owner);
    let items = match params.having.as_deref() {
        None => {
            policies.owners().iter().filter(|rules| visible(&rules.name)).map(|r| OwnerInForce::of(r, None)).collect()
        }
        Some(text) => {
            let claims = policies.having(text).map_err(|error| Problem::field("having", error.to_string()))?;
            let rules = |owner: &Owner| policies.owners().iter().find(|rules| rules.name == *owner);
            let claims = claims.into_iter().filter(|claim| visible(claim.owner));
            let by = claims.filter_map(|claim| {
                let by = Rule { list: claim.field, rule: claim.rule.to_owned() };
                Some(OwnerInForce::of(rules(claim.owner)?, Some(by)))
            });
            by.collect()
        }
    };
    Ok(json(StatusCode::OK, &OwnerList { items }))
}

/// Shows the name rules of one owner.
#[utoipa::path(get, path = "/api/v1/owners/{name}", tag = "owners", operation_id = "showOwner",
    params(("name" = String, Path, description = "Who")),
    responses((status = 200, description = "Its name rules", body = OwnerInForce)))]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    Caller(actor): Caller,
    Segment(name): Segment,
) -> Result<Response, Problem> {
    let owner = Owner::parse(&name).map_err(|error| Problem::field("name", error.to_string()))?;
    app.authorize(&actor, Action::ReadCertificate, resource(&owner)).await?;
    let policies = app.authority().policies();
    match policies.owners().iter().find(|rules| rules.name == owner) {
        Some(rules) => Ok(json(StatusCode::OK, &OwnerInForce::of(rules, None))),
        None => Err(Problem::new(Kind::NotFound, format!("The configuration has no owner {owner}."))),
    }
}

/// A list shows what may be seen, and what may not is no refusal of it.
fn may_see(policies: &Policies, actor: &Actor, owner: &Owner) -> bool {
    policies.permits(actor, Action::ReadCertificate, &resource(owner))
}

fn resource(owner: &Owner) -> Resource {
    Resource::certificate(Some(owner.clone()), String::new(), Vec::new())
}
