//! `/admin/templates…`: the templates of notifications.

use axum::{Json, extract::State};
use http::{HeaderMap, StatusCode};
use slipway_proto::notify::v1::{
    self, DeleteTemplateRequest, GetTemplateRequest, ListTemplateVersionsRequest,
    ListTemplatesRequest, UpdateTemplateRequest,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::document::ForAdmins;
use crate::{
    app::AppState,
    etag::{Condition, Tagged, if_match},
    extract::{Caller, ListParams, PathName, Payload},
    model::{
        NewTemplate, NoConditions, Page, Paging, Preview, Rendered, Template, TemplateSummary,
        TemplateVersion, required,
    },
    problem::Problem,
};

/// The service's error code if `If-Match` does not match.
const CHANGED: &str = "TEMPLATE_CHANGED";

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(versions))
        .routes(routes!(preview))
}

/// All types of notifications, by name.
#[utoipa::path(
    get,
    path = "/admin/templates",
    operation_id = "listTemplates",
    tag = "administration",
    params(Paging),
    responses(
        (status = 200, description = "A page of types", body = Page<TemplateSummary>),
        ForAdmins,
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn list(
    State(app): State<AppState>,
    caller: Caller,
    ListParams(NoConditions {}, paging): ListParams<NoConditions>,
) -> Result<Json<Page<TemplateSummary>>, Problem> {
    let request = caller.outbound.request(ListTemplatesRequest {
        page_size: paging.page_size(),
        page_token: paging.page_token(),
    });
    let answer = app.templates().list_templates(request).await?.into_inner();
    Ok(Json(Page::new(answer.templates, answer.next_page_token)?))
}

/// The templates of a type as they are now.
#[utoipa::path(
    get,
    path = "/admin/templates/{type}",
    operation_id = "getTemplate",
    tag = "administration",
    params(("type" = String, Path, description = "The type, such as `task.assigned`")),
    responses(
        (
            status = 200,
            description = "The templates",
            body = Template,
            headers(("ETag" = String, description = "Their version, for `If-Match`")),
        ),
        ForAdmins,
        (status = 404, description = "`TEMPLATE_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn get(
    State(app): State<AppState>,
    caller: Caller,
    PathName(kind): PathName,
) -> Result<Tagged<Template>, Problem> {
    let request = caller.outbound.request(GetTemplateRequest { r#type: kind });
    let answer = app.templates().get_template(request).await?.into_inner();
    tagged(answer.template)
}

/// Saves a version of a type's templates.
///
/// They are written in a part of Jinja: `{{ variable }}`, `if`, `for`, `with`, `set name =
/// value`, `extends` and `include` of Slipway's own layouts, `block`, and the filters `abs`,
/// `capitalize`, `count`, `d`, `default`, `e`, `escape`, `first`, `float`, `int`, `items`, `join`,
/// `last`, `length`, `lower`, `replace`, `round`, `string`, `title`, `trim`, `truncate`, `upper`
/// and `when`. There are no functions and no macros. A tag has at most 250 parts, tags are nested
/// at most 20 deep, a template takes at most 20,000 steps and writes at most 256 KiB;
/// `docs/templates.md` has the rest. An invalid template is refused with 400, the reason and the
/// line: it is malformed or uses something not allowed, uses a variable that the type does not
/// have, does not render the sample to a mail within the limits, or is too large. Saving an unknown
/// type, with a sample, creates a custom type; then `POST /events/{type}` accepts its events. A
/// saved version applies at once in the process that saved it, and within two seconds in all
/// others. With `If-Match` it is saved only if that is still the latest version; `*` saves only an
/// existing type.
#[utoipa::path(
    put,
    path = "/admin/templates/{type}",
    operation_id = "saveTemplate",
    tag = "administration",
    params(
        (
            "type" = String,
            Path,
            description = "The type, such as `task.assigned`",
            example = "order-placed",
        ),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is edited"),
    ),
    request_body(
        content = NewTemplate,
        example = json!({
            "subject": "Order {{ orderId }} is on its way",
            "text": "Order {{ orderId }} is on its way.",
            "html": "<p>Order {{ orderId }} is on its way.</p>",
            "sample": {"orderId": "A-1042", "note": null}
        }),
    ),
    responses(
        (
            status = 200,
            description = "The templates as saved",
            body = Template,
            headers(("ETag" = String, description = "Their version, for `If-Match`")),
        ),
        ForAdmins,
        (status = 409, description = "`TOO_MANY_TYPES`"),
        (status = 412, description = "`TEMPLATE_CHANGED`: saved by somebody else meanwhile"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn put(
    State(app): State<AppState>,
    caller: Caller,
    PathName(kind): PathName,
    headers: HeaderMap,
    Payload(template): Payload<NewTemplate>,
) -> Result<Tagged<Template>, Problem> {
    let condition = if_match(&headers, 0)?;
    let update = UpdateTemplateRequest {
        // A condition requires that the resource exists (RFC 9110, 13.1.1). Without this, saving
        // would create the type.
        must_exist: condition != Condition::None,
        ..template.update(kind)
    };
    let answer = condition.guard(CHANGED, |expected_version| {
        let request = caller.outbound.request(UpdateTemplateRequest {
            expected_version,
            ..update.clone()
        });
        let mut service = app.templates();
        async move { service.update_template(request).await }
    });
    tagged(answer.await?.into_inner().template)
}

/// Resets a built-in type to its original templates; deletes a custom type.
#[utoipa::path(
    delete,
    path = "/admin/templates/{type}",
    operation_id = "deleteTemplate",
    tag = "administration",
    params(
        ("type" = String, Path, description = "The type, such as `task.assigned`"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is deleted"),
    ),
    responses(
        (status = 204, description = "Deleted; a version of its own"),
        ForAdmins,
        (status = 404, description = "`TEMPLATE_NOT_FOUND`"),
        (status = 412, description = "`TEMPLATE_CHANGED`: saved by somebody else meanwhile"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn delete(
    State(app): State<AppState>,
    caller: Caller,
    PathName(kind): PathName,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let condition = if_match(&headers, 0)?;
    let answer = condition.guard(CHANGED, |expected_version| {
        let request = caller.outbound.request(DeleteTemplateRequest {
            r#type: kind.clone(),
            expected_version,
        });
        let mut service = app.templates();
        async move { service.delete_template(request).await }
    });
    answer.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The last 50 versions of a type's templates, newest first.
#[utoipa::path(
    get,
    path = "/admin/templates/{type}/versions",
    operation_id = "listTemplateVersions",
    tag = "administration",
    params(("type" = String, Path, description = "The type, such as `task.assigned`"), Paging),
    responses(
        (status = 200, description = "A page of versions", body = Page<TemplateVersion>),
        ForAdmins,
        (status = 404, description = "`TEMPLATE_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn versions(
    State(app): State<AppState>,
    caller: Caller,
    PathName(kind): PathName,
    ListParams(NoConditions {}, paging): ListParams<NoConditions>,
) -> Result<Json<Page<TemplateVersion>>, Problem> {
    let request = caller.outbound.request(ListTemplateVersionsRequest {
        r#type: kind,
        page_size: paging.page_size(),
        page_token: paging.page_token(),
    });
    let answer = app.templates().list_template_versions(request).await?;
    let answer = answer.into_inner();
    Ok(Json(Page::new(answer.versions, answer.next_page_token)?))
}

/// Renders a type's templates, or a draft of them, and saves nothing.
#[utoipa::path(
    post,
    path = "/admin/templates/{type}/preview",
    operation_id = "previewTemplate",
    tag = "administration",
    params((
        "type" = String,
        Path,
        description = "The type, such as `task.assigned`",
        example = "order-placed",
    )),
    request_body(
        content = Preview,
        example = json!({"data": {"orderId": "B-7"}}),
    ),
    responses(
        (status = 200, description = "The rendered mail", body = Rendered),
        ForAdmins,
        (status = 404, description = "`TEMPLATE_NOT_FOUND`"),
    ),
    security(("bearer" = []), ("cookie" = [])),
)]
async fn preview(
    State(app): State<AppState>,
    caller: Caller,
    PathName(kind): PathName,
    Payload(preview): Payload<Preview>,
) -> Result<Json<Rendered>, Problem> {
    let request = caller.outbound.request(preview.request(kind));
    let answer = app.templates().preview_template(request).await;
    let naming = |status| Problem::naming(status, "sample_json", "draft.sample");
    Ok(Json(answer.map_err(naming)?.into_inner().into()))
}

fn tagged(template: Option<v1::Template>) -> Result<Tagged<Template>, Problem> {
    let template: Template = required("template", template)?.try_into()?;
    Ok(Tagged {
        revision: template.summary.version,
        body: template,
    })
}
