//! The words that tell what a question is about, and those that are not names.

use std::{collections::HashSet, sync::LazyLock};

use super::span::{DAYS, UNCLEAR};

/// What blocks something.
pub(super) const BLOCKED: &[&str] = &[
    "block*",
    "stuck",
    "waiting",
    "wait for",
    "wait",
    "waits",
    "held up",
    "holdup*",
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
/// Who waits for the caller.
pub(super) const BEHIND_ME: &[&str] = &[
    "waiting for me",
    "waiting on me",
    "waits for me",
    "waits on me",
    "wait for me",
    "wait on me",
    "depends on me",
    "depend on me",
    "depending on me",
    "blocked by me",
    "blocked on me",
    "am i blocking",
    "im blocking",
    "do i block",
    "i blocking",
    "do i hold up",
    "am i holding up",
];
/// Who waits for somebody.
pub(super) const WAITERS: &[&str] = &[
    "who waits for",
    "who waits on",
    "who is waiting for",
    "who is waiting on",
    "whos waiting for",
    "whos waiting on",
];
/// Changes.
pub(super) const NEWS: &[&str] = &[
    "changed",
    "changes",
    "happened",
    "happening",
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
    "activity",
    "history",
];
/// The past, if a time is named.
pub(super) const PAST: &[&str] = &[
    "did",
    "was",
    "were",
    "have we",
    "have i",
    "have they",
    "ive",
    "weve",
    "been",
    "got",
    "completed",
    "finished",
    "started",
    "added",
    "planned",
    "created",
    "closed",
    "shipped",
    "achieved",
];
/// People and their tasks.
pub(super) const PEOPLE: &[&str] = &[
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
    "somebody",
    "someone",
    "nobody",
    "team",
    "colleague*",
    "people",
    "developers",
    "devs",
    "each person",
    "others",
    "they",
    "them",
];
/// Progress.
pub(super) const PROGRESS: &[&str] = &[
    "progress*",
    "how far",
    "status",
    "how many",
    "how much",
    "percent*",
    "complete",
    "completed",
    "finish",
    "finished",
    "remain*",
    "left",
    "how is",
    "hows",
    "how are",
    "how does",
    "on track",
    "state of",
    "done",
    "ready",
    "where does",
    "where do we",
    "where are we",
    "where is",
    "stand*",
    "nearly",
    "almost",
    "open",
    "releases",
    "summary",
    "overview",
    "when will",
    "eta",
];
/// Tasks to do.
pub(super) const NEXT: &[&str] = &[
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
/// Due dates.
pub(super) const DUE: &[&str] = &["due", "overdue", "deadline*", "late", "delayed"];
/// Due dates that have passed.
pub(super) const OVERDUE: &[&str] = &["overdue", "late", "delayed"];
/// Completed tasks or releases.
pub(super) const FINISHED: &[&str] = &["completed", "finished", "done", "closed", "shipped"];
/// Tasks that somebody is working on.
pub(super) const IN_PROCESS: &[&str] = &[
    "in process",
    "in_process",
    "in-process",
    "in progress",
    "in-progress",
    "ongoing",
    "underway",
    "under way",
    "being worked on",
    "stale",
    "staled",
];
/// Tasks that somebody has been working on for long.
pub(super) const STALE: &[&str] = &["stale", "staled"];
/// Releases that a hotfix reopened.
pub(super) const REOPENED: &[&str] = &["reopened", "re-opened", "hotfix", "hotfixes"];
/// What was planned.
pub(super) const PLANNED: &[&str] = &[
    "plan",
    "plans",
    "planned",
    "planning",
    "add",
    "added",
    "adds",
    "create",
    "created",
    "creates",
    "reopened",
    "re-opened",
    "hotfix",
    "hotfixes",
];
/// What was started.
pub(super) const STARTED: &[&str] = &["start*", "begin", "began", "begun"];
/// What was completed.
pub(super) const COMPLETED: &[&str] = &[
    "complet*",
    "finish*",
    "done",
    "ship",
    "shipped",
    "ships",
    "close",
    "closed",
    "closes",
    "achieved",
    "accomplished",
];
/// What is counted: "my next 3 tasks".
pub(super) const COUNTED: &[&str] = &["task", "tasks", "releases", "people", "steps", "things"];
/// Negations.
pub(super) const NOT: &[&str] = &[
    "not",
    "never",
    "isnt",
    "arent",
    "havent",
    "hasnt",
    "werent",
    "wasnt",
    "didnt",
    "unfinished",
];
/// Tasks that can start.
pub(super) const NOT_BLOCKED: &[&str] = &[
    "not blocked",
    "isnt blocked",
    "arent blocked",
    "unblocked",
    "not stuck",
    "not waiting",
];
/// The caller together with others, whose names were replaced.
pub(super) const AND_ME: &[&str] = &["_ and i", "_ and me", "_ and myself", "me and _", "i and _"];
/// The caller.
pub(super) const MINE: &[&str] = &["i", "im", "ive", "me", "my", "mine", "myself", "am"];
/// What the caller did.
pub(super) const MY_DEEDS: &[&str] = &["did i", "have i", "ive", "i did", "i have"];
/// How many tasks the caller has, or has completed.
pub(super) const MY_SHARE: &[&str] = &["how many", "how much", "completed", "finished", "have i"];
/// One person who is not named.
pub(super) const PRONOUNS: &[&str] = &["he", "hes", "she", "shes", "him", "her", "his", "hers"];
/// The assistant itself.
pub(super) const ITSELF: &[&str] = &[
    "who are you",
    "what are you",
    "are you a*",
    "what can you",
    "what do you",
    "can you do",
    "help",
];
/// How long something will take.
pub(super) const FORECAST: &[&str] = &[
    "when will",
    "when are we",
    "how long",
    "eta",
    "estimate*",
    "forecast*",
    "when is it",
    "when can we",
    "when do we",
];
/// What the assistant does not know, or does not tell.
pub(super) const BEYOND: &[&str] = &[
    "password*",
    "email*",
    "e-mail*",
    "address*",
    "phone*",
    "mail",
    "mails",
    "comment*",
    "discuss*",
    "notification*",
    "description*",
    "who created",
    "who planned",
    "who added",
    "who assigned",
    "who reopened",
    "most",
    "fewest",
    "fastest",
    "slowest",
    "best",
    "worst",
    "busiest",
    "average",
    "compare*",
    "idle",
    "who is free",
    "who has nothing",
    "who has no",
    "without tasks",
    "without a task",
];
/// The first words of a request to change something.
pub(super) const DEEDS: &[&str] = &[
    "start", "begin", "complete", "finish", "close", "create", "add", "assign", "reassign",
    "delete", "remove", "move", "rename", "set", "mark", "cancel", "reopen", "unblock", "remind",
    "notify",
];
/// Polite phrases, which are ignored.
pub(super) const POLITE: &[&str] = &[
    "could you",
    "can you",
    "would you",
    "will you",
    "please",
    "pls",
    "tell me",
    "show me",
    "give me",
    "let me know",
    "explain to me",
    "remind me",
    "i wonder if",
    "i wonder",
    "i want to know",
    "i would like to know",
    "id like to know",
    "do you know",
    "i need to know",
    "help me understand",
    "hey",
    "hi",
    "hello",
    "good morning",
    "good afternoon",
    "good evening",
    "thank you",
    "thanks",
];
/// Words before a name.
pub(super) const BEFORE_NAMES: &[&str] = &[
    "is", "are", "was", "were", "does", "did", "has", "had", "can", "could", "will", "would",
    "should", "must", "of", "in", "on", "for", "with", "by", "about", "from", "than", "release",
    "version", "called", "named", "and", "hows", "whos", "wheres", "whats",
];
/// Words between those and a name.
pub(super) const ARTICLES: &[&str] = &["the", "a", "an", "our", "your", "their", "any"];

/// Words that are not names, besides those above.
const ORDINARY: &str = "\
    able active actually add after afterwards again against ago ahead all allowed \
    alone already also amount and another anything around as ask assign at available bad be \
    because been before beginning behind being between big blocker blockers both bottleneck \
    bottom bug bugs busy but by change close closed count create currently date dates day days \
    delay deliver delivered dependency detail details developer do does doing down during each \
    either else end evening every everything exactly far fast few fine first folks free front \
    general get gets getting give go goes going good guys happen happens have having he here \
    holdup hotfix hotfixes hour hours how idle if inactive into issue issues it item items its \
    itself job jobs just know last left less lets like list long look looks many me mean member \
    members minute minutes moment month months more morning most move moved moving much need \
    needs neither new next no none not nothing now number numbers off ok okay old one only or \
    order other out over overview part pending person persons plan planning plans possible \
    problem problems project projects quarter question ready really reason release releases \
    report responsible rest result results right same say says schedule second see she ship \
    shipping short since slipway slow small so some something soon sprint step steps still stuff \
    such summary supposed sure take takes task tasks tell that themselves then there theres \
    these theyre theyve thing things think this those though three through till time times to \
    today together tomorrow tonight too took top total two under until up us user users version \
    versions very want wants way we week weeks well were weve what when where whether which \
    whole why with without work worked working works wrong year years yes yesterday yet you \
    yourself";

/// Words, and beginnings of words.
type Known = (HashSet<&'static str>, Vec<&'static str>);

/// The words that tell what a question is about, and those that stand before names.
static TELLING: LazyLock<Known> = LazyLock::new(|| {
    let phrases = [
        BLOCKED,
        BEHIND_ME,
        NOT_BLOCKED,
        NEWS,
        PAST,
        PEOPLE,
        PROGRESS,
        NEXT,
        DUE,
        IN_PROCESS,
        REOPENED,
        PLANNED,
        STARTED,
        COMPLETED,
        FINISHED,
        NOT,
        MINE,
        MY_DEEDS,
        MY_SHARE,
        PRONOUNS,
        FORECAST,
        BEFORE_NAMES,
        ARTICLES,
        DEEDS,
        POLITE,
        UNCLEAR,
        DAYS,
    ];
    let parts = phrases
        .into_iter()
        .flatten()
        .flat_map(|phrase| phrase.split(' '));
    let (stems, words): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.ends_with('*'));
    let stems = stems.into_iter().map(|stem| stem.trim_end_matches('*'));
    (words.into_iter().collect(), stems.collect())
});

/// [`ORDINARY`], word by word.
static OTHERS: LazyLock<HashSet<&str>> = LazyLock::new(|| ORDINARY.split(' ').collect());

/// Whether a word belongs to a phrase that tells what a question is about.
pub(super) fn tells_topic(word: &str) -> bool {
    let (words, stems) = &*TELLING;
    words.contains(word) || stems.iter().any(|stem| word.starts_with(stem))
}

/// Whether a word alone is not a name.
pub(super) fn is_ordinary(word: &str) -> bool {
    tells_topic(word) || OTHERS.contains(word)
}
