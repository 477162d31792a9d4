//! One OpenAI-compatible chat call. The only user of `ureq`.
//!
//! Bounded in time (connect, answer, silence) and size; the key is read from its variable when it is used, and goes nowhere
//! else. Deliberately absent: streaming, tools, failover, budget.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::settings::HttpBackend;

const CONNECT: Duration = Duration::from_secs(5);
/// Until the status line: a model may think before it begins.
const RESPONSE: Duration = Duration::from_secs(120);
/// Longest silence inside the body.
const SILENCE: Duration = Duration::from_secs(30);
/// Largest body read, in bytes.
const BODY_MAX: u64 = 1024 * 1024;
/// Longest piece of a foreign error shown, in characters.
const SHOWN_MAX: usize = 300;

/// What is asked.
pub(super) struct Prompt {
    /// Who answers, and from what.
    pub(super) system: String,
    /// The question.
    pub(super) question: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The key's variable is not set.
    #[error("the variable {0} with its key is not set")]
    NoKey(String),
    /// The call did not come through.
    #[error("{0}")]
    Call(Box<ureq::Error>),
    /// The service said no.
    #[error("status {status}: {text}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Beginning of the body.
        text: String,
    },
    /// The answer holds no text.
    #[error("its answer holds no text")]
    Empty,
}

impl From<ureq::Error> for Unanswered {
    fn from(error: ureq::Error) -> Self {
        Self::Call(Box::new(error))
    }
}

/// Asks once.
///
/// # Errors
/// [`Unanswered`], for people to read.
pub(super) fn ask(backend: &HttpBackend, prompt: &Prompt) -> Result<String, Unanswered> {
    let url = format!("{}/chat/completions", backend.base_url);
    let mut request = agent(&backend.base_url).post(&url);
    if let Some(variable) = &backend.key_env {
        let key = std::env::var(variable).map_err(|_| Unanswered::NoKey(variable.clone()))?;
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let mut response = request.send_json(json!({
        "model": backend.model,
        "messages": [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.question},
        ],
    }))?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(BODY_MAX).lossy_utf8(true).read_to_string()?;
    if !(200..300).contains(&status) {
        return Err(Unanswered::Status { status, text: body.chars().take(SHOWN_MAX).collect() });
    }
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    answer
        .pointer("/choices/0/message/content")
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
        .ok_or(Unanswered::Empty)
}

fn agent(base_url: &str) -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(RESPONSE))
        .timeout_per_read(Some(SILENCE))
        .http_status_as_error(false)
        .max_redirects(0);
    if is_loopback(base_url) { config.proxy(None).build() } else { config.build() }.new_agent()
}

/// A proxy configured for the outside must not see what stays on this machine.
fn is_loopback(base_url: &str) -> bool {
    let Ok(uri) = base_url.parse::<ureq::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// Answers one request with `response` and returns its head and body.
    fn serve(response: &'static str) -> (HttpBackend, JoinHandle<(String, Value)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut size) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    size = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; size];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(response.as_bytes()).unwrap();
            (head, serde_json::from_slice(&body).unwrap())
        });
        (HttpBackend { name: "test".to_owned(), base_url, model: "m".to_owned(), key_env: None }, served)
    }

    fn prompt() -> Prompt {
        Prompt { system: "facts".to_owned(), question: "how many?".to_owned() }
    }

    #[test]
    fn the_answer_is_the_first_choice_and_the_request_names_model_and_question() {
        let (backend, served) = serve(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"seven\"}}]}",
        );
        assert_eq!(ask(&backend, &prompt()).unwrap(), "seven");
        let (head, body) = served.join().unwrap();
        assert!(head.starts_with("POST /v1/chat/completions"), "{head}");
        assert_eq!(body["model"], "m");
        assert_eq!(body["messages"][1]["content"], "how many?");
    }

    #[test]
    fn what_failed_is_said_and_no_text_is_invented() {
        let (backend, served) = serve("HTTP/1.1 429 Too Many\r\nconnection: close\r\n\r\nslow down");
        assert_eq!(ask(&backend, &prompt()).unwrap_err().to_string(), "status 429: slow down");
        served.join().unwrap();
        let (backend, served) = serve("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"choices\":[]}");
        assert!(matches!(ask(&backend, &prompt()), Err(Unanswered::Empty)));
        served.join().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = HttpBackend { base_url: format!("http://{free}/v1"), ..backend };
        assert!(matches!(ask(&nobody, &prompt()), Err(Unanswered::Call(_))));
        let keyless = HttpBackend { key_env: Some("TACHI_TEST_NO_SUCH_KEY".to_owned()), ..nobody };
        assert!(ask(&keyless, &prompt()).unwrap_err().to_string().contains("TACHI_TEST_NO_SUCH_KEY"));
    }

    #[test]
    fn a_body_beyond_the_limit_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _read = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").unwrap();
            let chunk = [b' '; 65536];
            while stream.write_all(&chunk).is_ok() {}
        });
        let backend = HttpBackend { name: "t".into(), base_url, model: "m".into(), key_env: None };
        assert!(matches!(ask(&backend, &prompt()), Err(Unanswered::Call(_))));
        served.join().unwrap();
    }

    #[test]
    fn loopback_is_known_by_name_and_by_address() {
        for (url, expected) in [
            ("http://127.0.0.1:1/v1", true),
            ("http://localhost/v1", true),
            ("http://[::1]:8080/v1", true),
            ("https://api.example.com/v1", false),
            ("http://10.0.0.1/v1", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }
}
