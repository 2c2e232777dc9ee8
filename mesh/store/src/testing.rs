//! Runs the tests of a service's stores on each database.

/// Makes tests of functions that take a closure which opens the stores: `module: a_test
/// another_test;`, for each module. Use it in a module below the one of `Stores` and `COLLECTIONS`.
/// Each call of the closure stands for another replica. Without a MongoDB server for tests, its
/// tests do nothing.
#[macro_export]
macro_rules! on_each {
    ($($module:ident: $($name:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let directory = tempfile::tempdir().unwrap();
                    let path = directory.path().join("stores.db");
                    let open = move || super::super::Stores::sqlite(&path).unwrap();
                    super::$module::$name(open).await;
                }
            )*)*
        }

        mod mongo {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(scratch) = slipway_mongo::testing::Scratch::database().await else {
                        return;
                    };
                    let (client, name) = (scratch.client(), scratch.name());
                    let open = $crate::Documents::mongo(client, name, super::super::COLLECTIONS);
                    let documents = open.await.unwrap();
                    super::$module::$name(move || super::super::Stores::of(documents.clone())).await;
                }
            )*)*
        }
    };
}
