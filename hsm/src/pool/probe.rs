//! Whether the token would sign now, asked without a signature.
//!
//! `C_SignInit` with a key that is known, in a session of its own that is closed at once: no message is shown to the token, so no
//! intent is owed. A token that is met in trouble here is brought back as if a caller had met it.

use super::crew::Crew;
use super::errand::Again;
use crate::custody::Key;
use crate::error::HsmError;
use crate::keys::objects::signing_handle;
use crate::module::{Fault, Inside, Sought, Turn};
use crate::session::Desk;

impl Crew {
    /// Where no desk has seen a key yet, one is looked for, which waits for its turn.
    pub(super) async fn probe(&self) -> Result<(), HsmError> {
        let known = self.shared.known();
        let keys = known.clone();
        let seen = move |inside: &Inside<'_>, desk: &mut Desk| would_sign(&keys, inside, None, desk);
        if self.ask(Again::Once, self.deadline(), seen).await?.is_some() {
            return Ok(());
        }
        self.look(move |inside, turn, desk| would_sign(&known, inside, Some(turn), desk)).await.map(drop)
    }
}

/// None: the desk has not looked for any of them yet.
fn would_sign(keys: &[Key], inside: &Inside<'_>, turn: Option<&Turn>, desk: &mut Desk) -> Result<Option<()>, Fault> {
    let mut is_unseen = false;
    for key in keys {
        let handle = match signing_handle(desk, turn, key) {
            Ok(Sought::Found(handle)) => handle,
            Ok(Sought::Unseen) => {
                is_unseen = true;
                continue;
            }
            // One key that is gone or unfit is between it and whoever asks for it.
            Ok(Sought::Absent | Sought::Another) | Err(Fault::Refused(_)) => continue,
            Err(fault) => return Err(fault),
        };
        let Some(recipe) = desk.mechanisms.recipe(key.algorithm()) else { continue };
        let session = inside.context.open_ro_session(desk.place.slot)?;
        let begun = inside.raw.would_begin(&session, recipe.mechanism(), handle);
        return match begun.map_err(|rv| Fault::from_rv(rv, "C_SignInit")) {
            Ok(()) | Err(Fault::Refused(_)) => Ok(Some(())),
            Err(fault) => Err(fault),
        };
    }
    match is_unseen || keys.is_empty() {
        true => Ok(keys.is_empty().then_some(())),
        false => Err(Fault::Lost("the token shows none of its keys".into())),
    }
}
