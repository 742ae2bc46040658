//! What the log means, replayed leaf by leaf: the same fold that a node makes, and what no honest node appends.
//!
//! Bytes that hold may still lie: a node that was taken over, or a program with a fault, appends sound leaves under a good
//! seal. So each leaf is judged by those below it: does it replace the present version, does a CRL list what was revoked,
//! was whoever acted known and not yet ended, can the texts it rests on be read.
//!
//! Memory: the fold, as a node has it; beside it the API tokens, ACME accounts and login certificates alone, and 40 bytes a
//! revocation.

mod actors;
mod crls;
mod der;
mod line;
mod meaning;
mod texts;

pub(super) use line::Line;
pub(super) use meaning::Replay;
