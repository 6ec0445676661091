//! Configs of images; their manifest has two layers.
#![no_main]

use sbx::image::document::Config;
use sbx::image::limits::Limits;
use sbx_fuzz::is_fit;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let config = match Config::parse(data, 2, &Limits::default()) {
        Ok(config) => config,
        Err(error) => return is_fit(&error.to_string()),
    };
    assert_eq!(config.diff_ids.len(), 2);
    let run = &config.config;
    assert!(run.working_dir.is_empty() || run.working_dir.starts_with('/'));
    assert!(run.stop_signal.is_none_or(|signal| (1..=64).contains(&signal)));
    for (name, value) in &run.env {
        assert!(!name.is_empty() && !name.contains('='));
        assert!(name.len() + value.len() <= 32 << 10);
    }
    let texts = run
        .entrypoint
        .iter()
        .chain(&run.cmd)
        .chain(&run.volumes)
        .chain(run.env.iter().flat_map(|(name, value)| [name, value]))
        .chain([&run.user, &run.working_dir]);
    for text in texts {
        assert!(!text.contains('\0'));
    }
});
