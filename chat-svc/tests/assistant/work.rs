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
    /// The only release of each user.
    releases: Mutex<HashMap<Uuid, Release>>,
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

    /// Gives a user a release with a task for each of these titles: the first completed, the second
    /// in process, the others not started.
    pub(crate) fn give(&self, user: Uuid, username: &str, name: &str, titles: &[&str]) {
        let id = Uuid::now_v7().to_string();
        let task = |(order, title): (usize, &&str)| {
            let status = match order {
                0 => TaskStatus::Completed,
                1 => TaskStatus::InProcess,
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
                started_at: (order < 2).then(|| at(60).unwrap()),
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
        self.releases.lock().unwrap().insert(user, release);
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
    get_task(GetTaskRequest) -> GetTaskResponse
    start_task(StartTaskRequest) -> StartTaskResponse
    complete_task(CompleteTaskRequest) -> CompleteTaskResponse
    ;

    async fn list_my_tasks(
        &self,
        request: Request<ListMyTasksRequest>,
    ) -> Result<Response<ListMyTasksResponse>, Status> {
        self.called()?;
        let caller = principal(&request)?.user_id;
        let releases = self.releases.lock().unwrap();
        let tasks = releases
            .get(&caller)
            .map_or(&[][..], |release| &release.tasks);
        let current = tasks
            .iter()
            .find(|task| task.status() == TaskStatus::InProcess);
        let status = request.get_ref().status();
        let mine = tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.status() == status)
            .map(|(place, task)| MyTask {
                task: Some(task.clone()),
                can_start: false,
                blocked_by: (status == TaskStatus::Todo).then(|| {
                    let (code, by) = match place {
                        2 => ("DEVELOPER_BUSY", current.cloned()),
                        _ => ("TASK_OUT_OF_ORDER", tasks.get(place - 1).cloned()),
                    };
                    Blocker {
                        code: code.to_owned(),
                        task: by,
                    }
                }),
            });
        Ok(Response::new(ListMyTasksResponse {
            tasks: mine.take(request.get_ref().page_size as usize).collect(),
            next_page_token: String::new(),
        }))
    }
}

fake! { ReleaseService for FakeReleases:
    list_releases(ListReleasesRequest) -> ListReleasesResponse
    create_release(CreateReleaseRequest) -> CreateReleaseResponse
    add_task(AddTaskRequest) -> AddTaskResponse
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
        let found = releases.values().find(|release| release.id == *id);
        Ok(Response::new(GetReleaseResponse {
            release: found.cloned(),
        }))
    }
}
