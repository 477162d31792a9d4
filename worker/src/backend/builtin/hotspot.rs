//! Hotspots: files that are long and change often, and files full of markers — pure.

use super::survey::{Candidate, Dense, Hotspot};

/// Length of both lists.
const TOP: usize = 20;
/// Fewer marker lines than this say nothing about density.
const MARKERS_MIN: u64 = 2;

/// Files by lines × churn (by lines alone without history); programs only, unless there are none.
pub(crate) fn hotspots(candidates: &[Candidate]) -> Vec<Hotspot> {
    let any_code = candidates.iter().any(|file| file.code);
    let mut rows: Vec<Hotspot> = candidates
        .iter()
        .filter(|file| file.code || !any_code)
        .map(|file| Hotspot {
            path: file.path.clone(),
            lines: file.lines,
            churn: file.churn,
            markers: file.markers,
            score: file.lines.saturating_mul(file.churn.unwrap_or(1)),
        })
        .filter(|row| row.score > 0)
        .collect();
    rows.sort_by(|a, b| (b.score, &a.path).cmp(&(a.score, &b.path)));
    rows.truncate(TOP);
    rows
}

/// Files by marker lines per 1,000 lines.
pub(crate) fn dense(candidates: &[Candidate]) -> Vec<Dense> {
    let mut rows: Vec<Dense> = candidates
        .iter()
        .filter(|file| file.markers >= MARKERS_MIN)
        .map(|file| Dense {
            path: file.path.clone(),
            markers: file.markers,
            lines: file.lines,
            per_thousand: file.markers.saturating_mul(1_000) / file.lines.max(1),
        })
        .collect();
    rows.sort_by(|a, b| (b.per_thousand, b.markers, &a.path).cmp(&(a.per_thousand, a.markers, &b.path)));
    rows.truncate(TOP);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(path: &str, lines: u64, churn: Option<u64>, markers: u64, code: bool) -> Candidate {
        Candidate { path: path.into(), lines, churn, markers, code }
    }

    #[test]
    fn a_hotspot_is_long_and_changes_often() {
        let files = [
            candidate("long.rs", 1_000, Some(1), 0, true),
            candidate("busy.rs", 100, Some(30), 0, true),
            candidate("never.rs", 9_000, Some(0), 0, true),
            candidate("NEWS.md", 9_000, Some(900), 0, false),
        ];
        let rows = hotspots(&files);
        assert_eq!(rows.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["busy.rs", "long.rs"]);
        assert_eq!(rows[0].score, 3_000);
        let without = [candidate("b", 5, None, 0, false), candidate("a", 5, None, 0, false)];
        assert_eq!(hotspots(&without)[0].path, "a", "without history length counts, equal ones go by name");
    }

    #[test]
    fn density_counts_markers_per_thousand_lines() {
        let files = [
            candidate("a", 100, None, 5, true),
            candidate("b", 10, None, 2, true),
            candidate("c", 1, None, 1, true),
        ];
        let rows = dense(&files);
        assert_eq!(
            rows.iter().map(|row| (row.path.as_str(), row.per_thousand)).collect::<Vec<_>>(),
            [("b", 200), ("a", 50)]
        );
    }
}
