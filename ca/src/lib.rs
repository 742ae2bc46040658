//! The room that turns a Grant into an Issued credential: issuers, profiles, drafts, lint, the issuance page,
//! revocation and CRLs. It knows nothing of HTTP or ACME.
//!
//! Every signature walks one page (`registrar`): a draft is linted, checked, written down as an intent, signed once by the
//! token, verified, and concluded. What was linted is, byte for byte, what is signed.
//!
//! Trusted for: the content of what is signed. Whoever controls this room can at most ask the token for wrong
//! signatures in full view of the ledger; it holds no key and cannot sign unseen.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// The floors of this room, from the bottom up; a file names its own and those that stand before it here.

// Bytes, strangers, answers.
mod encode;

mod intake;

pub mod lint;

mod error;

mod listed;

// Which CAs there are, and what may be made.
mod issuers;

// What other programs' CAs left behind.
pub mod estates;

mod profiles;

mod rules;

mod parts;

// The line of custody: Grant, Draft, Linted, Checked, Issued.
mod gate;

mod refused;

mod drafting;

mod checks;

mod registrar;
#[cfg(test)]
mod registrar_tests;

// What is made, and what becomes of it.
mod craft;

mod waits;

mod approvals;

mod status;

mod texts;

mod succession;

mod view;

mod fit;

mod drills;

// How what is in force is changed.
mod difference;

mod amendment;

// The facade.
mod authority;

pub use amendment::{Amended, Amendment};
pub use approvals::{Said, Waiting, WaitingState};
pub use authority::{Authority, Health};
pub use craft::all_lints;
pub use craft::code::{CodeFormat, CodeKeyRequest, CodeRequest, CodeSignature};
pub use craft::leaf::{
    Against, CertifyRequest, Differs, LOGIN_PROFILE, Lifetime, Prospect, Replay, Replayed, Told, Trial, Would,
    left_out, login_scopes,
};
pub use craft::ocsp::{OCSP_REQUEST_BYTES_MAX, is_ocsp_request};
pub use craft::ssh::{SshIssued, SshRequest};
pub use drills::{Drill, DrillProgress, NewDrill, Part, Renewal, Renewing, Share, Why};
pub use encode::{BundleForm, Dn, DnError};
pub use error::{CaError, DraftError, LintFailure};
pub use fit::Unfit;
pub use intake::{Csr, CsrError, Ending, RevocationReason, UnknownReason, WeakKey, check_key};
pub use issuers::{
    Generation, GenerationName, GenerationState, Issuer, IssuerRole, NoGeneration, ShownCertificate, ShownHome,
    ShownPlan, Urls,
};
pub use listed::Listed;
pub use parts::Parts;
pub use profiles::{Profile, ProfileError, ProfileKind, Profiles};
pub use refused::{
    INSISTENT_FROM, InCommon, Insistent, REFUSALS_WINDOW_SECS, REFUSED_APART_MAX, REFUSED_APART_OF_KIN_MAX,
    RefusalState,
};
pub use status::{
    Act, BroughtResponse, Meant, OCSP_RESPONSE_BYTES_MAX, OcspAnswer, OcspState, Proposal, Published, PublishedCrl,
    Selection, ShownRevoked,
};
pub use succession::{
    ARRIVING_MAX, Activation, Arrival, Arrived, Arriving, Beginning, Brought, CaWish, CreateConfig, CreateIssuer,
    Homes, Landed, Phase, ReadRequest, Rehearsal, Replaced, Request, RootToCome, Rotate, SealsAsTheyStand, SignedBelow,
    Source, Step, SucceededRoot, Transcript, groups,
};
pub use view::Stopped;

pub use hsm::{Health as TokenHealth, KeyKind, SigningTimes, UnknownName};
pub use store::Issued;
