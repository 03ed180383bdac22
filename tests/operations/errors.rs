//! The index of error types: the code, the table beside it and the page have the same ones.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use secret_rotation::error::index;
use syn::{
    Expr, ExprCall, ExprLit, ImplItemFn, ItemMod, Lit, LitStr,
    visit::{self, Visit},
};

use super::PAGE;

const HEAD: &str = "| errorType | what happened | what to do first |\n|---|---|---|\n";

/// The names in the sources: each text in a function `error_type`, and the kind of each obstacle that stops a rotation.
#[derive(Default)]
struct Named {
    names: BTreeSet<String>,
    in_error_type: bool,
}

impl<'ast> Visit<'ast> for Named {
    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.in_error_type = function.sig.ident == "error_type";
        self.visit_block(&function.block); // without its comments, which are texts too
        self.in_error_type = false;
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        if self.in_error_type {
            self.names.insert(text.value());
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let stops = match &*call.func {
            Expr::Path(called) => called
                .path
                .segments
                .last()
                .is_some_and(|l| l.ident == "stops"),
            _ => false,
        };
        if let (
            true,
            Some(Expr::Lit(ExprLit {
                lit: Lit::Str(kind),
                ..
            })),
        ) = (stops, call.args.first())
        {
            self.names.insert(kind.value());
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut sources: Vec<_> = folders.iter().flat_map(|folder| sources(folder)).collect();
    sources.extend(files);
    sources
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")
}

/// The page's table as the code would write it.
fn table() -> String {
    let row = |line: &index::Line| {
        let index::Line {
            error_type,
            meaning,
            cure,
        } = line;
        format!("| {error_type} | {meaning} | {cure} |\n")
    };
    index::lines().iter().map(row).collect()
}

#[test]
fn the_index_has_every_error_type_of_the_code_and_no_other() {
    let mut found = Named::default();
    for folder in ["src", "document/src"] {
        for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            if file.extension().is_some_and(|extension| extension == "rs") {
                found.visit_file(&syn::parse_file(&text).unwrap());
            }
        }
    }
    assert!(found.names.len() > 70, "{:?}", found.names);
    let lines = index::lines();
    let named: BTreeSet<String> = lines
        .iter()
        .map(|line| line.error_type.to_owned())
        .collect();
    assert_eq!(named.len(), lines.len(), "one line for each");
    let missing: Vec<_> = found.names.difference(&named).collect();
    assert!(missing.is_empty(), "add to src/error/index: {missing:?}");
    let left: Vec<_> = named.difference(&found.names).collect();
    assert!(left.is_empty(), "remove from src/error/index: {left:?}");
    for line in lines {
        let cells = [line.meaning, line.cure];
        assert!(
            cells
                .iter()
                .all(|cell| !cell.is_empty() && !cell.contains('|')),
            "{line:?}"
        );
    }
}

/// SNAPSHOTS=overwrite writes the page's table again, as it does with snapshots.
#[test]
fn the_pages_table_of_error_types_is_the_index() {
    let (before, rest) = PAGE
        .split_once(HEAD)
        .expect("the page has the table's head");
    let written: String = rest
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('|'))
        .collect();
    let after = &rest[written.len()..];
    if env::var("SNAPSHOTS").is_ok_and(|snapshots| snapshots == "overwrite") {
        fs::write(page(), [before, HEAD, &table(), after].concat()).unwrap();
        return;
    }
    assert!(
        written == table(),
        "docs/operations.md has another table than src/error/index: run this test with SNAPSHOTS=overwrite"
    );
}
