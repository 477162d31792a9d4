//! Backends by name: `builtin`, one of `[llm.backends]`, or one described by `TACHI_LLM_BASE_URL` and `TACHI_LLM_MODEL`.
//!
//! A worker learns about its backend through its environment; its key is handed on by name and by value, and is the only
//! variable of the caller's environment that is passed beyond the allow-list.

use super::file::{BackendTable, ConfigFile};
use super::near::near;
use super::surroundings;

/// The one that needs nothing.
pub(super) const BUILTIN: &str = "builtin";

/// What is wrong with a name, and what to do.
pub(super) type Refusal = (String, String);

/// Environment that makes a worker use this backend; nothing for `builtin`.
pub(super) fn environment(name: &str, file: &ConfigFile) -> Result<Vec<(String, String)>, Refusal> {
    let backends = file.llm.as_ref().map(|llm| &llm.backends);
    if name == BUILTIN {
        return Ok(vec![("TACHI_BACKEND".to_owned(), BUILTIN.to_owned())]);
    }
    let key_env = match backends.and_then(|all| all.get(name)) {
        Some(table) => return described(name, table),
        None if surroundings::variable("TACHI_LLM_BASE_URL").is_some() => {
            surroundings::variable("TACHI_LLM_KEY_ENV")
        }
        None => return Err(unknown(name, file)),
    };
    let mut pairs = vec![("TACHI_BACKEND".to_owned(), name.to_owned())];
    pairs.extend(key_env.and_then(|key| Some((key.clone(), surroundings::variable(&key)?))));
    Ok(pairs)
}

fn described(name: &str, table: &BackendTable) -> Result<Vec<(String, String)>, Refusal> {
    let next = || "describe it with kind = \"openai\", base_url and model".to_owned();
    if table.kind != "openai" {
        let reason =
            format!("backend {name:?} is of kind {:?}, which this version does not have", table.kind);
        return Err((reason, next()));
    }
    let (Some(url), Some(model)) = (&table.base_url, &table.model) else {
        return Err((format!("backend {name:?} lacks base_url or model"), next()));
    };
    let mut pairs = vec![
        ("TACHI_BACKEND".to_owned(), name.to_owned()),
        ("TACHI_LLM_BASE_URL".to_owned(), url.clone()),
        ("TACHI_LLM_MODEL".to_owned(), model.clone()),
    ];
    if let Some(key) = &table.key_env {
        let Some(value) = surroundings::variable(key) else {
            return Err((
                format!("backend {name:?} takes its key from {key}, which is not set"),
                format!("export {key}=…"),
            ));
        };
        pairs.push(("TACHI_LLM_KEY_ENV".to_owned(), key.clone()));
        pairs.push((key.clone(), value));
    }
    Ok(pairs)
}

fn unknown(name: &str, file: &ConfigFile) -> Refusal {
    let configured = file.llm.iter().flat_map(|llm| llm.backends.keys()).map(String::as_str);
    let known: Vec<&str> = std::iter::once(BUILTIN).chain(configured).collect();
    let hint = match near(name, known.iter().copied()).as_slice() {
        [] => format!("known: {}; others are described under [llm.backends.NAME]", known.join(", ")),
        close => format!("did you mean {}?", close.join(" or ")),
    };
    (format!("there is no backend {name:?}"), hint)
}
