//! Several modules in one process, one of them p11-kit's proxy, which makes a table of functions for each who asks for one.

use std::path::PathBuf;

use hsm::testing::TestToken;
use hsm::{KeyKind, verify};

/// p11-kit's proxy: Debian's p11-kit-modules calls the same file p11-kit-proxy.so.
fn proxy() -> PathBuf {
    let file = format!("/usr/lib/{}-linux-gnu/libp11-kit.so.0", std::env::consts::ARCH);
    assert!(std::fs::exists(&file).is_ok_and(|there| there), "{file}: install libp11-kit0");
    file.into()
}

#[tokio::test]
async fn a_token_behind_p11_kits_proxy_works_beside_one_that_is_opened_directly() {
    let direct = TestToken::new("direct");
    let (beside, beside_mint) = hsm::open(direct.config()).unwrap();
    let proxied = TestToken::behind(&proxy(), "proxied");
    let (pool, mint) = hsm::open(proxied.config()).unwrap();
    assert_eq!(pool.self_test().await.unwrap(), KeyKind::P256.algorithm());
    let kinds = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Rsa2048, KeyKind::Rsa2048Pss, KeyKind::Ed25519];
    for (number, kind) in kinds.into_iter().enumerate() {
        let key = pool.generate(&format!("k{number}"), kind).await.unwrap();
        pool.probe().await.unwrap();
        let message = hsm::Message::from(b"through the proxy".to_vec());
        let signature = pool.sign(mint.intent(number as u64, &key, message.clone())).await.unwrap();
        verify(key.algorithm(), key.spki_der(), &message, signature.bytes()).unwrap();
    }
    // The other one was not ended by it, nor begun twice.
    let key = beside.generate("beside", KeyKind::P256).await.unwrap();
    beside.sign(beside_mint.intent(1, &key, b"directly".to_vec().into())).await.unwrap();
    assert_eq!(pool.keys().await.unwrap().len(), kinds.len());
}

#[tokio::test]
async fn a_module_that_somebody_began_is_as_good_as_one_that_we_began() {
    let token = TestToken::new("joined");
    let dir = tempfile::tempdir().unwrap();
    // Two names of one file: the loader gives the same library for both, whose second C_Initialize says that it is done.
    let [first, second] = ["first.so", "second.so"].map(|name| dir.path().join(name));
    std::fs::copy(token.config().module, &first).unwrap();
    std::fs::hard_link(&first, &second).unwrap();
    for module in [first, second] {
        let (pool, _mint) = hsm::open(hsm::TokenConfig { module, ..token.config() }).unwrap();
        assert_eq!(pool.self_test().await.unwrap(), KeyKind::P256.algorithm());
    }
}
