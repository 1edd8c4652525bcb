// Package migrations embeds the schema's history for golang-migrate: NNNNNN_verb_noun.up.sql and
// .down.sql, run as bulkhead_owner. A migration that has landed is never edited. Row-level
// security is not here but in package policies, which is reinstalled after every migration.
package migrations

import "embed"

// Files holds the migrations.
//
//go:embed *.sql
var Files embed.FS
