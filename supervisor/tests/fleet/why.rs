//! One sentence and a next command for every state.

use tachi::fleet::event::How;
use tachi::fleet::why::{Supervisor, why};

use super::scene::{Scene, died, parse};

fn check(script: &str, sentence: &str, next: &str) {
    let mut scene = Scene::running(1);
    scene.check(script);
    let said = why(&scene.row(1), Supervisor::Alive, scene.now);
    assert_eq!((said.sentence.as_str(), said.next.as_str()), (sentence, next));
}

#[test]
fn p63_every_state_has_a_sentence_and_a_next_command() {
    check(
        "4000 tick =>",
        "instance_1 has run for 4 s, is ready and says \"waiting\".",
        "tachi logs instance_1",
    );
    check(
        "31_000 tick =>",
        "instance_1 lives but has shown no progress for 30 s, longer than it declared, and last said \"waiting\"; \
         it is restarted if that lasts.",
        "tachi restart instance_1",
    );
    check(
        "1000 a asks pause 1 => ring 1 \n 1000 paused 1#1 => reply a 0",
        "instance_1 idles because a person paused it.",
        "tachi resume instance_1",
    );
    check(
        "1000 frozen 1 =>",
        "instance_1 was stopped by a signal (SIGSTOP) that Tachi did not send.",
        "tachi kill -s CONT instance_1",
    );
    check(
        "1000 a asks stop 1 => TERM 1, CONT 1",
        "instance_1 is ending: a person stopped it; it is killed after 10 s.",
        "tachi logs instance_1",
    );
    check(
        "1000 a asks stop 1 => TERM 1, CONT 1 \n 1000 exit 1#1 0 => kill 1#1 \n 1000 empty 1#1 => release 1#1, reply a 0",
        "instance_1 is down: a person stopped it.",
        "tachi start instance_1",
    );
    check(
        "1000 stop-file there => TERM 1, CONT 1 \n 1000 exit 1#1 0 => kill 1#1 \n 1000 empty 1#1 => release 1#1",
        "instance_1 is down: the stop latch holds it down: tea.",
        "tachi resume all",
    );
    check(
        "1000 exit 1#1 78 => kill 1#1 \n 1000 empty 1#1 => release 1#1, tell 1",
        "instance_1 was given up: it says its configuration is wrong (exit code 78 (crash)).",
        "tachi logs instance_1; then tachi start instance_1",
    );
    check(
        "5000 killed 1#1 9 => kill 1#1 \n 5000 empty 1#1 => spawn 1#2, release 1#1, tell 1",
        "instance_1 has been starting again for 0 s, after SIGKILL (external).",
        "tachi logs instance_1",
    );
}

#[test]
fn p63_backoff_names_the_wait() {
    let mut scene = Scene::running(1);
    scene.give(1000, died(1, 1, How::Exit(75)));
    scene.give(1000, parse(&["empty", "1#1"], 1000));
    scene.give(1000, parse(&["spawned", "1#2"], 1000));
    scene.give(1000, died(1, 2, How::Exit(3)));
    scene.give(1000, parse(&["empty", "1#2"], 1000));
    let said = why(&scene.row(1), Supervisor::Alive, scene.now).sentence;
    assert!(said.starts_with("instance_1 waits 0."), "{said}");
    assert!(said.ends_with(" s for its next start: it died: exit code 3 (crash)."), "{said}");
}

#[test]
fn p63_without_a_supervisor_it_says_so() {
    let scene = Scene::running(1);
    let said = why(&scene.row(1), Supervisor::Gone, scene.now);
    assert!(said.sentence.contains("was ready as pid 1001 when the supervisor was last seen"), "{said:?}");
    assert_eq!(said.next, "tachi up");
}
