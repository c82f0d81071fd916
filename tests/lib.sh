# Steps of `tests/run`: each is timed, its tests are counted, and a failure does not hide the ones after it.

# Projects as users have them, each a workspace of its own.
EXAMPLES="orders rate-limit inventory idempotent-charge"

failed_steps=()
timings=()
passed=0 failed=0 skipped=0

# step NAME COMMAND…
step() {
    local name=$1 log started status
    shift
    log=$(mktemp)
    started=$SECONDS
    printf '\n=== %s\n' "$name"
    "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    timings+=("$(printf '%5d s  %s' $((SECONDS - started)) "$name")")
    count "$log"
    rm -f "$log"
    if [ "$status" -ne 0 ]; then
        failed_steps+=("$name")
    fi
}

# Adds up the result lines of cargo's test runner. It does not know a test that ended early for want of a server: such a test says so itself,
# and is counted as skipped, not as passed.
count() {
    local p f i unserved
    while read -r p f i; do
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + i))
    done < <(sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed; ([0-9]+) ignored.*/\1 \2 \3/p' "$1")
    unserved=$(sed -nE 's/^SKIPPED ([^ ]+): .*/\1/p' "$1" | sort -u | wc -l)
    passed=$((passed - unserved)) skipped=$((skipped + unserved))
}

summary() {
    printf '\n=== where the time went\n'
    printf '%s\n' "${timings[@]}"
    if [ ${#failed_steps[@]} -gt 0 ]; then
        printf '\nfailed: %s\n' "${failed_steps[*]}"
        # A step that failed without a failing test (format, clippy) counts as one.
        [ "$failed" -gt 0 ] || failed=${#failed_steps[@]}
    fi
    if [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
        printf '\n%d tests were skipped: in continuous integration that is a failure\n' "$skipped"
        failed=$((failed + skipped))
    fi
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ ${#failed_steps[@]} -eq 0 ] && [ "$failed" -eq 0 ]
}

# need_room GIGABYTES: a full disk fails in a hundred ways, none of which says so as plainly.
need_room() {
    local free=$(($(df -Pk "$root" | awk 'NR == 2 { print $4 }') / 1024 / 1024))
    [ "$free" -ge "$1" ] || echo "only $free GB are free on the disk of $root; a first run writes about $1" >&2
}

need_toolchain() {
    if ! command -v rustup >/dev/null || ! command -v cargo >/dev/null; then
        echo "rustup is missing: install it (your system's package, or its own installer), then run this again" >&2
        exit 1
    fi
    if ! command -v cc >/dev/null; then
        echo "a C compiler is missing (the embedded broker compiles SQLite): install gcc or clang, then run this again" >&2
        exit 1
    fi
    for tool in git patch; do
        command -v $tool >/dev/null || { echo "$tool is missing: install it, then run this again" >&2; exit 1; }
    done
    # rust-toolchain.toml names toolchain, target and components; rustup installs them when they are first asked for.
    rustup show active-toolchain >/dev/null 2>&1 || rustup toolchain install >/dev/null
    rustup target add wasm32-wasip2 >/dev/null 2>&1 || { echo "rustup cannot add the target wasm32-wasip2" >&2; exit 1; }
    rustup component add rustfmt clippy >/dev/null 2>&1 || { echo "rustup cannot add rustfmt and clippy" >&2; exit 1; }
}

# cargo-deny in the version that deny.toml is written for, built without optimisation: it runs once.
need_deny() {
    local version=0.20.2
    export PATH="$root/target/tools/bin:$PATH"
    cargo deny --version 2>/dev/null | grep -q " $version$" && return
    echo "installing cargo-deny $version"
    CARGO_TARGET_DIR="$root/target/tools/build" cargo install cargo-deny --version $version --locked --no-default-features \
        --profile dev --root "$root/target/tools" >/dev/null 2>&1 || { echo "cargo-deny cannot be installed" >&2; exit 1; }
    rm -rf "$root/target/tools/build"
}

# The real servers that adapters are tested on. On a laptop the tests that miss one are skipped; in continuous integration nothing may be.
need_servers() {
    tests/servers/install && return
    [ "${CI:-}" != true ] || exit 1
    source tests/servers/librdkafka.sh
    local missing
    missing=$(missing_for_librdkafka | paste -sd' ')
    if [ -n "$missing" ]; then
        echo "the client of Kafka cannot be compiled without $missing: install that, then run this again" >&2
        exit 1
    fi
    echo "without them the tests of their adapters are skipped" >&2
}

format() {
    cargo fmt --all --check && cargo fmt --manifest-path tests/guests/Cargo.toml --all --check || return
    for example in $EXAMPLES; do
        cargo fmt --manifest-path "examples/$example/Cargo.toml" --check || return
    done
}

# What is compiled to WebAssembly only.
clippy_guests() {
    cargo clippy -p longshore-sdk --all-features --target wasm32-wasip2 --locked -- -D warnings &&
        cargo clippy --manifest-path tests/guests/Cargo.toml --target wasm32-wasip2 --release --locked -- -D warnings || return
    for example in $EXAMPLES; do
        cargo clippy --manifest-path "examples/$example/Cargo.toml" --target wasm32-wasip2 --release --locked -- -D warnings || return
    done
}

simulate() {
    local seeds=2000 seed=
    while [ $# -gt 0 ]; do
        case "$1" in
            --seeds) seeds=$2; shift 2 ;;
            --seed) seed=$2; shift 2 ;;
            *) echo "tests/run simulate: '$1' is neither --seeds nor --seed" >&2; exit 2 ;;
        esac
    done
    need_toolchain
    env LONGSHORE_SIM_SEEDS="$seeds" ${seed:+LONGSHORE_SIM_SEED="$seed"} cargo test -p longshore-engine --test simulate -- --nocapture
}

# The fault suite at full length, and hosts that are killed; with words, the scenarios alone that have one in their names.
faults() {
    need_toolchain
    need_servers
    LONGSHORE_FAULTS_FULL=1 cargo test -p longshore --test faults -- --nocapture --test-threads 2 "$@" || return
    [ $# -gt 0 ] || cargo test -p longshore --test e2e -- kill
}
