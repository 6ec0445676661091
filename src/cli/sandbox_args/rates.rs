//! How fast disks may be, in docker's words.

use super::wrong;
use crate::cli::report::Report;
use crate::model::{Bytes, Origin, Set};
use crate::profile::schema::IoLimit;
use clap::Args;

/// Flags about rates of disks.
#[derive(Debug, Clone, Default, Args)]
pub struct RateArgs {
    /// Limit reads from a disk, PATH:BYTES per second; PATH is the device or any file on it; needs a cgroup
    #[arg(long, value_name = "PATH:RATE", help_heading = "Limits")]
    pub device_read_bps: Vec<String>,
    /// Limit writes to a disk, PATH:BYTES per second; needs a cgroup
    #[arg(long, value_name = "PATH:RATE", help_heading = "Limits")]
    pub device_write_bps: Vec<String>,
    /// Limit read operations per second, PATH:N; needs a cgroup
    #[arg(long, value_name = "PATH:NUMBER", help_heading = "Limits")]
    pub device_read_iops: Vec<String>,
    /// Limit write operations per second, PATH:N; needs a cgroup
    #[arg(long, value_name = "PATH:NUMBER", help_heading = "Limits")]
    pub device_write_iops: Vec<String>,
}

type Put = fn(&mut IoLimit, Bytes);

impl RateArgs {
    /// One entry for each path. Who is named as its origin is the first flag that spoke of it.
    pub(super) fn limits(&self) -> Result<Vec<Set<IoLimit>>, Report> {
        let all: [(&str, &[String], bool, Put); 4] = [
            ("--device-read-bps", &self.device_read_bps, true, |io, n| {
                io.read_bps = Some(n)
            }),
            ("--device-write-bps", &self.device_write_bps, true, |io, n| {
                io.write_bps = Some(n)
            }),
            ("--device-read-iops", &self.device_read_iops, false, |io, n| {
                io.read_iops = Some(n.0)
            }),
            ("--device-write-iops", &self.device_write_iops, false, |io, n| {
                io.write_iops = Some(n.0)
            }),
        ];
        let mut limits: Vec<Set<IoLimit>> = Vec::new();
        for (flag, texts, size, put) in all {
            for text in texts {
                let (path, rate) = rate(flag, text, size)?;
                if !limits.iter().any(|io| io.value.path == path) {
                    let limit = IoLimit {
                        path: path.to_owned(),
                        ..IoLimit::default()
                    };
                    limits.push(Set::new(limit, Origin::flag(format!("{flag} {text}"))));
                }
                let same = limits.iter_mut().filter(|io| io.value.path == path);
                same.for_each(|io| put(&mut io.value, rate));
            }
        }
        Ok(limits)
    }
}

fn rate<'a>(flag: &str, text: &'a str, size: bool) -> Result<(&'a str, Bytes), Report> {
    let right = if size {
        "write PATH:SIZE, what may pass in a second, for example /dev/sda:10m"
    } else {
        "write PATH:NUMBER, how often in a second, for example /dev/sda:1000"
    };
    let parts = text.rsplit_once(':').filter(|(path, _)| !path.is_empty());
    let number = |rate: &str| match size {
        true => rate.parse().ok(),
        false => rate.parse().ok().map(Bytes),
    };
    parts
        .and_then(|(path, rate)| Some((path, number(rate)?)))
        .filter(|(_, rate)| rate.0 > 0)
        .ok_or_else(|| wrong(flag, text, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_one_path_are_one_limit() {
        let args = RateArgs {
            device_read_bps: vec!["/dev/sda:1mb".into(), "/srv/a:b:5".into()],
            device_write_iops: vec!["/dev/sda:20".into()],
            ..RateArgs::default()
        };
        let limits = args.limits().expect("limits");
        let shown: Vec<_> = limits
            .iter()
            .map(|io| (io.value.path.as_str(), io.value.rates()))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "/dev/sda",
                    [
                        ("rbps", Some(1 << 20)),
                        ("wbps", None),
                        ("riops", None),
                        ("wiops", Some(20))
                    ]
                ),
                (
                    "/srv/a:b",
                    [
                        ("rbps", Some(5)),
                        ("wbps", None),
                        ("riops", None),
                        ("wiops", None)
                    ]
                ),
            ]
        );
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "/dev/sda",
            "/dev/sda:",
            ":5",
            "/dev/sda:0",
            "/dev/sda:-1",
            "/dev/sda:fast",
        ] {
            assert!(rate("--device-read-bps", text, true).is_err(), "{text}");
        }
        assert!(rate("--device-read-iops", "/dev/sda:1m", false).is_err());
    }
}
