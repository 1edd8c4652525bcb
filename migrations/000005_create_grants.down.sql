DROP TABLE identity.consent, identity.refresh_token, identity.authorization_code, identity.app_grant;
ALTER TABLE identity.client DROP COLUMN redirect_uris, DROP COLUMN logout_uris;
