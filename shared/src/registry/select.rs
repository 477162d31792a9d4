//! Finding rows by what people type, and telling what people changed — pure.

use super::{Desired, Registry};
use crate::error::{Error, Result};
use crate::id::{InstanceId, NAME_MAX};

/// How many names a person is shown when the one given is unknown.
const NEAR_MAX: usize = 8;

/// Resolves selectors (id, role, `role:<name>`, glob over ids, `all`) to ids, in the order of the rows, each once.
///
/// # Errors
/// [`Error::Unknown`] for the first selector that matches nothing; `all` of an empty fleet is nobody, not an error.
pub fn select(registry: &Registry, selectors: &[String]) -> Result<Vec<InstanceId>> {
    let mut chosen = vec![false; registry.instances.len()];
    for selector in selectors {
        let mut hit = selector == "all";
        for (row, chosen) in registry.instances.iter().zip(&mut chosen) {
            let role = selector.strip_prefix("role:").unwrap_or(selector);
            let id = row.instance_id.as_str();
            if selector == "all" || selector == id || row.role.as_str() == role || glob(selector, id) {
                *chosen = true;
                hit = true;
            }
        }
        if !hit {
            return Err(unknown("instance", selector, registry));
        }
    }
    let rows = registry.instances.iter().zip(chosen);
    Ok(rows.filter(|(_, chosen)| *chosen).map(|(row, _)| row.instance_id.clone()).collect())
}

/// The refusal of a name nobody has, with the names that come close.
#[must_use]
pub fn unknown(what: &'static str, value: &str, registry: &Registry) -> Error {
    let mut known: Vec<&str> = registry.instances.iter().map(|row| row.instance_id.as_str()).collect();
    known.extend(registry.instances.iter().map(|row| row.role.as_str()));
    Error::Unknown { what, value: value.to_owned(), near: near(value, &known) }
}

/// Names that come close to `name`, best first; the first few there are if none comes close.
#[must_use]
pub fn near(name: &str, known: &[&str]) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for known in known {
        if !names.contains(known) {
            names.push(known);
        }
    }
    let mut close: Vec<(usize, &str)> = names
        .iter()
        .map(|known| (distance(name, known), *known))
        .filter(|(distance, known)| *distance <= 2 || shared_prefix(name, known) >= 3)
        .collect();
    close.sort_unstable();
    if !close.is_empty() {
        names = close.into_iter().map(|(_, known)| known).collect();
    }
    names.truncate(NEAR_MAX);
    names.into_iter().map(str::to_owned).collect()
}

fn shared_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
}

/// Edits (insert, delete, replace one character) between two names.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 2 * NAME_MAX {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for ((to, above), diagonal) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            left = (left + 1).min(above + 1).min(diagonal + usize::from(from != *to));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// Whether `name` matches `pattern`, where `*` stands for any characters and `?` for one. Names are short and the number
/// of stars is bounded by their length, so remembering the last star is enough.
fn glob(pattern: &str, name: &str) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut retry: Option<(&str, &str)> = None;
    loop {
        let mut after = left.chars();
        let next = after.next();
        match (rest.chars().next(), next) {
            (Some('*'), _) => {
                rest = rest.get(1..).unwrap_or_default();
                retry = Some((rest, left));
            }
            (Some(want), Some(have)) if want == '?' || want == have => {
                rest = rest.get(want.len_utf8()..).unwrap_or_default();
                left = after.as_str();
            }
            (None, None) => return true,
            _ => {
                // Let the last star take one character more; without one, or at the end, there is no match.
                let Some((behind, from)) = retry else { return false };
                let mut from = from.chars();
                if from.next().is_none() {
                    return false;
                }
                (rest, left) = (behind, from.as_str());
                retry = Some((behind, left));
            }
        }
    }
}

/// What a hand changed between two readings. Only `desired` is an input; every other difference is ours to put right.
#[must_use]
pub fn hand_edits(old: &Registry, new: &Registry) -> Vec<(InstanceId, Desired)> {
    let mut edits = Vec::new();
    for (place, row) in new.instances.iter().enumerate() {
        // Rows rarely move, so the search is rarely needed.
        let same = old.instances.get(place).filter(|was| was.instance_id == row.instance_id);
        if same.or_else(|| old.row(&row.instance_id)).is_some_and(|was| was.desired != row.desired) {
            edits.push((row.instance_id.clone(), row.desired));
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_whole_names() {
        for (pattern, name, matches) in [
            ("instance_*", "instance_12", true),
            ("*_1", "instance_1", true),
            ("*_1", "instance_12", false),
            ("instance_?", "instance_1", true),
            ("instance_?", "instance_12", false),
            ("*a*b*", "xaybz", true),
            ("*a*b*", "xbya", false),
            ("**", "", true),
            ("?", "", false),
            ("", "x", false),
            ("a*a*a*a*a*b", &"a".repeat(64), false),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} on {name}");
        }
    }

    #[test]
    fn near_names_are_those_a_slip_of_the_finger_away() {
        let known: Vec<String> = (1..=20).map(|n| format!("worker_{n}")).collect();
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.push("gateway");
        assert_eq!(near("gatway", &known), ["gateway"]);
        assert_eq!(near("worker_3", &known).first().map(String::as_str), Some("worker_3"));
        assert_eq!(near("zzzzzzzzz", &known).len(), NEAR_MAX);
        assert_eq!(near("x", &["a", "a", "b"]), ["a", "b"], "few names are all shown, each once");
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
