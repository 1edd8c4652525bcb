DROP TABLE identity.assertion_jti, identity.revoked_token, identity.signing_key, identity.client;
