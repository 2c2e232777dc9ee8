//! Runs the tests of a store on each database.

use slipway_mongo::testing::Scratch;
use slipway_store::Documents;
use tempfile::TempDir;

use super::{COLLECTIONS, open};

/// Opens a file of the test's own, each time anew; it is there as long as the directory.
pub(crate) fn sqlite() -> (TempDir, impl Fn() -> Documents) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify.db");
    (directory, move || open(&path).unwrap())
}

/// A database of the test's own, if there is a server for tests. What is opened keeps
/// nothing in the process: a clone is as good as another replica's.
pub(crate) async fn mongo() -> Option<(Scratch, impl Fn() -> Documents)> {
    let scratch = Scratch::database().await?;
    let opened = Documents::mongo(scratch.client(), scratch.name(), COLLECTIONS).await;
    let documents = opened.unwrap();
    Some((scratch, move || documents.clone()))
}

/// Makes tests of these functions, which take what opens a store.
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
