//! Runs a store's tests on each database.

use slipway_mongo::testing::Scratch;
use slipway_store::Documents;
use tempfile::TempDir;

use super::{COLLECTIONS, open};

/// Opens the same new SQLite file each time; it exists as long as the directory.
pub(crate) fn sqlite() -> (TempDir, impl Fn() -> Documents) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify.db");
    (directory, move || open(&path).unwrap())
}

/// A new database on the test server, if there is one. The opened stores keep no state in the
/// process, so a clone behaves like another replica.
pub(crate) async fn mongo() -> Option<(Scratch, impl Fn() -> Documents)> {
    let scratch = Scratch::database().await?;
    let opened = Documents::mongo(scratch.client(), scratch.name(), COLLECTIONS).await;
    let documents = opened.unwrap();
    Some((scratch, move || documents.clone()))
}

/// Defines a test of each function for each database. The functions take a constructor of the
/// store.
macro_rules! on_each {
    ($store:ident: $($name:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (_directory, open) = $crate::store::testing::sqlite();
                    super::$name(move || super::$store::new(open())).await;
                }
            )*
        }

        mod mongo {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some((_scratch, open)) = $crate::store::testing::mongo().await else {
                        return;
                    };
                    super::$name(move || super::$store::new(open())).await;
                }
            )*
        }
    };
}
pub(crate) use on_each;
