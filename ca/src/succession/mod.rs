//! How issuers come to be, are succeeded, and end.
//!
//! What an issuer is stands in its record; here is who changes it, in steps of which each looks first whether it was done: begin (the
//! record names a label of the token), make the key, certify it. Interrupted at any point, the same act continues. Keys are made in the
//! token; the certificates walk the same page as every other signature.

mod maker;
mod wish;

mod founding;

mod seals;

mod keeper;

mod homes;
mod links;
mod loss;
mod rehearsal;

mod ceremonies;

mod below;
mod brought;
mod elsewhere;

mod landing;

mod arrival;

pub use arrival::{ARRIVING_MAX, Arrival, Arrived, Source};
pub use below::{ReadRequest, SignedBelow};
pub(crate) use ceremonies::is_recorded;
pub use ceremonies::{Step, Transcript, groups};
pub(crate) use founding::create;
pub use founding::{Beginning, CreateConfig};
pub(crate) use keeper::Keeper;
pub use landing::{Arriving, Landed};
pub use links::{RootToCome, SucceededRoot};
pub(crate) use loss::begin as begin_after_loss;
pub use loss::{Replaced, SealsAsTheyStand};
pub(crate) use maker::Maker;
pub use rehearsal::{Phase, Rehearsal};
pub use wish::{Activation, Brought, CaWish, CreateIssuer, Homes, Request, Rotate};
