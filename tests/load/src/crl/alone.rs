//! What a CRL cannot do without: a signature over its bytes, and its bytes on the disk.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hsm::testing::TestToken;
use hsm::{Key, KeyKind, Message, Mint, Pool};

use crate::error::CompareError;
use crate::house::House;

/// A token of this process, and a file beside the register.
pub(super) struct Alone {
    pool: Pool,
    mint: Mint,
    key: Key,
    file: PathBuf,
    number: u64,
}

impl Alone {
    pub(super) async fn open(house: &House) -> Result<Alone, CompareError> {
        let failed = |e: hsm::HsmError| CompareError::Failed(format!("the token alone: {e}"));
        let (pool, mint) = hsm::open(TestToken::new("alone").config()).map_err(failed)?;
        let key = pool.generate("alone", KeyKind::P256).await.map_err(failed)?;
        Ok(Alone { pool, mint, key, file: house.folder().join("alone.crl"), number: 0 })
    }

    /// Has these bytes signed, the signature verified, and both written and flushed.
    pub(super) async fn sign_and_write(&mut self, bytes: &[u8]) -> Result<Duration, CompareError> {
        self.number += 1;
        let message = Message::from(bytes.to_vec());
        let began = Instant::now();
        let intent = self.mint.intent(self.number, &self.key, message);
        let signed = self.pool.sign(intent).await.map_err(|e| CompareError::Failed(format!("the token alone: {e}")))?;
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&self.file)?;
            file.write_all(bytes)?;
            file.write_all(signed.bytes())?;
            file.sync_all()
        };
        write().map_err(|e| CompareError::Io(self.file.display().to_string(), e))?;
        Ok(began.elapsed())
    }
}
