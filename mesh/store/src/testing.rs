//! Tests of a service's stores, on each database.

/// Makes tests of functions that take what opens the stores: `module: a_test another_test;`,
/// for each module. Beside it stand `on_sqlite`, which makes a directory and what opens the
/// stores in it, and `on_mongo`, which has none where there is no server for tests.
#[macro_export]
macro_rules! on_each {
    ($($module:ident: $($name:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (_directory, open) = super::on_sqlite();
                    super::$module::$name(open).await;
                }
            )*)*
        }

        mod mongo {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some((_scratch, open)) = super::on_mongo().await {
                        super::$module::$name(open).await;
                    }
                }
            )*)*
        }
    };
}
