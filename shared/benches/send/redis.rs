//! Redis as a peer: a server of our own on loopback, and a client of a few lines that speaks its protocol on a socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(10);

/// Whether there is a server to start.
pub(crate) fn is_installed() -> bool {
    Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// A server, until it is dropped.
pub(crate) struct Server {
    child: Child,
    _dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Server {
    /// Starts an empty one in a folder of its own in `dir`; `fsync` is `everysec` or `always`.
    pub(crate) fn start(dir: &Path, fsync: &str) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let own = tempfile::tempdir_in(dir).expect("a folder");
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--daemonize", "no"])
            .args(["--appendfsync", fsync, "--port", &port.to_string(), "--dir"])
            .arg(own.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server");
        let deadline = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, _dir: own, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        stream.set_nodelay(true).expect("a socket option");
        Self { stream: BufReader::new(stream) }
    }

    /// One command; every text of its answer, in order.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Vec<Vec<u8>> {
        self.pipeline(words, 1)
    }

    /// The same command several times in one write; every text of all answers, in order.
    pub(crate) fn pipeline(&mut self, words: &[&[u8]], count: usize) -> Vec<Vec<u8>> {
        let bytes = encoded(words).repeat(count);
        self.stream.get_mut().write_all(&bytes).expect("sent");
        let mut texts = Vec::new();
        (0..count).for_each(|_| self.reply(&mut texts));
        texts
    }

    fn reply(&mut self, texts: &mut Vec<Vec<u8>>) {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        let (kind, rest) = line.trim_end().split_at(1);
        let count = || rest.parse::<i64>().expect("a length");
        match kind {
            "$" if count() >= 0 => {
                let mut bytes = vec![0; usize::try_from(count()).expect("a length") + 2];
                self.stream.read_exact(&mut bytes).expect("bytes");
                bytes.truncate(bytes.len() - 2);
                texts.push(bytes);
            }
            "*" => (0..count()).for_each(|_| self.reply(texts)),
            "-" => panic!("redis: {rest}"),
            _ => {}
        }
    }
}

fn encoded(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
