//! Several tokens: the same key in two of them, and what one in trouble means for the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hsm::testing::{SOFTHSM_MODULE, TestToken};
use hsm::{Health, HsmError, Key, KeyKind, Mint, PinSource, Pool, SignError, TokenConfig, open_all};

/// A folder that is taken away, and put back when the test ends.
struct Aside {
    place: PathBuf,
    aside: PathBuf,
}

impl Aside {
    fn of(token: &TestToken) -> Aside {
        let place = token.directory();
        let aside = token.softhsm_conf().with_file_name(format!("aside-{}", token.label()));
        fs::rename(&place, &aside).unwrap();
        Aside { place, aside }
    }

    fn back(&self) {
        fs::rename(&self.aside, &self.place).unwrap();
    }
}

fn config(token: &TestToken) -> TokenConfig {
    TokenConfig { deadline: Duration::from_secs(20), ..token.config() }
}

fn opened(tokens: &[(&str, TokenConfig)]) -> (Pool, Mint) {
    open_all(tokens.iter().map(|(name, config)| ((*name).to_owned(), config.clone())).collect()).unwrap()
}

/// A module of its own behind a copy of the file.
fn copy(folder: &Path) -> PathBuf {
    let module = folder.join("copy.so");
    fs::copy(SOFTHSM_MODULE, &module).unwrap();
    module
}

fn homes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn sign(pool: &Pool, mint: &Mint, key: &Key, operation: u64) -> Result<hsm::Signature, SignError> {
    pool.sign(mint.intent(operation, key, b"to be signed".to_vec().into())).await
}

fn signed_by(pool: &Pool, name: &str) -> u64 {
    pool.token(name).unwrap().signing_times().counts.iter().map(|(_, count)| count).sum()
}

async fn until(what: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it comes about");
}

/// Two tokens with one key, open as `main` and `spare`: of one module, or of two.
async fn twins(word: &str, apart: Option<&Path>) -> (TestToken, TestToken, Pool, Mint, Key) {
    let main = TestToken::new(word);
    let (pool, _mint) = hsm::open(main.config()).unwrap();
    let key = pool.generate("k", KeyKind::P256).await.unwrap();
    pool.generate_sealing(None, "s").await.unwrap();
    pool.shutdown();
    let spare = main.twin(word);
    let module = apart.map_or_else(|| config(&spare).module, copy);
    let (pool, mint) = opened(&[("main", config(&main)), ("spare", TokenConfig { module, ..config(&spare) })]);
    let at_home = pool.at_home(&homes(&["main", "spare"]), ("k", false), &key.fingerprint()).await;
    assert!(at_home.away.is_empty() && at_home.wrong.is_empty(), "{at_home:?}");
    let key = at_home.key.unwrap();
    assert_eq!(key.homes(), ["main", "spare"]);
    (main, spare, pool, mint, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_in_two_tokens_signs_while_one_is_away_and_the_first_does_again_once_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    for apart in [None, Some(folder.path())] {
        let (main, _spare, pool, mint, key) = twins("twins", apart).await;
        let sealed = pool.seal(&hsm::SealingKey::named("s"), b"secret", b"here").await.unwrap();
        sign(&pool, &mint, &key, 1).await.unwrap();
        assert_eq!((signed_by(&pool, "main"), signed_by(&pool, "spare")), (1, 0));
        let aside = Aside::of(&main);
        // None fails, the one that meets the trouble neither.
        for operation in 2..40 {
            sign(&pool, &mint, &key, operation).await.unwrap();
        }
        assert_ne!(pool.token("main").unwrap().health(), Health::Ready);
        assert_eq!((pool.health(), pool.health_of(&key)), (Health::Ready, Health::Ready));
        assert_eq!(signed_by(&pool, "spare"), 38);
        assert_eq!(pool.unseal(&hsm::SealingKey::named("s"), &sealed, b"here").await.unwrap(), b"secret");
        // Nothing of one token alone is done for it meanwhile.
        let alone = sign(&pool, &mint, &key.at(&homes(&["main"])), 40).await;
        assert!(matches!(alone, Err(SignError::Unavailable { .. })), "{alone:?}");
        aside.back();
        until(|| pool.token("main").unwrap().health() == Health::Ready).await;
        let before = signed_by(&pool, "main");
        sign(&pool, &mint, &key, 41).await.unwrap();
        assert_eq!(signed_by(&pool, "main"), before + 1);
        pool.shutdown();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_has_under_the_name_and_is_another_key_is_never_signed_with() {
    let (main, spare) = (TestToken::new("right"), TestToken::new("wrong"));
    let (pool, mint) = opened(&[("main", config(&main)), ("spare", config(&spare))]);
    let key = pool.generate_in("main", "k", KeyKind::P256).await.unwrap();
    pool.generate_in("spare", "k", KeyKind::P256).await.unwrap();
    let both = homes(&["spare", "main"]);
    let at_home = pool.at_home(&both, ("k", false), &key.fingerprint()).await;
    assert_eq!(at_home.wrong.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["spare"]);
    assert_eq!(at_home.key.unwrap().homes(), ["main"]);
    // Whoever asks all the same gets nothing from it, and the signature from the one that has the key.
    let alone = sign(&pool, &mint, &key.at(&homes(&["spare"])), 1).await;
    assert!(matches!(alone, Err(SignError::Refused(_))), "{alone:?}");
    sign(&pool, &mint, &key.at(&both), 2).await.unwrap();
    assert_eq!((signed_by(&pool, "main"), signed_by(&pool, "spare")), (1, 0));
    // A key that is in no token that is configured is in none.
    let nowhere = sign(&pool, &mint, &key.at(&homes(&["other"])), 3).await;
    assert!(matches!(nowhere, Err(SignError::Refused(_))), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_back_with_another_key_of_that_name_does_not_sign_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (main, _spare, pool, mint, key) = twins("exchanged", Some(folder.path())).await;
    let stranger = TestToken::new("stranger");
    let (other, _mint) = hsm::open(stranger.config()).unwrap();
    other.generate("k", KeyKind::P256).await.unwrap();
    other.shutdown();
    sign(&pool, &mint, &key, 1).await.unwrap();
    let aside = Aside::of(&main);
    sign(&pool, &mint, &key, 2).await.unwrap();
    until(|| pool.token("main").unwrap().health() != Health::Ready).await;
    main.exchange(&stranger);
    until(|| pool.token("main").unwrap().health() == Health::Ready).await;
    let before = signed_by(&pool, "main");
    for operation in 3..10 {
        sign(&pool, &mint, &key, operation).await.unwrap();
    }
    assert_eq!(signed_by(&pool, "main"), before);
    let at_home = pool.at_home(key.homes(), ("k", false), &key.fingerprint()).await;
    assert_eq!(at_home.wrong.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["main"]);
    drop(aside);
}

/// A key that was made outside of the token that it comes into.
fn import(token: &TestToken, label: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let mut made = Command::new("openssl");
    made.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]).arg(&file);
    assert!(made.output().unwrap().status.success());
    token.import(&file, (label, "01"), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_back_with_another_key_of_that_name_and_id_is_told_of_though_that_key_is_unfit() {
    let (main, stranger) = (TestToken::new("brought"), TestToken::new("unfit"));
    import(&main, "k");
    import(&stranger, "k");
    let spare = main.twin("brought");
    let folder = tempfile::tempdir().unwrap();
    let module = copy(folder.path());
    let (pool, mint) = opened(&[("main", config(&main)), ("spare", TokenConfig { module, ..config(&spare) })]);
    let found = pool.token("main").unwrap().find_brought("k", None).await.unwrap();
    let key = found.at(&homes(&["main", "spare"]));
    sign(&pool, &mint, &key, 1).await.unwrap();
    let aside = Aside::of(&main);
    sign(&pool, &mint, &key, 2).await.unwrap();
    until(|| pool.token("main").unwrap().health() != Health::Ready).await;
    main.exchange(&stranger);
    until(|| pool.token("main").unwrap().health() == Health::Ready).await;
    let at_home = pool.at_home(key.homes(), ("k", true), &key.fingerprint()).await;
    assert_eq!(at_home.wrong.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["main"]);
    assert_eq!(at_home.key.unwrap().homes(), ["spare"]);
    drop(aside);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_first_token_cannot_open_another_one_does_not_open_in_its_place() {
    let (main, lesser) = (TestToken::new("sealing"), TestToken::new("lesser"));
    let (pool, _mint) = opened(&[("main", config(&main)), ("lesser", config(&lesser))]);
    for token in ["main", "lesser"] {
        pool.generate_sealing(Some(token), "s").await.unwrap();
    }
    let key = hsm::SealingKey::named("s");
    let there = key.clone().at(&homes(&["lesser"]));
    let forged = pool.seal(&there, b"forged", b"here").await.unwrap();
    assert_eq!(pool.unseal(&there, &forged, b"here").await.unwrap(), b"forged");
    let refused = pool.unseal(&key, &forged, b"here").await;
    assert!(matches!(refused, Err(HsmError::Sealed(_))), "{refused:?}");
    let sealed = pool.seal(&key, b"secret", b"here").await.unwrap();
    assert_eq!(pool.unseal(&key, &sealed, b"here").await.unwrap(), b"secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_does_not_open_keeps_nobody_from_the_others_and_is_brought_back() {
    let (main, spare) = (TestToken::new("closed"), TestToken::new("open"));
    for (token, label) in [(&main, "a"), (&spare, "b")] {
        let (pool, _mint) = hsm::open(token.config()).unwrap();
        pool.generate(label, KeyKind::P256).await.unwrap();
        pool.shutdown();
    }
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.pin");
    fs::copy(main.pin_file(), &wrong).unwrap();
    fs::write(&wrong, "00000000\n").unwrap();
    let aside = Aside::of(&main);
    // The module does not show the token, since it is initialised anew.
    let module = copy(folder.path());
    let first = TokenConfig { module, ..config(&main) };
    let (pool, mint) = opened(&[("main", first), ("spare", config(&spare))]);
    assert_ne!(pool.token("main").unwrap().health(), Health::Ready);
    let b = pool.token("spare").unwrap().find("b").await.unwrap().at(&homes(&["spare"]));
    sign(&pool, &mint, &b, 1).await.unwrap();
    let away = pool.find("a").await;
    assert!(matches!(away, Err(HsmError::Unavailable { .. })), "{away:?}");
    aside.back();
    until(|| pool.token("main").unwrap().health() == Health::Ready).await;
    let a = pool.find("a").await.unwrap();
    sign(&pool, &mint, &a, 2).await.unwrap();
    pool.shutdown();
    // A PIN that is refused is one token's too, and is tried once.
    let third = TestToken::new("locked");
    let locked = TokenConfig { pin: PinSource::File(wrong), ..config(&third) };
    let (pool, mint) = opened(&[("main", locked.clone()), ("spare", config(&spare))]);
    assert!(matches!(pool.token("main").unwrap().health(), Health::Locked { .. }));
    assert_eq!(pool.health(), Health::Ready);
    let b = pool.token("spare").unwrap().find("b").await.unwrap().at(&homes(&["spare"]));
    sign(&pool, &mint, &b, 1).await.unwrap();
    // Where none opens there is nothing to begin with.
    let none = open_all(vec![("main".to_owned(), locked)]);
    assert!(matches!(none, Err(HsmError::Locked(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_under_two_names_and_names_that_are_none_are_refused() {
    let token = TestToken::new("once");
    let by_serial = TokenConfig { token: hsm::TokenSelector::Serial(token.serial().to_owned()), ..config(&token) };
    for (tokens, says) in [
        (vec![("main", config(&token)), ("spare", by_serial)], "are one token"),
        (vec![("main", config(&token)), ("main", config(&token))], "two are called `main`"),
        (vec![("Main", config(&token))], "lower-case"),
        (Vec::new(), "1 to 8"),
    ] {
        let tokens = tokens.into_iter().map(|(name, config)| (name.to_owned(), config)).collect();
        let refused = open_all(tokens).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_measured_by_passing_keys_alone() {
    let (pool, _mint) = hsm::open(TestToken::new("measured").config()).unwrap();
    let measured = pool.first().measure(Duration::from_millis(50)).await.unwrap();
    assert!(measured.signatures >= measured.sessions && measured.per_second > 0.0, "{measured:?}");
    assert!(measured.median <= measured.p99 && measured.sessions == 4);
    assert!(pool.keys().await.unwrap().is_empty());
}
