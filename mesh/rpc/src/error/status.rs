//! Converts between a [`Fault`] and a gRPC status.

use std::collections::HashMap;

use serde_json::Value;
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::{DOMAIN, Fault, FieldError, Kind, room};

impl From<Fault> for Status {
    /// Details for which there is no room are dropped and counted, see [`super::OMITTED`].
    fn from(mut fault: Fault) -> Self {
        room::fit(&mut fault);
        // Metadata values of ErrorInfo are strings: each is a JSON value as text.
        let metadata: HashMap<String, String> = fault
            .facts
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect();
        let mut details = ErrorDetails::with_error_info(fault.code, DOMAIN, metadata);
        if !fault.fields.is_empty() {
            let violations: Vec<_> = fault
                .fields
                .into_iter()
                .map(|field| FieldViolation::new(field.field, field.message))
                .collect();
            details.set_bad_request(violations);
        }
        if fault.retry_after.is_some() {
            details.set_retry_info(fault.retry_after);
        }
        Status::with_error_details(fault.kind.grpc_code(), fault.detail, details)
    }
}

impl From<Status> for Fault {
    /// Reads a fault from a status: one of a Slipway service, or one of the transport.
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let kind = Kind::from_grpc(status.code());
        let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
            return Self::from_transport(kind, &status);
        };
        let facts = info
            .metadata
            .iter()
            .map(|(name, text)| {
                let value =
                    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
                (name.clone(), value)
            })
            .collect();
        let fields = details.bad_request().map_or_else(Vec::new, |bad| {
            bad.field_violations
                .iter()
                .map(|violation| FieldError {
                    field: violation.field.clone(),
                    message: violation.description.clone(),
                })
                .collect()
        });
        Self {
            kind,
            code: info.reason.clone(),
            detail: status.message().to_owned(),
            facts,
            fields,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}
