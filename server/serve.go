package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve answers on listener until ctx ends. Then it takes no more connections, lets the requests in
// flight finish, at most for DrainTime, and returns nil when all of them did.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	httpServer := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       5 * time.Minute, // a bundle of 64 MiB over a slow line
		WriteTimeout:      6 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.DrainTime)
	defer cancel()
	err := httpServer.Shutdown(drain)
	if err != nil {
		err = errors.Join(errors.New("server: requests in flight were cut off"), err, httpServer.Close())
	}
	<-failed //nolint:errcheck // it is http.ErrServerClosed
	if s.Login != nil {
		s.Login.Close() // mail that is on its way, a minute at most
	}
	return err
}
