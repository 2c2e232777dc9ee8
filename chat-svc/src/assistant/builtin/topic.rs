//! What a question is about, by the words in it.

use super::{
    question::Question,
    span::When,
    vocabulary::{
        BEHIND_ME, BLOCKED, DEEDS, DUE, FORECAST, FUTURE, ITSELF, MY_SHARE, NEWS, NEXT, PAST,
        PEOPLE, PRIVATE, PROGRESS, PRONOUNS,
    },
};

/// What the built-in assistant can tell of, and what it can only say that it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// What is next for me.
    Next,
    /// Why can I not start.
    Blocked,
    /// Who waits for me.
    BehindMe,
    /// Where is a task.
    Task,
    /// What does somebody else do, and what is next for them.
    Other,
    /// What have I done, and what is left.
    Mine,
    /// How far is a release.
    Progress,
    /// Who works on what.
    People,
    /// What changed, since yesterday or at another time.
    Changes,
    /// Until when is what to be done.
    Due,
    /// Something about a person or a release that is not known.
    Stranger,
    /// Something about a person who is not named.
    Nameless,
    /// A change at a time that is not understood.
    UnclearTime,
    /// When will it be done.
    Forecast,
    /// A wish that something be done.
    Deed,
    /// Something else.
    Unknown,
}

/// What a question is about. The more telling words decide first: "who blocks me" is
/// about the block.
pub(super) fn topic(question: &Question<'_>) -> Topic {
    let says = |phrases| question.says(phrases);
    let of_itself = question.others.is_empty() && question.releases.is_empty();
    if (question.words.any(ITSELF) && of_itself) || says(PRIVATE) {
        return Topic::Unknown;
    }
    if DEEDS.contains(&question.rest.first()) {
        return Topic::Deed;
    }
    let known = of_known(question);
    let names_nothing =
        question.tasks.is_empty() && question.releases.is_empty() && question.others.is_empty();
    if question.stranger.is_some() && (known != Topic::Unknown || question.is_plain()) {
        return Topic::Stranger;
    }
    if names_nothing && says(PRONOUNS) && !question.is_mine() {
        return Topic::Nameless;
    }
    known
}

/// The same, as far as it is about what is known.
fn of_known(question: &Question<'_>) -> Topic {
    let says = |phrases| question.says(phrases);
    let mine = question.is_mine();
    let named_task = !question.tasks.is_empty();
    let named_other = !question.others.is_empty();
    let named_release = !question.releases.is_empty();
    if says(BEHIND_ME) {
        return Topic::BehindMe;
    }
    if says(BLOCKED) {
        return match () {
            () if named_task || mine => Topic::Blocked,
            () if named_other => Topic::Other,
            () if named_release => Topic::Progress,
            () if says(PEOPLE) || says(&["tasks", "anything"]) => Topic::People,
            () => Topic::Blocked,
        };
    }
    let is_timed = question.when != When::Unsaid;
    let past = is_timed && says(PAST);
    if says(DUE) && !past {
        return Topic::Due;
    }
    if says(FORECAST) && !mine {
        return Topic::Forecast;
    }
    if says(FUTURE) {
        return Topic::UnclearTime;
    }
    let to_do = says(NEXT) || says(PEOPLE) || says(PROGRESS) || says(&["will"]);
    if says(NEWS) || past || (is_timed && !to_do) {
        return match question.when {
            When::Unclear => Topic::UnclearTime,
            When::Unsaid | When::Within(_) => Topic::Changes,
        };
    }
    if named_task {
        return Topic::Task;
    }
    if named_other && !(mine && says(NEXT)) {
        return Topic::Other;
    }
    if says(PEOPLE) {
        return Topic::People;
    }
    let share = says(PROGRESS) || says(MY_SHARE);
    match (mine, named_release) {
        (true, false) if says(&["releases"]) => Topic::Progress,
        (true, false) if says(MY_SHARE) => Topic::Mine,
        (true, _) if says(NEXT) || share => Topic::Next,
        (false, true) => Topic::Progress,
        (false, false) if says(&["next"]) => Topic::Next,
        (false, false) if says(PROGRESS) => Topic::Progress,
        (false, false) if says(NEXT) => Topic::Next,
        (true, true) => Topic::Progress,
        _ => Topic::Unknown,
    }
}

#[cfg(test)]
mod tests;
