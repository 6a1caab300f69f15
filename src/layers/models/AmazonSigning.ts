import aws4 from "aws4"
import * as Redacted from "effect/Redacted"
import type { AmazonCredentials } from "../../services/models/ModelCatalog.ts"

/** The service's name in its signatures, which the host does not say. */
const service = "bedrock"

/** ISO 8601, its basic form. */
const stampOf = (millis: number): string => new Date(millis).toISOString().replace(/[-:]|\.\d{3}/g, "")

/** Header fields by which Amazon knows who calls: Signature Version 4 of one POST, valid for some minutes. */
export const amazonHeaders = (
  credentials: AmazonCredentials,
  {
    body,
    host,
    millis,
    path
  }: { readonly host: string; readonly path: string; readonly body: string; readonly millis: number }
): Readonly<Record<string, string>> => {
  const { accessKeyId, region, secretAccessKey, sessionToken } = credentials
  const { headers = {} } = aws4.sign(
    {
      host,
      path,
      body,
      method: "POST",
      service,
      region,
      headers: { "content-type": "application/json", "x-amz-date": stampOf(millis) }
    },
    {
      accessKeyId,
      secretAccessKey: Redacted.value(secretAccessKey),
      ...(sessionToken === null ? {} : { sessionToken: Redacted.value(sessionToken) })
    }
  )
  const signed: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    // The connection writes them itself.
    if (!/^(?:host|content-length)$/i.test(name)) signed[name.toLowerCase()] = String(value)
  }
  return signed
}
