//! A slow network: a relay in this process that passes every byte on after a delay. It looks into
//! none of them, so it serves TLS too. What is sent meanwhile is delayed beside it, not after it.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::machine::variable;

const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that are under way, in each direction. More than fit in a round trip.
const CHUNKS: usize = 256;

/// The relay in front of the server. Its threads end with this process.
#[derive(Debug)]
pub struct SlowNetwork {
    port: u16,
}

impl SlowNetwork {
    /// Starts it, with a delay in each direction.
    pub fn start(delay: Duration) -> Result<Self> {
        let server = format!("{}:{}", variable("DB_HOST")?, variable("DB_PORT")?);
        Self::before(server, delay)
    }

    fn before(server: String, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for the slow network")?;
        let port = listener.local_addr().context("the slow network's port")?.port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client whose server is not there, or that is gone, sees a connection that ends.
                let _ = relay(&client, &server, delay);
            }
        });
        Ok(Self { port })
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn relay(client: &TcpStream, server: &str, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    one_way(client.try_clone()?, server.try_clone()?, delay);
    one_way(server, client.try_clone()?, delay);
    Ok(())
}

fn one_way(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::sync_channel(CHUNKS);
    thread::spawn(move || take(from, &sender, delay));
    thread::spawn(move || pass(&receiver, to));
}

/// Notes when each chunk is due. It ends when its side does.
fn take(mut from: TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let bytes = chunk.get(..length).unwrap_or_default().to_vec();
        if sender.send((Instant::now() + delay, bytes)).is_err() {
            break;
        }
    }
}

fn pass(receiver: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, bytes) in receiver {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(20);

    #[test]
    fn every_byte_arrives_and_not_before_its_time() -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server = listener.local_addr()?.to_string();
        let echo = thread::spawn(move || -> io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut bytes = [0; 4];
            while stream.read_exact(&mut bytes).is_ok() {
                stream.write_all(&bytes)?;
            }
            Ok(())
        });
        let network = SlowNetwork::before(server, DELAY)?;
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, network.port()))?;
        let mut answer = [0; 4];
        for _ in 0..2 {
            let begun = Instant::now();
            client.write_all(b"what")?;
            client.read_exact(&mut answer)?;
            assert_eq!(&answer, b"what");
            assert!(begun.elapsed() >= 2 * DELAY);
        }
        client.shutdown(Shutdown::Write)?;
        assert_eq!(client.read(&mut answer)?, 0);
        drop(client);
        assert!(echo.join().is_ok_and(|ended| ended.is_ok()));
        Ok(())
    }
}
