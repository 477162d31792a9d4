//! P64: the example with eight gateways, with real small servers behind it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use super::stage::{Stage, signal};

fn infrastructure() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infrastructure")
}

/// The example with ports of this test's own; `None` without python3, told as a skip.
fn eight() -> Option<Stage> {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        let why = "gateways: the example's servers are python3's, which is not installed";
        eprintln!("skipped: {why}");
        if let Some(skips) = std::env::var_os("TACHI_SKIPS") {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(skips).unwrap();
            file.write_all(format!("{why}\n").as_bytes()).unwrap();
        }
        return None;
    }
    let text = fs::read_to_string(infrastructure().join("gateways/tachi.toml")).unwrap();
    let base = 23_000 + (std::process::id() % 400) * 40;
    let text = text.replace("port_base = 18800", &format!("port_base = {base}"));
    let (_, fleet) = text.split_once("[fleet]\n").unwrap();
    let stage = Stage::at(tempfile::tempdir().unwrap(), None, fleet);
    fs::copy(infrastructure().join("gateways/shared.env"), stage.file("shared.env")).unwrap();
    Some(stage)
}

/// The environment an instance runs with.
fn environment(stage: &Stage, id: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{}/environ", stage.pid(id))).unwrap();
    bytes.split(|byte| *byte == 0).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect()
}

fn port(stage: &Stage, id: &str) -> u16 {
    let all = environment(stage, id);
    all.iter().find_map(|pair| pair.strip_prefix("TACHI_PORT=")).unwrap().parse().unwrap()
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = String::new();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.0 200")
}

/// `cluster.sh` with the programs under test where it looks for them.
fn cluster(stage: &Stage, arguments: &[&str]) -> Output {
    let built = stage.file("target/release");
    if !built.exists() {
        fs::create_dir_all(&built).unwrap();
        symlink(env!("CARGO_BIN_EXE_tachi"), built.join("tachi")).unwrap();
    }
    let mut command = Command::new(infrastructure().join("cluster.sh"));
    command.args(arguments).current_dir(stage.file("work"));
    command.env("CARGO_TARGET_DIR", stage.file("target")).env("TACHI_STATE_DIR", stage.state());
    command.output().unwrap()
}

#[test]
fn p64_eight_gateways_four_ports_apart_answer_and_obey_the_cluster_script() {
    let Some(mut stage) = eight() else { return };
    stage.up_and_ready(8);
    let ids: Vec<String> = (1..=8).map(|k| format!("gateway_{k}")).collect();
    let ports: Vec<u16> = ids.iter().map(|id| port(&stage, id)).collect();
    for pair in ports.windows(2) {
        assert!(pair[1] > pair[0] && (pair[1] - pair[0]).is_multiple_of(4), "{ports:?}");
    }
    assert!(ports.iter().all(|port| answers(*port)), "ready means that it answers");
    let own = environment(&stage, "gateway_5");
    for pair in ["GATEWAY=gateway_5", "GREETING=one of eight", "TACHI_INSTANCE_ROLE=gateway"] {
        assert!(own.iter().any(|other| other == pair), "{pair} is missing in {own:?}");
    }

    signal(stage.pid("gateway_3"), "KILL");
    stage.wait("gateway_3 answers again on its port", |stage| {
        let row = stage.row("gateway_3");
        (row["incarnation"] == 2 && row["status"] == "ready" && answers(ports[2])).then_some(())
    });

    let status = cluster(&stage, &["status"]);
    assert_eq!(String::from_utf8_lossy(&status.stdout).matches(" ready ").count(), 8, "{status:?}");
    for (arguments, said) in [
        (&["stop", "gateway_8"][..], "stopped gateway_8"),
        (&["start", "gateway_8"], "started gateway_8"),
        (&["restart", "gateway_1"], "restarted gateway_1"),
        (&["logs", "gateway_1"], "GET / HTTP/1.0"),
    ] {
        let output = cluster(&stage, arguments);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && shown.contains(said), "{arguments:?}: {output:?}");
    }
    let rolled = stage.tachi(&["rolling", "gateway"]);
    assert!(rolled.status.success(), "{rolled:?}");
    assert!(
        ports.iter().all(|port| answers(*port)),
        "every successor answers on the port of its predecessor"
    );
    let output = cluster(&stage, &["stop"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stage.ended(), Some(0));
    assert_eq!(stage.survivors(), [""; 0]);
    assert!(!ports.iter().any(|port| answers(*port)));
}

#[test]
fn p64_a_port_of_somebody_else_is_passed_over() {
    let Some(mut stage) = eight() else { return };
    let text = fs::read_to_string(stage.file("tachi.toml")).unwrap();
    let base: u16 =
        text.lines().find_map(|line| line.strip_prefix("port_base = ")).unwrap().trim().parse().unwrap();
    // The one behind the first: `port_also` asks for it.
    let _stranger = std::net::TcpListener::bind(("127.0.0.1", base + 401)).unwrap();
    fs::write(stage.file("tachi.toml"), text.replace(&base.to_string(), &(base + 400).to_string())).unwrap();
    stage.up_and_ready(8);
    assert_eq!(port(&stage, "gateway_1"), base + 404);
    stage.ask(&["down"]);
}
