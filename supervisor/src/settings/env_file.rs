//! Environment files: `KEY=VALUE` lines, `#` comments, optional quotes, optional `export` — pure.

/// Reads the text of an environment file.
///
/// # Errors
/// Line number (from 1) and reason.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (key, value) = line.split_once('=').ok_or((index + 1, "no KEY=VALUE".to_owned()))?;
        let key = key.trim_end();
        check_key(key).map_err(|reason| (index + 1, reason))?;
        pairs.push((key.to_owned(), unquote(value.trim()).map_err(|reason| (index + 1, reason))?));
    }
    Ok(pairs)
}

/// What may name an environment variable.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    let good = !key.is_empty()
        && !key.starts_with(|first: char| first.is_ascii_digit())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good { Ok(()) } else { Err(format!("{key:?} cannot name a variable")) }
}

/// Takes quotes off: single quotes keep everything, double quotes know `\n \t \" \\`; bare values end at ` #`.
fn unquote(value: &str) -> Result<String, String> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, after) = rest.split_once('\'').ok_or("a quote is not closed")?;
        return nothing_after(after).map(|()| inside.to_owned());
    }
    let Some(rest) = value.strip_prefix('"') else {
        let bare = value.split_once(" #").map_or(value, |(bare, _)| bare);
        return Ok(bare.trim_end().to_owned());
    };
    let mut out = String::new();
    let mut chars = rest.chars();
    while let Some(next) = chars.next() {
        match next {
            '"' => return nothing_after(chars.as_str()).map(|()| out),
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => break,
            },
            other => out.push(other),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn nothing_after(rest: &str) -> Result<(), String> {
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(())
    } else {
        Err("text after the closing quote".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_quotes_and_exports_are_understood() {
        let text = "# head\n\nA=1\nexport B = two words # note\nC='x # y'\nD=\"l1\\nl2\" # end\nE=\n";
        let pairs = parse(text).unwrap();
        let want = [("A", "1"), ("B", "two words"), ("C", "x # y"), ("D", "l1\nl2"), ("E", "")];
        assert_eq!(pairs, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(parse("A=1\nnonsense").unwrap_err().0, 2);
        assert_eq!(parse("1A=1").unwrap_err().0, 1);
        assert_eq!(parse("A='x").unwrap_err().1, "a quote is not closed");
        assert_eq!(parse("A='x' y").unwrap_err().0, 1);
    }
}
