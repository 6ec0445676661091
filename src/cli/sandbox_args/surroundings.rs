//! What the command sees of the world: variables, names, the network.

use super::{word_of, wrong};
use crate::cli::env_file;
use crate::cli::report::Report;
use crate::model::{Origin, Set};
use crate::policy::Flags;
use crate::profile::schema::Profile;
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;

/// Flags about variables, names and the network.
#[derive(Debug, Clone, Default, Args)]
pub struct SurroundingsArgs {
    /// Set a variable (NAME=VALUE), or pass your own (NAME)
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Environment")]
    pub env: Vec<String>,
    /// Read variables from a file, one NAME=VALUE or NAME per line
    #[arg(long, value_name = "FILE", help_heading = "Environment")]
    pub env_file: Vec<PathBuf>,
    /// Host name inside the sandbox
    #[arg(short = 'h', long, value_name = "NAME", help_heading = "Environment")]
    pub hostname: Option<String>,
    /// Add a line to /etc/hosts: NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS", help_heading = "Environment")]
    pub add_host: Vec<String>,
    /// DNS server to use instead of the host's
    #[arg(long, value_name = "ADDRESS", help_heading = "Environment")]
    pub dns: Vec<String>,
    /// Network mode: none or host
    #[arg(
        long,
        visible_alias = "net",
        value_name = "MODE",
        help_heading = "Environment"
    )]
    pub network: Option<String>,
    /// The only TCP port that may be connected to with --network host (repeatable); listening is refused
    #[arg(long, value_name = "PORT", help_heading = "Environment")]
    pub connect_port: Vec<String>,
}

impl SurroundingsArgs {
    pub(super) fn profile(&self, p: &mut Profile) -> Result<(), Report> {
        for file in &self.env_file {
            env_file::read(file, p)?;
        }
        for text in &self.env {
            env_file::put(p, text, &Origin::flag(format!("--env {text}")))
                .map_err(|why| Report::usage(format!("--env `{}`: {why}", text.escape_debug())))?;
        }
        if let Some(name) = &self.hostname {
            p.namespaces.hostname = Some(Set::new(name.clone(), Origin::flag(format!("--hostname {name}"))));
        }
        if let Some(mode) = &self.network {
            // The others are refused by name: this version has none of them.
            p.network.mode = Some(word_of("--network", mode, &["none", "host"])?);
        }
        Ok(())
    }

    pub(super) fn flags(&self, flags: &mut Flags) -> Result<(), Report> {
        let hosts = self.add_host.iter().map(|text| host(text));
        flags.hosts = hosts.collect::<Result<_, _>>()?;
        let dns = self.dns.iter().map(|text| server(text));
        flags.dns = dns.collect::<Result<_, _>>()?;
        let ports = self.connect_port.iter().map(|text| port(text));
        flags.connect = ports.collect::<Result<_, _>>()?;
        Ok(())
    }
}

/// `NAME:ADDRESS`, `NAME=ADDRESS`; an IPv6 address may stand in brackets.
fn host(text: &str) -> Result<Set<(String, IpAddr)>, Report> {
    let wrong = |why: &str| wrong("--add-host", text, why);
    let (name, address) = text
        .split_once([':', '='])
        .ok_or_else(|| wrong("write NAME:ADDRESS"))?;
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.is_empty() || name.len() > 253 || name.starts_with('-') || !name.bytes().all(letter) {
        return Err(wrong("the name of a host has letters, digits, dots and hyphens"));
    }
    if address == "host-gateway" {
        return Err(wrong("there is no gateway: write an address"));
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare
        .unwrap_or(address)
        .parse()
        .map_err(|_| wrong("what follows the name is no IPv4 or IPv6 address"))?;
    Ok(Set::new(
        (name.to_owned(), address),
        Origin::flag(format!("--add-host {text}")),
    ))
}

fn server(text: &str) -> Result<Set<IpAddr>, Report> {
    let address = text
        .parse()
        .map_err(|_| wrong("--dns", text, "write the address of a name server"))?;
    Ok(Set::new(address, Origin::flag(format!("--dns {text}"))))
}

fn port(text: &str) -> Result<Set<u16>, Report> {
    let port = text.parse().ok().filter(|port| *port != 0);
    let port = port.ok_or_else(|| wrong("--connect-port", text, "write a number from 1 to 65535"))?;
    Ok(Set::new(port, Origin::flag(format!("--connect-port {text}"))))
}
