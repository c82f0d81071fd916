//! SQLite's errors in the broker's words, with what mends them.

use longshore_core::BrokerError;
use rusqlite::{Error, ErrorCode};

/// What an error of SQLite means for whoever asked.
pub(super) fn trouble(error: Error) -> BrokerError {
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::DiskFull) => {
            BrokerError::retry(format!("the disk has no room for the database ({error}); all goes on once there is"))
        }
        Some(ErrorCode::SystemIoFailure) => BrokerError::retry(format!("the disk failed under the database ({error})")),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            BrokerError::retry(format!("another program holds the database ({error})"))
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => BrokerError::repair(format!(
            "the database is damaged ({error}); nothing was changed: restore a backup, or save what can be read with `sqlite3 <file> .recover`"
        )),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            BrokerError::give_up(format!("the database cannot be written ({error}); check the rights on the file and its folder"))
        }
        _ => BrokerError::repair(format!("the database refused a statement ({error})")),
    }
}
