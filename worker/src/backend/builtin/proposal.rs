//! Follow-ups put to the vote, and what a voter makes of one — pure.
//!
//! A proposal names the figures it rests on in its payload (`lines`, `churn`, `markers`), so that anybody can count again.
//! A voter counts and approves only if every figure named is what it found itself.

use serde_json::{Value, json};
use tachi_shared::task::board::Proposal;

use super::digest::Digest;
use super::path::printable;
use super::survey::{Dense, Derived, Hotspot, Voted};

/// Proposals per kind.
const EACH: usize = 3;
/// From this length on a hotspot should be split, below it is worth a review.
const SPLIT: u64 = 500;

/// Everything the reflector adds to an assembled survey.
pub(crate) fn derive(hotspots: Vec<Hotspot>, dense: Vec<Dense>) -> Derived {
    let spots = hotspots.iter().take(EACH).map(|spot| {
        let verb = if spot.lines >= SPLIT { "split" } else { "review" };
        let churn = spot.churn.map_or(String::new(), |churn| format!(", churn {churn}"));
        let text = format!("{verb} {} ({} lines{churn})", printable(&spot.path), spot.lines);
        let mut figure = json!({"kind": "hotspot", "path": spot.path, "lines": spot.lines});
        if let (Some(churn), Some(object)) = (spot.churn, figure.as_object_mut()) {
            object.insert("churn".to_owned(), churn.into());
        }
        (text, figure)
    });
    let marked = dense.iter().take(EACH).map(|file| {
        let text = format!("settle the {} marked lines of {}", file.markers, printable(&file.path));
        (text, json!({"kind": "markers", "path": file.path, "markers": file.markers}))
    });
    let proposals = spots.chain(marked).map(|(text, figure)| (id(&figure), text, figure)).collect::<Vec<_>>();
    Derived { hotspots, dense, proposals }
}

/// Id of a proposal: the same figure is the same proposal.
pub(crate) fn id(figure: &Value) -> String {
    format!("p-{}", Digest::new().bytes(figure.to_string().as_bytes()).hex())
}

/// What a voter counted in the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Why there is nothing to count.
    pub(crate) trouble: Option<String>,
    /// Newlines.
    pub(crate) lines: Option<u64>,
    /// Marker lines.
    pub(crate) markers: Option<u64>,
    /// Commits that touch the file.
    pub(crate) churn: Option<u64>,
}

/// For or against, and why.
pub(crate) fn judge(figure: &Value, found: &Found) -> (bool, String) {
    if let Some(trouble) = &found.trouble {
        return (false, trouble.clone());
    }
    let counted = [("lines", found.lines), ("markers", found.markers), ("churn", found.churn)];
    let named: Vec<(&str, &Value, Option<u64>)> = counted
        .into_iter()
        .filter_map(|(name, found)| figure.get(name).map(|said| (name, said, found)))
        .collect();
    if named.is_empty() {
        return (false, "it names no figure that can be counted".to_owned());
    }
    let show = |found: Option<u64>| found.map_or("none".to_owned(), |found| found.to_string());
    let wrong: Vec<String> = named
        .iter()
        .filter(|(_, said, found)| said.as_u64().is_none() || said.as_u64() != *found)
        .map(|(name, said, found)| format!("it says {name} = {said}, the tree has {}", show(*found)))
        .collect();
    if wrong.is_empty() {
        let said = named.iter().map(|(name, said, _)| format!("{name} = {said}")).collect::<Vec<_>>();
        (true, format!("counted again: {}", said.join(", ")))
    } else {
        (false, wrong.join("; "))
    }
}

/// What became of a proposal: accepted by at least one vote and no vote against.
pub(crate) fn outcome(proposal: &Proposal) -> &'static str {
    if proposal.votes.is_empty() {
        "undecided"
    } else if proposal.votes.values().all(|vote| vote.approve) {
        "accepted"
    } else {
        "rejected"
    }
}

/// The proposals of a report: those derived from this tree, and those somebody else put on the board. Derived ones of
/// earlier trees (known by an id that follows from their figure) are history.
pub(crate) fn voted<'a>(derived: &Derived, board: impl Iterator<Item = &'a Proposal>) -> Vec<Voted> {
    let ours = |id: &str| derived.proposals.iter().any(|(own, _, _)| own == id);
    let mut rows: Vec<Voted> = board
        .filter(|proposal| ours(proposal.id.as_str()) || id(&proposal.payload) != proposal.id.as_str())
        .map(|proposal| Voted {
            id: proposal.id.to_string(),
            text: proposal.text.clone(),
            outcome: outcome(proposal).to_owned(),
            figure: proposal.payload.clone(),
        })
        .collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_approves_only_what_it_counted_itself() {
        let found = Found { lines: Some(10), churn: Some(2), ..Found::default() };
        let table = [
            (json!({"kind": "hotspot", "lines": 10, "churn": 2}), true),
            (json!({"kind": "hotspot", "lines": 10}), true),
            (json!({"kind": "hotspot", "lines": 11, "churn": 2}), false),
            (json!({"kind": "hotspot", "lines": 10, "churn": 3}), false),
            (json!({"kind": "hotspot", "lines": "10"}), false),
            (json!({"kind": "hotspot", "lines": 999_999}), false),
            (json!({"kind": "hotspot", "lines": -10}), false),
            (json!({"kind": "markers", "markers": 1}), false),
            (json!({"kind": "hotspot"}), false),
        ];
        for (figure, approve) in table {
            let (vote, reason) = judge(&figure, &found);
            assert_eq!(vote, approve, "{figure}: {reason}");
        }
        let gone = Found { trouble: Some("no such file".into()), lines: Some(10), ..Found::default() };
        assert!(!judge(&json!({"lines": 10}), &gone).0);
    }

    #[test]
    fn the_same_figure_is_the_same_proposal() {
        let spot = Hotspot { path: "a.rs".into(), lines: 700, churn: Some(3), markers: 0, score: 2_100 };
        let dense = Dense { path: "b".into(), markers: 4, lines: 8, per_thousand: 500 };
        let one = derive(vec![spot.clone()], vec![dense.clone()]);
        assert_eq!(one, derive(vec![spot.clone()], vec![dense]));
        assert_eq!(one.proposals[0].1, "split a.rs (700 lines, churn 3)");
        let longer = derive(vec![Hotspot { lines: 701, ..spot }], Vec::new());
        assert_ne!(one.proposals[0].0, longer.proposals[0].0);
    }
}
