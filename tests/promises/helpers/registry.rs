//! skopeo, and whatever else speaks docker's credential helpers, is let into its registry and into no other.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::web::Web;
use super::{CANARY, Scene, said};

fn entry(port: u16) -> String {
    format!(
        "[[docker]]\nregistry = \"127.0.0.1:{port}\"\nusername = \"chy://prod/git#username\"\npassword = \"chy://prod/git#password\"\n\
         [[docker]]\nregistry = \"docker.io\"\nusername = \"hub\"\npassword = \"chy://prod/other#password\"\nstore = true\n"
    )
}

#[test]
fn a_registry_lets_in_who_is_named_for_it() {
    let scene = Scene::new("");
    let (folder, seen) = (scene.house.path("served"), scene.house.path("seen"));
    fs::create_dir(&folder).expect("a folder");
    let web = Web::start(&folder, "deploy", CANARY, &seen);
    let other = Web::start(&folder, "deploy", CANARY, &scene.house.path("seen-elsewhere"));
    scene.name(&entry(web.port()));
    let tags = |port: u16| {
        let config = json!({"credHelpers": {format!("127.0.0.1:{port}"): "chancery"}}).to_string();
        fs::write(scene.house.path("auth.json"), config).expect("auth.json");
        let image = format!("docker://127.0.0.1:{port}/app");
        let mut skopeo = scene.with("skopeo", &["list-tags", "--tls-verify=false", &image]);
        skopeo.env("REGISTRY_AUTH_FILE", scene.house.path("auth.json"));
        said(skopeo, "")
    };
    let (code, out, told) = tags(web.port());
    assert_eq!(code, Some(0), "{out}{told}");
    let listed: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(listed["Tags"], json!(["one", "two"]));
    let (code, out, told) = tags(other.port());
    assert!(code != Some(0) && told.contains("unauthorized"), "another port is another registry: {out}{told}");
    // skopeo says that it has nothing by an empty login.
    let sent = fs::read_to_string(scene.house.path("seen-elsewhere")).unwrap_or_default();
    assert!(!sent.contains(&STANDARD.encode(format!("deploy:{CANARY}"))), "{sent}");
    assert!(
        fs::read_to_string(&seen).expect("it was sent here").contains(&STANDARD.encode(format!("deploy:{CANARY}")))
    );
}

#[test]
fn dockers_four_questions_are_answered_as_it_reads_them() {
    let scene = Scene::new(&entry(5000));
    let ask = |act: &str, input: &str| said(scene.with("docker-credential-chancery", &[act]), input);
    for name in ["127.0.0.1:5000", "https://127.0.0.1:5000", "https://127.0.0.1:5000/\n"] {
        let (code, out, told) = ask("get", name);
        assert_eq!(code, Some(0), "{out}{told}");
        let answer: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(answer, json!({"ServerURL": "127.0.0.1:5000", "Username": "deploy", "Secret": CANARY}));
    }
    for other in [
        "127.0.0.1",
        "127.0.0.1:5001",
        "http://127.0.0.1:5000",
        "127.0.0.1:5000.evil.test",
        "evil@127.0.0.1:5000",
        "",
        "a\n127.0.0.1:5000",
    ] {
        let (code, out, told) = ask("get", other);
        let none = "credentials not found in native keychain\n";
        assert_eq!((code, out.as_str(), told.as_str()), (Some(1), none, ""), "{other:?}");
    }
    let (code, out, _) = ask("list", "");
    let listed: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, listed), (Some(0), json!({"127.0.0.1:5000": "deploy", "https://index.docker.io/v1/": "hub"})));
    let login = |server: &str, secret: &str| {
        let mut store = scene.with("docker-credential-chancery", &["store"]);
        store.env("CHANCERY_TOKEN_FILE", scene.house.path("writer.token"));
        said(store, &json!({"ServerURL": server, "Username": "hub", "Secret": secret}).to_string())
    };
    let (code, out, told) = login("https://index.docker.io/v1/", "dckr_pat_new");
    assert_eq!(code, Some(0), "{out}{told}");
    assert_eq!(scene.value("prod/other", "password"), "dckr_pat_new", "who may write and not read keeps it too");
    let (code, out, told) = login("127.0.0.1:5000", "dckr_pat_new");
    assert!(code == Some(3) && out.contains("store = true") && !out.contains("dckr"), "{out}{told}");
    let (code, out, _) = said(scene.with("docker-credential-chancery", &["store"]), "{\"Secret\": \"dckr_canary\"");
    assert!(code == Some(3) && !out.contains("dckr"), "{out}");
    let (code, out, _) = ask("erase", "127.0.0.1:5000");
    assert!(code == Some(3) && out.contains("is not erased"), "{out}");
    assert_eq!(ask("erase", "elsewhere.example").0, Some(0));
}
