//! What a question is about.

use super::{
    question::Question,
    span::When,
    vocabulary::{
        BEHIND_ME, BEYOND, BLOCKED, COMPLETED, DEEDS, DUE, FINISHED, FORECAST, IN_PROCESS, ITSELF,
        MY_DEEDS, MY_SHARE, NEWS, NEXT, NOT, NOT_BLOCKED, PAST, PEOPLE, PROGRESS, PRONOUNS,
        WAITERS,
    },
};

/// The topics that the built-in assistant can answer, and those it can only refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// What is next for me.
    Next,
    /// Which of my tasks can start.
    Startable,
    /// Why can I not start.
    Blocked,
    /// Who waits for me.
    BehindMe,
    /// Whose is a task, and what is its state.
    Task,
    /// What does somebody else do, and what is next for them.
    Other,
    /// What have I done, and what is left.
    Mine,
    /// Which tasks are in process, or stale.
    InProcess,
    /// How far is a release.
    Progress,
    /// Who works on what.
    People,
    /// What changed, since yesterday or at another time.
    Changes,
    /// What is due.
    Due,
    /// Something about a person or a release that is not known.
    Stranger,
    /// Something about a person who is not named.
    Nameless,
    /// A change at a time that is not understood.
    UnclearTime,
    /// When will it be done.
    Forecast,
    /// A request to change something.
    Deed,
    /// Something else.
    Unknown,
}

impl Topic {
    /// Whether the answer is about releases, tasks or people.
    pub(super) fn is_answered(self) -> bool {
        let refused = [
            Self::Stranger,
            Self::Nameless,
            Self::UnclearTime,
            Self::Deed,
            Self::Unknown,
        ];
        !refused.contains(&self)
    }
}

/// The topic of a question. More specific words decide first: "who blocks me" is about what blocks
/// the caller.
pub(super) fn topic(question: &Question<'_>) -> Topic {
    let says = |phrases| question.says(phrases);
    let of_itself = question.others.is_empty() && question.releases.is_empty();
    if (question.words.any(ITSELF) && of_itself) || says(BEYOND) {
        return Topic::Unknown;
    }
    if DEEDS.contains(&question.rest.first()) {
        return Topic::Deed;
    }
    let known = of_known(question);
    let is_strange = question.stranger.is_some() && question.names_nothing();
    if is_strange && (known != Topic::Unknown || question.odd_words().is_empty()) {
        return Topic::Stranger;
    }
    if question.names_nothing() && says(PRONOUNS) && !question.is_mine() {
        return Topic::Nameless;
    }
    known
}

/// The topic, apart from names that are unknown.
fn of_known(question: &Question<'_>) -> Topic {
    let says = |phrases| question.says(phrases);
    let mine = question.is_mine();
    let named_task = !question.tasks.is_empty();
    let named_other = !question.others.is_empty();
    let named_release = !question.releases.is_empty();
    if says(BEHIND_ME) {
        return Topic::BehindMe;
    }
    if says(WAITERS) && !named_task {
        if named_other {
            // Only the caller learns who waits for them.
            return Topic::Unknown;
        }
        if question.names_caller {
            return Topic::BehindMe;
        }
    }
    if says(NOT_BLOCKED) && !named_task && !named_other {
        return match (says(PEOPLE), named_release) {
            (true, _) => Topic::People,
            (false, true) if !mine => Topic::Progress,
            (false, _) => Topic::Startable,
        };
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
    if says(DUE) && !(is_timed && says(FINISHED)) {
        return Topic::Due;
    }
    let past = is_timed && says(PAST);
    if says(FORECAST) && !mine {
        return Topic::Forecast;
    }
    if question.when == When::Unclear && question.window.is_some() {
        return Topic::UnclearTime;
    }
    let to_do = says(NEXT) || says(PEOPLE) || says(PROGRESS) || says(&["will"]);
    if says(NEWS) || past || (is_timed && !to_do) {
        return match question.when {
            // What did not happen is not stored.
            _ if says(NOT) => Topic::Unknown,
            When::Unclear => Topic::UnclearTime,
            When::Unsaid | When::Within(_) => Topic::Changes,
        };
    }
    if named_task {
        return Topic::Task;
    }
    if says(IN_PROCESS) && !says(NOT) {
        return Topic::InProcess;
    }
    if named_other && (question.names_caller || !(mine && says(NEXT))) {
        return Topic::Other;
    }
    if says(PEOPLE) {
        return Topic::People;
    }
    let share = says(PROGRESS) || says(MY_SHARE);
    match (mine, named_release) {
        (true, false) if says(&["releases"]) => Topic::Progress,
        (true, false) if says(MY_SHARE) || (says(MY_DEEDS) && says(COMPLETED)) => Topic::Mine,
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
