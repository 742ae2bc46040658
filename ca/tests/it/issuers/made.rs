//! Issuers that are made below others: bound by constraints, of any kind, below a foreign root, with a key that was there.

use ca::{Brought, CaError, CreateIssuer, GenerationState, IssuerRole, KeyKind, Rotate};

use super::{below, fingerprint, foreign_root, name, profiles_under, roots, server_under, state, verifies};
use crate::house::{House, accepts, actor, admin};

#[tokio::test(flavor = "multi_thread")]
async fn a_further_ca_is_bound_by_its_constraints() {
    let house = House::new().await;
    let mut wish = below("edge", "root");
    if let Some(ca) = &mut wish.ca {
        ca.permitted = vec!["dns:example.internal".to_owned(), "ip:192.0.2.0/24".to_owned()];
        ca.excluded = vec!["dns:secret.example.internal".to_owned()];
        ca.policies = vec!["1.3.6.1.4.1.99999.1".to_owned()];
    }
    assert_eq!(house.authority.create_issuer(&admin(), wish.clone()).await.unwrap(), name("edge/1"));
    assert!(
        matches!(house.authority.create_issuer(&admin(), below("edge", "root")).await, Err(CaError::Conflict(_))),
        "once"
    );
    let authority = house.reopened(profiles_under("edge")).await;
    let trusted = roots(&house, &authority, "roots.pem");
    let inside = server_under(&authority, &["www.example.internal"]).await.unwrap();
    assert_eq!(inside.issuer, "edge/1");
    assert!(verifies(&house, &authority, &inside, &trusted));
    // What a relying party would refuse is refused before the key is touched, by name.
    let outside = ["www.example.com", "a.secret.example.internal", "*.secret.example.internal", "*.example.internal"];
    for outside in outside {
        let refused = server_under(&authority, &[outside]).await.unwrap_err();
        assert!(refused.to_string().contains("leaf-names-are-within-the-constraints"), "{outside}: {refused}");
    }
    server_under(&authority, &["*.www.example.internal"]).await.unwrap();
    // The root signs CAs alone, whatever a profile says; and an SSH CA none of these.
    for issuer in ["root", "ssh-user", "nowhere"] {
        let authority = house.reopened(profiles_under(issuer)).await;
        let refused = server_under(&authority, &["www.example.com"]).await.unwrap_err();
        assert!(matches!(&refused, CaError::BadRequest { what: "profile", .. }), "{issuer}: {refused}");
    }
    // Below the path length of the root there is no room for CAs below `edge`.
    let refused = house.authority.create_issuer(&admin(), below("deeper", "edge")).await.unwrap_err();
    assert!(matches!(&refused, CaError::Lint(_)), "{refused}");
}

/// A wish that comes to nothing takes no name and makes no key, whatever it fails by.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_could_not_be_made_can_be_asked_for_otherwise() {
    let house = House::new().await;
    let made = async |change: fn(&mut CreateIssuer)| {
        let mut wish = below("edge", "root");
        change(&mut wish);
        house.authority.create_issuer(&admin(), wish).await
    };
    let is_there = || house.authority.issuers().iter().any(|issuer| issuer.name == "edge");
    let too_long = made(|wish| wish.ca.as_mut().unwrap().path_len = 3).await.unwrap_err();
    assert!(matches!(&too_long, CaError::Lint(_)) && !is_there(), "{too_long}");
    assert!(house.pool.find("edge-1").await.is_err(), "no key was made");
    // SoftHSM makes none of this kind; that is known once it was tried.
    let no_such_key = made(|wish| wish.key = KeyKind::MlDsa44).await;
    assert!(no_such_key.is_err() && house.pool.find("edge-1").await.is_err());
    assert_eq!(made(|_| ()).await.unwrap(), name("edge/1"));
    assert_eq!(state(&house.authority, "edge/1"), GenerationState::Active);
    assert!(matches!(made(|wish| wish.key = KeyKind::P384).await, Err(CaError::Conflict(_))), "once");
    house.verified().await;
}

/// Roots from elsewhere sign as no key of ours does: openssl takes SHA-256 on whatever curve, and PSS with another salt.
#[tokio::test(flavor = "multi_thread")]
async fn a_ca_of_any_kind_stands_below_a_root_that_signs_in_its_own_way() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    foreign_root(&dir);
    let openssl = |arguments: &str| {
        let done = std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(&dir).output().unwrap();
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let pss = "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20";
    for (label, kind, root, signs) in [
        ("edge-a", KeyKind::P521, "ec -pkeyopt ec_paramgen_curve:P-521", "-sha256"),
        ("edge-b", KeyKind::Rsa2048Pss, "rsa:2048", pss),
        ("edge-c", KeyKind::Ed25519, "ec -pkeyopt ec_paramgen_curve:P-256", "-sha512"),
    ] {
        let subject = format!("/O=Elsewhere/CN={label}");
        let root = format!("-newkey {root} -addext keyUsage=critical,keyCertSign,cRLSign -subj {subject}");
        openssl(&format!("req -x509 {root} {signs} -nodes -days 9 -keyout r.key -out r.pem"));
        let wish = CreateIssuer { key: kind, ..below(label, "elsewhere") };
        let edge = house.authority.create_issuer(&admin(), wish).await.unwrap();
        let request = house.authority.request_issuer(&admin(), &edge).await.unwrap();
        house.file("edge.csr", &request.pem);
        openssl("req -in edge.csr -verify -noout");
        let sub = "-extfile foreign.cnf -extensions sub -set_serial 0x1234567890abcdef";
        openssl(&format!("x509 -req -in edge.csr -CA r.pem -CAkey r.key {signs} -days 8 {sub} -out edge.pem"));
        let read = |file: &str| std::fs::read_to_string(dir.join(file)).unwrap();
        let (signed, root) = (read("edge.pem"), read("r.pem"));
        let fingerprint = Some(fingerprint(&root));
        house.authority.adopt_issuer(&admin(), &edge, (signed + &root).as_bytes(), (fingerprint, None)).await.unwrap();
        let authority = house.reopened(profiles_under(label)).await;
        let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
        assert!(verifies(&house, &authority, &issued, &dir.join("r.pem")), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_stands_below_a_foreign_root() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    let (key, root) = foreign_root(&dir);
    let edge = house.authority.create_issuer(&admin(), below("edge", "elsewhere")).await.unwrap();
    assert_eq!(state(&house.authority, "edge/1"), GenerationState::Pending, "it waits for its certificate");
    let authority = house.reopened(profiles_under("edge")).await;
    assert!(matches!(server_under(&authority, &["www.example.com"]).await, Err(CaError::Conflict(_))));
    let request = authority.request_issuer(&admin(), &edge).await.unwrap();
    let csr = house.file("edge.csr", &request.pem);
    let said = accepts("openssl", &[&"req", &"-in", &csr, &"-verify", &"-noout", &"-text"]);
    assert!(said.contains("CA:TRUE") && said.contains("O = Example, CN = Example edge"), "{said}");
    let signed_as = |section: &str| {
        let signed = dir.join(format!("edge-{section}.pem"));
        accepts(
            "openssl",
            &[
                &"x509",
                &"-req",
                &"-in",
                &csr,
                &"-CA",
                &root,
                &"-CAkey",
                &key,
                &"-sha384",
                &"-days",
                &"365",
                &"-extfile",
                &dir.join("foreign.cnf"),
                &"-extensions",
                &section,
                &"-set_serial",
                &"0x1234567890abcdef",
                &"-out",
                &signed,
            ],
        );
        std::fs::read_to_string(&signed).unwrap()
    };
    let (signed, root_pem) = (signed_as("sub"), std::fs::read_to_string(&root).unwrap());
    // Without the root, or with another's, there is no chain.
    let print = Some(fingerprint(&root_pem));
    assert!(authority.adopt_issuer(&admin(), &edge, signed.as_bytes(), (print, None)).await.is_err());
    assert!(authority.adopt_issuer(&admin(), &edge, authority.roots_pem().as_bytes(), (print, None)).await.is_err());
    // A root that nobody vouched for comes with no chain.
    for unsaid in [None, Some([7; 32])] {
        let refused =
            authority.adopt_issuer(&admin(), &edge, (signed.clone() + &root_pem).as_bytes(), (unsaid, None)).await;
        assert!(matches!(refused, Err(CaError::BadRequest { what: "fingerprint", .. })), "{refused:?}");
        let refused = authority.bring_certificate(&admin(), "above", root_pem.as_bytes(), (unsaid, None)).await;
        assert!(matches!(refused, Err(CaError::BadRequest { what: "fingerprint", .. })), "{refused:?}");
    }
    assert!(!authority.roots_pem().contains(root_pem.trim()));
    // Whoever signed it left out what it is planned for.
    let other = signed_as("mail") + &root_pem;
    let refused = authority.adopt_issuer(&admin(), &edge, other.as_bytes(), (print, None)).await.unwrap_err();
    assert!(refused.to_string().contains("it is not for server-auth"), "{refused}");
    authority.adopt_issuer(&admin(), &edge, (signed.clone() + &root_pem).as_bytes(), (print, None)).await.unwrap();
    // Known now, it is not asked for again.
    assert!(matches!(
        authority.adopt_issuer(&admin(), &edge, (signed + &root_pem).as_bytes(), (None, None)).await,
        Err(CaError::Conflict(_))
    ));
    let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
    assert!(verifies(&house, &authority, &issued, &root));
    assert!(authority.roots_pem().contains(root_pem.trim()), "who fetches the roots has it too");
    assert!(!authority.crl("edge").await.unwrap().is_empty());
    let exported = house.file("exported.pem", authority.export_issuer(&admin(), &edge).await.unwrap());
    accepts("openssl", &[&"verify", &"-CAfile", &root, &exported]);
    // Cross-signed by our own root: whoever trusts that one alone believes it too.
    authority.cross_sign_issuer(&admin(), &edge, &name("root/1")).await.unwrap();
    let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
    assert_eq!(authority.chains_pem(&issued).len(), 2);
    let own = house.file("own-root.pem", authority.export_issuer(&admin(), &name("root/1")).await.unwrap());
    let leaf = house.file("crossed.pem", authority.certificate_pem(&issued));
    let ways = authority.chains_pem(&issued).into_iter().enumerate().map(|(at, chain)| {
        let chain = house.file(&format!("way-{at}.pem"), chain);
        let verify: [&dyn AsRef<std::ffi::OsStr>; 7] =
            [&"verify", &"-x509_strict", &"-CAfile", &own, &"-untrusted", &chain, &leaf];
        std::process::Command::new("openssl").args(verify.map(AsRef::as_ref)).output().unwrap().status.success()
    });
    assert_eq!(ways.filter(|verified| *verified).count(), 1);
    // Its key keeps the name that it has: under another nobody would find the issuer of what is in use.
    let config = std::fs::read_to_string(dir.join("foreign.cnf")).unwrap();
    std::fs::write(dir.join("foreign.cnf"), config.replace("subjectKeyIdentifier=hash", "subjectKeyIdentifier=0102"))
        .unwrap();
    let renamed = signed_as("sub") + &root_pem;
    let refused = authority.adopt_issuer(&admin(), &edge, renamed.as_bytes(), (print, None)).await.unwrap_err();
    assert!(refused.to_string().contains("its subjectKeyIdentifier is 0102"), "{refused}");

    // Whoever writes the database and takes the root out of it, or puts another in its place, stops nobody: it is an alarm.
    let sql = rusqlite::Connection::open(dir.join("chancery.db")).unwrap();
    for (thief, place) in [
        (
            "UPDATE record SET body = replace(body, 'BEGIN', 'begin') WHERE kind = 'ca-certificate'",
            "kind=ca-certificate",
        ),
        ("DELETE FROM present WHERE kind = 'ca-certificate'", "kind=ca-certificate"),
    ] {
        assert!(sql.execute(thief, []).unwrap() > 0, "{thief}");
        let before = house.ledger.integrity().alarms.len();
        authority.rotate_issuer(&admin(), Rotate::of("ssh-user")).await.unwrap();
        assert!(authority.roots_pem().contains(root_pem.trim()), "{thief}");
        let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
        assert!(verifies(&house, &authority, &issued, &root), "{thief}");
        let alarms = house.ledger.integrity().alarms;
        assert!(alarms.len() > before && alarms.iter().any(|alarm| alarm.place.contains(place)), "{alarms:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_that_existed_comes_with_its_key_and_its_exact_name() {
    let house = House::new().await;
    let dir = house.dir.path().to_owned();
    // A CA elsewhere whose key is in the token: its certificate is made for the token's public key.
    let key = house.pool.generate("old-ca", KeyKind::P256).await.unwrap();
    let (foreign_key, root) = foreign_root(&dir);
    let spki = house.file("old.pub.der", key.spki_der());
    let signed = dir.join("old.pem");
    let config = std::fs::read_to_string(dir.join("foreign.cnf")).unwrap();
    let says = "nameConstraints=critical,permitted;DNS:example.com\ncertificatePolicies=1.2.3.4\n";
    let bound = house.file("old.cnf", config + says);
    accepts(
        "openssl",
        &[
            &"x509",
            &"-new",
            &"-force_pubkey",
            &spki,
            &"-subj",
            &"/DC=com/DC=example/OU=a+OU=b/CN=Old CA",
            &"-CA",
            &root,
            &"-CAkey",
            &foreign_key,
            &"-sha256",
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
    let root_pem = std::fs::read_to_string(&root).unwrap();
    let (chain, print) = (std::fs::read_to_string(&signed).unwrap() + &root_pem, fingerprint(&root_pem));
    let brought = |label: &str, chain: &str| Brought {
        name: "old".to_owned(),
        label: label.to_owned(),
        token: None,
        was_outside: false,
        chain_pem: chain.as_bytes().to_vec(),
        root: Some(print),
        leaves: true,
        shards: Some(3),
        deltas: None,
    };
    assert!(house.authority.bring_issuer(&admin(), brought("tls-1", &chain)).await.is_err(), "another issuer's key");
    assert!(house.authority.bring_issuer(&admin(), brought("old-ca", &house.authority.roots_pem())).await.is_err());
    house.authority.bring_issuer(&admin(), brought("old-ca", &chain)).await.unwrap();
    let authority = house.reopened(profiles_under("old")).await;
    let issued = server_under(&authority, &["www.example.com"]).await.unwrap();
    assert!(verifies(&house, &authority, &issued, &root));
    // From here on its revocations are in three parts.
    let part = store::Shard::of_serial(&issued.serial, 3).unwrap().index();
    assert!(String::from_utf8_lossy(&issued.x509_der()).contains(&format!("/crl/old/1/{part}.crl")));
    assert_eq!(authority.crl_series(&name("old/1")).len(), 4);
    let leaf = house.file("leaf.pem", authority.certificate_pem(&issued));
    let said = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-issuer", &"-nameopt", &"compat"]);
    let was = accepts("openssl", &[&"x509", &"-in", &signed, &"-noout", &"-subject", &"-nameopt", &"compat"]);
    assert_eq!(said.trim_start_matches("issuer="), was.trim_start_matches("subject="));
    // Its bounds are its successors' as well.
    assert!(server_under(&authority, &["www.example.org"]).await.is_err());
    let request = authority.request_issuer(&admin(), &name("old/1")).await.unwrap();
    let request = house.file("old.csr", &request.pem);
    let asks = accepts("openssl", &[&"req", &"-in", &request, &"-noout", &"-text"]);
    assert!(asks.contains("DNS:example.com") && asks.contains("1.2.3.4"), "{asks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_changes_nothing_and_the_log_says_so() {
    let house = House::new().await;
    let clerk = actor("clerk", policy::Role::Issuer);
    let size = house.ledger.head().size;
    assert!(matches!(house.authority.rotate_issuer(&clerk, Rotate::of("tls")).await, Err(CaError::Refused(_))));
    assert!(matches!(house.authority.create_issuer(&clerk, below("edge", "root")).await, Err(CaError::Refused(_))));
    assert_eq!(house.ledger.head().size, size + 2, "two refusals");
    for bad in ["Edge", "itself", "elsewhere", "", "a/b", "-a", &"a".repeat(32)] {
        let refused = house.authority.create_issuer(&admin(), below(bad, "root")).await.unwrap_err();
        assert!(matches!(refused, CaError::BadRequest { what: "name", .. }), "{bad}: {refused}");
    }
    let missing = house.authority.rotate_issuer(&admin(), Rotate::of("nobody")).await;
    assert!(matches!(missing, Err(CaError::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_signs_no_x509_takes_no_word_about_crls() {
    let house = House::new().await;
    let ssh = CreateIssuer { role: IssuerRole::SshUser, ca: None, ..below("ssh-admins", "root") };
    let parted = [(Some(2), None), (None, Some(true))];
    for (shards, deltas) in parted {
        let made = house.authority.create_issuer(&admin(), CreateIssuer { shards, deltas, ..ssh.clone() }).await;
        assert!(matches!(made, Err(CaError::BadRequest { what: "name", .. })), "{made:?}");
        for issuer in ["ssh-user", "log", "seal"] {
            let wish = Rotate { shards, deltas, ..Rotate::of(issuer) };
            let made = house.authority.rotate_issuer(&admin(), wish).await;
            assert!(matches!(made, Err(CaError::BadRequest { what: "name", .. })), "{issuer}: {made:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_key_alone_has_no_certificate_that_could_be_signed() {
    let house = House::new().await;
    let authority = &house.authority;
    let (root, tls) = (name("root/1"), name("tls/1"));
    for alone in ["log/1", "ssh-user/1", "ssh-host/1", "seal/1"].map(name) {
        let chain = authority.roots_pem();
        for (act, refused) in [
            ("renew", authority.renew_issuer(&admin(), &alone).await.map(drop)),
            ("cross-sign", authority.cross_sign_issuer(&admin(), &alone, &root).await.map(drop)),
            ("request", authority.request_issuer(&admin(), &alone).await.map(drop)),
            ("adopt", authority.adopt_issuer(&admin(), &alone, chain.as_bytes(), (None, None)).await),
        ] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(&format!("{alone} is no CA with a certificate")), "{act} {alone}: {refused}");
        }
        let refused = authority.cross_sign_issuer(&admin(), &tls, &alone).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("{alone} is no CA")), "by {alone}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_for_an_issuer_is_answered_again_and_makes_nothing() {
    let house = House::new().await;
    let create = async |who: &policy::Actor, wish| house.authority.create_issuer(who, wish).await;
    let ssh = CreateIssuer { role: IssuerRole::SshUser, ca: None, ..below("ssh-admins", "root") };
    for wish in [below("vpn", "root"), ssh.clone()] {
        let made = create(&admin(), wish.clone()).await.unwrap();
        let size = house.ledger.head().size;
        assert_eq!(create(&admin(), wish).await.unwrap(), made);
        assert_eq!(house.ledger.head().size, size, "something was written");
    }
    // Somebody else's, another wish, and one that was changed since are none of it.
    let mut longer = below("vpn", "root");
    longer.ca.as_mut().unwrap().validity_secs += 1;
    let parted = CreateIssuer { shards: Some(4), ..below("vpn", "root") };
    let other = actor("somebody", policy::Role::Admin);
    for (who, wish) in [(&admin(), longer), (&admin(), parted), (&other, below("vpn", "root"))] {
        let refused = create(who, wish).await.unwrap_err();
        assert!(matches!(&refused, CaError::Conflict(why) if why.contains("chancery ca show vpn")), "{refused:?}");
    }
    house.authority.rotate_issuer(&admin(), Rotate::of("ssh-admins")).await.unwrap();
    assert!(matches!(create(&admin(), ssh).await, Err(CaError::Conflict(_))));
}
