//! Files that are no component of ours, and compiled components kept on disk.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use longshore_runtime::{HandlerSettings, LoadError, Runtime, Settings, WasmHandler, World};
use longshore_testkit::guests::{self, Guest};
use support::{call, handle, outputs, runtime};
use tempfile::TempDir;

fn refused(bytes: &[u8]) -> LoadError {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("guest.wasm");
    fs::write(&path, bytes).expect("written");
    runtime().load(&path).expect_err("refused")
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("good text")
}

#[test]
fn what_is_not_a_component_is_told_apart() {
    assert!(matches!(runtime().load(Path::new("/nowhere/guest.wasm")), Err(LoadError::Read { .. })));
    let says = |bytes: &[u8], text: &str| {
        let error = refused(bytes).to_string();
        assert!(error.contains(text), "{error}");
    };
    says(b"", "is empty");
    says(b"#!/bin/sh\n", "does not begin as WebAssembly does");
    says(b"(component)", "WebAssembly text");
    says(&wat("(module)"), "wasm32-wasip2");
    says(&wat("(component)"), "it exports nothing; this host calls one of longshore:messaging/batch-handler@0.1.0");
    says(b"\0asm\x0d\0\x01\0\xff\xff\xff", "does not compile");
    says(
        &wat(r#"(component (component $c) (instance $i (instantiate $c)) (export "acme:shop/api@1.0.0" (instance $i)))"#),
        "it exports acme:shop/api@1.0.0",
    );
}

#[test]
fn imports_that_the_host_lacks_are_listed_with_the_reason() {
    let component = wat(r#"(component
        (import "wasi:http/outgoing-handler@0.2.0" (instance))
        (import "acme:database/query" (instance))
        (component $c)
        (instance $i (instantiate $c))
        (export "longshore:messaging/handler@0.1.0" (instance $i)))"#);
    let error = refused(&component);
    let LoadError::Missing { missing, .. } = &error else { panic!("{error}") };
    let names: Vec<_> = missing.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["acme:database/query", "wasi:http/outgoing-handler@0.2.0"]);
    assert!(error.to_string().contains("HTTP"), "{error}");
}

#[test]
fn a_handler_of_the_wrong_shape_is_refused() {
    let component = wat(r#"(component
        (component $c)
        (instance $i (instantiate $c))
        (export "longshore:messaging/handler@0.1.0" (instance $i)))"#);
    let error = refused(&component);
    assert!(error.to_string().contains("has no function `handle`"), "{error}");
}

#[test]
fn a_module_tells_what_it_is() {
    let stores = support::module(Guest::Stores);
    assert_eq!(stores.world(), World::Batched);
    assert!(stores.imports().iter().any(|i| i == "longshore:messaging/lock@0.1.0"));
    assert!(stores.imports().iter().any(|i| i.starts_with("wasi:cli/")));
    assert_eq!(support::module(Guest::Single).world(), World::Single);
    assert_eq!(support::module(Guest::PullJob).world(), World::Job);
    assert_eq!(stores.digest().to_string().len(), 64);
    assert_eq!((stores.name(), stores.version()), (Some("stores"), Some("0.0.0")), "its crate, by the SDK");
    assert_eq!(support::module(Guest::PullJob).name(), Some("pull-job"));
    assert_eq!(support::module(Guest::Single).version(), None, "made without the SDK");
}

/// A cache folder and the means to load through it.
struct Cached {
    folder: TempDir,
}

impl Cached {
    fn new() -> Self {
        let cached = Cached { folder: TempDir::new().expect("a folder") };
        fs::set_permissions(cached.folder.path(), fs::Permissions::from_mode(0o700)).expect("set");
        cached
    }

    fn runtime(&self) -> Runtime {
        let settings = Settings { instances: 10, cache: Some(self.folder.path().to_path_buf()), ..Settings::default() };
        Runtime::new(&settings).expect("starts")
    }

    /// Loads `guest` in a runtime of its own, as after a restart, and calls it.
    fn works(&self, guest: Guest) {
        let runtime = self.runtime();
        let module = runtime.load(&guests::path(guest)).expect("loads");
        let handler = WasmHandler::new(&runtime, &module, HandlerSettings::new("test")).expect("is set up");
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio");
        let done = tokio.block_on(handle(&handler, call(&["x"]))).expect("an answer");
        assert_eq!(outputs(&done), ["x"]);
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = |folder: &Path| fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect::<Vec<_>>();
        let mut files: Vec<_> = entries(self.folder.path()).iter().filter(|p| p.is_dir()).flat_map(|folder| entries(folder)).collect();
        files.sort();
        files
    }

    fn only(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

#[test]
fn a_compiled_component_is_kept_and_used_again() {
    let cached = Cached::new();
    cached.works(Guest::Echo);
    let file = cached.only();
    let written = fs::metadata(&file).expect("there").modified().expect("a time");
    cached.works(Guest::Echo);
    assert_eq!(fs::metadata(cached.only()).expect("there").modified().expect("a time"), written, "it was not compiled again");
    cached.works(Guest::Single);
    assert_eq!(cached.files().len(), 2);
}

#[test]
fn a_corrupted_or_cut_cache_file_is_compiled_anew() {
    let cached = Cached::new();
    cached.works(Guest::Echo);
    let good = fs::read(cached.only()).expect("readable");
    for damage in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[damage] ^= 0xff;
        fs::write(cached.only(), &bad).expect("written");
        cached.works(Guest::Echo);
        assert_eq!(fs::read(cached.only()).expect("readable").len(), good.len());
        fs::write(cached.only(), &good[..damage]).expect("written");
        cached.works(Guest::Echo);
    }
}

#[test]
fn a_foreign_cache_file_is_not_loaded() {
    let cached = Cached::new();
    cached.works(Guest::Echo);
    let entry = cached.only();
    fs::remove_file(&entry).expect("removed");
    let foreign = b"not machine code";
    let planted = entry.with_file_name(format!("{}.bin", sha256(foreign)));
    fs::write(&planted, foreign).expect("written");
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o600)).expect("set");
    std::os::unix::fs::symlink("/etc/hostname", entry.with_file_name("link.bin")).expect("linked");
    cached.works(Guest::Echo);
    assert_eq!(cached.only(), entry, "what was foreign is gone, what is ours is back");
}

#[test]
fn a_file_made_with_another_key_is_compiled_anew() {
    let (cached, stranger) = (Cached::new(), Cached::new());
    cached.works(Guest::Echo);
    stranger.works(Guest::Echo);
    let (ours, theirs) = (cached.only(), stranger.only());
    assert_ne!(ours.file_name(), theirs.file_name(), "the same machine code under another key");
    let planted = ours.with_file_name(theirs.file_name().expect("a name"));
    fs::copy(&theirs, &planted).expect("planted");
    fs::remove_file(&ours).expect("removed");
    cached.works(Guest::Echo);
    assert_eq!(cached.only(), ours, "what was planted is gone, what is ours is back");
}

#[test]
fn a_file_that_was_moved_to_another_component_is_compiled_anew() {
    let cached = Cached::new();
    cached.works(Guest::Echo);
    let echo = cached.only();
    let bytes = fs::read(&echo).expect("readable");
    cached.works(Guest::Single);
    let single = cached.files().into_iter().find(|file| *file != echo).expect("a second one");
    fs::remove_file(&single).expect("removed");
    let moved = single.with_file_name(echo.file_name().expect("a name"));
    fs::write(&moved, bytes).expect("moved");
    fs::set_permissions(&moved, fs::Permissions::from_mode(0o600)).expect("set");
    cached.works(Guest::Single);
    assert!(!moved.exists() && single.exists());
}

#[test]
fn a_cache_whose_key_others_can_read_is_not_used() {
    let cached = Cached::new();
    cached.works(Guest::Echo);
    fs::remove_file(cached.only()).expect("removed");
    fs::set_permissions(cached.folder.path().join("key"), fs::Permissions::from_mode(0o644)).expect("set");
    cached.works(Guest::Echo);
    assert!(cached.files().is_empty());
}

#[test]
fn a_component_that_is_used_counts_as_new() {
    let cached = Cached::new();
    cached.works(Guest::Echo);
    let entry = cached.only().parent().expect("its folder").to_path_buf();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    fs::File::open(&entry).and_then(|folder| folder.set_modified(long_ago)).expect("aged");
    cached.works(Guest::Echo);
    assert!(fs::metadata(&entry).and_then(|meta| meta.modified()).expect("a time") > long_ago);
}

#[test]
fn a_cache_folder_that_others_can_reach_is_not_used() {
    let cached = Cached::new();
    fs::set_permissions(cached.folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
    cached.works(Guest::Echo);
    assert!(cached.files().is_empty());
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn one_component_under_many_names_is_loaded_once() {
    let folder = TempDir::new().expect("a folder");
    let copies: Vec<_> = (0..3)
        .map(|i| {
            let copy = folder.path().join(format!("{i}.wasm"));
            fs::copy(guests::path(Guest::Echo), &copy).expect("copied");
            runtime().load(&copy).expect("loads")
        })
        .collect();
    assert!(copies.windows(2).all(|pair| pair[0].is_same(&pair[1])));
}

#[test]
fn a_component_that_a_handler_has_is_not_compiled_again() {
    let cached = Cached::new();
    let runtime = cached.runtime();
    let load = || runtime.load(&guests::path(Guest::Echo)).expect("loads");
    let handler = WasmHandler::new(&runtime, &load(), HandlerSettings::new("test")).expect("is set up");
    fs::remove_file(cached.only()).expect("removed");
    drop(load());
    assert!(cached.files().is_empty(), "the handler has it, and it was compiled again");
    drop(handler);
    drop(load());
    cached.only();
}
