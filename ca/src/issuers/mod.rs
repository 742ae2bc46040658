//! Which issuers there are: their records, their keys in the token, their certificates, what they put into what they issue.
//!
//! They are found here and never made (see `succession`), and nothing here signs. Trusted for: matching a key with its own
//! certificate. Whoever controls it can at most name the wrong CA, which the lint then finds.

pub(crate) mod name;
mod urls;

pub(crate) mod plan;
pub(crate) mod record;

pub(crate) mod certificate;

mod brought_crl;
mod chains;
pub(crate) mod compromised;
mod pointers;
mod reading;
mod scope;
mod standing;

mod issuing;
mod ssh_ca;

pub(crate) mod hierarchy;
mod registry;
mod shown;

pub(crate) use brought_crl::{BroughtCrl, is_of_a_part, not_ours_to_read};
pub(crate) use certificate::{CaCertificate, is_signed};
pub(crate) use chains::Ways;
pub(crate) use hierarchy::{Hierarchy, Signer};
pub(crate) use issuing::Issuing;
pub use name::{GenerationName, NoGeneration};
pub(crate) use pointers::{Pointers, check_place, freshest, uri};
pub(crate) use reading::LOST;
pub use record::IssuerRole;
pub(crate) use registry::Registry;
pub(crate) use scope::{CrlForm, Scope, Since};
pub use shown::{Generation, GenerationState, Issuer, ShownCertificate, ShownHome, ShownPlan};
pub(crate) use ssh_ca::{SshCa, public_half};
pub(crate) use standing::Standing;
pub use urls::Urls;
