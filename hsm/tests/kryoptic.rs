//! A token of PKCS#11 3.2: what SoftHSM has not, and a second opinion of what it has.

use hsm::testing::TestToken;
use hsm::{Health, HsmError, KeyKind, Message, verify};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_key_is_made_found_and_signs_in_another_token() {
    let token = TestToken::kryoptic("kinds");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let kinds = KeyKind::ALL.into_iter().filter(|kind| !kind.as_str().starts_with("rsa4096"));
    for kind in kinds.clone() {
        let key = pool.generate(kind.as_str(), kind).await.unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!((key.kind(), key.algorithm()), (kind, kind.algorithm()));
        for operation in 0..5 {
            let message = Message::from(format!("operation {operation} of {kind}").into_bytes());
            let signed = pool.sign(mint.intent(operation, &key, message.clone())).await;
            let signature = signed.unwrap_or_else(|e| panic!("{kind}: {e}"));
            verify(kind.algorithm(), key.spki_der(), &message, signature.bytes()).unwrap();
            let other = Message::from(b"another message".to_vec());
            assert!(verify(kind.algorithm(), key.spki_der(), &other, signature.bytes()).is_err(), "{kind}");
        }
    }
    pool.shutdown();
    // Somebody else opens the token, and knows each key for what it is.
    let (pool, mint) = hsm::open(token.config()).unwrap();
    for kind in kinds {
        let key = pool.find(kind.as_str()).await.unwrap();
        assert_eq!(key.kind(), kind);
        pool.sign(mint.intent(1, &key, b"m".to_vec().into())).await.unwrap();
        assert!(matches!(pool.generate(kind.as_str(), kind).await, Err(HsmError::Exists { .. })));
    }
    pool.generate_sealing(None, "seal").await.unwrap();
    let sealed = pool.seal(&hsm::SealingKey::named("seal"), b"hunter2", b"row 7").await.unwrap();
    assert_eq!(pool.unseal(&hsm::SealingKey::named("seal"), &sealed, b"row 7").await.unwrap(), b"hunter2");
    assert_eq!(pool.health(), Health::Ready);
    // No thread is in a module any more when this process ends, and the module with it.
    pool.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_imported_into_tokens_of_two_makes_signs_in_either() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.p8");
    let mut make = std::process::Command::new("openssl");
    make.args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"]).arg(&key);
    assert!(make.status().unwrap().success());
    let (soft, other) = (TestToken::new("soft"), TestToken::kryoptic("imported"));
    soft.import(&key, ("k", "01"), &[]);
    other.import(&key, ("k", "01"), &[]);
    let (pool, mint) =
        hsm::open_all(vec![("main".to_owned(), soft.config()), ("spare".to_owned(), other.config())]).unwrap();
    // It was outside: it is taken where somebody says so, and nowhere else.
    assert!(matches!(pool.find("k").await, Err(HsmError::Unfit { .. })));
    let key = pool.find_brought("k").await.unwrap();
    let homes = ["main".to_owned(), "spare".to_owned()];
    let at_home = pool.at_home(&homes, ("k", true), &key.fingerprint()).await;
    assert!(at_home.away.is_empty() && at_home.wrong.is_empty(), "{at_home:?}");
    for (operation, name) in [(1, "main"), (2, "spare")] {
        let key = at_home.key.clone().unwrap().at(&[name.to_owned()]);
        pool.sign(mint.intent(operation, &key, b"m".to_vec().into())).await.unwrap();
    }
    pool.shutdown();
}
