//! Sessions in SQLite.
//!
//! Of a deleted one the row is kept, without its title: its owner can delete it again, and
//! the request that made it makes no other.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use slipway_mesh::store::sqlite::{StorageError, from_column, to_column};

use super::rows;
use crate::{
    chat::{Session, SessionId, Title, UserId},
    request_key::RequestKey,
    store::{CreateError, REQUEST_KEY_TTL, RenameError},
};

pub(super) const LIST: &str = "SELECT * FROM sessions
     WHERE owner = ?1 AND id < ?2 AND deleted_at IS NULL ORDER BY id DESC LIMIT ?3";

pub(super) const BY_REQUEST: &str =
    "SELECT id, created_at, request_fingerprint FROM sessions WHERE request_key = ?1";

pub(super) fn create(
    c: &Connection,
    session: Session,
    request: Option<&RequestKey>,
) -> Result<Session, CreateError> {
    if let Some(request) = request {
        let since = to_column(session.created_at - REQUEST_KEY_TTL);
        c.prepare_cached(
            "UPDATE sessions SET request_key = NULL WHERE request_key = ?1 AND created_at <= ?2",
        )
        .and_then(|mut forget| forget.execute((&request.key, since)))
        .map_err(StorageError::from)?;
        if let Some((fingerprint, id, created_at)) = created_by(c, &request.key)? {
            return if fingerprint == request.fingerprint {
                // The same request: all else is as it was then.
                Ok(Session {
                    id,
                    created_at,
                    ..session
                })
            } else {
                Err(CreateError::KeyReused)
            };
        }
    }
    c.prepare_cached(
        "INSERT INTO sessions (id, owner, title, created_at, request_key, request_fingerprint)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .and_then(|mut insert| {
        insert.execute(params![
            session.id.to_string(),
            session.owner.to_string(),
            session.title.as_str(),
            to_column(session.created_at),
            request.map(|request| &request.key),
            request.map(|request| &request.fingerprint),
        ])
    })
    .map_err(StorageError::from)?;
    Ok(session)
}

fn created_by(
    c: &Connection,
    key: &str,
) -> Result<Option<(String, SessionId, Timestamp)>, StorageError> {
    let found = c
        .prepare_cached(BY_REQUEST)?
        .query_row([key], |row| {
            let id = SessionId(rows::id(row, "id")?);
            let created_at = from_column(row.get("created_at")?)?;
            Ok((row.get("request_fingerprint")?, id, created_at))
        })
        .optional()?;
    Ok(found)
}

pub(super) fn session(
    c: &Connection,
    id: SessionId,
    owner: UserId,
) -> Result<Option<Session>, StorageError> {
    let found = c
        .prepare_cached(
            "SELECT * FROM sessions WHERE id = ?1 AND owner = ?2 AND deleted_at IS NULL",
        )?
        .query_row((id.to_string(), owner.to_string()), rows::session)
        .optional()?;
    Ok(found)
}

pub(super) fn list(
    c: &Connection,
    owner: UserId,
    after: Option<SessionId>,
    limit: u32,
) -> Result<Vec<Session>, StorageError> {
    // Behind every UUID in its hyphenated form.
    let before = after.map_or_else(|| "g".to_owned(), |id| id.to_string());
    let mut query = c.prepare_cached(LIST)?;
    let found = query.query_map((owner.to_string(), before, limit + 1), rows::session)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn rename(
    c: &Connection,
    id: SessionId,
    owner: UserId,
    title: Title,
    expected: Option<u64>,
) -> Result<Session, RenameError> {
    let found = session(c, id, owner)?.ok_or(RenameError::NotFound)?;
    if expected.is_some_and(|expected| expected != found.revision) {
        return Err(RenameError::Changed(found.revision));
    }
    let revision = found.revision + 1;
    c.prepare_cached("UPDATE sessions SET title = ?2, revision = ?3 WHERE id = ?1")
        .and_then(|mut rename| rename.execute((id.to_string(), title.as_str(), revision)))
        .map_err(StorageError::from)?;
    Ok(Session {
        title,
        revision,
        ..found
    })
}

pub(super) fn delete(
    c: &Connection,
    id: SessionId,
    owner: UserId,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let id = id.to_string();
    let deleted = c
        .prepare_cached(
            "UPDATE sessions SET deleted_at = ?3, title = '', last_message_at = NULL
             WHERE id = ?1 AND owner = ?2",
        )?
        .execute((&id, owner.to_string(), to_column(now)))?;
    if deleted == 0 {
        return Ok(false);
    }
    c.prepare_cached("DELETE FROM turns WHERE session_id = ?1")?
        .execute([&id])?;
    Ok(true)
}
