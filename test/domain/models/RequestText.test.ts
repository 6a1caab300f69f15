import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { changedText, rememberSource, requestText } from "../../../src/domain/models/RequestText.ts"
import { jsonTexts } from "../../support/jsonTexts.ts"

const parsed = (json: string) => {
  const body = JSON.parse(json)
  rememberSource(body, json)
  return body
}
const whole = { upstream: "up", stream: false, asksForUsage: false }
const streamed = { upstream: "up", stream: true, asksForUsage: true }

describe("RequestText", () => {
  it("changes the model and nothing else, whatever is in the request", () => {
    FastCheck.assert(
      FastCheck.property(jsonTexts, jsonTexts, ({ text: one }, { text: two }) => {
        const around = (model: string) => `{ "tools": ${one},\n "model" : ${model}, "n":1.0, "vendor":${two} }`
        assert.strictEqual(requestText(parsed(around('"auto"')), whole), around('"up"'))
      })
    )
  })

  it("writes in one cut what the edits would, of any members in any order, once, twice and with escapes", () => {
    const members = FastCheck.constantFrom(
      '"model":"auto"',
      '"mod\\u0065l":"b"',
      '"model" : null',
      '"modelx":{"model":"deep"}',
      '"stream":true',
      '"stream":false',
      '"stream_options":{"a":[1, "}"]}',
      '"conduit":{}',
      '"text":"a \\"model\\":1, {"',
      '"messages":[{"model":"x","content":"\\\\"}]'
    )
    const bodies = FastCheck.tuple(FastCheck.array(members, { maxLength: 6 }), FastCheck.constantFrom("", " ", "\n"))
    FastCheck.assert(
      FastCheck.property(bodies, FastCheck.boolean(), FastCheck.boolean(), ([all, space], stream, asksForUsage) => {
        const json = `${space}{${space}${all.join(`${space},${space}`)}${space}}${space}`
        const body = parsed(json)
        const forwarding = { upstream: 'u"p', stream, asksForUsage: stream && asksForUsage }
        assert.strictEqual(requestText(body, forwarding), changedText(json, space.length, body, forwarding))
      }),
      { numRuns: 2000 }
    )
  })

  it("takes conduit out, wherever it stands, and adds a model where there was none", () => {
    assert.strictEqual(requestText(parsed('{"conduit":{"task":"a"},"x":1e400}'), whole), '{"model":"up","x":1e400}')
    assert.strictEqual(requestText(parsed('{"x":1,"model":"auto","conduit":{}}'), whole), '{"x":1,"model":"up"}')
  })

  it("asks a stream for its counts, inside the options that came", () => {
    assert.strictEqual(
      requestText(parsed('{"model":"auto","stream":true,"stream_options":{ "vendor" : 9007199254740993 }}'), streamed),
      '{"model":"up","stream":true,"stream_options":{"include_usage":true, "vendor" : 9007199254740993 }}'
    )
    assert.strictEqual(
      requestText(parsed('{"model":"auto","stream":true,"stream_options":null}'), streamed),
      '{"model":"up","stream":true,"stream_options":{"include_usage":true}}'
    )
    assert.deepStrictEqual(JSON.parse(requestText(parsed('{"model":"auto"}'), streamed)), {
      model: "up",
      stream: true,
      stream_options: { include_usage: true }
    })
    assert.strictEqual(
      requestText(parsed('{"model":"auto","stream":true}'), { ...streamed, asksForUsage: false }),
      '{"model":"up","stream":true}'
    )
  })

  it("changes what a dialect asks for", () => {
    const changes = new Map([
      ["max_tokens", null],
      ["max_completion_tokens", "5"]
    ])
    assert.strictEqual(
      requestText(parsed('{"model":"auto","max_tokens":5,"x":1.0}'), { ...whole, changes }),
      '{"max_completion_tokens":5,"model":"up","x":1.0}'
    )
  })

  it("sends only the member that was read, where one is there twice", () => {
    assert.strictEqual(
      requestText(parsed('{"messages":[1],"model":"auto","messages":[2]}'), whole),
      '{"model":"up","messages":[2]}'
    )
  })

  it("writes a body that was made here", () => {
    assert.strictEqual(requestText({ a: 1 }, whole), '{"model":"up","a":1}')
  })
})
