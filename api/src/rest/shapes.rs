//! What the texts of the OpenAPI document look like: one table, so that a field of one name has one shape wherever it stands.
//!
//! Policy's parsers decide; this says beforehand what they take.

use std::collections::BTreeMap;

use policy::{Action, Role};
use serde_json::Value;
use store::{Kind, Renewer};
use utoipa::Modify;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{KnownFormat, OpenApi, RefOr, Schema, SchemaFormat};

use crate::observe::inventory::Standing;

/// An owner, the name of a token, the label of a key.
const IDENTIFIER: &str = "^[a-z0-9][a-z0-9._-]{0,62}$";
/// A profile.
const PROFILE: &str = "^[a-z0-9-]{1,63}$";
const PRINCIPAL: &str = "^[A-Za-z0-9._@][A-Za-z0-9._@-]{0,63}$";
/// What a rule says of principals: one, or all.
const PRINCIPAL_RULE: &str = r"^(\*|[A-Za-z0-9._@][A-Za-z0-9._@-]{0,63})$";
const SHA256: &str = "^[0-9A-Fa-f]{64}$";
const SERIAL: &str = "^[0-9A-Fa-f]{1,64}$";
const TOKEN_ID: &str = "^[0-9a-f]{16}$";

enum Shape {
    Pattern(&'static str),
    Words(Vec<&'static str>),
}

/// By the name of the field or parameter, or of its schema and the field: the second goes first.
fn table() -> BTreeMap<&'static str, Shape> {
    let words = |words: &[&'static str]| Shape::Words(words.to_vec());
    let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let states: Vec<&str> = Standing::ALL.iter().map(|state| state.as_str()).collect();
    let sought: Vec<&str> = kinds.iter().copied().chain(["ssh"]).collect();
    let renewers: Vec<&str> = Renewer::ALL.iter().map(|renewer| renewer.as_str()).collect();
    let reasons: Vec<&str> = ca::RevocationReason::ALL.iter().map(|reason| reason.as_str()).collect();
    BTreeMap::from([
        ("owner", Shape::Pattern(IDENTIFIER)),
        ("owners", Shape::Pattern(IDENTIFIER)),
        ("principals", Shape::Pattern(PRINCIPAL)),
        ("OwnerInForce.principals", Shape::Pattern(PRINCIPAL_RULE)),
        ("sha256", Shape::Pattern(SHA256)),
        ("hash", Shape::Pattern(SHA256)),
        ("key_hash", Shape::Pattern(SHA256)),
        ("label", Shape::Pattern(IDENTIFIER)),
        ("SigningWish.key", Shape::Pattern(IDENTIFIER)),
        ("NewToken.name", Shape::Pattern(IDENTIFIER)),
        ("showProfile.name", Shape::Pattern(PROFILE)),
        ("testProfile.name", Shape::Pattern(PROFILE)),
        ("showOwner.name", Shape::Pattern(IDENTIFIER)),
        ("OwnerInForce.name", Shape::Pattern(IDENTIFIER)),
        ("revokeToken.id", Shape::Pattern(TOKEN_ID)),
        ("resetSecondFactor.id", Shape::Pattern(TOKEN_ID)),
        ("FactorInfo.state", words(&["none", "pending", "active"])),
        ("FactorOf.state", words(&["none", "pending", "active", "altered"])),
        ("TokenReview.second_factor", words(&["none", "pending", "active", "altered"])),
        ("ShownLogin.method", Shape::Words(policy::Method::ALL.iter().map(|method| method.as_str()).collect())),
        ("roles", Shape::Words(Role::ALL.iter().map(|role| role.as_str()).collect())),
        ("scopes", Shape::Words(Action::ALL.iter().map(|action| action.as_str()).collect())),
        ("listCertificates.kind", Shape::Words(sought)),
        ("listCertificates.format", words(&["json", "csv"])),
        ("listCertificates.serial", Shape::Pattern(SERIAL)),
        ("renewer", Shape::Words(renewers)),
        ("Certificate.kind", Shape::Words(kinds)),
        ("listCertificates.state", Shape::Words(states.clone())),
        ("Certificate.state", Shape::Words(states)),
        ("RevocationWish.reason", Shape::Words(reasons.clone())),
        ("ShownWish.reason", Shape::Words(reasons.clone())),
        ("ManyWish.reason", Shape::Words(reasons.clone())),
        ("ProposalState.reason", Shape::Words(reasons.clone())),
        ("ManyState.state", words(&["preview", "proposed", "done"])),
        ("Certificate.reason", Shape::Words(reasons)),
        ("WaitingRequest.state", words(&["waiting", "approved", "refused", "expired", "collected"])),
        ("crl", words(&["published", "pending"])),
    ])
}

/// Writes them into the document.
pub(super) struct Shapes;

impl Modify for Shapes {
    fn modify(&self, document: &mut OpenApi) {
        let table = table();
        let of = |place: &str, field: &str| table.get(format!("{place}.{field}").as_str()).or_else(|| table.get(field));
        for (name, schema) in document.components.iter_mut().flat_map(|components| &mut components.schemas) {
            let RefOr::T(Schema::Object(object)) = schema else { continue };
            for (field, schema) in &mut object.properties {
                shape_schema(schema, of(name, field));
            }
        }
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                let id = operation.operation_id.clone().unwrap_or_default();
                for parameter in operation.parameters.iter_mut().flatten() {
                    let RefOr::T(Parameter { name, schema: Some(schema), .. }) = parameter else { continue };
                    shape_schema(schema, of(&id, name));
                }
            }
        }
    }
}

fn shape_schema(schema: &mut RefOr<Schema>, shape: Option<&Shape>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            unsign(object);
            if let Some(shape) = shape {
                shape_text(object, shape);
            }
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                shape_schema(items, shape);
            }
        }
        // What is put together of others is shaped where they stand.
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

/// 64 bits without a sign are not those with one, as the library writes them.
fn unsign(object: &mut Object) {
    let is_int64 = matches!(&object.format, Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    if is_int64 && object.minimum.is_some() {
        object.format = Some(SchemaFormat::Custom("uint64".to_owned()));
    }
}

fn shape_text(object: &mut Object, shape: &Shape) {
    match shape {
        Shape::Pattern(pattern) => object.pattern = Some((*pattern).to_owned()),
        Shape::Words(words) => {
            let null = matches!(&object.schema_type, SchemaType::Array(types) if types.contains(&Type::Null));
            let words = words.iter().map(|word| Value::from(*word)).chain(null.then_some(Value::Null));
            object.enum_values = Some(words.collect());
        }
    }
}
