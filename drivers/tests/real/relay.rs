//! A line that breaks at the worst moment: what was asked arrives, or does not, and the answer never comes.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What becomes of a message that has these bytes.
#[derive(Clone)]
pub enum Fate {
    /// It arrives, and the line breaks before the answer.
    Arrives,
    /// The line breaks before it arrives.
    Lost,
    /// It arrives, and the answer is held back until somebody lets it go.
    Held(Arc<Hold>),
}

/// An answer that is held back.
#[derive(Default)]
pub struct Hold {
    /// Told once it is there.
    pub is_there: Notify,
    /// Lets it go.
    pub goes_on: Notify,
}

/// A relay to a loopback port; its own port. It ends with the runtime.
pub async fn relay(to: u16, word: &str, fate: Fate) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let word: Arc<[u8]> = word.as_bytes().into();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, to, Arc::clone(&word), fate.clone()));
        }
    });
    port
}

async fn carry(mut client: TcpStream, to: u16, word: Arc<[u8]>, fate: Fate) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            n = client.read(&mut up) => {
                let n = n?;
                if n == 0 {
                    return Ok(());
                }
                let is_it = up[..n].windows(word.len()).any(|window| window == &*word);
                if is_it && matches!(&fate, Fate::Lost) {
                    return Ok(());
                }
                server.write_all(&up[..n]).await?;
                if is_it {
                    // The answer is waited for, so that it has happened, and kept back.
                    let n = server.read(&mut down).await?;
                    let Fate::Held(hold) = &fate else { return Ok(()) };
                    hold.is_there.notify_one();
                    hold.goes_on.notified().await;
                    client.write_all(&down[..n]).await?;
                }
            }
            n = server.read(&mut down) => {
                let n = n?;
                if n == 0 {
                    return Ok(());
                }
                client.write_all(&down[..n]).await?;
            }
        }
    }
}
