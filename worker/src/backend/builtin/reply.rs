//! Answers questions from the survey's facts, without a model — pure.

use std::fmt::Write as _;

use tachi_shared::task::{Board, TaskStatus};

use super::job::{Job, current_run, of_run};
use super::path::printable;
use super::survey::Survey;

/// Entries per answer.
const FEW: usize = 5;

/// What can be asked.
const HELP: &str = "ask me about: files and lines, languages, largest or longest files, markers (TODO, FIXME, HACK, XXX), hotspots, who knows an area, tests, proposals, skipped files, progress";

/// Files read and files to read in a run.
pub(super) fn progress(board: &Board, run: &str) -> (u64, u64) {
    let mut sums = (0_u64, 0_u64);
    for (task, job) in of_run(board, run) {
        if let Job::Part { files, .. } = job {
            sums.1 = sums.1.saturating_add(files);
            if task.status == TaskStatus::Done {
                sums.0 = sums.0.saturating_add(files);
            }
        }
    }
    sums
}

/// Answers `question`.
pub(super) fn reply(survey: Option<&Survey>, board: &Board, question: &str) -> String {
    let words: Vec<String> = question
        .split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let asks = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    if asks(&["progress", "status", "ready", "done", "finished", "far", "doing"]) {
        return state(board);
    }
    let Some(survey) = survey else {
        return format!("there is no survey yet; {}", state(board));
    };
    if asks(&["largest", "biggest", "big", "large"]) {
        list(
            "largest files",
            survey.largest.iter().map(|f| format!("{} ({} bytes)", printable(&f.path), f.bytes)),
        )
    } else if asks(&["longest", "long"]) {
        list(
            "longest files",
            survey.longest.iter().map(|f| format!("{} ({} lines)", printable(&f.path), f.lines)),
        )
    } else if asks(&["marker", "markers", "todo", "todos", "fixme", "fixmes", "hack", "hacks", "xxx"]) {
        markers(survey, &words)
    } else if asks(&["hotspot", "hotspots", "churn", "refactor", "split"]) {
        list(
            "hotspots",
            survey.hotspots.iter().map(|spot| {
                let churn = spot.churn.map_or(String::new(), |churn| format!(", churn {churn}"));
                format!("{} ({} lines{churn})", printable(&spot.path), spot.lines)
            }),
        )
    } else if asks(&["who", "author", "authors", "knows", "owner", "expert"]) {
        who(survey, question)
    } else if asks(&["language", "languages", "written"]) {
        list(
            "languages by lines",
            survey.languages.iter().map(|l| format!("{} ({} files, {} lines)", l.language, l.files, l.lines)),
        )
    } else if asks(&["test", "tests", "tested"]) {
        tests(survey)
    } else if asks(&["proposal", "proposals", "vote", "votes"]) {
        list("proposals", survey.proposals.iter().map(|p| format!("{}: {}", p.outcome, printable(&p.text))))
    } else if asks(&["skipped", "unreadable", "missing"]) {
        list("skipped", survey.skipped.iter().map(|s| format!("{} ({})", printable(&s.path), s.reason)))
    } else if asks(&[
        "files", "file", "lines", "line", "bytes", "size", "many", "overview", "summary", "survey",
    ]) {
        let totals = &survey.totals;
        format!(
            "{} files, {} lines, {} bytes; {} binary files, {} languages",
            totals.files,
            totals.lines,
            totals.bytes,
            totals.binary_files,
            survey.languages.len()
        )
    } else {
        format!("no model is configured, so I answer from the survey only; {HELP}")
    }
}

fn state(board: &Board) -> String {
    let Some(run) = current_run(board) else {
        return format!("the survey has not begun; no model is configured, later {HELP}");
    };
    let (files, total) = progress(board, &run);
    let open = of_run(board, &run).filter(|(task, _)| task.status != TaskStatus::Done).count();
    if open == 0 {
        "the survey is done".to_owned()
    } else {
        format!("surveying: {files} of {total} files read, {open} tasks left")
    }
}

fn list(title: &str, entries: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = entries.collect();
    if all.is_empty() {
        return format!("{title}: none");
    }
    let mut text = format!("{title}: {}", all.iter().take(FEW).cloned().collect::<Vec<_>>().join("; "));
    if all.len() > FEW {
        let _ = write!(text, "; and {} more in artifacts/survey.json", all.len() - FEW);
    }
    text
}

fn markers(survey: &Survey, words: &[String]) -> String {
    let named = |word: &str| words.iter().any(|said| said.trim_end_matches('s').eq_ignore_ascii_case(word));
    let any = survey.marker_lines.iter().any(|count| named(count.kind.word()));
    let chosen = |word: &str| !any || named(word);
    let counts: Vec<String> = survey
        .marker_lines
        .iter()
        .filter(|count| chosen(count.kind.word()))
        .map(|count| format!("{} {}", count.lines, count.kind.word()))
        .collect();
    let places = survey
        .markers
        .iter()
        .filter(|marker| chosen(marker.kind.word()))
        .map(|marker| format!("{}:{}", printable(&marker.path), marker.line));
    list(&format!("marked lines: {}", counts.join(", ")), places)
}

fn who(survey: &Survey, question: &str) -> String {
    if !survey.history.present {
        let reason = survey.history.reason.as_deref().unwrap_or("none");
        return format!("there is no history to tell from: {reason}");
    }
    let asked = |area: &str| area != "." && question.contains(area);
    if let Some(area) =
        survey.areas.iter().filter(|area| asked(&area.area)).max_by_key(|area| area.area.len())
    {
        let title = format!("who knows {}", printable(&area.area));
        return list(
            &title,
            area.authors.iter().map(|s| format!("{} ({} commits)", printable(&s.author), s.commits)),
        );
    }
    list(
        "authors",
        survey.authors.iter().map(|a| format!("{} ({} commits)", printable(&a.author), a.commits)),
    )
}

fn tests(survey: &Survey) -> String {
    let tests = &survey.tests;
    let mut text =
        format!("{} files are or contain tests, {} files are programs", tests.files, tests.code_files);
    if !tests.areas_without.is_empty() {
        let areas = tests.areas_without.iter().take(FEW).map(|area| printable(area)).collect::<Vec<_>>();
        let _ = write!(text, "; no tests in {}", areas.join(", "));
    }
    text
}
