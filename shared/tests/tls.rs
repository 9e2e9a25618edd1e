//! Certificates and keys on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use palib::tls::{Authority, Grant, Identity};

#[test]
fn what_was_saved_can_be_loaded_and_issues_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    assert!(!Authority::is_saved_in(folder.path()));
    Authority::create("shop").expect("created").save(folder.path()).expect("saved");
    assert!(Authority::is_saved_in(folder.path()));

    let authority = Authority::load(folder.path()).expect("loaded");
    assert_eq!(authority.cluster(), "shop");
    let grant = Grant::process("counter-1", ["counter", "ledger"]);
    for _ in 0..2 {
        // A second run of a process gets new ones in the same place.
        let issued = authority.issue(&grant).expect("issued");
        issued.save(&path("counter-1.pem"), &path("counter-1.key")).expect("saved");
        let identity = Identity::load(&path("counter-1.pem"), &path("counter-1.key"), &path("authority.pem"));
        let identity = identity.expect("loaded");
        assert_eq!((identity.cluster(), identity.grant()), ("shop", &grant));
    }
    for key in ["authority.key", "counter-1.key"] {
        let mode = fs::metadata(path(key)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let names = fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(names, 4, "no temporary file is left");
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::create("shop").expect("created");
    authority.save(folder.path()).expect("saved");
    let (pem, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
    authority.issue(&Grant::operator()).expect("issued").save(&pem, &key).expect("saved");

    for mode in [0o640, 0o604, 0o644, 0o660] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("set");
        let error = Identity::load(&pem, &key, &folder.path().join("authority.pem")).err().expect("refused");
        assert!(error.to_string().contains(&format!("chmod 600 {}", key.display())), "{error}");
        assert!(error.to_string().contains(&format!("mode {mode:o}")), "{error}");
    }
    let authority_key = folder.path().join("authority.key");
    fs::set_permissions(&authority_key, fs::Permissions::from_mode(0o644)).expect("set");
    let error = Authority::load(folder.path()).err().expect("refused");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let authority = Authority::create("shop").expect("created");
    authority.save(folder.path()).expect("saved");
    authority.issue(&Grant::operator()).expect("issued").save(&path("a.pem"), &path("a.key")).expect("saved");
    for damaged in ["a.pem", "a.key", "authority.pem"] {
        let good = fs::read(path(damaged)).expect("readable");
        fs::write(path(damaged), &good[..good.len() / 2]).expect("written");
        let error =
            Identity::load(&path("a.pem"), &path("a.key"), &path("authority.pem")).err().expect("refused");
        assert!(error.to_string().starts_with(&path(damaged).display().to_string()), "{error}");
        fs::write(path(damaged), good).expect("written");
    }
    let error =
        Identity::load(&path("none.pem"), &path("a.key"), &path("authority.pem")).err().expect("refused");
    assert!(error.to_string().contains("none.pem"), "{error}");
}

#[test]
fn a_name_that_could_pass_for_another_is_refused() {
    let authority = Authority::create("shop").expect("created");
    for name in ["", "a/b", "a b", "ä", "a#b", "..%2f", &"x".repeat(65)] {
        assert!(authority.issue(&Grant::process(name, ["counter"])).is_err(), "{name}");
        assert!(authority.issue(&Grant::process("counter-1", [name])).is_err(), "{name}");
        assert!(Authority::create(name).is_err(), "{name}");
    }
}
