import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Path from "node:path"
import { parseAllDocuments } from "yaml"
import { shutdownBudget } from "../../src/services/running/Settings.ts"
import { alertRules, rulesOf } from "../support/alertRules.ts"
import { dashboard } from "../support/dashboard.ts"
import { conduitSecrets, manifestsOf, settingsOf, yamlOf } from "../support/deployKit.ts"
import { image } from "../support/dockerfile.ts"
import { hasLeg, run } from "../support/external.ts"
import { findHelm } from "../support/helm.ts"
import { isCustom, type Manifest, problemsOf } from "../support/kubernetesSchemas.ts"

const chart = Path.resolve(import.meta.dirname, "../../deploy/helm/conduit")
const helm = findHelm()
const hasHelm = hasLeg("helm", helm !== undefined)
const kustomization = yamlOf("kubernetes/kustomization.yaml")

type Values = Readonly<Record<string, unknown>>

const template = (release: string, values: Values) =>
  run(helm ?? "", [
    "template",
    release,
    chart,
    ...Object.entries(values).flatMap(([name, value]) => ["--set-json", `${name}=${JSON.stringify(value)}`])
  ])

const rendered = (values: Values = {}, release = "conduit"): ReadonlyArray<Manifest> => {
  const { code, stderr, stdout } = template(release, values)
  assert.strictEqual(code, 0, stderr)
  return parseAllDocuments(stdout).map((document) => document.toJS())
}

const only = (documents: ReadonlyArray<Manifest>, kind: string): Manifest => {
  const [found, ...others] = documents.filter((document) => document.kind === kind)
  assert.isDefined(found, kind)
  assert.isEmpty(others, kind)
  return found
}

/** Labels that say how a document came to be, and what makes new pods when the settings change. */
const ofTheWay = /^(?:app\.kubernetes\.io\/(?:instance|version|managed-by|part-of)|helm\.sh\/chart|checksum\/settings)$/

const comparable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value !== "object" || value === null) return value
  const fields = Object.entries(value)
    .filter(([name]) => !ofTheWay.test(name))
    .map(([name, inner]) => [name, comparable(inner)] as const)
    // Labels of which nothing is left.
    .filter(([name, inner]) => name !== "labels" || JSON.stringify(inner) !== "{}")
  return Object.fromEntries(fields)
}

/** `app.kubernetes.io/name` on the document itself, which the plain ones have where something selects by it. */
const withoutOwnLabels = (document: Manifest) =>
  comparable({ ...document, metadata: { ...document["metadata"], labels: {} } })

/** The plain manifests as kustomize would change them. */
const plain = (): ReadonlyArray<Manifest> => {
  const [{ name, newName, newTag }] = kustomization.images
  return manifestsOf("kubernetes").map((document) =>
    JSON.parse(JSON.stringify(document).replace(`"image":"${name}"`, `"image":"${newName}:${newTag}"`))
  )
}

const everything: Values = {
  "autoscaling.enabled": true,
  "metrics.podMonitor.enabled": true,
  "metrics.podMonitor.secretKey": "METRICS_KEY",
  "alerts.enabled": true,
  "dashboard.enabled": true,
  "service.type": "LoadBalancer",
  "networkPolicy.extraEgressPorts": [6379, 4318],
  imagePullSecrets: [{ name: "registry" }],
  tolerations: [{ key: "llm", operator: "Exists" }],
  nodeSelector: { disk: "fast" },
  podLabels: { team: "a" },
  podAnnotations: { note: "b" },
  affinity: { podAntiAffinity: {} },
  priorityClassName: "high"
}

describe.skipIf(!hasHelm)("the Helm chart (skipped where there is no Helm and none can be fetched)", () => {
  it("passes Helm's own check", () => {
    const linted = run(helm ?? "", ["lint", "--strict", chart])
    assert.strictEqual(linted.code, 0, linted.stdout + linted.stderr)
  })

  it("makes what the plain manifests are", () => {
    const byName = (documents: ReadonlyArray<Manifest>) =>
      Object.fromEntries(documents.map((one) => [`${one.kind} ${one["metadata"].name}`, withoutOwnLabels(one)]))
    assert.deepStrictEqual(byName(rendered()), byName(plain()))
  })

  it("makes the autoscaler of the plain manifests, and leaves the replicas to it", () => {
    const documents = rendered({ "autoscaling.enabled": true })
    const [autoscaler] = manifestsOf("kubernetes/autoscaling")
    assert.isDefined(autoscaler)
    assert.deepStrictEqual(withoutOwnLabels(only(documents, "HorizontalPodAutoscaler")), withoutOwnLabels(autoscaler))
    assert.notProperty(only(documents, "Deployment")["spec"], "replicas")
    assert.strictEqual(only(rendered({ replicas: 5 }), "Deployment")["spec"].replicas, 5)
  })

  it("computes the grace from the values that are the settings, as the service does", async () => {
    for (const [values, grace] of [
      [{}, 45],
      [{ "shutdown.drainSeconds": 120, "shutdown.settleSeconds": 20 }, 135],
      [{ "shutdown.drainSeconds": 600.25, "shutdown.persistSeconds": 8, "shutdown.closeSeconds": 2 }, 612],
      [{ "shutdown.marginSeconds": 15 }, 60]
    ] as ReadonlyArray<[Values, number]>) {
      const documents = rendered(values)
      const [data] = documents.filter((one) => one["metadata"].name === "conduit-settings").map((one) => one["data"])
      const { settings, warnings } = await settingsOf({ ...image().env, ...data, ...conduitSecrets })
      assert.deepStrictEqual(warnings, [])
      const { terminationGracePeriodSeconds } = only(documents, "Deployment")["spec"].template.spec
      assert.strictEqual(terminationGracePeriodSeconds, grace)
      assert.strictEqual(Duration.toSeconds(settings.shutdown.terminationGrace), grace)
      const margin = Number(values["shutdown.marginSeconds"] ?? 0)
      assert.strictEqual(Math.ceil(Duration.toSeconds(shutdownBudget(settings.shutdown)) + margin), grace)
    }
  })

  it("gives a start the time that the values say", () => {
    for (const [startupSeconds, failureThreshold] of [
      [120, 60],
      [901, 451]
    ]) {
      const { containers } = only(rendered({ startupSeconds }), "Deployment")["spec"].template.spec
      assert.deepInclude(containers[0].startupProbe, { periodSeconds: 2, failureThreshold })
    }
  })

  it("makes new pods for other settings, and not for other models", () => {
    const checksum = (values: Values) =>
      only(rendered(values), "Deployment")["spec"].template.metadata.annotations["checksum/settings"]
    assert.match(checksum({}), /^[0-9a-f]{64}$/)
    assert.strictEqual(checksum({}), checksum({ "models.config": "models: []" }))
    assert.notStrictEqual(checksum({}), checksum({ "settings.LOG_LEVEL": "DEBUG" }))
    assert.notStrictEqual(checksum({}), checksum({ "shutdown.closeSeconds": 11 }))
  })

  it("holds what Kubernetes knows, whatever is switched on, under the names of the release", async () => {
    const all = [rendered(), rendered(everything, "llm"), rendered({ "models.existingConfigMap": "mine" }, "other")]
    assert.deepStrictEqual(await problemsOf(all.flat()), [])
    const [, documents = []] = all
    const kinds =
      "ConfigMap ConfigMap ConfigMap Deployment HorizontalPodAutoscaler NetworkPolicy PodDisruptionBudget PodMonitor"
    assert.sameMembers(
      documents.map(({ kind }) => kind),
      `${kinds} PrometheusRule Service`.split(" ")
    )
    const labels = only(documents, "Deployment")["spec"].template.metadata.labels
    assert.deepInclude(labels, { "app.kubernetes.io/instance": "llm", team: "a" })
    for (const { kind, metadata, spec } of documents) {
      assert.match(metadata.name, /^llm-conduit/)
      const selector = kind === "Service" ? spec.selector : (spec?.selector ?? spec?.podSelector)?.matchLabels
      if (selector !== undefined)
        assert.isTrue(
          Object.entries(selector).every(([k, v]) => labels[k] === v),
          kind
        )
    }
    assert.strictEqual(only(documents, "HorizontalPodAutoscaler")["spec"].scaleTargetRef.name, "llm-conduit")
    const { podMetricsEndpoints } = only(documents, "PodMonitor")["spec"]
    assert.deepStrictEqual(podMetricsEndpoints, [
      {
        port: "http",
        path: "/metrics",
        interval: "15s",
        authorization: { credentials: { name: "conduit-secrets", key: "METRICS_KEY" } }
      }
    ])
    const { volumes } = only(all[2] ?? [], "Deployment")["spec"].template.spec
    assert.strictEqual(volumes[0].configMap.name, "mine")
    assert.lengthOf((all[2] ?? []).filter(isCustom), 0)
  })

  it("has the dashboard itself, where Grafana's sidecar looks", () => {
    const [board] = rendered({ "dashboard.enabled": true }).filter(
      ({ metadata }) => metadata.name === "conduit-dashboard"
    )
    assert.strictEqual(board?.["metadata"].labels["grafana_dashboard"], "1")
    assert.deepStrictEqual(JSON.parse(board?.["data"]["conduit.json"]), dashboard)
  })

  it("has the alert rules themselves, with the budget and the guide's address of the values", () => {
    const values = {
      "alerts.enabled": true,
      "alerts.dailyBudgetUsd": 2500,
      "alerts.guideUrl": "https://wiki.example/x"
    }
    const { spec } = only(rendered(values), "PrometheusRule")
    const expected = JSON.stringify(alertRules())
      .replace("vector(100)", "vector(2500)")
      .replaceAll("docs/operations.md#", `${values["alerts.guideUrl"]}#`)
    assert.deepStrictEqual(rulesOf(spec), JSON.parse(expected))
  })

  it("refuses values that cannot work, and says which", () => {
    for (const [values, said] of [
      [{ "shutdown.settleSeconds": 2 }, "settleSeconds"],
      [{ "shutdown.settleSeconds": 30 }, "settleSeconds"],
      [{ "shutdown.drainSecond": 30 }, "drainSecond"],
      [{ "settings.CONDUIT_SHUTDOWN_TIMEOUT": "60 seconds" }, "CONDUIT_SHUTDOWN_TIMEOUT"],
      [{ "settings.CONDUIT_TERMINATION_GRACE": "60 seconds" }, "CONDUIT_TERMINATION_GRACE"],
      [{ "settings.OPENAI_API_KEY": "sk-1" }, "OPENAI_API_KEY"],
      [{ "settings.CONDUIT_METRICS_KEYS": "k" }, "CONDUIT_METRICS_KEYS"],
      [{ "settings.DATABASE_POOL_SIZE": 10 }, "DATABASE_POOL_SIZE"],
      [{ "image.tag": "latest" }, "tag"],
      [{ secretName: "" }, "secretName"],
      [{ "autoscaling.enabled": true, "autoscaling.minReplicas": 1 }, "minReplicas"],
      [{ "autoscaling.enabled": true, "autoscaling.minReplicas": 8 }, "maxReplicas"],
      [{ "podDisruptionBudget.maxUnavailable": 0 }, "maxUnavailable"],
      [{ "alerts.dailyBudgetUsd": 0 }, "dailyBudgetUsd"],
      [{ startupSeconds: 30 }, "startupSeconds"],
      [{ replica: 3 }, "replica"]
    ] as ReadonlyArray<[Values, string]>) {
      const { code, stderr } = template("conduit", values)
      assert.notStrictEqual(code, 0, said)
      assert.include(stderr, said)
    }
  })

  it("tells what to do next", () => {
    const args = ["install", "llm", chart, "--namespace", "models", "--dry-run=client", "--set", "secretName=keys"]
    const { code, stderr, stdout } = run(helm ?? "", args)
    assert.strictEqual(code, 0, stderr)
    const notes = stdout.slice(stdout.indexOf("NOTES:"))
    for (const words of ["http://llm-conduit.models.svc:80", "secret generic keys", "conduit-clients=true", "45 s"]) {
      assert.include(notes, words)
    }
  })
})
