// Package embedded runs a private Postgres for `bulkhead dev` and for tests: it finds the binaries
// (or fetches them), creates the data directory once, starts the server and sees to it that the
// server never outlives the program.
//
// What it promises, and what its tests show:
//   - only a Unix socket and 127.0.0.1 are listened on, on a random port, with a random superuser
//     password; every connection, local ones too, must give a password (scram-sha-256);
//   - fsync is on unless Config.Fast says that the data may be lost;
//   - the data directory is kept between runs; data of another major version is refused by name, or
//     started with binaries of its own version if they are installed;
//   - a second start on the same directory is refused while the first one runs;
//   - a stale postmaster.pid, also one whose process id belongs to something else by now, is survived;
//   - when the program dies, however it dies, Postgres is shut down;
//   - when Postgres dies, it is started again on the same port;
//   - a program started as root runs Postgres as an unprivileged user.
//
// The package knows nothing of Bulkhead's roles and tables; package db makes those.
package embedded
