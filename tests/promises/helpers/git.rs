//! git clones by what the helper gives it, and no other host is given it, however the question is worded.

use std::fs;

use super::web::Web;
use super::{CANARY, Scene, put, said};
use crate::house::{House, command, succeed, text};

fn entry(port: u16) -> String {
    format!(
        "[[git]]\nurl = \"http://127.0.0.1:{port}\"\nusername = \"chy://prod/git#username\"\npassword = \"chy://prod/git#password\"\n\
         [[git]]\nurl = \"https://git.example\"\nusername = \"deploy\"\npassword = \"chy://prod/git#password\"\n\
         [[git]]\nurl = \"https://git.example/team\"\nusername = \"team\"\npassword = \"chy://prod/other#password\"\n"
    )
}

/// A bare repository with one commit, that can be fetched as files.
fn repository(house: &House) -> std::path::PathBuf {
    let (work, served) = (house.path("work"), house.path("served"));
    fs::create_dir(&served).expect("a folder");
    let git = |arguments: &[&str]| {
        let mut git = command("git", arguments);
        git.env("HOME", house.path("")).env("GIT_CONFIG_NOSYSTEM", "1");
        succeed(git)
    };
    git(&["init", "-q", text(&work)]);
    fs::write(work.join("file"), "content").expect("a file");
    git(&["-C", text(&work), "add", "file"]);
    let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
    git(&[&["-C", text(&work)], &who[..], &["commit", "-qm", "first"]].concat());
    git(&["clone", "-q", "--bare", text(&work), text(&served.join("app.git"))]);
    git(&["-C", text(&served.join("app.git")), "update-server-info"]);
    served
}

#[test]
fn git_clones_with_what_its_server_is_named_for() {
    let scene = Scene::new("");
    let (served, seen) = (repository(&scene.house), scene.house.path("seen"));
    let web = Web::start(&served, "deploy", CANARY, &seen);
    let other = Web::start(&served, "deploy", CANARY, &scene.house.path("seen-elsewhere"));
    scene.name(&entry(web.port()));
    // The line of the documentation, with the address of here; no other helper, and nobody to ask.
    let clone = |port: u16, helper: &str, to: &str| {
        let url = format!("http://127.0.0.1:{port}/app.git");
        let mut git = scene.with("git", &["-c", "credential.helper=", "-c", &format!("credential.helper={helper}")]);
        git.args(["clone", "-q", &url, to]).env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        said(git, "")
    };
    let before = scene.accesses();
    for (helper, to) in [("!chancery helper git", "one"), ("chancery", "two")] {
        let (code, out, told) = clone(web.port(), helper, to);
        assert_eq!(code, Some(0), "{helper}: {out}{told}");
        assert_eq!(fs::read_to_string(scene.house.path(to).join("file")).expect("the clone"), "content");
    }
    assert_eq!(scene.accesses(), before + 2, "a question is an entry of the log");
    let (code, _, told) = clone(other.port(), "!chancery helper git", "three");
    assert!(code != Some(0) && told.contains("could not read Username"), "another port is another server: {told}");
    assert!(!scene.house.path("seen-elsewhere").exists(), "nothing was sent there");
    // A password that is refused stays, and that is said.
    put(&scene.house, "prod/git", &serde_json::json!({"password": "wrong"}));
    let (code, _, told) = clone(web.port(), "!chancery helper git", "four");
    assert!(code != Some(0) && told.contains("chy://prod/git#password") && told.contains("stays"), "{told}");
    assert_eq!(scene.value("prod/git", "password"), "wrong");
}

#[test]
fn no_other_host_is_given_it_however_the_question_is_worded() {
    let scene = Scene::new(&entry(1));
    let get = |input: &str| scene.asked(&["helper", "git", "get"], input);
    let shown = format!("username=deploy\npassword={CANARY}\n");
    for good in [
        "protocol=https\nhost=git.example\n\n",
        "protocol=https\nhost=GIT.example:443\nusername=deploy\n",
        "capability[]=authtype\nprotocol=https\nhost=git.example\npath=teams/app.git\n",
    ] {
        let (code, out, told) = get(good);
        assert_eq!((code, &out), (Some(0), &shown), "{good:?}: {told}");
    }
    let (_, out, _) = get("protocol=https\nhost=git.example\npath=team/app.git\n");
    assert_eq!(out, "username=team\npassword=another-secret\n", "what names more of the path comes first");
    let before = scene.accesses();
    // Somebody else's: nothing is answered, and git goes on.
    for other in [
        "protocol=http\nhost=git.example\n",
        "protocol=https\nhost=git.example:8443\n",
        "protocol=https\nhost=git.example.evil.test\n",
        "protocol=https\nhost=evil-git.example\n",
        "protocol=https\nhost=git.example.\n",
        "protocol=https\nhost=git.example@evil.test\n",
        "protocol=https\nhost=evil.test\n",
        "protocol=https\nhost=git.example\nusername=root\n",
    ] {
        let (code, out, told) = get(other);
        assert_eq!((code, out.as_str()), (Some(0), ""), "{other:?}: {told}");
    }
    // What nobody can read in one way alone: refused, and said (CVE-2020-5260, CVE-2020-11008, CVE-2024-52006).
    for smuggled in [
        "protocol=https\nhost=evil.test\nhost=git.example\n",
        "protocol=https\nhost=git.example\nhost=evil.test\n",
        "protocol=https\nhost=\nhost=git.example\n",
        "protocol=https\nhost=\n",
        "protocol=https\n",
        "host=git.example\n",
        "protocol=https\nhost=evil.test\rhost=git.example\n",
        "protocol=https\nhost=git.example\r\n",
        "protocol=https\nhost=git.example\0\n",
        "protocol=https\nhost=evil.test\n\nprotocol=https\nhost=git.example\n",
        "url=https://git.example\n",
    ] {
        let (code, out, told) = get(smuggled);
        assert_eq!((code, out.as_str()), (Some(3), ""), "{smuggled:?}: {told}");
        assert!(told.contains("nothing is answered") && !told.contains(CANARY), "{told}");
    }
    let long = format!("protocol=https\nhost=git.example\nwwwauth[]={}\n", "x".repeat(1 << 20));
    assert_eq!(get(&long).0, Some(3));
    assert_eq!(scene.accesses(), before, "nothing was opened for any of them");
    // A value with a line break would be a line of its own choice.
    put(&scene.house, "prod/git", &serde_json::json!({"password": "a\nhost=evil.test"}));
    let (code, out, told) = get("protocol=https\nhost=git.example\n");
    assert!(code == Some(1) && out.is_empty() && told.contains("no line of text"), "{out} {told}");
}

#[test]
fn what_git_logged_in_with_is_kept_where_that_is_said_and_only_if_it_is_new() {
    let scene = Scene::new(&entry(1));
    let tell = |act: &str, password: &str| {
        let input = format!("protocol=https\nhost=git.example\nusername=deploy\npassword={password}\n");
        let mut git = scene.with("chancery", &["helper", "git", act]);
        git.env("CHANCERY_TOKEN_FILE", scene.house.ca("admin.token"));
        said(git, &input)
    };
    let versions = || scene.house.json(&["secret", "show", "prod/git"])["newest"].clone();
    assert_eq!(tell("store", "new").0, Some(0));
    assert_eq!(versions(), 1, "nobody said that it may be kept");
    scene.name(&entry(1).replace("url = \"https://git.example\"\n", "url = \"https://git.example\"\nstore = true\n"));
    assert_eq!(tell("store", CANARY).0, Some(0));
    assert_eq!(versions(), 1, "it is there already");
    let (code, out, told) = tell("store", "new");
    assert_eq!((code, out.as_str()), (Some(0), ""), "{told}");
    assert_eq!((versions(), scene.value("prod/git", "password")), (2.into(), "new".to_owned()));
    assert_eq!(scene.value("prod/git", "username"), "deploy", "its sibling stays");
    let (code, _, told) = tell("erase", "new");
    assert!(code == Some(0) && told.contains("stays"), "{told}");
    assert_eq!(tell("later", "new").0, Some(0), "what git does not say yet is passed over");
    assert_eq!(versions(), 2);
}
