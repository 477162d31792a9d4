//! The processes that read: each folds what it receives, and commits fold and cursor in one rename of its state file.

use std::time::Duration;

use serde_json::json;
use tachi_shared::clock::now;
use tachi_shared::instance::{InstanceState, InstanceStore};
use tachi_shared::os::process;
use tachi_shared::queue::{Arrival, Inbox, Message};
use tachi_shared::snapshot::Loaded;

use crate::words::{Scene, chain, role};

/// What a reader knows: how many messages, and a chain over their positions, ids and lengths in the order received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fold {
    pub(crate) count: u64,
    pub(crate) chain: u64,
}

impl Fold {
    pub(crate) fn add(&mut self, message: &Message) {
        self.count += 1;
        self.chain = chain(self.chain, &message.seq.0.to_le_bytes());
        self.chain = chain(self.chain, message.draft.id.as_bytes());
        // Whether the text is whole is checked once, in the log.
        self.chain = chain(self.chain, &message.draft.text().len().to_le_bytes());
    }

    pub(crate) fn of(state: &InstanceState) -> Self {
        // As text: a chain does not fit into a float.
        let number =
            |key: &str| state.usage.get(key).and_then(|v| v.as_str()).map_or(0, |text| text.parse().unwrap());
        Self { count: number("count"), chain: number("chain") }
    }

    fn put(self, state: &mut InstanceState) {
        state.usage.insert("count".to_owned(), json!(self.count.to_string()));
        state.usage.insert("chain".to_owned(), json!(self.chain.to_string()));
    }
}

/// Reads until it is killed.
pub(crate) fn run(scene: &Scene) {
    let mut dice = scene.dice();
    let mut reader = Reader::resume(scene);
    scene.at_work();
    while scene.goes_on() {
        if reader.take(usize::try_from(1 + dice.below(64)).unwrap()) == 0 {
            std::thread::park_timeout(Duration::from_micros(300));
        }
    }
}

/// A reader that goes on from what its predecessors committed.
pub(crate) struct Reader {
    slot: String,
    files: InstanceStore,
    inbox: Inbox,
    pub(crate) state: InstanceState,
}

impl Reader {
    pub(crate) fn resume(scene: &Scene) -> Self {
        let mut files = scene.store.instance(&scene.id());
        let mut state = match files.load().unwrap() {
            Loaded::Good(state) => state,
            Loaded::Missing => {
                InstanceState::new(&scene.id(), &role(), scene.incarnation(), &process::current(), now())
            }
            Loaded::Fallback(_, why) => panic!("the state file of {} was damaged: {why}", scene.slot),
        };
        state.incarnation = scene.incarnation();
        let cursor = state.inbox.clone().unwrap_or_default();
        let inbox = scene.store.queue().inbox(&scene.id(), &role(), cursor);
        Self { slot: scene.slot.clone(), files, inbox, state }
    }

    /// Takes up to `max` messages and commits what they came to; tells how many there were.
    pub(crate) fn take(&mut self, max: usize) -> usize {
        let arrivals = self.inbox.take(max, now().wall).unwrap();
        let count = arrivals.len();
        if count == 0 {
            return 0;
        }
        let mut fold = Fold::of(&self.state);
        for arrival in arrivals {
            match arrival {
                Arrival::Message(message) => fold.add(&message),
                other => panic!("{}: {other:?}", self.slot),
            }
        }
        fold.put(&mut self.state);
        self.state.inbox = Some(self.inbox.cursor().clone());
        self.files.replace(&self.state).unwrap();
        count
    }
}
