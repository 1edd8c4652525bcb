// openid-client as an app of people. A browser is a jar of cookies and forms that are filled in.
// STAGE holds, as JSON:
//   issuer, base, callback, bye    the tenant's issuer, a project's FHIR base, where the app lives
//   clients                        [{id, secret}], secret left out for a public one
//   person                         {id, email, password}
// Each check prints a line; the first one that fails ends the program with an error.
import assert from 'node:assert/strict'
import * as oidc from 'openid-client'

const { issuer, base, callback, bye, clients, person } = JSON.parse(process.env.STAGE)
const insecure = { execute: [oidc.allowInsecureRequests] }

async function check(name, run) {
  await run()
  console.log(`ok: ${name}`)
}

class Browser {
  cookies = new Map()

  async fetch(url, form) {
    const headers = { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const body = form && new URLSearchParams(form)
    const response = await fetch(url, { method: form ? 'POST' : 'GET', headers, body, redirect: 'manual' })
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)
      value ? this.cookies.set(name, value) : this.cookies.delete(name)
    }
    return response
  }

  // walk follows redirects and fills in forms until the app's address is reached.
  async walk(url, answers) {
    let form
    for (let step = 0; step < 12; step++) {
      const response = await this.fetch(url, form)
      form = undefined
      if (response.status === 303) {
        url = new URL(response.headers.get('location'), url)
        if (!url.href.startsWith(issuer)) return url
        continue
      }
      const page = await response.text()
      assert.equal(response.status, 200, page)
      const [, action, inner] = /<form method="post" action="([^"]+)">(.*?)<\/form>/s.exec(page)
      form = Object.fromEntries([...inner.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)].map(([, name, value]) => [name, decode(value)]))
      Object.assign(form, answers[action.slice(new URL(issuer).pathname.length)])
      url = new URL(action, url)
    }
    assert.fail('the app was not reached')
  }
}

const decode = (text) => text.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n)).replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')

const answers = { '/login': { email: person.email, password: person.password }, '/authorize/consent': { answer: 'allow' } }
const scope = 'openid profile email offline_access user/Patient.rs'

for (const { id, secret } of clients) {
  const config = await oidc.discovery(new URL(issuer), id, undefined, secret ? oidc.ClientSecretBasic(secret) : oidc.None(), insecure)
  const browser = new Browser()
  const kind = secret ? 'confidential' : 'public'
  let tokens

  const ask = async (more, says = answers) => {
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
    const [expectedState, expectedNonce] = [oidc.randomState(), oidc.randomNonce()]
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: callback, scope, aud: base, state: expectedState, nonce: expectedNonce, code_challenge_method: 'S256',
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), ...more,
    })
    const back = await browser.walk(url, says)
    return { back, checks: { pkceCodeVerifier, expectedState, expectedNonce } }
  }

  await check(`openid-client, ${kind}: code flow with sign-in and consent`, async () => {
    assert.equal(config.serverMetadata().supportsPKCE(), true)
    const { back, checks } = await ask({})
    tokens = await oidc.authorizationCodeGrant(config, back, { ...checks, idTokenExpected: true, maxAge: 600 })
    assert.equal(tokens.claims().sub, person.id)
    assert.deepEqual(tokens.claims().amr, ['pwd'])
    assert.equal(tokens.scope, scope)
    await assert.rejects(oidc.authorizationCodeGrant(config, back, checks), (e) => e.error === 'invalid_grant')
    await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, person.id), 'a code that comes twice ends what it gave')
  })

  await check(`openid-client, ${kind}: a second app visit, userinfo, refresh, prompt none`, async () => {
    const { back, checks } = await ask({ prompt: secret ? 'none' : 'login' })
    tokens = await oidc.authorizationCodeGrant(config, back, { ...checks, idTokenExpected: true })
    const info = await oidc.fetchUserInfo(config, tokens.access_token, person.id)
    assert.equal(info.email, person.email)
    const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token, { scope: 'openid user/Patient.r' })
    assert.equal(fresh.scope, 'openid user/Patient.r')
    assert.equal(fresh.claims().sub, person.id)
    const opened = await fetch(`${base}/Patient`, { headers: { authorization: `Bearer ${fresh.access_token}` } })
    assert.equal(opened.status, 403)
    tokens = fresh
  })

  await check(`openid-client, ${kind}: what a person refuses`, async () => {
    const { back, checks } = await ask({ prompt: 'consent' }, { ...answers, '/authorize/consent': { answer: 'deny' } })
    await assert.rejects(oidc.authorizationCodeGrant(config, back, checks), (e) => e.error === 'access_denied')
  })

  await check(`openid-client, ${kind}: revocation and logout`, async () => {
    await oidc.tokenRevocation(config, tokens.refresh_token)
    await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, person.id))
    await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), (e) => e.error === 'invalid_grant')
    const url = oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: bye, state: 's' })
    assert.equal((await browser.walk(url, {})).href, `${bye}?state=s`)
    const { back, checks } = await ask({ prompt: 'none' })
    await assert.rejects(oidc.authorizationCodeGrant(config, back, checks), (e) => e.error === 'login_required')
  })
}
