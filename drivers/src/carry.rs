//! One step of a rotation, carried out by a driver.

use policy::Secret;
use secrets::rotation::{Credential, Outcome, Step};

use crate::driver::{Driver, Fault, Login};
use crate::sent::Sent;

/// Does at the target what a step says, and says what came of it; none where the step is one of the register's. The caller has written
/// the rotation that intends it, and hands in the secret of the version that the step names. Neither secret stands in what is said.
pub async fn carry_out<D: Driver>(
    driver: &D,
    step: &Step,
    admin: Login<'_>,
    secret: impl FnOnce(&Credential) -> Secret<String>,
) -> Option<Outcome> {
    let (Step::Set { credential, .. } | Step::Retire { credential, .. } | Step::Test { credential }) = step else {
        return None;
    };
    let secret = secret(credential);
    let login = Login { user: &credential.user, secret: &secret };
    let done: Result<(), Fault> = match step {
        Step::Set { others, .. } => driver.set(admin, login, *others).await,
        Step::Retire { others, .. } => driver.retire(admin, login, *others).await,
        Step::Test { .. } => driver.test(login).await,
        Step::Rest { .. } | Step::Make { .. } | Step::Promote { .. } | Step::Discard { .. } => return None,
        Step::GiveUp | Step::Halt => return None,
    };
    Some(done.map_or_else(|fault| Sent::of([admin.secret, login.secret]).told(fault), |()| Outcome::Done))
}
