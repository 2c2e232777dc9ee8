//! Putting a prompt together within a model's context window.

use super::{
    budget::{OVERHEAD, estimate},
    system,
    work::Work,
};
use crate::chat::{QuestionText, Turn, UsedContext, without_thinking};

/// What a prompt may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Earlier messages of the session at most.
    pub messages: u32,
    /// The model's context window, in tokens: prompt and answer together.
    pub window: u32,
}

impl Limits {
    /// What is kept free for the answer: a quarter of the window, 1,024 tokens at most.
    #[must_use]
    pub fn answer(self) -> u32 {
        (self.window / 4).min(1_024)
    }

    /// Whether a question leaves room for what else has to be there.
    ///
    /// # Errors
    /// [`QuestionTooLong`] if it does not.
    pub fn admit(self, question: &QuestionText) -> Result<(), QuestionTooLong> {
        let least = system::least() + 2 * OVERHEAD + self.answer();
        if estimate(question.as_str()).saturating_add(least) > self.window {
            return Err(QuestionTooLong);
        }
        Ok(())
    }
}

/// The question alone does not fit into the model's context window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionTooLong;

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Whoever asks.
    User,
    /// The assistant.
    Assistant,
}

/// A message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptMessage {
    /// Who said it.
    pub speaker: Speaker,
    /// The text.
    pub content: String,
}

/// What a model is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The system part.
    pub system: String,
    /// The last messages of the session, oldest first.
    pub history: Vec<PromptMessage>,
    /// The question.
    pub question: String,
    /// What it was made from: what rules can answer from.
    pub work: Work,
    /// Tokens that the answer may have.
    pub answer_tokens: u32,
    /// What of it all is in the prompt.
    pub used: UsedContext,
}

/// Makes the prompt for a question; `turns` are the answered turns before it, in order.
/// The question comes first in the budget, then the caller's work, which takes at most
/// half of what is left, then the messages: the oldest are dropped first.
#[must_use]
pub fn compose(work: Work, turns: &[Turn], question: &QuestionText, limits: Limits) -> Prompt {
    let room = limits
        .window
        .saturating_sub(limits.answer() + estimate(question.as_str()) + 2 * OVERHEAD);
    let system = system::write(&work, (room / 2).max(system::least()).min(room));
    let mut left = room.saturating_sub(estimate(&system.text));
    let candidates = last_messages(turns, limits.messages);
    let mut history = Vec::new();
    for message in candidates.iter().rev() {
        let cost = estimate(&message.content) + OVERHEAD;
        if cost > left {
            break;
        }
        left -= cost;
        history.push(message.clone());
    }
    history.reverse();
    let count = |messages: usize| u32::try_from(messages).unwrap_or(u32::MAX);
    Prompt {
        used: UsedContext {
            task_ids: system.tasks,
            release_ids: system.releases,
            messages: count(history.len()),
            dropped: count(candidates.len() - history.len()),
        },
        system: system.text,
        history,
        question: question.as_str().to_owned(),
        answer_tokens: limits.answer(),
        work,
    }
}

fn last_messages(turns: &[Turn], count: u32) -> Vec<PromptMessage> {
    let mut messages = Vec::new();
    for turn in turns {
        // Answers of earlier versions may begin with what the model thought.
        let answer = turn
            .answer()
            .map(|answer| without_thinking(&answer.content));
        let Some(content) = answer.filter(|answer| !answer.is_empty()) else {
            continue;
        };
        messages.push(PromptMessage {
            speaker: Speaker::User,
            content: turn.question.content.as_str().to_owned(),
        });
        messages.push(PromptMessage {
            speaker: Speaker::Assistant,
            content,
        });
    }
    messages.split_off(messages.len().saturating_sub(count as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prompt::samples;

    const LIMITS: Limits = Limits {
        messages: 5,
        window: 8_192,
    };

    fn question(text: &str) -> QuestionText {
        QuestionText::new(text).unwrap()
    }

    #[test]
    fn the_last_messages_come_in_order() {
        let turns = samples::turns(4);
        let prompt = compose(samples::work(), &turns, &question("and now?"), LIMITS);
        let history: Vec<_> = prompt.history.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(
            history,
            [
                "answer 2",
                "question 3",
                "answer 3",
                "question 4",
                "answer 4"
            ]
        );
        assert_eq!(prompt.history[0].speaker, Speaker::Assistant);
        assert_eq!((prompt.used.messages, prompt.used.dropped), (5, 0));
        assert_eq!(prompt.question, "and now?");
    }

    #[test]
    fn an_unanswered_question_is_not_remembered() {
        let mut turns = samples::turns(2);
        turns[1].state = crate::chat::TurnState::Unanswered(crate::chat::Reason::Timeout);
        let prompt = compose(samples::work(), &turns, &question("?"), LIMITS);
        let history: Vec<_> = prompt.history.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(history, ["question 1", "answer 1"]);
    }

    #[test]
    fn what_was_thought_before_an_answer_is_not_remembered() {
        let mut turns = samples::turns(3);
        for (turn, stored) in turns.iter_mut().zip([
            "<think>\nHm.\n</think>\n\nanswer 1",
            "<think>Hm, hm",
            "answer <think>3</think>",
        ]) {
            if let crate::chat::TurnState::Answered(answer) = &mut turn.state {
                answer.content = stored.to_owned();
            }
        }
        let prompt = compose(samples::work(), &turns, &question("?"), LIMITS);
        let history: Vec<_> = prompt.history.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(
            history,
            [
                "question 1",
                "answer 1",
                "question 3",
                "answer <think>3</think>"
            ]
        );
    }

    #[test]
    fn the_oldest_are_dropped_first() {
        let turns = samples::turns(3);
        let long = question(&"x".repeat(3_000));
        let tight = Limits {
            messages: 6,
            window: 2_048,
        };
        let work = samples::work();
        let prompt = compose(work, &turns, &long, tight);
        assert_eq!(prompt.used.messages + prompt.used.dropped, 6);
        let kept = prompt.history.len();
        let expected = last_messages(&turns, u32::try_from(kept).unwrap());
        assert_eq!(prompt.history, expected, "a suffix");
    }

    #[test]
    fn a_question_beyond_the_window_is_refused_before_it_is_stored() {
        let long = question(&"🚢".repeat(8_000));
        assert_eq!(LIMITS.admit(&long), Err(QuestionTooLong));
        assert_eq!(LIMITS.admit(&question(&"x".repeat(8_000))), Ok(()));
    }

    proptest! {
        #[test]
        fn a_prompt_and_its_answer_fit_into_the_window(
            window in 2_048..20_000_u32,
            length in 1..8_000_usize,
            turns in 0..20_u64,
            tasks in 0..500_usize,
        ) {
            let limits = Limits { messages: 20, window };
            let asked = question(&"x".repeat(length));
            prop_assume!(limits.admit(&asked).is_ok());
            let mut work = samples::work();
            work.releases.push(samples::long_release(tasks, tasks / 2));
            let prompt = compose(work, &samples::turns(turns), &asked, limits);
            let history: u32 = prompt
                .history
                .iter()
                .map(|message| estimate(&message.content) + OVERHEAD)
                .sum();
            let all = estimate(&prompt.system) + history + estimate(&prompt.question)
                + 2 * OVERHEAD + prompt.answer_tokens;
            prop_assert!(all <= window, "{all} > {window}");
            prop_assert!(prompt.system.ends_with("</data>"));
        }
    }
}
