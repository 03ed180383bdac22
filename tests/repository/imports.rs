//! Who imports whom, as docs/architecture.md says it. Read from every package's src/, without its tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, ItemMod, ItemUse, UseTree,
    visit::{self, Visit},
};

use super::{files, root};

/// The packages from the top, each with its folder. Those of one line do not import each other.
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

/// The modules above the commands of rotatectl, and the commands. The commands share all other modules.
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

/// For each module the modules of its package that it imports. A module includes its submodules.
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

/// A path as a module writes it, from the crate's root; `None` if it leads to another crate.
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
        // a module that imports none of the remaining ones is in no circle
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
