//! Tests of the commands on a comment, and of who may run them.

use super::*;

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn user(name: &str) -> UserRef {
    UserRef {
        id: Uuid::now_v7(),
        username: name.into(),
    }
}

fn content(text: &str) -> Content {
    Content::new(text.into()).unwrap()
}

fn comment(author: &UserRef) -> Comment {
    Comment::begin(TaskId::generate(), author.clone(), content("hello"), now())
}

#[test]
fn a_reply_belongs_to_its_thread() {
    let (ada, bob) = (user("ada"), user("bob"));
    let root = comment(&ada);
    let reply = root.reply(bob.clone(), content("hi"), now()).unwrap();
    let below = reply.reply(ada, content("so?"), now()).unwrap();
    assert_eq!((root.parent, root.root, root.depth), (None, root.id, 0));
    assert_eq!(
        (reply.parent, reply.root, reply.depth),
        (Some(root.id), root.id, 1)
    );
    assert_eq!(
        (below.parent, below.root, below.depth),
        (Some(reply.id), root.id, 2)
    );
    assert_eq!((reply.task, &reply.author), (root.task, &bob));
}

#[test]
fn only_its_author_edits_a_comment() {
    let (ada, bob) = (user("ada"), user("bob"));
    let before = comment(&ada);
    let edit = |by: &UserRef| before.edit(by.id, None, content("better"), now());
    assert_eq!(edit(&bob), Err(Refusal::NotAuthor));
    let after = edit(&ada).unwrap().unwrap();
    assert_eq!(after.body, Body::Content(content("better")));
    assert_eq!(
        (after.revision, after.edited_at),
        (Revision(2), Some(now()))
    );
    let again = after.edit(ada.id, None, content("better"), now());
    assert_eq!(again, Ok(None), "it has that content");
}

#[test]
fn an_edit_applies_only_to_the_revision_it_names() {
    let ada = user("ada");
    let first = comment(&ada);
    let edit = |of: &Comment, on| of.edit(ada.id, Some(on), content("again"), now());
    let second = edit(&first, Revision(1)).unwrap().unwrap();
    let revision = Revision(2);
    assert_eq!(
        edit(&second, Revision(1)),
        Err(Refusal::Changed { revision })
    );
    assert!(edit(&second, revision).is_ok());
}

#[test]
fn an_author_or_an_admin_deletes_a_comment() {
    let (ada, bob) = (user("ada"), user("bob"));
    let before = comment(&ada);
    let delete = |by: &UserRef, role| before.delete(by.id, role, None, now());
    assert_eq!(delete(&bob, Role::Developer), Err(Refusal::NotAuthor));
    for (by, role) in [(&ada, Role::Developer), (&bob, Role::Admin)] {
        let after = delete(by, role).unwrap().unwrap();
        assert!(after.is_deleted());
        assert_eq!(after.revision, Revision(2));
    }
}

#[test]
fn a_deletion_applies_only_to_the_revision_it_names() {
    let ada = user("ada");
    let first = comment(&ada);
    let delete = |on| first.delete(ada.id, Role::Developer, Some(on), now());
    let revision = Revision(1);
    assert_eq!(delete(Revision(2)), Err(Refusal::Changed { revision }));
    assert!(delete(revision).unwrap().is_some());
}

#[test]
fn a_deleted_comment_is_not_edited_replied_to_or_deleted_again() {
    let ada = user("ada");
    let before = comment(&ada);
    let deleted = before
        .delete(ada.id, Role::Developer, None, now())
        .unwrap()
        .unwrap();
    let refused = Refusal::Deleted(deleted.id);
    assert_eq!(
        deleted.edit(ada.id, None, content("x"), now()),
        Err(refused.clone())
    );
    assert_eq!(
        deleted.reply(ada.clone(), content("x"), now()),
        Err(refused)
    );
    for on in [None, Some(Revision(1))] {
        assert_eq!(deleted.delete(ada.id, Role::Developer, on, now()), Ok(None));
    }
}
