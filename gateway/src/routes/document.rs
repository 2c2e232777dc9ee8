//! What the OpenAPI document says of all operations together.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::{
    IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        self, Content, Ref, RefOr, ResponseBuilder, Server,
        header::HeaderBuilder,
        schema::{ObjectBuilder, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{extract::COOKIE, problem::PROBLEM_JSON};

/// What the document says of all operations together.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Release management: ordered tasks, one owner each, and one live wall of activity.\n\n\
            Every answer carries `x-request-id` and `traceparent`. Errors are \
            `application/problem+json` with a `code` for programs. What creates \
            something takes an `Idempotency-Key` header (1 to 255 visible ASCII characters): \
            the same key with the same body gives the first answer again. Unknown fields and unknown query \
            parameters are refused. Operations that take no body ignore one."
    ),
    tags(
        (name = "accounts", description = "Accounts and signing in"),
        (name = "releases", description = "Planning, completing and reopening releases"),
        (name = "tasks", description = "A developer's work"),
        (name = "activity", description = "The wall of activity"),
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

type Responses = BTreeMap<String, RefOr<openapi::Response>>;

fn problem(status: &str, description: &str) -> (String, RefOr<openapi::Response>) {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut response = ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content);
    let header = match status {
        "401" => Some(("WWW-Authenticate", Type::String, "`Bearer`")),
        "429" | "503" => Some(("Retry-After", Type::Integer, "Seconds to wait")),
        _ => None,
    };
    if let Some((name, of_type, meaning)) = header {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(of_type)))
            .description(Some(meaning))
            .build();
        response = response.header(name, header);
    }
    (status.to_owned(), response.build().into())
}

/// The errors that every operation can have.
pub(super) struct Anywhere;

impl IntoResponses for Anywhere {
    fn responses() -> Responses {
        [
            problem("500", "`INTERNAL`: a fault of ours"),
            problem("503", "`UNAVAILABLE`: a service is away"),
            problem("504", "`DEADLINE_EXCEEDED`: it took too long"),
        ]
        .into()
    }
}

/// The errors of operations for those who have signed in.
pub(super) struct Protected;

impl IntoResponses for Protected {
    fn responses() -> Responses {
        [problem(
            "401",
            "`UNAUTHENTICATED`, `INVALID_TOKEN`, `TOKEN_EXPIRED`",
        )]
        .into()
    }
}

/// The errors of operations with a path, a query or a body that can be malformed.
pub(super) struct Checked;

impl IntoResponses for Checked {
    fn responses() -> Responses {
        [problem("400", "`INVALID_ARGUMENT`: see `errors`")].into()
    }
}

/// The errors of operations with a body.
pub(super) struct WithBody;

impl IntoResponses for WithBody {
    fn responses() -> Responses {
        [
            problem(
                "400",
                "`INVALID_ARGUMENT`: see `errors`; `MALFORMED_BODY`: no JSON object",
            ),
            problem("413", "`BODY_TOO_LARGE`: over 1 MiB"),
            problem("415", "`UNSUPPORTED_MEDIA_TYPE`: not `application/json`"),
        ]
        .into()
    }
}
