//! Single tasks out of the releases that they are in, and a developer's list of them.

use futures::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
};
use serde::Deserialize;
use slipway_mongo::{StorageError, bounded, malformed};

use super::documents::{PlacedDocument, ReleaseDocument, TaskDocument};
use crate::{
    identity::UserId,
    release::{PlacedTask, ReleaseId, Task, TaskId, Text},
    store::{AssignedKey, AssignedTask, TaskFilter},
};

type Releases = Collection<ReleaseDocument>;

/// The task with this id.
pub(super) async fn by_id(
    releases: &Releases,
    id: TaskId,
) -> Result<Option<PlacedTask>, StorageError> {
    let id = id.to_string();
    let wanted = doc! { "tasks.id": &id };
    one(releases, wanted, doc! { "id": &id }).await
}

/// What a developer is working on.
pub(super) async fn active(
    releases: &Releases,
    developer: UserId,
) -> Result<Option<PlacedTask>, StorageError> {
    let developer = developer.to_string();
    let task = doc! { "assignee.id": &developer, "status": IN_PROCESS };
    one(releases, doc! { "activeDevelopers": developer }, task).await
}

/// The first task like `task` of the release like `release`.
async fn one(
    releases: &Releases,
    release: Document,
    task: Document,
) -> Result<Option<PlacedTask>, StorageError> {
    let releases = releases.clone_with_type::<PlacedDocument>();
    let find = releases
        .find_one(release)
        .projection(doc! { "name": 1, "tasks": { "$elemMatch": task } });
    match bounded(find.into_future()).await? {
        None => Ok(None),
        Some(found) => found.into_first(),
    }
}

/// A task of a developer's list, with the one before it.
#[derive(Debug, Deserialize)]
struct AssignedDocument {
    #[serde(rename = "_id")]
    release_id: String,
    name: String,
    task: TaskDocument,
    previous: Option<TaskDocument>,
}

/// `rows` of a developer's tasks behind `after`.
pub(super) async fn assigned(
    releases: &Releases,
    developer: UserId,
    filter: Option<TaskFilter>,
    after: Option<AssignedKey>,
    rows: u32,
) -> Result<Vec<AssignedTask>, StorageError> {
    let find = releases
        .aggregate(assigned_pipeline(developer, filter, after, rows))
        .with_type::<AssignedDocument>();
    let found: Vec<_> = bounded(async { find.await?.try_collect().await }).await?;
    found.into_iter().map(AssignedTask::try_from).collect()
}

/// The stages that find a page. An index leads to the developer's releases, newest first;
/// each but the first, which `after` may have exhausted, has a task for the page, so one
/// release more than rows is enough. The tasks of a release are stored in order: nothing
/// has to be sorted, and what is done for each of them does not grow with their number.
pub(super) fn assigned_pipeline(
    developer: UserId,
    filter: Option<TaskFilter>,
    after: Option<AssignedKey>,
    rows: u32,
) -> Vec<Document> {
    let mut wanted = doc! { "assignee.id": developer.to_string() };
    if let Some(filter) = filter {
        wanted.insert("status", status(filter));
    }
    let mut of_release = doc! { "tasks": { "$elemMatch": wanted.clone() } };
    let mut of_task: Document = wanted
        .into_iter()
        .map(|(field, value)| (format!("task.{field}"), value))
        .collect();
    if let Some((release, order_index)) = after {
        let release = release.to_string();
        of_release.insert("_id", doc! { "$lte": &release });
        of_task.insert(
            "$or",
            [
                doc! { "_id": { "$lt": release } },
                doc! { "task.orderIndex": { "$gt": order_index } },
            ],
        );
    }
    vec![
        doc! { "$match": of_release },
        doc! { "$sort": { "_id": -1 } },
        doc! { "$limit": i64::from(rows) + 1 },
        doc! { "$project": { "name": 1, "pair": assigned_pairs(developer) } },
        doc! { "$unwind": "$pair" },
        doc! { "$project": {
            "name": 1,
            "task": { "$arrayElemAt": ["$pair", 0] },
            "previous": { "$arrayElemAt": ["$pair", 1] },
        } },
        doc! { "$match": of_task },
        doc! { "$limit": i64::from(rows) },
    ]
}

/// Of a release's tasks, each with the one before it (`null` for the first), those of this
/// developer: an array of arrays of two.
fn assigned_pairs(developer: UserId) -> Document {
    let before = doc! { "$concatArrays": [[Bson::Null], "$tasks"] };
    // The assignees of the pair: the task's own comes first.
    let assignee = doc! { "$arrayElemAt": ["$$pair.assignee.id", 0] };
    doc! { "$filter": {
        "input": { "$zip": { "inputs": ["$tasks", before] } },
        "as": "pair",
        "cond": { "$eq": [assignee, developer.to_string()] },
    } }
}

const IN_PROCESS: &str = "IN_PROCESS";

fn status(filter: TaskFilter) -> &'static str {
    match filter {
        TaskFilter::Todo => "TODO",
        TaskFilter::InProcess => IN_PROCESS,
        TaskFilter::Completed => "COMPLETED",
    }
}

impl TryFrom<AssignedDocument> for AssignedTask {
    type Error = StorageError;

    fn try_from(found: AssignedDocument) -> Result<Self, StorageError> {
        let release_id: ReleaseId = found.release_id.parse().map_err(malformed)?;
        let release_name = Text::stored(found.name);
        let place = |task: Task| PlacedTask {
            release_id,
            release_name: release_name.clone(),
            task,
        };
        let task = Task::try_from(found.task)?;
        let previous = found.previous.map(Task::try_from).transpose()?;
        // What is completed had to be allowed to start: nothing blocks it.
        let blocked_by =
            previous.filter(|previous| !previous.is_completed() && !task.is_completed());
        Ok(Self {
            blocked_by: blocked_by.map(place),
            placed: place(task),
        })
    }
}
