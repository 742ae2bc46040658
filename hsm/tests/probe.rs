//! Whether the token would sign, asked without a signature. In a process of its own: the module is begun anew here.

use hsm::KeyKind;
use hsm::testing::TestToken;

#[tokio::test]
async fn a_token_that_went_away_is_met_by_asking_whether_it_would_sign_and_comes_back() {
    let token = TestToken::new("probed");
    let (pool, _mint) = hsm::open(token.config()).unwrap();
    pool.generate("k", KeyKind::P256).await.unwrap();
    pool.probe().await.unwrap();
    let (there, away) = (token.directory(), token.softhsm_conf().with_file_name("probed.away"));
    std::fs::rename(&there, &away).unwrap();
    assert!(pool.probe().await.is_err());
    std::fs::rename(&away, &there).unwrap();
    let back = async {
        while pool.probe().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), back).await.expect("it is brought back");
}
