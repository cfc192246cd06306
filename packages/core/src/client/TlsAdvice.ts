/**
 * What to do about a TLS connection that was not established. The code says which failure it is
 * or, for `EPROTO`, only OpenSSL's message does.
 */

/** What to do, by words of the code or the message. The first entry that matches is used. */
const advice: ReadonlyArray<readonly [signs: ReadonlyArray<string>, advice: string]> = [
  [
    ["wrong version number", "packet length too long", "http request", "unknown protocol"],
    "the server on this port does not use TLS; is it a ws:// server, and is the port right?"
  ],
  [
    ["altname", "hostname mismatch"],
    "its certificate is for another name than the URL's host; connect by a name that the certificate has"
  ],
  [["has expired"], "its certificate has expired; renew it on the server, or set this machine's clock"],
  [["not yet valid"], "its certificate is not valid yet; set this machine's clock, or the server's certificate"],
  [["cert revoked"], "its certificate was revoked"],
  [
    ["alert certificate required"],
    "it wants a client certificate; give the client one (cert and key)"
  ],
  [
    [
      "alert bad certificate",
      "alert unknown ca",
      "alert certificate unknown",
      "alert certificate expired",
      "alert certificate revoked",
      "alert unsupported certificate",
      "alert access denied"
    ],
    "it does not accept the client certificate; give the client one that it trusts (cert and key)"
  ],
  [
    ["alert protocol version", "unsupported protocol", "no protocols available", "inappropriate fallback"],
    "it supports no version of TLS that this side allows (minVersion and maxVersion)"
  ],
  [
    ["alert handshake failure", "no shared cipher", "no ciphers available"],
    "it refused the TLS handshake; it may want a client certificate (cert and key), or ciphers that are not offered"
  ],
  [["alert no application protocol"], "it does not offer HTTP/1.1 there (ALPN)"],
  [["unrecognized name"], "it does not know the host's name (servername)"],
  [
    ["leaf signature", "issuer cert", "self signed cert", "untrusted", "invalid ca"],
    "the authority that signed its certificate is not known here; give it to the client (ca) or in NODE_EXTRA_CA_CERTS, " +
    "and let the server send its intermediate certificates"
  ]
]

/** What to do about a failure with this code and message. */
export const tlsAdvice = (code: string, message: string): string => {
  // `ERR_SSL_WRONG_VERSION_NUMBER` is "wrong version number" in OpenSSL's words.
  const text = `${code.replaceAll("_", " ")} ${message}`.toLowerCase()
  const found = advice.find(([signs]) => signs.some((sign) => text.includes(sign)))
  return found?.[1] ?? "TLS could not be established, or its certificate was not accepted; see the cause"
}
