//! Templates of mails.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::StatusCode;
use slipway_proto::notify::v1::{
    DeleteTemplateRequest, ListTemplateVersionsRequest, PreviewTemplateRequest, TemplateSource,
    UpdateTemplateRequest,
};
use slipway_rpc::error::{Fault, Kind};

use super::{Id, Sent};
use crate::{
    Visitor, Web,
    answer::{preview, status},
    pages::templates as page,
};

/// Makes a type, which must not exist.
pub(super) async fn create(sent: Sent) -> Response {
    let kind = sent.line("type");
    let outcome = match unused(&sent, &kind).await {
        Ok(version) => save(&sent, kind, version, false).await,
        Err(fault) => Err(fault),
    };
    sent.end(outcome).await
}

/// The version that a type is at which does not exist: it may have been deleted.
async fn unused(sent: &Sent, kind: &str) -> Result<u64, Fault> {
    let request = sent.request(ListTemplateVersionsRequest {
        r#type: kind.to_owned(),
        page_size: 1,
        page_token: String::new(),
    });
    let templates = sent.services().templates.clone();
    let answer = { templates }.list_template_versions(request).await;
    let exists = || {
        let text = "There is a type with this name. Open it in the list to change it.";
        Fault::new(Kind::AlreadyExists, "TEMPLATE_EXISTS", text)
    };
    match answer.map_err(Fault::from) {
        Ok(answer) => match answer.into_inner().versions.first() {
            Some(last) if last.source.is_none() => Ok(last.version),
            _ => Err(exists()),
        },
        Err(fault) if fault.kind == Kind::NotFound => Ok(0),
        Err(fault) => Err(fault),
    }
}

/// Saves a version of a type, which must exist.
pub(super) async fn update(Id(kind): Id, sent: Sent) -> Response {
    let outcome = match sent.revision() {
        Ok(version) => save(&sent, kind, version, true).await,
        Err(fault) => Err(fault),
    };
    sent.end(outcome).await
}

async fn save(sent: &Sent, kind: String, version: u64, must_exist: bool) -> Result<String, Fault> {
    let page = format!("/admin/templates/{kind}");
    let request = sent.request(UpdateTemplateRequest {
        r#type: kind,
        source: Some(source(sent)),
        sample_json: sent.fields.get("sample").to_owned(),
        expected_version: Some(version),
        must_exist,
    });
    let templates = sent.services().templates.clone();
    { templates }.update_template(request).await?;
    Ok(page)
}

fn source(sent: &Sent) -> TemplateSource {
    TemplateSource {
        subject: sent.line("subject"),
        text: sent.fields.get("text").to_owned(),
        html: sent.fields.get("html").to_owned(),
    }
}

/// Brings back the built-in templates, or deletes a type that is not built in.
pub(super) async fn delete(Id(kind): Id, sent: Sent) -> Response {
    let outcome = async {
        let request = sent.request(DeleteTemplateRequest {
            r#type: kind,
            expected_version: Some(sent.revision()?),
        });
        let templates = sent.services().templates.clone();
        { templates }.delete_template(request).await?;
        Ok("/admin/templates".to_owned())
    };
    let outcome = outcome.await;
    sent.end(outcome).await
}

/// The mail of the templates in use, for a frame.
pub(super) async fn preview_current(
    Id(kind): Id,
    State(web): State<Arc<Web>>,
    visitor: Visitor,
) -> Response {
    let request = PreviewTemplateRequest {
        r#type: kind,
        ..PreviewTemplateRequest::default()
    };
    rendered(&web, &visitor, request).await
}

/// The mail of the templates that were typed, for a frame.
pub(super) async fn preview_draft(Id(kind): Id, sent: Sent) -> Response {
    let request = PreviewTemplateRequest {
        r#type: kind,
        draft: Some(source(&sent)),
        sample_json: sent.fields.get("sample").to_owned(),
        data_json: String::new(),
    };
    rendered(&sent.web, &sent.visitor, request).await
}

async fn rendered(web: &Web, visitor: &Visitor, request: PreviewTemplateRequest) -> Response {
    let templates = web.services.templates.clone();
    let request = visitor.outbound.request(request);
    match { templates }.preview_template(request).await {
        Ok(answer) => preview(StatusCode::OK, page::preview(answer.get_ref())),
        Err(error) => {
            let fault = Fault::from(error);
            preview(status(&fault), page::no_preview(&fault))
        }
    }
}
