//! Secrets in containers and pipelines: what deploy/kubernetes/ and deploy/ci/ say is valid, and is what the built binary does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::agent::Running;
use crate::agent_secrets::output;
use crate::house::{House, PATIENCE, command, succeed, text, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BINARY: &str = env!("CARGO_BIN_EXE_chancery");
/// Whom the manifests name.
const GROUP: u32 = 65_532;
const CANARY: &str = "canary-64cf0b1e93";

/// Python with a reader of YAML and Kubernetes' own schemas (tests/run.sh installs it).
fn python(name: &str) -> String {
    let bin = Path::new(ROOT).join("target/clients/kubernetes/bin").join(name);
    assert!(bin.exists(), "{} is missing: tests/run.sh installs it", bin.display());
    text(&bin).to_owned()
}

fn documents(file: &str) -> Vec<Value> {
    let script = Path::new(ROOT).join("tests/clients/yaml_words.py");
    let file = Path::new(ROOT).join("deploy").join(file);
    let printed = succeed(command(&python("python"), &[text(&script), text(&file)]));
    serde_json::from_str(&printed).expect("JSON")
}

/// A house with an application's secrets, the tokens of a reader and a writer, and one that enrols agents.
fn house() -> House {
    let mut house = House::new();
    let policy = fs::read_to_string(Path::new(ROOT).join("docs/AGENT.md")).expect("the page");
    let policy = policy.split("```cedar\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a policy");
    fs::write(house.ca("policies/agents-read-secrets.cedar"), policy.replace("prod/web", "prod")).expect("a policy");
    house.start();
    let body = json!({"owner": "default", "fields": {"username": "app", "password": CANARY}}).to_string();
    let url = house.https("/api/v1/secrets/prod/shop/db");
    let answer = house.curl_admin(&["-X", "PUT", "-H", "Content-Type: application/json", "--data-binary", &body, &url]);
    assert_eq!(answer.status, 201, "{}", answer.text());
    for (name, role) in [("reader", "secret-reader"), ("writer", "secret-writer"), ("enrol", "agent")] {
        let out = house.path(&format!("{name}.token"));
        house.run(&["token", "create", name, "--role", role, "--owner", "default", "--out", text(&out)]);
    }
    house
}

/// The volumes of a pod, as a kubelet makes them.
struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    /// With the plan that a manifest has, for this house's server.
    fn new(house: &House, manifest: &str, token: &str) -> Pod {
        let pod = Pod { folder: tempfile::tempdir_in("/dev/shm").expect("a folder in memory") };
        fs::set_permissions(pod.folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let maps = documents(manifest);
        let plan = maps.iter().find_map(|one| one["data"]["plan.toml"].as_str()).expect("a plan");
        let plan = plan
            .replace("https://chancery.pki.svc:8443", &house.https(""))
            .replace("owner = \"shop\"", "owner = \"default\"")
            .replace("shop.shop.svc.cluster.local", "localhost");
        let roots = fs::read(house.ca("roots.pem")).expect("the roots");
        let token = fs::read(house.path(token)).expect("a token");
        pod.mapped("plan", &[("plan.toml", plan.as_bytes()), ("roots.pem", &roots)], 0o644);
        pod.mapped("token", &[("token", &token)], 0o440);
        for volume in ["state", "secrets"] {
            fs::create_dir(pod.path(volume)).expect("a folder");
        }
        pod
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Each file is a link through `..data`; they belong to root and the pod's group.
    fn mapped(&self, volume: &str, files: &[(&str, &[u8])], mode: u32) {
        let version = self.path(volume).join("..2026_11_28");
        fs::create_dir_all(&version).expect("a folder");
        for (name, content) in files {
            fs::write(version.join(name), content).expect("a file");
            fs::set_permissions(version.join(name), fs::Permissions::from_mode(mode)).expect("mode");
            chown(version.join(name), Some(0), Some(GROUP)).expect("chown");
            symlink(Path::new("..data").join(name), self.path(volume).join(name)).expect("a link");
        }
        symlink("..2026_11_28", self.path(volume).join("..data")).expect("a link");
    }

    /// A command of a manifest in one of the pod's containers.
    fn run(&self, words: &[String]) -> Command {
        let script = Path::new(ROOT).join("tests/clients/pod.sh");
        let mut run = command("unshare", &["--mount", "--propagation", "private", "sh", text(&script), BINARY]);
        run.arg(self.folder.path()).args(words);
        run
    }

    fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.path("secrets").join(name)).unwrap_or_default()
    }

    fn assert_closed(&self, name: &str) {
        let facts = fs::metadata(self.path("secrets").join(name)).expect("the file");
        assert_eq!((facts.mode() & 0o7777, facts.uid(), facts.gid()), (0o440, GROUP, GROUP));
        let left = output(self.run(&["sh".into(), "-c".into(), "touch /x /run/x /usr/x; id -u".into()])).1;
        assert!(left.contains("Read-only file system") && left.contains("65532"), "the pod is none: {left}");
    }
}

/// The command of the init container `name` in a manifest, and that of its probe.
fn commands(manifest: &str, name: &str) -> (Vec<String>, Vec<String>) {
    let all = documents(manifest);
    let pod =
        all.iter().find(|one| one["kind"] == "Deployment").expect("a deployment")["spec"]["template"]["spec"].clone();
    let containers = pod["initContainers"].as_array().expect("init containers").clone();
    let container = containers.iter().find(|one| one["name"] == name).expect("the agent's").clone();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    (words(&container["command"]), words(&container["startupProbe"]["exec"]["command"]))
}

#[test]
fn the_manifests_are_valid_and_as_strict_as_can_be() {
    let files = ["plan", "init", "sidecar", "volume"].map(|name| format!("{ROOT}/deploy/kubernetes/{name}.yaml"));
    let mut validate = command(&python("kubernetes-validate"), &["--strict"]);
    validate.args(&files);
    let said = succeed(validate);
    assert!(!said.contains("FAIL"), "{said}");
    for name in ["init", "sidecar", "volume"] {
        let all = documents(&format!("kubernetes/{name}.yaml"));
        let pod = all.iter().find(|one| one["kind"] == "Deployment").expect("a deployment")["spec"]["template"]["spec"]
            .clone();
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        let both = [&pod["initContainers"], &pod["containers"]];
        for container in both.into_iter().flat_map(|list| list.as_array().expect("containers")) {
            let context = &container["securityContext"];
            let strict = json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
            assert_eq!(context, &strict, "{name} {}", container["name"]);
            let mounts = container["volumeMounts"].as_array().expect("mounts");
            let is_open = |mount: &&Value| mount["name"] == "secrets" && mount["readOnly"] != true;
            let writes = mounts.iter().any(|mount| is_open(&mount));
            assert_eq!(writes, container["image"].as_str().is_some_and(|image| image.contains("/chancery:")), "{name}");
        }
        for volume in pod["volumes"].as_array().expect("volumes").iter().filter(|one| !one["emptyDir"].is_null()) {
            assert_eq!(volume["emptyDir"]["medium"], "Memory", "{name}");
        }
    }
}

#[test]
fn an_init_container_has_all_there_or_says_what_lacks() {
    let mut house = house();
    let pod = Pod::new(&house, "kubernetes/plan.yaml", "reader.token");
    let (once, _) = commands("kubernetes/init.yaml", "secrets");
    let (code, said) = output(pod.run(&once));
    assert_eq!((code, pod.secret("db.env")), (Some(0), format!("USER=app\nPASSWORD={CANARY}\n")), "{said}");
    pod.assert_closed("db.env");
    // Who may not read them is refused; a server that is away is worth another try.
    let other = Pod::new(&house, "kubernetes/plan.yaml", "writer.token");
    let (code, said) = output(other.run(&once));
    assert!(code == Some(3) && said.contains("chy://prod/shop/db#password"), "{said}");
    house.kill();
    let (code, said) = output(Pod::new(&house, "kubernetes/plan.yaml", "reader.token").run(&once));
    assert!(code == Some(4) && said.contains("shop-db"), "{said}");
    assert!(other.secret("db.env").is_empty());
}

#[test]
fn a_sidecar_stays_and_its_probe_says_when_the_application_may_begin() {
    let house = house();
    let pod = Pod::new(&house, "kubernetes/plan.yaml", "reader.token");
    let (stays, probe) = commands("kubernetes/sidecar.yaml", "chancery-agent");
    let (code, said) = output(pod.run(&probe));
    assert!(code == Some(4) && said.contains("shop-db: not done yet"), "{said}");
    let _sidecar = Running(pod.run(&stays).stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
    assert!(until(PATIENCE, || output(pod.run(&probe)).0 == Some(0)), "{}", output(pod.run(&probe)).1);
    assert!(pod.secret("db.env").contains(CANARY));
    pod.assert_closed("db.env");
}

#[test]
fn a_volume_of_secrets_is_filled_by_the_pods_own_certificate() {
    let house = house();
    let pod = Pod::new(&house, "kubernetes/volume.yaml", "enrol.token");
    let (mut once, _) = commands("kubernetes/volume.yaml", "chancery-agent");
    once.push("--once".to_owned());
    let (code, said) = output(pod.run(&once));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!((pod.secret("db-user"), pod.secret("db-password")), ("app".to_owned(), CANARY.to_owned()));
    pod.assert_closed("db-password");
}

/// Each command of the examples, as the runner calls it: with what the example says of the environment, in the repository's folder.
#[test]
fn what_the_examples_for_pipelines_run_is_what_runs() {
    let house = house();
    let repository = house.path("repository");
    fs::create_dir(&repository).expect("a folder");
    let needs = "environments = [\"prod\"]\n[need.DB_PASSWORD]\nreference = \"chy://{env}/shop/db#password\"\n";
    fs::write(repository.join(".chancery.toml"), needs).expect("a file");
    fs::copy(house.ca("roots.pem"), repository.join("roots.pem")).expect("the roots");
    let deploy = repository.join("deploy.sh");
    fs::write(&deploy, "#!/bin/sh\ncat \"$DB_PASSWORD\" | sha256sum > deployed; cat \"$DB_PASSWORD\"\n")
        .expect("a script");
    fs::set_permissions(&deploy, fs::Permissions::from_mode(0o755)).expect("mode");
    let github = documents("ci/github-actions.yml").remove(0);
    let gitlab = documents("ci/gitlab-ci.yml").remove(0);
    let job = &github["jobs"]["deploy"];
    let steps = job["steps"].as_array().expect("steps").iter().filter_map(|step| step["run"].as_str());
    let scripts =
        ["needs-are-there", "deploy"].map(|name| gitlab[name]["script"].as_array().expect("a script").clone());
    let lines = scripts.iter().flatten().filter_map(Value::as_str);
    let all: Vec<(&Value, &str)> =
        steps.map(|line| (&job["env"], line)).chain(lines.map(|line| (&gitlab["variables"], line))).collect();
    assert_eq!(all.iter().filter(|(_, line)| line.starts_with("chancery run ")).count(), 2, "{all:?}");
    let token = fs::read_to_string(house.path("reader.token")).expect("a token");
    for (variables, line) in all {
        let _ = fs::remove_file(repository.join("deployed"));
        let mut run = command("sh", &["-euc", line]);
        let path = format!("{}:/usr/bin:/bin", Path::new(BINARY).parent().expect("a folder").display());
        run.current_dir(&repository).env_clear().env("PATH", path).env("HOME", &repository);
        for (name, value) in variables.as_object().expect("variables") {
            run.env(name, value.as_str().expect("text"));
        }
        run.env("CHANCERY_TOKEN", token.trim()).env("CHANCERY_URL", house.https(""));
        let (code, said) = output(run);
        assert_eq!(code, Some(0), "{line}: {said}");
        // The program had it, and the job's log has not.
        assert!(!said.contains(CANARY), "{line}: {said}");
        assert_eq!(repository.join("deployed").exists(), line.starts_with("chancery run "), "{line}");
    }
}
