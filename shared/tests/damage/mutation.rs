//! Damage with a seed: what disks, editors, killed programs and cats on keyboards do to bytes.

use std::time::{Duration, Instant};

use crate::dice::Dice;

/// Bytes that mean something to a parser.
const TELLING: &[u8] = b"\n\r\0\"\\{}[]:,-0e. \t\xff\xc3\xf0";
/// Words that mean something to a parser or to us.
const WORDS: [&str; 12] = [
    "null",
    "-1",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "1e999",
    "\"seq\":",
    "{\"seq\":18446744073709551615}\n",
    "\n\n",
    "\"../x\"",
    "\"\\ud800\"",
    "\u{feff}",
];

/// One to eight damages.
pub(crate) fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(8) {
        damage_once(bytes, dice);
    }
}

fn damage_once(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let length = bytes.len() as u64;
    let at = usize::try_from(dice.below(length + 1)).unwrap();
    let end = (at + usize::try_from(dice.below(1 + dice_length(length))).unwrap()).min(bytes.len());
    match dice.below(8) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => {
            bytes[at] = telling(dice);
        }
        2 => bytes.insert(at, telling(dice)),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let copy = bytes[at..end].to_vec();
            let to = usize::try_from(dice.below(length + 1)).unwrap();
            bytes.splice(to..to, copy);
        }
        5 => bytes.truncate(at),
        6 => bytes[at..end].fill(0),
        _ => {
            let word = WORDS[usize::try_from(dice.below(WORDS.len() as u64)).unwrap()];
            bytes.splice(at..(at + word.len()).min(bytes.len()), word.bytes());
        }
    }
}

fn telling(dice: &mut Dice) -> u8 {
    TELLING[usize::try_from(dice.below(TELLING.len() as u64)).unwrap()]
}

/// Most damages are small.
fn dice_length(length: u64) -> u64 {
    (length / 8).clamp(1, 64)
}

/// Tells the seed of the case at hand if it fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was seed {}; TACHI_DAMAGE_SEED={} repeats it alone", self.0, self.0);
        }
    }
}

/// Runs cases until the time is up: a fifth of a second, a minute with `TACHI_LONG`, or as `TACHI_DAMAGE_SECONDS` says.
/// Every case has its own seed.
pub(crate) fn cases(mut case: impl FnMut(&mut Dice)) {
    if let Some(seed) = std::env::var("TACHI_DAMAGE_SEED").ok().and_then(|text| text.parse().ok()) {
        let _told = Seed(seed);
        return case(&mut Dice::new(seed));
    }
    let usual = if std::env::var_os("TACHI_LONG").is_some() { 60.0 } else { 0.2 };
    let asked = std::env::var("TACHI_DAMAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs_f64(asked.unwrap_or(usual));
    let first =
        tachi_shared::clock::now().mono.as_millis().wrapping_mul(0x1_0001) ^ u64::from(std::process::id());
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < time {
        let told = Seed(first.wrapping_add(count));
        case(&mut Dice::new(told.0));
        count += 1;
    }
    println!("{count} cases from seed {first} on");
    assert!(count > 0);
}
