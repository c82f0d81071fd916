# Apache Kafka for the tests: sourced by `install`, which has `apt_install`, `fail` and the version that is wanted.
#
# There is no package of it: the broker is put together from Maven's artifacts, with a script to start its classes and an archive of them
# that halves the time of a start.

kafka=target/tools/kafka

kafka_is_there() {
    [ -x $kafka/kafka ] && [ -e $kafka/.made-$kafka_version ]
}

install_kafka() {
    echo "installing Apache Kafka $kafka_version"
    local packages=()
    java_is_new_enough || packages+=(openjdk-17-jre-headless)
    command -v mvn >/dev/null || packages+=(maven)
    [ ${#packages[@]} -eq 0 ] || apt_install "${packages[@]}"
    java_is_new_enough || fail "Kafka needs Java 17 or newer, and 'java' is $(java -version 2>&1 | head -1): put a newer one first in PATH"
    rm -rf $kafka
    mkdir -p $kafka
    kafka_artifacts
    kafka_script
    kafka_archive
    touch $kafka/.made-$kafka_version
}

java_is_new_enough() {
    local version
    version=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p') || return 1
    [ "${version:-0}" -ge 17 ]
}

# kafka-tools-api is named by the broker's POM and not published; log4j comes with the release and is not in the POM.
kafka_artifacts() {
    cat >$kafka/pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>longshore</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version>
      <exclusions><exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion></exclusions>
    </dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-1.2-api</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
POM
    mvn -q -B -f $kafka/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$PWD/$kafka/lib" || fail "Maven cannot bring Apache Kafka $kafka_version"
}

# `kafka CLASS ARGUMENTS…`. The class path is relative, in one order, and written out: the archive is for that path alone. C1 alone and one
# collector's thread: a test's broker lives for seconds, beside others.
kafka_script() {
    local path
    path=$(cd $kafka && ls lib/*.jar | LC_ALL=C sort | paste -sd:)
    cat >$kafka/kafka <<SCRIPT
#!/bin/sh
# Starts a class of Apache Kafka $kafka_version; made by tests/servers/install.
set -e
cd "\$(dirname "\$0")"
exec java -Xms64m -Xmx512m -XX:+UseSerialGC \${KAFKA_COMPILER:--XX:TieredStopAtLevel=1} \${KAFKA_ARCHIVE:--Xshare:auto -XX:SharedArchiveFile=classes.jsa} \\
    -Xlog:disable -Xlog:all=error:stderr -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData -Djava.awt.headless=true -Djava.net.preferIPv4Stack=true \\
    -Dlog4j2.configurationFile=log4j2.properties -Dlog4j2.disableJmx=true -cp "$path" "\$@"
SCRIPT
    chmod +x $kafka/kafka
    cat >$kafka/log4j2.properties <<'LOG'
rootLogger.level = WARN
rootLogger.appenderRef.c.ref = C
appender.c.type = Console
appender.c.name = C
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = [%d] %p %m (%c)%n
LOG
}

# A broker is started once and stopped, and what it loaded is kept. Without the archive all works as well, and slower.
kafka_archive() {
    local folder=$PWD/$kafka/first ports pid
    mkdir $folder
    read -r -a ports < <(python3 -c 'import socket
s = [socket.socket() for _ in range(2)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*(x.getsockname()[1] for x in s))')
    cat >"$folder/server.properties" <<SETTINGS
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${ports[1]}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${ports[0]},CONTROLLER://127.0.0.1:${ports[1]}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$folder/data
SETTINGS
    export KAFKA_ARCHIVE=-Xshare:auto
    $kafka/kafka kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$folder/server.properties" >"$folder/log" 2>&1 ||
        fail "Kafka cannot format a folder: $(tail -5 "$folder/log")"
    export KAFKA_ARCHIVE=-XX:ArchiveClassesAtExit=classes.jsa
    $kafka/kafka kafka.Kafka "$folder/server.properties" >>"$folder/log" 2>&1 &
    pid=$!
    for _ in $(seq 300); do
        (: >/dev/tcp/127.0.0.1/"${ports[0]}") 2>/dev/null && break
        kill -0 $pid 2>/dev/null || fail "Kafka does not start: $(tail -5 "$folder/log")"
        sleep 0.1
    done
    # What a first second of life loads is in the archive too.
    sleep 1
    kill $pid
    wait $pid || true
    unset KAFKA_ARCHIVE
    [ -e $kafka/classes.jsa ] || echo "no archive of Kafka's classes was made: its brokers start more slowly" >&2
    rm -rf "$folder"
}
