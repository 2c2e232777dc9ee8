//! What the OpenAPI document says of all operations together.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        self, Content, Ref, RefOr, Required, Response, Server,
        header::HeaderBuilder,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    extract::{COOKIE, MAX_IDEMPOTENCY_KEY},
    problem::PROBLEM_JSON,
};

/// What the document says of all operations together.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Release management: ordered tasks, one owner each, and one live wall \
            of activity.\n\n\
            Every answer carries `x-request-id` and `traceparent`. Errors are \
            `application/problem+json` with a `code` for programs. What creates something \
            takes an `Idempotency-Key` header (1 to 255 visible ASCII characters): the same \
            key with the same body gives the first answer again. Unknown fields are \
            refused, and so are unknown query parameters by operations that take some. \
            Operations that take no body ignore one of up to 1 MiB."
    ),
    tags(
        (name = "accounts", description = "Accounts and signing in"),
        (name = "releases", description = "Planning, completing and reopening releases"),
        (name = "tasks", description = "A developer's work"),
        (name = "discussion", description = "Threads of comments under every task"),
        (name = "assistant", description = "Conversations with the assistant"),
        (name = "activity", description = "The wall of activity"),
        (name = "notifications", description = "What people are told by email"),
        (name = "administration", description = "For administrators"),
    ),
    components(schemas(ProblemDetails)),
    modifiers(&Common),
)]
pub(super) struct Document;

struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut openapi::OpenApi) {
        document.servers = Some(vec![Server::new("/"), Server::new("/v1")]);
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("The `token` of POST /auth/login."))
            .build();
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
            COOKIE,
            "Set by POST /auth/login, accepted on GET only.",
        ));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let webhook = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The secret that the operator has configured for webhooks.",
            ))
            .build();
        components.add_security_scheme("webhook", SecurityScheme::Http(webhook));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// An error (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used: Problem writes the JSON")]
pub(super) struct ProblemDetails {
    /// `urn:slipway:problem:` and the code.
    r#type: String,
    /// The sort of error, for a person.
    title: String,
    status: u16,
    /// A sentence for a person.
    detail: String,
    /// For a program, for example `DEVELOPER_BUSY`.
    code: String,
    /// Leads to the log.
    trace_id: String,
    /// What is wrong with which field of the request.
    errors: Option<Vec<FieldProblem>>,
    /// What a program can use, under names that depend on the code: `activeTask` for
    /// `DEVELOPER_BUSY`, `blockedBy` for `TASK_OUT_OF_ORDER`, `remaining` for
    /// `RELEASE_INCOMPLETE`.
    #[serde(flatten)]
    facts: Map<String, Value>,
}

/// What is wrong with one field of a request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used: Problem writes the JSON")]
struct FieldProblem {
    /// Its path, as in `tasks[2].title`.
    field: String,
    message: String,
}

/// Gives every error in the document what all errors have: the shape of a problem, and the
/// headers that its status calls for. So a handler's documentation only says which there
/// are, and none can be forgotten.
pub(super) fn describe_errors(document: &mut openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && status.as_str() >= "400"
                {
                    describe_error(status, response);
                }
            }
        }
    }
}

fn describe_error(status: &str, response: &mut Response) {
    let schema = Ref::from_schema_name("Problem");
    let content = Content::new(Some(schema));
    response
        .content
        .insert(PROBLEM_JSON.to_owned(), content.into());
    let (name, of_type, meaning) = match status {
        "401" => ("WWW-Authenticate", Type::String, "`Bearer`"),
        "429" | "503" => ("Retry-After", Type::Integer, "Seconds to wait"),
        _ => return,
    };
    let header = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(of_type)))
        .description(Some(meaning))
        .build();
    response.headers.insert(name.to_owned(), header.into());
}

/// The header of operations that create something.
pub(super) struct Repeatable;

impl IntoParams for Repeatable {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_IDEMPOTENCY_KEY));
        let header = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .description(Some("Makes a repetition safe"))
            .required(Required::False)
            .schema(Some(key))
            .build();
        vec![header]
    }
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn error(status: &str, description: &str) -> (String, RefOr<Response>) {
    (status.to_owned(), Response::new(description).into())
}

/// The errors that every operation can have, also those that ignore a body.
pub(super) struct Anywhere;

impl IntoResponses for Anywhere {
    fn responses() -> Responses {
        [
            error("413", "`BODY_TOO_LARGE`: a body over 1 MiB"),
            error("500", "`INTERNAL`: a fault of ours"),
            error("503", "`UNAVAILABLE`: a service is away"),
            error("504", "`DEADLINE_EXCEEDED`: it took too long"),
        ]
        .into()
    }
}

/// The errors of operations for those who have signed in.
pub(super) struct Protected;

impl IntoResponses for Protected {
    fn responses() -> Responses {
        [error(
            "401",
            "`UNAUTHENTICATED`, `INVALID_TOKEN`, `TOKEN_EXPIRED`",
        )]
        .into()
    }
}

/// The errors of operations for administrators.
pub(super) struct ForAdmins;

impl IntoResponses for ForAdmins {
    fn responses() -> Responses {
        let mut responses = Protected::responses();
        responses.extend([error("403", "`ADMIN_REQUIRED`")]);
        responses
    }
}

/// The errors of operations with a path, a query or a body that can be malformed.
pub(super) struct Checked;

impl IntoResponses for Checked {
    fn responses() -> Responses {
        [error("400", "`INVALID_ARGUMENT`: see `errors`")].into()
    }
}

/// The errors of operations with a body.
pub(super) struct WithBody;

impl IntoResponses for WithBody {
    fn responses() -> Responses {
        [
            error(
                "400",
                "`INVALID_ARGUMENT`: see `errors`; `MALFORMED_BODY`: no JSON object",
            ),
            error(
                "408",
                "`BODY_TOO_SLOW`: not there within 10 seconds; the connection is closed",
            ),
            error("415", "`UNSUPPORTED_MEDIA_TYPE`: not `application/json`"),
        ]
        .into()
    }
}
