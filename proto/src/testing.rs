//! Services made up for tests.

/// Implements a service for a type of a test: first the methods that nobody is to call, then,
/// behind a `;`, the others in full.
#[macro_export]
macro_rules! fake {
    (
        $service:ident for $fake:ty:
        $($uncalled:ident($request:ident) -> $response:ident)*;
        $($called:tt)*
    ) => {
        #[tonic::async_trait]
        impl $service for $fake {
            $(
                async fn $uncalled(
                    &self,
                    _: tonic::Request<$request>,
                ) -> Result<tonic::Response<$response>, tonic::Status> {
                    unreachable!(stringify!($uncalled))
                }
            )*

            $($called)*
        }
    };
}
