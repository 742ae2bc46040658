//! A timed drill: a register whose certificates the server renews, all of them marked at once, until each has a successor.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::CompareError;
use crate::house::{Filling, House};
use crate::rest::Rest;

/// What to do.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The server's program.
    pub server: PathBuf,
    /// The program that seeds.
    pub seeder: PathBuf,
    /// How many certificates.
    pub certificates: u64,
    /// And no longer than this.
    pub most: Duration,
    /// Where the register is kept; none: nowhere.
    pub dir: Option<PathBuf>,
}

/// What it took.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Certificates that held at the beginning.
    pub held: u64,
    /// Of those with a successor at the end.
    pub replaced: u64,
    /// Nothing took their place.
    pub left: u64,
    /// The answer to the one request that marks them all.
    pub marking: Duration,
    /// The longest answer to how far it is.
    pub progress_max: Duration,
    /// From the mark to the end.
    pub took: Duration,
}

impl std::fmt::Display for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secs = self.took.as_secs_f64().max(f64::EPSILON);
        write!(
            f,
            "{} certificates marked in {:.1} ms; {} replaced and {} left after {secs:.1} s, {:.0} a second; how far it is was told in {:.1} ms \
             at most",
            self.held,
            self.marking.as_secs_f64() * 1e3,
            self.replaced,
            self.left,
            self.replaced as f64 / secs,
            self.progress_max.as_secs_f64() * 1e3,
        )
    }
}

/// Runs one, to its end or until `most` has gone by.
pub async fn run(wish: &Wish) -> Result<Timed, CompareError> {
    let nowhere = tempfile::tempdir().map_err(|e| CompareError::Io("a folder".into(), e))?;
    let dir = wish.dir.clone().unwrap_or_else(|| nowhere.path().join("drill"));
    let filling = Filling { certificates: wish.certificates, renewing: wish.certificates, ..Filling::default() };
    let mut house = House::make(&wish.server, &wish.seeder, &dir, &filling)?;
    house.start()?;
    let marks = json!({ "issuer": "tls/1", "window_secs": 0, "reason": "a timed drill", "owner": "default" });
    let mut rest = Rest::new(&house)?;
    let (begun, marking) = rest.post("/api/v1/drills", &marks).await?;
    let missing = || CompareError::Failed(format!("no drill: {begun}"));
    let path = format!("/api/v1/drills/{}", begun["drill"]["id"].as_str().ok_or_else(missing)?);
    let (since, mut progress_max) = (Instant::now(), Duration::ZERO);
    loop {
        let asked = Instant::now();
        let shown = rest.json(&path).await?;
        progress_max = progress_max.max(asked.elapsed());
        let of = |which: &str| shown["all"][which].as_u64().unwrap_or(0);
        if of("left") == 0 || since.elapsed() > wish.most {
            let took = since.elapsed();
            house.stop()?;
            let (held, replaced, left) = (of("held"), of("replaced"), of("left"));
            return Ok(Timed { held, replaced, left, marking, progress_max, took });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
