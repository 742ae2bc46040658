//! Claims about actors that are alike: what is decided of one of them holds of all, and whoever a policy names stands alone.

use std::collections::{BTreeSet, HashSet};

use chancery_policy::{
    Action, Actor, Demand, Method, Owner, OwnerRules, Policies, Proof, Resource, Role, SecondFactor,
};

fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

fn with(extra: &str) -> Policies {
    let mut texts: Vec<(String, String)> =
        Policies::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    if !extra.is_empty() {
        texts.push(("zz-extra.cedar".to_owned(), extra.to_owned()));
    }
    Policies::load(&texts, vec![OwnerRules::none(owner("web")), OwnerRules::none(owner("db"))]).unwrap()
}

fn token(name: &str, role: Role, of: &str) -> Actor {
    Actor {
        id: format!("token:{name}"),
        roles: BTreeSet::from([role]),
        owners: BTreeSet::from([owner(of)]),
        scopes: None,
        proof: Proof::Token { id: name.to_owned() },
        second_factor: None,
    }
}

fn sorts(policies: &Policies, actors: &[Actor]) -> usize {
    actors.iter().map(|actor| policies.alike(actor, Action::ReadSecret)).collect::<HashSet<_>>().len()
}

#[test]
fn a_thousand_readers_of_an_owner_are_one_sort() {
    let actors: Vec<Actor> = (0..1_000).map(|n| token(&format!("n{n}"), Role::SecretReader, "web")).collect();
    assert_eq!(sorts(&with(""), &actors), 1);
    let others = [
        token("a", Role::SecretWriter, "web"),
        token("b", Role::SecretReader, "db"),
        Actor { scopes: Some(BTreeSet::from([Action::ListSecrets])), ..token("c", Role::SecretReader, "web") },
        Actor { proof: Proof::System, ..token("d", Role::SecretReader, "web") },
        Actor {
            second_factor: Some(SecondFactor { method: Method::Totp, age_secs: 0 }),
            ..token("e", Role::SecretReader, "web")
        },
    ];
    assert_eq!(sorts(&with(""), &[&actors[..2], &others[..]].concat()), 6);
}

#[test]
fn whoever_a_policy_names_stands_alone_and_where_it_might_name_anybody_everybody_does() {
    let actors: Vec<Actor> = ["ci", "cd", "x", "y"].map(|name| token(name, Role::SecretReader, "web")).into();
    let read =
        |when: &str| format!("permit (principal, action == Action::\"read-secret\", resource) when {{ {when} }};");
    for (expected, extra) in [
        (1, read("principal.roles.contains(\"auditor\") && principal.proof == \"token\"")),
        (1, read("resource.path like \"prod/*\"")),
        (2, read("principal.id == \"token:ci\"")),
        (2, read("\"token:ci\" != principal[\"id\"]")),
        (2, read("principal == Actor::\"token:ci\"")),
        (3, read("[\"token:ci\", \"token:cd\"].contains(principal.id)")),
        (2, "forbid (principal == Actor::\"token:ci\", action, resource);".to_owned()),
        (
            1,
            "forbid (principal is Actor, action == Action::\"read-secret\", resource) when { context.mfa };".to_owned(),
        ),
        (4, read("principal.id like \"token:c*\"")),
        (4, read("resource.path == principal.id")),
        (4, read("{\"Value\": principal.id}.Value == \"token:ci\"")),
        (4, read("if principal.id like \"*x\" then true else false")),
        // Of another action's policy nothing is heard here.
        (1, read("principal.id like \"token:c*\"").replace("read-secret", "write-secret")),
    ] {
        assert_eq!(sorts(&with(&extra), &actors), expected, "{extra}");
    }
}

#[test]
fn who_is_alike_gets_the_same_answer_and_it_is_the_decisions() {
    let extra = "@id(\"ci\") permit (principal, action == Action::\"read-secret\", resource) when { principal.id == \
                 \"token:ci\" && resource.path like \"prod/*\" };\n\
                 @id(\"no\") forbid (principal == Actor::\"token:x\", action, resource) when { resource.owner == \"db\" };\n\
                 @id(\"asks\") forbid (principal, action == Action::\"read-secret\", resource) when { resource.path == \
                 \"prod/most\" && !context.mfa };";
    let policies = with(extra).demanding(Demand::within(900).unwrap());
    let mut actors = Vec::new();
    for role in Role::ALL {
        for name in ["ci", "x", "y", "z"] {
            for of in ["web", "db"] {
                let plain = token(name, *role, of);
                let proved = SecondFactor { method: Method::Totp, age_secs: 1 };
                let narrow = Some(BTreeSet::from([Action::ReadSecret]));
                actors.push(Actor { second_factor: Some(proved), ..plain.clone() });
                actors.push(Actor { scopes: narrow, ..plain.clone() });
                actors.push(plain);
            }
        }
    }
    let on: Vec<Resource> = ["web", "db", "zoo"]
        .into_iter()
        .flat_map(|of| ["prod/most", "prod/a", "dev/a"].map(|path| Resource::secret(Some(owner(of)), path)))
        .collect();
    for action in [Action::ReadSecret, Action::ListSecrets, Action::DestroySecret] {
        let mut answers = std::collections::HashMap::new();
        for actor in &actors {
            let says: Vec<bool> = on.iter().map(|on| policies.permits(actor, action, on)).collect();
            let decided: Vec<bool> = on.iter().map(|on| policies.decide(actor, action, on).is_ok()).collect();
            assert_eq!(says, decided, "{actor:?} {action}");
            let first = answers.entry(policies.alike(actor, action)).or_insert_with(|| says.clone());
            assert_eq!(*first, says, "{actor:?} {action}");
        }
        assert!(answers.len() < actors.len(), "{action}");
    }
}
