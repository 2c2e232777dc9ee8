//! The quota in SQLite: a row for each question that counts.

use jiff::Timestamp;
use rusqlite::Connection;
use slipway_mesh::store::sqlite::{StorageError, from_column, to_column};

use crate::{chat::UserId, store::Quota};

/// How many questions of a user count, and since when.
pub(super) const COUNT: &str = "SELECT count(*), min(at) FROM asked WHERE user_id = ?1";

/// Counts a question of `user`; when they may ask again, if this was one too many.
pub(super) fn count(
    c: &Connection,
    user: UserId,
    quota: Quota,
    now: Timestamp,
) -> Result<Option<Timestamp>, StorageError> {
    let user = user.to_string();
    let since = now.checked_sub(quota.window).unwrap_or(Timestamp::MIN);
    c.prepare_cached("DELETE FROM asked WHERE user_id = ?1 AND at <= ?2")?
        .execute((&user, to_column(since)))?;
    let (asked, oldest): (u32, Option<i64>) = c
        .prepare_cached(COUNT)?
        .query_row([&user], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if asked >= quota.limit {
        let oldest = oldest.map(from_column).transpose()?.unwrap_or(now);
        return Ok(Some(oldest.checked_add(quota.window).unwrap_or(now)));
    }
    c.prepare_cached("INSERT INTO asked (user_id, at) VALUES (?1, ?2)")?
        .execute((&user, to_column(now)))?;
    Ok(None)
}
