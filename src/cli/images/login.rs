//! `sbx login` and `sbx logout`: who one is at a registry.

use super::password;
use crate::cli::out;
use crate::cli::report::Report;
use crate::cli::store::lookup;
use crate::cli::workers::progress::Shown;
use crate::cli::workers::{Owners, start};
use crate::host;
use crate::image::credentials::{Accounts, Kept, login_key};
use crate::image::job::{Credentials, Endpoint, Job, Ping};
use crate::image::limits::Limits;
use crate::image::registries::files as registries;
use crate::image::transport::{registry_authorities, transport};
use crate::model::Reference;
use crate::model::reference::{DOCKER, shown};
use crate::profile::schema::MapKind;
use clap::Args;

/// Arguments of `login`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Asks for the name and the password that are not given, at the terminal. The password is kept only if the \
    registry accepts it: where podman keeps it ($REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json), \
    or by the helper that is configured there. It is never an argument, since every user can read those.

Examples:
  sbx login
      docker.io; asks for name and password
  sbx login -u me --password-stdin quay.io < token
      For scripts
  sbx login registry.example:5000/team
      For the images below one path")]
pub struct LoginArgs {
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// HOST[:PORT][/PATH]
    #[arg(value_name = "REGISTRY", default_value = DOCKER)]
    registry: String,
}

/// Arguments of `logout`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  sbx logout
      Forgets the credentials for docker.io
  sbx logout quay.io")]
pub struct LogoutArgs {
    /// HOST[:PORT][/PATH], as it was logged in to
    #[arg(value_name = "REGISTRY", default_value = DOCKER)]
    registry: String,
}

/// A registry as it is typed at `login`.
#[derive(Debug)]
struct Place {
    /// What credentials are kept under: `HOST[:PORT][/PATH]`.
    key: String,
    /// An image that would be there.
    image: Reference,
}

impl Place {
    fn parse(text: &str) -> Result<Self, Report> {
        let key = login_key(text).map_err(Report::usage)?;
        let host = key.split('/').next().unwrap_or_default();
        // The name of an image that begins with a word alone is docker's: a password for `quay` would go to docker.io.
        let image = format!("{key}/x").parse::<Reference>();
        let image = image.ok().filter(|image| image.registry() == host);
        let image = image.ok_or_else(|| {
            Report::usage(format!(
                "`{}` is no registry of any image: a host has a dot or a port, or is localhost",
                shown(text)
            ))
        })?;
        Ok(Self { key, image })
    }
}

/// Asks the registry, and keeps the password when it is right.
///
/// # Errors
/// When it is not, or cannot be kept.
pub fn login(args: &LoginArgs) -> Result<u8, Report> {
    let place = Place::parse(&args.registry)?;
    let name = match &args.username {
        Some(name) => name.clone(),
        None => password::ask_name(&format!("name at {}: ", place.key))?,
    };
    let password = match args.password_stdin {
        true => password::from_stdin()?,
        false => password::ask(&format!("password of {} at {}: ", out::escaped(&name), place.key))?,
    };
    let mut host = host::presumed().map_err(Report::sbx)?;
    let accounts = Accounts::new(&lookup, host.caller.uid);
    let about = |e: &dyn std::fmt::Display| Report::sbx(format!("login to {}: {e}", place.key));
    accounts.can_keep(&name, &password).map_err(|e| about(&e))?;
    let job = Job::Ping(Box::new(Ping {
        endpoint: endpoint(&place, &name, &password)?,
        transport: transport(&lookup).map_err(|e| about(&e))?,
        limits: Limits::default(),
    }));
    let owners = Owners::of(MapKind::Caller, None, &mut host)?;
    start::task(&job, None, &owners, &mut Shown::new(false))
        .map_err(|report| report.about(format_args!("login to {}", place.key)))?;
    let kept = accounts
        .store(&place.key, &name, &password)
        .map_err(|e| about(&e))?;
    let kept = match kept {
        Kept::File(path) => format!("in {}", path.display().to_string().escape_debug()),
        Kept::Helper(helper) => format!("by the helper {}", helper.escape_debug()),
    };
    out::words(format_args!(
        "logged in to {} as {}; the password is kept {kept}",
        place.key,
        out::escaped(&name)
    ));
    Ok(0)
}

/// The registry itself: a mirror is another one, and has passwords of its own.
fn endpoint(place: &Place, name: &str, password: &str) -> Result<Endpoint, Report> {
    let registries = registries::load(&lookup).map_err(Report::sbx)?;
    let places = registries.endpoints(&place.image).map_err(Report::sbx)?;
    let found = places
        .into_iter()
        .rev()
        .find(|found| found.registry == place.image.registry());
    let registry = place.image.registry();
    let moved = || {
        Report::sbx(format!(
            "login to {}: registries.conf has its images at another place: log in there",
            place.key
        ))
    };
    let found = found.ok_or_else(moved)?;
    Ok(Endpoint {
        host: found.host,
        repository: found.repository,
        insecure: found.insecure,
        credentials: Some(Credentials::Password {
            name: name.to_owned(),
            password: password.to_owned(),
        }),
        authorities: registry_authorities(&lookup, registry).map_err(Report::sbx)?,
    })
}

/// Forgets a password.
///
/// # Errors
/// When there was none, or it cannot be removed.
pub fn logout(args: &LogoutArgs) -> Result<u8, Report> {
    let place = Place::parse(&args.registry)?;
    let accounts = Accounts::new(&lookup, nix::unistd::geteuid().as_raw());
    let removed = accounts.remove(&place.key).map_err(Report::sbx)?;
    let image = &place.image;
    let other = accounts.find(image.registry(), image.repository());
    let elsewhere = matches!(other, Ok(Some(_)));
    match (removed, elsewhere) {
        (true, false) => out::data(format_args!("logged out of {}", place.key))?,
        (true, true) => {
            out::data(format_args!("logged out of {}", place.key))?;
            out::words("sbx: another file, or a shorter or longer path, still has credentials for it");
        }
        (false, true) => {
            return Err(Report::sbx(format!(
                "logout of {}: what is kept for it stands in another file, or under another path",
                place.key
            ))
            .hint("docker's are in ~/.docker/config.json: `docker logout` removes them"));
        }
        (false, false) => {
            return Err(Report::sbx(format!(
                "logout of {}: nothing is kept for it",
                place.key
            )));
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_goes_to_another_registry() {
        for (text, expected) in [
            ("docker.io", Some(("docker.io", "docker.io"))),
            ("https://index.docker.io/v1/", Some(("docker.io", "docker.io"))),
            ("quay.io/me", Some(("quay.io/me", "quay.io"))),
            ("registry:5000", Some(("registry:5000", "registry:5000"))),
            ("localhost", Some(("localhost", "localhost"))),
            ("quay", None),
            ("quay/me", None),
            ("", None),
            ("a b", None),
        ] {
            let place = Place::parse(text).ok();
            let found = place.as_ref().map(|p| (p.key.as_str(), p.image.registry()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
