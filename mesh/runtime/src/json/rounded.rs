//! Finds integers that would lose precision.

/// Finds an integer in valid JSON that does not fit into 64 bits: its line and column, from 1. A
/// reader that does not know its type turns it into a floating-point number, and so into another
/// value.
#[must_use]
pub fn rounded_integer(json: &str) -> Option<(usize, usize)> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..].iter().take_while(|byte| of_number(**byte));
                let number = &json[at..at + length.count()];
                if is_rounded(number) {
                    return Some(place(&json[..at]));
                }
                at += number.len();
            }
            _ => at += 1,
        }
    }
    None
}

/// The end of the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return at + 1,
            Some(_) => at += 1,
        }
    }
}

fn of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

fn is_rounded(number: &str) -> bool {
    let is_whole = !number.contains(['.', 'e', 'E']);
    is_whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

/// The line and the column after `before`.
fn place(before: &str) -> (usize, usize) {
    let line = before.matches('\n').count() + 1;
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, last.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_exact_up_to_64_bits() {
        for exact in [
            "{}",
            r#"{"a": [0, -1, 9223372036854775808, 18446744073709551615, -9223372036854775808]}"#,
            r#"{"a": 1e30, "b": 123456789012345678901234567890.5, "c": 1E+25}"#,
            r#"{"a": "123456789012345678901", "b\\\"123456789012345678901": "\\"}"#,
        ] {
            assert_eq!(rounded_integer(exact), None, "{exact}");
        }
        for (rounded, place) in [
            (r#"{"a": 18446744073709551616}"#, (1, 7)),
            (r#"{"a": -9223372036854775809}"#, (1, 7)),
            (
                "{\"a\": \"\\\\\",\n \"b\": [1,\n123456789012345678901]}",
                (3, 1),
            ),
        ] {
            assert_eq!(rounded_integer(rounded), Some(place), "{rounded}");
        }
    }
}
