//! The end of a process under load: its exit code is its own.

use std::process::Command;

use hsm::KeyKind;
use hsm::testing::TestToken;

const CHILD: &str = "CHANCERY_TEST_ENDS_UNDER_LOAD";
const THIS: &str = "a_process_that_exits_under_load_does_not_crash";

/// Sessions are being opened, used and closed all the time, and then the process exits.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn end_under_load() -> ! {
    let token = TestToken::new("ending");
    for _ in 0..3 {
        let (pool, mint) = hsm::open(token.config()).unwrap();
        let key = match pool.find("k").await {
            Ok(key) => key,
            Err(_) => pool.generate("k", KeyKind::P256).await.unwrap(),
        };
        tokio::spawn(async move {
            for operation in 0.. {
                let _ = pool.sign(mint.intent(operation, &key, b"m".to_vec().into())).await;
            }
        });
    }
    // Pools that nobody holds any more: their threads are closing sessions.
    for _ in 0..4 {
        drop(hsm::open(token.config()).unwrap());
    }
    std::process::exit(7);
}

#[test]
fn a_process_that_exits_under_load_does_not_crash() {
    if std::env::var_os(CHILD).is_some() {
        end_under_load();
    }
    for _ in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let done = child.args(["--exact", THIS, "--nocapture"]).env(CHILD, "yes").output().unwrap();
        assert_eq!(done.status.code(), Some(7), "{}: {}", done.status, String::from_utf8_lossy(&done.stderr));
    }
}
