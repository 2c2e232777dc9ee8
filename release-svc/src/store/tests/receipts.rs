//! Receipts of commands.

use slipway_store::{Refusal, StoreError::Refused};

use super::*;

fn receipt(response: &str, at: Timestamp) -> Receipt {
    Receipt {
        key: ReceiptKey("k".into()),
        fingerprint: b"f".to_vec(),
        response: response.into(),
        at,
    }
}

fn with(receipt: Receipt) -> Commit {
    Commit {
        events: Vec::new(),
        receipt: Some(receipt),
    }
}

pub(super) async fn a_receipt_is_stored_with_its_change_once(open: impl Fn() -> Stores) {
    let stores = open();
    let release = plan("r", vec![]);
    let insert = stores.releases.insert(&release, with(receipt("1", now())));
    insert.await.unwrap();
    let after = release
        .add_task(task("a", &developer("ada")), now())
        .unwrap()
        .release;
    let again = stores
        .releases
        .save(&release, &after, with(receipt("2", now())));
    assert!(matches!(
        again.await,
        Err(SaveError::Store(Refused(Refusal::Receipt)))
    ));
    let stored = stores.releases.release(release.id).await.unwrap().unwrap();
    assert_eq!(stored, release, "the change was not stored either");
    let key = ReceiptKey("k".into());
    let found = stores
        .receipts
        .receipt(key, Timestamp::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(found.unwrap().response, b"1");
}

pub(super) async fn an_expired_receipt_makes_room(open: impl Fn() -> Stores) {
    let stores = open();
    let yesterday = now() - SignedDuration::from_hours(25);
    let (a, b) = (plan("a", vec![]), plan("b", vec![]));
    let insert = stores.releases.insert(&a, with(receipt("1", yesterday)));
    insert.await.unwrap();
    let day = SignedDuration::from_hours(24);
    let key = ReceiptKey("k".into());
    let found = stores
        .receipts
        .receipt(key.clone(), now() - day)
        .await
        .unwrap();
    assert_eq!(found, None);
    let insert = stores.releases.insert(&b, with(receipt("2", now())));
    insert.await.unwrap();
    stores.receipts.purge_receipts(now() - day).await.unwrap();
    let found = stores.receipts.receipt(key, now() - day).await.unwrap();
    assert_eq!(found.unwrap().response, b"2");
}
