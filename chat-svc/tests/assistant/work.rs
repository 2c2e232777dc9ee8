//! A fake release service that gives each caller their own work and counts calls.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use slipway_proto::{
    common::v1::UserRef,
    fake,
    release::v1::{
        release_service_server::{ReleaseService, ReleaseServiceServer},
        task_service_server::{TaskService, TaskServiceServer},
        *,
    },
};
use slipway_rpc::{access::principal, error::Fault};
use tonic::{Request, Response, Status, service::Routes};
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct FakeReleases {
    /// The releases of each user, newest first.
    releases: Mutex<HashMap<Uuid, Vec<Release>>>,
    away: AtomicBool,
    calls: AtomicUsize,
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: 1_772_359_200 + seconds,
        nanos: 0,
    })
}

impl FakeReleases {
    pub(crate) fn routes(self: &Arc<Self>) -> Routes {
        Routes::new(TaskServiceServer::from_arc(Arc::clone(self)))
            .add_service(ReleaseServiceServer::from_arc(Arc::clone(self)))
    }

    /// Gives a user another release with a task for each of these titles: the first completed, the
    /// second in process if it is the user's first release, the others not started.
    pub(crate) fn give(&self, user: Uuid, username: &str, name: &str, titles: &[&str]) {
        let mut releases = self.releases.lock().unwrap();
        let releases = releases.entry(user).or_default();
        let is_first = releases.is_empty();
        let id = Uuid::now_v7().to_string();
        let task = |(order, title): (usize, &&str)| {
            let status = match order {
                0 => TaskStatus::Completed,
                1 if is_first => TaskStatus::InProcess,
                _ => TaskStatus::Todo,
            };
            Task {
                id: Uuid::now_v7().to_string(),
                release_id: id.clone(),
                release_name: name.to_owned(),
                title: (*title).to_owned(),
                assignee: Some(UserRef {
                    id: user.to_string(),
                    username: username.to_owned(),
                }),
                order_index: order as i64,
                status: status.into(),
                created_at: at(0),
                started_at: (status != TaskStatus::Todo).then(|| at(60).unwrap()),
                completed_at: (order < 1).then(|| at(120).unwrap()),
                ..Task::default()
            }
        };
        let release = Release {
            name: name.to_owned(),
            status: ReleaseStatus::Open.into(),
            tasks: titles.iter().enumerate().map(task).collect(),
            created_at: at(0),
            id,
            ..Release::default()
        };
        releases.insert(0, release);
    }

    /// Makes it unavailable, or available again.
    pub(crate) fn is_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The number of calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn called(&self) -> Result<(), Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Fault::unavailable("The database", "told to").into());
        }
        Ok(())
    }
}

fake! { TaskService for FakeReleases:
    list_tasks(ListTasksRequest) -> ListTasksResponse
    get_task(GetTaskRequest) -> GetTaskResponse
    start_task(StartTaskRequest) -> StartTaskResponse
    pause_task(PauseTaskRequest) -> PauseTaskResponse
    update_task(UpdateTaskRequest) -> UpdateTaskResponse
    delete_task(DeleteTaskRequest) -> DeleteTaskResponse
    complete_task(CompleteTaskRequest) -> CompleteTaskResponse
    ;

    async fn list_my_tasks(
        &self,
        request: Request<ListMyTasksRequest>,
    ) -> Result<Response<ListMyTasksResponse>, Status> {
        self.called()?;
        let caller = principal(&request)?.user_id;
        let releases = self.releases.lock().unwrap();
        let releases = releases.get(&caller).map_or(&[][..], Vec::as_slice);
        let status = request.get_ref().status();
        let mine = releases.iter().flat_map(|release| my_tasks(release, status));
        let request = request.get_ref();
        let skipped: usize = request.page_token.parse().unwrap_or_default();
        let (mine, size) = (mine.skip(skipped), request.page_size as usize);
        let tasks: Vec<_> = mine.clone().take(size).collect();
        let next_page_token = match mine.count() > size {
            true => (skipped + size).to_string(),
            false => String::new(),
        };
        Ok(Response::new(ListMyTasksResponse {
            tasks,
            next_page_token,
        }))
    }
}

/// The tasks of a release in this state.
fn my_tasks(release: &Release, status: TaskStatus) -> impl Iterator<Item = MyTask> + Clone {
    let tasks = &release.tasks;
    let current = tasks
        .iter()
        .find(|task| task.status() == TaskStatus::InProcess);
    let mine = tasks.iter().enumerate();
    let mine = mine.filter(move |(_, task)| task.status() == status);
    mine.map(move |(place, task)| MyTask {
        task: Some(task.clone()),
        can_start: false,
        blocked_by: (status == TaskStatus::Todo).then(|| {
            let (code, by) = match current {
                Some(current) if place == 2 => ("DEVELOPER_BUSY", Some(current.clone())),
                _ => ("TASK_OUT_OF_ORDER", tasks.get(place - 1).cloned()),
            };
            Blocker {
                code: code.to_owned(),
                task: by,
            }
        }),
    })
}

fake! { ReleaseService for FakeReleases:
    list_releases(ListReleasesRequest) -> ListReleasesResponse
    create_release(CreateReleaseRequest) -> CreateReleaseResponse
    add_task(AddTaskRequest) -> AddTaskResponse
    update_release(UpdateReleaseRequest) -> UpdateReleaseResponse
    delete_release(DeleteReleaseRequest) -> DeleteReleaseResponse
    complete_release(CompleteReleaseRequest) -> CompleteReleaseResponse
    ;

    async fn get_release(
        &self,
        request: Request<GetReleaseRequest>,
    ) -> Result<Response<GetReleaseResponse>, Status> {
        self.called()?;
        // Like the real one: any signed-in user may read any release.
        let releases = self.releases.lock().unwrap();
        let id = &request.get_ref().id;
        let found = releases.values().flatten().find(|release| release.id == *id);
        Ok(Response::new(GetReleaseResponse {
            release: found.cloned(),
            readiness: Vec::new(),
        }))
    }
}
