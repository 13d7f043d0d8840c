//! The modules of the crate have an order: none knows itself by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

/// Which module names which, and a file where it does.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// The names that the root passes on, each with its module.
fn passed_on(root: &str) -> BTreeMap<String, String> {
    let uses = root.lines().filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';')?.split_once("::"));
    uses.flat_map(|(module, names)| {
        let names = names.trim_matches(['{', '}']).split(", ");
        names.map(|name| (name.to_owned(), module.to_owned()))
    })
    .collect()
}

/// The lines of a file that are code of the crate itself: no comments, and nothing that is compiled for tests alone.
fn code(text: &str) -> Vec<&str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut code, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        let line = line.split("//").next().unwrap_or_default();
        if !line.trim_start().starts_with("#[cfg(") || !line.contains("(test") {
            code.push(line);
            continue;
        }
        // The item that follows: a line that ends in a semicolon, or all to the brace that closes it.
        let ends = |next: &str| next.ends_with(';') || next.trim() == "}";
        let _ = lines.by_ref().find(|next| indent(next) == indent(line) && ends(next));
    }
    code
}

/// The names that stand after `crate::` in a line.
fn named(line: &str) -> Vec<&str> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let after = line.match_indices("crate::").filter(|(at, _)| !line[..*at].ends_with(is_of_name));
    after
        .map(|(at, root)| {
            let rest = &line[at + root.len()..];
            assert!(!rest.starts_with('{'), "write a line for each module: {line}");
            rest.split(|c| !is_of_name(c)).next().unwrap_or_default()
        })
        .collect()
}

/// Adds what the files of a folder name; those right below the root are modules of their own.
fn read(folder: &Path, module: Option<&str>, passed_on: &BTreeMap<String, String>, graph: &mut Graph) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let own = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let module = module.unwrap_or(&own);
        // The root passes names on, and the program is a crate of its own.
        if ["lib", "bin"].contains(&module) {
            continue;
        }
        if path.is_dir() {
            read(&path, Some(module), passed_on, graph);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a file");
            let names = code(&text).into_iter().flat_map(named);
            let modules = names.map(|name| passed_on.get(name).map_or(name, String::as_str));
            let file = path.strip_prefix(PROJECT).expect("a file of the crate").display().to_string();
            let found = graph.entry(module.to_owned()).or_default();
            for other in modules.filter(|other| *other != module) {
                found.entry(other.to_owned()).or_insert_with(|| file.clone());
            }
        }
    }
}

/// A way from a module back to itself, in words, below a way that leads there.
fn cycle(graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<String> {
    let module = way.last()?.clone();
    for (other, file) in graph.get(&module).into_iter().flatten() {
        if let Some(start) = way.iter().position(|earlier| earlier == other) {
            return Some(format!("{} -> {other} ({file})", way[start..].join(" -> ")));
        }
        if !done.contains(other) {
            way.push(other.clone());
            let found = cycle(graph, way, done);
            way.pop();
            if found.is_some() {
                return found;
            }
        }
    }
    done.insert(module);
    None
}

fn any_cycle(graph: &Graph) -> Option<String> {
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| cycle(graph, &mut vec![module.clone()], &mut done))
}

#[test]
fn modules_know_each_other_in_no_circle() {
    let source = Path::new(PROJECT).join("src");
    let root = std::fs::read_to_string(source.join("lib.rs")).expect("the root");
    let mut graph = Graph::new();
    read(&source, None, &passed_on(&root), &mut graph);
    // What the test is about is seen at all.
    for (module, other) in
        [("sqlite", "error"), ("postgres", "repository"), ("factory", "sqlite"), ("migrate", "postgres")]
    {
        assert!(graph[module].contains_key(other), "{module} no longer names {other}: {:?}", graph[module]);
    }
    assert_eq!(any_cycle(&graph), None);
}

#[test]
fn circles_are_found_and_tests_and_comments_do_not_count() {
    let file = "use crate::b::B;\n// use crate::c::C;\n#[cfg(all(test, feature = \"sqlite\"))]\nmod tests {\n    \
                use crate::d::D;\n}\nfn f() -> crate::Error {}\n#[cfg(test)]\nuse crate::e::E;\n$crate::g!();\n";
    let names: Vec<&str> = code(file).into_iter().flat_map(named).collect();
    assert_eq!(names, ["b", "Error", "g"]);
    let root = "pub use error::{Error, Result};\npub use config::Config;\n";
    assert_eq!(passed_on(root).into_keys().collect::<Vec<_>>(), ["Config", "Error", "Result"]);
    let edge = |from: &str, to: &str| (from.to_owned(), BTreeMap::from([(to.to_owned(), format!("src/{from}.rs"))]));
    let line = Graph::from([edge("a", "b"), edge("b", "c")]);
    assert_eq!(any_cycle(&line), None);
    let circle = Graph::from([edge("a", "b"), edge("b", "c"), edge("c", "b")]);
    assert_eq!(any_cycle(&circle).as_deref(), Some("b -> c -> b (src/c.rs)"));
}
