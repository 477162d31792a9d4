//! Damaged segments.

use tachi_shared::id::Seq;
use tachi_shared::log::Cursor;

use crate::damaged;
use crate::mutation::{cases, damage};
use crate::property::logs::{booted, folded, read, repaired, resumed, twenty};

const MESSAGES: [&str; 2] = ["messages.jsonl", "hostile.jsonl"];

#[test]
fn s21_repairing_any_bytes_keeps_every_complete_line_and_a_second_repair_changes_nothing() {
    cases(|dice| repaired(&damaged(&MESSAGES, dice)));
}

#[test]
fn s23_32_after_another_boot_any_bytes_are_left_behind_below_a_new_segment() {
    let good = twenty();
    cases(|dice| {
        let mut bytes = good.clone();
        damage(&mut bytes, dice);
        booted(&bytes);
    });
}

#[test]
fn s07_a_reader_resumes_at_any_cursor_in_any_bytes_and_hears_of_what_comes_next() {
    cases(|dice| {
        let bytes = damaged(&MESSAGES, dice);
        let seq = if dice.below(20) == 0 { dice.roll() | u64::MAX << dice.below(64) } else { dice.below(10) };
        let cursor =
            Cursor { seq: Seq(seq), segment: dice.below(3), offset: dice.below(bytes.len() as u64 + 9) };
        resumed(&bytes, &cursor, usize::try_from(1 + dice.below(9)).unwrap());
    });
}

#[test]
fn s08_an_inbox_and_the_newest_of_any_bytes_never_fail() {
    cases(|dice| read(&damaged(&MESSAGES, dice)));
}

#[test]
fn a_board_folded_from_any_bytes_counts_what_it_could_not_use() {
    cases(|dice| folded(&damaged(&["tasks.jsonl", "hostile.jsonl"], dice)));
}
