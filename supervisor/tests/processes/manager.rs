//! P50: what a service manager hears, and the unit it reads.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::stage::Stage;

/// What arrived, until `last` did.
fn heard(socket: &UnixDatagram, last: &str) -> Vec<String> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 512];
    while all.last().is_none_or(|word| word != last) {
        let length =
            socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {last} after {all:?}: {error}"));
        all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    all
}

#[test]
fn p50_a_service_manager_hears_ready_status_watchdog_and_stopping() {
    for abstract_name in [false, true] {
        let mut stage = Stage::sleepers(&["a", "b"]);
        let path = stage.file("notify.sock");
        let name = format!("tachi-{}-{}", std::process::id(), stage.token);
        let (address, named) = match abstract_name {
            true => (SocketAddr::from_abstract_name(&name).unwrap(), format!("@{name}")),
            false => (SocketAddr::from_pathname(&path).unwrap(), path.display().to_string()),
        };
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        stage.up_environment(&[("NOTIFY_SOCKET", &named), ("WATCHDOG_USEC", "100000")]);
        let first = heard(&socket, "STATUS=2 of 2 ready");
        assert_eq!(first[0], "READY=1");
        assert_eq!(heard(&socket, "WATCHDOG=1").len(), 1, "an idle loop goes round as well");
        assert!(heard(&socket, "WATCHDOG=1").len() == 1);
        let environment = std::fs::read_to_string(format!("/proc/{}/environ", stage.pid("a"))).unwrap();
        assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"));
        stage.ask(&["down"]);
        let last = heard(&socket, "STATUS=ending");
        assert!(last.contains(&"STOPPING=1".to_owned()), "{last:?}");
        assert_eq!(stage.ended(), Some(0));
    }
}

#[test]
fn p50_the_watchdog_of_another_process_is_not_fed() {
    let mut stage = Stage::sleepers(&["a"]);
    let socket = UnixDatagram::bind(stage.file("s")).unwrap();
    let path = stage.file("s").display().to_string();
    stage.up_environment(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    let words = heard(&socket, "STATUS=1 of 1 ready");
    assert!(!words.contains(&"WATCHDOG=1".to_owned()), "{words:?}");
}

#[test]
fn p50_the_unit_runs_what_up_would_run_and_waits_longer_than_the_longest_end() {
    let stage = Stage::new(
        "[[instances]]\nid = \"db\"\ncommand = [\"sleep\", \"TOKEN\"]\ngrace = \"40s\"\n\
         [[instances]]\nid = \"app\"\ncommand = [\"sleep\", \"TOKEN\"]\nneeds = [\"db\"]\ngrace = \"5s\"\n",
    );
    let config = stage.file("tachi.toml").display().to_string();
    let output = stage.tachi(&["unit", "--config", &config, "--goal", "50% done"]);
    let unit = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    let line = |key: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")))
            .unwrap_or_else(|| panic!("no {key} in {unit}"))
    };
    for (key, value) in [
        ("Type", "notify"),
        ("WatchdogSec", "30"),
        ("Restart", "always"),
        ("RestartSec", "1"),
        ("StartLimitIntervalSec", "0"),
        ("KillMode", "process"),
        ("Delegate", "yes"),
        ("TimeoutStopSec", "60"),
    ] {
        assert_eq!(line(key), value, "{key}");
    }
    let start = line("ExecStart");
    assert!(start.contains(" up --state /") && start.ends_with("--keep-stop"), "{start}");
    assert!(
        start.contains("--goal \"50%% done\"") && start.contains(&format!("--config {config}")),
        "{start}"
    );
    let shipped =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../infrastructure/tachi.service"))
            .unwrap();
    let fixed = |text: &str| -> Vec<String> {
        let own = ["WorkingDirectory=", "ExecStart=", "TimeoutStopSec=", "WantedBy=", "Environment=", "#"];
        let kept =
            text.lines().filter(|line| !line.is_empty() && !own.iter().any(|own| line.starts_with(own)));
        kept.map(str::to_owned).collect()
    };
    assert_eq!(fixed(&shipped), fixed(&unit), "the shipped unit says the same");
    assert!(!stage.state().exists(), "printing a unit made something");
}
