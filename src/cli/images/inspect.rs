//! `sbx inspect`: what an image says of itself, as JSON.

use super::named;
use crate::cli::out;
use crate::cli::report::Report;
use crate::image::document::{Config, Execution, Layer, Manifest};
use crate::image::store::{Image, Store};
use crate::model::Digest;
use clap::Args;
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

/// Arguments of `inspect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Prints one JSON array with an object for each image: id, digest, names, created, platform, config (with \
    docker's keys), layers (the lowest first: digest, mediaType, size as packed, diffId, and for each id map \
    that it is unpacked for, what was left out of the files), diffIds, history.

Examples:
  sbx inspect debian:12
  sbx inspect debian:12 | jq -r '.[0].config.Cmd'
      The default command
  sbx inspect $(sbx images -q) | jq -r '.[].created'
      When each image was made")]
pub struct InspectArgs {
    /// Names and ids
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

/// Prints what the images say; nothing, unless all are there.
///
/// # Errors
/// When one is not there or cannot be read.
pub fn inspect(args: &InspectArgs) -> Result<u8, Report> {
    let store = named::store()?;
    let one = |text: &String| {
        let image = named::find(&store, text)?.image;
        object(&store, &image).map_err(|report| report.about(format_args!("image {}", named::called(&image))))
    };
    let all = args.images.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    out::data(out::json(&all)?)?;
    Ok(0)
}

fn object(store: &Store, image: &Image) -> Result<Value, Report> {
    let (manifest, config, id) = store.load(&image.manifest).map_err(Report::sbx)?;
    let history = config.history.iter().map(|step| {
        json!({
            "created": step.created,
            "created_by": step.created_by,
            "comment": step.comment,
            "empty_layer": step.empty_layer,
        })
    });
    Ok(json!({
        "id": id,
        "digest": image.manifest,
        "mediaType": image.media_type,
        "names": image.names,
        "created": config.created,
        "platform": {
            "os": config.os,
            "architecture": config.architecture,
            "variant": config.variant,
        },
        "config": execution(&config.config),
        "layers": layers(store, &manifest, &config)?,
        "diffIds": config.diff_ids,
        "history": history.collect::<Vec<_>>(),
    }))
}

fn layers(store: &Store, manifest: &Manifest, config: &Config) -> Result<Vec<Value>, Report> {
    let all = manifest.layers.iter().zip(&config.diff_ids);
    let one = |(layer, diff_id): (&Layer, &Digest)| {
        let unpacked = store.unpacked(diff_id).map_err(Report::sbx)?;
        let unpacked = unpacked.iter().map(|(kind, left_out)| {
            json!({
                "for": kind.to_string(),
                "leftOut": left_out,
            })
        });
        Ok(json!({
            "digest": layer.descriptor.digest,
            "mediaType": layer.descriptor.media_type,
            "size": layer.descriptor.size,
            "diffId": diff_id,
            "unpacked": unpacked.collect::<Vec<_>>(),
        }))
    };
    all.map(one).collect()
}

/// With docker's keys; sets are objects with empty values, as there.
fn execution(run: &Execution) -> Value {
    let set =
        |all: &[String]| -> Map<String, Value> { all.iter().map(|one| (one.clone(), json!({}))).collect() };
    let env = run.env.iter().map(|(name, value)| format!("{name}={value}"));
    json!({
        "User": run.user,
        "Env": env.collect::<Vec<_>>(),
        "Entrypoint": run.entrypoint,
        "Cmd": run.cmd,
        "WorkingDir": run.working_dir,
        "ExposedPorts": set(&run.exposed_ports),
        "Volumes": set(&run.volumes),
        "Labels": run.labels,
        "StopSignal": run.stop_signal.map(signal),
    })
}

/// As docker writes it.
fn signal(number: i32) -> String {
    // Those for programs' own use have no names but by their distance from the first, which glibc counts from 34.
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("SIGRTMIN+{}", number - 34),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_reads_its_own_words() {
        let run = Execution {
            env: vec![("A".to_owned(), "b=c".to_owned())],
            exposed_ports: vec!["80/tcp".to_owned()],
            stop_signal: Some(15),
            ..Execution::default()
        };
        let value = execution(&run);
        assert_eq!(value["Env"], json!(["A=b=c"]));
        assert_eq!(value["ExposedPorts"], json!({"80/tcp": {}}));
        assert_eq!(
            (&value["StopSignal"], signal(37)),
            (&json!("SIGTERM"), "SIGRTMIN+3".to_owned())
        );
        assert_eq!(value["Cmd"], json!([]));
    }
}
