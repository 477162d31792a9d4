//! Has a message answered: from the facts at once, or by a model on a thread of its own, so that nothing waits for it.

use tachi_shared::clock;
use tachi_shared::queue::Message;
use tachi_shared::task::Board;

use super::hands::Hands;
use super::http;
use super::senses::Thought;
use crate::backend::builtin::{self, Site};
use crate::settings::{HttpBackend, Thinker};
use crate::turn::{Event, Turn};

impl Hands {
    /// Answers now, or begins to.
    pub(super) fn answer(
        &mut self,
        turn: &Turn,
        site: &Site,
        board: &Board,
        message: &Message,
    ) -> Option<Event> {
        let id = message.draft.id.clone();
        let facts = builtin::answer(site, board, &message.draft.text());
        match &self.settings.thinker {
            Thinker::Builtin => Some(Event::Answered { message: id, text: facts }),
            Thinker::Http(backend) => {
                let backend = backend.clone();
                let prompt = http::Prompt {
                    system: format!(
                        "You are {} ({}), one of a team surveying {}. Answer from these facts, and say so if they do not \
                         hold the answer:\n{facts}",
                        turn.who.me.id,
                        turn.who.me.role,
                        site.workspace.display()
                    ),
                    question: message.draft.text().into_owned(),
                };
                self.think(backend, prompt, id)
            }
        }
    }

    /// What fails is said, never covered up by invented text.
    fn think(&mut self, backend: HttpBackend, prompt: http::Prompt, message: String) -> Option<Event> {
        let Some(reply) = self.senses.reply() else {
            return Some(Event::Answered { message, text: "no model can be asked now".to_owned() });
        };
        let id = message.clone();
        let name = backend.name.clone();
        let asked = std::thread::Builder::new().name("model".to_owned()).spawn(move || {
            let text = match http::ask(&backend, &prompt) {
                Ok(text) => text,
                Err(why) => format!("The model {name} did not answer: {why}"),
            };
            reply.give(Thought { message: id, text });
        });
        match asked {
            Ok(_detached) => None,
            Err(error) => {
                let text = format!("The model cannot be asked at {}: {error}", clock::now().wall);
                Some(Event::Answered { message, text })
            }
        }
    }
}
