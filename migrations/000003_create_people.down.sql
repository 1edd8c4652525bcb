DROP TABLE identity.attempt, identity.recovery_code, identity.login_link, identity.session, identity.login_policy, identity.person;
