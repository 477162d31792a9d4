//! Names of signals — pure.

/// Standard signals of Linux by number; index 0 is unused.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `SIGKILL` for 9; numbers without a name become `SIG34`.
#[must_use]
pub fn name(number: i32) -> String {
    match usize::try_from(number).ok().and_then(|index| NAMES.get(index)) {
        Some(name) if !name.is_empty() => format!("SIG{name}"),
        _ => format!("SIG{number}"),
    }
}

/// The number of `KILL`, `SIGKILL`, `sigkill` or `9`; `None` for anything that is no signal between 1 and 64.
#[must_use]
pub fn parse(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let by_name = NAMES.iter().position(|name| !name.is_empty() && *name == bare);
    let number = by_name.and_then(|index| i32::try_from(index).ok()).or_else(|| bare.parse().ok())?;
    (1..=64).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_signal_is_understood_and_nonsense_is_not() {
        for text in ["KILL", "SIGKILL", "sigkill", "9", " 9 "] {
            assert_eq!(parse(text), Some(9), "{text:?}");
        }
        for text in ["", "SIG", "0", "-1", "65", "KILLL", "9 9"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(name(40), "SIG40");
        assert_eq!(parse(&name(40)), Some(40));
        assert_eq!(name(0), "SIG0");
    }
}
