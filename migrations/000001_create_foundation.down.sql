DROP SCHEMA identity CASCADE;
DROP TABLE index_composite, index_uri, index_reference, index_number, index_date, index_string, index_token,
  resource_history, resource;
DROP SCHEMA directory CASCADE;
