//! A question, taken apart: the people, releases, tasks and time it names, and the other words.

use super::{
    named,
    phrase::{NAME, OWNS, Words},
    span::{self, When, ahead::Window},
    vocabulary::{AND_ME, COUNTED, MINE, POLITE, is_ordinary},
};
use crate::prompt::{ReleaseFacts, TaskFacts, Work};

/// Words with which a second question begins after "and".
const STARTS: &[&str] = &[
    "what", "whats", "who", "whos", "whose", "how", "hows", "when", "where", "why", "which", "is",
    "are", "am", "do", "does", "did", "has", "have", "can",
];

/// A question, and what of the caller's work it names.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// All words.
    pub(super) words: Words,
    /// The words that are not names or times.
    pub(super) rest: Words,
    pub(super) tasks: Vec<&'a TaskFacts>,
    pub(super) releases: Vec<&'a ReleaseFacts>,
    /// The people other than the caller.
    pub(super) others: Vec<&'a str>,
    /// Whether the caller is named, or added to others: "grace and I".
    pub(super) names_caller: bool,
    /// The time in which something happened.
    pub(super) when: When,
    /// The time in which something is due.
    pub(super) window: Option<Window>,
    /// Whether it names a time of day.
    pub(super) names_hour: bool,
    /// What seems to be the name of a person or a release, and is unknown.
    pub(super) stranger: Option<String>,
}

impl<'a> Question<'a> {
    pub(super) fn of(text: &str, work: &'a Work) -> Self {
        let words = Words::of(text);
        let mut rest = words.without(POLITE);
        let mut tasks = named::tasks(&mut rest, work);
        let mut releases = named::releases(&mut rest, work);
        let mut others = named::people(&mut rest, work);
        let people = others.len();
        others.retain(|name| *name != work.caller.username);
        let names_caller = others.len() < people || (people > 0 && rest.any(AND_ME));
        let mut add = |named: Vec<&'a ReleaseFacts>| {
            for release in named {
                if !releases.iter().any(|known| known.id == release.id) {
                    releases.push(release);
                }
            }
        };
        add(named::by_pair(&mut rest, work));
        let mut list = rest.list();
        let names_hour = span::take_hours(&mut list);
        let (window, ahead) = span::ahead::read(&list, work.now).unzip();
        let (mut when, past) = span::read(&list, work.now);
        if window.is_some() && when == When::Unsaid {
            // It is not in the past.
            when = When::Unclear;
        }
        let ahead = ahead.unwrap_or_default();
        let mut at = 0..;
        list.retain(|_| {
            let is_time = |at: usize| ahead.contains(&at) || past.contains(&at);
            !at.next().is_some_and(is_time)
        });
        rest.keep(&list);
        add(named::by_part(&mut rest, work, named::is_number));
        let number = named::unknown_number(&rest, work);
        if number.is_none() {
            if releases.is_empty() {
                releases = named::by_part(&mut rest, work, |part| part.chars().count() > 2);
            }
            if tasks.is_empty() {
                tasks = named::by_word(&mut rest, work);
            }
        }
        let is_mine = names_caller || rest.any(MINE);
        prefer(&mut tasks, |task| {
            releases.iter().any(|release| release.id == task.release_id)
        });
        prefer(&mut tasks, |task| {
            let name = task.assignee.as_str();
            others.contains(&name) || (is_mine && name == work.caller.username)
        });
        let version = number
            .as_deref()
            .and_then(|number| number.strip_prefix("_ "));
        let stranger = match (version, &releases[..]) {
            // A name that is known, with a version that is not its own.
            (Some(version), [release])
                if !release.version.starts_with(version)
                    && tasks.is_empty()
                    && others.is_empty() =>
            {
                let name = format!("{} {version}", release.name);
                releases.clear();
                Some(name)
            }
            _ if tasks.is_empty() && releases.is_empty() && others.is_empty() => {
                number.or_else(|| named::unknown_name(&rest))
            }
            _ => named::unknown_name(&rest).or(number.filter(|number| !number.starts_with(NAME))),
        };
        Self {
            stranger,
            names_caller,
            words,
            rest,
            tasks,
            releases,
            others,
            when,
            window,
            names_hour,
        }
    }

    /// Whether no task, release or other person is named.
    pub(super) fn names_nothing(&self) -> bool {
        self.tasks.is_empty() && self.releases.is_empty() && self.others.is_empty()
    }

    /// The words that were not read: they are neither ordinary nor names, or name another time.
    pub(super) fn odd_words(&self) -> Vec<String> {
        let stranger = self.stranger.as_deref().unwrap_or_default();
        let words = self.rest.list();
        let is_odd = |at: usize, word: &str| {
            let is_name = matches!(word, NAME | OWNS | "@")
                || stranger.split(' ').any(|part| part.to_lowercase() == word);
            let next = words.get(at + 1).map_or("", String::as_str);
            let is_count = word.parse::<u16>().is_ok() && COUNTED.contains(&next);
            !is_name && !is_count && (!is_ordinary(word) || span::is_time(word))
        };
        let odd = words.iter().enumerate();
        let odd = odd.filter(|(at, word)| is_odd(*at, word));
        odd.map(|(_, word)| word.clone()).collect()
    }

    /// Whether it names a time, and none that was read.
    pub(super) fn is_time_unclear(&self) -> bool {
        self.when == When::Unclear && self.window.is_none()
    }

    /// Whether it is about the caller.
    pub(super) fn is_mine(&self) -> bool {
        self.names_caller || self.rest.any(MINE)
    }

    /// Whether the words that are not names or times contain one of these phrases.
    pub(super) fn says(&self, phrases: &[&str]) -> bool {
        self.rest.any(phrases)
    }
}

/// Keeps only the tasks that match, if there are any.
fn prefer(tasks: &mut Vec<&TaskFacts>, matches: impl Fn(&TaskFacts) -> bool) {
    if tasks.iter().any(|task| matches(task)) {
        tasks.retain(|task| matches(task));
    }
}

/// The questions in a text: "How far is Spring, and what is next for me?" has two.
pub(super) fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let next = words
            .peek()
            .map(|next| next.to_lowercase().replace(['\'', '’'], ""));
        let is_joint = matches!(word.to_lowercase().as_str(), "and" | "also")
            && next.is_some_and(|next| STARTS.contains(&next.as_str()));
        match parts.last_mut() {
            Some(part) if !is_joint => {
                part.push_str(word);
                part.push(' ');
            }
            _ => {}
        }
        if is_joint || word.ends_with('?') {
            parts.push(String::new());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
