/**
 * What the page that asks for a key does in the browser. The answer is a page of the same server's, made of escaped texts;
 * its elements are taken over, and the page's policy lets nothing in them run or load.
 */
export const KEY_SCRIPT = `
const at = (id) => document.getElementById(id)
const base = location.pathname.replace(/\\/+$/, '')
async function ask(path, accept) {
  const headers = { apikey: at('key').value.trim(), accept }
  const answer = await fetch(path, { headers, credentials: 'omit', cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer' })
  if (answer.ok) return answer.text()
  const { message, hint } = await answer.json().catch(() => ({}))
  throw new Error([answer.status, message, hint].filter(Boolean).join(' \\u00b7 '))
}
const onSubmit = (form, work) => at(form).addEventListener('submit', async (event) => {
  event.preventDefault()
  at('said').textContent = 'One moment \\u2026'
  try {
    await work()
    at('said').textContent = ''
  } catch (error) {
    at('said').textContent = error.message
  }
})
onSubmit('key-form', async () => {
  at('try-form').hidden = at('rows').hidden = true
  at('shown').replaceChildren()
  const page = new DOMParser().parseFromString(await ask(base + '/', 'text/html'), 'text/html')
  page.querySelector('header h1')?.remove()
  at('shown').replaceChildren(...document.importNode(page.body, true).childNodes)
  at('try-form').hidden = false
})
onSubmit('try-form', async () => {
  const url = new URL(at('try').value.trim(), location.origin + base + '/')
  if (!url.href.startsWith(location.origin + base + '/')) throw new Error('That is not a table of this API.')
  at('rows').hidden = true
  at('rows').textContent = JSON.stringify(JSON.parse(await ask(url.href, 'application/json')), null, 2)
  at('rows').hidden = false
})
`
