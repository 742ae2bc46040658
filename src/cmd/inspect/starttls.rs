//! The few lines that come before TLS where a protocol begins without it.

use clap::ValueEnum;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A protocol that begins in the clear.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Protocol {
    /// RFC 3207
    Smtp,
    /// RFC 3501 section 6.2.1
    Imap,
    /// RFC 2595 section 4
    Pop3,
    /// SSLRequest
    Postgres,
}

/// Asks for TLS. Nothing is read behind the answer: what somebody in between had put there would stand inside TLS.
pub async fn ask(stream: &mut TcpStream, protocol: Protocol) -> std::io::Result<()> {
    match protocol {
        Protocol::Smtp => {
            reply(stream, "220").await?;
            stream.write_all(b"EHLO inspect.invalid\r\n").await?;
            reply(stream, "250").await?;
            stream.write_all(b"STARTTLS\r\n").await?;
            reply(stream, "220").await
        }
        Protocol::Imap => {
            line(stream).await?;
            stream.write_all(b"a STARTTLS\r\n").await?;
            while !expect(&line(stream).await?, "a OK", |line| line.starts_with('*'))? {}
            Ok(())
        }
        Protocol::Pop3 => {
            line(stream).await?;
            stream.write_all(b"STLS\r\n").await?;
            expect(&line(stream).await?, "+OK", |_| false).map(drop)
        }
        Protocol::Postgres => {
            // Its length, and the code 80877103.
            stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).await?;
            match stream.read_u8().await? {
                b'S' => Ok(()),
                _ => Err(std::io::Error::other("the server has no TLS")),
            }
        }
    }
}

/// The last line of a reply has a blank behind its code, those before it a hyphen.
async fn reply(stream: &mut TcpStream, code: &str) -> std::io::Result<()> {
    for _ in 0..LINES_MAX {
        let said = line(stream).await?;
        if expect(&said, &format!("{code} "), |line| line.starts_with(&format!("{code}-")))? {
            return Ok(());
        }
    }
    Err(std::io::Error::other("the server's reply has no end"))
}

/// Whether this is the line that was waited for; one that is neither that nor passed over is an error.
fn expect(said: &str, begins: &str, passed: impl Fn(&str) -> bool) -> std::io::Result<bool> {
    match said.starts_with(begins) {
        true => Ok(true),
        false if passed(said) => Ok(false),
        false => Err(std::io::Error::other(format!("the server said: {}", said.trim_end()))),
    }
}

async fn line(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while line.len() < LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        line.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Of one reply.
const LINES_MAX: usize = 100;
/// RFC 5321 allows 512.
const LINE_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that says one line after the other, each once it was asked.
    async fn asked(protocol: Protocol, says: &str) -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = async {
            let (mut stream, _) = listener.accept().await?;
            let first_asks = matches!(protocol, Protocol::Postgres);
            for (place, line) in says.split('|').enumerate() {
                if place > 0 || first_asks {
                    let mut asked = [0; 64];
                    let _asked = stream.read(&mut asked).await?;
                }
                stream.write_all(line.as_bytes()).await?;
            }
            Ok::<_, std::io::Error>(())
        };
        let client = async { ask(&mut TcpStream::connect(address).await?, protocol).await };
        let (served, asked) = tokio::join!(server, client);
        served.and(asked)
    }

    #[tokio::test]
    async fn tls_is_asked_for_as_each_protocol_has_it() {
        for (protocol, says, good) in [
            (Protocol::Smtp, "220 mail\r\n|250-mail\r\n250 STARTTLS\r\n|220 go\r\n", true),
            (Protocol::Smtp, "220 mail\r\n|250 mail\r\n|502 no\r\n", false),
            (Protocol::Imap, "* OK\r\n|* x\r\na OK go\r\n", true),
            (Protocol::Imap, "* OK\r\n|a BAD\r\n", false),
            (Protocol::Pop3, "+OK\r\n|+OK go\r\n", true),
            (Protocol::Postgres, "S", true),
            (Protocol::Postgres, "N", false),
        ] {
            assert_eq!(asked(protocol, says).await.is_ok(), good, "{protocol:?} {says:?}");
        }
    }
}
