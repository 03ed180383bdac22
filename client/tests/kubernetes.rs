//! The Kubernetes manifest, read as the provider needs it. Nothing applies it to a cluster.
#![cfg(feature = "file")]
#![cfg(test)]

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::volume::Volume;
use rotating_secret::{RotatingSecret, provider::File};
use saphyr::{LoadableYamlNode, Yaml};
use secrecy::ExposeSecret;

const MANIFEST: &str = include_str!("../../infra/kubernetes/file.yaml");

/// The value at this path of keys and indexes.
fn at<'a>(node: &'a Yaml<'a>, path: &str) -> &'a Yaml<'a> {
    path.split('.').fold(node, |node, step| {
        let found = match step.parse::<usize>() {
            Ok(index) => node.as_sequence_get(index),
            Err(_) => node.as_mapping_get(step),
        };
        found.unwrap_or_else(|| panic!("{path} has no {step}"))
    })
}

fn text<'a>(node: &'a Yaml<'a>, path: &str) -> &'a str {
    at(node, path).as_str().unwrap_or_else(|| panic!("{path}"))
}

fn pod<'a>(documents: &'a [Yaml<'a>]) -> &'a Yaml<'a> {
    at(&documents[1], "spec.template.spec")
}

/// The variables of the container.
fn variables(container: &Yaml<'_>) -> BTreeMap<String, String> {
    let variables = at(container, "env").as_sequence().unwrap().iter();
    let pair = |variable| {
        let of = |path| text(variable, path).to_owned();
        (of("name"), of("value"))
    };
    variables.map(pair).collect()
}

#[test]
fn the_mounted_files_are_the_copied_secret_and_nothing_is_missing() {
    let documents = Yaml::load_from_str(MANIFEST).unwrap();
    let kinds: Vec<_> = documents.iter().map(|it| text(it, "kind")).collect();
    assert_eq!(kinds, ["ExternalSecret", "Deployment"]);
    let (copy, pod) = (&documents[0], pod(&documents));
    let (mount, volume) = (at(pod, "containers.0.volumeMounts.0"), at(pod, "volumes.0"));
    assert_eq!(text(mount, "name"), text(volume, "name"));
    assert_eq!(
        text(volume, "secret.secretName"),
        text(copy, "spec.target.name")
    );
    assert!(
        mount.as_mapping_get("subPath").is_none(),
        "never updated by Kubernetes"
    );
    assert!(
        volume
            .as_mapping_get("secret")
            .unwrap()
            .as_mapping_get("items")
            .is_none(),
        "a key that is left out is not in the volume"
    );
    assert_eq!(
        text(at(&documents[1], "spec"), "selector.matchLabels.app"),
        text(at(&documents[1], "spec"), "template.metadata.labels.app")
    );
}

#[test]
fn only_the_application_can_read_the_files() {
    let documents = Yaml::load_from_str(MANIFEST).unwrap();
    let pod = pod(&documents);
    let number = |path| at(pod, path).as_integer().unwrap();
    assert_eq!(
        number("securityContext.fsGroup"),
        number("securityContext.runAsUser")
    );
    let container = at(pod, "containers.0");
    assert_eq!(
        at(container, "volumeMounts.0.readOnly").as_bool(),
        Some(true)
    );
    assert_eq!(
        at(pod, "securityContext.runAsNonRoot").as_bool(),
        Some(true)
    );
    // Kubernetes reads it as YAML 1.1 does: octal
    assert!(MANIFEST.contains("defaultMode: 0440\n"));
}

#[tokio::test]
async fn the_application_reads_its_credential_from_the_volume_by_the_manifests_variables() {
    let documents = Yaml::load_from_str(MANIFEST).unwrap();
    let container = at(pod(&documents), "containers.0");
    let variables = variables(container);
    let (below, id) = (Path::new(&variables["SECRETS"]), &variables["SECRET"]);
    let mount = Path::new(text(container, "volumeMounts.0.mountPath"));
    let key = text(&documents[0], "spec.data.0.secretKey");
    assert_eq!(below.join(id), mount.join(key));

    // the same below the test's folder
    let volume = Volume::with(&[(
        key,
        r#"{"host":"db","username":"orders","password":"s3cret"}"#,
    )]);
    let here = volume.below().join("mounted");
    fs::create_dir(&here).unwrap();
    let mounted = here.join(mount.strip_prefix(below).unwrap());
    fs::rename(volume.path(), mounted).unwrap();
    let builder = RotatingSecret::builder(id.as_str());
    let secret = builder.build(File::new(here)).await.unwrap();
    let credential = secret.current().unwrap();
    assert_eq!(credential.password().unwrap().expose_secret(), "s3cret");
}
