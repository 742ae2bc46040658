//! OCSP as `openssl ocsp` asks and judges it, against the authority itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ca::{CertifyRequest, Lifetime, OcspAnswer, RevocationReason};
use policy::{Actor, Timestamp, World};
use store::{Filter, Issued, Kind};

use crate::house::{House, accepts, admin, refuses, server_request};

const NOW: &str = "2027-01-15T08:00:00Z";

/// A relying party with openssl.
struct Asker<'a> {
    house: &'a House,
    issuer: PathBuf,
    roots: PathBuf,
}

impl<'a> Asker<'a> {
    fn new(house: &'a House, issuer: &str) -> Asker<'a> {
        let ca = house.authority.cas().into_iter().find(|ca| ca.name.to_string() == issuer).unwrap();
        let file = issuer.replace('/', "-");
        let der = house.file(&format!("{file}.der"), &ca.certificate.unwrap().der);
        let pem = accepts("openssl", &[&"x509", &"-inform", &"DER", &"-in", &der]);
        Asker {
            house,
            issuer: house.file(&format!("{file}.pem"), pem),
            roots: house.file("roots.pem", house.authority.roots_pem()),
        }
    }

    /// A request for these serials (hexadecimal).
    fn request(&self, serials: &[String], more: &[&str]) -> Vec<u8> {
        let out = self.house.dir.path().join("request.der");
        let mut args: Vec<String> = ["ocsp", "-issuer", self.issuer.to_str().unwrap()].map(str::to_owned).into();
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        for serial in serials {
            args.extend(["-serial".to_owned(), format!("0x{serial}")]);
        }
        args.extend(["-reqout".to_owned(), out.to_str().unwrap().to_owned()]);
        let args: Vec<&dyn AsRef<std::ffi::OsStr>> = args.iter().map(|arg| arg as _).collect();
        accepts("openssl", &args);
        std::fs::read(&out).unwrap()
    }

    async fn ask(&self, request: &[u8]) -> OcspAnswer {
        self.house.authority.ocsp(None, request, Some(IpAddr::from([192, 0, 2, 7]))).await
    }

    /// What openssl says of an answer to a request, at the house's time.
    fn judged(&self, request: &[u8], answer: &OcspAnswer, serial: &str, hash: &str) -> String {
        let (request, response) = (self.house.file("asked.der", request), self.house.file("answer.der", &answer.der));
        let now = self.house.world.now().unix().to_string();
        let serial = format!("0x{serial}");
        let chain = self.roots.clone();
        accepts(
            "openssl",
            &[
                &"ocsp",
                &hash,
                &"-issuer",
                &self.issuer,
                &"-serial",
                &serial,
                &"-reqin",
                &request,
                &"-respin",
                &response,
                &"-CAfile",
                &chain,
                &"-attime",
                &now,
                &"-resp_text",
                &"-no_nonce",
            ],
        )
    }
}

fn shown(answer: &OcspAnswer, dir: &Path) -> String {
    let file = dir.join("shown.der");
    std::fs::write(&file, &answer.der).unwrap();
    accepts("openssl", &[&"ocsp", &"-respin", &file, &"-resp_text", &"-noverify"])
}

async fn batches(house: &House) -> u64 {
    house.ledger.count(Filter { kind: Some(Kind::OcspBatch), ..Filter::default() }).await.unwrap()
}

async fn two(house: &House) -> (Issued, Issued) {
    (house.server(&["www.example.com"]).await, house.server(&["db.example.com"]).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_good_until_it_is_revoked_and_openssl_agrees() {
    let house = House::new().await;
    let (good, bad) = two(&house).await;
    house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    let asker = Asker::new(&house, "tls/1");
    for more in [&["-no_nonce"][..], &[], &["-no_nonce", "-sha256"], &["-sha256"]] {
        let has_nonce = !more.contains(&"-no_nonce");
        for (serial, says) in [
            (good.serial_hex(), "good"),
            (bad.serial_hex(), "revoked"),
            ("0101aabbccdd112233445566778899aa".to_owned(), "unknown"),
        ] {
            let request = asker.request(std::slice::from_ref(&serial), more);
            let answer = asker.ask(&request).await;
            let hash = if more.contains(&"-sha256") { "-sha256" } else { "-sha1" };
            let said = asker.judged(&request, &answer, &serial, hash);
            assert!(
                said.contains("Response verify OK") && said.contains(&format!(": {says}")),
                "{more:?} {says}: {said}"
            );
            assert_eq!(said.contains("OCSP Nonce:"), has_nonce, "{said}");
            assert_eq!(answer.shared.is_some(), !has_nonce && says != "unknown", "{more:?} {says}");
            assert_eq!(said.contains("Reason: keyCompromise"), says == "revoked", "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_once_is_given_from_memory_and_exchanged_at_once_when_it_is_revoked() {
    let house = House::new().await;
    let (one, _) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[one.serial_hex()], &["-no_nonce"]);
    let first = asker.ask(&request).await;
    let made = batches(&house).await;
    for _ in 0..50 {
        assert_eq!(asker.ask(&request).await, first, "byte for byte");
    }
    assert_eq!(batches(&house).await, made, "nothing was signed again");
    assert_eq!(house.authority.ocsp_state().answered, 50);
    house.authority.revoke(&admin(), &one.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let after = asker.ask(&request).await;
    assert!(shown(&after, house.dir.path()).contains("Cert Status: revoked"));
    // That the key is known to others is told as soon.
    house.authority.revoke(&admin(), &one.serial_hex(), RevocationReason::KeyCompromise).await.unwrap();
    assert!(shown(&asker.ask(&request).await, house.dir.path()).contains("keyCompromise"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_by_a_clock_that_was_ahead_is_told_with_a_date_that_has_come() {
    let house = House::at("2027-03-01T12:00:00Z").await;
    house.world.advance(4 * 86_400);
    let (_, bad) = two(&house).await;
    house.authority.revoke(&admin(), &bad.serial_hex(), RevocationReason::Superseded).await.unwrap();
    house.world.jump(-3 * 86_400);
    house.authority.set_time(&Actor::system("clock"), "the host came up three days ahead").await.unwrap();
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[bad.serial_hex()], &["-no_nonce"]);
    let answer = asker.ask(&request).await;
    let said = shown(&answer, house.dir.path());
    assert!(said.contains("Cert Status: revoked"), "{said}");
    let made = batches(&house).await;
    assert_eq!(asker.ask(&request).await.der, answer.der);
    assert_eq!(batches(&house).await, made, "and is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_hold_is_revoked_until_it_is_released() {
    let house = House::new().await;
    let (one, _) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[one.serial_hex()], &["-no_nonce"]);
    let says = async || shown(&asker.ask(&request).await, house.dir.path());
    assert!(says().await.contains("Cert Status: good"));
    house.authority.revoke(&admin(), &one.serial_hex(), RevocationReason::CertificateHold).await.unwrap();
    assert!(says().await.contains("certificateHold"));
    house.authority.release(&admin(), &one.serial_hex()).await.unwrap();
    assert!(says().await.contains("Cert Status: good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_at_once_share_a_batch() {
    let house = House::new().await;
    let mut requests = Vec::new();
    let asker = Asker::new(&house, "tls/1");
    for n in 0..12 {
        let issued = house.server(&[&format!("h{n}.example.com")]).await;
        requests.push(asker.request(&[issued.serial_hex()], &["-no_nonce"]));
    }
    // The responder is there.
    asker.ask(&requests[0]).await;
    let before = batches(&house).await;
    let all: Vec<_> = requests
        .iter()
        .map(|request| {
            let (authority, request) = (house.authority.clone(), request.clone());
            tokio::spawn(async move { authority.ocsp(None, &request, None).await })
        })
        .collect();
    for one in all {
        assert!(one.await.unwrap().shared.is_some());
    }
    let made = batches(&house).await - before;
    assert!((1..=3).contains(&made), "{made} batches for eleven that asked at once");
    assert_eq!(house.authority.ocsp_state().kept, 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_and_what_is_not_ours_is_refused_in_the_words_of_the_standard() {
    let house = House::new().await;
    let (one, _) = two(&house).await;
    let (tls, code) = (Asker::new(&house, "tls/1"), Asker::new(&house, "code/1"));
    let of_tls = tls.request(&[one.serial_hex()], &["-no_nonce"]);
    let of_code = code.request(&[one.serial_hex()], &["-no_nonce"]);
    // The code CA never issued this serial.
    assert!(shown(&tls.ask(&of_code).await, house.dir.path()).contains("Cert Status: unknown"));
    let code_alone = house.authority.ocsp(Some("code/1"), &of_tls, None).await;
    assert_eq!(&code_alone.der[..], [0x30, 3, 0x0a, 1, 6], "unauthorized");
    let other = House::new().await;
    let foreign = other.authority.ocsp(None, &of_tls, None).await;
    assert_eq!(&foreign.der[..], [0x30, 3, 0x0a, 1, 6], "unauthorized");
    for bytes in [&[][..], b"nonsense", &of_tls[1..], &of_tls[..of_tls.len() - 1], &[of_tls.as_slice(), &[0]].concat()]
    {
        assert_eq!(&tls.ask(bytes).await.der[..], [0x30, 3, 0x0a, 1, 1], "malformedRequest");
    }
    assert_eq!(other.authority.ocsp_state().refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_certificates_of_one_request_are_answered_in_one_response() {
    let house = House::new().await;
    let (one, two) = two(&house).await;
    house.authority.revoke(&admin(), &two.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[one.serial_hex(), two.serial_hex()], &["-no_nonce"]);
    let answer = asker.ask(&request).await;
    assert_eq!(answer.shared, None);
    let said = asker.judged(&request, &answer, &one.serial_hex(), "-sha1");
    assert!(said.contains("Cert Status: good") && said.contains("Cert Status: revoked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serial_that_this_node_might_have_made_raises_an_alarm_and_others_are_counted() {
    let house = House::at(NOW).await;
    let (one, _) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    let mut forged = one.serial.clone();
    *forged.last_mut().unwrap() ^= 1;
    let ask = async |serial: String| {
        let request = asker.request(&[serial], &["-no_nonce"]);
        shown(&asker.ask(&request).await, house.dir.path())
    };
    assert!(ask(hex::encode(&forged)).await.contains("Cert Status: unknown"));
    let state = house.authority.ocsp_state();
    assert_eq!((state.alarms, state.strangers), (1, 0));
    assert_eq!(state.last_alarm.unwrap().0.hex(), hex::encode(&forged));
    ask("7f00".to_owned()).await;
    let state = house.authority.ocsp_state();
    assert_eq!((state.alarms, state.strangers), (1, 1));
    assert!(house.ledger.integrity().alarms.is_empty(), "a stranger raises no alarm of the register");
    // A stranger who makes serials up is answered no more.
    let mut limited = false;
    for n in 0..60_u8 {
        let request = asker.request(&[format!("7f{n:02x}")], &["-no_nonce"]);
        limited |= asker.ask(&request).await.der[..] == [0x30, 3, 0x0a, 1, 3];
    }
    assert!(limited && house.authority.ocsp_state().limited > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_a_nonce_is_left_out_and_the_answer_comes_from_memory() {
    let house = House::at(NOW).await;
    let (one, _) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[one.serial_hex()], &[]);
    let mut shared = 0;
    for _ in 0..130 {
        shared += u32::from(asker.ask(&request).await.shared.is_some());
    }
    assert!((1..=60).contains(&shared), "{shared} without a nonce");
    assert!(house.authority.ocsp_state().limited > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_is_replaced_in_good_time_and_what_the_old_one_signed_goes_on() {
    let now = Timestamp::parse_rfc3339(NOW).unwrap();
    let world = World::fixed(now, 3);
    let house = House::with(world.clone(), ca::CreateConfig::new("Example")).await;
    let issued = house.authority.certify(&admin(), server_request(&["www.example.com"])).await.unwrap();
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[issued.serial_hex()], &["-no_nonce"]);
    assert!(house.authority.ocsp_state().responders.is_empty(), "nobody has asked yet");
    asker.ask(&request).await;
    let end = |house: &House| house.authority.ocsp_state().responders[0].1;
    let first = end(&house);
    assert_eq!(first.since(now) / 86_400, 13);
    // A second open finds it again.
    let again = house.reopened(ca::Profiles::load(ca::Profiles::shipped()).unwrap()).await;
    again.ocsp(None, &request, None).await;
    assert_eq!(again.ocsp_state().responders[0].1, first);
    house.authority.tend_ocsp().await.unwrap();
    assert_eq!(end(&house), first, "it is young");
    for _ in 0..7 {
        world.advance(86_400);
        house.ledger.follow().await.unwrap();
    }
    let before = asker.ask(&request).await;
    house.authority.tend_ocsp().await.unwrap();
    assert!(end(&house) > first, "it was replaced a week before its end");
    assert_eq!(asker.ask(&request).await, before, "what the old one signed goes on");
    let said = asker.judged(&request, &before, &issued.serial_hex(), "-sha1");
    assert!(said.contains("Response verify OK"), "{said}");
    // From half a day on it is made anew, by the new one, ahead of time.
    world.advance(13 * 3_600);
    assert_eq!(asker.ask(&request).await, before);
    let fresh = async {
        loop {
            let now = asker.ask(&request).await;
            if now != before {
                return now;
            }
            tokio::task::yield_now().await;
        }
    };
    let fresh = tokio::time::timeout(std::time::Duration::from_secs(60), fresh).await.expect("it is made anew");
    assert!(fresh.shared.unwrap().1 > before.shared.unwrap().1);
}

/// Caddy (certmagic) takes no response that holds longer than its certificate, and staples nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_response_holds_past_the_end_of_its_certificate() {
    let world = World::fixed(Timestamp::parse_rfc3339(NOW).unwrap(), 3);
    let house = House::with(world.clone(), ca::CreateConfig::new("Example")).await;
    let short = CertifyRequest { lifetime: Lifetime::Secs(3_600), ..server_request(&["www.example.com"]) };
    let short = house.authority.certify(&admin(), short).await.unwrap();
    let long = house.server(&["db.example.com"]).await;
    let end = short.validity.unwrap().not_after();
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[short.serial_hex()], &["-no_nonce"]);
    let first = asker.ask(&request).await;
    assert_eq!(first.shared.unwrap().1, end);
    let said = asker.judged(&request, &first, &short.serial_hex(), "-sha1");
    assert!(said.contains("Response verify OK") && said.contains("Next Update: Jan 15 08:58:59"), "{said}");
    assert_eq!(asker.ask(&request).await, first, "from memory, byte for byte");
    // Each of one response ends with its own certificate, and a nonce changes nothing of it.
    let both = asker.request(&[short.serial_hex(), long.serial_hex()], &[]);
    let both = shown(&asker.ask(&both).await, house.dir.path());
    assert!(both.contains("Next Update: Jan 15 08:58:59") && both.contains("Next Update: Jan 16 20:00:00"), "{both}");
    // Of one that has ended it is told as of any.
    world.advance(3_700);
    house.ledger.follow().await.unwrap();
    let after = asker.ask(&request).await;
    assert!(after != first && after.shared.unwrap().1 > end.plus_secs(86_400));
    house.verified().await;
}

/// Invariant 5: an intent without a conclusion counts as issued; what surely was not signed is none.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_without_conclusion_is_good_until_it_is_revoked() {
    let house = House::new().await;
    let model = house.server(&["www.example.com"]).await.into_credential();
    // As a crash between step 1 and step 2 leaves it.
    let entry = store::Entry {
        kind: model.kind,
        actor: model.actor,
        grant: model.grant,
        profile: model.profile,
        profile_hash: model.profile_hash,
        key: house.pool.find("tls-1").await.unwrap(),
        message: hsm::Message::from(model.tbs),
        serial: vec![1, 1, 9, 9],
        issuer: model.issuer,
        owner: model.owner,
        subject: model.subject,
        names: model.names,
        key_hash: model.key_hash,
        validity: model.validity,
        covers: None,
        renews: None,
        details: model.details,
    };
    house.ledger.intend(entry).await.unwrap();
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&["01010909".to_owned()], &["-no_nonce"]);
    assert!(shown(&asker.ask(&request).await, house.dir.path()).contains("Cert Status: good"));
    house.authority.revoke(&admin(), "01010909", RevocationReason::Superseded).await.unwrap();
    assert!(shown(&asker.ask(&request).await, house.dir.path()).contains("Cert Status: revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_altered_says_nothing() {
    let house = House::new().await;
    let (one, two) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    house.authority.revoke(&admin(), &two.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let sql = rusqlite::Connection::open(house.dir.path().join("chancery.db")).unwrap();
    sql.execute_batch(&format!(
        "UPDATE intent SET subject = 'CN=somebody' WHERE op = {}; DELETE FROM revocation WHERE op = {}",
        one.operation, two.operation
    ))
    .unwrap();
    let request = asker.request(&[one.serial_hex()], &["-no_nonce"]);
    assert_eq!(asker.ask(&request).await.der[..], [0x30, 3, 0x0a, 1, 3], "tryLater");
    assert!(!house.ledger.integrity().alarms.is_empty());
    // The log in memory knows what was revoked, whatever the rows say.
    let request = asker.request(&[two.serial_hex()], &["-no_nonce"]);
    assert!(shown(&asker.ask(&request).await, house.dir.path()).contains("Cert Status: revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_ca_that_ended_no_responder_and_no_key_is_made() {
    let house = House::new().await;
    let (one, _) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    let ca = Filter { kind: Some(Kind::CaCertificate), ..Filter::default() };
    let all = house.ledger.list(ca).await.unwrap().items;
    let tls = all.iter().find(|ca| ca.details["generation"] == "tls/1").unwrap().serial_hex();
    house.authority.revoke(&admin(), &tls, RevocationReason::KeyCompromise).await.unwrap();
    let keys = house.pool.keys().await.unwrap().len();
    let request = asker.request(&[one.serial_hex()], &["-no_nonce"]);
    for _ in 0..3 {
        assert_eq!(asker.ask(&request).await.der[..], [0x30, 3, 0x0a, 1, 3], "tryLater");
    }
    assert_eq!(house.pool.keys().await.unwrap().len(), keys);
    // The root tells of the CA itself.
    let root = Asker::new(&house, "root/1");
    let request = root.request(&[tls], &["-no_nonce"]);
    assert!(shown(&root.ask(&request).await, house.dir.path()).contains("keyCompromise"));
}

/// A rotation and a retirement under a running service: each generation answers for what it issued, for as long as that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn each_generation_answers_for_its_own_also_after_an_operator_ended_it() {
    let house = House::new().await;
    let (old, revoked) = two(&house).await;
    let first = Asker::new(&house, "tls/1");
    let of_old = first.request(&[old.serial_hex()], &["-no_nonce"]);
    let kept = first.ask(&of_old).await;
    let wish = ca::Rotate::of("tls");
    house.authority.rotate_issuer(&admin(), wish).await.unwrap();
    let new = house.server(&["new.example.com"]).await;
    assert_eq!(new.issuer, "tls/2");
    let second = Asker::new(&house, "tls/2");
    let of_new = second.request(&[new.serial_hex()], &["-no_nonce"]);
    let said = second.judged(&of_new, &second.ask(&of_new).await, &new.serial_hex(), "-sha1");
    assert!(said.contains("Response verify OK") && said.contains("Cert Status: good"), "{said}");
    assert_eq!(first.ask(&of_old).await, kept, "what was made stays");
    let wrong = house.authority.ocsp(Some("tls/2"), &of_old, None).await;
    assert_eq!(wrong.der[..], [0x30, 3, 0x0a, 1, 6], "unauthorized");
    assert!(house.authority.answers_for("tls/2").await && !house.authority.answers_for("tls/3").await);
    // Retired: what it issued is revoked still, and asked for; a node that starts then makes its responder then.
    house.authority.retire_issuer(&admin(), &"tls/1".parse().unwrap(), true).await.unwrap();
    house.authority.revoke(&admin(), &revoked.serial_hex(), RevocationReason::Superseded).await.unwrap();
    let of_revoked = first.request(&[revoked.serial_hex()], &["-no_nonce"]);
    let (other, _ledger) = house.beside(&store::Database::Sqlite(house.dir.path().join("chancery.db"))).await;
    for authority in [&house.authority, &other] {
        let answer = authority.ocsp(None, &of_revoked, None).await;
        let said = first.judged(&of_revoked, &answer, &revoked.serial_hex(), "-sha1");
        assert!(said.contains("Response verify OK") && said.contains("Cert Status: revoked"), "{said}");
    }
    assert_eq!(first.ask(&of_old).await, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responders_certificate_is_one_and_no_more() {
    let house = House::new().await;
    let (one, _) = two(&house).await;
    let asker = Asker::new(&house, "tls/1");
    asker.ask(&asker.request(&[one.serial_hex()], &["-no_nonce"])).await;
    let filter = Filter { profile: Some("ocsp".to_owned()), ..Filter::default() };
    let responder = house.ledger.newest(filter).await.unwrap().unwrap().into_inner().signed().unwrap();
    let (leaf, chain, roots) = house.chain_files(&responder);
    let text = accepts("openssl", &[&"x509", &"-in", &leaf, &"-noout", &"-text"]);
    for part in ["OCSP Signing", "OCSP No Check", "CA:FALSE", "Digital Signature", "OCSP tls/1"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["CRL Distribution", "Authority Information Access", "TLS Web"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    accepts(
        "openssl",
        &[&"verify", &"-x509_strict", &"-purpose", &"ocsphelper", &"-CAfile", &roots, &"-untrusted", &chain, &leaf],
    );
    refuses("openssl", &[&"verify", &"-purpose", &"sslserver", &"-CAfile", &roots, &"-untrusted", &chain, &leaf]);
}

/// Each year has 52 of them, of each issuer: none stays in the token.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_old_responders_are_destroyed_once_nothing_they_signed_holds_and_no_others_are() {
    let world = World::fixed(Timestamp::parse_rfc3339(NOW).unwrap(), 3);
    let house = House::with(world.clone(), ca::CreateConfig::new("Example")).await;
    let issued = house.authority.certify(&admin(), crate::house::server_request(&["www.example.com"])).await.unwrap();
    let asker = Asker::new(&house, "tls/1");
    let request = asker.request(&[issued.serial_hex()], &["-no_nonce"]);
    let labels = async || {
        let mut labels: Vec<String> = house.pool.keys().await.unwrap().iter().map(|k| k.label().to_owned()).collect();
        labels.sort();
        labels
    };
    let others = labels().await;
    // One that has such a label and is none: an operator's.
    let serial = "0101aabbccdd112233445566778899aa";
    let alike = house.pool.generate(&format!("tls-1-ocsp-{serial}"), hsm::KeyKind::P256).await.unwrap();
    house.ledger.record_key(&alike, "x509", store::ActorStamp::from(&admin())).await.unwrap();
    let is_responders = |label: &&String| label.contains("-ocsp-") && !label.ends_with(serial);
    let mut made = std::collections::BTreeSet::new();
    for day in 0..42 {
        asker.ask(&request).await;
        house.authority.tend_ocsp().await.unwrap();
        let there = labels().await;
        let responders: Vec<&String> = there.iter().filter(is_responders).collect();
        // The present one, the one before, whose certificate lasts for another week, and one for the day after its end.
        assert!((1..=3).contains(&responders.len()), "day {day}: {responders:?}");
        made.extend(responders.into_iter().cloned());
        world.advance(86_400);
        house.ledger.follow().await.unwrap();
    }
    assert!(made.len() >= 5, "{made:?}");
    let left = labels().await;
    assert!(left.contains(&alike.label().to_owned()));
    assert_eq!(left.into_iter().filter(|label| !label.contains("-ocsp-")).collect::<Vec<_>>(), others);
    // What is asked for goes on, and the log says which keys went.
    let answer = asker.ask(&request).await;
    assert!(asker.judged(&request, &answer, &issued.serial_hex(), "-sha1").contains("Response verify OK"));
    assert!(matches!(
        house.ledger.dismiss_key(&alike, store::ActorStamp::from(&admin())).await,
        Err(store::StoreError::Conflict(_))
    ));
    let ca = house.pool.find("tls-1").await.unwrap();
    assert!(house.ledger.dismiss_key(&ca, store::ActorStamp::from(&admin())).await.is_err(), "no CA's key");
}

/// Whoever can verify the issuer can verify its responder.
#[tokio::test(flavor = "multi_thread")]
async fn a_responder_has_a_key_of_the_kind_of_its_issuers_and_its_answers_are_kept() {
    for (kind, says) in [
        (hsm::KeyKind::Rsa2048, "sha256WithRSAEncryption"),
        // PSS is what its issuer signs with; fewer verify it, and so it is PKCS#1 here.
        (hsm::KeyKind::Rsa2048Pss, "sha256WithRSAEncryption"),
        (hsm::KeyKind::Rsa4096Pss, "sha256WithRSAEncryption"),
        (hsm::KeyKind::Ed25519, "ED25519"),
        (hsm::KeyKind::P384, "ecdsa-with-SHA384"),
        (hsm::KeyKind::P521, "ecdsa-with-SHA512"),
    ] {
        let config = ca::CreateConfig { issuing: kind, ..ca::CreateConfig::new("Example") };
        let house = House::with(World::fixed(Timestamp::parse_rfc3339(NOW).unwrap(), 3), config).await;
        let issued = house.server(&["www.example.com"]).await;
        let asker = Asker::new(&house, "tls/1");
        let request = asker.request(&[issued.serial_hex()], &["-no_nonce"]);
        let answer = asker.ask(&request).await;
        let said = asker.judged(&request, &answer, &issued.serial_hex(), "-sha1");
        // The response's own comes first; after it are those of the certificates that came with it, which its issuer signed.
        let own = said.lines().find(|line| line.contains("Signature Algorithm")).unwrap_or_default();
        assert!(said.contains("Response verify OK") && own.contains(says), "{kind}: {said}");
        let made = batches(&house).await;
        assert_eq!(asker.ask(&request).await, answer);
        assert_eq!(batches(&house).await, made, "{kind}: from memory");
    }
}
