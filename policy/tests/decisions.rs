//! Claims about decisions: what is granted, what is refused, and what a refusal says.

use std::collections::BTreeSet;

use chancery_policy::{
    Action, Actor, Demand, MAX_NAMES, Method, Name, Owner, OwnerRules, Policies, PolicyError, Principal, Proof,
    Refusal, Resource, ResourceKind, Role, SecondFactor,
};

fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| Name::parse(text).unwrap()).collect()
}

fn tls(of: &str, texts: &[&str]) -> Resource {
    Resource::certificate(Some(owner(of)), "tls-server", names(texts))
}

fn actor(roles: &[Role], owners: &[&str]) -> Actor {
    Actor {
        id: "token:0011".to_owned(),
        roles: roles.iter().copied().collect(),
        owners: owners.iter().map(|name| owner(name)).collect(),
        scopes: None,
        proof: Proof::Token { id: "0011".to_owned() },
        second_factor: None,
    }
}

fn rules() -> Vec<OwnerRules> {
    let rules = |name: &str, dns: &str, principal: &str| OwnerRules {
        dns: vec![dns.to_owned()],
        ip: vec!["127.0.0.0/8".to_owned()],
        principals: vec![principal.to_owned()],
        ..OwnerRules::none(owner(name))
    };
    vec![rules("web", "*.example.internal", "deploy"), rules("db", "*.db.internal", "*")]
}

fn shipped() -> Vec<(String, String)> {
    Policies::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn policies() -> Policies {
    Policies::load(&shipped(), rules()).unwrap()
}

fn with(extra: &str) -> Result<Policies, PolicyError> {
    let mut texts = shipped();
    texts.push(("zz-extra.cedar".to_owned(), extra.to_owned()));
    Policies::load(&texts, rules())
}

fn refused(policies: &Policies, actor: &Actor, action: Action, resource: &Resource) -> Refusal {
    policies.decide(actor, action, resource).expect_err("refused")
}

#[test]
fn a_grant_says_who_may_do_what_by_which_rule_of_which_policies() {
    let policies = policies();
    let issuer = actor(&[Role::Issuer], &["web"]);
    let resource = tls("web", &["www.example.internal", "127.0.0.1"]);
    let grant = policies.decide(&issuer, Action::IssueCertificate, &resource).unwrap();
    assert_eq!((grant.actor(), grant.action(), grant.resource()), (&issuer, Action::IssueCertificate, &resource));
    assert_eq!((grant.rule(), grant.policy_hash()), ("issuer", policies.hash()));
}

#[test]
fn a_refusal_says_in_one_sentence_what_was_missing() {
    let policies = policies();
    let web = tls("web", &["www.example.internal"]);
    let plain = Resource::plain;
    let ssh = |of: &str, who: &str| Resource::ssh(Some(owner(of)), vec![Principal::parse(who).unwrap()], "ssh-user");
    let code = Resource { profile: Some("code-signing".to_owned()), ..web.clone() };
    let mut scoped = actor(&[Role::Issuer], &["web"]);
    scoped.scopes = Some(BTreeSet::from([Action::ReadCertificate, Action::RenewCertificate]));
    let acme = Actor { proof: Proof::AcmeKey { thumbprint: "t".to_owned() }, ..actor(&[Role::AcmeClient], &["web"]) };
    use Action::*;
    let table = [
        (
            actor(&[Role::Auditor], &["web"]),
            IssueCertificate,
            web.clone(),
            "the role admin or issuer or agent (it has auditor)",
        ),
        (
            actor(&[], &[]),
            IssueCertificate,
            web.clone(),
            "the role admin, or the role issuer or agent for owner web (it has no role)",
        ),
        (
            actor(&[Role::Issuer], &["db"]),
            IssueCertificate,
            web.clone(),
            "it does not belong to owner web (it belongs to db)",
        ),
        (
            actor(&[Role::Issuer], &[]),
            RevokeCertificate,
            web.clone(),
            "it does not belong to owner web (it belongs to none)",
        ),
        (
            actor(&[Role::Issuer], &["web"]),
            IssueCertificate,
            tls("web", &["www.example.internal", "www.elsewhere", "192.0.2.1"]),
            "dns:www.elsewhere, ip:192.0.2.1 is outside the name rules of owner web",
        ),
        (
            actor(&[Role::Admin], &[]),
            IssueCertificate,
            Resource::certificate(None, "tls-server", names(&["www.example.internal"])),
            "dns:www.example.internal is outside the name rules of owner (none)",
        ),
        (
            actor(&[Role::Admin], &[]),
            IssueCertificate,
            tls("nobody-configured", &["www.example.internal"]),
            "dns:www.example.internal is outside the name rules of owner nobody-configured, which the configuration does not have",
        ),
        (
            actor(&[Role::SshUser], &["web"]),
            SignSshUser,
            ssh("web", "root"),
            "root is outside the name rules of owner web",
        ),
        (
            scoped,
            IssueCertificate,
            web.clone(),
            "the scopes of its token (renew-certificate, read-certificate) do not include issue-certificate",
        ),
        (actor(&[Role::Agent], &["web"]), IssueCertificate, code, "the role admin or issuer (it has agent)"),
        (acme.clone(), IssueCertificate, web.clone(), "control of dns:www.example.internal is not proven"),
        (
            actor(&[Role::System], &[]),
            ManageAuthority,
            plain(ResourceKind::Authority),
            "the role admin (it has system)",
        ),
        (
            actor(&[Role::System, Role::Admin], &[]),
            ManageAuthority,
            plain(ResourceKind::Authority),
            "the role system belongs to the service itself and cannot be carried by a token",
        ),
        (
            actor(&[Role::Issuer], &["web"]),
            ReadAudit,
            plain(ResourceKind::Audit),
            "the role admin or auditor (it has issuer)",
        ),
        (
            actor(&[Role::Admin], &[]),
            SignSshHost,
            Resource::ssh(Some(owner("web")), vec![], "ssh-host"),
            "an SSH certificate needs at least one principal",
        ),
    ];
    for (actor, action, resource, says) in table {
        assert_eq!(refused(&policies, &actor, action, &resource).missing, says);
    }
}

#[test]
fn what_is_somebodys_secret_is_refused_with_the_right_that_is_lacking_and_without_a_word_of_whose_it_is() {
    let policies = policies();
    use Action::*;
    let (secret, key) = (Resource::secret(None, "prod/db"), Resource::transit_key(None, "cards"));
    let (reader, writer) = (actor(&[Role::SecretReader], &["web"]), actor(&[Role::SecretWriter], &["web"]));
    let user = actor(&[Role::TransitUser], &["web"]);
    for (actor, action, resource, says) in [
        (
            &writer,
            ReadSecret,
            &secret,
            "the role admin, or the role secret-reader for its owner (it has secret-writer)",
        ),
        (
            &reader,
            WriteSecret,
            &secret,
            "the role admin, or the role secret-writer for its owner (it has secret-reader)",
        ),
        (
            &reader,
            LeaseSecret,
            &secret,
            "the role admin, or the role secret-leaser for its owner (it has secret-reader)",
        ),
        (&reader, DestroySecret, &secret, "the role admin (it has secret-reader)"),
        (&reader, ReadSecret, &secret, "it does not belong to the owner of what it asks for (it belongs to web)"),
        (&user, TransitSign, &key, "it does not belong to the owner of what it asks for (it belongs to web)"),
        (
            &user,
            ManageTransitKeys,
            &key,
            "the role admin, or the role transit-manager for its owner (it has transit-user)",
        ),
        (
            &reader,
            TransitDecrypt,
            &key,
            "the role admin, or the role transit-user for its owner (it has secret-reader)",
        ),
        (&user, DestroyTransitKey, &key, "the role admin (it has transit-user)"),
    ] {
        assert_eq!(refused(&policies, actor, action, resource).missing, says, "{action}");
    }
    let nobodys = actor(&[Role::SecretReader], &[]);
    let says = "it does not belong to the owner of what it asks for (it belongs to none)";
    assert_eq!(refused(&policies, &nobodys, ReadSecret, &secret).missing, says);
}

#[test]
fn a_file_of_policies_that_forbids_is_named_to_whoever_had_the_right_without_it() {
    let frozen =
        "forbid (principal, action == Action::\"read-secret\", resource) when { resource.path like \"prod/*\" };";
    let policies = with(frozen).unwrap();
    let reader = actor(&[Role::SecretReader], &["web"]);
    for whose in [Some(owner("web")), None] {
        let refusal = refused(&policies, &reader, Action::ReadSecret, &Resource::secret(whose, "prod/db"));
        assert_eq!(refusal.missing, "policy zz-extra forbids it, whatever roles it has");
        assert_eq!(refusal.rule.as_deref(), Some("zz-extra"));
    }
    // Who could not anyway learns nothing of it.
    let writer = actor(&[Role::SecretWriter], &["web"]);
    let refusal = refused(&policies, &writer, Action::ReadSecret, &Resource::secret(None, "prod/db"));
    assert_eq!((refusal.rule, refusal.missing.contains("zz-extra")), (None, false));
}

#[test]
fn a_refusal_names_actor_act_and_rule() {
    let refusal =
        refused(&policies(), &actor(&[Role::Admin], &[]), Action::IssueCertificate, &tls("web", &["www.elsewhere"]));
    assert_eq!(refusal.rule.as_deref(), Some("names"));
    assert_eq!(
        refusal.to_string(),
        "token:0011 may not issue-certificate: dns:www.elsewhere is outside the name rules of owner web"
    );
}

#[test]
fn who_is_one_of_many_is_not_told_that_he_heard_the_reason() {
    let policies = policies();
    let briefly = |action| {
        let (nobody, on) = (actor(&[], &["web"]), tls("web", &["a.example.internal"]));
        policies.decide_briefly(&nobody, action, &on).expect_err("refused")
    };
    let brief = briefly(Action::IssueCertificate);
    assert_eq!(brief.missing, Refusal::BRIEFLY);
    let told = brief.clone().among_many();
    assert_eq!(told, Refusal { missing: Refusal::AMONG_MANY.to_owned(), ..brief });
    assert!(!told.missing.contains("the first refusals had it"), "{}", told.missing);
    // What nobody had to look for is told to each.
    let many = (0..=MAX_NAMES).map(|n| Name::parse(&format!("n{n}.example.internal")).unwrap()).collect();
    let on = Resource::certificate(Some(owner("web")), "tls-server", many);
    let known = policies.decide_briefly(&actor(&[], &["web"]), Action::IssueCertificate, &on).expect_err("refused");
    assert_eq!(known.clone().among_many(), known);
}

#[test]
fn who_may_not_ask_learns_nothing_of_an_owners_rules() {
    let policies = policies();
    let stranger = actor(&[Role::Auditor], &["db"]);
    let inside = refused(&policies, &stranger, Action::IssueCertificate, &tls("web", &["www.example.internal"]));
    let outside = refused(&policies, &stranger, Action::IssueCertificate, &tls("web", &["www.elsewhere"]));
    assert_eq!((inside.missing, inside.rule), (outside.missing, outside.rule));
}

#[test]
fn stronger_authentication_is_named_where_a_policy_wants_it() {
    let strict: Vec<(String, String)> = vec![(
        "revoke.cedar".to_owned(),
        r#"permit (principal, action == Action::"revoke-certificate", resource)
           when { principal.roles.contains("operator") && principal.strength != "bearer" };"#
            .to_owned(),
    )];
    let policies = Policies::load(&strict, rules()).unwrap();
    let resource = tls("web", &["www.example.internal"]);
    let operator = actor(&[Role::Operator], &[]);
    let refusal = refused(&policies, &operator, Action::RevokeCertificate, &resource);
    assert_eq!(refusal.missing, "stronger authentication than a token: a client certificate");
    let by_certificate =
        Actor { proof: Proof::ClientCertificate { serial: "01".to_owned(), names: BTreeSet::new() }, ..operator };
    assert!(policies.decide(&by_certificate, Action::RevokeCertificate, &resource).is_ok());
    let nobody = refused(&policies, &actor(&[], &[]), Action::RevokeCertificate, &resource);
    assert_eq!(nobody.missing, "the role operator with a client certificate (it has no role)");
    let nothing = refused(&policies, &operator_like(), Action::SignCode, &Resource::code_key(Some(owner("web")), "k"));
    assert_eq!(nothing.missing, "no policy permits sign-code on a code-key of owner web");
}

#[test]
fn a_client_certificate_gets_another_for_its_own_names_alone() {
    let policies = policies();
    let own = Name::parse("www.example.internal").unwrap();
    let proof = Proof::ClientCertificate { serial: "01".to_owned(), names: BTreeSet::from([own]) };
    let host = Actor { proof, ..actor(&[Role::Agent], &["web"]) };
    let login = |name: &str| Resource { profile: Some("tls-client".to_owned()), ..tls("web", &[name]) };
    for action in [Action::IssueCertificate, Action::RenewCertificate] {
        assert!(policies.decide(&host, action, &login("www.example.internal")).is_ok());
        let refusal = refused(&policies, &host, action, &login("db.example.internal"));
        let wanted =
            "a token: dns:db.example.internal is not in the client certificate, which asks for its own names here";
        assert_eq!(refusal.missing, wanted);
        assert!(policies.decide(&host, action, &tls("web", &["db.example.internal"])).is_ok(), "servers of its owner");
        let enrols = actor(&[Role::Agent], &["web"]);
        assert!(policies.decide(&enrols, action, &login("db.example.internal")).is_ok(), "a token enrols any host");
    }
    assert!(policies.decide(&host, Action::ReadCertificate, &login("db.example.internal")).is_ok());
}

fn operator_like() -> Actor {
    actor(&[Role::Operator], &["web"])
}

#[test]
fn a_wildcard_needs_a_rule_for_everything_below_it() {
    let policies = policies();
    let issuer = actor(&[Role::Issuer], &["web"]);
    for (name, granted) in [
        ("*.example.internal", true),
        ("*.a.example.internal", true),
        ("example.internal", false),
        ("*.b.internal", false),
        ("*.badexample.internal", false),
    ] {
        let decision = policies.decide(&issuer, Action::IssueCertificate, &tls("web", &[name]));
        assert_eq!(decision.is_ok(), granted, "{name}");
    }
}

#[test]
fn one_name_outside_refuses_all() {
    let policies = policies();
    let issuer = actor(&[Role::Issuer], &["web"]);
    let mut all: Vec<String> = (1..MAX_NAMES).map(|n| format!("n{n}.example.internal")).collect();
    let texts = |all: &[String]| tls("web", &all.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(policies.decide(&issuer, Action::IssueCertificate, &texts(&all)).is_ok());
    all.push("www.elsewhere".to_owned());
    assert!(policies.decide(&issuer, Action::IssueCertificate, &texts(&all)).is_err());
}

#[test]
fn more_than_a_hundred_names_are_refused_even_to_an_administrator() {
    let many: Vec<String> = (0..=MAX_NAMES).map(|n| format!("n{n}.example.internal")).collect();
    let resource = tls("web", &many.iter().map(String::as_str).collect::<Vec<_>>());
    let refusal = refused(&policies(), &actor(&[Role::Admin], &[]), Action::IssueCertificate, &resource);
    assert_eq!(refusal.missing, "a certificate has at most 100 names, this one has 101");
}

#[test]
fn what_is_no_longer_allowed_can_still_be_seen_and_revoked_but_not_renewed() {
    let policies = policies();
    let issuer = actor(&[Role::Issuer], &["web"]);
    let gone = tls("web", &["www.elsewhere"]);
    for (action, granted) in [
        (Action::ReadCertificate, true),
        (Action::RevokeCertificate, true),
        (Action::RenewCertificate, false),
        (Action::IssueCertificate, false),
    ] {
        assert_eq!(policies.decide(&issuer, action, &gone).is_ok(), granted, "{action}");
    }
    assert!(policies.decide(&Actor::system("renewal"), Action::RenewCertificate, &gone).is_err());
}

#[test]
fn ssh_hosts_are_held_to_names_and_ssh_users_to_accounts() {
    let policies = policies();
    let admin = actor(&[Role::Admin], &[]);
    let ssh = |of: &str, who: &str| Resource::ssh(Some(owner(of)), vec![Principal::parse(who).unwrap()], "ssh");
    for (action, of, who, granted) in [
        (Action::SignSshUser, "web", "deploy", true),
        (Action::SignSshUser, "web", "root", false),
        (Action::SignSshUser, "db", "root", true),
        (Action::SignSshUser, "web", "www.example.internal", false),
        (Action::SignSshHost, "web", "www.example.internal", true),
        (Action::SignSshHost, "web", "127.0.0.1", true),
        (Action::SignSshHost, "web", "deploy", false),
        // "*" is for accounts: it must not make every host db's.
        (Action::SignSshHost, "db", "www.example.internal", false),
    ] {
        assert_eq!(policies.decide(&admin, action, &ssh(of, who)).is_ok(), granted, "{action} {of} {who}");
    }
}

#[test]
fn every_name_of_an_acme_order_has_to_be_proven() {
    let policies = policies();
    let acme = Actor { proof: Proof::AcmeKey { thumbprint: "t".to_owned() }, ..actor(&[Role::AcmeClient], &["acme"]) };
    let order = |proven: &[&str]| tls("acme", &["a.lan", "b.lan"]).with_proven(names(proven).into_iter().collect());
    for (proven, granted) in [
        (&["a.lan", "b.lan"][..], true),
        (&["a.lan"], false),
        (&["a.lan", "a.lan", "c.lan"], false),
        // A proof for the zone is no proof for a name in it, and one type is not another.
        (&["a.lan", "*.b.lan"], false),
        (&["a.lan", "email:x@b.lan"], false),
        (&[], false),
    ] {
        let decision = policies.decide(&acme, Action::IssueCertificate, &order(proven));
        assert_eq!(decision.is_ok(), granted, "{proven:?}");
    }
    // The role in a token is worth nothing: there no account key has signed.
    let token = actor(&[Role::AcmeClient], &["acme"]);
    assert!(policies.decide(&token, Action::IssueCertificate, &order(&["a.lan", "b.lan"])).is_err());
}

#[test]
fn a_proven_name_helps_nobody_but_an_acme_account() {
    let policies = policies();
    let resource = tls("web", &["www.elsewhere"]).with_proven(names(&["www.elsewhere"]).into_iter().collect());
    for roles in [&[Role::Admin][..], &[Role::Issuer], &[Role::Agent], &[Role::Issuer, Role::AcmeClient]] {
        assert!(policies.decide(&actor(roles, &["web"]), Action::IssueCertificate, &resource).is_err(), "{roles:?}");
    }
}

#[test]
fn each_task_of_the_service_can_do_its_one_thing() {
    let policies = policies();
    let resource = |action| match action {
        Action::ManageAuthority => Resource::plain(ResourceKind::Authority),
        Action::ManageTokens => Resource::plain(ResourceKind::Token),
        _ => tls("web", &["www.example.internal"]),
    };
    for (task, may) in [
        ("renewal", &[Action::RenewCertificate][..]),
        ("server", &[Action::IssueCertificate, Action::RenewCertificate]),
        ("crl", &[Action::ManageAuthority]),
        ("ocsp", &[Action::ManageAuthority]),
        ("clock", &[Action::ManageAuthority]),
        ("init", &[Action::ManageTokens, Action::ManageAuthority]),
        ("anything-else", &[]),
    ] {
        for action in Action::ALL {
            let decision = policies.decide(&Actor::system(task), *action, &resource(*action));
            assert_eq!(decision.is_ok(), may.contains(action), "system:{task} {action}");
        }
    }
}

#[test]
fn without_a_policy_that_permits_there_is_no_grant() {
    let only_forbids = vec![("no".to_owned(), "forbid (principal, action, resource);".to_owned())];
    assert!(matches!(Policies::load(&only_forbids, vec![]), Err(PolicyError::Empty)));
    assert!(matches!(Policies::load(&[], vec![]), Err(PolicyError::Empty)));
}

#[test]
fn one_forbid_outweighs_every_permit_and_says_why() {
    let policies = with(
        r#"@missing("nobody signs code in the freeze, not even for {owner}")
           forbid (principal, action == Action::"sign-code", resource);"#,
    )
    .unwrap();
    let refusal = refused(
        &policies,
        &actor(&[Role::Admin], &[]),
        Action::SignCode,
        &Resource::code_key(Some(owner("web")), "release"),
    );
    assert_eq!(refusal.missing, "nobody signs code in the freeze, not even for web");
    assert_eq!(refusal.rule.as_deref(), Some("zz-extra"));
}

#[test]
fn a_policy_that_does_not_fit_is_refused_at_load_and_named() {
    for (text, says) in [
        ("permit (principal, action, resource", "zz-extra"),
        ("permit (principal, action, resource) when { principal.role == \"admin\" };", "`role`"),
        ("permit (principal, action, resource) when { principal.roles == \"admin\" };", "zz-extra"),
        ("permit (principal, action == Action::\"fly\", resource);", "fly"),
        ("permit (principal == User::\"a\", action, resource);", "User"),
        ("permit (principal == ?principal, action, resource);", "templates"),
        ("permit (principal, action, resource); permit (principal, action, resource);", "@id"),
        (
            "@id(\"a\") permit (principal, action, resource); @id(\"a\") permit (principal, action, resource);",
            "two policies are named a",
        ),
        ("@id(\"admin\") permit (principal, action, resource);", "two policies are named admin"),
    ] {
        let said = with(text).err().expect("refused").to_string();
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn the_hash_changes_with_anything_that_decides_and_with_nothing_else() {
    let base = policies().hash();
    let mut backwards = shipped();
    backwards.reverse();
    let mut rules_backwards = rules();
    rules_backwards.reverse();
    assert_eq!(Policies::load(&backwards, rules_backwards).unwrap().hash(), base, "order decides nothing");

    let mut hashes = BTreeSet::from([base]);
    let mut different = |texts: Vec<(String, String)>, rules: Vec<OwnerRules>, what: &str| {
        assert!(hashes.insert(Policies::load(&texts, rules).unwrap().hash()), "{what}");
    };
    let mut texts = shipped();
    texts[1].1.push(' ');
    different(texts, rules(), "one space in a policy");
    let mut texts = shipped();
    texts[1].0 = "administrator.cedar".to_owned();
    different(texts, rules(), "the name of a policy");
    different(shipped()[1..].to_vec(), rules(), "a policy less");
    different(shipped(), rules()[1..].to_vec(), "an owner less");
    for field in 0..4 {
        let mut changed = rules();
        let more = ["a.example", "10.0.0.0/8", "alice", "a@b.example"][field].to_owned();
        let first = &mut changed[0];
        [&mut first.dns, &mut first.ip, &mut first.principals, &mut first.email][field].push(more);
        different(shipped(), changed, "a rule more");
    }
    let mut other = rules();
    other[0].dns[0] = "*.example.external".to_owned();
    different(shipped(), other, "a rule changed");
    let mut moved = rules();
    let rule = moved[0].dns.pop().unwrap();
    moved[1].dns.push(rule);
    different(shipped(), moved, "a rule moved to another owner");
}

#[test]
fn two_rule_sets_for_one_owner_are_refused() {
    let twice = vec![rules().remove(0), rules().remove(0)];
    assert!(matches!(Policies::load(&shipped(), twice), Err(PolicyError::DuplicateOwner(name)) if name == "web"));
}

#[test]
fn owner_rules_are_read_strictly() {
    let read = |json: &str| serde_json::from_str::<OwnerRules>(json);
    assert_eq!(read(r#"{"name":"web","dns":["localhost"]}"#).unwrap().dns, ["localhost"]);
    for json in [r#"{"dns":[]}"#, r#"{"name":"Web"}"#, r#"{"name":"web","domains":[]}"#] {
        assert!(read(json).is_err(), "{json}");
    }
}

#[test]
fn every_shipped_policy_file_is_in_the_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("defaults");
    let on_disk: BTreeSet<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let shipped: BTreeSet<String> = Policies::shipped().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(on_disk, shipped);
}

#[test]
fn who_has_a_name_is_told_with_the_rule() {
    let policies = Policies::load(&shipped(), rules()).unwrap();
    let had = |text: &str| {
        let claims = policies.having(text).unwrap().into_iter();
        claims.map(|claim| format!("{} {} {}", claim.owner, claim.field, claim.rule)).collect::<Vec<_>>()
    };
    assert_eq!(had("www.example.internal"), ["db principals *", "web dns *.example.internal"]);
    assert_eq!(had("dns:www.example.internal"), ["web dns *.example.internal"]);
    assert_eq!(had("127.0.0.9")[..2], ["db ip 127.0.0.0/8", "db principals *"]);
    assert_eq!(had("deploy"), ["db principals *", "web principals deploy"]);
    assert!(had("dns:www.elsewhere").is_empty());
    assert!(policies.having("a b").is_err());
}

fn stepped_up(actor: &Actor, age_secs: u64) -> Actor {
    Actor { second_factor: Some(SecondFactor { method: Method::Totp, age_secs }), ..actor.clone() }
}

#[test]
fn an_administrator_proves_a_second_factor_where_it_is_demanded_and_nobody_else_does() {
    let policies = policies().demanding(Demand::within(900).unwrap());
    let (admin, tokens) = (actor(&[Role::Admin], &[]), Resource::plain(ResourceKind::Token));
    let refusal = refused(&policies, &admin, Action::ManageTokens, &tokens);
    assert_eq!((refusal.rule.as_deref(), refusal.step_up), (Some(Demand::RULE), true));
    assert_eq!(refusal.missing, "a second factor, proved within the last 15 minutes");
    assert!(refused(&policies, &stepped_up(&admin, 901), Action::ManageTokens, &tokens).step_up, "too old");
    assert!(policies.decide(&stepped_up(&admin, 900), Action::ManageTokens, &tokens).is_ok());
    // A scope is a narrower administrator, and one all the same; a client certificate is one factor too.
    let scoped = Actor { scopes: Some([Action::ManageTokens].into()), ..admin.clone() };
    assert!(refused(&policies, &scoped, Action::ManageTokens, &tokens).step_up);
    let proof = Proof::ClientCertificate { serial: "01".to_owned(), names: BTreeSet::new() };
    assert!(refused(&policies, &Actor { proof, ..admin.clone() }, Action::ManageTokens, &tokens).step_up);
    // What looks, and what ends a certificate, waits for no telephone.
    for (action, on) in [
        (Action::ReadAudit, Resource::plain(ResourceKind::Audit)),
        (Action::RevokeCertificate, tls("web", &["www.example.internal"])),
        (Action::IssueCertificate, tls("web", &["www.example.internal"])),
        (Action::ListSecrets, Resource::secret(Some(owner("web")), "a")),
    ] {
        assert!(policies.decide(&admin, action, &on).is_ok(), "{action}");
    }
    // Machines and everybody else do as before.
    let secret = Resource::secret(Some(owner("web")), "a");
    assert!(policies.decide(&actor(&[Role::SecretReader], &["web"]), Action::ReadSecret, &secret).is_ok());
    assert!(policies.decide(&Actor::system("init"), Action::ManageTokens, &tokens).is_ok());
    // Who may not anyway is not sent for his telephone, and no second factor makes a right.
    let issuer = actor(&[Role::Issuer], &["web"]);
    let plain = refused(&policies, &stepped_up(&issuer, 0), Action::ManageTokens, &tokens);
    assert!(!plain.step_up && !refused(&policies, &issuer, Action::ManageTokens, &tokens).step_up);
}

#[test]
fn what_is_demanded_is_in_the_hash_and_nowhere_else() {
    let (off, on) = (policies(), policies().demanding(Demand::within(900).unwrap()));
    assert_ne!(off.hash(), on.hash());
    assert_ne!(on.hash(), policies().demanding(Demand::within(600).unwrap()).hash());
    assert!(on.text().ends_with(",\"second_factor\":{\"age_secs_max\":900}}"), "{}", on.text());
    assert!(serde_json::from_str::<serde_json::Value>(on.text()).is_ok());
    assert!(Demand::within(Demand::AGE_SECS_MIN - 1).is_none() && Demand::within(Demand::AGE_SECS_MAX + 1).is_none());
}

#[test]
fn a_policy_of_the_house_may_ask_for_a_younger_second_factor_of_anybody() {
    let fresh = "@id(\"fresh\")\n@missing(\"a code of the last five minutes\")\nforbid (principal, action == Action::\"destroy-secret\", resource)\n\
                 unless { context.mfa && context.mfa_secs_ago <= 300 };\n\
                 @id(\"destroyer\")\npermit (principal, action == Action::\"destroy-secret\", resource)\n\
                 when { principal.roles.contains(\"secret-writer\") };";
    let policies = with(fresh).unwrap();
    let (writer, secret) = (actor(&[Role::SecretWriter], &["web"]), Resource::secret(Some(owner("web")), "a"));
    for (who, may) in [(writer.clone(), false), (stepped_up(&writer, 241), true), (stepped_up(&writer, 301), false)] {
        match policies.decide(&who, Action::DestroySecret, &secret) {
            Ok(_) => assert!(may),
            Err(refusal) => {
                assert!(!may && refusal.step_up, "{refusal}");
                assert_eq!(refusal.missing, "a code of the last five minutes");
            }
        }
    }
    // Asked again within the same minute, and after it: what is remembered is of the same question alone.
    assert!(policies.decide(&stepped_up(&writer, 299), Action::DestroySecret, &secret).is_ok());
    assert!(policies.decide(&stepped_up(&writer, 361), Action::DestroySecret, &secret).is_err());
}
