//! An object that is read piece by piece.

use std::io::{self, Read};

use reqwest::Response;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::line::{ANSWER_MAX, broken};

/// What comes of an object. Blocks: read it off the async threads, within a runtime.
pub(super) struct Download {
    answer: Response,
    piece: Vec<u8>,
    at: usize,
}

impl Download {
    /// Of an answer that said yes.
    pub fn new(answer: Response) -> Download {
        Download { answer, piece: Vec::new(), at: 0 }
    }

    fn more(&mut self) -> io::Result<Option<Vec<u8>>> {
        let answer = &mut self.answer;
        match Handle::current().block_on(async { timeout(ANSWER_MAX, answer.chunk()).await }) {
            Ok(Ok(piece)) => Ok(piece.map(|piece| piece.to_vec())),
            Ok(Err(error)) => Err(io::Error::other(broken(error))),
            Err(_) => Err(io::Error::other(format!("the store sent nothing more for {} s", ANSWER_MAX.as_secs()))),
        }
    }
}

impl Read for Download {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // A piece may be empty, and is no end.
        while self.at >= self.piece.len() {
            match self.more()? {
                Some(piece) => (self.piece, self.at) = (piece, 0),
                None => return Ok(0),
            }
        }
        let there = self.piece.get(self.at..).unwrap_or_default();
        let count = there.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..count), there.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}
