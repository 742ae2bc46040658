//! Puts secrets over REST, by as many callers as there are clients elsewhere: each as a person or a pipeline would have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;

use crate::error::CompareError;
use crate::house::House;
use crate::rest::Rest;

const CALLERS: usize = 64;
/// How often it says how far it is.
const SAY: Duration = Duration::from_secs(2);

/// Where one stands: a thousand to a service, the services in turn of three environments.
pub(super) fn path_of(number: u64) -> String {
    let environment = ["dev", "test", "prod"][(number / 1_000 % 3) as usize];
    format!("{environment}/service-{:05}/key-{:07}", number / 1_000, number)
}

/// Fills up to so many; what is there from an earlier run stays.
pub(super) async fn fill(house: &House, count: u64) -> Result<(), CompareError> {
    let mut rest = Rest::new(house)?;
    // The last one is there: a run before this one came to its end.
    if count == 0 || rest.get(&format!("/api/v1/secrets/{}", path_of(count - 1))).await?.status == StatusCode::OK {
        return Ok(());
    }
    let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (mut rest, next) = (Rest::new(house)?, next.clone());
        callers.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                // The last is put when all others are there.
                if number + 1 >= count {
                    return Ok::<(), CompareError>(());
                }
                put(&mut rest, number).await?;
            }
        }));
    }
    let said = tokio::spawn(async move {
        loop {
            tokio::time::sleep(SAY).await;
            let done = next.load(Ordering::Relaxed).min(count);
            eprintln!("{done} of {count} secrets, {:.0} a second", done as f64 / began.elapsed().as_secs_f64());
        }
    });
    for caller in callers {
        caller.await.map_err(|e| CompareError::Failed(e.to_string()))??;
    }
    said.abort();
    put(&mut rest, count - 1).await
}

async fn put(rest: &mut Rest, number: u64) -> Result<(), CompareError> {
    let path = format!("/api/v1/secrets/{}", path_of(number));
    let wish = json!({
        "owner": "default",
        "description": format!("what number {number} is for"),
        "tags": { "team": format!("team-{}", number % 97), "number": number.to_string() },
        "fields": { "key": format!("{number:032x}") },
    });
    let answer = rest.tell(Method::PUT, &path, wish.to_string().into()).await?;
    match answer.status {
        status if status.is_success() => Ok(()),
        status => Err(CompareError::Failed(format!("{path}: {status}: {}", String::from_utf8_lossy(&answer.body)))),
    }
}
