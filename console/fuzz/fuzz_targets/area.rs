//! See `area` in the library of this package.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: {
        // redb panics over some damaged files, which the reader catches and tells as an error. libFuzzer would end at
        // the panic already; one that is not caught still ends it.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |data: &[u8]| {
        palib_fuzz::run("area", data);
    }
);
