//! Reading a cluster file, with every mistake in it found at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use palib::control::Policy;
use palib::limits::NAME_BYTES_MAX;
use toml::de::{DeTable, DeValue};

use super::fields::{At, Fields, Mistakes, one_of, to_json};
use super::processes::{all_processes, check_active, processes};
use super::{
    AliasSpec, ClusterFile, ClusterFileError, KINDS, Mistake, ProcessSpec, Settings, TourStep, TransScope,
};

const TOP: [&str; 6] = ["name", "title", "settings", "aliases", "process", "tour"];
const SETTINGS: [&str; 4] = ["heartbeat", "suspect_after", "respawn", "stable_area"];
const ALIAS: [&str; 10] = [
    "kind",
    "command",
    "members",
    "active",
    "ids",
    "transid",
    "outbox",
    "on_takeover",
    "stable_area",
    "options",
];
pub(super) const PROCESS: [&str; 3] = ["name", "aliases", "command"];
const STEP: [&str; 4] = ["say", "do", "watch", "expect"];
/// Names with a meaning of their own: those under which the state folder keeps certificates, keys and logs of others than
/// processes, and the alias of the operators.
const RESERVED: [&str; 4] = ["ftm", "keeper", "operator", "authority"];
/// More members than this are a mistyped number: each is a process of the machine.
pub(super) const MEMBERS_MAX: i64 = 16;

pub(super) fn parse(path: &Path, text: &str) -> Result<ClusterFile, ClusterFileError> {
    let mut mistakes = Mistakes::new(text);
    let (root, broken) = DeTable::parse_recoverable(text);
    for error in &broken {
        let at = error.span().unwrap_or(0..0);
        mistakes.add(
            at,
            format!("this is no TOML: {}", error.message()),
            "see https://toml.io for how a file is written",
        );
    }
    // After broken syntax the rest would be guesses about guesses.
    let file = if broken.is_empty() { read(root.get_ref(), text, &mut mistakes) } else { None };
    let mistakes: Vec<Mistake> = mistakes.into_sorted();
    match file {
        Some(file) if mistakes.is_empty() => Ok(file),
        _ => Err(ClusterFileError { path: path.to_owned(), mistakes }),
    }
}

fn read(root: &DeTable<'_>, text: &str, mistakes: &mut Mistakes<'_>) -> Option<ClusterFile> {
    let top = Fields::open(root, 0..0, &TOP, mistakes);
    let name = cluster_name(&top, mistakes);
    let title = top.text("title", mistakes).map(|title| title.value.to_owned());
    let settings = settings(&top, mistakes);
    let found = aliases(&top, mistakes);
    let explicit = processes(&top, &found, mistakes);
    let processes = all_processes(&found, explicit, mistakes);
    check_active(&found, &processes, mistakes);
    let aliases: Vec<AliasSpec> = found.into_iter().map(|found| found.spec).collect();
    let tour = tour(&top, &aliases, &processes, mistakes);
    let name = name?;
    Some(ClusterFile {
        title: title.unwrap_or_else(|| name.clone()),
        name,
        settings,
        aliases,
        processes,
        tour,
        text: text.to_owned(),
    })
}

fn cluster_name(top: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    if top.get("name").is_none() {
        mistakes.add(
            0..0,
            "the cluster has no name",
            "begin the file with a line such as: name = \"my-cluster\"",
        );
        return None;
    }
    let name = top.text("name", mistakes)?;
    let lower = name.value.to_lowercase().replace(' ', "-");
    if name.value.chars().any(char::is_uppercase) {
        mistakes.add(
            name.at,
            format!("the cluster can't be named \"{}\"", name.value),
            format!("write it in small letters: \"{lower}\""),
        );
        return None;
    }
    check_name("the cluster", name.value, name.at, mistakes).then(|| name.value.to_owned())
}

/// Names become file names, parts of certificates and words of the defect language: nothing else fits all three.
pub(super) fn check_name(what: &str, name: &str, at: Range<usize>, mistakes: &mut Mistakes<'_>) -> bool {
    let wrong = |mistakes: &mut Mistakes<'_>, hint: String| {
        mistakes.add(at.clone(), format!("{what} can't be named \"{name}\""), hint);
        false
    };
    if name.len() > NAME_BYTES_MAX {
        return wrong(
            mistakes,
            format!("a name has at most {NAME_BYTES_MAX} bytes; this one has {}", name.len()),
        );
    }
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(good) {
        let better: String = name.chars().map(|c| if good(c) { c } else { '-' }).collect();
        let better = better.trim_matches(|c: char| !c.is_ascii_alphabetic());
        let example = if better.is_empty() { "my-name" } else { better };
        return wrong(
            mistakes,
            format!("a name begins with a letter and has letters, digits and `-`, such as \"{example}\""),
        );
    }
    if RESERVED.contains(&name) {
        return wrong(
            mistakes,
            format!("{} have a meaning of their own here; choose another name", RESERVED.join(", ")),
        );
    }
    true
}

fn settings(top: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Settings {
    let mut settings = Settings::default();
    let Some((table, at)) = top.table("settings", mistakes) else { return settings };
    let fields = Fields::open(table, at, &SETTINGS, mistakes);
    stable_area(&fields, mistakes);
    settings.respawn = fields.flag("respawn", mistakes).unwrap_or(settings.respawn);
    let heartbeat = fields.duration("heartbeat", mistakes);
    if let Some(heartbeat) = heartbeat {
        if heartbeat.value < Duration::from_millis(10) || heartbeat.value > Duration::from_secs(60) {
            mistakes.add(
                heartbeat.at,
                "this heartbeat is out of range",
                "write something between 10ms and 60s; 100ms is usual",
            );
        }
        settings.heartbeat = heartbeat.value;
    }
    let suspect = fields.duration("suspect_after", mistakes);
    let place = suspect.as_ref().map_or(fields.at.clone(), |suspect| suspect.at.clone());
    settings.suspect_after = match suspect {
        Some(suspect) => suspect.value,
        None => settings.suspect_after.max(settings.heartbeat * 6),
    };
    if settings.suspect_after < settings.heartbeat * 2 {
        mistakes.add(
            place,
            "a process would be suspected before its second heartbeat is due",
            format!("make suspect_after at least {}", crate::units::duration(settings.heartbeat * 2)),
        );
    }
    settings
}

/// Other stores have a name already, so that a file for later versions is refused with the reason.
fn stable_area(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) {
    let Some(store) = fields.text("stable_area", mistakes) else { return };
    match store.value {
        "redb" => {}
        "etcd" => mistakes.add(
            store.at,
            "stable_area = \"etcd\" comes later: only redb on one machine",
            "leave the line out, or write \"redb\"",
        ),
        other => mistakes.add(
            store.at,
            format!("there is no stable area \"{other}\""),
            "leave the line out, or write \"redb\"",
        ),
    }
}

/// An alias of the file and where things were written.
pub(super) struct FoundAlias {
    pub(super) spec: AliasSpec,
    /// Whether the file says what it runs, be it with a mistake.
    pub(super) says_what: bool,
    pub(super) members: Option<(i64, Range<usize>)>,
    pub(super) active_at: Range<usize>,
    pub(super) at: Range<usize>,
}

fn aliases(top: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Vec<FoundAlias> {
    let Some((table, _)) = top.table("aliases", mistakes) else {
        if top.get("aliases").is_none() {
            mistakes.add(
                0..0,
                "the cluster has no alias",
                "add one, such as:\n    [aliases.counter]\n    kind = \"counter\"\n    members = 2",
            );
        }
        return Vec::new();
    };
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut found: Vec<FoundAlias> = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        check_name("an alias", name, key.span(), mistakes);
        if let Some(other) = names.insert(name.to_lowercase(), name.to_owned()) {
            mistakes.add(
                key.span(),
                format!("aliases \"{other}\" and \"{name}\" differ in case only"),
                "their files would be the same on some disks; rename one",
            );
        }
        match value.get_ref() {
            DeValue::Table(table) => found.push(alias(name, table, key.span(), mistakes)),
            _ => mistakes.add(
                value.span(),
                format!("alias {name} is no table"),
                format!("write it as [aliases.{name}] and its fields below"),
            ),
        }
    }
    found.sort_by_key(|alias| alias.at.start);
    found
}

fn alias(name: &str, table: &DeTable<'_>, at: Range<usize>, mistakes: &mut Mistakes<'_>) -> FoundAlias {
    let fields = Fields::open(table, at.clone(), &ALIAS, mistakes);
    stable_area(&fields, mistakes);
    let kind = fields.word("kind", &KINDS, mistakes).map(str::to_owned);
    let command = fields.command(mistakes);
    if fields.get("kind").is_some() && fields.get("command").is_some() {
        mistakes.add(
            at.clone(),
            format!("alias {name} has a kind and a command"),
            "keep `kind` for a stock service, or `command` for one of your own",
        );
    }
    let members = fields.whole("members", mistakes);
    if let Some(members) = &members
        && !(1..=MEMBERS_MAX).contains(&members.value)
    {
        mistakes.add(
            members.at.clone(),
            format!("{} members", members.value),
            format!("write 1 to {MEMBERS_MAX}; 2 are a process and its backup"),
        );
    }
    let active = fields.text("active", mistakes);
    let trans_scope = match fields.word("transid", &["alias", "process", "site"], mistakes) {
        Some("site") => TransScope::Site,
        Some("process") => TransScope::Process,
        _ => TransScope::Alias,
    };
    let options = match fields.table("options", mistakes) {
        Some((options, _)) => options
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref().to_owned(), to_json(value.get_ref())))
            .collect(),
        None => BTreeMap::new(),
    };
    let id_by_port = fields.word("ids", &["incarnation", "port"], mistakes) == Some("port");
    // The stock servers call nobody, and what relays call is in their journals; whoever else may call keeps its calls unless the file says otherwise.
    let calls = kind.as_deref().is_none_or(|kind| kind == "caller");
    let outbox = fields.flag("outbox", mistakes).unwrap_or(calls);
    // Every word of the list is one that can be read.
    let on_takeover = fields.word("on_takeover", &Policy::WORDS, mistakes).and_then(|word| word.parse().ok());
    FoundAlias {
        says_what: fields.get("kind").is_some() || fields.get("command").is_some(),
        active_at: active.as_ref().map_or(at.clone(), |active| active.at.clone()),
        spec: AliasSpec {
            name: name.to_owned(),
            kind,
            command,
            active: active.map(|active| active.value.to_owned()),
            id_by_port,
            trans_scope,
            outbox,
            on_takeover: on_takeover.unwrap_or_default(),
            options,
        },
        members: members.map(|members| (members.value, members.at)),
        at,
    }
}

fn tour(
    top: &Fields<'_>,
    aliases: &[AliasSpec],
    processes: &[ProcessSpec],
    mistakes: &mut Mistakes<'_>,
) -> Vec<TourStep> {
    let alias_names: Vec<&str> = aliases.iter().map(|alias| alias.name.as_str()).collect();
    let mut any: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
    any.extend(alias_names.iter().copied());
    any.push("ftm");
    let mut steps = Vec::new();
    for (table, at) in top.tables("tour", mistakes) {
        let fields = Fields::open(table, at.clone(), &STEP, mistakes);
        if fields.get("say").is_none() {
            mistakes.add(
                at,
                "this step says nothing",
                "add a line such as: say = \"Now we kill the process in service.\"",
            );
        }
        let say = fields.text("say", mistakes).map_or(String::new(), |say| say.value.to_owned());
        let watch = fields.text("watch", mistakes).map_or(String::new(), |watch| watch.value.to_owned());
        let action = fields.text("do", mistakes).and_then(|text| {
            let action: super::Action = read_word(&text, mistakes)?;
            for target in action.targets() {
                check_known(Some(target), &any, text.at.clone(), mistakes);
            }
            for alias in action.armed() {
                check_known(Some(alias), &alias_names, text.at.clone(), mistakes);
            }
            Some(action)
        });
        let texts = match fields.get("expect").map(|value| value.get_ref()) {
            Some(DeValue::String(_)) => fields.text("expect", mistakes).into_iter().collect(),
            _ => fields.texts("expect", mistakes).map(|list| list.value).unwrap_or_default(),
        };
        let expect = texts
            .into_iter()
            .filter_map(|text| {
                let expectation: super::Expectation = read_word(&text, mistakes)?;
                check_known(expectation.alias(), &alias_names, text.at, mistakes);
                Some(expectation)
            })
            .collect();
        steps.push(TourStep { say, action, watch, expect });
    }
    steps
}

fn read_word<T: FromStr<Err = String>>(text: &At<&str>, mistakes: &mut Mistakes<'_>) -> Option<T> {
    match text.value.parse() {
        Ok(value) => Some(value),
        Err(wrong) => {
            let (what, hint) =
                wrong.split_once("; ").unwrap_or((&wrong, "the README has the whole language"));
            mistakes.add(text.at.clone(), what, hint);
            None
        }
    }
}

fn check_known(name: Option<&str>, known: &[&str], at: Range<usize>, mistakes: &mut Mistakes<'_>) {
    if let Some(name) = name
        && !known.contains(&name)
    {
        mistakes.add(at, format!("nothing is named \"{name}\" here"), one_of(name, known));
    }
}
