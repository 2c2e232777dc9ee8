//! What a model thinks before it answers, where it stands in the text of its answer.
//!
//! Models that think aloud begin with a block between two tags, and then answer. The block
//! is not part of the answer: it is neither shown nor stored, and not shown to the model
//! again. A tag further on is text like any other: the answer may be about such tags.
//!
//! Where the template of a model writes the first tag for it, a model that has nothing to think
//! about begins with the second one, which is no part of the answer either.

/// The tags that begin and end a block, as models are trained to write them: in lower case, for
/// their case does not count.
const BLOCKS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[think]", "[/think]"),
];

/// Drops the blocks at the beginning of an answer that comes in pieces, with the white space
/// before and after them. What is in a block ends at its first closing tag; a block without
/// one has no end.
#[derive(Debug, Default)]
pub struct ThinkingFilter {
    place: Place,
    /// What has come and may be a part of a tag.
    held: String,
    thought: bool,
}

/// Where in an answer the next text stands.
#[derive(Debug, Default)]
enum Place {
    /// Before its first word.
    #[default]
    Start,
    /// In a block that this tag ends.
    Block(&'static str),
    /// In what is to be shown.
    Answer,
}

/// How a text begins.
enum Beginning {
    /// With a block: its tags.
    Block(&'static str, &'static str),
    /// With this tag, which ends a block that the model did not begin itself.
    End(&'static str),
    /// As an answer does.
    Answer,
    /// What follows will tell.
    Open,
}

impl ThinkingFilter {
    /// Takes the text that follows; returns what of it belongs to the answer.
    pub fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        loop {
            match self.place {
                Place::Answer => return std::mem::take(&mut self.held),
                Place::Start => {
                    let blank = self.held.len() - self.held.trim_start().len();
                    self.held.drain(..blank);
                    match beginning(&self.held) {
                        Beginning::Block(open, close) => {
                            self.held.drain(..open.len());
                            self.thought = true;
                            self.place = Place::Block(close);
                        }
                        Beginning::End(close) => {
                            self.held.drain(..close.len());
                            self.thought = true;
                        }
                        Beginning::Answer => self.place = Place::Answer,
                        Beginning::Open => return String::new(),
                    }
                }
                Place::Block(close) => {
                    let Some(end) = self.held.to_ascii_lowercase().find(close) else {
                        let thought = self.held.len() - begun(close, &self.held);
                        self.held.drain(..thought);
                        return String::new();
                    };
                    self.held.drain(..end + close.len());
                    self.place = Place::Start;
                }
            }
        }
    }

    /// The rest of an answer that is complete: what looked like the beginning of a tag and
    /// is none.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        match self.place {
            Place::Block(_) => String::new(),
            Place::Start | Place::Answer => rest,
        }
    }

    /// Whether there was a block.
    #[must_use]
    pub fn has_thought(&self) -> bool {
        self.thought
    }
}

/// An answer without the blocks at its beginning.
#[must_use]
pub fn without_thinking(answer: &str) -> String {
    let mut filter = ThinkingFilter::default();
    let mut text = filter.push(answer);
    text.push_str(&filter.finish());
    text
}

fn beginning(text: &str) -> Beginning {
    let begins_with = |tag: &str| {
        let start = text.get(..tag.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    for (open, close) in BLOCKS {
        if begins_with(open) {
            return Beginning::Block(open, close);
        }
        if begins_with(close) {
            return Beginning::End(close);
        }
    }
    let begins = |tag: &str| {
        tag.get(..text.len())
            .is_some_and(|tag| tag.eq_ignore_ascii_case(text))
    };
    if BLOCKS
        .iter()
        .any(|(open, close)| begins(open) || begins(close))
    {
        Beginning::Open
    } else {
        Beginning::Answer
    }
}

/// How many bytes at the end of `text` may be the beginning of `tag`.
fn begun(tag: &str, text: &str) -> usize {
    let most = tag.len().min(text.len());
    let begins = |length: &usize| {
        let end = &text.as_bytes()[text.len() - length..];
        end.eq_ignore_ascii_case(&tag.as_bytes()[..*length])
    };
    (0..most + 1).rev().find(begins).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_at_the_beginning_is_dropped_and_nothing_else() {
        for (text, answer) in [
            ("Build it.", "Build it."),
            ("<think>Hm.</think>Build it.", "Build it."),
            ("<think>\n\n</think>\n\nBuild it.\n", "Build it.\n"),
            (" \n<think>\nHm.\n</think>\n\nBuild it.", "Build it."),
            ("<thinking>Hm.</thinking>Build it.", "Build it."),
            ("<thought>Hm.</thought>Build it.", "Build it."),
            ("<reasoning>Hm.</reasoning>Build it.", "Build it."),
            ("[THINK]Hm.[/THINK]Build it.", "Build it."),
            ("<THINK>Hm.</Think>Build it.", "Build it."),
            // What is in a block is no tag but the one that ends it.
            (
                "<think>a <b>, a <think>, a </b></think>Build it.",
                "Build it.",
            ),
            (
                "<think>a </thin, a </thinking></think>Build it.",
                "Build it.",
            ),
            (
                "<think>Hm.</think> <think>No.</think> Build it.",
                "Build it.",
            ),
            // Further on it is text.
            (
                "Write <think>Hm.</think> first.",
                "Write <think>Hm.</think> first.",
            ),
            ("<think>Hm.</think>Write <think>.", "Write <think>."),
            ("`<think>` begins it.", "`<think>` begins it."),
            ("`</think>` ends it.", "`</think>` ends it."),
            // A template may have written the first tag.
            ("</think>\n\nBuild it.", "Build it."),
            ("</THINK>", ""),
            ("</thinker>", "</thinker>"),
            ("<thin", "<thin"),
            ("<thinker>", "<thinker>"),
            ("<", "<"),
            // Without an end there is no answer.
            ("<think>Hm.", ""),
            ("<think>Hm.</think", ""),
            ("<think>", ""),
            ("<think>Hm.</think> \n", ""),
            ("", ""),
        ] {
            assert_eq!(without_thinking(text), answer, "{text}");
        }
    }

    #[test]
    fn it_is_known_whether_there_was_a_block() {
        for (text, thought) in [
            ("<think>", true),
            ("\n<think>Hm.</think>Yes.", true),
            ("</think>Yes.", true),
            ("<thin", false),
            ("Yes.", false),
        ] {
            let mut filter = ThinkingFilter::default();
            filter.push(text);
            filter.finish();
            assert_eq!(filter.has_thought(), thought, "{text}");
        }
    }

    #[test]
    fn an_endless_block_is_not_kept() {
        let mut filter = ThinkingFilter::default();
        filter.push("<think>");
        for _ in 0..1_000 {
            assert_eq!(filter.push("Hm. </ü <"), "");
            assert!(filter.held.len() < 9);
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_the_same_however_it_is_cut(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<think>", "</think>", "<THINK>", "</Think>", "<thinking>", "</thinking>",
                    "[THINK]", "[/THINK]",
                    "<", "</thin", "thin", "k>", " ", "\n", "Grüße ", "🚢", "Build it.",
                ]),
                0..9,
            ),
            cuts in prop::collection::vec(0..4_usize, 1..20),
        ) {
            let text = parts.concat();
            let mut filter = ThinkingFilter::default();
            let mut answer = String::new();
            let mut characters = text.chars().peekable();
            for cut in cuts.iter().cycle().map(|cut| cut + 1) {
                if characters.peek().is_none() {
                    break;
                }
                let piece: String = characters.by_ref().take(cut).collect();
                answer.push_str(&filter.push(&piece));
            }
            answer.push_str(&filter.finish());
            prop_assert_eq!(&answer, &without_thinking(&text));
            prop_assert!(text.ends_with(&answer));
        }
    }
}
