//! `tachi doctor`: outcomes of the checkers as text and as JSON — pure.

use serde_json::{Value, json};
use tachi_shared::check::{Finding, Outcome, Weight};

use super::json::SCHEMA;
use super::paint::{Tone, paint};
use super::text::clean;

/// One line per check that holds, one per finding.
#[must_use]
pub fn text(outcomes: &[Outcome], fixed: &[String]) -> String {
    let mut out = String::new();
    for line in fixed {
        out.push_str(&format!("{} {}\n", paint(Tone::Good, "fixed  "), clean(line)));
    }
    for outcome in outcomes {
        if outcome.problems().next().is_none() {
            let word = paint(Tone::Good, "ok     ");
            out.push_str(&format!("{word} {} ({})\n", outcome.holds, outcome.seen));
        }
        for finding in &outcome.findings {
            let word = match finding.weight {
                Weight::Problem => paint(Tone::Bad, "problem"),
                Weight::Note => paint(Tone::Plain, "note   "),
            };
            out.push_str(&format!("{word} {}\n", clean(&finding.sentence())));
        }
    }
    out
}

/// `doctor --json`.
#[must_use]
pub fn json(outcomes: &[Outcome], fixed: &[String]) -> Value {
    let checks: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "holds": outcome.holds,
                "ok": outcome.problems().next().is_none(),
                "seen": outcome.seen,
                "findings": outcome.findings.iter().map(finding).collect::<Vec<_>>(),
            })
        })
        .collect();
    let ok = outcomes.iter().all(|outcome| outcome.problems().next().is_none());
    json!({ "schema": SCHEMA, "ok": ok, "fixed": fixed, "checks": checks })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "problem": finding.weight == Weight::Problem,
        "place": finding.place,
        "what": finding.what,
        "why": finding.why,
        "next": finding.next,
        "fixable": finding.fix.is_some(),
    })
}
