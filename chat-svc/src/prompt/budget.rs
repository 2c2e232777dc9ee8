//! Counting tokens before the model does.

/// Tokens of a message besides its text: role and delimiters.
pub(super) const OVERHEAD: u32 = 8;

/// How many tokens a text is at most, roughly: a token for each three bytes. English has
/// about four characters to a token; texts with many marks or of other scripts have more
/// tokens, and more bytes. It is meant to be too high rather than too low: what exceeds
/// the window is cut off by the model's server in silence.
#[must_use]
pub fn estimate(text: &str) -> u32 {
    u32::try_from(text.len().div_ceil(3)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_too_high_rather_than_too_low() {
        assert_eq!(estimate(""), 0);
        assert_eq!(estimate("a"), 1);
        // 19 tokens with a common tokenizer.
        let english = "The quick brown fox jumps over the lazy dog, and then it goes home again.";
        assert!((19..30).contains(&estimate(english)));
        assert!(estimate("発射の準備ができました") >= 10);
    }
}
