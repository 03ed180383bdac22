//! Who imports whom, as docs/architecture.md says it. Read from the sources of every package's src/, without its tests. And whether
//! the tests that comments and pages name are there, and the licences that the manifests name.

#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

/// The packages from the top, each with its folder. Those of one line know nothing of each other.
const RANKS: [&[(&str, &str)]; 5] = [
    &[
        ("rotatectl", "cli/src"),
        ("rotating_secret_agent", "agent/src"),
    ],
    &[("drill", "drill/src")],
    &[("local", "local/src")],
    &[
        ("rotating_secret", "client/src"),
        ("secret_rotation", "src"),
    ],
    &[("rotating_secret_document", "document/src")],
];

/// The folders of the packages that a registry takes.
const PUBLISHED: [&str; 2] = ["client", "document"];

/// What stands above the commands of rotatectl, and the commands. All else is what they share.
const ABOVE_COMMANDS: [&str; 2] = ["arguments", "error"];
const COMMANDS: [&str; 10] = [
    "init",
    "audit",
    "status",
    "rotate",
    "revoke",
    "rollback",
    "compromised",
    "doctor",
    "drill",
    "reference",
];

/// A module's or an item's path, without the crate's name.
type Module = Vec<String>;

/// Every path that a file names, as it is written.
#[derive(Default)]
struct Paths(BTreeSet<Vec<String>>);

impl Paths {
    fn add_tree(&mut self, mut path: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.to_string());
                self.add_tree(path, &inner.tree);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(path.clone(), tree);
                }
            }
            UseTree::Name(name) => self.add(path, name.ident.to_string()),
            UseTree::Rename(name) => self.add(path, name.ident.to_string()),
            UseTree::Glob(_) => drop(self.0.insert(path)),
        }
    }

    fn add(&mut self, mut path: Vec<String>, last: String) {
        path.push(last);
        self.0.insert(path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.0
            .insert(segments.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|condition| condition == "test")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder that end with this, save what cargo and others leave there.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(ending) {
                files.push(path);
            }
        }
    }
    files
}

/// Every module below a package's src/, with the paths that it names.
fn modules(source: &str) -> BTreeMap<Module, BTreeSet<Vec<String>>> {
    let source = root().join(source);
    let mut modules = BTreeMap::new();
    for file in files(&source, ".rs") {
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
        modules.insert(module(file.strip_prefix(&source).unwrap()), paths.0);
    }
    assert!(modules.len() > 3, "{}", source.display());
    modules
}

/// `store/mod.rs` and `store.rs` are the module `store`.
fn module(file: &Path) -> Module {
    let file: PathBuf = file.with_extension("");
    let mut module: Module = file
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// For each module the others of its package that it imports. A module and those inside it are one thing.
fn imports(source: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let modules = modules(source);
    let imports = |(module, paths): (&Module, &BTreeSet<Vec<String>>)| {
        let named = paths.iter().filter_map(|path| resolve(module, path));
        let known = named.filter_map(|mut path| {
            while !modules.contains_key(&path) {
                path.pop()?;
            }
            Some(path)
        });
        let others = known.filter(|other| !module.starts_with(other) && !other.starts_with(module));
        (module.clone(), others.collect())
    };
    modules.iter().map(imports).collect()
}

/// A path as it is written in a module, from the crate's root; none if it leads to another crate.
fn resolve(module: &Module, path: &[String]) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    let mut from = module.clone();
    match first.as_str() {
        "crate" => return Some(rest.to_vec()),
        "self" => {}
        "super" => drop(from.pop()),
        _ => return None,
    }
    match rest.first().map(String::as_str) {
        Some("super") => resolve(&from, rest),
        _ => Some([&from, rest].concat()),
    }
}

#[test]
fn no_package_imports_one_that_stands_above_it_or_beside_it() {
    let mut seen = 0;
    for (rank, packages) in RANKS.iter().enumerate() {
        let below: Vec<&str> = RANKS[rank + 1..]
            .iter()
            .flat_map(|packages| packages.iter().map(|(name, _)| *name))
            .collect();
        for (package, source) in *packages {
            for (module, paths) in modules(source) {
                for path in paths {
                    let is_package = RANKS.concat().iter().any(|(name, _)| *name == path[0]);
                    let own = path[0] == *package || path.len() < 2;
                    if is_package && !own {
                        assert!(
                            below.contains(&path[0].as_str()),
                            "{source}, {module:?}: {path:?}"
                        );
                        seen += 1;
                    }
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were found");
}

#[test]
fn no_module_imports_one_that_imports_it() {
    for (_, source) in RANKS.concat() {
        let mut imports = imports(source);
        assert!(imports.values().any(|imported| !imported.is_empty()));
        // what imports nothing that is left is no part of a circle
        loop {
            let before = imports.len();
            let left: BTreeSet<Module> = imports.keys().cloned().collect();
            imports.retain(|_, imported| !imported.is_disjoint(&left));
            if imports.len() == before {
                break;
            }
        }
        assert!(imports.is_empty(), "circles in {source}: {imports:#?}");
    }
}

#[test]
fn no_command_of_rotatectl_imports_another_and_what_they_share_imports_none() {
    let mut seen = 0;
    for (module, imported) in imports("cli/src") {
        let Some(own) = module.first().map(String::as_str) else {
            continue; // lib.rs stands above all
        };
        if ABOVE_COMMANDS.contains(&own) || own == "main" {
            continue;
        }
        for other in imported {
            let other = other.first().map(String::as_str).unwrap();
            assert!(
                other == own || !COMMANDS.contains(&other),
                "{module:?} imports {other}"
            );
            assert!(
                !ABOVE_COMMANDS.contains(&other),
                "{module:?} imports {other}"
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} imports were found");
}

#[test]
fn every_test_that_a_comment_or_a_page_names_by_its_path_is_there() {
    let is_of_a_path = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let mut seen = 0;
    for file in [files(root(), ".rs"), files(root(), ".md")].concat() {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|c| !is_of_a_path(c));
        for path in words.filter(|word| word.contains("tests/")) {
            let path = path.trim_end_matches('.');
            // from the page, from its package or from the root
            let mut folders = file.ancestors().skip(1);
            let is_there = folders.any(|folder| folder.join(path).exists());
            assert!(is_there, "{}: {path}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} were found");
}

/// The names in the tables of a page's part that can only be a test's, each of which has to be in one of the folders.
fn assert_tests_are_there(part: &str, folders: &[&str], at_least: usize) {
    let sources = folders
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"));
    let sources: String = sources
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let rows = part.lines().filter(|line| line.starts_with("| "));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let mut seen = 0;
    // an operation or a value stands in the same kind of quotes
    for name in names.filter(|name| name.matches('_').count() > 2) {
        assert!(sources.contains(&format!("fn {name}(")), "{name}");
        seen += 1;
    }
    assert!(seen >= at_least, "only {seen} were found");
}

#[test]
fn every_test_that_the_local_worlds_page_names_is_there() {
    let page = fs::read_to_string(root().join("local/README.md")).unwrap();
    assert_tests_are_there(&page, &["local", "tests"], 21);
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there_and_each_row_names_one() {
    let page = fs::read_to_string(root().join("docs/verification.md")).unwrap();
    let part = page
        .split("\n## ")
        .find(|part| part.starts_with("Faults of the world"));
    let part = part.unwrap();
    assert_tests_are_there(part, &["tests", "client/tests", "local", "src"], 30);
    let rows = part.lines().filter(|line| line.starts_with("| ")).skip(1);
    for row in rows {
        let last = row.split('|').nth_back(1).unwrap();
        assert!(last.contains('`'), "{row}");
    }
}

/// A manifest inherits the licence or, outside the workspace, names it.
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
        // a package on a registry has what is in its folder, and no more
        for package in PUBLISHED {
            let copy = fs::read_to_string(root().join(package).join(file)).unwrap();
            assert_eq!(copy, text, "{package}/{file}");
        }
    }
}

/// A registry shows the words, and a system without symbolic links unpacks what is in the folder. `cargo package` builds from the
/// packages: `make release-check`.
#[test]
fn what_is_published_can_be_found_and_has_no_symbolic_link() {
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
    // the version that a registry is asked for is the one that is published
    let version = shared.lines().find(|line| line.starts_with("version = "));
    let path = shared
        .lines()
        .find(|line| line.starts_with("rotating-secret-document = "));
    assert!(path.unwrap().contains(version.unwrap()), "{path:?}");
}

/// A feature of serde_json is on for a whole build, and changes how an application reads JSON of its own.
#[test]
fn what_an_application_adds_asks_serde_json_for_no_feature_but_raw_value() {
    for manifest in ["Cargo.toml", "client/Cargo.toml", "document/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).unwrap();
        let shared = manifest != "Cargo.toml";
        let asked = text.lines().filter(|line| line.starts_with("serde_json"));
        // the first of the workspace's is what all inherit, the second the function's own
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
