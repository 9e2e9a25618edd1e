//! What happened in a run, counted. What no run comes to is checked by none.

macro_rules! counts {
    ($($name:ident: $text:literal;)*) => {
        /// How often what happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $(#[doc = $text] pub $name: u64,)*
        }

        impl Counts {
            /// Adds what happened in another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// All of them: a name for programs, words for people, and the count.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $text, self.$name)),*]
            }
        }
    };
}

counts! {
    events: "events";
    calls: "calls made by users";
    replies: "calls that succeeded";
    failures: "calls that failed";
    vanished: "calls that died with their client before they were kept";
    asked_again: "calls asked for again after their deadline";
    calls_on: "calls made on behalf of calls";
    commits: "commits";
    survived: "commits under way at a death that survived it";
    perished: "commits under way at a death that did not";
    deaths: "processes that died";
    kills: "kills";
    hangs: "hangs";
    wakes: "processes that went on after a hang";
    zombies: "members thought dead that went on";
    fenced: "members that found themselves fenced";
    exits: "processes ended in good order";
    ftm_deaths: "deaths of the FTM";
    power_losses: "losses of power";
    disk_faults: "commits that failed";
    adopted: "processes adopted by a new FTM";
    takeovers: "takeovers";
    promotions_failed: "promotions that failed";
    link_faults: "faults of links";
    messages: "messages";
    lost: "messages lost";
    doubled: "messages doubled";
    late: "messages held up for long";
    redundant: "redundant requests answered from the table";
    held: "redundant requests held";
    stale: "stragglers refused";
    handlers: "answers of redundant-message handlers";
    recovered_done: "recoveries: it was executed";
    recovered_undone: "recoveries: it was not executed";
    in_doubt: "calls in doubt";
    decided: "decisions of an operator";
    panics: "handlers that panicked";
    window_full: "calls that found no free slot";
    replayed: "answers from a journal";
    rolled_forward: "transactions rolled forward";
    rolled_back: "transactions rolled back";
    substituted: "calls substituted";
    cancelled: "calls cancelled";
    undone: "calls undone";
    undo_interrupted: "undos that a death had interrupted";
    tombstones: "calls cancelled before they came";
    stuck: "transactions that could not be undone at first";
    retained: "journals retained until the mark passed them";
    marks_told: "marks told by a message of their own";
    pruned: "prunings of old sessions";
}
