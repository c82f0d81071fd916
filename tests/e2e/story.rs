//! The README's story, in another folder: a handler of one's own in five minutes.

use std::process::Command;

use super::host::{Project, eventually, text};

#[test]
fn a_new_handler_is_built_tested_run_and_used_as_the_readme_says() {
    let project = Project::new("");
    std::fs::remove_file(project.path().join("longshore.toml")).unwrap();
    project.ok(&["new", "greeter", "--lang", "rust"]);
    let greeter = project.path().join("greeter");
    let longshore = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_longshore"))
            .args(arguments)
            .args(["--set", "admin.listen=127.0.0.1:0"])
            .current_dir(&greeter)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}:\n{}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    };
    let test = Command::new("cargo").args(["test", "--quiet"]).current_dir(&greeter).output().unwrap();
    assert!(test.status.success(), "the created handler's own test:\n{}{}", text(&test.stdout), text(&test.stderr));
    longshore(&["build"]);
    longshore(&["check"]);
    assert!(longshore(&["test"]).contains("passed"), "the created cases");
    assert!(longshore(&["explain"]).contains("effectively once"));
    assert!(longshore(&["inspect", "target/wasm32-wasip2/release/greeter.wasm"]).contains("batched"));
    longshore(&["publish", "names", "Ada"]);
    longshore(&["run", "--until-idle"]);
    eventually("the greeting is there", || longshore(&["consume", "greetings", "--from-start"]).contains("Ada"));
}
