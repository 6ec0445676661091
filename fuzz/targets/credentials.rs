//! Auth files: no word of them is in a message, and no helper is run that PATH does not have.
#![no_main]

use sbx::image::credentials::Accounts;
use sbx_fuzz::is_fit;
use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

fn ground() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("auth.json");
    fs::write(&file, "").expect("write");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
    dir
}

thread_local!(static GROUND: RefCell<TempDir> = RefCell::new(ground()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    GROUND.with_borrow(|dir| {
        let file = dir.path().join("auth.json");
        fs::write(&file, data).expect("write");
        let lookup = |name: &str| match name {
            "REGISTRY_AUTH_FILE" => Some(file.clone().into_os_string()),
            "PATH" => Some(OsString::from(dir.path().join("empty"))),
            _ => None,
        };
        let accounts = Accounts::new(&lookup, nix::unistd::geteuid().as_raw());
        for (host, repository) in [
            ("docker.io", "library/debian"),
            ("a.example.com:5000", "team/app"),
        ] {
            match accounts.find(host, repository) {
                Ok(Some(found)) => assert_eq!(format!("{found:?}"), "credentials"),
                Ok(None) => {}
                Err(error) => is_fit(&error.to_string()),
            }
        }
    });
});
