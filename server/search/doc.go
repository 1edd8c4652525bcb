// Package search knows the two ends of FHIR search: what a resource puts into the index tables,
// and what a query asks of them.
//
//   - Extract turns a resource into index rows, and Describe into the readable form of the same.
//   - Parse turns a query string into a Search: typed, bounded, refused where it is wrong.
//   - Search.Page and Search.Count turn that into one SQL statement whose text is made of
//     constants only; every value of the client travels as an argument.
//   - Cursor positions a page by the sort key and rid of its last row and is signed.
//
// The package is pure: no I/O, no connection, no clock but the one it is given. It owns the
// meaning of the columns of index_* and of resource.tokens; package db owns the tables.
//
// # How a query becomes a plan
//
// One criterion drives: its rows are read from its index in the order of the page, newest
// resource first, and the reading stops when the page is full. All other criteria are tested row
// by row through the index on (rid, param), or on the resource row. The compiler chooses the
// driver, not the planner: under row-level security the planner cannot look into values, and a
// generic plan knows none. EXISTS (... OFFSET 0) keeps it from choosing again.
//
// Criteria of ranges only (date, string prefix, number) come in the order of their own index,
// which is what keeps a page's cost independent of the size of the table. Sorting by another
// parameter reads that parameter's index in order, or, when a driver matches few resources,
// sorts those.
package search
