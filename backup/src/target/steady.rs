//! A place that takes what is written in a thread of its own, so that one that takes nothing more can be left.
//!
//! Whoever reads the register waits here and never in the system: a pipe that nobody reads, a folder whose server hangs would keep the
//! moment that is read, and with it the register's write-ahead log, for as long as they please.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// Handed over at a time: a place that takes less of it within its patience stands still.
const PIECE_BYTES: usize = 64 << 10;
/// So many are on their way.
const PIECES_MAX: usize = 16;
/// While nothing is taken, and while all is: so often whoever writes looks whether he may go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether the writing may go on: asked about each second.
pub(crate) type GoesOn = Box<dyn Fn() -> io::Result<()>>;

/// A place, in its thread.
pub(crate) struct Steady<W> {
    pieces: Option<Sender<Piece>>,
    heard: Receiver<Heard<W>>,
    /// Handed over, and not taken yet.
    under_way: usize,
    patience: Duration,
    goes_on: GoesOn,
    looked: Instant,
    /// It takes nothing more, and nobody waits for it.
    is_left: bool,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

enum Heard<W> {
    Took,
    Broke(io::Error),
    Back(W),
}

impl<W: Write + Send + 'static> Steady<W> {
    /// Begins to write; it is broken off where nothing is taken for `patience`, and where `goes_on` says so.
    pub(crate) fn begin(to: W, patience: Duration, goes_on: GoesOn) -> io::Result<Steady<W>> {
        let ((pieces, come), (says, heard)) = (channel(), channel());
        // A bucket is asked within the runtime of whoever makes the backup.
        let runtime = Handle::try_current().ok();
        let work = move || {
            let _entered = runtime.as_ref().map(Handle::enter);
            write(to, &come, &says);
        };
        std::thread::Builder::new().name("backup-to".to_owned()).spawn(work)?;
        let looked = Instant::now();
        Ok(Steady { pieces: Some(pieces), heard, under_way: 0, patience, goes_on, looked, is_left: false })
    }

    /// The place, once it has taken everything.
    pub(crate) fn back(mut self) -> io::Result<W> {
        self.hand(Piece::End)?;
        loop {
            if let Some(to) = self.hear()? {
                return Ok(to);
            }
        }
    }
}

impl<W> Steady<W> {
    fn hand(&mut self, piece: Piece) -> io::Result<()> {
        let is_handed = self.pieces.as_ref().is_some_and(|pieces| pieces.send(piece).is_ok());
        if is_handed {
            return Ok(());
        }
        // It broke, and said why.
        loop {
            self.hear()?;
        }
    }

    /// Waits for what it says next.
    fn hear(&mut self) -> io::Result<Option<W>> {
        let since = Instant::now();
        loop {
            match self.heard.recv_timeout(LOOK_EVERY.min(self.patience)) {
                Ok(Heard::Took) => {
                    self.under_way = self.under_way.saturating_sub(1);
                    return Ok(None);
                }
                Ok(Heard::Back(to)) => return Ok(Some(to)),
                Ok(Heard::Broke(error)) => return Err(error),
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("its writing broke off")),
                Err(RecvTimeoutError::Timeout) => {
                    self.look()?;
                    if since.elapsed() >= self.patience {
                        self.is_left = true;
                        let says = format!("nothing was taken there for {} s", self.patience.as_secs());
                        return Err(io::Error::new(io::ErrorKind::TimedOut, says));
                    }
                }
            }
        }
    }

    fn look(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        (self.goes_on)()
    }
}

impl<W> Write for Steady<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.look()?;
        }
        while self.under_way >= PIECES_MAX {
            self.hear()?;
        }
        let piece = bytes.get(..PIECE_BYTES.min(bytes.len())).unwrap_or_default();
        self.hand(Piece::Bytes(piece.to_vec()))?;
        self.under_way += 1;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.under_way > 0 {
            self.hear()?;
        }
        Ok(())
    }
}

/// Of what broke off nothing is left there when this returns, unless it takes nothing more.
impl<W> Drop for Steady<W> {
    fn drop(&mut self) {
        self.pieces = None;
        let until = Instant::now() + self.patience;
        while !self.is_left {
            match self.heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => self.is_left = true,
            }
        }
    }
}

/// The thread. Whoever left it is not heard any more.
fn write<W: Write>(mut to: W, come: &Receiver<Piece>, says: &Sender<Heard<W>>) {
    while let Ok(piece) = come.recv() {
        let done = match piece {
            Piece::Bytes(bytes) => to.write_all(&bytes),
            Piece::End => match to.flush() {
                Ok(()) => return drop(says.send(Heard::Back(to))),
                Err(error) => Err(error),
            },
        };
        let heard = done.map_or_else(Heard::Broke, |()| Heard::Took);
        let is_over = matches!(heard, Heard::Broke(_));
        if says.send(heard).is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing for as long as the other end is there.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A disk that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(28))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn until_it_breaks(steady: &mut Steady<impl Write + Send + 'static>) -> io::Error {
        loop {
            if let Err(error) = steady.write(&[0; PIECE_BYTES]) {
                return error;
            }
        }
    }

    #[test]
    fn a_place_that_takes_nothing_is_left() {
        let (lets_go, stuck) = channel();
        let mut steady = Steady::begin(Stuck(stuck), Duration::from_millis(20), Box::new(|| Ok(()))).unwrap();
        let said = until_it_breaks(&mut steady);
        assert_eq!(said.kind(), io::ErrorKind::TimedOut);
        assert!(said.to_string().contains("nothing was taken"), "{said}");
        drop(lets_go);
    }

    #[test]
    fn whoever_may_not_go_on_does_not_wait_for_the_place() {
        let (lets_go, stuck) = channel();
        let no = || -> io::Result<()> { Err(io::Error::new(io::ErrorKind::TimedOut, "the log is long")) };
        let mut steady = Steady::begin(Stuck(stuck), Duration::from_secs(86_400), Box::new(no)).unwrap();
        assert_eq!(until_it_breaks(&mut steady).to_string(), "the log is long");
        drop(lets_go);
    }

    #[test]
    fn what_is_written_arrives_in_its_order_and_what_the_place_said_is_told() {
        let bytes: Vec<u8> = (0..3 * PIECE_BYTES * PIECES_MAX).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut steady = Steady::begin(Vec::new(), Duration::from_secs(60), Box::new(|| Ok(()))).unwrap();
        steady.write_all(&bytes).unwrap();
        assert!(steady.back().unwrap() == bytes);
        let mut full = Steady::begin(Full, Duration::from_secs(60), Box::new(|| Ok(()))).unwrap();
        assert_eq!(until_it_breaks(&mut full).raw_os_error(), Some(28));
    }
}
