//! Text files as editors and shells write them: in UTF-8, or in UTF-16 as PowerShell does,
//! with a byte order mark or without.

/// Why bytes are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// The first byte that is not UTF-8 stands at this place, from 0.
    #[error("is not UTF-8 (at byte {0}): save it as UTF-8")]
    NotUtf8(usize),
    /// It begins as UTF-16 and does not go on so.
    #[error("begins as UTF-16 and is not: save it as UTF-8")]
    NotUtf16,
    /// It begins as files of gzip or zip do.
    #[error("is compressed: unpack it first")]
    Compressed,
    /// It begins with the byte order mark of UTF-32.
    #[error("is UTF-32: save it as UTF-8")]
    Utf32,
}

/// The text that `bytes` hold, without a byte order mark.
///
/// # Errors
/// If they are neither UTF-8 nor UTF-16, or are compressed.
pub fn decode(bytes: Vec<u8>) -> Result<String, EncodingError> {
    match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Err(EncodingError::Utf32),
        [0x1f, 0x8b, ..] | [b'P', b'K', 3, 4, ..] => Err(EncodingError::Compressed),
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        // Text in ASCII at least: what is read here begins with a bracket or a name.
        [first, 0, ..] if *first != 0 => utf_16(&bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf_16(&bytes, u16::from_be_bytes),
        _ => {
            let text = String::from_utf8(bytes);
            let text =
                text.map_err(|error| EncodingError::NotUtf8(error.utf8_error().valid_up_to()))?;
            Ok(text
                .strip_prefix('\u{feff}')
                .map(str::to_owned)
                .unwrap_or(text))
        }
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, EncodingError> {
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return Err(EncodingError::NotUtf16);
    };
    let units = pairs.iter().map(|pair| unit(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.map_err(|_| EncodingError::NotUtf16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_in_every_encoding_with_a_mark_or_without() {
        let text = "{\"é🚢\"}";
        let le = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = format!("\u{feff}{text}");
        let encoded: [Vec<u8>; 6] = [
            text.into(),
            marked.clone().into(),
            le(text),
            le(&marked),
            be(text),
            be(&marked),
        ];
        for bytes in encoded {
            assert_eq!(decode(bytes.clone()).as_deref(), Ok(text), "{bytes:?}");
        }
        assert_eq!(decode(Vec::new()).as_deref(), Ok(""));
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert_eq!(decode(b"ab\xff".to_vec()), Err(EncodingError::NotUtf8(2)));
        let odd = b"\xff\xfea\0b".to_vec();
        assert_eq!(decode(odd), Err(EncodingError::NotUtf16));
        let lone = b"\xff\xfe\x00\xd8".to_vec();
        assert_eq!(decode(lone), Err(EncodingError::NotUtf16));
        let utf_32 = b"\xff\xfe\0\0{\0\0\0".to_vec();
        assert_eq!(decode(utf_32), Err(EncodingError::Utf32));
        let gzip = b"\x1f\x8b\x08\0".to_vec();
        assert_eq!(decode(gzip), Err(EncodingError::Compressed));
    }
}
