//! What a question is about, by the words in it.

use crate::prompt::{ReleaseFacts, TaskFacts, Work};

/// What the built-in assistant can tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// What is next for me.
    Next,
    /// Why can I not start.
    Blocked,
    /// How far is a release.
    Progress,
    /// Who works on what.
    People,
    /// What changed since yesterday.
    Changes,
    /// Something else.
    Unknown,
}

/// A question in small letters, its words separated by single spaces, nothing else in it.
pub(super) struct Words(String);

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let mut words = String::from(" ");
        for c in text.chars().flat_map(char::to_lowercase) {
            match c {
                // An apostrophe joins: "what's", "can't".
                '\'' | '’' => {}
                // So do the marks within names and numbers: "1.31", "dev-1".
                '.' | '-' | '_' => words.push(c),
                _ if c.is_alphanumeric() => words.push(c),
                _ if words.ends_with(' ') => {}
                _ => words.push(' '),
            }
        }
        let words: Vec<&str> = words
            .split(' ')
            .map(|word| word.trim_matches(['.', '-']))
            .filter(|word| !word.is_empty())
            .collect();
        Self(format!(" {} ", words.join(" ")))
    }

    /// Whether one of these is in it: a word, or several in this order; one that ends
    /// with `*` is the beginning of a word.
    fn any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| match phrase.strip_suffix('*') {
            Some(stem) => self.0.contains(&format!(" {stem}")),
            None => self.0.contains(&format!(" {phrase} ")),
        })
    }

    /// Whether a name is in it, written as people write names.
    pub(super) fn name(&self, name: &str) -> bool {
        let name = Self::of(name).0;
        name.len() > 2 && self.0.contains(&name)
    }
}

const BLOCKED: &[&str] = &[
    "block*",
    "stuck",
    "waiting",
    "wait for",
    "held up",
    "holding",
    "hold up",
    "hold me up",
    "cant start",
    "cannot start",
    "cant i",
    "cannot i",
    "can i not",
    "not start",
    "stopping",
    "stops me",
    "in my way",
    "in the way",
    "prevent*",
    "depend*",
    "out of order",
    "why not",
];
const CHANGES: &[&str] = &[
    "yesterday",
    "changed",
    "changes",
    "happened",
    "news",
    "whats new",
    "what is new",
    "recent*",
    "lately",
    "missed",
    "did i miss",
    "update",
    "updates",
    "latest",
    "so far today",
    "today",
    "overnight",
    "last day",
    "activity",
];
const PEOPLE: &[&str] = &[
    "who",
    "whos",
    "whose",
    "whom",
    "owner*",
    "owns",
    "assigned to",
    "assignee*",
    "everybody",
    "everyone",
    "anybody",
    "anyone",
    "team",
    "colleague*",
    "each person",
];
const PROGRESS: &[&str] = &[
    "progress*",
    "how far",
    "status",
    "how many",
    "how much",
    "percent*",
    "complete",
    "completed",
    "finished",
    "remain*",
    "left",
    "how is",
    "hows",
    "how are",
    "on track",
    "state of",
    "done",
    "ready",
    "where does",
    "where do we",
    "where are we",
    "stand*",
    "nearly",
    "almost",
];
const NEXT: &[&str] = &[
    "next",
    "what now",
    "should i",
    "do i",
    "can i",
    "could i",
    "must i",
    "am i",
    "i do",
    "my task",
    "my tasks",
    "todo*",
    "to do",
    "to-do*",
    "for me",
    "my work",
    "my job",
    "my plate",
    "my turn",
    "work on",
    "working on",
    "start*",
    "begin",
    "pick up",
    "assigned",
    "current*",
    "mine",
];

/// What a question is about. The more telling words decide first: "who blocks me" is
/// about the block.
pub(super) fn topic(words: &Words, work: &Work) -> Topic {
    let mine = words.any(&["for me", "my task", "my tasks", "i", "my plate", "my work"]);
    let named = !named_releases(words, work).is_empty();
    let other = named_people(words, work)
        .iter()
        .any(|name| *name != work.caller.username);
    if words.any(&[
        "who are you",
        "what are you",
        "are you a*",
        "what can you",
        "help",
    ]) {
        Topic::Unknown
    } else if words.any(BLOCKED) {
        Topic::Blocked
    } else if words.any(CHANGES) && !words.any(&["should i", "who", "whos"]) {
        Topic::Changes
    } else if words.any(PEOPLE) || other {
        Topic::People
    } else if words.any(&["next"]) && !named {
        Topic::Next
    } else if words.any(PROGRESS) && (named || !mine) {
        Topic::Progress
    } else if words.any(NEXT) || (mine && words.any(PROGRESS)) {
        Topic::Next
    } else if named {
        Topic::Progress
    } else {
        Topic::Unknown
    }
}

/// The releases that a question names: by their names, or by a name's number ("1.31").
pub(super) fn named_releases<'a>(words: &Words, work: &'a Work) -> Vec<&'a ReleaseFacts> {
    let by_name: Vec<_> = work
        .releases
        .iter()
        .filter(|release| words.name(&release.name))
        .collect();
    if !by_name.is_empty() {
        return by_name;
    }
    let telling = |word: &&str| word.chars().count() > 2;
    let by_part = |release: &&ReleaseFacts| {
        let version = Some(release.version.as_str()).filter(|version| version.contains('.'));
        release
            .name
            .split_whitespace()
            .filter(telling)
            .chain(version)
            .any(|part| words.name(part))
    };
    work.releases.iter().filter(by_part).collect()
}

/// The tasks that a question names by their titles.
pub(super) fn named_tasks<'a>(words: &Words, work: &'a Work) -> Vec<&'a TaskFacts> {
    let tasks = work.releases.iter().flat_map(|release| &release.tasks);
    let named = |task: &&TaskFacts| task.title.chars().count() > 3 && words.name(&task.title);
    tasks.filter(named).collect()
}

/// The people that a question names.
pub(super) fn named_people<'a>(words: &Words, work: &'a Work) -> Vec<&'a str> {
    let tasks = work.releases.iter().flat_map(|release| &release.tasks);
    let mut people: Vec<&str> = tasks
        .map(|task| task.assignee.as_str())
        .filter(|name| words.name(name))
        .collect();
    people.sort_unstable();
    people.dedup();
    people
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::samples;

    #[test]
    fn questions_are_understood_however_they_are_put() {
        let cases: &[(Topic, &[&str])] = &[
            (
                Topic::Next,
                &[
                    "What is next for me?",
                    "what's next",
                    "What should I do now?",
                    "What am I working on?",
                    "Which task can I start?",
                    "my tasks please",
                    "What do I have to do?",
                    "Anything left for me to do?",
                    "What's on my plate?",
                    "What is my current task",
                    "What can I pick up next?",
                ],
            ),
            (
                Topic::Blocked,
                &[
                    "Why is it blocked?",
                    "why can’t I start",
                    "Why can't I start Publish the notes?",
                    "Why can I not start my task?",
                    "Who is blocking me?",
                    "What am I waiting for?",
                    "Who am I waiting for?",
                    "what's stopping me",
                    "What is in my way?",
                    "Which tasks does mine depend on?",
                    "I'm stuck, why?",
                ],
            ),
            (
                Topic::Progress,
                &[
                    "How far is Spring?",
                    "progress of spring",
                    "What's the status of the release?",
                    "How many tasks are left in Spring?",
                    "Is Spring done?",
                    "How is Spring going?",
                    "Spring?",
                    "Are we on track with 2.0",
                    "Where does Spring stand?",
                    "What percentage of Spring is completed?",
                ],
            ),
            (
                Topic::People,
                &[
                    "Who works on what?",
                    "Who's working on Spring?",
                    "What is Grace working on?",
                    "who owns Sign the packages",
                    "Whose task is it?",
                    "Who is assigned to Spring?",
                    "What is everybody doing?",
                    "grace",
                ],
            ),
            (
                Topic::Changes,
                &[
                    "What changed since yesterday?",
                    "What has happened since yesterday",
                    "What's new?",
                    "Any news?",
                    "What did I miss?",
                    "Recent changes in Spring",
                    "give me the latest updates",
                ],
            ),
            (
                Topic::Unknown,
                &[
                    "Who are you?",
                    "What can you do?",
                    "help",
                    "Write me a poem about ships",
                    "Why is the sky blue?",
                    "Translate hello into German",
                ],
            ),
        ];
        let work = samples::work();
        let mut wrong = Vec::new();
        for (expected, questions) in cases {
            for question in *questions {
                let found = topic(&Words::of(question), &work);
                if found != *expected {
                    wrong.push((question, expected, found));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn releases_tasks_and_people_are_found_by_their_names() {
        let mut work = samples::work();
        work.releases[0].name = "Kubernetes 1.31".to_owned();
        let found = |question: &str| named_releases(&Words::of(question), &work).len();
        assert_eq!(found("how far is kubernetes 1.31?"), 1);
        assert_eq!(found("How far is 1.31?"), 1);
        assert_eq!(found("and kubernetes?"), 1);
        assert_eq!(found("how far is it?"), 0);
        let words = Words::of("Who has “sign the packages”, Grace?");
        assert_eq!(named_tasks(&words, &work)[0].title, "Sign the packages");
        assert_eq!(named_people(&words, &work), ["grace"]);
        assert!(named_people(&Words::of("gracefully"), &work).is_empty());
    }
}
