//! The script: claims and figures of the patent, and the scenes in which they are played.

use std::str::FromStr;

use serde::Deserialize;

use super::sight::Sight;
use crate::cluster::Action;

/// The scenes, and what they show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// The claims, 1 to 33.
    #[serde(rename = "claim")]
    pub(super) claims: Vec<Subject>,
    /// The figures, 1 to 19.
    #[serde(rename = "figure")]
    pub(super) figures: Vec<Subject>,
    /// The scenes, in the order in which they are played.
    #[serde(rename = "scene")]
    pub(super) scenes: Vec<Scene>,
}

/// A claim or a figure.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    /// Its number.
    pub(super) number: u32,
    /// What it says, in short.
    pub(super) text: String,
    /// The claims that together say all that it says: it holds if they do.
    #[serde(default)]
    pub(super) same_as: Vec<u32>,
    /// Why there is nothing in it that could be played, or what is to be known about it.
    #[serde(default)]
    pub(super) note: String,
}

/// Some steps that belong together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scene {
    /// What happens in it.
    pub(super) title: String,
    /// Its steps.
    #[serde(rename = "step")]
    pub(super) steps: Vec<Step>,
}

/// A step: something is done, and then something must be seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// What is done.
    #[serde(default, rename = "do")]
    pub(super) does: Option<Deed>,
    /// What must be seen then, sooner or later.
    #[serde(default)]
    pub(super) see: Vec<Watched>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Deed {
    /// As it was written.
    pub(super) text: String,
    /// The same, understood.
    pub(super) what: What,
}

/// What is done, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `call ALIAS PAYLOAD… as NAME`: a call, to its end.
    Call { alias: String, payload: String, name: String },
    /// `start ALIAS PAYLOAD… as NAME`: a call that is not waited for.
    Start { alias: String, payload: String, name: String },
    /// `finish NAME`: waits for a call that was started.
    Finish(String),
    /// `let go of NAME`: its caller dies, as it were: nobody waits for the call any more, or sends it again.
    LetGo(String),
    /// `again NAME as NEW`: asks again under the id of a call that was made before.
    Again { name: String, new: String },
    /// Whatever a tour can do.
    Tour(Action),
}

impl TryFrom<String> for Deed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let what = match words[..] {
            [verb @ ("call" | "start"), alias, .., "as", name] if words.len() > 4 => {
                let payload = words[2..words.len() - 2].join(" ");
                let (alias, name) = (alias.to_owned(), name.to_owned());
                match verb {
                    "call" => What::Call { alias, payload, name },
                    _ => What::Start { alias, payload, name },
                }
            }
            ["finish", name] => What::Finish(name.to_owned()),
            ["let", "go", "of", name] => What::LetGo(name.to_owned()),
            ["again", name, "as", new] => What::Again { name: name.to_owned(), new: new.to_owned() },
            _ => What::Tour(text.parse()?),
        };
        Ok(Self { text, what })
    }
}

/// What must be seen, and for which claims and figures it speaks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Watched {
    /// The claims.
    pub(super) claims: Vec<u32>,
    /// The figures.
    pub(super) figures: Vec<u32>,
    /// As it was written, without these.
    pub(super) text: String,
    /// What must be seen.
    pub(super) sight: Sight,
}

impl TryFrom<String> for Watched {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (subjects, sight) = text.split_once(": ").ok_or_else(|| {
            format!("`{text}` does not say which claims it speaks for; write it as: 13 F6: lost = 0")
        })?;
        let (mut claims, mut figures) = (Vec::new(), Vec::new());
        for word in subjects.split_whitespace() {
            let (list, number) = match word.strip_prefix('F') {
                Some(number) => (&mut figures, number),
                None => (&mut claims, word),
            };
            list.push(u32::from_str(number).map_err(|_| format!("`{word}` is no claim and no figure"))?);
        }
        Ok(Self { claims, figures, text: sight.to_owned(), sight: sight.parse()? })
    }
}

impl Script {
    /// The script that is built in.
    ///
    /// # Panics
    /// If it is not in order, which a test would find.
    #[must_use]
    pub(super) fn built_in() -> Self {
        toml::from_str(include_str!("claims.toml")).expect("the script that is built in can be read")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_claim_and_figure_is_played_or_says_why_not() {
        let script = Script::built_in();
        let numbers = |list: &[Subject]| list.iter().map(|subject| subject.number).collect::<Vec<_>>();
        assert_eq!(numbers(&script.claims), (1..=33).collect::<Vec<_>>());
        assert_eq!(numbers(&script.figures), (1..=19).collect::<Vec<_>>());
        let steps = || script.scenes.iter().flat_map(|scene| &scene.steps);
        let watched = || steps().flat_map(|step| &step.see);
        let claims: BTreeSet<u32> = watched().flat_map(|it| it.claims.clone()).collect();
        let figures: BTreeSet<u32> = watched().flat_map(|it| it.figures.clone()).collect();
        for (list, shown, what) in [(&script.claims, &claims, "claim"), (&script.figures, &figures, "figure")]
        {
            for subject in list {
                let said = !subject.same_as.is_empty() || !subject.note.is_empty();
                assert!(shown.contains(&subject.number) || said, "{what} {} is not played", subject.number);
            }
            let known: BTreeSet<u32> = numbers(list).into_iter().collect();
            assert!(shown.is_subset(&known), "{what}s that do not exist are played");
        }
    }

    #[test]
    fn what_is_done_is_understood() {
        let what = |text: &str| Deed::try_from(text.to_owned()).map(|deed| deed.what);
        let call = What::Call { alias: "a".into(), payload: "inc k 1".into(), name: "A".into() };
        assert_eq!(what("call a inc k 1 as A"), Ok(call));
        assert_eq!(what("let go of A"), Ok(What::LetGo("A".into())));
        assert!(matches!(what("kill counter"), Ok(What::Tour(_))));
        assert!(what("dance").is_err());
    }
}
