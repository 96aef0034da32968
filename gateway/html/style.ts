/** The page's whole style: the system's own fonts and colours, so that it follows light and dark by itself. */
export const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d4d8dd, #3a4048); --soft: light-dark(#f4f5f7, #1d2126); --link: light-dark(#0a58ca, #7db4ff); }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1rem 4rem; font: 1rem/1.55 system-ui, sans-serif; background: light-dark(#fff, #14171b); color: light-dark(#1c2126, #e4e7eb); }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 3rem; overflow-wrap: anywhere; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: 1.5rem 0; padding: 0; }
code { font: .92em ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: .25em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
pre { overflow-x: auto; background: var(--soft); padding: .75rem; border-radius: .25em; font: .92em ui-monospace, monospace; }
input { font: inherit; width: 28rem; max-width: 100%; box-sizing: border-box; padding: .3rem .5rem; border: 1px solid light-dark(#767c84, #8a929b); border-radius: .25em; background: transparent; color: inherit; }
button { font: inherit; padding: .3rem .9rem; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); }
`
