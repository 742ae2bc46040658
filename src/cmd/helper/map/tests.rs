use super::*;

const GOOD: &str = r#"
environments = ["dev", "prod"]
default = "dev"
[[git]]
url = "https://git.example.internal"
username = "deploy"
password = "chy://{env}/git#token"
[[docker]]
registry = "registry.example.internal:5000"
username = "chy://{env}/registry#username"
password = "chy://{env}/registry#password"
store = true
[[ssh]]
key = "/home/app/.ssh/id_ed25519"
secret = "chy://{env}/ssh#passphrase"
[[pgpass]]
host = "db.example.internal"
username = "shop"
password = "chy://{env}/db#password"
[[mycnf]]
username = "shop"
password = "chy://{env}/maria#password"
[[netrc]]
machine = "files.example.internal"
username = "shop"
password = "chy://{env}/files#password"
[[credential]]
unit = "shop.service"
name = "db-password"
reference = "chy://{env}/db#password"
"#;

#[test]
fn one_file_serves_every_helper_and_environment() {
    let of = |said: Option<&str>| Map::read(GOOD, said).unwrap().git[0].password.to_string();
    assert_eq!((of(None), of(Some("prod"))), ("chy://dev/git#token".to_owned(), "chy://prod/git#token".to_owned()));
    assert!(Map::read(GOOD, Some("test")).unwrap_err().contains("no environment"));
    assert!(Map::read("", Some("prod")).is_ok(), "a file without environments has nothing to choose");
    let map = Map::read(GOOD, None).unwrap();
    assert!(map.docker[0].store && !map.git[0].store);
    assert_eq!(map.pgpass[0].port, 5432);
}

#[test]
fn a_mistake_is_said_by_its_entry_and_no_value_is_said_again() {
    for (from, to, word) in [
        ("chy://{env}/git#token", "hunter2-CANARY", "[[git]] number 1: a secret is a reference"),
        ("https://git.example.internal", "http://git.example.internal", "in clear"),
        ("https://git.example.internal", "https://*.example.internal", "is no host"),
        ("registry.example.internal:5000", "http://registry", "[[docker]] number 1"),
        ("/home/app/.ssh/id_ed25519", "id_ed25519", "absolute path"),
        ("host = \"db.example.internal\"", "host = \"*\"", "[[pgpass]] number 1"),
        ("username = \"deploy\"", "username = \"de\\nploy\"", "control characters"),
        ("machine = \"files", "machine = \"files:21", "[[netrc]] number 1"),
        ("unit = \"shop.service\"", "unit = \"shop\"", "app.service"),
        ("name = \"db-password\"", "name = \"../db\"", "[[credential]] number 1"),
        ("store = true", "strore = true", "strore"),
        ("key = ", "login = \"a@b\"\nkey = ", "say one of"),
    ] {
        let said = Map::read(&GOOD.replacen(from, to, 1), None).unwrap_err();
        assert!(said.contains(word) && !said.contains("CANARY"), "{to}: {said}");
    }
    let long = format!("[[ssh]]\nkey = \"/{}\"\nsecret = \"chy://a\"\n", "k".repeat(100));
    assert!(Map::read(&long, None).unwrap_err().contains("shortens"));
    let many = "[[credential]]\nunit = \"a.service\"\nname = \"a\"\nreference = \"chy://a\"\n".repeat(1025);
    assert!(Map::read(&many, None).unwrap_err().contains("1024 at most"));
}

/// What the page and the unit's folder show is what the program takes.
#[test]
fn the_examples_can_be_used() {
    let page = include_str!("../../../../docs/HELPERS.md");
    let blocks: Vec<&str> = page.split("```").skip(1).step_by(2).collect();
    let examples: Vec<&str> = blocks.iter().filter_map(|block| block.strip_prefix("toml\n")).collect();
    assert!(!examples.is_empty());
    for example in examples {
        Map::read(example, None).unwrap_or_else(|why| panic!("{why}: {example}"));
    }
}
