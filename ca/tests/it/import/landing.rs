//! What a CA signed elsewhere on its way in: counted, gone on with, published once all is there, and then like any other.

use ca::{Arrival, Arriving, CaError, GenerationState, Landed, Source};
use policy::Owner;
use store::{Filter, State};

use super::{Old, done, ended, good, lands, sha256, state};
use crate::house::{House, admin, owner};

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_goes_on_and_nothing_is_published_before_all_is_there() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    old.moves_into(&house, "old-ca");
    let authority = &house.authority;
    let all: Vec<Vec<u8>> = (1..=200).map(|n: u8| old.signs(&[0, 0xa0, n], &format!("w{n}.example.com"))).collect();
    let arrival = || old.arrival("old", "old-ca", Some(5_000_000_000));

    let would = authority.import_begin(&admin(), arrival(), true).await.unwrap();
    assert_eq!((would.is_new, would.next), (true, 5_000_000_001));
    assert!(authority.issuers().iter().all(|issuer| issuer.name != "old"), "a rehearsal writes nothing");
    for above in [1 << 62, u64::MAX] {
        let refused = authority.import_begin(&admin(), Arrival { crl_number: Some(above), ..arrival() }, false).await;
        assert!(matches!(refused, Err(CaError::BadRequest { what: "crl_number", .. })), "{refused:?}");
    }
    let unsaid = Arrival { was_outside: false, ..arrival() };
    let refused = authority.import_begin(&admin(), unsaid, false).await.unwrap_err();
    assert!(refused.to_string().contains("CKA_NEVER_EXTRACTABLE"), "{refused}");
    // Of a wrong fingerprint both are told: which of paper and file is another's is for people to see.
    let other = Arrival { root: Some([0xab; 32]), ..arrival() };
    let refused = authority.import_begin(&admin(), other, true).await.unwrap_err().to_string();
    let came = ca::groups(&hex::encode(sha256(&old.certificate)));
    assert!(refused.contains(&came) && refused.contains(&["ABAB"; 16].join(" ")), "{refused}");
    let none = Arrival { root: None, ..arrival() };
    let refused = authority.import_begin(&admin(), none, true).await.unwrap_err().to_string();
    assert!(!refused.contains(&came), "nobody copies it from here: {refused}");

    let begun = authority.import_begin(&admin(), arrival(), false).await.unwrap();
    let name = begun.name.clone();
    assert!(begun.is_new && begun.arriving);
    let half: Vec<Arriving> = all.iter().take(100).map(|der| ended(der, 1)).collect();
    let before = house.ledger.counts().await.unwrap();
    let landed = lands(authority, &name, half.clone()).await;
    assert_eq!((landed.new, landed.revoked, landed.left.len()), (100, 100, 0));
    let counts = house.ledger.counts().await.unwrap();
    assert_eq!(counts.revoked - before.revoked, 100);
    assert_eq!(counts.issued, before.issued, "never good here, not for a moment");

    // Interrupted: nothing is signed by it, and no CRL of it is served.
    let again = house.reopened(ca::Profiles::load(ca::Profiles::shipped()).unwrap()).await;
    assert_eq!(state(&again, "old/1"), GenerationState::Pending);
    assert!(again.crl("old/1").await.is_err());
    again.refresh_crls().await.unwrap();
    assert!(again.crl("old/1").await.is_err(), "a CRL of half of them would say that the rest is good");

    // The same again goes on.
    let begun = again.import_begin(&admin(), arrival(), false).await.unwrap();
    assert!(!begun.is_new && begun.arriving);
    let landed = lands(&again, &name, half).await;
    assert_eq!((landed.new, landed.there, landed.revoked, landed.revoked_there), (0, 100, 0, 100));
    let rest: Vec<Arriving> = all.iter().skip(100).map(|der| good(der)).collect();
    assert_eq!(lands(&again, &name, rest).await.new, 100);
    let arrived = done(&again, &name).await;
    assert_eq!(arrived.published, Some(5_000_000_001));
    assert_eq!(state(&again, "old/1"), GenerationState::Active);
    assert!(again.crl("old/1").await.unwrap().len() > 100 * 30);

    // A later export has a newer CRL: the next of ours is above that.
    let later = old.arrival("old", "old-ca", Some(6_000_000_000));
    assert_eq!(again.import_begin(&admin(), later, false).await.unwrap().next, 6_000_000_001);
    assert_eq!(lands(&again, &name, vec![ended(&all[150], 4)]).await.revoked, 1);
    assert_eq!(done(&again, &name).await.published, Some(6_000_000_001));
    let earlier = old.arrival("old", "old-ca", Some(9));
    assert_eq!(again.import_begin(&admin(), earlier, false).await.unwrap().next, 6_000_000_002, "it never goes back");
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_came_is_counted_here_and_whoever_says_more_is_refused() {
    let house = House::new().await;
    let old = Old::new("Old CA");
    old.moves_into(&house, "old-ca");
    let authority = &house.authority;
    let name = authority.import_begin(&admin(), old.arrival("old", "old-ca", None), false).await.unwrap().name;
    let all: Vec<Vec<u8>> = (1..=3).map(|n: u8| old.signs(&[n], &format!("w{n}.example.com"))).collect();
    lands(authority, &name, vec![good(&all[0]), good(&all[1]), ended(&all[2], 4)]).await;
    let source = Source { place: "a test".to_owned(), sha256: [7; 32] };
    let said = |new, there, revoked| Landed { new, there, revoked, ..Landed::default() };
    for more in [said(4, 0, 0), said(1, 3, 0), said(0, u64::MAX, 0), said(u64::MAX, 1, 0), said(3, 0, 2)] {
        let why = authority.import_done(&admin(), &name, (&source, &more)).await.unwrap_err();
        assert!(matches!(&why, CaError::Conflict(says) if says.contains("are said to be here")), "{why}");
        assert_eq!(state(authority, "old/1"), GenerationState::Pending, "{more:?}");
    }
    // One that goes on where another broke off says less of what is new: what the log says is what is here.
    authority.import_done(&admin(), &name, (&source, &said(1, 2, 0))).await.unwrap();
    assert_eq!(state(authority, "old/1"), GenerationState::Active);
    let id = format!("old/1 {}", hex::encode([7; 32]));
    let record = house.ledger.record_get("ca-import", &id).await.unwrap().unwrap();
    assert_eq!((&record.body["certificates"], &record.body["revocations"]), (&3.into(), &1.into()), "{}", record.body);
    house.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_row_is_shown_owned_and_guarded_like_any_other() {
    let house = House::new().await;
    let (old, second) = (Old::new("Old CA"), Old::new("Second CA"));
    let authority = &house.authority;
    let mut names = Vec::new();
    for (ca, name, label) in [(&old, "old", "old-ca"), (&second, "second", "second-ca")] {
        ca.moves_into(&house, label);
        names.push(authority.import_begin(&admin(), ca.arrival(name, label, None), false).await.unwrap().name);
    }
    let der = old.signs(&[7], "www.elsewhere.test");
    let landed = authority
        .import_some(&admin(), &names[0], (vec![good(&der)], Some(owner("db")), &[7; 32]), false)
        .await
        .unwrap();
    assert_eq!(landed.new, 1);
    // Two CAs gave one serial each.
    let twin = second.signs(&[7], "mail.elsewhere.test");
    assert_eq!(lands(authority, &names[1], vec![ended(&twin, 6)]).await.new, 1);
    let other = old.signs(&[7], "other.example.com");
    let landed = lands(authority, &names[0], vec![good(&other)]).await;
    assert!(landed.new == 0 && landed.left[0].1.contains("another certificate"), "{landed:?}");
    let foreign = lands(authority, &names[0], vec![good(&twin)]).await;
    assert!(foreign.new == 0 && foreign.left[0].1.contains("another CA"), "{foreign:?}");
    for name in &names {
        done(authority, name).await;
    }

    let list = house.ledger.list(Filter { profile: Some("imported".to_owned()), ..Filter::default() }).await.unwrap();
    assert_eq!(list.items.len(), 2);
    assert!(list.items.iter().all(|found| found.imported.is_some()));
    let all = house.ledger.credentials_of("07").await.unwrap();
    let states: Vec<_> = all.iter().map(|found| (found.issuer.as_str(), found.state)).collect();
    assert_eq!(states, [("second/1", State::Revoked), ("old/1", State::Issued)]);
    assert_eq!(all[1].owner, Some(Owner::parse("db").unwrap()), "nobody's rules name it");
    assert_eq!(all[1].x509_der(), Some(der.clone()), "byte for byte");
    // Which of the two is meant by the serial nobody knows; shown, one is.
    let why = authority.revoke(&admin(), "07", ca::RevocationReason::Superseded).await.unwrap_err();
    assert!(matches!(&why, CaError::Conflict(says) if says.contains("show the one")), "{why}");
    let shown = authority.revoke_shown(&admin(), &der, ca::RevocationReason::Superseded).await.unwrap();
    assert!(!shown.is_lost);
    assert_eq!(house.ledger.credentials_of("07").await.unwrap()[1].state, State::Revoked);
    house.verified().await;

    // Whoever writes the database makes nothing of it.
    let database = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    let changed = database.execute("UPDATE intent SET form = 'whole' WHERE form = 'imported' AND issuer = 'old/1'", []);
    assert_eq!(changed.unwrap(), 1);
    assert!(matches!(house.ledger.credentials_of("07").await, Err(store::StoreError::Altered(_))));
    let file = store::Database::Sqlite(house.dir.path().join("chancery.db"));
    let report = tokio::task::spawn_blocking(move || store::verify(file, None, &mut |_| {})).await.unwrap().unwrap();
    assert!(report.findings.iter().any(|finding| finding.what == "intent"), "{:?}", report.findings);
    assert_eq!(report.imported, 2);
}
