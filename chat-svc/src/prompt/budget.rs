//! Estimates token counts.

/// Tokens of a message in addition to its text: role and delimiters.
pub(super) const OVERHEAD: u32 = 8;

/// Upper estimate of a text's tokens: one for every three bytes. English has about four characters
/// to a token; texts with many symbols or in other scripts have more tokens, but also more bytes.
/// The estimate is too high rather than too low, because the model's server silently truncates what
/// exceeds the window.
#[must_use]
pub fn estimate(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(3)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_rather_too_high() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("a"), 1);
        // 19 tokens with a common tokenizer.
        let english = "The quick brown fox jumps over the lazy dog, and then it goes home again.";
        assert!((19..30).contains(&estimate(english)));
        assert!(estimate("発射の準備ができました") >= 10);
    }
}
