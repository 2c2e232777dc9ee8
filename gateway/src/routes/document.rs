//! The parts of the OpenAPI document that all operations share.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, ToSchema,
    openapi::{
        self, Content, Ref, RefOr, Required, Response, Server,
        header::HeaderBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Schema, SchemaType, Type},
        security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
        },
    },
};

use super::patterns;
use crate::{
    body::limit_of,
    browser::COOKIE_NAME,
    extract::MAX_IDEMPOTENCY_KEY,
    problem::{PROBLEM_JSON, in_words},
};

/// The OpenAPI document without its operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Release management: ordered tasks, one owner each, and a live activity \
            feed.\n\n\
            Every answer carries `x-request-id` and `traceparent`. Errors are \
            `application/problem+json` with a `code` for programs. What creates something \
            takes an `Idempotency-Key` header (1 to 255 visible ASCII characters): the same \
            key with the same body gives the first answer again. Unknown fields are refused, \
            and so are names that an object has twice, unknown query parameters, `If-Match` \
            where it is not listed, and `If-None-Match` on what changes something; only \
            `POST /hooks/alerts` ignores what it does not know. A query parameter is one line, \
            without control characters. A body is JSON as it is: with a `Content-Encoding` \
            it is refused. Operations that take no body refuse one, other than `{}`. Text on one \
            line has no control characters and none that change the direction of text; longer \
            text has no control characters but line breaks and tabs. Neither has code points that are no \
            characters (U+FFFE and the like). The body of a `PATCH` may be sent as \
            `application/merge-patch+json`. Caches must not store \
            responses that depend on the caller."
    ),
    tags(
        (name = "accounts", description = "Accounts and signing in"),
        (name = "releases", description = "Planning, completing and reopening releases"),
        (name = "tasks", description = "A developer's work"),
        (name = "discussion", description = "Threads of comments under every task"),
        (name = "assistant", description = "Conversations with the assistant"),
        (name = "activity", description = "The activity feed"),
        (name = "notifications", description = "Notifications by email"),
        (name = "statistics", description = "Figures about the work"),
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
            .description(Some(
                "The `token` of POST /auth/login, or a token for programs of POST /auth/tokens.",
            ))
            .build();
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
            COOKIE_NAME,
            "Set by POST /auth/session. On requests other than GET it counts only if a page of this \
                server caused them. Under an https public URL its name begins with `__Host-`.",
        ));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let webhook = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The secret that the operator has configured for webhooks, or a token for programs of an \
                    admin with the scope `WORK` or `ADMIN`.",
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
    /// The kind of error, for a person.
    title: String,
    status: u16,
    /// A sentence for a person.
    detail: String,
    /// For a program, for example `DEVELOPER_BUSY`.
    code: String,
    /// Finds the request in the log.
    trace_id: String,
    /// What is wrong with which field of the request.
    errors: Option<Vec<FieldProblem>>,
    /// Facts for programs, under names that depend on the code: `activeTask` for
    /// `DEVELOPER_BUSY`, `blockedBy` for `TASK_OUT_OF_ORDER`, `remaining` for
    /// `RELEASE_INCOMPLETE`. A long list is cut: then `omitted` has the number of the missing
    /// elements by the name of the list, and names in it may be shortened.
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

/// Adds to every operation what all have in common, so that a handler documents only its own
/// parts: the errors of every request; the problem schema and the headers of each error; the
/// patterns of texts; and optional parameters and bodies that are never `null`.
pub(super) fn complete(document: &mut openapi::OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let changes = [
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        changes.into_iter().flatten().for_each(describe_cookie);
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            never_null(operation);
            describe_common(operation);
            describe_limits(path, operation);
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && status.as_str() >= "400"
                {
                    describe_error(status, response);
                }
            }
        }
    }
    patterns::describe(document);
}

/// Adds the error of a request that another site caused, to operations that change something with
/// the cookie.
fn describe_cookie(operation: &mut Operation) {
    const TEXT: &str = "`CROSS_ORIGIN`: with the cookie, and another site caused the request";
    let anybody = SecurityRequirement::default();
    let security = operation.security.as_deref().unwrap_or_default();
    if security.contains(&anybody) {
        return;
    }
    match operation.responses.responses.get_mut("403") {
        Some(RefOr::T(known)) => known.description = format!("{}; {TEXT}", known.description),
        _ => {
            let response = Response::new(TEXT).into();
            operation
                .responses
                .responses
                .insert("403".to_owned(), response);
        }
    }
}

/// The errors that an operation can have, by status: of all operations, of those with and without
/// a body, and of those that need a sign-in.
const ANYWHERE: [(&str, &str); 4] = [
    (
        "408",
        "`BODY_TOO_SLOW`: not there within 10 seconds; the connection is closed",
    ),
    ("500", "`INTERNAL`: a fault of ours"),
    ("503", "`UNAVAILABLE`: a service is unavailable"),
    ("504", "`DEADLINE_EXCEEDED`: it took too long"),
];
const WITH_BODY: [(&str, &str); 2] = [
    (
        "400",
        "`INVALID_ARGUMENT`: see `errors`; `MALFORMED_BODY`: no JSON object",
    ),
    ("415", "`UNSUPPORTED_MEDIA_TYPE`: not `application/json`"),
];
const WITHOUT_BODY: [(&str, &str); 1] = [("400", "`INVALID_ARGUMENT`: see `errors`")];
const SIGNED_IN: [(&str, &str); 1] = [(
    "401",
    "`UNAUTHENTICATED`, `INVALID_TOKEN`, `TOKEN_EXPIRED`, `SESSION_ENDED`",
)];

/// Adds the errors of this kind of operation, unless the operation documents them itself.
fn describe_common(operation: &mut Operation) {
    let of_body: &[_] = match operation.request_body {
        Some(_) => &WITH_BODY,
        None => &WITHOUT_BODY,
    };
    let anybody = SecurityRequirement::default();
    let is_open = operation
        .security
        .iter()
        .flatten()
        .any(|one| *one == anybody);
    let of_caller: &[_] = if is_open { &[] } else { &SIGNED_IN };
    for (status, description) in ANYWHERE.iter().chain(of_body).chain(of_caller) {
        let responses = &mut operation.responses.responses;
        let common = || Response::new(*description).into();
        responses.entry((*status).to_owned()).or_insert_with(common);
    }
}

/// Adds the errors that any request can have.
fn describe_limits(path: &str, operation: &mut Operation) {
    let limit = in_words(limit_of(path));
    let responses = &mut operation.responses.responses;
    let mut also = |status: &str, text: String| match responses.get_mut(status) {
        Some(RefOr::T(known)) => known.description = format!("{}; {text}", known.description),
        _ => {
            responses.insert(status.to_owned(), Response::new(text).into());
        }
    };
    also(
        "400",
        "`MALFORMED_REQUEST`: no `Host`, or two; a `Transfer-Encoding` other than `chunked`; \
         two of `Authorization` or `Content-Type`; no HTTP"
            .to_owned(),
    );
    also("413", format!("`BODY_TOO_LARGE`: a body over {limit}"));
    also(
        "431",
        "`HEAD_TOO_LARGE`: the request's line and headers are over 64 KiB, or over 100 headers"
            .to_owned(),
    );
    if operation.request_body.is_some() {
        also(
            "415",
            "`UNSUPPORTED_CONTENT_CODING`: it is compressed".to_owned(),
        );
    }
    also(
        "503",
        "`OVERLOADED`: there are too many requests at once".to_owned(),
    );
}

/// An optional parameter or body is an `Option` in the code, but may not be `null` in JSON.
fn never_null(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && let SchemaType::Array(types) = &mut schema.schema_type
        {
            types.retain(|of| *of != Type::Null);
            if let [only] = types.as_slice() {
                schema.schema_type = SchemaType::Type(only.clone());
            }
        }
    }
    let Some(RefOr::T(body)) = &mut operation.request_body else {
        return;
    };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
            && let Some(schema) = either
                .items
                .iter()
                .find(|item| matches!(item, RefOr::Ref(_)))
        {
            content.schema = Some(schema.clone());
            body.required = Some(Required::False);
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
            .pattern(Some(patterns::KEY))
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

/// The errors of operations for administrators.
pub(super) struct ForAdmins;

impl IntoResponses for ForAdmins {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [("403".to_owned(), Response::new("`ADMIN_REQUIRED`").into())].into()
    }
}
