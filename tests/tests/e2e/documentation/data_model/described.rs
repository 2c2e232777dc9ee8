//! What the declarations of the collections do not say: what a document is, its most important
//! fields, the keys of its indexes, how long it is kept, and what it refers to.

use self::Mark::{Id, None, Unique};
use self::Type::{Flag, Number, Text, Time, Uuid, Variant};

/// A collection.
pub(super) struct Described {
    /// Its service and its name.
    pub(super) of: (&'static str, &'static str),
    /// What one document is, as a sentence.
    pub(super) what: &'static str,
    /// How long a document is kept.
    pub(super) kept: &'static str,
    /// Its most important fields: the path in the document, the type, and what it is the key of.
    pub(super) fields: &'static [(&'static str, Type, Mark)],
    /// The keys of its indexes. In a list, documents with the same key are in an order.
    pub(super) keys: &'static [(&'static str, &'static str)],
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// A UUID, as text.
    Uuid,
    /// A time in RFC 3339.
    Time,
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// The name of a case, or an object with the name and its fields.
    Variant,
}

/// What a field is the key of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    None,
    /// The document: its id, or a part of it.
    Id,
    /// This unique index.
    Unique(&'static str),
}

/// A field with the value that a field of another collection has.
pub(super) struct Reference {
    /// The service and the collection of the field.
    pub(super) from: (&'static str, &'static str),
    /// Its path.
    pub(super) field: &'static str,
    /// The other collection.
    pub(super) to: (&'static str, &'static str),
    /// The other field.
    pub(super) of: &'static str,
}

const RELEASE: &str = "release-svc";
const FORUM: &str = "forum-svc";
const CHAT: &str = "chat-svc";
const NOTIFY: &str = "notify-svc";

const ACCOUNTS: (&str, &str) = (RELEASE, "accounts");
const SIGN_INS: (&str, &str) = (RELEASE, "sessions");
const RELEASES: (&str, &str) = (RELEASE, "releases");
const COMMENTS: (&str, &str) = (FORUM, "comments");
const SESSIONS: (&str, &str) = (CHAT, "sessions");
const TURNS: (&str, &str) = (CHAT, "turns");
const TEMPLATES: (&str, &str) = (NOTIFY, "templates");
const VERSIONS: (&str, &str) = (NOTIFY, "template_versions");
const ACCEPTED: (&str, &str) = (NOTIFY, "accepted");
const DEAD_LETTERS: (&str, &str) = (NOTIFY, "dead_letters");
const RECIPIENTS: (&str, &str) = (NOTIFY, "recipients");
const NOTIFICATIONS: (&str, &str) = (NOTIFY, "notifications");
const ACTIVITY: (&str, &str) = (NOTIFY, "activity");
const ANSWERS: (&str, &str) = (NOTIFY, "answers");
const AUDIT: (&str, &str) = (NOTIFY, "audit");

/// Every collection.
pub(super) const COLLECTIONS: &[Described] = &[
    Described {
        of: RELEASES,
        what: "A release with its tasks.",
        kept: "without a limit. A deleted one loses its tasks at once, and is removed when its \
               receipts have expired (24 hours) and its events are published.",
        fields: &[
            ("id", Uuid, Id),
            ("revision", Number, None),
            ("name", Text, None),
            ("state", Variant, None),
            ("createdBy.id", Uuid, None),
            ("createdAt", Time, None),
            ("tasks[].id", Uuid, None),
            ("tasks[].title", Text, None),
            ("tasks[].assignee.id", Uuid, Unique("active_developers")),
            ("tasks[].orderIndex", Number, None),
            ("tasks[].state", Variant, None),
            ("tasks[].dueAt", Time, None),
        ],
        keys: &[
            ("active_developers", "the owner of each task in process"),
            ("by_task", "each task"),
            ("by_state", "empty, and the state; in the order of planning"),
            ("by_deletion", "empty; deleted releases by time"),
            (
                "assigned",
                "each owner of a task, alone and with a state of their tasks",
            ),
            (
                "work",
                "each owner: their tasks, each after the one before it",
            ),
            (
                "due",
                "empty; by the time when something is due: a reminder, the report of a stale task",
            ),
        ],
    },
    Described {
        of: ACCOUNTS,
        what: "An account.",
        kept: "without a limit.",
        fields: &[
            ("user.id", Uuid, Id),
            ("user.username", Text, Unique("username")),
            ("user.email", Text, Unique("email")),
            ("user.role", Text, None),
            ("user.createdAt", Time, None),
            ("user.state", Text, None),
            ("user.invited", Flag, None),
            ("user.displayName", Text, None),
            ("revision", Number, None),
            ("passwordHash", Text, None),
            ("provider.issuer", Text, Unique("provider")),
            ("provider.subject", Text, Unique("provider")),
            ("endedSessions.before", Time, None),
            ("links[].id", Uuid, None),
            ("links[].purpose", Text, None),
            ("links[].expiresAt", Time, None),
            ("links[].email", Text, None),
            ("links[].digests[]", Text, None),
        ],
        keys: &[
            ("username", "the username in lower case"),
            ("email", "the email address in lower case"),
            (
                "provider",
                "the issuer and the subject of the identity provider, if the account has one",
            ),
            (
                "by_name",
                "empty, or `disabled` for disabled accounts; by username",
            ),
            ("admins", "empty; administrators who can sign in"),
        ],
    },
    Described {
        of: (RELEASE, "admin_guard"),
        what: "Names an administrator who can sign in, so that the last one stays. There is one \
               document.",
        kept: "without a limit.",
        fields: &[("user", Uuid, None), ("revision", Number, None)],
        keys: &[],
    },
    Described {
        of: (RELEASE, "login_failures"),
        what: "The times of the latest failed sign-ins of an account's name, or from a network address.",
        kept: "15 minutes after the last failure.",
        fields: &[("subject", Text, Id), ("times[]", Time, None)],
        keys: &[("by_oldest", "empty; by the oldest time")],
    },
    Described {
        of: (RELEASE, "registrations"),
        what: "How many accounts were registered, or links in mails asked for, from a network address or for an account in an hour.",
        kept: "until the hour is over.",
        fields: &[
            ("subject", Text, Id),
            ("hour", Number, Id),
            ("count", Number, None),
        ],
        keys: &[("by_hour", "empty; by hour")],
    },
    Described {
        of: (RELEASE, "provider_sign_ins"),
        what: "A sign-in with the identity provider that has begun. It has digests only.",
        kept: "until the browser comes back, and at most for 10 minutes.",
        fields: &[
            ("id", Text, Id),
            ("browser", Text, None),
            ("next", Text, None),
            ("expiresAt", Time, None),
        ],
        keys: &[("by_expiry", "empty; by the time when it expires")],
    },
    Described {
        of: SIGN_INS,
        what: "What a sign-in begins, or a token for programs. Secrets are stored as digests only.",
        kept: "a day after it has ended or expired, or for `SLIPWAY_TOKEN_TTL` if that is longer.",
        fields: &[
            ("id", Uuid, Id),
            ("revision", Number, None),
            ("user", Uuid, None),
            ("kind", Text, None),
            ("place.userAgent", Text, None),
            ("createdAt", Time, None),
            ("lastSeenAt", Time, None),
            ("expiresAt", Time, None),
            ("generation", Number, None),
            ("program.name", Text, None),
            ("program.scope", Text, None),
            ("program.slot", Number, None),
            ("program.lastUsedAt", Time, None),
        ],
        keys: &[
            (
                "live",
                "the user, while a sign-in has not ended; in the order of sign-ins",
            ),
            (
                "tokens",
                "the user, while a token for programs is not revoked; in the order of creation",
            ),
            (
                "token_name",
                "the user with the token's name in lower case, while it is not revoked",
            ),
            (
                "token_slot",
                "the user with the token's slot, while it is not revoked",
            ),
            (
                "by_end",
                "`ended`, by that time; or `open`, by the time when it expires",
            ),
        ],
    },
    Described {
        of: COMMENTS,
        what: "A comment. Or a fence: the id of a reply that was given up, so that it cannot be stored later.",
        kept: "without a limit; a deleted comment keeps its place without content and author. \
               Fences: a day.",
        fields: &[
            ("Comment.comment.id", Uuid, Id),
            ("Comment.comment.task", Uuid, None),
            ("Comment.comment.parent", Uuid, None),
            ("Comment.comment.author.id", Uuid, None),
            ("Comment.comment.body.Content", Text, None),
            ("Comment.comment.created_at", Time, None),
            ("Comment.position.block", Text, None),
            ("Comment.position.key", Text, None),
            ("Comment.version", Number, None),
        ],
        keys: &[
            ("in_order", "the block of the discussion; in reading order"),
            (
                "by_parent",
                "the comment replied to; in the order of the replies",
            ),
            (
                "begun",
                "empty; comments with replies that were begun, by the time of the oldest",
            ),
            (
                "fences",
                "empty; fences, by the time when the reply was begun",
            ),
        ],
    },
    Described {
        of: SESSIONS,
        what: "A conversation with the assistant, with its newest question and answer.",
        kept: "without a limit; of a deleted one only its id, its owner and the times remain.",
        fields: &[
            ("state.alive.session.id", Uuid, Id),
            ("state.alive.session.owner", Uuid, None),
            ("state.alive.session.title", Text, None),
            ("state.alive.session.lastMessageAt", Time, None),
            ("state.alive.newest.turn.number", Number, None),
            ("state.alive.newest.turn.question.content", Text, None),
            ("state.alive.newest.turn.state", Variant, None),
            ("madeBy.key", Text, Unique("by_request")),
            ("version", Number, None),
        ],
        keys: &[
            ("by_owner", "the owner; in the order of creation"),
            (
                "by_request",
                "the hash of the idempotency key that created it",
            ),
            (
                "by_lease",
                "empty; with an open question, by the end of its lease",
            ),
            (
                "by_erasure",
                "empty; deleted ones whose turns are erased once more, by the time for it",
            ),
        ],
    },
    Described {
        of: TURNS,
        what: "An earlier question of a conversation, with its answer.",
        kept: "as long as the conversation is not deleted.",
        fields: &[
            ("session", Uuid, Id),
            ("stored.turn.number", Number, Id),
            ("stored.turn.question.content", Text, None),
            ("stored.turn.state", Variant, None),
            ("stored.request.key", Text, None),
        ],
        keys: &[
            ("by_session", "the session; in order"),
            ("answered", "the session; in order, only answered ones"),
            (
                "turn_by_request",
                "the session with the hash of the idempotency key",
            ),
        ],
    },
    Described {
        of: (CHAT, "quotas"),
        what: "The times of a user's latest questions.",
        kept: "without a limit; one small document for each user.",
        fields: &[("user", Uuid, Id), ("times[]", Time, None)],
        keys: &[],
    },
    Described {
        of: (NOTIFY, "preferences"),
        what: "What a user has chosen.",
        kept: "without a limit.",
        fields: &[
            ("user", Uuid, Id),
            ("preferences.email", Flag, None),
            ("preferences.timeZone", Text, None),
            ("preferences.quietHours.mode", Text, None),
            ("revision", Number, None),
        ],
        keys: &[],
    },
    Described {
        of: RECIPIENTS,
        what: "A user with the address for mails: a copy of the account, from `user.registered`.",
        kept: "without a limit.",
        fields: &[
            ("recipient.id", Uuid, Id),
            ("recipient.username", Text, None),
            ("recipient.email", Text, None),
            ("recipient.role", Text, None),
            ("recipient.disabled", Flag, None),
            ("access", Number, None),
            ("address", Number, None),
        ],
        keys: &[
            ("by_username", "the username in lower case"),
            ("by_role", "the role"),
        ],
    },
    Described {
        of: (NOTIFY, "tallies"),
        what: "The latest mails to one person about one thing, or from one sender; they decide what is gathered.",
        kept: "2 hours after the last change.",
        fields: &[
            ("key", Text, Id),
            ("mails[].id", Uuid, None),
            ("mails[].at", Time, None),
            ("changedAt", Time, None),
        ],
        keys: &[("by_change", "empty; by the last change")],
    },
    Described {
        of: (NOTIFY, "incidents"),
        what: "A fault, with how often it happened and when administrators were mailed.",
        kept: "without a limit.",
        fields: &[
            ("id", Uuid, Id),
            ("fingerprint", Text, Unique("fingerprint")),
            ("service", Text, None),
            ("kind", Text, None),
            ("state", Text, None),
            ("firstSeen", Time, None),
            ("lastSeen", Time, None),
            ("count", Number, None),
            ("mailings[].id", Uuid, None),
        ],
        keys: &[
            (
                "fingerprint",
                "the fingerprint: reports with the same one are one incident",
            ),
            ("by_state", "empty, and the state; by the time last seen"),
            ("owing", "empty; with mails that are to be made"),
            (
                "silent",
                "empty; open ones that end by silence, by the time last seen",
            ),
        ],
    },
    Described {
        of: TEMPLATES,
        what: "The newest saved templates of a type of notifications.",
        kept: "without a limit.",
        fields: &[
            ("latest.kind", Text, Id),
            ("latest.number", Number, None),
            ("latest.content", Text, None),
            ("latest.author.id", Uuid, None),
            ("latest.at", Time, None),
            ("slot", Number, Unique("slot")),
        ],
        keys: &[
            ("by_name", "empty; by type"),
            (
                "slot",
                "one of 200 numbers, so that administrators have at most 200 types of their own",
            ),
            ("by_slot", "empty; by slot"),
        ],
    },
    Described {
        of: VERSIONS,
        what: "An earlier version of such templates.",
        kept: "the newest 50 of a type, with the one in `templates`.",
        fields: &[
            ("kind", Text, Id),
            ("number", Number, Id),
            ("author.id", Uuid, None),
            ("at", Time, None),
        ],
        keys: &[("of_type", "the type; by number")],
    },
    Described {
        of: ACCEPTED,
        what: "An event that another program announced.",
        kept: "a day.",
        fields: &[
            ("id", Uuid, Id),
            ("kind", Text, None),
            ("sender.id", Uuid, None),
            ("recipients[].id", Uuid, None),
            ("at", Time, None),
        ],
        keys: &[("by_time", "empty; by time")],
    },
    Described {
        of: (NOTIFY, "quotas"),
        what: "The times of the latest events that a user announced.",
        kept: "without a limit; one small document for each user.",
        fields: &[("sender", Uuid, Id), ("times[]", Time, None)],
        keys: &[],
    },
    Described {
        of: DEAD_LETTERS,
        what: "An event that a consumer group could not handle, as it was on the bus.",
        kept: "without a limit.",
        fields: &[
            ("id", Uuid, Id),
            ("receivedAt", Time, None),
            ("group", Text, None),
            ("topic", Text, None),
            ("cause", Text, None),
            ("reason", Text, None),
            ("state", Text, None),
            ("replayOf", Uuid, None),
            ("acts[].by.id", Uuid, None),
        ],
        keys: &[
            (
                "identity",
                "the hash of group, record and attempt: the same failure is stored once",
            ),
            ("by_type", "the type of the event"),
            ("by_group", "the consumer group"),
            ("by_cause", "the cause"),
            ("by_state", "the state"),
            ("by_origin", "the dead letter whose replay it comes from"),
        ],
    },
    Described {
        of: NOTIFICATIONS,
        what: "An event for one person, with every attempt to mail it.",
        kept: "`SLIPWAY_NOTIFICATION_RETENTION` after it was made.",
        fields: &[
            ("notification.id", Uuid, Id),
            ("notification.eventId", Uuid, None),
            ("notification.kind", Text, None),
            ("notification.channel", Text, None),
            ("notification.to", Text, None),
            ("notification.state", Text, None),
            ("notification.dueAt", Time, None),
            ("notification.attempts[].at", Time, None),
            ("notification.createdAt", Time, None),
            ("revision", Number, None),
        ],
        keys: &[
            (
                "once",
                "event, channel and recipient: each person is told once",
            ),
            (
                "lead",
                "recipient and group, while a mail of the group is being sent",
            ),
            ("by_event", "the event"),
            ("by_recipient", "the recipient"),
            ("by_kind", "the type"),
            ("by_state", "the state"),
            ("by_digest", "the mail that carries several"),
            ("due", "empty; queued ones by the time when they are due"),
            ("queued", "recipient and group; queued ones"),
            (
                "of_release",
                "the release; queued ones about it or its tasks",
            ),
            (
                "claimed",
                "empty; those being sent, by the end of the claim",
            ),
        ],
    },
    Described {
        of: ACTIVITY,
        what: "An entry of the activity feed.",
        kept: "`SLIPWAY_ACTIVITY_RETENTION` after it was stored.",
        fields: &[
            ("sequence", Number, Id),
            ("storedAt", Time, None),
            ("activity.id", Uuid, Unique("event")),
            ("activity.eventType", Text, None),
            ("activity.time", Time, None),
            ("activity.actor.id", Uuid, None),
            ("activity.releaseId", Uuid, None),
            ("activity.summary", Text, None),
            ("activity.concerns[]", Uuid, None),
        ],
        keys: &[
            ("event", "the event: it is in the feed once"),
            ("by_type", "the type"),
            ("by_family", "the first word of the type"),
            ("by_release", "the release"),
            ("by_person", "the actor, and each user whom it concerns"),
        ],
    },
    Described {
        of: (NOTIFY, "read_positions"),
        what: "How far a user has read the activity feed and their notifications.",
        kept: "without a limit.",
        fields: &[
            ("user", Uuid, Id),
            ("position.sequence", Number, None),
            ("position.notification", Uuid, None),
        ],
        keys: &[],
    },
    Described {
        of: ANSWERS,
        what: "An answer of the assistant: when, and how long it took. From these and the activity \
               feed, the statistics are counted.",
        kept: "as long as the activity feed.",
        fields: &[
            ("number", Number, Id),
            ("answer.event", Uuid, Unique("event")),
            ("answer.time", Time, None),
            ("answer.latencyMs", Number, None),
        ],
        keys: &[("event", "the event: it is in the log once")],
    },
    Described {
        of: (NOTIFY, "statistics_days"),
        what: "What was worked on in a day: counters, and the number of the last entry of the \
               activity feed that is in them.",
        kept: "without a limit.",
        fields: &[
            ("date", Text, Id),
            ("day.through", Number, None),
            ("day.developers[]", Uuid, None),
            ("day.lead.count", Number, None),
            ("day.todo.sumMs", Number, None),
            ("day.inProcess.sumMs", Number, None),
        ],
        keys: &[],
    },
    Described {
        of: (NOTIFY, "statistics_hours"),
        what: "How much happened in each minute of an hour: counters, and the numbers of the last \
               entry of the activity feed and the last answer that are in them.",
        kept: "8 days.",
        fields: &[
            ("number", Number, Id),
            ("hour.through", Number, None),
            ("hour.answersThrough", Number, None),
            ("hour.events[]", Number, None),
            ("hour.answers[]", Number, None),
            ("hour.answerTime.count", Number, None),
        ],
        keys: &[],
    },
    Described {
        of: (NOTIFY, "statistics_position"),
        what: "How far the activity feed and the answers are in all counters. There is one.",
        kept: "without a limit.",
        fields: &[("activity", Number, None), ("answers", Number, None)],
        keys: &[],
    },
    Described {
        of: AUDIT,
        what: "An entry of the audit trail.",
        kept: "without a limit: the chain would break.",
        fields: &[
            ("number", Number, Id),
            ("eventId", Text, Unique("event")),
            ("type", Text, None),
            ("time", Time, None),
            ("actorId", Text, None),
            ("releaseId", Text, None),
            ("taskId", Text, None),
            ("userId", Text, None),
            ("data", Text, None),
            ("previousHash", Text, None),
            ("hash", Text, None),
        ],
        keys: &[
            ("event", "the event: it is in the trail once"),
            ("by_time", "empty; by time"),
            ("by_type", "the type; by time"),
            (
                "by_user",
                "who did it, and the account that it is about; by time",
            ),
            ("by_release", "the release; in the order of the chain"),
            ("by_task", "the task; in the order of the chain"),
        ],
    },
];

const fn reference(
    from: (&'static str, &'static str),
    field: &'static str,
    to: (&'static str, &'static str),
    of: &'static str,
) -> Reference {
    Reference {
        from,
        field,
        to,
        of,
    }
}

/// Which values are those of other documents.
pub(super) const REFERENCES: &[Reference] = &[
    reference(RELEASES, "createdBy.id", ACCOUNTS, "user.id"),
    reference(RELEASES, "tasks[].assignee.id", ACCOUNTS, "user.id"),
    reference(SIGN_INS, "user", ACCOUNTS, "user.id"),
    reference(COMMENTS, "Comment.comment.task", RELEASES, "tasks[].id"),
    reference(
        COMMENTS,
        "Comment.comment.parent",
        COMMENTS,
        "Comment.comment.id",
    ),
    reference(COMMENTS, "Comment.comment.author.id", ACCOUNTS, "user.id"),
    reference(SESSIONS, "state.alive.session.owner", ACCOUNTS, "user.id"),
    reference(TURNS, "session", SESSIONS, "state.alive.session.id"),
    reference((CHAT, "quotas"), "user", ACCOUNTS, "user.id"),
    reference(RECIPIENTS, "recipient.id", ACCOUNTS, "user.id"),
    reference((NOTIFY, "preferences"), "user", RECIPIENTS, "recipient.id"),
    reference(
        (NOTIFY, "tallies"),
        "mails[].id",
        NOTIFICATIONS,
        "notification.eventId",
    ),
    reference(
        (NOTIFY, "incidents"),
        "mailings[].id",
        NOTIFICATIONS,
        "notification.eventId",
    ),
    reference(TEMPLATES, "latest.author.id", ACCOUNTS, "user.id"),
    reference(VERSIONS, "kind", TEMPLATES, "latest.kind"),
    reference(VERSIONS, "author.id", ACCOUNTS, "user.id"),
    reference(ACCEPTED, "kind", TEMPLATES, "latest.kind"),
    reference(ACCEPTED, "sender.id", ACCOUNTS, "user.id"),
    reference(ACCEPTED, "recipients[].id", RECIPIENTS, "recipient.id"),
    reference((NOTIFY, "quotas"), "sender", ACCOUNTS, "user.id"),
    reference(DEAD_LETTERS, "replayOf", DEAD_LETTERS, "id"),
    reference(DEAD_LETTERS, "acts[].by.id", ACCOUNTS, "user.id"),
    reference(
        NOTIFICATIONS,
        "notification.eventId",
        ACTIVITY,
        "activity.id",
    ),
    reference(NOTIFICATIONS, "notification.to", RECIPIENTS, "recipient.id"),
    reference(ACTIVITY, "activity.actor.id", ACCOUNTS, "user.id"),
    reference(ACTIVITY, "activity.concerns[]", ACCOUNTS, "user.id"),
    reference(ACTIVITY, "activity.releaseId", RELEASES, "id"),
    reference(
        (NOTIFY, "statistics_days"),
        "day.developers[]",
        ACCOUNTS,
        "user.id",
    ),
    reference((NOTIFY, "read_positions"), "user", ACCOUNTS, "user.id"),
    reference(AUDIT, "eventId", ACTIVITY, "activity.id"),
    reference(AUDIT, "actorId", ACCOUNTS, "user.id"),
    reference(AUDIT, "releaseId", RELEASES, "id"),
    reference(AUDIT, "taskId", RELEASES, "tasks[].id"),
    reference(AUDIT, "userId", ACCOUNTS, "user.id"),
];
