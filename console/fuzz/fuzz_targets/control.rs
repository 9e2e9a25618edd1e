//! See `control` in the library of this package.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    palib_fuzz::run("control", data);
});
