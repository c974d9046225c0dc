//! The bytes' way to the server: a TCP or a unix socket that never blocks by itself.
//!
//! Invariant: a wait ends at the deadline that its caller names. So whatever reads or writes in
//! several steps, under one deadline, ends then, however slowly bytes drip.
//!
//! A socket is in its sink's list from its first moment on ([`Sockets`]).
//!
//! The server speaks first. One that is killed in the very moment in which a connection begins may
//! leave the client connected, by what the client's own kernel says, to nobody: its kernel forgets
//! the connection, resets nothing, and no word ever comes. So until the first bytes come the
//! client's kernel asks whether the connection is known (TCP's keepalive). The server's kernel
//! answers for a server that is merely slow, and resets what it does not know. Why is a silent
//! connection not left for another one instead? A server counts those that end before they have
//! begun, and blocks the host of too many (`max_connect_errors`). Once the client has spoken TCP
//! itself asks, until that is acknowledged. A unix socket is never connected to nobody.

use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{
    Timeout, set_socket_keepalive, set_socket_timeout, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_nodelay, socket_error,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    sendmsg, socket_with,
};

use crate::sink::mysql::socket::{ListedSocket, Sockets};

/// The pause before each question whether the connection is known. The shortest there is.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// Questions without an answer that end the connection. The most there are: the DSN says how long
/// a host is waited for.
const PROBES_MAX: u32 = 127;

/// What carries the bytes. Tests have one of their own, whose time is not the machine's.
pub trait Transport: fmt::Debug + Send {
    /// The time now.
    fn now(&self) -> Instant;

    /// Sends some bytes, and returns how many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`]: none could be sent until the deadline.
    fn send(&mut self, bytes: &[IoSlice<'_>], deadline: Instant) -> Result<usize>;

    /// Receives some bytes, and returns how many. 0: the peer has ended the connection. After the
    /// deadline it still returns what is there already.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TimedOut`]: none came until the deadline.
    fn receive(&mut self, room: &mut [u8], deadline: Instant) -> Result<usize>;
}

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    socket: ListedSocket,
    /// Nothing came yet, and the kernel asks whether the connection is known.
    is_probed: bool,
}

impl Socket {
    /// Connects to an address.
    pub fn over_tcp(address: SocketAddr, sockets: &Sockets, deadline: Instant) -> Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = sockets.open(|| socket_with(family, SocketType::STREAM, flags, None))?;
        set_tcp_nodelay(&socket, true)?;
        let socket = Self {
            // Where it cannot be had it is done without.
            is_probed: probe(&socket).is_ok(),
            socket,
        };
        match connect(&socket.socket, &address) {
            Ok(()) => {}
            // A signal leaves it under way.
            Err(Errno::INPROGRESS | Errno::INTR) => {
                socket.wait(PollFlags::OUT, deadline)?;
                socket_error(&socket.socket)??;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(socket)
    }

    /// Connects to a unix socket.
    pub fn over_unix(path: &str, sockets: &Sockets, deadline: Instant) -> Result<Self> {
        let address = SocketAddrUnix::new(path)?;
        let flags = SocketFlags::CLOEXEC;
        let socket = sockets.open(|| socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None))?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            // A server whose backlog is full would have it wait without end.
            set_socket_timeout(&socket, Timeout::Send, Some(left))?;
            match connect(&socket, &address) {
                Ok(()) => break,
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket,
            is_probed: false,
        })
    }

    /// Waits until the socket is ready for something.
    fn wait(&self, wanted: PollFlags, deadline: Instant) -> Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            let timeout = Timespec::try_from(left).map_err(Error::other)?;
            match poll(&mut [PollFd::new(&self.socket, wanted)], Some(&timeout)) {
                // Also for an error of the socket: the next call says which.
                Ok(1..) => return Ok(()),
                Ok(0) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Has the kernel ask whether the connection is known while nothing is said.
fn probe(socket: &ListedSocket) -> rustix::io::Result<()> {
    set_tcp_keepidle(socket, PROBE_PAUSE)?;
    set_tcp_keepintvl(socket, PROBE_PAUSE)?;
    set_tcp_keepcnt(socket, PROBES_MAX)?;
    set_socket_keepalive(socket, true)
}

impl Transport for Socket {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn send(&mut self, bytes: &[IoSlice<'_>], deadline: Instant) -> Result<usize> {
        loop {
            match sendmsg(
                &self.socket,
                bytes,
                &mut SendAncillaryBuffer::default(),
                SendFlags::NOSIGNAL,
            ) {
                Ok(sent) => return Ok(sent),
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn receive(&mut self, room: &mut [u8], deadline: Instant) -> Result<usize> {
        loop {
            match recv(&self.socket, &mut *room, RecvFlags::empty()) {
                Ok((received, _)) => {
                    if std::mem::take(&mut self.is_probed) {
                        set_socket_keepalive(&self.socket, false)?;
                    }
                    return Ok(received);
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, deadline)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    /// A path that no other test has.
    fn path(name: &str) -> String {
        let path = std::env::temp_dir().join(format!("write-buffer-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path.to_string_lossy().into_owned()
    }

    fn round_trip(mut socket: Socket, mut peer: impl io::Read + io::Write) {
        let mut room = [0; 16];
        let error = socket.receive(&mut room, soon()).expect_err("nothing came");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let parts = [IoSlice::new(b"he"), IoSlice::new(b"llo")];
        assert_eq!(socket.send(&parts, later()).expect("sent"), 5);
        let mut heard = [0; 5];
        peer.read_exact(&mut heard).expect("five bytes");
        assert_eq!(&heard, b"hello");
        peer.write_all(b"ok").expect("an answer");
        assert_eq!(socket.receive(&mut room, later()).expect("received"), 2);
        // A peer that does not read.
        let error = loop {
            if let Err(error) = socket.send(&[IoSlice::new(&[0; 4_096])], soon()) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(peer);
        // What it had not read makes it a reset, on some sockets.
        let ended = socket.receive(&mut room, later());
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        assert!(socket.send(&[IoSlice::new(b"x")], later()).is_err(), "and no signal");
    }

    #[test]
    fn bytes_go_both_ways_and_waits_end() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let sockets = Sockets::default();
        let socket = Socket::over_tcp(address, &sockets, later()).expect("connected");
        round_trip(socket, listener.accept().expect("accepted").0);
        let path = path("both-ways");
        let listener = UnixListener::bind(&path).expect("a path");
        let socket = Socket::over_unix(&path, &sockets, later()).expect("connected");
        round_trip(socket, listener.accept().expect("accepted").0);
        let _ = std::fs::remove_file(&path);
        let error = Socket::over_unix(&path, &sockets, later()).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(sockets.take().count(), 0, "all are closed");
    }

    /// It takes the connection, and says nothing: its kernel answers for it.
    #[test]
    fn a_server_that_is_slow_to_speak_is_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut socket = Socket::over_tcp(address, &Sockets::default(), later()).expect("connected");
        let is_probed = |socket: &Socket| rustix::net::sockopt::socket_keepalive(&socket.socket).expect("an option");
        assert!(is_probed(&socket));
        let mut room = [0; 16];
        let error = socket
            .receive(&mut room, Instant::now() + PROBE_PAUSE * 5 / 2)
            .expect_err("nothing came");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "it is not lost");
        let (mut peer, _) = listener.accept().expect("accepted");
        io::Write::write_all(&mut peer, b"hello").expect("five bytes");
        assert_eq!(socket.receive(&mut room, later()).expect("received"), 5);
        assert!(!is_probed(&socket), "a session that is idle sends nothing");
    }

    #[test]
    fn a_port_at_which_nobody_listens_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let sockets = Sockets::default();
        let error = Socket::over_tcp(address, &sockets, later()).expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(sockets.take().count(), 0, "it is closed");
    }

    #[test]
    fn a_server_that_accepts_nobody_is_not_waited_for() {
        let path = path("full");
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).expect("a path")).expect("bound");
        rustix::net::listen(&listener, 0).expect("listening");
        let mut waiting = Vec::new();
        let error = loop {
            match Socket::over_unix(&path, &Sockets::default(), soon()) {
                Ok(socket) => waiting.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let _ = std::fs::remove_file(&path);
    }
}
