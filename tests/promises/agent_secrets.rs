//! The agent keeps files made of secrets: in memory, for their owner, judged before they are swapped, told of when they change; from the
//! sealed cache while the server is away, and gone at its end.

mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

pub(crate) use self::scene::output;
use self::scene::{CANARY, Scene};
use crate::agent::Running;
use crate::house::{PATIENCE, command, status, succeed, text, until};

/// A command of the plan that writes a line into a file each time.
fn counts(file: &Path) -> String {
    format!("reload = [\"/bin/sh\", \"-c\", \"echo told >> {}\"]", file.display())
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn text_of(password: &str) -> String {
    format!("USER=app\nPASSWORD={password}\n")
}

#[test]
fn a_file_of_secrets_is_kept_in_memory_and_follows_each_change_at_once() {
    let scene = Scene::new("");
    let told = scene.house.path("told");
    scene.plan("poll_secs = 3600", "", &counts(&told));
    // The init container's pass: the folder is made, the file has its mode and owner, the service is told.
    let (code, said) = scene.once();
    assert_eq!((code, scene.content()), (Some(0), text_of(CANARY)), "{said}");
    let facts = fs::metadata(scene.file()).expect("the file");
    assert_eq!((facts.mode() & 0o7777, facts.uid(), facts.gid()), (0o440, 0, 4711));
    assert_eq!((lines(&told), scene.accesses().len(), scene.ready().0), (1, 1, Some(0)));
    let inode = facts.ino();

    // Another run reads once, finds that all is right, and touches nothing.
    let agent = scene.forever();
    assert!(until(PATIENCE, || scene.accesses().len() == 2), "{:?}", scene.accesses());
    assert!(until(PATIENCE, || scene.is("ok")));
    assert_eq!((fs::metadata(scene.file()).expect("the file").ino(), lines(&told)), (inode, 1));
    // A change comes with the next look, which a signal has it take now. A look leaves no entry.
    let pid = agent.0.id().to_string();
    let look = || assert!(status(Command::new("kill").args(["-USR1", &pid])), "kill -USR1");
    scene.put("prod/db", "another-one");
    assert!(until(PATIENCE, || {
        look();
        scene.content() == text_of("another-one")
    }));
    assert!(until(PATIENCE, || lines(&told) == 2 && scene.status()["changes"] == 2), "{}", scene.status());
    let looks = |scene: &Scene| scene.status()["last_answer"].as_str().map(str::to_owned);
    let before = looks(&scene);
    assert!(until(PATIENCE, || {
        look();
        looks(&scene) != before
    }));
    assert_eq!((scene.accesses().len(), lines(&told)), (3, 2), "looks open nothing");
    // Somebody writes into it: it is put right.
    fs::write(scene.file(), "forged").expect("written");
    assert!(until(PATIENCE, || {
        look();
        scene.content() == text_of("another-one")
    }));
    scene.assert_nowhere_else("another-one");
    drop(agent);
    scene.house.run(&["audit", "verify"]);
}

#[test]
fn a_file_goes_on_while_the_server_is_away_and_ends_when_the_server_said() {
    let mut scene = Scene::new("\n[secrets]\ncache_secs = 12\n");
    scene.plan("poll_secs = 1", "", "");
    let agent = scene.forever();
    assert!(until(PATIENCE, || scene.is("ok")), "{}", scene.status());
    // The log says until when the agent has it.
    assert!(scene.accesses()[0]["until"].is_string(), "{:?}", scene.accesses());
    scene.house.kill();
    assert!(until(PATIENCE, || scene.is("cached")), "{}", scene.status());
    assert_eq!(scene.content(), text_of(CANARY));
    assert!(scene.ready().0 == Some(0) && scene.status()["good_until"].is_string(), "{}", scene.status());
    // Taken away by somebody: it comes back from the sealed cache.
    fs::remove_file(scene.file()).expect("removed");
    assert!(until(PATIENCE, || !scene.content().is_empty() || scene.is("ended")));
    assert!(until(PATIENCE, || scene.is("ended") && !scene.file().exists()), "{}", scene.status());
    let (code, said) = scene.ready();
    assert!(code == Some(4) && said.contains("these are over"), "{said}");
    drop(agent);
    // An init container says what lacks, and that it is worth another try.
    let (code, said) = scene.once();
    assert!(code == Some(4) && said.contains("shop") && said.contains("chy://prod/db#password"), "{said}");
    assert!(!scene.file().exists());
    scene.house.start();
    let (code, said) = scene.once();
    assert_eq!((code, scene.content()), (Some(0), text_of(CANARY)), "{said}");
    scene.assert_nowhere_else(CANARY);
}

#[test]
fn a_start_without_the_server_takes_the_file_from_the_cache() {
    let mut scene = Scene::new("");
    scene.plan("poll_secs = 3600", "", "");
    assert_eq!(scene.once().0, Some(0));
    scene.house.kill();
    fs::remove_file(scene.file()).expect("removed");
    let (code, said) = scene.once();
    assert_eq!((code, scene.content()), (Some(0), text_of(CANARY)), "{said}");
    assert!(scene.is("cached"), "{}", scene.status());
    // Who wants nothing old says so: it ends, and stays where the plan keeps it.
    scene.plan("max_age_secs = 1", "", "at_end = \"keep\"");
    assert!(until(PATIENCE, || scene.once().0 == Some(4)), "{}", scene.status());
    assert_eq!((scene.content(), scene.status()["in_place"].as_bool()), (text_of(CANARY), Some(true)));
    assert_eq!((scene.is("ended"), scene.ready().0), (true, Some(4)));
    // Back, it is told what was read meanwhile.
    scene.house.start();
    assert_eq!(scene.once().0, Some(0));
    let leased = scene.accesses().into_iter().filter(|leaf| leaf["outcome"] == "leased").count();
    assert_eq!(leased, 1, "{:?}", scene.accesses());
}

#[test]
fn what_is_refused_is_taken_away_at_once_and_comes_back_when_it_is_allowed() {
    let mut scene = Scene::new("");
    scene.plan("poll_secs = 1", "", "");
    let _agent = scene.forever();
    assert!(until(PATIENCE, || scene.is("ok")), "{}", scene.status());
    scene.house.run(&["secret", "disable", "prod/db", "current"]);
    assert!(until(PATIENCE, || scene.is("ended") && !scene.file().exists()), "{}", scene.status());
    let (code, said) = scene.ready();
    assert!(code == Some(3) && said.contains("disabled"), "{said}");
    // Nor does the cache give it when the server is away.
    scene.house.kill();
    assert!(until(PATIENCE, || scene.status()["last_error"].as_str().is_some_and(|why| why.contains("does not have"))));
    assert!(!scene.file().exists());
    scene.house.start();
    scene.house.run(&["secret", "enable", "prod/db", "1"]);
    assert!(until(PATIENCE, || scene.is("ok") && scene.content() == text_of(CANARY)), "{}", scene.status());
}

/// The secret is there, and so is the right: somebody renamed a field, or left it out.
#[test]
fn a_field_that_lacks_is_a_mistake_and_the_file_before_stays() {
    let mut scene = Scene::new("");
    scene.plan("poll_secs = 1", "", "");
    let agent = scene.forever();
    assert!(until(PATIENCE, || scene.is("ok")), "{}", scene.status());
    scene.put_fields("prod/db", &json!({"user": "app", "pass": "another"}));
    assert!(until(PATIENCE, || scene.is("failed")), "{}", scene.status());
    let (code, said) = scene.ready();
    assert!(code == Some(1) && said.contains("has no field password"), "{said}");
    assert_eq!(scene.content(), text_of(CANARY));
    drop(agent);
    // Nor is it taken away at a start.
    let (code, said) = scene.once();
    assert!(code == Some(1) && scene.content() == text_of(CANARY), "{said}");
    // And what was kept before is kept still.
    scene.house.kill();
    fs::remove_file(scene.file()).expect("removed");
    let (code, said) = scene.once();
    assert_eq!((code, scene.content()), (Some(0), text_of(CANARY)), "{said}");
    scene.house.start();
    scene.put("prod/db", "mended");
    let (code, said) = scene.once();
    assert_eq!((code, scene.content()), (Some(0), text_of("mended")), "{said}");
    // What is refused ends, whether a field lacks or not.
    scene.put_fields("prod/db", &json!({"user": "app"}));
    scene.house.run(&["secret", "disable", "prod/db", "current"]);
    let (code, said) = scene.once();
    assert!(code == Some(3) && !scene.file().exists(), "{said}");
}

#[test]
fn a_new_file_is_judged_before_it_is_swapped_in_and_a_service_that_was_not_told_is_told_later() {
    let scene = Scene::new("");
    let (told, open) = (scene.house.path("told"), scene.house.path("open"));
    let check = "check = [\"/bin/sh\", \"-c\", \"cat $0; ! grep -q bad $0\", \"{}\"]";
    scene.plan("poll_secs = 1", "", &format!("{check}\n{}", counts(&told)));
    assert_eq!((scene.once().0, lines(&told)), (Some(0), 1));
    let _agent = scene.forever();
    assert!(until(PATIENCE, || scene.is("ok")));
    scene.put("prod/db", "bad-canary-77");
    assert!(until(PATIENCE, || scene.is("failed")), "{}", scene.status());
    assert_eq!((scene.content(), lines(&told)), (text_of(CANARY), 1), "the one before stays, and nobody is told");
    assert_eq!(scene.ready().0, Some(1));
    // What the check printed is kept nowhere, nor is the new file.
    scene.assert_nowhere_else("bad-canary-77");
    let folder = scene.file().parent().expect("a folder").to_owned();
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2, "nothing beside it but the lock");
    scene.put("prod/db", "good");
    assert!(until(PATIENCE, || scene.is("ok") && scene.content() == text_of("good") && lines(&told) == 2));
    drop(_agent);

    // The command fails: the file is there, the debt is written down, and the next run pays it.
    let fails = format!("[\"/bin/sh\", \"-c\", \"test -e {0} && echo told >> {1}\"]", open.display(), told.display());
    scene.plan("", "", &format!("reload = {fails}"));
    scene.put("prod/db", "newer");
    let (code, said) = scene.once();
    assert!(code == Some(1) && scene.content() == text_of("newer") && said.contains("status 1"), "{said}");
    fs::write(&open, "").expect("a file");
    assert_eq!((scene.once().0, lines(&told), scene.once().0, lines(&told)), (Some(0), 3, Some(0), 3));
}

#[test]
fn no_link_is_followed_and_no_disk_is_written_unless_the_plan_says_so() {
    let scene = Scene::new("");
    let disk = scene.house.path("disk");
    fs::create_dir(&disk).expect("a folder");
    let on_disk = disk.join("db.env");
    let plan = scene.plan("", "", "");
    let swapped = |from: &str, to: &str| {
        let text = fs::read_to_string(&plan).expect("a plan");
        assert!(text.contains(from), "{text}");
        fs::write(&plan, text.replace(from, to)).expect("a plan");
    };
    swapped(text(&scene.file()), text(&on_disk));
    let (code, said) = scene.once();
    assert!(code == Some(1) && said.contains("lies on a disk") && said.contains("on_disk = true"), "{said}");
    assert!(!on_disk.exists() && scene.accesses().is_empty(), "and nobody was asked");
    swapped("group = \"4711\"", "on_disk = true");
    assert_eq!((scene.once().0, fs::read_to_string(&on_disk).expect("the file")), (Some(0), text_of(CANARY)));

    // A service that owns the folder puts links in the way: of the file, and of the folder.
    let precious = scene.house.path("precious");
    fs::write(&precious, "precious").expect("a file");
    fs::remove_file(&on_disk).expect("removed");
    symlink(&precious, &on_disk).expect("a link");
    let (code, said) = scene.once();
    assert!(code == Some(1) && said.contains("link"), "{said}");
    fs::remove_file(&on_disk).expect("removed");
    symlink(&precious, disk.join(".db.env.chancery-new")).expect("a link");
    assert_eq!(scene.once().0, Some(0));
    let moved = scene.house.path("moved");
    fs::rename(&disk, &moved).expect("moved");
    symlink(&moved, &disk).expect("a link");
    let (code, said) = scene.once();
    assert!(code == Some(1) && said.contains("links are not followed"), "{said}");
    assert_eq!(fs::read_to_string(&precious).expect("the file"), "precious");
    // A folder of somebody whom the plan does not name.
    fs::remove_file(&disk).expect("removed");
    fs::create_dir(&disk).expect("a folder");
    std::os::unix::fs::chown(&disk, Some(65_534), None).expect("chown");
    let (code, said) = scene.once();
    assert!(code == Some(1) && said.contains("belongs to user 65534"), "{said}");
}

#[test]
fn a_process_is_signalled_when_its_file_is_another() {
    let scene = Scene::new("");
    let (pid_file, heard) = (scene.house.path("pid"), scene.house.path("heard"));
    let signal = format!("signal = {{ name = \"USR2\", pid_file = \"{}\" }}", pid_file.display());
    scene.plan("", "", &signal);
    // Nobody is there yet: it reads the file when it begins.
    let (code, said) = scene.once();
    assert_eq!(code, Some(0), "{said}");
    let script = format!(
        "trap 'echo heard >> {}' USR2; echo $$ > {}; while :; do sleep 0.05; done",
        heard.display(),
        pid_file.display()
    );
    let mut service = command("sh", &["-c", &script]);
    let _service = Running(service.stdin(Stdio::null()).spawn().expect("a service"));
    assert!(until(PATIENCE, || fs::read_to_string(&pid_file).is_ok_and(|text| text.ends_with('\n'))));
    scene.put("prod/db", "another");
    assert_eq!(scene.once().0, Some(0));
    assert!(until(PATIENCE, || lines(&heard) == 1));
    // Somebody else's file does not have root signal whom it likes.
    std::os::unix::fs::chown(&pid_file, Some(65_534), None).expect("chown");
    scene.put("prod/db", "a third");
    let (code, said) = scene.once();
    assert!(code == Some(1) && said.contains("user 65534 wrote it"), "{said}");
    assert_eq!((scene.content(), lines(&heard)), (text_of("a third"), 1));
}

/// The agent's own certificate reads what a policy gives to agents, and no token is needed any more.
#[test]
fn an_agents_certificate_reads_what_a_policy_gives_to_agents() {
    let mut scene = Scene::new("");
    let enrol = scene.house.path("enrol.token");
    scene.house.run(&["token", "create", "enrol", "--role", "agent", "--owner", "default", "--out", text(&enrol)]);
    let plan = scene.plan("", "", "");
    let own = fs::read_to_string(&plan).expect("a plan");
    let (head, tail) = own.split_once("[secrets]\n").expect("the table");
    let kept = tail.lines().filter(|line| !["url", "ca_file", "token_file"].iter().any(|key| line.starts_with(key)));
    let identity = format!(
        "[identity]\nurl = \"{}\"\nca_file = \"{}\"\ntoken_file = \"{}\"\nowner = \"default\"\nnames = [\"localhost\"]\n",
        scene.house.https(""),
        scene.house.ca("roots.pem").display(),
        enrol.display()
    );
    let kept: Vec<&str> = kept.collect();
    fs::write(&plan, format!("{head}{identity}[secrets]\n{}\n", kept.join("\n"))).expect("a plan");
    let (code, said) = scene.once();
    assert!(code == Some(3) && said.contains("chy://prod/db#password"), "{said}");
    // docs/AGENT.md has this policy.
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/AGENT.md")).expect("the page");
    let policy = docs.split("```cedar\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a policy");
    fs::write(scene.house.ca("policies/agents-read-secrets.cedar"), policy.replace("prod/web", "prod"))
        .expect("a policy");
    scene.house.stop();
    scene.house.start();
    fs::remove_file(&enrol).expect("removed");
    let (code, said) = scene.once();
    assert_eq!((code, scene.content()), (Some(0), text_of(CANARY)), "{said}");
    let leaves = scene.house.json(&["audit", "list", "--limit", "1000"]);
    let by_certificate = |leaf: &&Value| {
        leaf["event"] == "access" && leaf["actor"]["id"].as_str().is_some_and(|id| id.starts_with("cert:"))
    };
    assert_eq!(leaves.as_array().expect("leaves").iter().filter(by_certificate).count(), 1);
}

#[test]
fn a_plan_says_what_it_keeps_and_nobody_is_asked() {
    let scene = Scene::new("");
    let plan = scene.plan("", "", "");
    let shown = succeed(scene.house.command(&["agent", "--plan", text(&plan), "--check"]));
    assert!(shown.contains("secret") && shown.contains("db.env"), "{shown}");
    assert!(scene.accesses().is_empty() && !scene.house.path("state").exists());
    // Lines that let nobody in by now are no plan to begin with.
    let own = fs::read_to_string(&plan).expect("a plan");
    let keys = "[[authorized_keys]]\nname = \"deploy\"\nsecret = \"prod/hosts/deploy\"\nfile = { path = \"keys\" }\n\
                options = 'expiry-time=\"20200101Z\"'\n";
    fs::write(&plan, format!("{own}{keys}")).expect("a plan");
    let (code, said) = output(scene.house.command(&["agent", "--plan", text(&plan), "--check"]));
    assert!(code == Some(1) && said.contains("deploy") && said.contains("its expiry-time is past"), "{said}");
    fs::write(&plan, own).expect("a plan");
    // Before any run nothing is ready, and waiting may help.
    assert_eq!(scene.ready().0, Some(4));
    assert_eq!(scene.once().0, Some(0));
    // What Prometheus is told, judged by its own tool.
    let metrics = scene.house.path("agent.prom");
    let told = succeed(scene.house.command(&["agent", "--plan", text(&plan), "--metrics"]));
    fs::write(&metrics, &told).expect("a file");
    let promtool = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/promtool");
    let script = format!("{promtool} check metrics < {}", metrics.display());
    succeed(command("sh", &["-c", &script]));
    for line in
        ["chancery_agent_secret_in_place{name=\"shop\"} 1", "chancery_agent_secret_changes_total{name=\"shop\"} 1"]
    {
        assert!(told.contains(line), "{told}");
    }
}
