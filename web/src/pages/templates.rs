//! Templates of mails, for administrators: the types, and one with its versions and a preview.

use maud::{Markup, PreEscaped, html};
use slipway_proto::notify::v1::{
    GetTemplateRequest, ListTemplateVersionsRequest, ListTemplatesRequest, PreviewTemplateResponse,
    Template, TemplateSource, TemplateVersion,
};
use slipway_rpc::error::{Fault, Kind};

use super::Page;
use crate::{
    diff::{indented, lines},
    parts::{Input, area, button, input, is_conflict, more, told, up, user},
    times::when,
    visit::Visit,
};

/// Makes a type.
const CREATE: &str = "/ui/templates";

/// The name of the frame with the preview.
const FRAME: &str = "preview";

pub(super) async fn list(visit: &Visit) -> Result<Page, Fault> {
    let request = visit.request(ListTemplatesRequest {
        page_size: 100,
        page_token: visit.query.get("cursor").to_owned(),
    });
    let templates = visit.services().templates.clone();
    let answer = { templates }.list_templates(request).await?.into_inner();
    Page::new(
        "Templates",
        html! {
            h1 { "Templates" }
            p.hint { "What mails say, for each type of notification." }
            ul.list { @for one in &answer.templates { li.card { (row(visit, one)) } } }
            (more(visit, &answer.next_page_token, "More"))
            (create(visit))
        },
    )
}

fn row(visit: &Visit, one: &Template) -> Markup {
    html! {
        h2.title { a href={ "/admin/templates/" (one.r#type) } { bdi { (one.r#type) } } }
        p.facts {
            @if !one.built_in { span.state.doing { "Own type" } }
            @else if one.edited { span.state.doing { "Edited" } }
            @else { span.state.todo { "As built in" } }
            @if one.version > 0 {
                " " span { "version " (one.version) }
                " " span { "by " (user(one.updated_by.as_ref())) " " (when(one.updated_at.as_ref(), visit.now)) }
            }
        }
    }
}

fn create(visit: &Visit) -> Markup {
    let value = |name: &str, otherwise| visit.typed(CREATE, name, otherwise);
    html! {
        details.card open[visit.is_again(CREATE)] {
            summary { "Make a type for the events of another program" }
            (visit.form(CREATE, "stack", &html! {
                (input(&Input { label: "Type, such as order-placed", name: "type", value: value("type", ""), ..Input::default() }))
                (input(&Input { label: "Subject", name: "subject", value: value("subject", ""), ..Input::default() }))
                (area("Plain text", "text", value("text", ""), 6, true))
                (area("HTML", "html", value("html", ""), 6, true))
                (area("Sample of the data, as a JSON object with every variable", "sample", value("sample", "{}"), 4, true))
                (button("Make the type", "main"))
            }))
        }
    }
}

pub(super) async fn one(visit: &Visit, kind: &str) -> Result<Page, Fault> {
    let get = async {
        let request = visit.request(GetTemplateRequest {
            r#type: kind.to_owned(),
        });
        let answer = visit
            .services()
            .templates
            .clone()
            .get_template(request)
            .await?;
        Ok::<_, Fault>(answer.into_inner().template.unwrap_or_default())
    };
    let (template, versions) = tokio::try_join!(get, versions(visit, kind))?;
    let source = template.source.clone().unwrap_or_default();
    let chosen: Option<u64> = visit.query.get("version").parse().ok();
    let chosen = versions
        .iter()
        .find(|version| Some(version.version) == chosen);
    Page::new(
        kind,
        html! {
            (up("/admin/templates", "Templates"))
            h1 { bdi { (kind) } }
            p.facts {
                @if template.edited { span.state.doing { "Edited" } } @else { span.state.todo { "As built in" } }
                @if template.version > 0 {
                    " " span { "version " (template.version) }
                    " " span { "by " (user(template.updated_by.as_ref())) " " (when(template.updated_at.as_ref(), visit.now)) }
                }
            }
            p.hint {
                "Variables: "
                @for (n, variable) in template.variables.iter().enumerate() {
                    @if n > 0 { ", " }
                    code { (variable.name) } @if !variable.required { " (may be missing)" }
                }
            }
            @if let Some(version) = chosen { (compared(visit, version, &source)) }
            (edit(visit, &template, &source, chosen))
            h2 { "Preview" }
            iframe.preview name=(FRAME) sandbox="" title="The mail with the sample" src={ "/ui/templates/" (kind) "/preview" } {}
            details.card { summary { "Data of the preview" } pre { (indented(&template.sample_json)) } }
            (history(visit, kind, &versions))
            @if template.edited || !template.built_in { (remove(visit, &template)) }
        },
    )
}

async fn versions(visit: &Visit, kind: &str) -> Result<Vec<TemplateVersion>, Fault> {
    let request = visit.request(ListTemplateVersionsRequest {
        r#type: kind.to_owned(),
        page_size: 50,
        page_token: String::new(),
    });
    let templates = visit.services().templates.clone();
    let answer = { templates }.list_template_versions(request).await;
    match answer.map_err(Fault::from) {
        Ok(answer) => Ok(answer.into_inner().versions),
        // The request for the template itself says so.
        Err(fault) if fault.kind == Kind::NotFound => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

/// A version, compared with what is in use.
fn compared(visit: &Visit, version: &TemplateVersion, now: &TemplateSource) -> Markup {
    html! {
        section.card #compared {
            h2.title { "From version " (version.version) " to the one in use" }
            p.facts { span { "saved by " (user(version.author.as_ref())) " " (when(version.time.as_ref(), visit.now)) } }
            @match &version.source {
                None => p { "With this version the built-in templates came back." },
                Some(old) => @for (name, old, now) in parts(old, now) {
                    @if old != now { h3 { (name) } (lines(old, now)) }
                },
            }
            @if version.source.as_ref() == Some(now) { p.empty { "They are the same." } }
            @else if version.source.is_some() { p.hint { "The form below has the texts of version " (version.version) ". Save them to bring it back." } }
        }
    }
}

/// The three templates in two sources, with their names.
fn parts<'a>(
    old: &'a TemplateSource,
    new: &'a TemplateSource,
) -> [(&'static str, &'a str, &'a str); 3] {
    [
        ("Subject", &old.subject, &new.subject),
        ("Plain text", &old.text, &new.text),
        ("HTML", &old.html, &new.html),
    ]
}

fn edit(
    visit: &Visit,
    template: &Template,
    now: &TemplateSource,
    chosen: Option<&TemplateVersion>,
) -> Markup {
    let action = format!("/ui/templates/{}", template.r#type);
    let preview = format!("{action}/preview");
    let source = chosen
        .and_then(|version| version.source.as_ref())
        .unwrap_or(now);
    let value = |name: &str, otherwise| visit.typed(&action, name, otherwise);
    let sample = indented(&template.sample_json);
    let conflict = visit.is_again(&action) && visit.fault().is_some_and(is_conflict);
    let typed = TemplateSource {
        subject: value("subject", "").to_owned(),
        text: value("text", "").to_owned(),
        html: value("html", "").to_owned(),
    };
    html! {
        @if conflict {
            section.card {
                h2.title { "From what you typed to what is in use now" }
                @for (name, typed, now) in parts(&typed, now) { @if typed != now { h3 { (name) } (lines(typed, now)) } }
            }
        }
        (visit.form(&action, "card stack", &html! {
            input type="hidden" name="revision" value=(template.version);
            (input(&Input { label: "Subject", name: "subject", value: value("subject", &source.subject), ..Input::default() }))
            (area("Plain text", "text", value("text", &source.text), 12, true))
            (area("HTML", "html", value("html", &source.html), 16, true))
            @if !template.built_in {
                (area("Sample of the data, as a JSON object with every variable", "sample", value("sample", &sample), 6, true))
            }
            div {
                (button("Save as a new version", "main")) " "
                button type="submit" formaction=(preview) formtarget=(FRAME) { "Preview" }
            }
        }))
    }
}

fn history(visit: &Visit, kind: &str, versions: &[TemplateVersion]) -> Markup {
    html! {
        h2 { "Versions" }
        @if versions.is_empty() { p.empty { "Nobody has changed these templates." } }
        ol.list reversed {
            @for version in versions {
                li.card.line {
                    a href={ "/admin/templates/" (kind) "?version=" (version.version) "#compared" } { "Version " (version.version) }
                    span.facts {
                        @if version.source.is_none() { span { "back to the built-in ones" } " " }
                        span { "by " (user(version.author.as_ref())) " " (when(version.time.as_ref(), visit.now)) }
                    }
                }
            }
        }
    }
}

fn remove(visit: &Visit, template: &Template) -> Markup {
    let (text, button_text) = match template.built_in {
        true => (
            "The versions stay, and any of them can be saved again.",
            "Bring back the built-in templates",
        ),
        false => (
            "No program can announce events of this type any more.",
            "Delete the type",
        ),
    };
    let action = format!("/ui/templates/{}/delete", template.r#type);
    html! {
        details.inline open[visit.is_again(&action)] {
            summary { (button_text) }
            (visit.form(&action, "stack", &html! {
                input type="hidden" name="revision" value=(template.version);
                p.hint { (text) }
                (button(button_text, "danger"))
            }))
        }
    }
}

/// The mail as it would look, for the frame: its HTML is a document of its own within.
pub(crate) fn preview(mail: &PreviewTemplateResponse) -> Markup {
    framed(&html! {
        p { b { "Subject: " } bdi { (mail.subject) } }
        iframe sandbox="" title="HTML of the mail" srcdoc=(mail.html) {}
        h2 { "As plain text" }
        pre { (mail.text) }
    })
}

/// Why there is no preview.
pub(crate) fn no_preview(fault: &Fault) -> Markup {
    framed(&html! {
        p { b { "There is no preview." } }
        p { (told(fault).detail) }
    })
}

/// A document that has nothing of the pages' assets, which its policy forbids.
fn framed(content: &Markup) -> Markup {
    const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:12px;color:#1a1e26;background:#fff;overflow-wrap:anywhere}\
        iframe{width:100%;height:420px;border:1px solid #d9dde4}h2{font-size:16px}pre{white-space:pre-wrap;font-size:13px}";
    html! {
        (maud::DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "Preview" } style { (PreEscaped(STYLE)) } }
            body { (content) }
        }
    }
}
