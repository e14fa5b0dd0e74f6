//! Encrypts and decrypts messages as Caesar did. The shift comes from the granted environment variable `SHIFT_AMOUNT`, 3 by default.

use serde::{Deserialize, Serialize};
use verdict_sdk::{Error, NoSettings, Policy, Provider, SettingsError, audit};

struct CaesarCipher {
    /// 0 to 25.
    shift: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    action: Action,
    message: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Encrypt,
    Decrypt,
}

#[derive(Debug, Serialize)]
struct Answer {
    result: String,
}

impl Policy for CaesarCipher {
    type Settings = NoSettings;

    fn new(NoSettings {}: NoSettings) -> Result<Self, Vec<SettingsError>> {
        match std::env::var("SHIFT_AMOUNT") {
            Ok(text) => Ok(Self { shift: shift(&text)? }),
            Err(std::env::VarError::NotPresent) => Ok(Self { shift: 3 }),
            Err(std::env::VarError::NotUnicode(_)) => Err(bad_shift()),
        }
    }
}

impl Provider for CaesarCipher {
    type Event = Event;
    type Answer = Answer;

    fn handle_event(&self, event: Event) -> Result<Answer, Error> {
        let (shift, action) = match event.action {
            Action::Encrypt => (self.shift, "encrypt"),
            Action::Decrypt => (26 - self.shift, "decrypt"),
        };
        audit("action", action);
        audit("characters", event.message.chars().count().to_string());
        let result = event.message.chars().map(|letter| rotate(letter, shift)).collect();
        Ok(Answer { result })
    }
}

/// Any whole number; 29, 3 and -23 shift alike.
fn shift(text: &str) -> Result<u8, Vec<SettingsError>> {
    let amount: i64 = text.trim().parse().map_err(|_| bad_shift())?;
    u8::try_from(amount.rem_euclid(26)).map_err(|_| bad_shift())
}

fn bad_shift() -> Vec<SettingsError> {
    vec![SettingsError::new("", "the environment variable SHIFT_AMOUNT must be a whole number")]
}

fn rotate(letter: char, shift: u8) -> char {
    let from = |first: u8| char::from(first + (letter as u8 - first + shift) % 26);
    match letter {
        'a'..='z' => from(b'a'),
        'A'..='Z' => from(b'A'),
        _ => letter,
    }
}

verdict_sdk::export!(CaesarCipher: Provider);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    #[test]
    fn the_sample_events_give_the_verdict_that_they_are_named_after() {
        testing::provider::<CaesarCipher>("{}").check_reviews();
    }

    #[test]
    fn what_was_encrypted_can_be_decrypted() {
        let ask = |policy: &CaesarCipher, action, message: &str| {
            policy.handle_event(Event { action, message: message.to_owned() }).unwrap().result
        };
        assert_eq!(ask(&CaesarCipher { shift: 3 }, Action::Encrypt, "hello world"), "khoor zruog");
        for shift in 0..26 {
            let policy = CaesarCipher { shift };
            let text = "Hello, Wörld! xyz XYZ 123";
            assert_eq!(ask(&policy, Action::Decrypt, &ask(&policy, Action::Encrypt, text)), text);
        }
        assert!(testing::take_audited().contains(&("action".to_owned(), "encrypt".to_owned())));
    }

    #[test]
    fn any_whole_number_is_a_shift() {
        for (text, expected) in [("3", 3), ("0", 0), ("29", 3), ("-23", 3), (" 5\n", 5), ("9223372036854775807", 7)] {
            assert_eq!(shift(text).unwrap(), expected, "{text}");
        }
        assert!(!shift("three").unwrap_err()[0].message.contains("three"));
    }
}
