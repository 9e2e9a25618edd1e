//! A small cluster's story in events, for tests of the world and of the screens.

use std::collections::BTreeMap;

use palib::control::{AliasRow, AliasStats, Event, MemberRow, MemberState, NodeStats, TakeoverTiming, What};

/// Writes events as a cluster would.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    seq: u64,
    ms: u64,
    pub(crate) events: Vec<Event>,
}

/// The Unix time the story begins at.
pub(crate) const ZERO_UNIX_MS: u64 = 1_790_000_000_000;

impl Stage {
    pub(crate) fn new() -> Stage {
        Stage { seq: 0, ms: 0, events: Vec::new() }
    }

    /// A cluster of the `counter` demo: two callers, two counters, under load.
    pub(crate) fn counter() -> Stage {
        let mut stage = Stage::new();
        stage.ftm_started(4100, 1);
        for (number, name) in ["caller-1", "caller-2", "counter-1", "counter-2"].into_iter().enumerate() {
            let number = number as u32 + 1;
            stage
                .wait(12)
                .say("ftm", What::Spawned { name: name.into(), process_id: number, pid: 4100 + number });
            stage.wait(35).say("ftm", What::Joined { name: name.into() });
        }
        stage.wait(3).say("ftm", What::Alias { row: caller_row(1) });
        stage.wait(3).say("ftm", What::Alias { row: counter_row(1, false) });
        stage
    }

    /// An FTM starts on the four processes.
    pub(crate) fn ftm_started(&mut self, pid: u32, starts: u64) {
        let processes = ["caller-1", "caller-2", "counter-1", "counter-2"].map(str::to_owned).to_vec();
        self.say("ftm", What::FtmStarted { pid, cluster: "counter".into(), adopted: 0, starts, processes });
    }

    /// The same, after `counter-1` was killed and `counter-2` took over.
    pub(crate) fn counter_after_kill() -> Stage {
        let mut stage = Stage::counter();
        stage.load(40);
        stage.wait(1500).say("ftm", What::Defect { id: "K1".into(), spec: "kill counter-1".into() });
        stage.wait(1).say(
            "ftm",
            What::Exited { name: "counter-1".into(), pid: 4103, how: "SIGKILL".into(), ordered: true },
        );
        stage.say(
            "ftm",
            What::TakeoverStarted {
                alias: "counter".into(),
                incarnation: 2,
                from: Some("counter-1".into()),
                to: "counter-2".into(),
                cause: "killed".into(),
            },
        );
        let timing = TakeoverTiming {
            detect_us: Some(640),
            fence_us: Some(210),
            open_us: Some(1290),
            recover_us: Some(80),
            mark_us: Some(150),
            first_reply_us: None,
            blackout_us: None,
        };
        stage.wait(3).say("ftm", What::Alias { row: counter_row(2, true) });
        stage.say(
            "ftm",
            What::InService { alias: "counter".into(), incarnation: 2, member: "counter-2".into(), timing },
        );
        stage.say(
            "caller-1",
            What::Resent {
                call: "caller/i1/118".into(),
                target: "counter".into(),
                attempt: 1,
                to: String::new(),
            },
        );
        stage.wait(1).say(
            "counter-2",
            What::RedundancyFound {
                call: "caller/i1/118".into(),
                alias: "counter".into(),
                process_type: "AUTO_REPLY".into(),
            },
        );
        let timing = TakeoverTiming { first_reply_us: Some(900), blackout_us: Some(3270), ..timing };
        let alias = "counter".into();
        stage.say("ftm", What::FirstReply { alias, incarnation: 2, asked_ns: None, timing });
        stage
    }

    /// `caller-1` calls the counter in `process`.
    pub(crate) fn asked(&mut self, call: &str, process: &str) -> &mut Stage {
        self.say(
            "caller-1",
            What::Asked { call: call.into(), target: "counter".into(), to: process.into(), outbox: true },
        )
    }

    /// A request comes to a counter.
    pub(crate) fn received(&mut self, call: &str, process: &str, attempt: u32) -> &mut Stage {
        let (alias, from) = ("counter".into(), "caller-1".into());
        self.say(process, What::Received { call: call.into(), alias, from, attempt })
    }

    /// A counter executes a request, and its outcome is durable.
    pub(crate) fn executed(&mut self, call: &str, process: &str) -> &mut Stage {
        self.say(process, What::Executing { call: call.into(), alias: "counter".into() });
        let what = "outcome".into();
        self.wait(2).say(process, What::Stable { call: call.into(), alias: "counter".into(), what })
    }

    /// A counter answers, and `caller-1` gets it.
    pub(crate) fn answered(&mut self, call: &str, process: &str, redundant: bool, us: u64) -> &mut Stage {
        let (alias, to) = ("counter".into(), "caller-1".into());
        self.say(process, What::Answered { call: call.into(), alias, to, redundant });
        self.wait(1).say("caller-1", What::Call { call: call.into(), target: "counter".into(), us })
    }

    pub(crate) fn wait(&mut self, ms: u64) -> &mut Stage {
        self.ms += ms;
        self
    }

    /// Now, on the clock that the processes share.
    pub(crate) fn now_ns(&self) -> u64 {
        1_000_000_000 + self.ms * 1_000_000
    }

    pub(crate) fn say(&mut self, process: &str, what: What) -> &mut Stage {
        self.seq += 1;
        self.events.push(Event {
            seq: self.seq,
            at_ns: 1_000_000_000 + self.ms * 1_000_000,
            unix_ms: ZERO_UNIX_MS + self.ms,
            process: process.into(),
            what,
        });
        self
    }

    /// A process measures one alias.
    pub(crate) fn measure(&mut self, process: &str, alias: &str, counters: &[(&str, u64)]) -> &mut Stage {
        let counters: BTreeMap<String, u64> = counters.iter().map(|(name, n)| ((*name).into(), *n)).collect();
        let received = counters.get("effects").copied().unwrap_or(0);
        let at_ns = 1_000_000_000 + self.ms * 1_000_000;
        let of_alias =
            AliasStats { alias: alias.into(), in_service: true, received, counters, ..AliasStats::default() };
        let stats = NodeStats { at_ns, aliases: vec![of_alias], links: 2, ..NodeStats::default() };
        self.say(process, What::Stats(stats))
    }

    /// Two seconds of calls at this rate, from `caller-1` to `counter-1`.
    pub(crate) fn load(&mut self, calls_per_s: u64) -> &mut Stage {
        for step in 0..5 {
            let calls = calls_per_s * step / 2;
            self.measure("caller-1", "caller", &[("issued", calls), ("acked", calls)]);
            self.measure("counter-1", "counter", &[("effects", calls)]);
            let call = format!("caller/i1/{}", 100 + step);
            self.say("caller-1", What::Call { call, target: "counter".into(), us: 340 });
            self.wait(500);
        }
        self
    }
}

/// A call whose server is killed between effect and reply; another one goes by in peace before it.
pub(crate) fn chart_story() -> Stage {
    let (peaceful, struck) = ("caller/i1/119", "caller/i1/120");
    let mut stage = Stage::counter();
    stage.wait(300).asked(peaceful, "counter-1").wait(1).received(peaceful, "counter-1", 0);
    stage.executed(peaceful, "counter-1").answered(peaceful, "counter-1", false, 4100);
    stage.wait(200).asked(struck, "counter-1").wait(1).received(struck, "counter-1", 0);
    stage.executed(struck, "counter-1");
    stage.wait(1).say("ftm", What::Defect { id: "K1".into(), spec: "kill counter-1".into() });
    let how = "SIGKILL".into();
    stage.wait(1).say("ftm", What::Exited { name: "counter-1".into(), pid: 4103, how, ordered: true });
    stage.say(
        "ftm",
        What::TakeoverStarted {
            alias: "counter".into(),
            incarnation: 2,
            from: Some("counter-1".into()),
            to: "counter-2".into(),
            cause: "killed".into(),
        },
    );
    stage.wait(41).say("ftm", What::Alias { row: counter_row(2, true) });
    stage.say(
        "ftm",
        What::InService {
            alias: "counter".into(),
            incarnation: 2,
            member: "counter-2".into(),
            timing: TakeoverTiming::default(),
        },
    );
    let (call, target, to) = (struck.into(), "counter".into(), "counter-2".into());
    stage.say("caller-1", What::Resent { call, target, attempt: 1, to });
    stage.wait(1).received(struck, "counter-2", 1);
    let process_type = "AUTO_REPLY".into();
    stage.say(
        "counter-2",
        What::RedundancyFound { call: struck.into(), alias: "counter".into(), process_type },
    );
    stage.answered(struck, "counter-2", true, 48_000);
    stage
}

/// A row as the FTM would tell it.
pub(crate) fn row(alias: &str, id: u32, kind: &str, incarnation: u64, members: Vec<MemberRow>) -> AliasRow {
    AliasRow { alias: alias.into(), alias_id: id, kind: kind.into(), incarnation, site: 1, members }
}

/// A member as the FTM would tell it.
pub(crate) fn member(process: &str, port: u32, state: MemberState, why: &str) -> MemberRow {
    let number = port % 100;
    MemberRow {
        port,
        process: process.into(),
        process_id: number,
        pid: (state != MemberState::Dead).then_some(4100 + number),
        address: None,
        in_service: state == MemberState::InService,
        state,
        since_unix_ms: ZERO_UNIX_MS + 190,
        why: why.into(),
    }
}

/// The row of the alias `caller`.
pub(crate) fn caller_row(incarnation: u64) -> AliasRow {
    let members = vec![
        member("caller-1", 101, MemberState::InService, "first start"),
        member("caller-2", 102, MemberState::Backup, "joined"),
    ];
    row("caller", 1, "caller", incarnation, members)
}

/// The row of the alias `counter`, before and after the death of `counter-1`.
pub(crate) fn counter_row(incarnation: u64, taken_over: bool) -> AliasRow {
    let members = if taken_over {
        vec![
            member("counter-1", 103, MemberState::Dead, "SIGKILL by an operator (K1); starts again"),
            member("counter-2", 104, MemberState::InService, "took over from counter-1: killed"),
        ]
    } else {
        vec![
            member("counter-1", 103, MemberState::InService, "first start"),
            member("counter-2", 104, MemberState::Backup, "joined"),
        ]
    };
    row("counter", 2, "counter", incarnation, members)
}
