//! The discussion of a task: threads of comments, each with its replies below it.

use maud::{Markup, html};
use slipway_proto::forum::v1::{Comment, ListCommentsRequest, ListCommentsResponse};
use slipway_rpc::error::Fault;

use crate::{
    markdown,
    parts::{area, button, more, user},
    times::when,
    visit::Visit,
};

/// Comments on a page.
const PAGE: i32 = 100;

/// Levels of replies on a page. Browsers limit how deep elements are nested.
const LEVELS: u32 = 24;

/// A page of the discussion.
pub(super) async fn first(visit: &Visit, task: &str) -> Result<ListCommentsResponse, Fault> {
    let request = visit.request(ListCommentsRequest {
        task_id: task.to_owned(),
        page_size: PAGE,
        page_token: visit.query.get("cursor").to_owned(),
        max_levels: LEVELS,
    });
    let answer = visit
        .services()
        .forum
        .clone()
        .list_comments(request)
        .await?;
    Ok(answer.into_inner())
}

/// A comment with the replies to it that are on the page.
struct Node<'a> {
    comment: &'a Comment,
    replies: Vec<Node<'a>>,
}

/// Nests comments in reading order. A comment whose parent is not on the page is at the top.
fn nest(comments: &[Comment]) -> Vec<Node<'_>> {
    let mut rest = comments.iter().peekable();
    let mut top = Vec::new();
    while let Some(comment) = rest.next() {
        top.push(node(comment, &mut rest));
    }
    top
}

fn node<'a>(
    comment: &'a Comment,
    rest: &mut std::iter::Peekable<std::slice::Iter<'a, Comment>>,
) -> Node<'a> {
    let mut replies = Vec::new();
    while let Some(reply) = rest.next_if(|next| next.parent_id == comment.id) {
        replies.push(node(reply, rest));
    }
    Node { comment, replies }
}

/// The discussion, and the form for a new comment.
pub(super) fn section(visit: &Visit, task: &str, page: &ListCommentsResponse) -> Markup {
    let action = format!("/ui/tasks/{task}/comments");
    let is_part = !visit.query.get("cursor").is_empty();
    html! {
        section #discussion {
            h2 { "Discussion" }
            @if is_part { p { a href={ "/tasks/" (task) "/comments" } { "From the beginning" } } }
            div #thread data-live="" {
                @if page.comments.is_empty() { p.empty { "Nobody has said anything yet." } }
                @for node in nest(&page.comments) { (shown(visit, task, &node)) }
                (more(visit, &page.next_page_token, "More comments"))
            }
            (visit.form(&action, "card stack", &html! {
                (visit.once(&action))
                (area("Comment. @name tells somebody.", "content", visit.typed(&action, "content", ""), 3, true))
                (button("Post", "main"))
            }))
        }
    }
}

fn shown(visit: &Visit, task: &str, node: &Node<'_>) -> Markup {
    let comment = node.comment;
    let below = comment.descendant_count.unwrap_or_default();
    html! {
        article.comment #{ "comment-" (comment.id) } {
            details open {
                summary {
                    @if comment.deleted { span.person { "Deleted" } }
                    @else { (user(comment.author.as_ref())) }
                    " " (when(comment.created_at.as_ref(), visit.now))
                    @if comment.edited_at.is_some() { " · edited" }
                    @if below > 0 { span.count { " · " (replies(below)) } }
                }
                @if comment.deleted {
                    p.empty { "This comment was deleted." }
                } @else {
                    div.prose { (markdown::comment(&comment.content)) }
                    div.acts { (acts(visit, comment)) }
                }
                @if !node.replies.is_empty() {
                    div.replies { @for reply in &node.replies { (shown(visit, task, reply)) } }
                }
                @if !comment.more_replies_token.is_empty() {
                    p.more {
                        @let query = visit.query.with("cursor", &comment.more_replies_token);
                        a href={ "/tasks/" (task) "/comments" (query) } { "Continue this thread" }
                    }
                }
            }
        }
    }
}

fn acts(visit: &Visit, comment: &Comment) -> Markup {
    let action = |verb: &str| format!("/ui/comments/{}/{verb}", comment.id);
    let (reply, edit, delete) = (action("reply"), action("edit"), action("delete"));
    let is_own = comment
        .author
        .as_ref()
        .is_some_and(|author| visit.is_user(&author.id));
    html! {
        details.inline open[visit.is_again(&reply)] {
            summary { "Reply" }
            (visit.form(&reply, "stack", &html! {
                (visit.once(&reply))
                (area("Reply", "content", visit.typed(&reply, "content", ""), 3, true))
                (button("Reply", "main"))
            }))
        }
        @if is_own {
            details.inline open[visit.is_again(&edit)] {
                summary { "Edit" }
                (visit.form(&edit, "stack", &html! {
                    input type="hidden" name="revision" value=(comment.revision);
                    (area("Text", "content", visit.typed(&edit, "content", &comment.content), 4, true))
                    (button("Save", "main"))
                }))
            }
        }
        @if is_own || visit.is_admin() {
            details.inline open[visit.is_again(&delete)] {
                summary { "Delete" }
                (visit.form(&delete, "stack", &html! {
                    input type="hidden" name="revision" value=(comment.revision);
                    p.hint { "Its text and author are removed from the discussion. The replies stay, and so does what the activity feed told of it." }
                    (button("Delete the comment", "danger"))
                }))
            }
        }
    }
}

/// A number of replies in words. The service counts up to a thousand.
fn replies(count: u32) -> String {
    match count {
        1 => "1 reply".to_owned(),
        2..1000 => format!("{count} replies"),
        _ => "1,000 replies or more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: &str, parent: &str) -> Comment {
        Comment {
            id: id.into(),
            parent_id: parent.into(),
            ..Comment::default()
        }
    }

    fn written(nodes: &[Node<'_>]) -> String {
        let nodes = nodes.iter().map(|node| {
            let replies = written(&node.replies);
            match replies.is_empty() {
                true => node.comment.id.clone(),
                false => format!("{}({replies})", node.comment.id),
            }
        });
        nodes.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn replies_are_below_what_they_reply_to() {
        let comments = [("a", ""), ("b", "a"), ("c", "b"), ("d", "a"), ("e", "")];
        let comments = comments.map(|(id, parent)| comment(id, parent));
        assert_eq!(written(&nest(&comments)), "a(b(c) d) e");
    }

    #[test]
    fn a_page_may_begin_in_the_middle_of_a_thread() {
        let comments = [("c", "b"), ("d", "c"), ("e", "a"), ("f", "")];
        let comments = comments.map(|(id, parent)| comment(id, parent));
        assert_eq!(written(&nest(&comments)), "c(d) e f");
    }
}
