//! The contract of both adapters. Each test runs on each database.

mod lists;
mod timers;
mod writes;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use slipway_mongo::testing::Scratch;

use crate::{
    BY_ID, Collection, Document, Documents, Entries, Index,
    due::{Due, enter},
};

/// The document type of the tests: it has a unique title, unique slots, tags, messages by
/// recipient, and a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) id: String,
    pub(crate) revision: u64,
    pub(crate) title: String,
    pub(crate) slots: Vec<u32>,
    pub(crate) tags: Vec<String>,
    pub(crate) messages: Vec<(String, String)>,
    pub(crate) due_at: Option<Timestamp>,
}

/// The summary of a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Title(pub(crate) String);

pub(crate) const TITLE: Index = Index::unique("title");
pub(crate) const SLOT: Index = Index::unique("slot");
pub(crate) const TAG: Index = Index::list("tag").with_summaries();
pub(crate) const MESSAGES: Index = Index::view("messages");
const DUE: Index = Index::list("due");

impl Document for Note {
    const COLLECTION: Collection =
        Collection::new("notes", 3, &[BY_ID, TITLE, SLOT, TAG, MESSAGES, DUE])
            .with_events()
            .with_receipts();

    type Summary = Title;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn entries(&self, entries: &mut Entries) {
        entries.unique(&TITLE, &self.title);
        for slot in &self.slots {
            entries.unique(&SLOT, slot);
        }
        for tag in &self.tags {
            entries.list(&TAG, tag, &self.id);
        }
        for (to, text) in &self.messages {
            entries.view(&MESSAGES, to, text);
        }
        enter(self, entries);
    }

    fn summary(&self) -> Title {
        Title(self.title.clone())
    }
}

impl Due for Note {
    const DUE: Index = DUE;

    fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }
}

/// A note in its first revision: only an id, and a title with the same text.
pub(crate) fn note(id: &str) -> Note {
    Note {
        id: id.into(),
        revision: 1,
        title: id.into(),
        slots: Vec::new(),
        tags: Vec::new(),
        messages: Vec::new(),
        due_at: None,
    }
}

impl Note {
    pub(crate) fn titled(self, title: &str) -> Self {
        let title = title.into();
        Self { title, ..self }
    }

    pub(crate) fn reserving(self, slots: &[u32]) -> Self {
        let slots = slots.into();
        Self { slots, ..self }
    }

    pub(crate) fn tagged(self, tags: &[&str]) -> Self {
        let tags = tags.iter().map(ToString::to_string).collect();
        Self { tags, ..self }
    }

    pub(crate) fn with_messages(self, messages: &[(&str, &str)]) -> Self {
        let messages = messages
            .iter()
            .map(|(to, text)| ((*to).into(), (*text).into()));
        let messages = messages.collect();
        Self { messages, ..self }
    }

    pub(crate) fn due(self, at: impl Into<Option<Timestamp>>) -> Self {
        let due_at = at.into();
        Self { due_at, ..self }
    }

    /// The next revision.
    pub(crate) fn next(&self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self.clone()
        }
    }
}

/// Documents in a database that only this test uses; the database lives as long as this.
pub(crate) struct Fixture {
    pub(crate) documents: Documents,
    _directory: Option<tempfile::TempDir>,
    pub(crate) scratch: Option<Scratch>,
}

pub(crate) async fn on_sqlite() -> Option<Fixture> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    Some(Fixture {
        documents: Documents::sqlite(&path, "notes", &[Note::COLLECTION]).unwrap(),
        _directory: Some(directory),
        scratch: None,
    })
}

pub(crate) async fn on_mongo() -> Option<Fixture> {
    let scratch = Scratch::database().await?;
    let opened = Documents::mongo(scratch.client(), scratch.name(), &[Note::COLLECTION]);
    Some(Fixture {
        documents: opened.await.unwrap(),
        _directory: None,
        scratch: Some(scratch),
    })
}

/// Makes each of these functions a test on each database; they take a fixture.
macro_rules! contract {
    ($($(#[$doc:meta])* async fn $name:ident($fixture:ident: &Fixture) $body:block)*) => {
        $($(#[$doc])* async fn $name($fixture: &Fixture) $body)*

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let fixture = super::super::on_sqlite().await;
                    super::$name(&fixture.expect("SQLite needs no server")).await;
                }
            )*
        }

        mod mongo {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    if let Some(fixture) = super::super::on_mongo().await {
                        super::$name(&fixture).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use contract;

/// The same notes as a later version would store them.
pub(crate) mod newer {
    use serde::{Deserialize, Serialize};

    use crate::{Collection, Document, Entries};

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Note(pub(crate) super::Note);

    impl Document for Note {
        const COLLECTION: Collection = Collection {
            schema: super::Note::COLLECTION.schema + 1,
            ..super::Note::COLLECTION
        };

        type Summary = super::Title;

        fn id(&self) -> String {
            self.0.id()
        }

        fn revision(&self) -> u64 {
            self.0.revision
        }

        fn entries(&self, entries: &mut Entries) {
            self.0.entries(entries);
        }

        fn summary(&self) -> super::Title {
            self.0.summary()
        }
    }
}
