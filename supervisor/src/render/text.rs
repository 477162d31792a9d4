//! Foreign text made safe and short for a terminal — pure.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for what was cut off; ASCII, so that every terminal shows it.
const CUT: char = '~';

/// Text on one line: control characters, also those that reorder text, are written out instead of sent.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for next in text.chars() {
        match next {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("    "),
            next if is_harmful(next) => out.extend(next.escape_unicode()),
            next => out.push(next),
        }
    }
    out
}

/// The same, but line breaks are kept and following lines are indented.
#[must_use]
pub fn clean_lines(text: &str, indent: usize) -> String {
    let gap = format!("\n{}", " ".repeat(indent));
    text.trim_end().lines().map(clean).collect::<Vec<_>>().join(&gap)
}

/// Controls, and the marks that change the direction of everything after them.
fn is_harmful(next: char) -> bool {
    next.is_control()
        || matches!(next, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Columns it takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// At most `columns` wide; a cut is marked.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for next in text.chars() {
        let wide = next.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(next);
    }
    if columns > 0 {
        out.push(CUT);
    }
    out
}

/// Joins parts by `, ` into lines at most `columns` wide, following lines indented by two.
#[must_use]
pub fn wrap(parts: &[String], columns: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    // Room for the comma that follows when another line does.
    let columns = columns.saturating_sub(1);
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line) + 2 + width(part) <= columns => {
                line.push_str(", ");
                line.push_str(part);
            }
            Some(line) => {
                line.push(',');
                lines.push(fit(&format!("  {part}"), columns));
            }
            None => lines.push(fit(part, columns)),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_tricks_in_agent_text_are_written_out() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\td\u{202e}"), "a\\u{1b}[2Jb\\nc    d\\u{202e}");
        assert_eq!(clean_lines("one\ntwo\u{7}\n", 2), "one\n  two\\u{7}");
    }

    #[test]
    fn cuts_are_marked_and_never_too_wide() {
        assert_eq!(fit("surveying", 5), "surv~");
        assert_eq!(fit("日本語", 4), "日~");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abc", 0), "");
    }
}
