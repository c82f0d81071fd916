//! The README's story, in another folder: a handler of one's own in five minutes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::host::{Project, eventually, text};

#[test]
fn a_new_handler_is_built_tested_run_and_used_as_the_readme_says() {
    let project = Project::new("");
    std::fs::remove_file(project.path().join("longshore.toml")).unwrap();
    project.ok(&["new", "greeter", "--lang", "rust"]);
    let greeter = project.path().join("greeter");
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_longshore"))
            .args(arguments)
            .args(["--set", "admin.listen=127.0.0.1:0"])
            .current_dir(&greeter)
            .output()
            .unwrap()
    };
    let longshore = |arguments: &[&str]| {
        let output = run(arguments);
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
    eventually("the greeting is there", || longshore(&["consume", "greetings", "--from-start"]).contains("Hello Ada!"));

    let dev = Dev::start(&greeter);
    let source = greeter.join("src/lib.rs");
    let code = std::fs::read_to_string(&source).unwrap();
    dev.eventually_says("http://");
    std::fs::write(&source, code.replace("Hello {name}!", "Hello {name")).unwrap();
    // A version that does not build changes nothing, and the compiler's words are shown.
    dev.eventually_says("error");
    longshore(&["publish", "names", "Grace"]);
    eventually("the old version goes on", || longshore(&["consume", "greetings", "--from-start"]).contains("Hello Grace!"));
    std::fs::write(&source, code.replace("Hello {name}!", "Welcome {name}!")).unwrap();
    eventually("the new version is there", || {
        // While one host follows the other a command may find none that answers.
        run(&["publish", "names", "Edsger"]);
        text(&run(&["consume", "greetings", "--from-start"]).stdout).contains("Welcome Edsger!")
    });
}

/// `longshore dev` in a project, ended as by Ctrl-C when dropped.
struct Dev {
    child: Child,
    log: PathBuf,
}

impl Dev {
    fn start(project: &Path) -> Self {
        let log = project.join("dev.log");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args(["dev", "--set", "admin.listen=127.0.0.1:0"]).current_dir(project);
        let child = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Dev { child, log }
    }

    fn eventually_says(&self, word: &str) {
        eventually(word, || std::fs::read_to_string(&self.log).unwrap().contains(word));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status());
        drop(self.child.wait());
    }
}
