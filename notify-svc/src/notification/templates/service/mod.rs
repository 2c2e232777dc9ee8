//! `slipway.notify.v1.TemplateService`: templates as administrators edit them.

mod translate;

use slipway_proto::notify::v1::{
    DeleteTemplateRequest, DeleteTemplateResponse, GetTemplateRequest, GetTemplateResponse,
    ListTemplateVersionsRequest, ListTemplateVersionsResponse, ListTemplatesRequest,
    ListTemplatesResponse, PreviewTemplateRequest, PreviewTemplateResponse, UpdateTemplateRequest,
    UpdateTemplateResponse, template_service_server::TemplateService,
};
use slipway_rpc::{access::principal, page};
use tonic::{Request, Response, Status};

use super::editor::{Editor, Expected};
use crate::translate::caller;

/// The service.
pub(crate) struct TemplateApi(pub(crate) Editor);

#[tonic::async_trait]
impl TemplateService for TemplateApi {
    async fn list_templates(
        &self,
        request: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        const LIST: &str = "templates";
        let request = request.into_inner();
        let limit = page::limit(request.page_size, page::MAX_LIMIT)? as usize;
        let after = page::decode_cursor(LIST, &request.page_token)?;
        let (current, kinds, next) = self.0.list(after, limit).await?;
        let templates = kinds.iter().map(|kind| translate::summary(&current, kind));
        Ok(Response::new(ListTemplatesResponse {
            templates: templates.collect(),
            next_page_token: page::encode_cursor(LIST, next.as_ref()),
        }))
    }

    async fn get_template(
        &self,
        request: Request<GetTemplateRequest>,
    ) -> Result<Response<GetTemplateResponse>, Status> {
        let kind = request.into_inner().r#type;
        let current = self.0.get(&kind).await?;
        Ok(Response::new(GetTemplateResponse {
            template: translate::template(&current, &kind),
        }))
    }

    async fn update_template(
        &self,
        request: Request<UpdateTemplateRequest>,
    ) -> Result<Response<UpdateTemplateResponse>, Status> {
        let author = caller(&*principal(&request)?);
        let request = request.into_inner();
        let content = translate::content(request.source, &request.sample_json)?;
        let expected = Expected {
            version: request.expected_version,
            there: request.must_exist,
        };
        let kind = request.r#type;
        let current = self.0.update(&kind, content, expected, author).await?;
        Ok(Response::new(UpdateTemplateResponse {
            template: translate::template(&current, &kind),
        }))
    }

    async fn delete_template(
        &self,
        request: Request<DeleteTemplateRequest>,
    ) -> Result<Response<DeleteTemplateResponse>, Status> {
        let author = caller(&*principal(&request)?);
        let request = request.into_inner();
        let expected = Expected {
            version: request.expected_version,
            there: false,
        };
        self.0.delete(&request.r#type, expected, author).await?;
        Ok(Response::new(DeleteTemplateResponse {}))
    }

    async fn list_template_versions(
        &self,
        request: Request<ListTemplateVersionsRequest>,
    ) -> Result<Response<ListTemplateVersionsResponse>, Status> {
        let request = request.into_inner();
        let kind = request.r#type;
        let list = format!("template-versions?{kind}");
        let limit = page::limit(request.page_size, page::MAX_LIMIT)?;
        let before = page::decode_cursor(&list, &request.page_token)?;
        let (versions, next) = self.0.versions(&kind, before, limit).await?;
        Ok(Response::new(ListTemplateVersionsResponse {
            versions: versions.into_iter().map(translate::version).collect(),
            next_page_token: page::encode_cursor(&list, next.as_ref()),
        }))
    }

    async fn preview_template(
        &self,
        request: Request<PreviewTemplateRequest>,
    ) -> Result<Response<PreviewTemplateResponse>, Status> {
        let request = request.into_inner();
        let draft = request.draft;
        let draft = draft.map(|draft| translate::content(Some(draft), &request.sample_json));
        let data = translate::data(&request.data_json)?;
        let (subject, body) = self
            .0
            .preview(request.r#type, draft.transpose()?, data)
            .await?;
        Ok(Response::new(PreviewTemplateResponse {
            subject: subject.as_str().to_owned(),
            text: body.text,
            html: body.html,
        }))
    }
}
