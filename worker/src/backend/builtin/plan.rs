//! Cuts a listing into parts — pure.
//!
//! A part is the unit of work, of loss by a kill and of re-reading on the next run. Boundaries come from the names and sizes
//! of the files beside them, not from positions, so a file that comes or goes changes the part it is in and leaves the
//! others as they are. Sizes adapt to the tree in powers of two: small trees give enough parts for a team to share, large
//! ones at most some hundred.

use super::digest::Digest;
use super::fact::{HistoryPlan, Listed, Lost, Skipped};

/// Parts a small tree is cut into, about.
const PARTS_MIN: u64 = 32;
/// Parts a huge tree is cut into, about.
const PARTS_MAX: u64 = 128;
/// Average part of an ordinary tree.
const FILES: u64 = 256;
/// Average part of an ordinary tree.
const BYTES: u64 = 4 * 1024 * 1024;
/// Weight of one average part; a part is cut off at twice that whatever the names say.
const WHOLE: u64 = 1 << 20;

/// A part: where its files lie in the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut<'a> {
    /// Digest of names and stamps.
    pub(crate) hash: String,
    /// Its files.
    pub(crate) files: &'a [Listed],
    /// Their sizes together.
    pub(crate) bytes: u64,
}

/// Cuts a listing sorted by path.
pub(crate) fn cut(files: &[Listed]) -> Vec<Cut<'_>> {
    let count = u64::try_from(files.len()).unwrap_or(u64::MAX);
    let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    let per_file = WHOLE / average(count, FILES, 4);
    let average_bytes = average(bytes, BYTES, 64 * 1024);
    let mut cuts = Vec::new();
    let mut start = 0;
    let mut weight = 0_u64;
    for (at, file) in files.iter().enumerate() {
        let own = per_file.saturating_add(share(file.bytes, average_bytes));
        weight = weight.saturating_add(own);
        let chosen = Digest::new().bytes(file.path.as_bytes()).finish() % WHOLE < own;
        if chosen || weight >= 2 * WHOLE || at + 1 == files.len() {
            cuts.extend(files.get(start..=at).map(part));
            (start, weight) = (at + 1, 0);
        }
    }
    cuts
}

/// The weight of so many bytes, where `average` of them make a whole part.
fn share(bytes: u64, average: u64) -> u64 {
    let capped = u128::from(bytes.min(average.saturating_mul(4)));
    u64::try_from(capped * u128::from(WHOLE) / u128::from(average.max(1))).unwrap_or(u64::MAX)
}

/// The average amount per part: a power of two, so that a tree that grows a little keeps its parts.
fn average(total: u64, ordinary: u64, least: u64) -> u64 {
    let small = (total / PARTS_MIN).max(1).next_power_of_two().clamp(least, ordinary);
    let huge = (total / PARTS_MAX).max(1).next_power_of_two();
    small.max(huge)
}

fn part(files: &[Listed]) -> Cut<'_> {
    let digest = files.iter().fold(Digest::new(), |digest, file| {
        digest.bytes(file.path.as_bytes()).number(file.bytes).number(file.stamp)
    });
    let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    Cut { hash: digest.hex(), files, bytes }
}

/// What a run rests on: the same tree and history give the same run.
pub(crate) fn fingerprint(
    parts: &[Cut<'_>],
    skipped: &[Skipped],
    history: &HistoryPlan,
    lost: &[Lost],
) -> String {
    let mut digest = parts.iter().fold(Digest::new(), |digest, part| digest.bytes(part.hash.as_bytes()));
    for lost in lost {
        digest = digest.bytes(lost.part.as_bytes()).bytes(lost.reason.as_bytes());
    }
    for skip in skipped {
        digest = digest.bytes(skip.path.as_bytes()).bytes(skip.reason.as_bytes());
    }
    let history = match history {
        HistoryPlan::Present { head, .. } => head,
        HistoryPlan::Absent(reason) => reason,
    };
    digest.bytes(history.as_bytes()).hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(count: usize, bytes: u64) -> Vec<Listed> {
        (0..count).map(|n| Listed { path: format!("src/file_{n:06}.rs"), bytes, stamp: n as u64 }).collect()
    }

    #[test]
    fn parts_hold_every_file_once_and_stay_within_their_bounds() {
        for (count, bytes) in [(0, 0), (1, 0), (7, 100), (300, 4_000), (10_000, 15_000), (200_000, 12)] {
            let files = tree(count, bytes);
            let cuts = cut(&files);
            let joined: Vec<&Listed> = cuts.iter().flat_map(|cut| cut.files).collect();
            assert_eq!(joined, files.iter().collect::<Vec<_>>());
            assert!(cuts.len() <= 400, "{count} files gave {} parts", cuts.len());
            if count >= 300 {
                assert!(cuts.len() >= 24, "{count} files gave only {} parts", cuts.len());
            }
            if count == 10_000 {
                assert!(cuts.iter().all(|cut| cut.files.len() <= 512 && cut.bytes <= 8 << 20));
            }
        }
    }

    #[test]
    fn a_file_more_or_less_changes_few_parts() {
        let files = tree(10_000, 4_000);
        let before: std::collections::BTreeSet<String> =
            cut(&files).into_iter().map(|cut| cut.hash).collect();
        for at in [0, 1, 17, 5_000, 9_999] {
            let mut more = files.clone();
            let path = format!("{}_new", more[at].path);
            more.insert(at + 1, Listed { path, bytes: 4_000, stamp: 1 });
            let mut less = files.clone();
            less.remove(at);
            let mut other = files.clone();
            other[at].stamp = u64::MAX;
            for (changed, allowed) in [(&more, 3), (&less, 3), (&other, 1)] {
                let fresh = cut(changed).into_iter().filter(|cut| !before.contains(&cut.hash)).count();
                assert!(fresh <= allowed, "a change at {at} gave {fresh} new parts");
            }
        }
    }

    #[test]
    fn a_huge_file_is_a_part_of_its_own_and_harms_no_other() {
        let mut files = tree(400, 1_000);
        files[200].bytes = 50 << 20;
        let cuts = cut(&files);
        assert!(cuts.iter().any(|cut| cut.bytes >= 50 << 20 && cut.files.len() < 300));
        assert!(cut(&[Listed { path: "x".into(), bytes: u64::MAX, stamp: 0 }]).len() == 1);
    }

    #[test]
    fn the_fingerprint_follows_tree_skipped_and_history() {
        let files = tree(3, 1);
        let absent = HistoryPlan::Absent("none".into());
        let base = fingerprint(&cut(&files), &[], &absent, &[]);
        assert_eq!(base, fingerprint(&cut(&files), &[], &absent, &[]));
        let skip = [Skipped { path: "l".into(), reason: "symbolic link".into() }];
        assert_ne!(base, fingerprint(&cut(&files), &skip, &absent, &[]));
        assert_ne!(base, fingerprint(&cut(&tree(4, 1)), &[], &absent, &[]));
        let head = HistoryPlan::Present { head: "abc".into(), commits: 1, limited: false };
        assert_ne!(base, fingerprint(&cut(&files), &[], &head, &[]));
    }
}
