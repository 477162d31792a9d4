//! `tachi __hold`: the one command line that no person writes.

use std::ffi::OsString;

use tachi_shared::id::InstanceId;

/// `__hold ID COMMAND…`: said by the supervisor alone, for every start of a command. Building the whole command line of
/// people first would cost more than all the rest of a holder's start.
#[derive(Debug)]
pub struct Hold {
    /// Whose parent we are
    pub id: InstanceId,
    /// The command
    pub command: Vec<String>,
}

impl Hold {
    /// The word that asks for it.
    pub const WORD: &str = "__hold";

    /// What the whole command line asks for, if it asks for this.
    #[must_use]
    pub fn parse(args: &[OsString]) -> Option<Self> {
        let mut args = args.iter().skip(1).map(|arg| arg.to_str());
        args.next().filter(|word| *word == Some(Self::WORD))?;
        let id = InstanceId::new(args.next()??).ok()?;
        let command: Option<Vec<String>> = args.map(|arg| arg.map(str::to_owned)).collect();
        command.filter(|command| !command.is_empty()).map(|command| Self { id, command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_asked_for_by_its_word_an_id_and_a_command() {
        let parse = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            Hold::parse(&args).map(|hold| (hold.id.to_string(), hold.command.join(" ")))
        };
        assert_eq!(parse("tachi __hold a sh -c x"), Some(("a".to_owned(), "sh -c x".to_owned())));
        for other in ["tachi", "tachi status", "tachi status __hold a b", "tachi __hold", "tachi __hold a"] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
