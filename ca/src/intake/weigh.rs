//! Where keys of strangers are judged: beside the threads that answer everybody.
//!
//! Whether an RSA modulus of 4096 bits is a prime takes some 25 ms of CPU time, on the threads of an async runtime 25 ms of everybody
//! else's. What is long enough to hold an RSA key is read on a thread for blocking work, on half of the cores at most, so that
//! who sends nothing but such keys waits for himself. What is shorter takes microseconds and is read on the spot.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Bytes: what is shorter holds no modulus of 2048 bits.
const RSA_BYTES: usize = 256;

/// One permit for each key that may be judged at the same time.
static SCALES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, |cores| cores.get() / 2).max(1)));

/// What `read` makes of something that has this many bytes.
pub(crate) async fn weigh<T: Send + 'static>(bytes: usize, read: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < RSA_BYTES {
        return read();
    }
    // Nobody closes the scales; and who is cut off while he waits gives his place back.
    let permit = SCALES.acquire().await;
    let judged = spawn_blocking(move || {
        let _permit = permit;
        read()
    });
    match judged.await.map_err(JoinError::try_into_panic) {
        Ok(judged) => judged,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime ends, and this task with it.
        Err(Err(_)) => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::thread::current;

    #[tokio::test]
    async fn what_can_hold_an_rsa_key_is_judged_beside_the_runtime() {
        let here = current().id();
        assert_eq!(weigh(RSA_BYTES - 1, || current().id()).await, here);
        assert_ne!(weigh(RSA_BYTES, || current().id()).await, here);
    }

    #[tokio::test]
    #[should_panic(expected = "of the reader")]
    async fn a_panic_of_the_reader_is_the_callers() {
        weigh(RSA_BYTES, || panic!("of the reader")).await
    }
}
