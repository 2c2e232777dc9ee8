//! Comments: single, in a flat list, and nested.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_proto::forum::v1;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema, schema::AnyOfBuilder},
};

use super::{
    Id, Malformed, Paging, UserRef,
    proto::{self, required},
};
use crate::extract::parsed;

/// Levels of replies that are nested in one page; deeper replies are listed by a cursor.
const LEVELS: u32 = 50;

/// A comment on a task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comment {
    pub(crate) id: Id,
    task_id: Id,
    /// The comment that it replies to; `null` if it begins a thread.
    #[schema(required)]
    parent_id: Option<Id>,
    /// The comment that began the thread.
    root_id: Id,
    /// Levels below the comment that began the thread.
    depth: u32,
    /// `null` if it is deleted.
    #[schema(required)]
    author: Option<UserRef>,
    /// Exactly as it was posted; Markdown by convention. `null` if it is deleted.
    #[schema(required)]
    content: Option<String>,
    /// A deleted comment stays in its place, without content and author.
    deleted: bool,
    /// Direct replies, deleted ones included.
    reply_count: u64,
    /// Replies at any depth, deleted ones included. 1,000 means 1,000 or more. `null`
    /// where it is not counted: in the list of one comment's replies, and below a page
    /// that leaves out very many.
    #[schema(required)]
    descendant_count: Option<u32>,
    created_at: Timestamp,
    /// `null` if it was never edited.
    #[schema(required)]
    edited_at: Option<Timestamp>,
    /// Grows by one with every edit; replies do not change it.
    pub(crate) revision: u64,
}

impl TryFrom<v1::Comment> for Comment {
    type Error = Malformed;

    fn try_from(comment: v1::Comment) -> Result<Self, Malformed> {
        let parent = Some(comment.parent_id).filter(|parent| !parent.is_empty());
        Ok(Self {
            id: proto::id("comment id", &comment.id)?,
            task_id: proto::id("task_id", &comment.task_id)?,
            parent_id: parent
                .map(|parent| proto::id("parent_id", &parent))
                .transpose()?,
            root_id: proto::id("root_id", &comment.root_id)?,
            depth: comment.depth,
            author: comment.author.map(UserRef::try_from).transpose()?,
            content: (!comment.deleted).then_some(comment.content),
            deleted: comment.deleted,
            reply_count: comment.reply_count,
            descendant_count: comment.descendant_count,
            created_at: proto::time("created_at", comment.created_at)?,
            edited_at: proto::optional_time("edited_at", comment.edited_at)?,
            revision: comment.revision,
        })
    }
}

/// A comment with its replies, in `?view=tree`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommentNode {
    #[serde(flatten)]
    comment: Comment,
    /// Those of its replies that are on this page, in order.
    #[schema(no_recursion)]
    replies: Vec<CommentNode>,
    /// The replies that are left out because they are too deep; otherwise `null`.
    #[schema(required)]
    more_replies: Option<MoreReplies>,
}

/// Replies that are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MoreReplies {
    /// How many direct replies there are.
    count: u64,
    /// Lists them, as `?view=tree&cursor=` of the same address.
    cursor: String,
}

/// An item of a flat list or of a tree: see `?view=`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum CommentItem {
    /// In `?view=flat`.
    Flat(Comment),
    /// In `?view=tree`.
    Node(CommentNode),
}

/// `anyOf` instead of the derived `oneOf`, because a `CommentNode` is also a valid `Comment`.
impl PartialSchema for CommentItem {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new()
            .item(Ref::from_schema_name(Comment::name()))
            .item(Ref::from_schema_name(CommentNode::name()))
            .description(Some(
                "`Comment` in `?view=flat`, `CommentNode` in `?view=tree`.",
            ))
            .into()
    }
}

impl ToSchema for CommentItem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([
            (Comment::name().into(), Comment::schema()),
            (CommentNode::name().into(), CommentNode::schema()),
        ]);
        Comment::schemas(schemas);
        CommentNode::schemas(schemas);
    }
}

/// Nests the comments of a page, which are in reading order: each under its parent, if the parent
/// is on the page too. Uses a stack instead of recursion, because threads may be deep.
pub(crate) fn nest(comments: Vec<v1::Comment>) -> Result<Vec<CommentNode>, Malformed> {
    let mut forest = Vec::new();
    // The path to the last comment.
    let mut path: Vec<CommentNode> = Vec::new();
    for mut comment in comments {
        let cursor = std::mem::take(&mut comment.more_replies_token);
        let more_replies = (!cursor.is_empty()).then_some(MoreReplies {
            count: comment.reply_count,
            cursor,
        });
        let comment = Comment::try_from(comment)?;
        while path
            .last()
            .is_some_and(|last| comment.parent_id != Some(last.comment.id))
        {
            leave(&mut path, &mut forest);
        }
        path.push(CommentNode {
            comment,
            replies: Vec::new(),
            more_replies,
        });
    }
    while !path.is_empty() {
        leave(&mut path, &mut forest);
    }
    Ok(forest)
}

/// Moves the last comment of the path, whose replies are complete, to its parent.
fn leave(path: &mut Vec<CommentNode>, forest: &mut Vec<CommentNode>) {
    if let Some(done) = path.pop() {
        match path.last_mut() {
            Some(parent) => parent.replies.push(done),
            None => forest.push(done),
        }
    }
}

/// The content of a new or edited comment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewComment {
    /// 1 to 10,000 characters, not all blank, without NUL. It is stored unchanged.
    #[schema(min_length = 1, max_length = 10_000)]
    pub(crate) content: String,
}

/// How a discussion is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum View {
    /// In reading order, with `depth` and `parentId`.
    #[default]
    Flat,
    /// Nested: `replies` in each comment, to a depth of 50.
    Tree,
}

impl FromStr for View {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "flat" => Ok(Self::Flat),
            "tree" => Ok(Self::Tree),
            _ => Err("must be flat or tree"),
        }
    }
}

/// The parameters of a discussion.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiscussionQuery {
    /// How it is shown.
    #[serde(default, deserialize_with = "parsed")]
    #[param(inline)]
    view: Option<View>,
}

impl DiscussionQuery {
    /// How the discussion is shown.
    pub(crate) fn view(&self) -> View {
        self.view.unwrap_or_default()
    }

    /// The request for this page of the discussion.
    pub(crate) fn page(&self, task: Id, paging: Paging) -> v1::ListCommentsRequest {
        v1::ListCommentsRequest {
            task_id: task.to_string(),
            page_size: paging.page_size(),
            page_token: paging.page_token(),
            max_levels: match self.view() {
                View::Flat => 0,
                View::Tree => LEVELS,
            },
        }
    }
}

/// The request for a page of one comment's replies.
pub(crate) fn replies_page(comment: Id, paging: Paging) -> v1::ListRepliesRequest {
    v1::ListRepliesRequest {
        comment_id: comment.to_string(),
        page_size: paging.page_size(),
        page_token: paging.page_token(),
    }
}

/// The comment in a service's response; it must be present.
pub(crate) fn answered(comment: Option<v1::Comment>) -> Result<Comment, Malformed> {
    required("comment", comment)?.try_into()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn comment(n: u32, parent: u32, more: &str) -> v1::Comment {
        let id = |n: u32| Uuid::from_u128(n.into()).to_string();
        v1::Comment {
            id: id(n),
            task_id: id(0),
            parent_id: if parent == 0 {
                String::new()
            } else {
                id(parent)
            },
            root_id: id(1),
            created_at: Some(prost_types::Timestamp::default()),
            reply_count: 7,
            more_replies_token: more.into(),
            ..v1::Comment::default()
        }
    }

    /// The forest in brackets.
    fn shape(nodes: &[CommentNode]) -> String {
        let one = |node: &CommentNode| {
            let more = if node.more_replies.is_some() {
                "…"
            } else {
                ""
            };
            format!(
                "{}({}){more}",
                node.comment.id.0.as_u128(),
                shape(&node.replies)
            )
        };
        nodes.iter().map(one).collect()
    }

    #[test]
    fn comments_are_nested_under_their_parents() {
        let page = [
            (1, 0, ""),
            (2, 1, ""),
            (3, 2, "x"),
            (4, 1, ""),
            (5, 0, ""),
            (6, 5, ""),
        ];
        let page = page.map(|(n, parent, more)| comment(n, parent, more));
        assert_eq!(shape(&nest(page.into()).unwrap()), "1(2(3()…)4())5(6())");
    }

    #[test]
    fn a_reply_to_a_comment_of_an_earlier_page_is_at_the_top_level() {
        let page = [(7, 3, ""), (8, 7, ""), (9, 1, ""), (10, 0, "")];
        let page = page.map(|(n, parent, more)| comment(n, parent, more));
        assert_eq!(shape(&nest(page.into()).unwrap()), "7(8())9()10()");
    }
}
