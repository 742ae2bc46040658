//! The socket: for its owner and root alone from its first moment, gone with us, and over nothing but what a killed one of ours left.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream as Connection};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{UnixListener, UnixStream};

use super::{SOCKET_PATH_BYTES_MAX, fits};
use crate::client::variable;
use crate::failure::{Exit, Failure, OrFail};
use crate::files::shown;

/// It listens while this lives.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Takes the path. A socket there at which nobody listens goes; anything else stays, and is said.
    pub fn bind(path: &Path) -> Result<Socket, Failure> {
        let said = || format!("cannot listen on {}", shown(path));
        if !fits(path) {
            let says = format!("{}: its path has more than {SOCKET_PATH_BYTES_MAX} bytes", said());
            return Err(Failure::new(Exit::Usage, says));
        }
        if let Ok(there) = path.symlink_metadata() {
            let is_left = there.file_type().is_socket()
                && Connection::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
            if !is_left {
                return Err(
                    Failure::new(Exit::Failed, said()).since("something stands there that is in use, or no socket")
                );
            }
            std::fs::remove_file(path).or_fail(said())?;
        }
        umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let listener = UnixListener::bind(path).or_fail(said())?;
        Ok(Socket { listener, path: path.to_owned() })
    }

    /// The next connection, and the abstract name of its other end, where it has one.
    pub async fn accept(&self) -> io::Result<(UnixStream, Option<Vec<u8>>)> {
        let (stream, _) = self.listener.accept().await?;
        // Asked of the connection: what `accept` says of its address knows no abstract names.
        let name = stream.peer_addr().ok().and_then(|address| address.as_abstract_name().map(<[u8]>::to_vec));
        Ok((stream, name))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Tells systemd that units may start that need us (sd_notify(3), `Type=notify`); whoever else started us has asked for nothing.
pub fn ready() {
    let Some(place) = variable("NOTIFY_SOCKET") else { return };
    let told = || {
        let address = match place.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&place)?,
        };
        UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address)
    };
    if let Err(error) = told() {
        tracing::warn!(%error, "systemd was not told that this is ready");
    }
}
