import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseAllDocuments } from "yaml"
import { parseConfigFile } from "../../src/layers/models/ConfigFile.ts"
import { healthReplies } from "../../src/layers/api/Health.ts"
import { isServedBy, routeNames, routes } from "../../src/services/api/Routes.ts"
import { settingsTable } from "../../src/services/running/Settings.ts"
import type { LifecyclePhase } from "../../src/services/running/Lifecycle.ts"
import { type SettingsShape, shutdownBudget } from "../../src/services/running/Settings.ts"
import { conduitSecrets, manifestsOf, settingsOf, yamlOf } from "../support/deployKit.ts"
import { image } from "../support/dockerfile.ts"
import { has, run } from "../support/external.ts"
import { guide } from "../support/guide.ts"
import { type Manifest, problemsOf } from "../support/kubernetesSchemas.ts"

const kubernetes = (file: string) => yamlOf(`kubernetes/${file}`)
const kustomization = kubernetes("kustomization.yaml")
const deployment = kubernetes("deployment.yaml")
const values = kubernetes("settings.yaml")
const models = kubernetes("models.yaml")
const service = kubernetes("service.yaml")
const policy = kubernetes("network-policy.yaml")
const autoscaler = kubernetes("autoscaling/horizontal-pod-autoscaler.yaml")
const budget = kubernetes("pod-disruption-budget.yaml")

const pod = deployment.spec.template.spec
const [container] = pod.containers
const labels = deployment.spec.template.metadata.labels

let settings: SettingsShape
let warnings: ReadonlyArray<string>

beforeAll(async () => {
  ;({ settings, warnings } = await settingsOf({ ...image().env, ...values.data, ...conduitSecrets }))
})

const probe = (path: string, phase: LifecyclePhase, stopping = false) => {
  const name = routeNames.find((one) => routes[one].path === path)
  return name !== undefined && isServedBy(name, "socket")
    ? healthReplies[name]({ phase, stopping, inFlight: 0 }).status
    : undefined
}

describe("the manifests", () => {
  it("are all in the kustomization", () => {
    const files = Fs.readdirSync(new URL("../../deploy/kubernetes", import.meta.url))
    assert.deepStrictEqual([...kustomization.resources, "autoscaling", "kustomization.yaml"].sort(), files.sort())
    assert.include(
      kustomization.images.map((one: { name: string }) => one.name),
      container.image
    )
  })

  it("run the image of the version that this is, and so does the chart", () => {
    const { version } = JSON.parse(Fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
    const chart = yamlOf("helm/conduit/Chart.yaml")
    assert.deepStrictEqual(
      [kustomization.images[0].newTag, chart.version, chart.appVersion],
      [version, version, version]
    )
  })

  it("are as the schemas of Kubernetes want them, which refuse a wrong value and an unknown field", async () => {
    assert.deepStrictEqual(await problemsOf([...manifestsOf("kubernetes"), autoscaler]), [])
    const wrong: Manifest = structuredClone(deployment)
    wrong["spec"].template.spec.containers[0].ports[0].containerPort = "8000"
    assert.include((await problemsOf([wrong])).join(), "containerPort must be integer")
    const misspelled: Manifest = structuredClone(deployment)
    misspelled["spec"].template.spec.containers[0].livenesProbe = {}
    assert.include((await problemsOf([misspelled])).join(), "livenesProbe")
  })

  it("scale by the requests in flight, slowly down, and never below two", () => {
    const { behavior, maxReplicas, metrics, minReplicas, scaleTargetRef } = autoscaler.spec
    assert.deepStrictEqual(scaleTargetRef, {
      apiVersion: deployment.apiVersion,
      kind: deployment.kind,
      name: deployment.metadata.name
    })
    assert.strictEqual(minReplicas, 2)
    // PostgreSQL's default is 100 connections, of which it keeps 3 for itself.
    assert.isAtMost((maxReplicas + 1) * (settings.database.poolSize + 3), 97)
    const [{ pods, type }] = metrics
    assert.strictEqual(type, "Pods")
    assert.strictEqual(pods.metric.name, "conduit_requests_active")
    assert.isBelow(Number(pods.target.averageValue), settings.http.maxInFlight / 2)
    assert.isAbove(behavior.scaleDown.stabilizationWindowSeconds, behavior.scaleUp.stabilizationWindowSeconds)
    const [down] = behavior.scaleDown.policies
    assert.isAtLeast(down.periodSeconds, pod.terminationGracePeriodSeconds)
    assert.strictEqual(down.value, 1)
    const [rule] = kubernetes("autoscaling/prometheus-adapter.yaml").rules.custom
    assert.strictEqual(rule.name.as, pods.metric.name)
    assert.isTrue(rule.seriesQuery.startsWith(pods.metric.name))
  })

  it("tell Prometheus where the metrics are", () => {
    const { annotations } = deployment.spec.template.metadata
    assert.deepStrictEqual(annotations, {
      "prometheus.io/scrape": "true",
      "prometheus.io/port": String(container.ports[0].containerPort),
      "prometheus.io/path": "/metrics"
    })
  })

  it("configure the service without a problem or a warning, above what the image sets", () => {
    assert.deepStrictEqual(warnings, [])
    assert.isTrue(settings.production)
    assert.strictEqual(settings.http.host, "0.0.0.0")
    for (const name of Object.keys(values.data)) {
      assert.isTrue(
        settingsTable.some((row) => row.name === name),
        name
      )
      assert.notProperty(conduitSecrets, name)
    }
    assert.strictEqual(values.data.CONDUIT_SHUTDOWN_SETTLE, image().env["CONDUIT_SHUTDOWN_SETTLE"])
  })

  it("grant the shutdown the time that its limits add up to", () => {
    assert.isAtMost(Duration.toSeconds(shutdownBudget(settings.shutdown)), pod.terminationGracePeriodSeconds)
    assert.strictEqual(Duration.toSeconds(settings.shutdown.terminationGrace), pod.terminationGracePeriodSeconds)
    assert.notProperty(container, "lifecycle")
  })

  it("probe what the service answers, on the port where it listens", () => {
    const { livenessProbe, readinessProbe, startupProbe } = container
    assert.deepStrictEqual(
      [probe(startupProbe.httpGet.path, "starting"), probe(startupProbe.httpGet.path, "running")],
      [503, 200]
    )
    assert.deepStrictEqual(
      [
        probe(readinessProbe.httpGet.path, "starting"),
        probe(readinessProbe.httpGet.path, "running"),
        probe(readinessProbe.httpGet.path, "settle", true)
      ],
      [503, 200, 503]
    )
    for (const phase of ["starting", "running", "drain", "persist"] as const) {
      assert.strictEqual(probe(livenessProbe.httpGet.path, phase, phase === "drain"), 200)
    }
    const [port] = container.ports
    assert.strictEqual(port.containerPort, settings.http.port)
    assert.deepInclude(image().instructions, { name: "EXPOSE", value: String(settings.http.port) })
    for (const one of [startupProbe, livenessProbe, readinessProbe]) assert.strictEqual(one.httpGet.port, port.name)
    assert.strictEqual(service.spec.ports[0].targetPort, port.name)
    assert.strictEqual(policy.spec.ingress[0].ports[0].port, port.name)
  })

  it("see that a pod is not ready while it settles, and give the start the time it may take", () => {
    const { readinessProbe, startupProbe } = container
    assert.isBelow(
      readinessProbe.periodSeconds * readinessProbe.failureThreshold,
      Duration.toSeconds(settings.shutdown.settle)
    )
    // The database's deadline, and a minute for the migration of another replica.
    assert.isAtLeast(
      startupProbe.periodSeconds * startupProbe.failureThreshold,
      Duration.toSeconds(settings.database.connectDeadline) + 60
    )
  })

  it("replace pods without a gap, and let a node be drained", () => {
    assert.isAtLeast(deployment.spec.replicas, 2)
    assert.strictEqual(deployment.spec.strategy.rollingUpdate.maxUnavailable, 0)
    assert.isAtLeast(deployment.spec.strategy.rollingUpdate.maxSurge, 1)
    assert.isAtLeast(budget.spec.maxUnavailable, 1)
    assert.isBelow(budget.spec.maxUnavailable, deployment.spec.replicas)
    for (const selector of [deployment.spec.selector, budget.spec.selector, policy.spec.podSelector]) {
      assert.deepStrictEqual(selector.matchLabels, labels)
    }
    assert.deepStrictEqual(service.spec.selector, labels)
  })

  it("take every right that the service does not need", () => {
    assert.deepInclude(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } })
    // `node` of the image.
    assert.strictEqual(pod.securityContext.runAsUser, 1000)
    assert.deepInclude(image().instructions, { name: "USER", value: "node" })
    assert.deepStrictEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] }
    })
    assert.isFalse(pod.automountServiceAccountToken)
    assert.deepStrictEqual(policy.spec.policyTypes, ["Ingress", "Egress"])
  })

  it("keep Kubernetes from setting CONDUIT_PORT, which it would to the address of a Service of this name", () => {
    const link = `${service.metadata.name.toUpperCase().replaceAll("-", "_")}_PORT`
    assert.include(
      settingsTable.map((row) => row.name),
      link
    )
    assert.isFalse(pod.enableServiceLinks)
  })

  it("refer to what is there, and to one Secret by its name", () => {
    const [plain, secret] = container.envFrom
    assert.strictEqual(plain.configMapRef.name, values.metadata.name)
    assert.strictEqual(secret.secretRef.name, "conduit-secrets")
    assert.strictEqual(pod.volumes[0].configMap.name, models.metadata.name)
    const [mount] = container.volumeMounts
    assert.strictEqual(mount.name, pod.volumes[0].name)
    // The directory: a file that is mounted by `subPath` never changes.
    assert.notProperty(mount, "subPath")
    const [file] = Object.keys(models.data)
    assert.strictEqual(values.data.CONDUIT_CONFIG, `${mount.mountPath}/${file}`)
  })

  it("hold a catalogue that the service accepts, whose keys come from the Secret", () => {
    const text: string = models.data["conduit.yaml"]
    const parsed = parseConfigFile(text, new Map())
    assert.isTrue(Either.isRight(parsed), JSON.stringify(parsed))
    const named = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name)
    assert.isNotEmpty(named)
    for (const name of named) assert.property(conduitSecrets, name ?? "")
  })
})

describe.skipIf(!has("kubectl"))("kustomize (skipped where there is no kubectl)", () => {
  const built = (folder: string): ReadonlyArray<Manifest> => {
    const { code, stderr, stdout } = run("kubectl", ["kustomize", folder])
    assert.strictEqual(code, 0, stderr)
    return parseAllDocuments(stdout).map((document) => document.toJS())
  }
  const folder = Path.resolve(import.meta.dirname, "../../deploy/kubernetes")

  it("makes every document, with the image and a label that selectors do not have", async () => {
    const documents = built(folder)
    assert.deepStrictEqual(await problemsOf(documents), [])
    assert.sameMembers(
      documents.map((one) => `${one.kind} ${one["metadata"].name}`),
      manifestsOf("kubernetes").map((one) => `${one.kind} ${one["metadata"].name}`)
    )
    const made = documents.find(({ kind }) => kind === "Deployment")?.["spec"]
    const [{ newName, newTag }] = kustomization.images
    assert.strictEqual(made.template.spec.containers[0].image, `${newName}:${newTag}`)
    assert.deepStrictEqual(made.selector, deployment.spec.selector)
    assert.strictEqual(made.replicas, deployment.spec.replicas)
  })

  it("makes of the overlay in the guide what it says, with the pod's grace from the setting", async () => {
    const [, text] = /^```yaml\n(resources: [\s\S]*?)^```/m.exec(guide()) ?? []
    assert.isDefined(text)
    const beside = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-overlay-"))
    try {
      Fs.cpSync(folder, Path.join(beside, "deploy/kubernetes"), { recursive: true })
      Fs.mkdirSync(Path.join(beside, "overlay"))
      const example = Path.resolve(folder, "../../conduit.example.yaml")
      Fs.copyFileSync(example, Path.join(beside, "overlay/conduit.yaml"))
      Fs.writeFileSync(Path.join(beside, "overlay/kustomization.yaml"), text)
      const documents = built(Path.join(beside, "overlay"))
      assert.deepStrictEqual(await problemsOf(documents), [])
      const named = (name: string) => documents.find(({ metadata }) => metadata.name === name)
      const configured = { ...image().env, ...named("conduit-settings")?.["data"], ...conduitSecrets }
      const { settings: own, warnings: warned } = await settingsOf(configured)
      assert.deepStrictEqual(warned, [])
      const made = documents.find(({ kind }) => kind === "Deployment")?.["spec"].template.spec
      assert.isAbove(made.terminationGracePeriodSeconds, pod.terminationGracePeriodSeconds)
      assert.strictEqual(made.terminationGracePeriodSeconds, Duration.toSeconds(own.shutdown.terminationGrace))
      assert.match(made.containers[0].image, /^registry\.example\//)
      assert.deepStrictEqual(named("conduit-models")?.["data"], { "conduit.yaml": Fs.readFileSync(example, "utf8") })
      const opened = documents.find(({ kind }) => kind === "NetworkPolicy")?.["spec"].egress
      assert.deepInclude(opened, { ports: [{ port: 6379 }, { port: 4318 }] })
      assert.lengthOf(opened, policy.spec.egress.length + 1)
    } finally {
      Fs.rmSync(beside, { recursive: true })
    }
  })

  it("leaves the replicas to the autoscaler, where that is asked for", async () => {
    const overlay = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-overlay-"))
    try {
      Fs.cpSync(folder, Path.join(overlay, "base"), { recursive: true })
      const file = Path.join(overlay, "base/kustomization.yaml")
      const text = Fs.readFileSync(file, "utf8")
      const enabled = text.replace("# components: [autoscaling]", "components: [autoscaling]")
      assert.notStrictEqual(enabled, text)
      Fs.writeFileSync(file, enabled)
      const documents = built(Path.join(overlay, "base"))
      assert.deepStrictEqual(await problemsOf(documents), [])
      assert.notProperty(documents.find(({ kind }) => kind === "Deployment")?.["spec"], "replicas")
      assert.isDefined(documents.find(({ kind }) => kind === "HorizontalPodAutoscaler"))
    } finally {
      Fs.rmSync(overlay, { recursive: true })
    }
  })
})
