//! Segments of one topic: lines, numbers, names, joints, ends — pure.

use super::finding::{Finding, Fix, Outcome};
use super::segment::{Kind, Segment};
use crate::layout::Topic;
use crate::log::{EPOCH_STEP, Limits};

fn seen(segments: &[Segment]) -> String {
    let records: usize = segments.iter().map(|segment| segment.records().count()).sum();
    format!("{} segments, {records} records", segments.len())
}

/// Every complete line is a record. A line without a number was appended by hand and is only told.
#[must_use]
pub fn lines_parse(segments: &[Segment]) -> Outcome {
    let mut findings = Vec::new();
    for segment in segments {
        for line in &segment.lines {
            match &line.kind {
                Kind::Bad(reason) => findings.push(
                    Finding::problem(
                        &segment.path,
                        format!("the line cannot be read: {reason}"),
                        "whoever it was for gets a gap notice instead",
                        "look at the line and send it again if it mattered; readers pass over it",
                    )
                    .on_line(line.number),
                ),
                Kind::Unnumbered => findings.push(
                    Finding::problem(
                        &segment.path,
                        "the line has no seq: it was appended by hand",
                        "it is delivered once the supervisor has taken it in",
                        "nothing, while a supervisor runs; else `tachi up`",
                    )
                    .on_line(line.number)
                    .as_note(),
                ),
                Kind::Record { .. } | Kind::Blank => {}
            }
        }
    }
    Outcome::new("every complete line of the logs can be read", seen(segments), findings)
}

/// A segment is named by its first record.
#[must_use]
pub fn names_are_first_numbers(segments: &[Segment]) -> Outcome {
    let mut findings = Vec::new();
    for segment in segments {
        let name = segment.path.file_name().map(|name| name.to_string_lossy().into_owned());
        if name != Some(format!("{:020}.jsonl", segment.base)) {
            findings.push(Finding::problem(
                &segment.path,
                "the name is not a number of 20 digits",
                "no reader finds what is in it",
                "rename it to the seq of its first line, 20 digits, or move it away",
            ));
        }
        if let Some((line, seq, _)) = segment.records().next()
            && seq != segment.base
        {
            let what = format!("the first record is {seq}, the name says {}", segment.base);
            let why = "readers find records by these names";
            let next = "the lines before it are gone; what is left stays readable";
            findings.push(Finding::problem(&segment.path, what, why, next).on_line(line));
        }
    }
    Outcome::new("segments are named by their first record", seen(segments), findings)
}

/// Within a segment numbers rise by one.
#[must_use]
pub fn numbers_follow(segments: &[Segment]) -> Outcome {
    let mut findings = Vec::new();
    for segment in segments {
        let mut last = None;
        for (line, seq, _) in segment.records() {
            if let Some(last) = last
                && seq != last + 1
            {
                let what = format!("record {seq} follows record {last}");
                let why = "a number that is missing or comes twice is a record lost or told twice";
                let next = "readers tell the gap; look whether the file was edited by hand";
                findings.push(Finding::problem(&segment.path, what, why, next).on_line(line));
            }
            last = Some(last.unwrap_or(0).max(seq));
        }
    }
    Outcome::new("numbers rise by one within a segment", seen(segments), findings)
}

/// A segment begins where the one before it ended, or a whole epoch above.
#[must_use]
pub fn segments_join(segments: &[Segment]) -> Outcome {
    let mut findings = Vec::new();
    for pair in segments.windows(2) {
        let [before, after] = pair else { continue };
        let (last, base) = (before.last(), after.base);
        if base == last + 1 || base > last.saturating_add(EPOCH_STEP) {
            continue;
        }
        let what = if base <= last {
            format!("it begins at {base}, but {} already reached {last}", before.path.display())
        } else {
            format!("records {} to {} are missing before it", last + 1, base - 1)
        };
        let why = "readers that were not past them yet never get them";
        let next = "readers tell the gap; restore the file if somebody removed it";
        findings.push(Finding::problem(&after.path, what, why, next));
    }
    Outcome::new("no record is missing between segments", seen(segments), findings)
}

/// Bytes behind the last newline may stand in the newest segment alone: its next writer repairs them.
#[must_use]
pub fn only_the_newest_ends_torn(segments: &[Segment]) -> Outcome {
    let mut findings = Vec::new();
    for segment in segments.iter().filter(|segment| segment.torn > 0) {
        let what = format!("{} bytes behind the last complete line: a write was cut short", segment.torn);
        let line = segment.lines.len() + 1;
        findings.push(if segment.has_successor {
            let why = "nobody writes here any more, so nobody repairs it, and readers stop before it";
            let next = "add a newline, or cut the bytes off, by hand";
            Finding::problem(&segment.path, what, why, next).on_line(line)
        } else {
            let why = "it was never acknowledged; the next writer makes it good";
            let next = "`tachi doctor --fix` cuts it off (its bytes go to rejected/) or adds what is missing";
            let fix = Fix::repair_tail(segment.topic);
            Finding::problem(&segment.path, what, why, next).on_line(line).with_fix(fix)
        });
    }
    Outcome::new("logs end in a complete line", seen(segments), findings)
}

/// The queue and the event log are no larger than their bound and one segment. The board is never cut.
#[must_use]
pub fn within_bounds(segments: &[Segment], limits: &Limits) -> Outcome {
    let most = limits.max_bytes.saturating_add(limits.segment_bytes());
    let size: u64 = segments.iter().map(|segment| segment.size).sum();
    let first = segments.first().filter(|segment| size > most && segment.topic != Topic::Tasks);
    let findings = first.map(|segment| {
        let what = format!("the log has {size} bytes, its bound is {}", limits.max_bytes);
        let why = "senders are refused, and the disk may fill";
        let next = "start the fleet, which removes what everybody has read; or raise max_bytes under [store]";
        Finding::problem(&segment.path, what, why, next)
    });
    Outcome::new("the logs are within their bounds", format!("{size} bytes"), findings.into_iter().collect())
}
