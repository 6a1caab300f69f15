/** One variable of the environment, for people: the operators' guide and start-up errors are made from it. */
export interface SettingsRow {
  readonly name: string
  readonly default: string
  readonly meaning: string
  readonly example: string
}

const row = (name: string, byDefault: string, meaning: string, example: string): SettingsRow => ({
  name,
  default: byDefault,
  meaning,
  example
})

/** Every variable that Conduit itself reads. */
export const settingsTable: ReadonlyArray<SettingsRow> = [
  row("NODE_ENV", "none", "`production` demands `DATABASE_URL` and a usable model", "production"),
  row(
    "DATABASE_URL",
    "none: the embedded PostgreSQL; required in production",
    "PostgreSQL connection string",
    "postgres://conduit:secret@db:5432/conduit"
  ),
  row(
    "PGSSLROOTCERT",
    "none",
    "file of the certificate authority that signed the database's certificate",
    "/etc/ssl/db-ca.pem"
  ),
  row("DATABASE_POOL_SIZE", "10", "connections of this process to PostgreSQL", "20"),
  row(
    "REDIS_URL",
    "none",
    "Redis in which replicas share which model a session has; nothing fails without it, or when it goes away",
    "rediss://conduit:secret@redis:6379/0"
  ),
  row(
    "CONDUIT_REDIS_TIMEOUT",
    "50 millis",
    "how long a request in a session waits for Redis at most, before its model is called",
    "0.2"
  ),
  row("LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` (or `WARN`), `ERROR`", "DEBUG"),
  row("LOG_FORMAT", "`pretty` on a terminal, `json` otherwise", "`pretty` or `json`", "json"),
  row("CONDUIT_HOST", "127.0.0.1", "address to listen on", "0.0.0.0"),
  row("CONDUIT_PORT", "8000", "port to listen on; 0 is any free one", "8080"),
  row(
    "CONDUIT_API_KEYS",
    "none: everybody may call",
    "accepted keys, comma separated, plain or `sha256:HEX`",
    "sha256:9f86d081884c7d65..."
  ),
  row(
    "CONDUIT_METRICS_KEYS",
    "none: everybody may read them",
    "accepted keys of `GET /metrics`, which those of the API do not open, and which do not open the API; comma separated, plain or `sha256:HEX`",
    "sha256:9f86d081884c7d65..."
  ),
  row("CONDUIT_ALLOW_ANONYMOUS", "false", "production may listen beyond loopback without keys", "true"),
  row(
    "CONDUIT_REQUEST_TIMEOUT",
    "10 minutes",
    "total deadline of one request, all attempts included; a silent model gets half of what is left while another could answer",
    "2 minutes"
  ),
  row("CONDUIT_MAX_BODY_BYTES", "33554432", "a larger request body is answered 413", "1048576"),
  row("CONDUIT_BODY_TIMEOUT", "30 seconds", "how long a client may take to send its body", "10 seconds"),
  row("CONDUIT_MAX_IN_FLIGHT", "4096", "more requests at once are answered 503", "512"),
  row("CONDUIT_DATA_DIRECTORY", ".conduit", "where the embedded PostgreSQL keeps its files", "/var/lib/conduit"),
  row(
    "CONDUIT_DATABASE_CONNECT_DEADLINE",
    "30 seconds",
    "how long the start waits for a database that does not answer",
    "2 minutes"
  ),
  row(
    "CONDUIT_ROUTER_ID",
    "generated once and remembered in the database",
    "name of the shared learning state",
    "chat-prod"
  ),
  row("CONDUIT_FLUSH_INTERVAL", "50 millis", "implicit outcomes are stored at the latest after this", "1 second"),
  row(
    "CONDUIT_MAX_PENDING",
    "50000",
    "outcomes that wait for the database; beyond it the oldest are dropped and counted",
    "200000"
  ),
  row("CONDUIT_FEEDBACK_EXPIRY", "7 days", "feedback for an older decision is refused", "30 days"),
  row("CONDUIT_MAX_PARKED", "10000", "feedback that waits for its decision; more is answered 503", "100000"),
  row("CONDUIT_PARKED_EXPIRY", "7 days", "feedback whose decision has not appeared after this is deleted", "1 day"),
  row(
    "CONDUIT_DECISION_RETENTION",
    "90 days",
    "older decisions are deleted with their feedback; never before `CONDUIT_FEEDBACK_EXPIRY`",
    "30 days"
  ),
  row(
    "CONDUIT_LOG_RETENTION",
    "365 days",
    "older commits of the learning log are deleted once two snapshots cover them",
    "90 days"
  ),
  row(
    "CONDUIT_STORE_PROMPTS",
    "false",
    "the text of prompts is stored with their decisions, at most 100000 characters of each",
    "true"
  ),
  row("CONDUIT_PROMPT_RETENTION", "7 days", "older stored prompts are deleted", "1 day"),
  row("CONDUIT_CONFIG", "conduit.yaml if it exists", "providers, models and policy", "/etc/conduit/conduit.yaml"),
  row(
    "CONDUIT_SIMULATE",
    "on outside production when no model is usable",
    "simulated models instead of real ones",
    "true"
  ),
  row(
    "CONDUIT_RELOAD_ON_SIGHUP",
    "false: SIGHUP stops the service",
    "SIGHUP makes every replica read its `conduit.yaml` again",
    "true"
  ),
  row("CONDUIT_SHUTDOWN_TIMEOUT", "30 seconds", "limit of the drain, settle included", "20 seconds"),
  row("CONDUIT_SHUTDOWN_SETTLE", "0", "how long requests are still served after readiness turned 503", "5 seconds"),
  row("CONDUIT_SHUTDOWN_PERSIST_TIMEOUT", "3 seconds", "limit for storing what was learned", "5 seconds"),
  row("CONDUIT_SHUTDOWN_CLOSE_TIMEOUT", "10 seconds", "limit for closing the database pool", "5 seconds"),
  row(
    "CONDUIT_TERMINATION_GRACE",
    "45 seconds",
    "what the orchestrator allows between SIGTERM and SIGKILL",
    "60 seconds"
  ),
  row(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "none: nothing is exported",
    "where traces and metrics go by OTLP over HTTP; `/v1/traces` and `/v1/metrics` are appended",
    "http://otel-collector:4318"
  ),
  row(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/traces`",
    "where traces go instead, taken as it is",
    "http://tempo:4318/v1/traces"
  ),
  row(
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/metrics`",
    "where metrics go instead, taken as it is",
    "http://prometheus:9090/api/v1/otlp/v1/metrics"
  ),
  row("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "`http/protobuf` or `http/json`", "http/json"),
  row(
    "OTEL_EXPORTER_OTLP_HEADERS",
    "none",
    "headers of every export, `name=value`, comma separated, values percent-encoded",
    "api-key=secret"
  ),
  row("OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "limit of one export, milliseconds", "5000"),
  row("OTEL_TRACES_EXPORTER", "otlp", "`otlp`, or `none`: no traces", "none"),
  row("OTEL_METRICS_EXPORTER", "otlp", "`otlp`, or `none`: metrics are not exported", "none"),
  row("OTEL_SDK_DISABLED", "false", "`true`: neither traces nor metrics are exported", "true"),
  row("OTEL_SERVICE_NAME", "conduit", "`service.name` of what is exported", "conduit-eu"),
  row(
    "OTEL_RESOURCE_ATTRIBUTES",
    "none",
    "more attributes of the service, `name=value`, comma separated, values percent-encoded",
    "deployment.environment.name=prod,service.namespace=chat"
  ),
  row(
    "OTEL_TRACES_SAMPLER",
    "parentbased_always_on",
    "`always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`: then a caller's own decision is followed",
    "parentbased_traceidratio"
  ),
  row("OTEL_TRACES_SAMPLER_ARG", "1", "share of the traces for `traceidratio`, from 0 to 1", "0.1"),
  row("OTEL_METRIC_EXPORT_INTERVAL", "60000", "milliseconds between two exports of metrics", "15000"),
  row("OTEL_BSP_SCHEDULE_DELAY", "5000", "milliseconds that a span waits at most for its export", "1000")
]
