//! Why the engine did not do it.

use std::time::Duration;

use crate::nouns::error::StoreError;

/// Why a statement failed, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlError {
    /// A unique index refused the row.
    #[error("{0}")]
    Taken(String),
    /// The disk is full: it works again once there is room.
    #[error("{0}")]
    Full(String),
    /// I/O error, lock not obtained, server shutting down: later it may work.
    #[error("{0}")]
    Away(String),
    /// The connection is gone: reconnect. At COMMIT the outcome is unknown.
    #[error("{0}")]
    Lost(String),
    /// There is no register where it should be, and opening makes none.
    #[error("{0}")]
    Missing(String),
    /// The file is not what SQLite wrote.
    #[error("{0}")]
    Corrupt(String),
    /// The statement took longer than its deadline, and was ended.
    #[error("a statement took longer than {0:?}, and was ended")]
    Late(Duration),
    /// A text that the engine cannot hold.
    #[error("{0}")]
    Unfit(String),
    /// The statement itself is wrong for this database.
    #[error("{0}")]
    Wrong(String),
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> StoreError {
        match error {
            SqlError::Taken(why) => StoreError::Duplicate(why),
            SqlError::Away(why) | SqlError::Lost(why) => StoreError::Unavailable(why),
            SqlError::Full(why) => StoreError::Full(why),
            SqlError::Corrupt(why) => StoreError::Corrupt(why),
            SqlError::Late(limit) => StoreError::Late { limit },
            SqlError::Unfit(why) => StoreError::Invalid(why),
            SqlError::Wrong(why) | SqlError::Missing(why) => StoreError::Database(why),
        }
    }
}
