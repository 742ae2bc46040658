//! How a form is written: byte by byte, or character by character, into room that is taken at once. A text that grows would leave
//! copies of what it held.

/// Each byte as `write` has it, which is told where it stands.
pub fn written(value: &[u8], mut write: impl FnMut(usize, u8, &mut Vec<u8>)) -> Vec<u8> {
    let mut made = Vec::with_capacity(value.len() * WIDEST);
    value.iter().enumerate().for_each(|(at, byte)| write(at, *byte, &mut made));
    made
}

/// Each character as `write` has it.
pub fn spelled(text: &str, mut write: impl FnMut(char, &mut Vec<u8>)) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len() * WIDEST);
    text.chars().for_each(|letter| write(letter, &mut made));
    made
}

/// A character as it is.
pub fn plain(letter: char, made: &mut Vec<u8>) {
    made.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// With these bytes written otherwise.
pub fn replaced(value: &[u8], otherwise: &[(u8, &str)]) -> Vec<u8> {
    written(value, |_, byte, made| match otherwise.iter().find(|(from, _)| *from == byte) {
        Some((_, to)) => made.extend_from_slice(to.as_bytes()),
        None => made.push(byte),
    })
}

/// With a backslash before each of these.
pub fn backslashed(value: &[u8], special: &[u8]) -> Vec<u8> {
    written(value, |_, byte, made| {
        if special.contains(&byte) {
            made.push(b'\\');
        }
        made.push(byte);
    })
}

/// The most that one byte becomes in any form: six, as `\u0001` and `&quot;`.
const WIDEST: usize = 6;
