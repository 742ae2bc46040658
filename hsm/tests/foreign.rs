//! Keys that another program put into the token.
//!
//! One test at a time: SoftHSM's processes do not see each other's changes of one store reliably while both are at work.

use std::process::Command;

use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{HsmError, KeyKind};
use tokio::sync::Mutex;

static ALONE: Mutex<()> = Mutex::const_new(());

fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let done = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_wrong_attributes_is_refused_and_each_is_named() {
    let _alone = ALONE.lock().await;
    let token = TestToken::new("attributes");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    let ours = pool.generate("ours", KeyKind::P256).await.unwrap();
    let common = ["--module", SOFTHSM_MODULE, "--token-label", token.label(), "--login", "--pin", token.pin()];
    let keypair = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "loose", "--id", "0a"];
    let made =
        run("pkcs11-tool", &[&common[..], &keypair, &["--extractable", "--usage-derive", "--usage-sign"]].concat());
    assert!(made.0, "{}", made.1);
    let Err(HsmError::Unfit { label, wrong }) = pool.find("loose").await else { panic!("it was accepted") };
    assert_eq!(label, "loose");
    for attribute in ["CKA_EXTRACTABLE is true", "CKA_NEVER_EXTRACTABLE is false", "CKA_DERIVE is true"] {
        assert!(wrong.iter().any(|w| w.contains(attribute)), "{attribute} is missing in {wrong:?}");
    }
    // A key brought in from outside: its value was known to somebody, whatever its flags say now.
    let directory = tempfile::tempdir().unwrap();
    let (pem, der) = (directory.path().join("k.pem"), directory.path().join("k.der"));
    let (pem, der) = (pem.to_str().unwrap(), der.to_str().unwrap());
    let (public_der, done) = (format!("{der}.pub"), |r: (bool, String)| assert!(r.0, "{}", r.1));
    done(run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pem]));
    done(run("openssl", &["pkey", "-in", pem, "-outform", "DER", "-out", der]));
    done(run("openssl", &["pkey", "-in", pem, "-pubout", "-outform", "DER", "-out", &public_der]));
    for (file, class) in [(der, "privkey"), (&public_der, "pubkey")] {
        let write = ["--write-object", file, "--type", class, "--label", "imported", "--id", "0b", "--usage-sign"];
        done(run("pkcs11-tool", &[&common[..], &write].concat()));
    }
    let Err(HsmError::Unfit { wrong, .. }) = pool.find("imported").await else { panic!("it was accepted") };
    assert!(wrong.iter().any(|w| w.contains("CKA_NEVER_EXTRACTABLE is false")), "{wrong:?}");

    let keys = pool.keys().await.unwrap();
    assert_eq!(keys.iter().map(|k| k.fingerprint()).collect::<Vec<_>>(), [ours.fingerprint()]);
    let refused: Vec<_> = pool.describe().await.unwrap().refused.into_iter().map(|(label, _)| label).collect();
    assert_eq!(refused.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_of_one_label_are_none() {
    let _alone = ALONE.lock().await;
    let token = TestToken::new("twins");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    pool.generate("twin", KeyKind::P256).await.unwrap();
    let common = ["--module", SOFTHSM_MODULE, "--token-label", token.label(), "--login", "--pin", token.pin()];
    let keypair = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "twin", "--id", "0c"];
    assert!(run("pkcs11-tool", &[&common[..], &keypair].concat()).0);
    let Err(HsmError::Unfit { wrong, .. }) = pool.find("twin").await else { panic!("one was chosen") };
    assert!(wrong[0].contains("2 keys share the label"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_outside_is_taken_by_a_word_alone_and_then_only_signs() {
    let _alone = ALONE.lock().await;
    let token = TestToken::new("outside");
    let (pool, mint) = hsm::open(token.config()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("k.pem");
    let pem = pem.to_str().unwrap();
    let done = |r: (bool, String)| assert!(r.0, "{}", r.1);
    done(run("openssl", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", pem]));
    token.import(std::path::Path::new(pem), ("outside", "0d"), &[]);
    let powers = ["CKA_DECRYPT is true", "CKA_UNWRAP is true"];
    let wrong = |found: Result<hsm::Key, HsmError>| match found {
        Err(HsmError::Unfit { wrong, .. }) => wrong.join(" "),
        other => panic!("{other:?}"),
    };
    let said = wrong(pool.find("outside").await);
    assert!(powers.iter().all(|power| said.contains(power)) && said.contains("CKA_NEVER_EXTRACTABLE"), "{said}");
    // A look changes nothing.
    assert!(pool.see_brought(&[], "outside").await.unwrap().is_brought());
    assert_eq!(wrong(pool.find("outside").await), said);
    let key = pool.find_brought("outside").await.unwrap();
    assert!(key.is_brought());
    let now = wrong(pool.find("outside").await);
    assert!(powers.iter().all(|power| !now.contains(power)) && now.contains("CKA_NEVER_EXTRACTABLE"), "{now}");
    let intent = mint.intent(1, &key, b"signed".to_vec().into());
    pool.sign(intent).await.unwrap();
    // The word lifts no other rule: a key that can be read is none.
    let common = ["--module", SOFTHSM_MODULE, "--token-label", token.label(), "--login", "--pin", token.pin()];
    let keypair = ["--keypairgen", "--key-type", "EC:prime256v1", "--label", "loose", "--id", "0e", "--extractable"];
    done(run("pkcs11-tool", &[&common[..], &keypair, &["--usage-sign"]].concat()));
    assert!(wrong(pool.find_brought("loose").await).contains("CKA_EXTRACTABLE is true"));
    assert!(wrong(pool.see_brought(&[], "loose").await).contains("CKA_EXTRACTABLE is true"));
}

/// Whoever has a copy of a key that seals opens all that it sealed, and nobody would know: no word takes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sealing_key_that_was_outside_is_refused_and_says_why() {
    let _alone = ALONE.lock().await;
    let token = TestToken::new("outside-seal");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("aes");
    std::fs::write(&file, [7; 32]).unwrap();
    token.import(&file, ("outside", "0f"), &["--aes"]);
    let Err(HsmError::Unfit { wrong, .. }) = pool.has_sealing(None, "outside").await else { panic!("it was accepted") };
    assert!(wrong.iter().any(|why| why.contains("a copy may exist outside the token")), "{wrong:?}");
    let sealed = pool.seal(&hsm::SealingKey::named("outside"), b"secret", b"").await;
    assert!(matches!(sealed, Err(HsmError::Unfit { .. })), "{sealed:?}");
}
