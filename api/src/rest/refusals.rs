//! What every operation of the OpenAPI document may answer beside its own success: the problems of RFC 9457, once for all.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};
use utoipa::{Modify, ToSchema};

use crate::problem::{Kind, PROBLEM_JSON};

/// A refusal or a failure (RFC 9457).
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `Problem` writes")]
pub(crate) struct Problem {
    /// `urn:chancery:problem:NAME`.
    r#type: String,
    /// What all problems of this type have in common.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A sentence for the caller.
    detail: String,
    /// The field or parameter that is wrong.
    field: Option<String>,
    /// What a policy would have to allow.
    missing: Option<String>,
    /// The operation whose outcome is unknown.
    operation: Option<u64>,
}

/// Adds them.
pub(super) struct Refusals;

impl Modify for Refusals {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in operations.into_iter().flatten() {
                for kind in kinds(path.contains('{'), operation.request_body.is_some()) {
                    describe(operation, kind);
                }
            }
        }
    }
}

/// One kind of each status that an operation may answer.
fn kinds(has_segment: bool, has_body: bool) -> impl Iterator<Item = Kind> {
    let always = [
        Kind::Malformed,
        Kind::Unauthenticated,
        Kind::Refused,
        Kind::Unacceptable,
        Kind::TooMany,
        Kind::Internal,
        Kind::Unavailable,
    ];
    let segment = has_segment.then_some(Kind::NotFound);
    let body = [Kind::NotFound, Kind::SlowBody, Kind::Conflict, Kind::TooLarge, Kind::UnsupportedMediaType];
    always.into_iter().chain(segment).chain(body.into_iter().filter(move |_| has_body))
}

/// Describes the status as a problem; what the operation itself says of it stays.
fn describe(operation: &mut Operation, kind: Kind) {
    let (status, title) = (kind.status().as_str().to_owned(), kind.title());
    let described = operation.responses.responses.entry(status).or_insert_with(|| RefOr::T(Response::new(title)));
    if let RefOr::T(response) = described {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        response.content.insert(PROBLEM_JSON.to_owned(), RefOr::T(problem));
    }
}
