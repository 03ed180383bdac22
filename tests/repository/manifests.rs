//! Licences, and what a registry and an application get.

use std::fs;

use super::{files, root};

/// The folders of the packages that a registry takes.
const PUBLISHED: [&str; 2] = ["client", "document"];

/// A manifest inherits the licence; outside the workspace it names the licence.
#[test]
fn every_manifest_names_the_licence_and_both_texts_are_there() {
    let manifests = files(root(), "Cargo.toml");
    assert!(manifests.len() > 7, "only {} were found", manifests.len());
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        let package = text.split("[package]").nth(1).unwrap();
        let package = package.split("\n[").next().unwrap();
        let of_the_workspace = package.contains("license.workspace = true");
        let names_it = |part: &str| part.contains("license = \"MIT OR Apache-2.0\"");
        assert!(
            of_the_workspace || names_it(package),
            "{}",
            manifest.display()
        );
        let shared = text.split("[workspace.package]").nth(1);
        assert!(shared.is_none_or(names_it), "{}", manifest.display());
    }
    for (file, last) in [
        ("LICENSE-MIT", "DEALINGS IN THE SOFTWARE."),
        ("LICENSE-APACHE", "limitations under the License."),
    ] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        assert!(text.trim_end().ends_with(last), "{file} is cut");
        // a package on a registry has only the files of its folder
        for package in PUBLISHED {
            let copy = fs::read_to_string(root().join(package).join(file)).unwrap();
            assert_eq!(copy, text, "{package}/{file}");
        }
    }
}

/// A registry shows the keywords, and some systems that unpack the package have no symbolic links. `make release-check` builds from
/// the packages.
#[test]
fn each_published_package_can_be_found_and_has_no_symbolic_link() {
    let shared = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for package in PUBLISHED {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let head = manifest.split("\n[").next().unwrap();
        for word in ["description", "keywords", "categories"] {
            assert!(head.contains(&format!("\n{word} = ")), "{package}: {word}");
        }
        assert!(!head.contains("\npublish"), "{package} is kept back");
        assert!(manifest.contains("[package.metadata.docs.rs]"), "{package}");
        let mut folders = vec![root().join(package)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                assert!(!kind.is_symlink(), "{}", entry.path().display());
                if kind.is_dir() && entry.file_name() != "target" {
                    folders.push(entry.path());
                }
            }
        }
    }
    // the version that others depend on is the published one
    let version = shared.lines().find(|line| line.starts_with("version = "));
    let path = shared
        .lines()
        .find(|line| line.starts_with("rotating-secret-document = "));
    assert!(path.unwrap().contains(version.unwrap()), "{path:?}");
}

/// A feature of serde_json applies to a whole build, and changes how the application itself reads JSON.
#[test]
fn the_packages_for_applications_need_no_feature_of_serde_json_except_raw_value() {
    for manifest in ["Cargo.toml", "client/Cargo.toml", "document/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let shared = manifest != "Cargo.toml";
        let asked = text.lines().filter(|line| line.starts_with("serde_json"));
        // the workspace's first entry is the one that all inherit, the second is the function's
        let asked: Vec<_> = asked.take(if shared { usize::MAX } else { 1 }).collect();
        assert!(!asked.is_empty(), "{manifest}");
        for line in asked {
            for feature in [
                "preserve_order",
                "arbitrary_precision",
                "float_roundtrip",
                "unbounded_depth",
            ] {
                assert!(!line.contains(feature), "{manifest}: {line}");
            }
        }
    }
}
