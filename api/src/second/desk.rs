//! Enrolling and proving, a step at a time; each is one transaction that nobody else wrote in between, or is done again from the start.
//!
//! 1. `begin`: a seed is drawn, sealed, and shown once. *A crash here leaves a sealed seed that nobody was shown, and the next `begin`
//!    makes another.*
//! 2. `confirm`: the device shows a code of it. From then on it counts, and the codes for paper are shown once.
//! 3. `prove`: a code for a login. What was found, right or wrong, is durable before it is answered.

use policy::{Actor, Demand, Method, Proof, Secret, Timestamp};
use ring::digest::{SHA256, digest};
use secrets::{Seed, Totp};
use store::{ActorStamp, Ledger, Record, StoreError};
use zeroize::Zeroizing;

use super::code::{drawn, is_from_paper};
use super::judge::{Judged, judge, waits};
use crate::app::App;
use crate::auth::{Factor, FactorState, LOGIN_PREFIX, Login, draw, factor_of};
use crate::problem::{Kind, Problem};

/// A seed, shown once.
pub(crate) struct Enrolment {
    /// In base32, for who types it.
    pub(crate) secret: Zeroizing<String>,
    /// As apps read it from a square.
    pub(crate) uri: Zeroizing<String>,
}

/// A second factor, proved.
pub(crate) struct Proved {
    /// The login's text, shown once: `chf_ID_SECRET`.
    pub(crate) login: Secret<String>,
    /// Its public half.
    pub(crate) id: String,
    /// By what.
    pub(crate) method: Method,
    /// Until when it counts.
    pub(crate) expires: Timestamp,
    /// How many codes are left on paper.
    pub(crate) codes_left: usize,
}

/// An enrolment that counts now, with the codes for paper, shown once.
pub(crate) struct Confirmed {
    pub(crate) proved: Proved,
    pub(crate) codes: Vec<Zeroizing<String>>,
}

/// How one's own second factor stands.
pub(crate) struct Standing {
    pub(crate) factor: Option<Factor>,
    /// Seconds until a one-time password is looked at again.
    pub(crate) waits_secs: i64,
}

/// The caller's token: who proves itself otherwise has no second factor here.
pub(super) fn token(actor: &Actor) -> Result<&str, Problem> {
    match &actor.proof {
        Proof::Token { id } => Ok(id),
        Proof::ClientCertificate { .. } | Proof::AcmeKey { .. } | Proof::System => {
            Err(Problem::new(Kind::Unacceptable, "A second factor stands beside an API token: send that one."))
        }
    }
}

/// How the caller's stands.
pub(crate) async fn standing(app: &App, actor: &Actor) -> Result<Standing, Problem> {
    let (factor, _) = factor_of(app.ledger(), token(actor)?).await?;
    let waits_secs = factor.as_ref().map_or(0, |factor| waits(factor, app.ledger().believed_time()));
    Ok(Standing { factor, waits_secs })
}

/// Draws a seed for the caller's device.
pub(crate) async fn begin(app: &App, actor: &Actor) -> Result<Enrolment, Problem> {
    let (token, ledger) = (token(actor)?, app.ledger());
    let (before, version) = factor_of(ledger, token).await?;
    if before.as_ref().is_some_and(Factor::is_active) {
        let says = "This token has a second factor. Take it away first: with a code of it, by `chancery mfa remove`; where the \
             device is lost, with a code from paper, or another administrator does it by `chancery mfa reset`.";
        return Err(Problem::new(Kind::Conflict, says));
    }
    let now = ledger.time().await?;
    let (mut bytes, mut number) = (Zeroizing::new([0_u8; SEED_BYTES]), [0_u8; 8]);
    app.world().fill(bytes.as_mut());
    app.world().fill(&mut number);
    let seed = Seed::try_from(&bytes[..]).map_err(|error| Problem::internal(&error))?;
    let next = Factor::pending(hex::encode(number), now);
    let stamp = ActorStamp::from(actor);
    ledger.seal(&next.sealed(token), None, seed.bytes(), (stamp.clone(), Some(0))).await?;
    let gone = before.filter(|before| before.state == FactorState::Pending);
    let gone = gone.map(|before| (before.sealed(token), None)).into_iter().collect();
    ledger.destroy_values(gone, vec![next.record(token, actor, version)?], &stamp).await?;
    let totp = Totp::new(seed);
    let secret = totp.seed().base32();
    let named = totp.with_names(&format!("Chancery {}", ledger.origin()), &actor.id.replace("token:", ""));
    let uri = named.map_err(|error| Problem::internal(&error))?.uri();
    Ok(Enrolment { secret, uri })
}

/// The first code of the device: from now on it counts.
pub(crate) async fn confirm(app: &App, actor: &Actor, code: &str) -> Result<Confirmed, Problem> {
    let (codes, hashes) = drawn(app.world());
    let proved = settled(app, actor, code, &Ask::First(hashes)).await?;
    app.forget_ends();
    Ok(Confirmed { proved, codes })
}

/// A code for a login.
pub(crate) async fn prove(app: &App, actor: &Actor, code: &str) -> Result<Proved, Problem> {
    settled(app, actor, code, &Ask::Login).await
}

/// New codes for paper, in place of those before.
pub(crate) async fn new_codes(app: &App, actor: &Actor) -> Result<Vec<Zeroizing<String>>, Problem> {
    let (token, ledger) = (token(actor)?, app.ledger());
    proved_lately(app, actor)?;
    let (factor, version) = active(app, token).await?;
    let (codes, hashes) = drawn(app.world());
    let next = Factor { codes: hashes.into_iter().collect(), ..factor };
    ledger.record(vec![next.record(token, actor, version)?]).await?;
    Ok(codes)
}

/// What a code is shown for.
enum Ask {
    /// That the device has the seed; with the hashes of the codes for paper.
    First(Vec<String>),
    /// A login.
    Login,
}

impl Ask {
    /// Of which factors a code is looked at.
    fn state(&self) -> FactorState {
        match self {
            Ask::First(_) => FactorState::Pending,
            Ask::Login => FactorState::Active,
        }
    }

    /// Why a code does not count, and what to do: of a factor that is as it is `since` then.
    fn refusal(&self, since: Timestamp, is_from_paper: bool) -> String {
        match (self, is_from_paper) {
            (Ask::First(_), true) => "This code does not count: it is written as one from paper, and an enrolment begins with a code of the \
                 device."
                .to_owned(),
            (Ask::Login, true) => "This code from paper does not count: it is none of the newest sheet, or it was used; each counts once. \
                 Take another one of that sheet, or a code of the device."
                .to_owned(),
            (Ask::First(_), false) => format!(
                "This code does not count: it is not the present one of the secret that was shown at {since}, the only one that waits. Wait \
                 for the next one, and look whether the device has that secret and its clock is right."
            ),
            (Ask::Login, false) => format!(
                "This code does not count: it is not the present one of the second factor that is enrolled since {since}, or it was used. \
                 Wait for the next one, and look whether the device has no older entry and its clock is right."
            ),
        }
    }

    /// What a factor is after a right code.
    fn then(&self, factor: Factor, now: Timestamp) -> Factor {
        match self {
            Ask::First(hashes) => {
                let codes = hashes.iter().cloned().collect();
                Factor { state: FactorState::Active, since: now, codes, ..factor }
            }
            Ask::Login => factor,
        }
    }
}

/// Judges a code, again where somebody else wrote in between: of codes that come at once each is judged by what the one before left.
async fn settled(app: &App, actor: &Actor, code: &str, ask: &Ask) -> Result<Proved, Problem> {
    for _ in 0..TRIES {
        match judged(app, actor, code, ask).await {
            Err(Again::Store(StoreError::Conflict(_))) => {}
            Err(Again::Store(error)) => return Err(error.into()),
            Err(Again::Refused(problem)) => return Err(problem),
            Ok(proved) => return Ok(proved),
        }
    }
    Err(Problem::new(Kind::TooMany, "Codes of this token are being judged at this moment: one at a time."))
}

/// Judges a code, and writes down what came of it, durably, before it is answered.
async fn judged(app: &App, actor: &Actor, code: &str, ask: &Ask) -> Result<Proved, Again> {
    let (token, ledger) = (token(actor)?, app.ledger());
    let (factor, version) = factor_of(ledger, token).await?;
    let factor = factor.filter(|factor| factor.state == ask.state()).ok_or_else(|| none(ask.state()))?;
    let seed = match is_from_paper(code) {
        true => None,
        false => Some(seed(ledger, &factor.sealed(token)).await?),
    };
    // A one-time password needs the real time, and a login begins: while the clock is not believed none is looked at.
    let now = ledger.time().await?;
    match judge(&factor, seed.as_ref(), code, now) {
        Judged::Waits(secs) => {
            let says = format!(
                "Too many wrong codes: the next one is looked at in {secs} s. A code from paper counts meanwhile."
            );
            let secs = u32::try_from(secs).unwrap_or(u32::MAX);
            Err(Problem::new(Kind::TooMany, says).retry_after(secs).into())
        }
        Judged::Wrong(next) => {
            ledger.record(vec![next.record(token, actor, version)?]).await?;
            app.metrics().denied("second-factor");
            let says = ask.refusal(factor.since, is_from_paper(code));
            Err(Problem::new(Kind::SecondFactor, says).about("code").into())
        }
        Judged::Right(next, method) => {
            let next = ask.then(next, now);
            let (proved, login) = opened(app, actor, (&next, token, method), now)?;
            ledger.record(vec![next.record(token, actor, version)?, login]).await?;
            Ok(proved)
        }
    }
}

/// What the device has too.
async fn seed(ledger: &Ledger, name: &str) -> Result<Totp, Again> {
    let seed = ledger.open_sealed(name).await?;
    let seed = seed.ok_or_else(|| StoreError::Corrupt("the seed of a second factor is gone".to_owned()))?;
    Ok(Totp::new(Seed::try_from(seed.as_slice()).map_err(|error| Problem::internal(&error))?))
}

/// A login, and its record.
fn opened(
    app: &App,
    actor: &Actor,
    (factor, token, method): (&Factor, &str, Method),
    now: Timestamp,
) -> Result<(Proved, Record), Problem> {
    let (id, secret) = draw(app.world());
    let secs = app.authority().policies().demand().map_or(Demand::AGE_SECS, Demand::age_secs_max);
    let expires = now.plus_secs(i64::from(secs));
    let login = Login {
        token: token.to_owned(),
        enrolment: factor.enrolment.clone(),
        method,
        sha256: hex::encode(digest(&SHA256, secret.expose().as_bytes())),
        at: now,
        expires,
    };
    let record = login.record(&id, actor)?;
    let text = Secret::new(format!("{LOGIN_PREFIX}{id}_{}", secret.expose()));
    Ok((Proved { login: text, id, method, expires, codes_left: factor.codes.len() }, record))
}

/// Refuses who has not proved a second factor lately, whatever the configuration demands.
pub(super) fn proved_lately(app: &App, actor: &Actor) -> Result<(), Problem> {
    let demand = app.authority().policies().demand().or_else(|| Demand::within(Demand::AGE_SECS));
    match demand.is_some_and(|demand| demand.is_met_by(actor.second_factor)) {
        true => Ok(()),
        false => Err(Problem::new(Kind::SecondFactor, "This is done with a code of the second factor itself.")),
    }
}

/// The factor of a token that has one that counts.
pub(super) async fn active(app: &App, token: &str) -> Result<(Factor, u64), Problem> {
    let (factor, version) = factor_of(app.ledger(), token).await?;
    let factor = factor.filter(Factor::is_active).ok_or_else(|| none(FactorState::Active))?;
    Ok((factor, version))
}

fn none(state: FactorState) -> Problem {
    let says = match state {
        FactorState::Pending => "No enrolment waits for its first code: begin one by `chancery mfa enrol`.",
        FactorState::Active | FactorState::Removed => {
            "This token has no second factor: enrol one by `chancery mfa enrol`."
        }
    };
    Problem::new(Kind::NotFound, says)
}

/// Why a step ended without an answer.
enum Again {
    Store(StoreError),
    Refused(Problem),
}

impl From<StoreError> for Again {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Problem> for Again {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// RFC 4226 section 4: 160 bits, as long as SHA-1.
const SEED_BYTES: usize = 20;
const TRIES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_speaks_of_what_was_typed() {
        let since = Timestamp::from_unix(1_800_000_000);
        let (first, login) = (Ask::First(Vec::new()), Ask::Login);
        for (ask, is_from_paper, says) in [
            (&first, true, "begins with a code of the device"),
            (&login, true, "none of the newest sheet"),
            (&first, false, "the secret that was shown at 2027-01-15T08:00:00Z"),
            (&login, false, "enrolled since 2027-01-15T08:00:00Z"),
        ] {
            let told = ask.refusal(since, is_from_paper);
            assert!(told.contains(says) && told.contains("does not count"), "{told}");
            assert_eq!(told.contains("clock"), !is_from_paper, "{told}");
        }
    }
}
