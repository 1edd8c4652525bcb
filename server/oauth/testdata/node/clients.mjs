// Real clients against a running authorization server. STAGE holds, as JSON:
//   issuer, base      the tenant's issuer and a project's FHIR base
//   secret            {id, secret} of a client with a secret
//   keys              [{id, alg, jwk}] clients with private_key_jwt and their private keys
// Each check prints a line; the first one that fails ends the program with an error.
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import * as oidc from 'openid-client'
import * as oauth from 'oauth4webapi'
import { ClientCredentials } from 'simple-oauth2'

const { issuer, base, secret, keys } = JSON.parse(process.env.STAGE)
const scope = 'system/Patient.rs'
const insecure = { execute: [oidc.allowInsecureRequests] }

async function check(name, run) {
  await run()
  console.log(`ok: ${name}`)
}

async function opens(token, status = 200) {
  const response = await fetch(`${base}/Patient`, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(response.status, status)
  return response
}

const algorithms = {
  RS384: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
}

async function privateKey({ alg, jwk }) {
  return { key: await webcrypto.subtle.importKey('jwk', jwk, algorithms[alg], false, ['sign']), kid: jwk.kid }
}

async function openidClient(id, authentication) {
  const config = await oidc.discovery(new URL(issuer), id, undefined, authentication, insecure)
  const tokens = await oidc.clientCredentialsGrant(config, { scope, resource: base })
  assert.equal(tokens.token_type, 'bearer')
  assert.equal(tokens.scope, scope)
  assert.equal(tokens.expires_in, 300)
  await opens(tokens.access_token)
  const seen = await oidc.tokenIntrospection(config, tokens.access_token)
  assert.equal(seen.active, true)
  assert.equal(seen.client_id, id)
  await oidc.tokenRevocation(config, tokens.access_token)
  await opens(tokens.access_token, 401)
  assert.deepEqual(await oidc.tokenIntrospection(config, tokens.access_token), { active: false })
}

await check('openid-client, client_secret_basic', () => openidClient(secret.id, oidc.ClientSecretBasic(secret.secret)))
await check('openid-client, client_secret_post', () => openidClient(secret.id, oidc.ClientSecretPost(secret.secret)))
for (const key of keys) {
  await check(`openid-client, private_key_jwt ${key.alg}`, async () => openidClient(key.id, oidc.PrivateKeyJwt(await privateKey(key))))
}

await check('openid-client, a wrong secret', async () => {
  const config = await oidc.discovery(new URL(issuer), secret.id, undefined, oidc.ClientSecretBasic('wrong'), insecure)
  // A 401 with a challenge is told as such, and only then.
  await assert.rejects(oidc.clientCredentialsGrant(config, { scope }), (e) => e.status === 401)
})

const plain = { [oauth.allowInsecureRequests]: true }

async function oauth4webapi(algorithm, client, authentication) {
  const identifier = new URL(issuer)
  const server = await oauth.processDiscoveryResponse(identifier, await oauth.discoveryRequest(identifier, { algorithm, ...plain }))
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, { scope }, plain)
  const tokens = await oauth.processClientCredentialsResponse(server, client, response)
  const request = new Request(`${base}/Patient`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(server, request, base, plain)
  assert.equal(claims.client_id, client.client_id)
  assert.equal(claims.sub, client.client_id)
  assert.equal(claims.scope, scope)
  assert.deepEqual(claims.aud, [base, client.client_id])
  for (const name of ['tenant', 'project', 'user_role', 'user_id', 'resource_type', 'access_policies', 'membership']) {
    assert.ok(`https://haste.health/${name}` in claims, name)
  }
  await assert.rejects(oauth.validateJwtAccessToken(server, request, `${base}x`, plain))
  await opens(tokens.access_token)
}

for (const algorithm of ['oauth2', 'oidc']) {
  await check(`oauth4webapi validateJwtAccessToken, ${algorithm} discovery`, () =>
    oauth4webapi(algorithm, { client_id: secret.id }, oauth.ClientSecretBasic(secret.secret)))
}
for (const key of keys) {
  await check(`oauth4webapi, private_key_jwt ${key.alg}`, async () =>
    oauth4webapi('oauth2', { client_id: key.id }, oauth.PrivateKeyJwt(await privateKey(key))))
}

await check('oauth4webapi, the challenge for a request without a token', async () => {
  const response = await fetch(`${base}/Patient`)
  assert.equal(response.status, 401)
  assert.match(response.headers.get('www-authenticate'), /^Bearer /)
})

for (const authorizationMethod of ['header', 'body']) {
  for (const credentialsEncodingMode of ['strict', 'loose']) {
    await check(`simple-oauth2, ${authorizationMethod}, ${credentialsEncodingMode}`, async () => {
      const client = new ClientCredentials({
        client: secret,
        auth: { tokenHost: new URL(issuer).origin, tokenPath: `${new URL(issuer).pathname}/token` },
        options: { authorizationMethod, credentialsEncodingMode, bodyFormat: 'form' },
      })
      const { token } = await client.getToken({ scope })
      assert.equal(token.token_type, 'Bearer')
      await opens(token.access_token)
    })
  }
}
