//! Who may do what under the shipped policies, as a table that a reviewer must see change: role x proof x action x resource.
//!
//! `UPDATE_GOLDEN=1 cargo test -p chancery-policy --test authz_matrix` rewrites `tests/authz_matrix.golden`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use chancery_policy::{
    Action, Actor, Demand, Method, Name, Owner, OwnerRules, Policies, Principal, Proof, Refusal, Resource,
    ResourceKind, Role, SecondFactor,
};

#[test]
fn the_shipped_policies_grant_what_the_golden_matrix_says() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/authz_matrix.golden");
    let now = matrix();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&golden).unwrap();
    let first = committed.lines().zip(now.lines()).find(|(old, new)| old != new);
    assert!(committed == now, "the matrix changed (UPDATE_GOLDEN=1 rewrites it), first at: {first:#?}");
}

/// The columns. "proven" is the case "outside" with every name proven by ACME.
const CASES: [&str; 5] = ["own", "other", "no-owner", "outside", "proven"];

fn matrix() -> String {
    let (mut out, policies) = (String::from(HEADER), policies());
    subjects().iter().for_each(|subject| write_table(&mut out, &policies, subject, &subject.id));
    // The administrator as `init` leaves him: a second factor is demanded, and was not proved.
    let demanding = policies.demanding(Demand::within(Demand::AGE_SECS).unwrap());
    let admin = subjects().swap_remove(0);
    write_table(&mut out, &demanding, &admin, "admin, a second factor being demanded");
    let second_factor = Some(SecondFactor { method: Method::Totp, age_secs: u64::from(Demand::AGE_SECS) });
    let proved = Actor { second_factor, ..admin };
    write_table(&mut out, &demanding, &proved, "admin, a second factor being demanded and proved");
    out
}

fn write_table(out: &mut String, policies: &Policies, subject: &Actor, title: &str) {
    writeln!(out, "\n{title}").unwrap();
    writeln!(out, "{}", row("", "", &CASES.map(str::to_owned))).unwrap();
    for action in Action::ALL {
        for (proofs, cells) in rows(policies, subject, *action) {
            writeln!(out, "{}", row(action.as_str(), &proofs, &cells)).unwrap();
        }
    }
}

/// Proofs that fare the same share a row.
fn rows(policies: &Policies, subject: &Actor, action: Action) -> Vec<(String, [String; 5])> {
    let mut rows: Vec<(String, [String; 5])> = Vec::new();
    for proof in proofs() {
        let actor = Actor { proof, ..subject.clone() };
        let cells = CASES.map(|case| cell(policies.decide(&actor, action, &resource(action, case)).as_ref()));
        let kind = format!("{} ({})", actor.proof.kind(), actor.proof.strength());
        match rows.iter_mut().find(|(_, same)| *same == cells) {
            Some((kinds, _)) => write!(kinds, ", {kind}").unwrap(),
            None => rows.push((kind, cells)),
        }
    }
    if let [(kinds, _)] = rows.as_mut_slice() {
        *kinds = "any".to_owned();
    }
    rows
}

fn cell(decision: Result<&chancery_policy::Grant, &Refusal>) -> String {
    match decision {
        Ok(grant) => grant.rule().to_owned(),
        Err(Refusal { rule: Some(rule), .. }) => format!("- {rule}"),
        Err(Refusal { rule: None, .. }) => "-".to_owned(),
    }
}

fn row(action: &str, proofs: &str, cells: &[String; 5]) -> String {
    let [own, other, none, outside, proven] = cells;
    let line = format!("  {action:19} {own:22} {other:22} {none:22} {outside:22} {proven:22} {proofs}");
    line.trim_end().to_owned()
}

fn subjects() -> Vec<Actor> {
    let by_role = Role::ALL.iter().map(|role| Actor {
        id: role.to_string(),
        roles: BTreeSet::from([*role]),
        owners: BTreeSet::from([owner("web")]),
        scopes: None,
        proof: Proof::System,
        second_factor: None,
    });
    let tasks = ["renewal", "server", "crl", "ocsp", "clock", "init", "key-proof", "rotation", "recovery", "transit"]
        .map(Actor::system);
    let nobody = Actor { id: "no role".to_owned(), roles: BTreeSet::new(), ..Actor::system("nobody") };
    by_role.chain(tasks).chain([nobody]).collect()
}

fn proofs() -> [Proof; 4] {
    [
        Proof::Token { id: "0011223344556677".to_owned() },
        Proof::ClientCertificate {
            serial: "0101aa".to_owned(),
            names: BTreeSet::from([Name::parse("host.example.internal").unwrap()]),
        },
        Proof::AcmeKey { thumbprint: "thumb".to_owned() },
        Proof::System,
    ]
}

fn resource(action: Action, case: &str) -> Resource {
    let owner = match case {
        "other" => Some(owner("db")),
        "no-owner" => None,
        _ => Some(owner("web")),
    };
    let outside = matches!(case, "outside" | "proven");
    let name = Name::parse(if outside { "www.elsewhere" } else { "www.example.internal" }).unwrap();
    let account = Principal::parse(if outside { "root" } else { "deploy" }).unwrap();
    let host = Principal::parse(if outside { "www.elsewhere" } else { "www.example.internal" }).unwrap();
    let resource = match action {
        Action::IssueCertificate
        | Action::RenewCertificate
        | Action::RevokeCertificate
        | Action::ApproveCertificate
        | Action::ReadCertificate => Resource::certificate(owner, "tls-server", vec![name]),
        Action::SignSshUser => Resource::ssh(owner, vec![account], "ssh-user"),
        Action::SignSshHost => Resource::ssh(owner, vec![host], "ssh-host"),
        Action::CreateKey | Action::SignCode => Resource::code_key(owner, "release"),
        Action::ReadAudit => Resource::plain(ResourceKind::Audit),
        Action::ManageTokens => Resource::plain(ResourceKind::Token),
        Action::ManageAuthority => Resource::plain(ResourceKind::Authority),
        Action::ReadStatus => Resource::plain(ResourceKind::Status),
        Action::ListSecrets
        | Action::ReadSecret
        | Action::ReadSecretCode
        | Action::WriteSecret
        | Action::LeaseSecret
        | Action::DestroySecret => Resource::secret(owner, "prod/billing/db"),
        Action::ListTransitKeys
        | Action::ManageTransitKeys
        | Action::DestroyTransitKey
        | Action::TransitEncrypt
        | Action::TransitDecrypt
        | Action::TransitRewrap
        | Action::TransitSign
        | Action::TransitVerify => Resource::transit_key(owner, "payments"),
        Action::TransitRandom => Resource::plain(ResourceKind::TransitKey),
    };
    match case {
        "proven" => resource.clone().with_proven(resource.names.into_iter().collect()),
        _ => resource,
    }
}

fn policies() -> Policies {
    let texts: Vec<(String, String)> =
        Policies::shipped().iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let rules = |name: &str| OwnerRules {
        dns: vec!["*.example.internal".to_owned()],
        principals: vec!["deploy".to_owned()],
        ..OwnerRules::none(owner(name))
    };
    Policies::load(&texts, vec![rules("web"), rules("db")]).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

const HEADER: &str = "\
# Authorization matrix of the shipped policies (policy/defaults). Written by policy/tests/authz_matrix.rs.
# Each actor belongs to owner \"web\". A cell is the policy that permits, or \"-\" and the policy that forbids, if one does.
# own: a tls-server certificate (SSH certificate, code key, secret, transit key) of owner web, names inside its rules. other: of owner db.
# no-owner: of nobody. outside: of web, a name outside its rules. proven: the same, the name proven by ACME.
";
