//! What a profile says of a certificate, read from its bytes: drafts that are right, and the finding when the profile, the issuer or a
//! byte is another.

use std::sync::Arc;

use const_oid::db::{rfc5280, rfc5912};
use der::asn1::Ia5String;
use der::{Decode, Encode};
use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message};
use policy::{
    Action, Actor, Instance, Name, Owner, OwnerRules, Policies, Proof, Resource, Role, Serial, Timestamp, World,
};
use serde_json::json;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AccessDescription, AuthorityInfoAccessSyntax};

use crate::craft::leaf::{self, Leaf, LeafRequest, Lifetime, Subject, Title, Under};
use crate::craft::lint_tests::{issuing, policies as shipped};
use crate::drafting::Draft;
use crate::encode::x509::extension;
use crate::error::DraftError;
use crate::intake::SubjectKey;
use crate::issuers::Issuing;
use crate::profiles::{Profile, Profiles};

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// A CA, and a key for somebody else.
struct Bench {
    _token: TestToken,
    issuer: Arc<Issuing>,
    other: Key,
}

async fn bench(alter: impl FnOnce(&mut Issuing)) -> Bench {
    let token = TestToken::new("profiled");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    let mut issuer = issuing(&pool, &shipped()).await;
    alter(&mut issuer);
    let other = pool.generate("other", KeyKind::P256).await.unwrap();
    Bench { _token: token, issuer: Arc::new(issuer), other }
}

fn policies() -> Policies {
    let texts: Vec<_> = Policies::shipped().iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let rules = OwnerRules {
        dns: vec!["*.example.com".to_owned()],
        uri: vec!["spiffe://example.com/*".to_owned(), "spiffx://example.com/*".to_owned()],
        ..OwnerRules::none(Owner::parse("web").unwrap())
    };
    Policies::load(&texts, vec![rules]).unwrap()
}

/// What is replaced in a file.
type Edits<'a> = &'a [(&'a str, &'a str)];

/// The shipped profile of servers, edited.
fn profile(edits: Edits) -> Arc<Profile> {
    let text = Profiles::shipped()[0].1.to_owned();
    let text = edits.iter().fold(text, |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    Arc::new(Profile::read("tls-server", &text).unwrap())
}

fn draft(bench: &Bench, profile: Arc<Profile>, names: &[&str]) -> Draft<Leaf> {
    try_draft(bench, profile, names).unwrap()
}

fn try_draft(bench: &Bench, profile: Arc<Profile>, names: &[&str]) -> Result<Draft<Leaf>, DraftError> {
    let admin = Actor {
        id: "admin".to_owned(),
        roles: [Role::Admin].into(),
        owners: Default::default(),
        scopes: None,
        proof: Proof::Token { id: "00".to_owned() },
        second_factor: None,
    };
    let names = names.iter().map(|name| Name::parse(name).unwrap()).collect();
    let resource = Resource::certificate(Some(Owner::parse("web").unwrap()), "tls-server", names);
    let grant = policies().decide(&admin, Action::IssueCertificate, &resource).unwrap();
    let serial = Serial::generate(&World::fixed(NOW, 3), Instance::new(1).unwrap());
    let under = Under { issuer: bench.issuer.clone(), profile, serial, now: NOW };
    let request = LeafRequest {
        key: SubjectKey::from_token(&bench.other),
        subject: Subject::ByProfile(Title::named("a title")),
        lifetime: Lifetime::Secs(3600),
        details: json!({}),
        renews: None,
        approved: Vec::new(),
    };
    leaf::draft(grant, under, request)
}

/// The names of the lints that do not hold.
fn found(draft: Draft<Leaf>) -> Vec<&'static str> {
    match draft.lint() {
        Ok(_) => Vec::new(),
        Err(failure) => failure.findings.iter().map(|finding| finding.lint.name).collect(),
    }
}

/// The draft with each `old` in its bytes replaced by as many others.
fn bent(mut draft: Draft<Leaf>, old: &[u8], new: &[u8]) -> Draft<Leaf> {
    let Message::Whole(bytes) = &draft.entry.message else { panic!("a whole message") };
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(!places.is_empty() && old.len() == new.len());
    for at in places {
        bytes[at..at + old.len()].copy_from_slice(new);
    }
    draft.entry.message = Message::from(bytes);
    draft
}

#[tokio::test]
async fn a_certificate_is_held_to_each_word_of_its_profile() {
    let bench = bench(|_| ()).await;
    let template = ("subject = \"first-name\"", "subject = [\"O=Example\", \"OU={owner}\", \"CN={cn}\"]");
    let (title, names) = (template.1, &["a.example.com", "b.example.com"][..]);
    let staple_free = |pointers: &str| {
        let text: &str = Box::leak(format!("wildcards = true\npointers = {pointers}").into_boxed_str());
        ("wildcards = true", text)
    };
    let cases: &[(Edits, Edits, &str)] = &[
        (&[], &[("issuer = \"tls\"", "issuer = \"other\"")], "leaf-issuer-is-its-profiles"),
        (
            &[],
            &[(template.0, "subject = \"first-name\"\nends = \"2027-01-15T08:30:00Z\"")],
            "leaf-ends-with-its-profile",
        ),
        (&[], &[("wildcards = true", "wildcards = true\nnames_max = 1")], "leaf-names-are-its-profiles"),
        (
            &[],
            &[("[\"dns\", \"ip\"]", "[\"ip\"]"), ("wildcards = true", "wildcards = false")],
            "leaf-names-are-its-profiles",
        ),
        (&[], &[("[\"dns\", \"ip\"]", "[\"dns\", \"ip\"]\nnames_required = [\"ip\"]")], "leaf-names-are-its-profiles"),
        (&[template], &[(template.0, &title.replace("Example", "Other"))], "leaf-subject-fits-its-template"),
        (&[template], &[(template.0, &title.replace("{cn}", "{dns}"))], "leaf-subject-fits-its-template"),
        (&[template], &[(template.0, &title.replace("{owner}", "db"))], "leaf-subject-fits-its-template"),
        (&[], &[("wildcards = true", "wildcards = true\npolicies = [\"1.2.3\"]")], "leaf-extensions-are-its-profiles"),
        (&[("wildcards = true", "wildcards = true\npolicies = [\"1.2.3\"]")], &[], "leaf-extensions-are-known"),
        (
            &[("wildcards = true", "wildcards = true\nbackdate = \"3m\"")],
            &[],
            "validity-is-backdated-by-a-minute-at-most",
        ),
        (&[], &[staple_free("[\"crl\"]")], "leaf-points-as-its-profile-says"),
        (&[staple_free("[\"crl\"]")], &[], "cert-points-to-its-issuer"),
        (&[staple_free("[\"ocsp\"]")], &[], "cert-points-to-a-crl"),
        (&[staple_free("[\"ocsp\"]")], &[staple_free("[\"issuer\", \"ocsp\"]")], "leaf-points-as-its-profile-says"),
        (
            &[staple_free("[\"crl\"]\ncrl_urls = [\"http://a.example/\"]")],
            &[staple_free("[\"crl\"]\ncrl_urls = [\"http://b.example/\"]")],
            "leaf-points-as-its-profile-says",
        ),
    ];
    for (drafted, linted, name) in cases {
        let good = draft(&bench, profile(drafted), names);
        assert_eq!(found(good), [""; 0], "{drafted:?}");
        let mut other = draft(&bench, profile(drafted), names);
        other.craft.profile = profile(linted);
        let found = found(other);
        assert!(found.contains(name), "{drafted:?} under {linted:?}: {found:?}");
    }
}

#[tokio::test]
async fn purposes_and_spiffe_ids_are_read_from_the_bytes() {
    let here = bench(|_| ()).await;
    // id-kp-serverAuth, and id-kp-timeStamping, which stands alone and is critical.
    let stamps = bent(
        draft(&here, profile(&[]), &["a.example.com"]),
        &[0x2b, 6, 1, 5, 5, 7, 3, 1],
        &[0x2b, 6, 1, 5, 5, 7, 3, 8],
    );
    assert!(found(stamps).contains(&"leaf-time-stamping-is-critical-and-alone"));
    // Of two URIs one becomes a SPIFFE ID.
    let uris = profile(&[("[\"dns\", \"ip\"]", "[\"dns\", \"uri\"]")]);
    let two = || draft(&here, uris.clone(), &["a.example.com", "spiffx://example.com/a", "spiffx://example.com/b"]);
    assert_eq!(found(two()), [""; 0]);
    assert!(
        found(bent(two(), b"spiffx://example.com/a", b"spiffe://example.com/a")).contains(&"leaf-has-one-spiffe-id")
    );
    // A CA for clients alone.
    let clients = bench(|issuer| issuer.purposes = Some(vec![rfc5280::ID_KP_CLIENT_AUTH])).await;
    let mut other = draft(&here, profile(&[]), &["a.example.com"]);
    other.craft.issuer = clients.issuer.clone();
    assert!(found(other).contains(&"leaf-purposes-are-its-issuers"));
}

#[tokio::test]
async fn who_must_staple_has_a_responder() {
    let names = |issuer: &mut Issuing, responder: bool| {
        let access =
            issuer.pointers.iter_mut().flatten().find(|e| e.extn_id == rfc5280::ID_PE_AUTHORITY_INFO_ACCESS).unwrap();
        let mut all = AuthorityInfoAccessSyntax::from_der(access.extn_value.as_bytes()).unwrap();
        all.0.retain(|one| one.access_method != rfc5912::ID_AD_OCSP);
        let address = GeneralName::UniformResourceIdentifier(Ia5String::new("http://pki.example/ocsp").unwrap());
        all.0.extend(
            responder.then_some(AccessDescription { access_method: rfc5912::ID_AD_OCSP, access_location: address }),
        );
        *access = extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, false, &all.to_der().unwrap()).unwrap();
    };
    let must = || profile(&[("wildcards = true", "wildcards = true\nmust_staple = true")]);
    let none = bench(|issuer| names(issuer, false)).await;
    let refused = try_draft(&none, must(), &["a.example.com"]).err().unwrap();
    assert!(refused.to_string().contains("names no OCSP responder"), "{refused}");
    let bench = bench(|issuer| names(issuer, true)).await;
    let staples = || draft(&bench, must(), &["a.example.com"]);
    assert_eq!(found(staples()), [""; 0]);
    // id-ad-ocsp becomes id-ad-timeStamping.
    let silent = bent(staples(), &[0x2b, 6, 1, 5, 5, 7, 0x30, 1], &[0x2b, 6, 1, 5, 5, 7, 0x30, 3]);
    assert!(found(silent).contains(&"leaf-must-staple-has-a-responder"));
}
