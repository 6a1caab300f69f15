#!/usr/bin/env bash
# The module alone cannot make a schema, by its own POM: Maven picks annotations that are too old for its Jackson.
#
# Versions: org.springframework.ai:spring-ai-openai 2.0.1 (Maven Central), alone and with spring-boot-dependencies 4.0.7.
# Behaviour: spring-ai-openai brings Jackson 3 (tools.jackson) by Spring AI, and Jackson 2 by openai-java-core. Both share
#   com.fasterxml.jackson.core:jackson-annotations, of which Jackson 3.1 needs a newer one, with JsonSerializeAs. Maven takes
#   the nearest declaration and not the newest: that of openai-java-core. The first use of Jackson 3, which is making the
#   schema of an output type, ends with NoClassDefFoundError. Nothing is said when it is resolved or compiled. Spring Boot's
#   BOM manages the annotations and hides it, so that only those who use the module without Boot meet it.
# Seen on 2026-11-30:
#   alone: jackson-annotations-2.18.9 jackson-databind-2.18.9 jackson-databind-3.1.5: NoClassDefFoundError com/fasterxml/jackson/annotation/JsonSerializeAs
#   with Boot's BOM: jackson-annotations-2.21 jackson-databind-2.21.4 jackson-databind-3.1.4: a schema
# Needs mvn, javac (17) and Maven Central. Exits 1 when it no longer holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >Schema.java <<'JAVA'
import org.springframework.ai.converter.BeanOutputConverter;

public final class Schema {
  public record City(String city) {}

  public static void main(String[] args) {
    try {
      System.out.println(new BeanOutputConverter<>(City.class).getJsonSchema().contains("city") ? "a schema" : "none");
    } catch (LinkageError error) {
      System.out.println(error.getClass().getSimpleName() + " " + error.getMessage());
    }
  }
}
JAVA

managed='<dependencyManagement><dependencies><dependency><groupId>org.springframework.boot</groupId>
<artifactId>spring-boot-dependencies</artifactId><version>4.0.7</version><type>pom</type><scope>import</scope>
</dependency></dependencies></dependencyManagement>'
try() {
  cat >pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>finding</groupId><artifactId>finding</artifactId><version>0</version><packaging>pom</packaging>$2
<dependencies><dependency><groupId>org.springframework.ai</groupId><artifactId>spring-ai-openai</artifactId>
<version>2.0.1</version></dependency></dependencies></project>
POM
  mvn -q -B -Dmaven.repo.local="$folder/repository" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath -Dmdep.outputFile=path >maven.log 2>&1 ||
    { cat maven.log; exit 1; }
  javac -nowarn -cp "$(cat path)" Schema.java
  local versions
  versions=$(tr ':' '\n' <path | grep -oE 'jackson-(annotations|databind)-[0-9.]*[0-9]' | sort | paste -sd ' ')
  echo "$1: $versions: $(java -cp ".:$(cat path)" Schema 2>/dev/null)"
}
{
  try "alone" ""
  try "with Boot's BOM" "$managed"
} | tee seen

diff - seen <<'SEEN'
alone: jackson-annotations-2.18.9 jackson-databind-2.18.9 jackson-databind-3.1.5: NoClassDefFoundError com/fasterxml/jackson/annotation/JsonSerializeAs
with Boot's BOM: jackson-annotations-2.21 jackson-databind-2.21.4 jackson-databind-3.1.4: a schema
SEEN
