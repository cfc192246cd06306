import { assert, describe, it } from "@effect/vitest"
import {
  handshakeRules,
  invalidRequest,
  invalidResponse,
  refusal,
  refusalOverConnect
} from "../../src/http/Refusal.ts"

describe("Refusals", () => {
  it("have the status, the section and the headers of their rule", () => {
    assert.deepInclude(refusal("MethodNotGet"), {
      reason: "MethodNotGet",
      status: 405,
      section: "RFC 6455 §4.2.1",
      detail: "the method is not GET",
      headers: [["allow", "GET"]],
      body: ""
    })
    assert.deepInclude(refusal("KeyInvalid", "why"), { status: 400, detail: "why", headers: [] })
    for (const { section, text } of Object.values(handshakeRules)) assert.isTrue(section.length > 0 && text.length > 0)
  })

  it("say whose fault it is: the request's, the program's 500, or the other server's 502", () => {
    const rulesWith = (...statuses: ReadonlyArray<number>) =>
      Object.entries(handshakeRules).flatMap(([rule, { status }]) => statuses.includes(status) ? [rule] : [])
    assert.deepStrictEqual(rulesWith(500), [
      "OriginPolicyFailed",
      "SubprotocolNotOffered",
      "ExtensionNotOffered",
      "HeaderInvalid",
      "HeaderReserved",
      "HeaderDuplicated",
      "UrlInvalid",
      "UrlScheme",
      "UrlFragment",
      "UrlCredentials",
      "OptionUnsupported"
    ])
    assert.deepStrictEqual(rulesWith(502), [
      "ProxyRefused",
      "StatusNot101",
      "UpgradeInvalid",
      "ConnectionInvalid",
      "AcceptInvalid",
      "ExtensionUnexpected",
      "ExtensionInvalid",
      "SubprotocolUnexpected",
      "SubprotocolMissing",
      "Downgraded"
    ])
    const others = Object.entries(handshakeRules).flatMap(([rule, { status }]) => status === 500 || status === 502 ? [] : [`${rule} ${status}`])
    assert.deepStrictEqual(others, [
      "MethodNotGet 405",
      "HttpVersionTooOld 400",
      "HttpVersionUnsupported 505",
      "RequestHasBody 400",
      "TargetInvalid 400",
      "HostInvalid 400",
      "NotAnUpgrade 426",
      "ConnectInvalid 400",
      "ConnectProtocol 501",
      "VersionMissing 400",
      "VersionUnsupported 426",
      "ExpectationFailed 417",
      "KeyInvalid 400",
      "SubprotocolsInvalid 400",
      "SubprotocolUnsupported 400",
      "ExtensionsMalformed 400",
      "HeaderTooLarge 431",
      "OriginDuplicated 400",
      "OriginRefused 403",
      "TooManyConnections 503",
      "TooManyFromAddress 429",
      "TooManyUpgrades 429",
      "Application 403"
    ])
  })

  it("ask for no upgrade over extended CONNECT, which has none", () => {
    assert.deepInclude(refusalOverConnect("VersionUnsupported"), {
      status: 400,
      headers: [["sec-websocket-version", "13"]]
    })
    assert.deepInclude(refusalOverConnect("OriginRefused", "why"), { status: 403, detail: "why", headers: [] })
  })

  it("of a request that was never sent have no status", () => {
    assert.deepInclude(invalidRequest("UrlInvalid"), { detail: "the URL cannot be parsed", headers: [] })
    assert.isUndefined(invalidRequest("UrlInvalid", "why").status)
  })

  it("of an answer carry that answer", () => {
    const response = { status: 403, headers: [["X-A", "1"], ["x-a", "2"]] as const }
    assert.deepInclude(invalidResponse("StatusNot101", response), {
      status: 403,
      headers: [["x-a", "1"], ["x-a", "2"]],
      body: "",
      detail: handshakeRules.StatusNot101.text
    })
    assert.deepInclude(invalidResponse("StatusNot101", { ...response, body: "no" }, "why"), { body: "no", detail: "why" })
    assert.isUndefined(invalidResponse("StatusNot101", { ...response, status: 1.5 }).status)
    // The first and the last of them too.
    for (const pair of ["\u{10000}", "\u{1f600}", "\u{10ffff}"]) {
      assert.strictEqual(invalidResponse("StatusNot101", { ...response, body: "x".repeat(8191) + pair }).body, "x".repeat(8191))
    }
    assert.lengthOf(invalidResponse("StatusNot101", { ...response, body: "y".repeat(9000) }).body, 8192)
    assert.lengthOf(invalidResponse("StatusNot101", { ...response, body: "\uffff".repeat(9000) }).body, 8192)
  })
})
