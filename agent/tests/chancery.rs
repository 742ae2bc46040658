//! The agent against a stand-in of Chancery's REST API and a service that really reloads.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chancery_agent::{AgentError, RunMode, State, run, status};
use policy::World;
use support::ca::{Api, Ca, TOKEN, Twist};
use support::service::{Client, Service};
use support::{Host, assert_ok, world};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

const NAME: &str = "www.example.internal";

/// A host with one certificate from the API, for a service that reloads and is looked at.
struct Stage {
    api: Api,
    host: Host,
    service: Service,
}

impl Stage {
    async fn new() -> Self {
        Self::at(world()).await
    }

    async fn at(world: World) -> Self {
        let api = Api::start(&world).await;
        let host = Host::new(&world, &api.ca.roots_pem);
        let service = Service::start(host.path("tls/web.key"), host.path("tls/web.pem")).await;
        Self { api, host, service }
    }

    fn plan(&self, reload: &str) -> String {
        self.plan_with(reload, "validity_secs = 120")
    }

    fn plan_with(&self, reload: &str, source: &str) -> String {
        let (url, service) = (self.api.url(), self.service.address);
        format!(
            r#"
[[certificate]]
name = "web"
names = ["{NAME}"]
source = {{ kind = "chancery", url = "{url}", ca_file = "roots.pem", token_file = "token", owner = "web", {source} }}
files = {{ key = "tls/web.key", fullchain = "tls/web.pem", mode = "0640" }}
reload = {reload}
check = {{ connect = "{service}", server_name = "{NAME}", timeout_secs = 2 }}
"#
        )
    }

    fn good_plan(&self) -> String {
        self.plan(&self.service.reload())
    }

    fn client(&self) -> Client {
        Client::new(&self.host.world, &self.api.ca.roots_pem, self.service.address)
    }

    fn pair(&self) -> (Vec<u8>, Vec<u8>) {
        let read = |name| fs::read(self.host.path(name)).unwrap();
        (read("tls/web.key"), read("tls/web.pem"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_two_minute_certificate_is_renewed_three_times_and_no_client_notices() {
    let stage = Stage::new().await;
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);

    let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let poll = tokio::spawn({
        let (client, stop, looks) = (stage.client(), stop.clone(), looks.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                client.look(NAME).await?;
                looks.fetch_add(1, Ordering::SeqCst);
            }
            Ok::<_, String>(())
        }
    });
    let mut serials = vec![stage.client().look(NAME).await.unwrap()];
    for round in 1..=3 {
        stage.host.world.advance(60);
        let early = stage.host.once_one(&stage.good_plan()).await;
        assert_eq!(early.renewals, round - 1, "not due at half of the lifetime");
        stage.host.world.advance(24);
        let status = stage.host.once_one(&stage.good_plan()).await;
        assert_ok(&status);
        assert_eq!(status.renewals, round);
        let served = stage.client().look(NAME).await.unwrap();
        assert_eq!(status.serial.as_ref(), Some(&served), "what the status says is what is served");
        assert!(!serials.contains(&served));
        serials.push(served);
    }
    stop.store(true, Ordering::SeqCst);
    poll.await.unwrap().unwrap();
    assert!(looks.load(Ordering::SeqCst) > 10);
    assert_eq!(stage.api.seen().len(), 4, "one request per certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn forever_renews_by_itself_until_told_to_end() {
    let stage = Stage::at(World::real()).await;
    let text = stage.plan_with(&stage.service.reload(), "validity_secs = 3");
    let (plan, again) = (stage.host.plan(&text), stage.host.plan(&text));
    let (end, ended) = oneshot::channel::<()>();
    let running = tokio::spawn(run(plan, World::real(), RunMode::Forever, async {
        let _ = ended.await;
    }));
    let three = async {
        while status(&again).unwrap()[0].renewals < 3 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), three).await.expect("three renewals of a 3-second certificate in a minute");
    end.send(()).unwrap();
    let statuses = timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap().certificates;
    assert!(statuses[0].renewals >= 3);
    assert_eq!(statuses, status(&again).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_fails_brings_the_old_files_back_and_the_status_says_so() {
    let stage = Stage::new().await;
    let first = stage.host.once_one(&stage.good_plan()).await;
    let old = stage.pair();
    let served = stage.client().look(NAME).await.unwrap();
    stage.host.world.advance(90);

    let refused = stage.host.once_one(&stage.plan(r#"["/bin/sh", "-c", "echo config is broken; exit 7"]"#)).await;
    assert_eq!(refused.state, State::RolledBack);
    assert_eq!(stage.pair(), old, "byte for byte");
    assert_eq!(refused.serial, first.serial);
    let why = refused.last_error.unwrap();
    assert!(why.contains("status 7") && why.contains("config is broken"), "{why}");
    assert!(why.contains("old files are back, but"), "the second reload failed too: {why}");
    assert_eq!(stage.client().look(NAME).await.unwrap(), served);
    assert_eq!(stage.api.seen().len(), 2);

    // Repaired: the certificate that was fetched is used, and the CA is not asked again.
    let status = stage.host.once_one(&stage.good_plan()).await;
    assert_ok(&status);
    assert_eq!((status.renewals, status.failures), (1, 0));
    assert_eq!(stage.api.seen().len(), 2);
    assert_ne!(stage.pair(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_serve_the_new_certificate_gets_the_old_files_back() {
    let stage = Stage::new().await;
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);
    let old = stage.pair();
    let reloads = stage.service.reloads();
    stage.host.world.advance(90);
    stage.service.go_deaf(true);
    let status = stage.host.once_one(&stage.good_plan()).await;
    assert_eq!(status.state, State::RolledBack);
    assert!(status.last_error.unwrap().contains("another certificate is served"));
    assert_eq!(stage.pair(), old);
    assert_eq!(stage.service.reloads(), reloads + 2, "forward and back");
    // It hears again.
    stage.service.go_deaf(false);
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_tool_are_taken_over_and_come_back_byte_for_byte() {
    let stage = Stage::new().await;
    fs::write(stage.host.path("tls/web.key"), "not even a key").unwrap();
    fs::write(stage.host.path("tls/web.pem"), "nor a certificate").unwrap();
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);
    let metadata = fs::metadata(stage.host.path("tls/web.key")).unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o640);

    // The pair as plain files, as certbot or a person would leave it; the renewal fails.
    let old = stage.pair();
    for (name, content) in [("tls/web.key", &old.0), ("tls/web.pem", &old.1)] {
        fs::remove_file(stage.host.path(name)).unwrap();
        fs::write(stage.host.path(name), content).unwrap();
    }
    stage.host.world.advance(90);
    let status = stage.host.once_one(&stage.plan(r#"["/bin/false"]"#)).await;
    assert_eq!(status.state, State::RolledBack);
    assert_eq!(stage.pair(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_installed_that_was_not_asked_for() {
    let stage = Stage::new().await;
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);
    let old = stage.pair();
    stage.host.world.advance(90);
    let stranger = Arc::new(Ca::new(&stage.host.world));
    for (twist, says) in [
        (Twist::OtherName("www.example.org"), "does not name dns:www.example.internal"),
        (Twist::OtherKey, "for another key"),
        (Twist::OtherProfile("tls-client"), "chain does not hold"),
        (Twist::OtherCa(stranger), "chain does not hold"),
        (Twist::Expired, "this host's clock says"),
        (Twist::Early(600), "this host's clock says"),
        (Twist::Answer(201, &[], r#"{"chain":"-----BEGIN NONSENSE-----"}"#.to_owned()), "not installed"),
        (Twist::Answer(201, &[], "{}".to_owned()), "not a certificate"),
        (Twist::Answer(500, &[], "<html>".to_owned()), "500"),
        (Twist::Answer(302, &[("location", "https://elsewhere/")], String::new()), "302"),
        (Twist::Answer(201, &[], " ".repeat(2 << 20)), "larger than 1024 KiB"),
        (Twist::Lost, "localhost"),
    ] {
        stage.api.twist(twist);
        let status = stage.host.once_one(&stage.good_plan()).await;
        assert_eq!(status.state, State::Failed);
        let why = status.last_error.unwrap();
        assert!(why.contains(says), "{says}: {why}");
        assert_eq!(stage.pair(), old, "{says}");
    }
    let status = stage.host.once_one(&stage.good_plan()).await;
    assert_ok(&status);
    assert_eq!(status.renewals, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_clock_is_a_little_behind_the_server_gets_its_certificate() {
    let stage = Stage::new().await;
    stage.api.twist(Twist::Early(60));
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_clock_is_far_ahead_of_the_server_does_not_ask_without_a_pause() {
    let stage = Stage::new().await;
    stage.api.twist(Twist::Early(-90));
    let status = stage.host.once_one(&stage.good_plan()).await;
    assert_ok(&status);
    assert_eq!(status.next_renewal.unwrap().since(stage.host.world.now()), 14, "half of what is left of 120 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_left_alone_as_long_as_it_asked() {
    let stage = Stage::new().await;
    let body = r#"{"title":"HSM unavailable","detail":"the token was removed"}"#;
    stage.api.twist(Twist::Answer(503, &[("retry-after", "77")], body.to_owned()));
    let status = stage.host.once_one(&stage.good_plan()).await;
    assert_eq!(status.state, State::Failed);
    assert_eq!(status.next_renewal.unwrap().since(stage.host.world.now()), 77);
    assert!(status.last_error.unwrap().contains("the token was removed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_was_missing() {
    let stage = Stage::new().await;
    let body = r#"{"title":"Refused","detail":"not allowed","missing":"the role agent for owner web"}"#;
    stage.api.twist(Twist::Answer(403, &[], body.to_owned()));
    let why = stage.host.once_one(&stage.good_plan()).await.last_error.unwrap();
    assert!(why.contains("the role agent for owner web"), "{why}");
}

/// A plan whose agent enrols itself by token, and asks for two certificates with what it got.
fn identity_plan(url: &str) -> String {
    format!(
        r#"
[identity]
url = "{url}"
ca_file = "roots.pem"
token_file = "token"
owner = "web"
names = ["host1.example.internal"]
validity_secs = 1200

[[certificate]]
name = "web"
names = ["{NAME}"]
source = {{ kind = "chancery", validity_secs = 120 }}
files = {{ key = "tls/web.key", fullchain = "tls/web.pem" }}

[[certificate]]
name = "api"
names = ["api.example.internal"]
source = {{ kind = "chancery", validity_secs = 120 }}
files = {{ key = "tls/api.key", cert = "tls/api.crt", chain = "tls/api.chain" }}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_once_and_the_agent_proves_itself_by_certificate_from_then_on() {
    let world = world();
    let api = Api::start(&world).await;
    let host = Host::new(&world, &api.ca.roots_pem);
    let plan = identity_plan(&api.url());
    let statuses = host.once(&plan).await;
    statuses.iter().for_each(assert_ok);
    let names: Vec<_> = statuses.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["identity", "web", "api"]);
    let identity = statuses[0].serial.clone().unwrap();
    assert_eq!(api.proofs(), ["token".to_owned(), identity.clone(), identity.clone()]);

    // No token any more: the others are renewed with the identity, and the identity with itself.
    fs::remove_file(host.path("token")).unwrap();
    world.advance(90);
    host.once(&plan).await.iter().for_each(assert_ok);
    world.advance(780);
    let renewed = host.once(&plan).await;
    renewed.iter().for_each(assert_ok);
    assert_eq!(renewed[0].renewals, 1);
    let newer = renewed[0].serial.clone().unwrap();
    assert_eq!(
        api.proofs()[3..],
        [identity.clone(), identity.clone(), identity, newer.clone(), newer],
        "two by the first, the identity itself by the first, two by the second"
    );
    let key = fs::metadata(host.path("state/identity/key.pem")).unwrap();
    assert_eq!(key.mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_expired_without_a_token_says_what_to_do() {
    let world = world();
    let api = Api::start(&world).await;
    let host = Host::new(&world, &api.ca.roots_pem);
    let plan = identity_plan(&api.url());
    host.once(&plan).await.iter().for_each(assert_ok);
    fs::remove_file(host.path("token")).unwrap();
    world.advance(5_000);
    let statuses = host.once(&plan).await;
    let why = statuses[0].last_error.clone().unwrap();
    assert!(why.contains("expired at") && why.contains("token is not there: an administrator"), "{why}");
    assert!(statuses.iter().all(|s| s.state == State::Failed));
    // A new token enrols it again.
    host.write_token("token", TOKEN, 0o600);
    host.once(&plan).await.iter().for_each(assert_ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_that_fails_does_not_hold_up_the_others() {
    let world = world();
    let api = Api::start(&world).await;
    let host = Host::new(&world, &api.ca.roots_pem);
    let certificate = |name: &str, folder: &str| {
        format!(
            r#"
[[certificate]]
name = "{name}"
names = ["{name}.example.internal"]
source = {{ kind = "chancery", url = "{}", ca_file = "roots.pem", token_file = "token", owner = "web" }}
files = {{ key = "{folder}/{name}.key", fullchain = "{folder}/{name}.pem" }}
"#,
            api.url()
        )
    };
    let plan = format!("{}{}{}", certificate("a", "tls"), certificate("b", "no-such-folder"), certificate("c", "tls"));
    let statuses = host.once(&plan).await;
    let states: Vec<_> = statuses.iter().map(|s| s.state).collect();
    assert_eq!(states, [State::Ok, State::Failed, State::Ok]);
    assert!(statuses[1].last_error.as_ref().unwrap().contains("no-such-folder"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_may_read_is_not_used() {
    let stage = Stage::new().await;
    stage.host.write_token("token", TOKEN, 0o644);
    let status = stage.host.once_one(&stage.good_plan()).await;
    let why = status.last_error.unwrap();
    assert!(why.contains("chmod 600") && why.contains("token"), "{why}");
    assert_eq!(stage.api.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_roots_do_not_know_never_sees_the_token() {
    let stage = Stage::new().await;
    let stranger = Ca::new(&stage.host.world);
    fs::write(stage.host.path("roots.pem"), &stranger.roots_pem).unwrap();
    let status = stage.host.once_one(&stage.good_plan()).await;
    assert_eq!(status.state, State::Failed);
    let why = status.last_error.unwrap();
    assert!(why.contains("invalid peer certificate"), "{why}");
    assert_eq!(stage.api.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_everything_but_their_own_files() {
    let stage = Stage::new().await;
    stage.api.twist(Twist::Answer(400, &[], "{}".to_owned()));
    let failed = stage.host.once_one(&stage.good_plan()).await;
    let done = stage.host.once_one(&stage.good_plan()).await;
    let plan = stage.host.plan(&stage.good_plan());
    let said = format!("{failed:?} {done:?} {plan:?} {}", stage.host.read("state/web/status.json"));
    assert!(!said.contains("cAnArY") && !said.contains("PRIVATE"), "{said}");
    // The key was sent to nobody.
    let sent = format!("{:?}", stage.api.seen());
    assert!(sent.contains("CERTIFICATE REQUEST") && !sent.contains("PRIVATE"), "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_state_is_refused() {
    let stage = Stage::new().await;
    let text = stage.good_plan();
    let (end, ended) = oneshot::channel::<()>();
    let running = tokio::spawn(run(stage.host.plan(&text), stage.host.world.clone(), RunMode::Forever, async {
        let _ = ended.await;
    }));
    let plan = stage.host.plan(&text);
    let first = async {
        while status(&plan).unwrap()[0].state != State::Ok {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), first).await.expect("the first agent enrols");
    let second = run(stage.host.plan(&text), stage.host.world.clone(), RunMode::Once, std::future::pending()).await;
    assert!(matches!(second, Err(AgentError::Locked { .. })), "{second:?}");
    end.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_ok(&stage.host.once_one(&text).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_new_each_time_unless_it_is_to_be_reused() {
    for reuse in [false, true] {
        let stage = Stage::new().await;
        let plan = format!("{}reuse_key = {reuse}\n", stage.good_plan().replace("check =", "# check ="));
        assert_ok(&stage.host.once_one(&plan).await);
        let old = stage.pair();
        stage.host.world.advance(90);
        assert_ok(&stage.host.once_one(&plan).await);
        let new = stage.pair();
        assert_eq!(old.0 == new.0, reuse);
        assert_ne!(old.1, new.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_another_name_is_a_reason_to_renew() {
    let stage = Stage::new().await;
    assert_ok(&stage.host.once_one(&stage.good_plan()).await);
    let plan = stage.good_plan().replace(&format!("[\"{NAME}\"]"), &format!("[\"{NAME}\", \"ip:127.0.0.1\"]"));
    assert_ok(&stage.host.once_one(&plan).await);
    assert_eq!(stage.api.seen().len(), 2);
    assert_ok(&stage.host.once_one(&plan).await);
    assert_eq!(stage.api.seen().len(), 2);
}

#[tokio::test]
async fn a_state_folder_open_to_others_is_refused() {
    let world = world();
    let host = Host::new(&world, "");
    fs::create_dir(host.path("state")).unwrap();
    let plan = host.plan(&identity_plan("https://localhost:1"));
    let refused = run(plan, world, RunMode::Once, std::future::pending()).await;
    assert!(refused.unwrap_err().to_string().contains("chmod 700"));
}

#[test]
fn a_status_is_there_before_any_run() {
    let host = Host::new(&world(), "");
    let statuses = status(&host.plan(&identity_plan("https://localhost:1"))).unwrap();
    assert!(statuses.iter().all(|s| s.state == State::Pending));
    assert_eq!(statuses.len(), 3);
}
