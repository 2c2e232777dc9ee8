//! A macro for fake services in tests.

/// Implements a service for a test type: first the methods that must not be called, then, after a
/// `;`, the others in full.
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
