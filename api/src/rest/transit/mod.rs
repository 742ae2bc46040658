//! Transit over HTTP: cryptography with keys that nobody is shown. Each batch is one entry of the log before anything of it is computed.
//!
//! `transit/keys` is which keys there are and what is done with them, `transit/{key}/{act}` what they do: no key is called `keys`.

mod bytes;
mod shown;

pub(crate) mod batches;
pub(crate) mod keys;
pub(crate) mod managing;
pub(crate) mod signing;

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use policy::{Action, Actor, Grant, Resource};
use secrets::SecretError;
use secrets::keyring::{InUse, Request, TransitKey};
use secrets::transit::{KeyName, TransitError};
use serde::Serialize;

use super::secrets::{Hidden, owner_of, quiet};
use crate::app::App;
use crate::intake::json;
use crate::limits::TRANSIT_BYTES_MAX;
use crate::problem::{Kind, Problem};

/// A batch: what is wrong with it is told by its place alone.
type Batch<T> = Hidden<T, TRANSIT_BYTES_MAX>;

/// A key's name as it stands in a URL.
fn name_of(segment: &str) -> Result<KeyName, Problem> {
    segment.parse().map_err(|error: secrets::NameError| Problem::field("key", error.to_string()))
}

/// What there is of a key, and the right to do something with it. Who has none learns nothing of what is there.
async fn granted(
    app: &App,
    actor: &Actor,
    action: Action,
    name: &KeyName,
) -> Result<(Arc<TransitKey>, Grant), Problem> {
    let there = app.transit().look(name).await?;
    let owner = there.as_ref().map(|key| key.owner().clone());
    let grant = match app.authorize(actor, action, Resource::transit_key(owner, name.as_str())).await {
        Ok(grant) => grant,
        Err(problem) if problem.kind() == Kind::Refused => {
            let nothing = Resource::transit_key(None, name.as_str());
            return Err(quiet(app, actor, action, &nothing).unwrap_or(problem));
        }
        Err(other) => return Err(other),
    };
    let none = || Problem::from(SecretError::NotFound(format!("there is no transit key {name}")));
    Ok((there.ok_or_else(none)?, grant))
}

/// Takes a key into use for a batch, which is in the log then, and computes with it beside the threads that answer.
async fn used<T, F>(app: &App, actor: &Actor, name: &str, request: Request, work: F) -> Result<(Answered, T), Problem>
where
    F: FnOnce(&InUse) -> Result<T, TransitError> + Send + 'static,
    T: Send + 'static,
{
    let name = name_of(name)?;
    let (_, grant) = granted(app, actor, request.act.action(), &name).await?;
    let keys = app.transit().clone();
    let computed = app.secret_to_its_end(async move {
        let in_use = keys.begin(&grant, &name, &request).await?;
        let (leaf, about) = (in_use.leaf(), Arc::clone(in_use.about()));
        let done = tokio::task::spawn_blocking(move || work(&in_use)).await;
        let broken = |_| SecretError::Conflict("the computation broke off: try again".to_owned());
        Ok((Answered { key: about.name().to_string(), leaf }, done.map_err(broken)??))
    });
    computed.await
}

/// Which key answered, and the entry of the log that says so.
struct Answered {
    key: String,
    leaf: u64,
}

/// What an item that came to nothing is told, and the HTTP status that it alone would have had.
fn told(error: TransitError) -> (String, u16) {
    let problem = Problem::from(error);
    (problem.detail().to_owned(), problem.kind().status().as_u16())
}

/// An answer that nobody on the way may keep.
fn closed<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut response = json(status, value);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
