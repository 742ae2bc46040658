//! The names of CAs themselves: one whose subject a CA above it may not certify is believed by nobody, and is neither made nor taken in.

use ca::{Brought, CaError, KeyKind};

use crate::house::{House, accepts, admin};
use crate::issuers::{below, fingerprint, foreign_root, name};

/// A CA with a subject of its own, below another.
fn named(issuer: &str, above: &str, subject: &str) -> ca::CreateIssuer {
    let mut wish = below(issuer, above);
    if let Some(ca) = &mut wish.ca {
        ca.subject = ca::Dn::parse(subject).unwrap();
    }
    wish
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_not_made_signed_for_or_cross_signed_outside_the_names_of_those_above_it() {
    let house = House::new().await;
    let authority = &house.authority;
    let mut wish = named("edge", "root", "/O=Example/CN=Edge CA");
    if let Some(ca) = &mut wish.ca {
        (ca.path_len, ca.leaves, ca.permitted) = (1, false, vec!["dn:/O=Example".to_owned()]);
    }
    authority.create_issuer(&admin(), wish).await.unwrap();
    let outside = named("far", "edge", "/O=Elsewhere/CN=Far CA");
    let refused = authority.create_issuer(&admin(), outside).await.unwrap_err();
    assert!(refused.to_string().contains("ca-name-is-within-the-constraints"), "{refused}");
    // Nothing was made of it: the name is free for one that is inside.
    authority.create_issuer(&admin(), named("far", "edge", "/O=Example/CN=Far CA")).await.unwrap();
    // One of another branch is not brought below it by a cross-signature, and goes on where it is.
    authority.create_issuer(&admin(), named("other", "root", "/O=Elsewhere/CN=Other CA")).await.unwrap();
    let refused = authority.cross_sign_issuer(&admin(), &name("other/1"), &name("edge/1")).await.unwrap_err();
    assert!(refused.to_string().contains("ca-name-is-within-the-constraints"), "{refused}");
    // A request of somebody's that the constrained CA is to sign.
    for (subject, is_right) in [("/O=Elsewhere/CN=Asked CA", false), ("/O=Example/CN=Asked CA", true)] {
        let csr = request(&house, subject);
        let signed = authority.sign_below(&admin(), &name("edge/1"), &csr, (86_400 * 30, subject)).await;
        match signed {
            Ok(_) => assert!(is_right, "{subject}"),
            Err(refused) => {
                assert!(!is_right, "{subject}: {refused}");
                assert!(refused.to_string().contains("ca-name-is-within-the-constraints"), "{refused}");
            }
        }
    }
}

fn request(house: &House, subject: &str) -> Vec<u8> {
    let (key, csr) = (house.dir.path().join("asked.key"), house.dir.path().join("asked.csr"));
    let says = "[req]\ndistinguished_name=dn\nreq_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE,pathlen:0\n\
        keyUsage=critical,keyCertSign,cRLSign\n";
    let config = house.file("asked.cnf", says);
    accepts(
        "openssl",
        &[
            &"req",
            &"-new",
            &"-newkey",
            &"ec",
            &"-pkeyopt",
            &"ec_paramgen_curve:P-256",
            &"-nodes",
            &"-config",
            &config,
            &"-subj",
            &subject,
            &"-keyout",
            &key,
            &"-out",
            &csr,
        ],
    );
    std::fs::read(csr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_whose_name_those_above_it_may_not_certify_is_not_taken_in() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    foreign_root(&dir);
    let config = std::fs::read_to_string(dir.join("foreign.cnf")).unwrap();
    let bound =
        config.replace("[ca]\n", "[ca]\nnameConstraints=critical,permitted;dirName:only\n") + "[only]\nO=Permitted\n";
    let bound = house.file("bound.cnf", bound);
    let (root_key, root) = (dir.join("bound.key"), dir.join("bound.pem"));
    accepts(
        "openssl",
        &[
            &"req",
            &"-x509",
            &"-newkey",
            &"rsa:2048",
            &"-nodes",
            &"-days",
            &"3650",
            &"-config",
            &bound,
            &"-keyout",
            &root_key,
            &"-out",
            &root,
        ],
    );
    let key = house.pool.generate("old-ca", KeyKind::P256).await.unwrap();
    let spki = house.file("old.pub.der", key.spki_der());
    let root_pem = std::fs::read_to_string(&root).unwrap();
    for (subject, is_right) in [("/O=Elsewhere/CN=Old CA", false), ("/O=Permitted/CN=Old CA", true)] {
        let signed = dir.join("old.pem");
        accepts(
            "openssl",
            &[
                &"x509",
                &"-new",
                &"-force_pubkey",
                &spki,
                &"-subj",
                &subject,
                &"-CA",
                &root,
                &"-CAkey",
                &root_key,
                &"-days",
                &"365",
                &"-extfile",
                &bound,
                &"-extensions",
                &"sub",
                &"-set_serial",
                &"77",
                &"-out",
                &signed,
            ],
        );
        let brought = Brought {
            name: "old".to_owned(),
            label: "old-ca".to_owned(),
            token: None,
            was_outside: false,
            chain_pem: (std::fs::read_to_string(&signed).unwrap() + &root_pem).into_bytes(),
            root: Some(fingerprint(&root_pem)),
            leaves: true,
            shards: None,
            deltas: None,
        };
        match (house.authority.bring_issuer(&admin(), brought).await, is_right) {
            (Ok(_), true) => {}
            (Err(CaError::BadRequest { detail: why, .. }), false) => {
                assert!(why.contains("clients refuse") && why.contains("none of the permitted"), "{why}");
            }
            (other, _) => panic!("{subject}: {other:?}"),
        }
    }
}
