//! The one key that logs in, behind the protocol of ssh-agent (draft-ietf-sshm-ssh-agent): ssh asks for signatures, and has no key.
//!
//! So it stands in no file, no argument and no environment. The socket lies in a folder of its own that nobody else enters, and ends with
//! the login.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use policy::Secret;
use signature::Signer as _;
use ssh_key::private::KeypairData;
use ssh_key::{PrivateKey, Signature};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// An agent with one key, for one login; it ends when it is dropped, and whatever came to it ends with it.
pub(super) struct Keeper {
    serves: JoinHandle<()>,
    asked: Arc<AtomicU8>,
}

/// What ssh wanted of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing, not even which it is: ssh asks that as soon as it believes the host.
    Nothing,
    /// Which it is, and no more: the host does not take it.
    Key,
    /// A signature, which it has.
    Signed,
    /// One that is not made here: the host takes the key all the same.
    InVain,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

impl Keeper {
    /// Begins to answer at a socket.
    ///
    /// # Errors
    /// In a sentence, without the key.
    pub fn begin(socket: &Path, private: &Secret<String>) -> Result<Keeper, String> {
        let key = PrivateKey::from_openssh(private.expose())
            .map_err(|_| "the version's private key is none of OpenSSH".to_owned())?;
        if key.is_encrypted() {
            return Err("the version's private key lies under a passphrase".to_owned());
        }
        let listener = UnixListener::bind(socket).map_err(|error| format!("no socket for ssh: {error}"))?;
        let (key, asked) = (Arc::new(key), Arc::new(AtomicU8::new(Asked::Nothing as u8)));
        let seen = Arc::clone(&asked);
        let serves = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                if connections.len() >= CONNECTIONS_MAX {
                    continue;
                }
                let (key, seen) = (Arc::clone(&key), Arc::clone(&seen));
                connections.spawn(async move {
                    let _ = serve(stream, &key, &seen).await;
                });
            }
        });
        Ok(Keeper { serves, asked })
    }

    /// What ssh wanted of it last.
    pub fn asked(&self) -> Asked {
        match self.asked.load(Ordering::Acquire) {
            KEY => Asked::Key,
            SIGNED => Asked::Signed,
            IN_VAIN => Asked::InVain,
            _ => Asked::Nothing,
        }
    }
}

async fn serve(mut stream: UnixStream, key: &PrivateKey, asked: &AtomicU8) -> io::Result<()> {
    loop {
        let length = stream.read_u32().await? as usize;
        if !(1..=MESSAGE_BYTES_MAX).contains(&length) {
            return Ok(());
        }
        let mut message = vec![0; length];
        stream.read_exact(&mut message).await?;
        let answer = answer(&message, key, asked).unwrap_or_else(|| vec![FAILURE]);
        let length = u32::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_u32(length).await?;
        stream.write_all(&answer).await?;
    }
}

/// None: it is refused.
fn answer(message: &[u8], key: &PrivateKey, asked: &AtomicU8) -> Option<Vec<u8>> {
    let (kind, rest) = message.split_first()?;
    let blob = key.public_key().to_bytes().ok()?;
    match *kind {
        REQUEST_IDENTITIES => {
            // A signature is more, whatever is asked behind it.
            asked.fetch_max(KEY, Ordering::AcqRel);
            let one = [&[IDENTITIES_ANSWER][..], &1u32.to_be_bytes()].concat();
            Some([one, string(&blob)?, string(b"")?].concat())
        }
        SIGN_REQUEST => {
            let (wanted, rest) = split(rest)?;
            let (data, _flags) = split(rest)?;
            if wanted != blob {
                return None;
            }
            let signature = sign(key, data);
            asked.store(if signature.is_some() { SIGNED } else { IN_VAIN }, Ordering::Release);
            let signature: Vec<u8> = signature?.try_into().ok()?;
            Some([vec![SIGN_RESPONSE], string(&signature)?].concat())
        }
        _ => None,
    }
}

/// Of the kinds of keys that are drawn here; of others it is known that they were asked for.
fn sign(key: &PrivateKey, data: &[u8]) -> Option<Signature> {
    match key.key_data() {
        KeypairData::Ed25519(pair) => pair.try_sign(data).ok(),
        KeypairData::Ecdsa(pair) => pair.try_sign(data).ok(),
        _ => None,
    }
}

fn string(bytes: &[u8]) -> Option<Vec<u8>> {
    Some([&u32::try_from(bytes.len()).ok()?.to_be_bytes()[..], bytes].concat())
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

const KEY: u8 = Asked::Key as u8;
const SIGNED: u8 = Asked::Signed as u8;
const IN_VAIN: u8 = Asked::InVain as u8;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// ssh has one at a time.
const CONNECTIONS_MAX: usize = 4;
/// What is signed at a login is some hundred bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use ssh_key::LineEnding;
    use ssh_key::private::Ed25519Keypair;

    use super::*;

    fn key() -> PrivateKey {
        let pair = Ed25519Keypair::from_seed(&[7; 32]);
        PrivateKey::new(KeypairData::Ed25519(pair), "deploy").unwrap()
    }

    fn begun(folder: &Path) -> (Keeper, std::path::PathBuf) {
        let socket = folder.join("agent");
        let private = Secret::new(key().to_openssh(LineEnding::LF).unwrap().to_string());
        (Keeper::begin(&socket, &private).unwrap(), socket)
    }

    #[tokio::test]
    async fn whoever_came_before_its_end_has_no_signature_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let (keeper, socket) = begun(folder.path());
        let asks = string(&[REQUEST_IDENTITIES]).unwrap();
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(&asks).await.unwrap();
        let length = stream.read_u32().await.unwrap();
        let mut answer = vec![0; length as usize];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((answer.first(), keeper.asked()), (Some(&IDENTITIES_ANSWER), Asked::Key));
        drop(keeper);
        // It may be closed already.
        let _ = stream.write_all(&asks).await;
        assert!(stream.read_u32().await.is_err(), "it goes on");
    }

    #[tokio::test]
    async fn no_more_come_to_it_than_a_login_needs() {
        let folder = tempfile::tempdir().unwrap();
        let (_keeper, socket) = begun(folder.path());
        let asks = string(&[REQUEST_IDENTITIES]).unwrap();
        let mut held = Vec::new();
        for nth in 0..=CONNECTIONS_MAX {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            let _ = stream.write_all(&asks).await;
            assert_eq!(stream.read_u32().await.is_ok(), nth < CONNECTIONS_MAX, "{nth}");
            held.push(stream);
        }
    }

    #[test]
    fn what_ssh_wanted_of_the_key_is_known() {
        let key = key();
        let asked = AtomicU8::new(Asked::Nothing as u8);
        let wanted = |message: &[u8]| (answer(message, &key, &asked).is_some(), asked.load(Ordering::Acquire));
        // Whatever else an agent may be asked.
        assert_eq!(wanted(&[27]), (false, Asked::Nothing as u8));
        assert_eq!(wanted(&[REQUEST_IDENTITIES]), (true, KEY));
        let blob = key.public_key().to_bytes().unwrap();
        let sign =
            |blob: &[u8]| [vec![SIGN_REQUEST], string(blob).unwrap(), string(b"data").unwrap(), vec![0; 4]].concat();
        assert_eq!(wanted(&sign(b"another")), (false, KEY));
        assert_eq!(wanted(&sign(&blob)), (true, SIGNED));
        assert_eq!(wanted(&[REQUEST_IDENTITIES]), (true, SIGNED));
    }
}
