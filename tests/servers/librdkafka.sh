# What librdkafka, which the adapter for Kafka is built on, is compiled with: sourced by whoever builds or installs.

# The packages of what is not there, one a line.
missing_for_librdkafka() {
    command -v cc >/dev/null || echo gcc
    command -v c++ >/dev/null || echo g++
    command -v make >/dev/null || echo make
    command -v pkg-config >/dev/null || echo pkg-config
    has_header openssl/ssl.h || echo libssl-dev
}

has_header() {
    [ -e "/usr/include/$1" ] || [ -e "/usr/include/$(uname -m)-linux-gnu/$1" ] || [ -e "/opt/homebrew/opt/openssl@3/include/$1" ] ||
        echo "#include <$1>" | cc -E - >/dev/null 2>&1
}
