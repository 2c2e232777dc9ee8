//! Removes a model's thinking from the text of its answer.
//!
//! Models that think aloud start with a block between two tags, then answer. The block is not part
//! of the answer: it is not shown, not stored and not sent to the model again. Later tags are
//! ordinary text: the answer may be about such tags.
//!
//! If the model's template writes the opening tag, a model without thoughts starts with the closing
//! tag, which is not part of the answer either.

/// The tags around a block, as models are trained to write them. In lower case, because case is
/// ignored.
const BLOCKS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[think]", "[/think]"),
];

/// Removes the blocks at the beginning of an answer that arrives in pieces, with the white space
/// around them. A block ends at the first matching closing tag; without one, it never ends.
#[derive(Debug, Default)]
pub struct ThinkingFilter {
    place: Place,
    /// Received text that may be part of a tag.
    held: String,
    thought: bool,
}

/// The position of the next text in an answer.
#[derive(Debug, Default)]
enum Place {
    /// Before the first word.
    #[default]
    Start,
    /// In a block that this tag closes.
    Block(&'static str),
    /// In the answer itself.
    Answer,
}

/// How a text starts.
enum Beginning {
    /// With a block, which has these tags.
    Block(&'static str, &'static str),
    /// With this closing tag: the template wrote the opening one.
    End(&'static str),
    /// With the answer.
    Answer,
    /// Unknown until more text arrives.
    Open,
}

impl ThinkingFilter {
    /// Takes the next text and returns the part of it that belongs to the answer.
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

    /// The rest of a complete answer: text that could have been the beginning of a tag.
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

/// How many bytes at the end of `text` may be the start of `tag`.
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
            // Within a block, only its closing tag counts.
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
            // After the beginning, tags are text.
            (
                "Write <think>Hm.</think> first.",
                "Write <think>Hm.</think> first.",
            ),
            ("<think>Hm.</think>Write <think>.", "Write <think>."),
            ("`<think>` begins it.", "`<think>` begins it."),
            ("`</think>` ends it.", "`</think>` ends it."),
            // The template may have written the opening tag.
            ("</think>\n\nBuild it.", "Build it."),
            ("</THINK>", ""),
            ("</thinker>", "</thinker>"),
            ("<thin", "<thin"),
            ("<thinker>", "<thinker>"),
            ("<", "<"),
            // A block without an end leaves no answer.
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
    fn has_thought_says_whether_there_was_a_block() {
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
    fn an_endless_block_is_not_buffered() {
        let mut filter = ThinkingFilter::default();
        filter.push("<think>");
        for _ in 0..1_000 {
            assert_eq!(filter.push("Hm. </ü <"), "");
            assert!(filter.held.len() < 9);
        }
    }

    proptest! {
        #[test]
        fn an_answer_does_not_depend_on_the_pieces(
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
