//! Quotas of questions.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::sync::Barrier;

use super::at;
use crate::{
    chat::UserId,
    store::{Quota, Stores},
};

const QUOTA: Quota = Quota {
    limit: 4,
    window: Duration::from_secs(60),
};

pub(super) async fn a_quota_is_counted_over_a_sliding_window(open: impl Fn() -> Stores) {
    let (stores, other) = (open(), open());
    let user = UserId::generate();
    let count = async |seconds| {
        let counted = other.chat.count_question(user, QUOTA, at(seconds)).await;
        counted.unwrap()
    };
    for seconds in [0, 10, 20, 30] {
        assert_eq!(count(seconds).await, None);
    }
    assert_eq!(
        count(40).await,
        Some(at(60)),
        "when the first is a minute old"
    );
    assert_eq!(count(60).await, None);
    assert_eq!(
        count(60).await,
        Some(at(70)),
        "what is refused does not count"
    );
    let somebody = UserId::generate();
    let counted = stores.chat.count_question(somebody, QUOTA, at(60)).await;
    assert_eq!(counted.unwrap(), None);
}

pub(super) async fn concurrent_questions_do_not_exceed_the_quota(open: impl Fn() -> Stores) {
    const RACERS: usize = 12;
    let user = UserId::generate();
    let line = Arc::new(Barrier::new(RACERS));
    let racers = (0..RACERS).map(|_| {
        let (stores, line) = (open(), line.clone());
        async move {
            line.wait().await;
            let counted = stores.chat.count_question(user, QUOTA, at(0)).await;
            counted.unwrap().is_none()
        }
    });
    let admitted = join_all(racers).await;
    let admitted = admitted.iter().filter(|admitted| **admitted).count();
    assert_eq!(admitted, QUOTA.limit as usize);
}
