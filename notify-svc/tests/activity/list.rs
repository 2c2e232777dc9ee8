//! `ActivityService.List`.

use notify_svc::SERVICES;
use slipway_bus::{Actor, Event};
use slipway_proto::notify::v1::{
    ActivityEntry, ActivityFilter, ActivityServiceListRequest, ActivityServiceListResponse,
};
use slipway_rpc::error::Fault;
use tonic::Code;
use uuid::Uuid;

use crate::harness::{Client, Replica, Scene, assigned, entry_ids, events, ids};

async fn list(client: &mut Client, request: ActivityServiceListRequest) -> Vec<ActivityEntry> {
    client.list(request).await.unwrap().into_inner().entries
}

async fn filtered(client: &mut Client, filter: ActivityFilter) -> Vec<String> {
    let request = ActivityServiceListRequest {
        filter: Some(filter),
        ascending: true,
        ..Default::default()
    };
    entry_ids(&list(client, request).await)
}

/// All pages, joined; checks each one.
async fn pages(
    client: &mut Client,
    request: ActivityServiceListRequest,
    mut look: impl FnMut(&ActivityServiceListResponse),
) -> Vec<ActivityEntry> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ActivityServiceListRequest {
            page_token,
            ..request.clone()
        };
        let page = client.list(request).await.unwrap().into_inner();
        look(&page);
        all.extend(page.entries);
        if page.next_page_token.is_empty() {
            return all;
        }
        page_token = page.next_page_token;
    }
}

async fn refused(client: &mut Client, request: ActivityServiceListRequest) -> Fault {
    Fault::from(client.list(request).await.unwrap_err())
}

#[tokio::test]
async fn the_pages_make_up_the_list_in_both_directions() {
    let scene = Scene::new().await;
    let events = events(7);
    scene.append(&events).await;
    let mut client = scene.replica().client();
    for ascending in [true, false] {
        let request = ActivityServiceListRequest {
            ascending,
            page_size: 3,
            ..Default::default()
        };
        let all = pages(&mut client, request, |page| {
            assert!(page.entries.len() <= 3);
            assert_eq!((page.oldest, page.newest), (1, 7));
        })
        .await;
        let mut expected = ids(&events);
        if !ascending {
            expected.reverse();
        }
        assert_eq!(entry_ids(&all), expected);
    }
}

#[tokio::test]
async fn bounds_are_exclusive() {
    let scene = Scene::new().await;
    scene.append(&events(7)).await;
    let request = ActivityServiceListRequest {
        after: 2,
        before: 5,
        ..Default::default()
    };
    let entries = list(&mut scene.replica().client(), request).await;
    let numbers: Vec<_> = entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [4, 3]);
}

#[tokio::test]
async fn filters_are_by_type_release_and_user() {
    let scene = Scene::new().await;
    let (ada, bob) = (Uuid::now_v7(), Uuid::now_v7());
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let by_ada = Actor::User {
        id: ada,
        username: "ada".into(),
    };
    let mut of_other_type = assigned(second, 3, bob, &Actor::System);
    of_other_type.event_type = "release.archived".into();
    let events = [
        assigned(first, 1, bob, &by_ada),
        assigned(first, 2, ada, &Actor::System),
        of_other_type,
    ];
    scene.append(&events).await;
    let replica = scene.replica();
    let mut client = replica.client_of(ada);
    let select = |indices: &[usize]| -> Vec<String> {
        indices
            .iter()
            .map(|index| events[*index].id.to_string())
            .collect()
    };

    let by_type = |types: &[&str]| ActivityFilter {
        types: types.iter().map(|text| (*text).to_owned()).collect(),
        ..Default::default()
    };
    let found = filtered(&mut client, by_type(&["task.assigned"])).await;
    assert_eq!(found, select(&[0, 1]));
    let found = filtered(&mut client, by_type(&["task.started", "release.*"])).await;
    assert_eq!(found, select(&[2]));
    let of_release = ActivityFilter {
        release_id: second.to_string(),
        ..Default::default()
    };
    assert_eq!(filtered(&mut client, of_release).await, select(&[2]));
    let mine = ActivityFilter {
        mine: true,
        ..Default::default()
    };
    assert_eq!(filtered(&mut client, mine.clone()).await, select(&[0, 1]));
    let found = filtered(&mut replica.client_of(bob), mine).await;
    assert_eq!(found, select(&[0]), "an unknown type concerns nobody");
}

#[tokio::test]
async fn an_entry_has_the_data_of_its_event() {
    let scene = Scene::new().await;
    let (grace, ada) = (Uuid::now_v7(), Uuid::now_v7());
    let by_grace = Actor::User {
        id: grace,
        username: "grace".into(),
    };
    let event: Event = assigned(Uuid::now_v7(), 1, ada, &by_grace);
    scene.append(std::slice::from_ref(&event)).await;
    let entries = list(&mut scene.replica().client(), Default::default()).await;
    let [entry] = entries.as_slice() else {
        panic!("one entry: {entries:?}");
    };
    let actor = entry.actor.as_ref().unwrap();
    assert_eq!(entry.sequence, 1);
    assert_eq!(entry.id, event.id.to_string());
    assert_eq!(entry.r#type, "task.assigned");
    assert_eq!(
        (&*actor.username, &*actor.id),
        ("grace", &*grace.to_string())
    );
    assert_eq!(entry.subject, event.subject);
    assert_eq!(entry.release_id, event.key);
    assert_eq!(
        entry.summary,
        "grace assigned “Task 1” in Kubernetes 1.31 to ada"
    );
    assert_eq!(entry.data_json.as_bytes(), event.data);
    assert_eq!(entry.concerns, [ada.to_string()]);
    assert_eq!(entry.time.unwrap().seconds, event.time.as_second());
}

#[tokio::test]
async fn a_malformed_request_names_its_field() {
    let scene = Scene::new().await;
    let mut client = scene.replica().client();
    let with_filter = |filter| ActivityServiceListRequest {
        filter: Some(filter),
        ..Default::default()
    };
    let bad_type = with_filter(ActivityFilter {
        types: vec!["*".into()],
        ..Default::default()
    });
    let unknown_type = with_filter(ActivityFilter {
        types: vec!["task.*".into(), "task.strated".into()],
        ..Default::default()
    });
    let bad_release = with_filter(ActivityFilter {
        release_id: "131".into(),
        ..Default::default()
    });
    let bad_size = ActivityServiceListRequest {
        page_size: 1001,
        ..Default::default()
    };
    let bad_token = ActivityServiceListRequest {
        page_token: "x".into(),
        ..Default::default()
    };
    for (request, field) in [
        (bad_type, "filter.types"),
        (unknown_type, "filter.types"),
        (bad_release, "filter.release_id"),
        (bad_size, "page_size"),
        (bad_token, "page_token"),
    ] {
        let fault = refused(&mut client, request).await;
        assert_eq!(fault.code, "INVALID_ARGUMENT");
        assert_eq!(fault.fields[0].field, field);
    }
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let scene = Scene::new().await;
    scene.append(&events(3)).await;
    let mut client = scene.replica().client();
    let request = ActivityServiceListRequest {
        page_size: 1,
        ..Default::default()
    };
    let page = client.list(request.clone()).await.unwrap().into_inner();
    let page_token = page.next_page_token;
    let other = ActivityServiceListRequest {
        ascending: true,
        page_token: page_token.clone(),
        ..request.clone()
    };
    assert_eq!(
        refused(&mut client, other).await.fields[0].field,
        "page_token"
    );
    let larger_page = ActivityServiceListRequest {
        page_size: 2,
        page_token,
        ..request
    };
    assert_eq!(list(&mut client, larger_page).await.len(), 2);
}

#[tokio::test]
async fn an_anonymous_caller_reads_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.replica().anonymous();
    let status = client
        .list(ActivityServiceListRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_its_database_the_service_is_unavailable_without_details() {
    let scene = Scene::new().await;
    let stores = scene.stores();
    stores.documents.seem_away(true);
    let replica = Replica::start(stores, scene.bus.clone());
    let status = replica
        .client()
        .list(ActivityServiceListRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(!format!("{status:?}").contains("MongoDB"));
    let findings = replica.health.findings().await;
    let service = SERVICES[0];
    let problems: Vec<_> = findings
        .iter()
        .filter(|finding| finding.service == service)
        .map(|finding| {
            (
                finding.service,
                finding.dependency,
                finding.problem.is_some(),
            )
        })
        .collect();
    assert_eq!(
        problems,
        [(service, "store", true), (service, "bus", false)]
    );
}
