//! A systemd unit for a fleet — pure. Why each line is as it is stands in the unit, where its reader needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::settings::{Settings, Spec};

/// What the unit is for.
#[derive(Debug, Clone)]
pub struct Unit<'a> {
    /// Our own program.
    pub program: &'a Path,
    /// Its arguments, `up` first.
    pub arguments: &'a [String],
    /// Where it runs.
    pub cwd: &'a Path,
    /// Started by the system rather than by a user's manager.
    pub system: bool,
    /// What it runs.
    pub settings: &'a Settings,
}

/// Beyond the longest end of the fleet: writing down what came of it.
const MARGIN: Duration = Duration::from_secs(15);

/// The unit.
#[must_use]
pub fn text(unit: &Unit<'_>) -> String {
    let line = std::iter::once(unit.program.display().to_string()).chain(unit.arguments.iter().cloned());
    let line: Vec<String> = line.map(|word| quoted(&word)).collect();
    let (manager, folder, target) = match unit.system {
        true => ("systemctl", "/etc/systemd/system", "multi-user.target"),
        false => ("systemctl --user", "~/.config/systemd/user", "default.target"),
    };
    format!(
        "# tachi unit > {folder}/tachi.service && {manager} daemon-reload && {manager} enable --now tachi
[Unit]
Description=Tachi, a team of processes
After=network.target
# The supervisor limits the restarts of its instances; two limits on top of each other would multiply.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
WorkingDirectory={cwd}
# --keep-stop: a latched stop survives a reboot; only a person clears it.
ExecStart={line}
# Its one loop tells that it goes round; who hangs is ended and started again.
WatchdogSec=30
# Also after `tachi down`: end it with `{manager} stop tachi`, or hold it with `tachi pause --all`.
Restart=always
RestartSec=1
# 2 = wrong configuration, 7 = another supervisor has the directory: trying again does not help.
RestartPreventExitStatus=2 7
# More than the longest end of this fleet.
TimeoutStopSec={stop}
# Only the supervisor is signalled, and it ends its instances. When it dies alone they go on, and the next start adopts
# them without losing a turn. systemd advises against this, because what a crashed service leaves behind runs on unseen; here the
# next start sees it. With KillMode=mixed every crash of the supervisor ends the instances, too.
KillMode=process
Delegate=yes
UMask=0077

[Install]
WantedBy={target}
",
        cwd = specifiers(&unit.cwd.display().to_string()),
        line = line.join(" "),
        stop = (longest_end(&unit.settings.specs) + MARGIN).as_secs(),
    )
}

/// The sum of graces along the longest chain of needs: those end one after the other.
fn longest_end(specs: &[Spec]) -> Duration {
    let mut known = BTreeMap::new();
    specs.iter().map(|spec| end_of(spec, specs, &mut known)).max().unwrap_or_default()
}

fn end_of<'a>(spec: &'a Spec, specs: &'a [Spec], known: &mut BTreeMap<&'a str, Duration>) -> Duration {
    if let Some(end) = known.get(spec.id.as_str()) {
        return *end;
    }
    let is_needed = |other: &&Spec| {
        other.id != spec.id
            && spec.needs.iter().any(|name| name == other.id.as_str() || name == other.role.as_str())
    };
    let needed = specs.iter().filter(is_needed).map(|other| end_of(other, specs, known)).max();
    let end = spec.grace + needed.unwrap_or_default();
    known.insert(spec.id.as_str(), end);
    end
}

/// One word of a command line as systemd reads it.
fn quoted(word: &str) -> String {
    let word = specifiers(word).replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%$+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A percent sign would be a specifier.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p50_words_are_quoted_as_systemd_reads_them() {
        for (word, quote) in [
            ("up", "up"),
            ("--goal", "--goal"),
            ("/a/b-c", "/a/b-c"),
            ("two words", "\"two words\""),
            ("50% of $HOME", "\"50%% of $$HOME\""),
            ("say \"x\"\\", "\"say \\\"x\\\"\\\\\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(word), quote);
        }
    }
}
