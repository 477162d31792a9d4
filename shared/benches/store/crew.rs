//! Processes of this very program that wait for each other, work at once, and say one line.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Several children, started and ready.
pub(crate) struct Crew(Vec<(Child, BufReader<ChildStdout>)>);

impl Crew {
    /// Starts one child for each of the argument lists and waits until all have said READY.
    pub(crate) fn start(arguments: impl Iterator<Item = Vec<String>>) -> Self {
        let start = |arguments: Vec<String>| {
            let mut child = Command::new(env::current_exe().expect("this program"))
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a child");
            let said = BufReader::new(child.stdout.take().expect("a pipe"));
            (child, said)
        };
        let mut crew: Vec<_> = arguments.map(start).collect();
        for (_, said) in &mut crew {
            let mut line = String::new();
            said.read_line(&mut line).expect("READY");
            assert_eq!(line, "READY\n", "a child did not start");
        }
        Self(crew)
    }

    /// Lets all of them begin.
    pub(crate) fn go(&mut self) {
        for (child, _) in &mut self.0 {
            child.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("started");
        }
    }

    /// What each says at its end: numbers.
    pub(crate) fn finish(mut self) -> Vec<Vec<u64>> {
        let mut told = Vec::new();
        for (child, said) in &mut self.0 {
            let mut line = String::new();
            said.read_line(&mut line).expect("a result");
            assert!(child.wait().expect("ended").success(), "a child failed");
            told.push(line.split_whitespace().map(|word| word.parse().expect("a number")).collect());
        }
        told
    }
}

/// In a child: ready, waits for the start signal.
pub(crate) fn ready() {
    println!("READY");
    std::io::stdin().read_line(&mut String::new()).expect("the start signal");
}

/// In a child: its result.
pub(crate) fn tell(numbers: &[u64]) {
    println!("{}", numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
}
