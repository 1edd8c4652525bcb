// Package server answers HTTP: the FHIR API of every project, one file per interaction, and the
// mount of the rooms that have pages and endpoints of their own.
//
// server.go lists the whole API with the class of each route. A handler opens the transaction it
// needs with db.View or db.Update and returns what goes wrong as an error; outcome.go alone turns
// errors into a status and an OperationOutcome. Resources are stored and returned as text;
// store.go is the one way by which they are written.
package server
