//! Schedules that once broke an invariant. Each is kept as it was found, made small; its first lines tell its story.

use std::fs;
use std::path::Path;

use palib_simulation::{Schedule, run_traced};

#[test]
fn no_case_breaks_an_invariant_any_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = 0;
    for entry in fs::read_dir(folder).expect("the folder of cases") {
        let path = entry.expect("a case").path();
        let text = fs::read_to_string(&path).expect("a case is text");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(text.starts_with("# "), "{name} tells no story");
        let schedule: Schedule = text.parse().unwrap_or_else(|why| panic!("{name}: {why}"));
        let outcome = run_traced(&schedule, None);
        if let Some(violation) = outcome.violation {
            panic!("{name}: {violation}\n{}", outcome.trace.join("\n"));
        }
        cases += 1;
    }
    assert!(cases > 0, "there are cases");
}
