//! Splits chunks of bytes into lines. A line is decoded only when it is complete, so a character
//! that is split between two chunks is whole.

/// Maximum length of a line in bytes.
const MAX_LINE: usize = 1024 * 1024;

/// Bytes that were received and not read yet.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Adds a chunk.
    ///
    /// # Errors
    /// If a line is too long.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.0.extend_from_slice(chunk);
        if self.0.len() > MAX_LINE && !self.0.contains(&b'\n') {
            return Err(format!("a line of more than {MAX_LINE} bytes"));
        }
        Ok(())
    }

    /// The next line that is not blank. After the end of the stream, also a last line without a
    /// line break.
    pub(super) fn next(&mut self, ended: bool) -> Option<Vec<u8>> {
        loop {
            let length = match self.0.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None if ended && !self.0.is_empty() => self.0.len(),
                None => return None,
            };
            let line: Vec<u8> = self.0.drain(..length).collect();
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(line.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_chunks(
            lines in prop::collection::vec("[a-zäß🚢 ]{1,9}", 0..9),
            cuts in prop::collection::vec(1..7_usize, 1..40),
        ) {
            let text = lines.join("\r\n");
            let (mut reader, mut rest, mut read) = (Lines::default(), text.as_bytes(), Vec::new());
            for cut in cuts.iter().cycle() {
                let (chunk, after) = rest.split_at(rest.len().min(*cut));
                reader.push(chunk).unwrap();
                read.extend(std::iter::from_fn(|| reader.next(false)));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            read.extend(std::iter::from_fn(|| reader.next(true)));
            let read: Vec<_> = read.into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
            let expected: Vec<_> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut reader = Lines::default();
        assert!(reader.push(&[b'x'; MAX_LINE]).is_ok());
        assert!(reader.push(b"x").is_err());
    }
}
