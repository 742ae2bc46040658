//! What is drawn: passwords, and tokens of the forms that programs hand to each other.

mod password;
mod token;

pub use password::{PasswordError, PasswordWish};
pub use token::{ApiKeyPrefix, PrefixError, api_key_prefix};
pub(super) use token::{api_key, is_webhook_secret, oauth_secret, webhook_secret};
