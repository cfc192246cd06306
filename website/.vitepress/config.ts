import { defineConfig } from "vitepress"
import { slugOf } from "../../scripts/lib/markdown.ts"
import { sidebar } from "../layout.ts"
import { referenceSidebar } from "../reference.ts"

export default defineConfig({
  title: "effect-ws",
  description: "WebSockets (RFC 6455) for Effect 4",
  lang: "en",
  base: process.env["DOCS_BASE"] ?? "/",
  srcDir: "pages",
  outDir: "../build/site",
  cacheDir: "../build/site-cache",
  lastUpdated: false,
  markdown: {
    // Anchors as GitHub makes them, so that a link holds in both places.
    anchor: { slugify: slugOf },
    toc: { slugify: slugOf },
    // There is no highlighting of its own.
    languageAlias: { haproxy: "ini" }
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: "local" },
    nav: [
      { text: "Documentation", link: "/documentation" },
      { text: "API", link: "/api/" },
      { text: "Examples", link: "/examples" },
      { text: "Changelog", link: "/changelog" }
    ],
    sidebar: { "/": [...sidebar(), { text: "API", items: [{ text: "Every module", link: "/api/" }] }], "/api/": referenceSidebar() }
  }
})
