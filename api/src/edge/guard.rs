//! What every request passes, once, on both listeners: the bound on requests under way, the deadline, the net under
//! panics, the counters and the security headers.
//!
//! One function and no span: at the speed this service promises, a formatted span per request costs more than the work.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use acme::AcmeState;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Version, header};

use super::keeping::Keeping;
use super::peer::Peer;
use crate::limits::{Limits, Place, Room};
use crate::observe::Metrics;
use crate::problem::{Kind, Problem, reference};

/// Set on every answer that does not bring its own. No HSTS: the default names are `localhost`, where a remembered
/// HSTS would break everything else that a developer serves there.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The state of the layer; one per listener, so that a flood on one leaves the other's answers alone.
pub(crate) struct Edge {
    limits: Limits,
    metrics: Arc<Metrics>,
    room: Room,
    /// Who speaks to ACME clients, where ACME is served.
    acme: Option<AcmeState>,
}

impl Edge {
    /// The layer's state with these bounds.
    pub(crate) fn new(limits: &Limits, room: Room, metrics: Arc<Metrics>, acme: Option<AcmeState>) -> Arc<Self> {
        Arc::new(Self { room, limits: limits.clone(), metrics, acme })
    }

    /// A problem in the words of whoever asked: an ACME client reads ACME's, and goes on with the nonce that comes with it.
    fn refusal(&self, asked_acme: bool, problem: Problem) -> Response {
        match &self.acme {
            Some(acme) if asked_acme => {
                acme.refusal(problem.kind().status().as_u16(), problem.detail(), problem.retry_after_secs())
            }
            Some(_) | None => problem.into_response(),
        }
    }

    /// A place for a request from here, until its answer is sent.
    fn place(&self, request: &Request) -> Option<Place> {
        self.room.take(request.extensions().get::<Peer>().map(Peer::ip))
    }
}

/// The layer.
pub(crate) async fn guard(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let asked_acme = request.uri().path().starts_with("/acme/");
    let answer = match (edge.place(&request), plain_fault(&request)) {
        (Some(_), Some(fault)) => Err(Problem::new(Kind::Malformed, fault)),
        (Some(place), None) => edge.answer(request, next).await.map(|response| (response, place)),
        (None, _) => {
            edge.metrics.shed();
            Err(Problem::new(Kind::Unavailable, "As many requests are under way as the service works on at once."))
        }
    };
    let mut response = match answer {
        Ok((response, place)) => response.map(|body| Keeping::body(body, place)),
        Err(problem) => edge.refusal(asked_acme, problem),
    };
    for (name, value) in &HEADERS {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    let (status, took) = (response.status(), started.elapsed());
    tracing::debug!(%method, route = route.as_ref().map(MatchedPath::as_str), %status, ?took, "answered");
    edge.metrics.answered(route.as_ref(), &method, status, took);
    response
}

impl Edge {
    /// The handler's answer, or that it panicked or took too long.
    async fn answer(&self, request: Request, next: Next) -> Result<Response, Problem> {
        match tokio::time::timeout(self.limits.request, caught(next.run(request))).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Panicked)) => {
                self.metrics.panicked();
                let reference = reference();
                tracing::error!(reference, "a handler panicked");
                Err(Problem::new(
                    Kind::Internal,
                    format!("The log of the service says why, under reference {reference}."),
                ))
            }
            Err(_elapsed) => Err(Problem::new(
                Kind::TimedOut,
                "What was begun goes on: look in the register before asking for the same again.",
            )),
        }
    }
}

/// What is wrong with a request before anybody reads it: what stands before us and we ourselves might take it for two different
/// ones.
fn plain_fault(request: &Request) -> Option<&'static str> {
    if !has_one_host(request) {
        Some("A request has one Host header, with a host and perhaps a port (RFC 9112 section 3.2).")
    } else if request.headers().get_all(header::AUTHORIZATION).iter().count() > 1 {
        Some("A request has at most one Authorization header (RFC 9110 section 11.6.2).")
    } else if has_control_characters(request.uri()) {
        Some("A path or a query has no control characters in it, percent-encoded or not.")
    } else {
        None
    }
}

/// RFC 9112 section 3.2: an HTTP/1.1 request without Host, with two, or with one that is none, is answered 400. In HTTP/2 the
/// authority stands elsewhere, and a Host beside it says the same (RFC 9113 section 8.3.1).
fn has_one_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next(), request.version()) {
        (Some(host), None, Version::HTTP_2) => {
            request.uri().authority().is_none_or(is_host) && is_the_target(host, request.uri())
        }
        (Some(host), None, _) => {
            Authority::try_from(host.as_bytes()).is_ok_and(|host| is_host(&host)) && is_the_target(host, request.uri())
        }
        (None, _, Version::HTTP_2) => request.uri().authority().is_none_or(is_host),
        (None, _, version) => version != Version::HTTP_11,
        (Some(_), Some(_), _) => false,
    }
}

/// Where the target names a host as well, it is the same: "a user agent MUST send a Host field value that is identical to the
/// authority component" (RFC 9112 section 3.2), and who stands before us may go by either.
fn is_the_target(host: &HeaderValue, target: &http::Uri) -> bool {
    target.authority().is_none_or(|authority| authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()))
}

/// A host that is not empty, and a port that is a number, if any; nobody's name before it.
fn is_host(authority: &Authority) -> bool {
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or("@");
    !authority.host().is_empty() && (port.is_empty() || port == ":" || authority.port_u16().is_some())
}

/// No name, cursor or number of ours has one, and one database would hold it where another would not. Undecodable bytes are left to
/// whoever reads the part.
fn has_control_characters(uri: &http::Uri) -> bool {
    let Some(text) = uri.path_and_query().map(http::uri::PathAndQuery::as_str) else { return false };
    if !text.contains('%') {
        return text.contains(char::is_control);
    }
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|pair| std::str::from_utf8(pair).ok());
        let (value, length) = match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) => (value, 3),
            None => (*byte, 1),
        };
        decoded.push(value);
        at += length;
    }
    String::from_utf8_lossy(&decoded).contains(char::is_control)
}

/// A panic, caught. Its message went to the panic hook, that is to the log.
struct Panicked;

/// Runs a future and turns a panic inside it into an error. The future is not polled again afterwards.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(_payload) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// 404 for paths, as a problem.
pub(crate) async fn no_such_path() -> Problem {
    Problem::new(Kind::NotFound, "This service has no such path.")
}

/// 405 for methods, as a problem.
pub(crate) async fn no_such_method() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "This path is served with another method; see /api/openapi.json.")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;
    use std::time::Duration;
    use tower::ServiceExt;

    use super::*;

    fn router(limits: Limits) -> (Router, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new());
        let room = Room::new(limits.requests, limits.requests_per_address);
        let edge = Edge::new(&limits, room, Arc::clone(&metrics), None);
        let router = Router::new()
            .route("/panics", get(|| async { panic!("a planted bug") as () }))
            .route("/answers", get(|| async { "an answer" }))
            .route("/hangs", get(std::future::pending::<()>))
            .layer(axum::middleware::from_fn_with_state(edge, guard));
        (router, metrics)
    }

    async fn ask(router: &Router, path: &str) -> Response {
        let request = Request::builder().uri(path).header("host", "localhost").body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("infallible")
    }

    #[tokio::test]
    async fn a_panicking_handler_answers_500_and_is_counted() {
        let (router, metrics) = router(Limits::default());
        assert_eq!(ask(&router, "/panics").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            metrics.text(&Default::default(), &Default::default()).expect("text").contains("chancery_panics_total 1")
        );
    }

    #[tokio::test]
    async fn a_handler_that_hangs_answers_503_at_the_deadline() {
        let (router, _) = router(Limits { request: Duration::from_millis(20), ..Limits::default() });
        let response = ask(&router, "/hangs").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key(header::RETRY_AFTER));
    }

    #[tokio::test]
    async fn a_request_beyond_the_bound_is_answered_503_with_retry_after() {
        let (router, _) = router(Limits { requests: 1, ..Limits::default() });
        let hanging = tokio::spawn({
            let router = router.clone();
            async move { ask(&router, "/hangs").await }
        });
        let refused = loop {
            tokio::task::yield_now().await;
            let response = tokio::time::timeout(Duration::from_millis(200), ask(&router, "/panics")).await;
            match response {
                Ok(response) if response.status() == StatusCode::SERVICE_UNAVAILABLE => break response,
                Ok(_) | Err(_) => {}
            }
        };
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        hanging.abort();
    }

    #[tokio::test]
    async fn a_request_keeps_its_place_until_its_answer_is_sent() {
        let (router, _) = router(Limits { requests: 1, ..Limits::default() });
        let unsent = ask(&router, "/answers").await;
        assert_eq!(ask(&router, "/answers").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(unsent);
        assert_eq!(ask(&router, "/answers").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_address_has_its_share_of_the_places() {
        let (router, _) = router(Limits { requests_per_address: 1, ..Limits::default() });
        let from = async |last: u8| {
            let mut request =
                Request::builder().uri("/answers").header("host", "localhost").body(Body::empty()).expect("a request");
            request.extensions_mut().insert(Peer::plain(([192, 0, 2, last], 1).into()));
            router.clone().oneshot(request).await.expect("infallible")
        };
        let held = from(1).await;
        assert_eq!(from(1).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((held.status(), from(2).await.status()), (StatusCode::OK, StatusCode::OK));
    }

    #[tokio::test]
    async fn a_request_that_two_readers_read_differently_reaches_no_handler() {
        let (router, _) = router(Limits::default());
        let sent = async |headers: &[(&str, &str)], version| {
            let mut request = Request::builder().uri("/answers").version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).expect("a request");
            router.clone().oneshot(request).await.expect("infallible").status().as_u16()
        };
        for host in ["localhost", "localhost:8443", "ca.example.internal", "127.0.0.1:1", "[::1]:8443", "a:"] {
            assert_eq!(sent(&[("host", host)], Version::HTTP_11).await, 200, "{host}");
        }
        for host in ["", ":8443", "a b", "a/b", "a:b", "a:99999", "user@a", "[::1", "a?b", "a#b", "http://a"] {
            assert_eq!(sent(&[("host", host)], Version::HTTP_11).await, 400, "{host}");
        }
        assert_eq!(sent(&[], Version::HTTP_11).await, 400);
        assert_eq!(sent(&[("host", "a"), ("host", "a")], Version::HTTP_11).await, 400);
        assert_eq!(sent(&[("host", "a"), ("host", "a")], Version::HTTP_2).await, 400);
        assert_eq!(sent(&[], Version::HTTP_2).await, 200);
        for (target, host, status) in
            [("http://a/answers", "a", 200), ("http://A:1/answers", "a:1", 200), ("http://evil/answers", "a", 400)]
        {
            let request = Request::builder().uri(target).header("host", host).body(Body::empty()).expect("a request");
            let answer = router.clone().oneshot(request).await.expect("infallible");
            assert_eq!(answer.status().as_u16(), status, "{target} {host}");
        }
        let one = ("authorization", "Bearer a");
        assert_eq!(sent(&[("host", "a"), one], Version::HTTP_11).await, 200);
        assert_eq!(sent(&[("host", "a"), one, one], Version::HTTP_11).await, 400);
    }

    #[tokio::test]
    async fn control_characters_reach_no_handler() {
        let (router, _) = router(Limits::default());
        for path in
            ["/answers?name=%00", "/answers?a=b&%0a=c", "/answers?x=%7F", "/answers?x=%c2%85", "/a%00nswers", "/%1b"]
        {
            let answer = ask(&router, path).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
        }
        for path in ["/answers?name=%20%C3%A9", "/answers?x=%", "/answers?x=%0", "/answers?x=%zz", "/answers?x=%ff"] {
            assert_eq!(ask(&router, path).await.status(), StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn a_request_has_one_host() {
        let (router, _) = router(Limits::default());
        for hosts in [&[][..], &["a", "b"], &["a", "a"]] {
            let mut request = Request::builder().uri("/answers");
            for host in hosts {
                request = request.header("host", *host);
            }
            let answer = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
            assert_eq!(answer.expect("infallible").status(), StatusCode::BAD_REQUEST, "{hosts:?}");
        }
        for (authority, host, is_good) in [
            ("host:8443", None, true),
            ("host:8443", Some("host:8443"), true),
            ("host:8443", Some("other"), false),
            ("host:99999", None, false),
            ("user@host", None, false),
            ("user@host", Some("user@host"), false),
        ] {
            let uri = format!("https://{authority}/answers");
            let mut request = Request::builder().version(Version::HTTP_2).uri(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let answer = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
            let status = answer.expect("infallible").status();
            assert_eq!(status != StatusCode::BAD_REQUEST, is_good, "{authority} {host:?}: {status}");
        }
    }

    #[tokio::test]
    async fn every_answer_carries_the_security_headers() {
        let (router, _) = router(Limits::default());
        let response = ask(&router, "/nowhere").await;
        for (name, _) in &HEADERS {
            assert!(response.headers().contains_key(name), "{name} is missing");
        }
    }
}
