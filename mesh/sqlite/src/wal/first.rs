//! Reads from a `-wal` file how many commits there were when it began.
//!
//! Each commit writes its number into page 1, so the first copy of page 1 in the file has the number
//! that the database file had then, or the next one. The format:
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use crate::commits::{Commits, NUMBER_AT};

const HEADER: u64 = 32;
const PAGE_SIZE_AT: usize = 8;
const SALTS_AT: usize = 16;

const FRAME_HEADER: u64 = 24;
const FRAME_SALTS_AT: usize = 8;

/// The number in the first copy of page 1 in the `-wal` file at `path`; `None` if there is none, or
/// the file begins anew while it is read.
pub(super) fn number(path: &Path) -> Option<Commits> {
    let file = File::open(path).ok()?;
    let header = bytes::<{ HEADER as usize }>(&file, 0)?;
    let page_size = u64::from(integer(&header, PAGE_SIZE_AT)?);
    let mut at = HEADER;
    loop {
        let frame = bytes::<{ FRAME_HEADER as usize }>(&file, at)?;
        // What follows is left of an earlier content.
        if frame.get(FRAME_SALTS_AT..)?.first_chunk::<8>()
            != header.get(SALTS_AT..)?.first_chunk::<8>()
        {
            return None;
        }
        if integer(&frame, 0)? == 1 {
            let field = bytes::<4>(&file, at + FRAME_HEADER + NUMBER_AT as u64)?;
            let is_same = bytes(&file, 0)? == header;
            return is_same.then(|| Commits::from_field(i32::from_be_bytes(field)));
        }
        at += FRAME_HEADER + page_size;
    }
}

fn bytes<const N: usize>(file: &File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

fn integer(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
