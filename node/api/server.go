package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"earshot/chat"
)

const (
	maxHeader = 16 << 10  // bytes of a request's headers
	maxBody   = 128 << 10 // bytes: the longest text with every byte escaped by six
	// maxStreams bounds the event streams open at once: more than a person has
	// windows, fewer than would hurt.
	maxStreams = 64

	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second
	// writeTimeout is how long a reply or a batch of events may wait for a
	// caller that does not read.
	writeTimeout = 30 * time.Second
	idleTimeout  = 5 * time.Minute
	// closeTimeout is what Close gives requests under way, below its promise of
	// a second.
	closeTimeout = 700 * time.Millisecond
)

// Config says what a Server serves.
type Config struct {
	// Home is the directory where the socket and api.json go. The caller holds
	// its lock.
	Home    string
	Backend Backend
	Version string
	// Stop is called by POST /v1/stop, at most once, and must not wait for the
	// server. Without it that request is refused.
	Stop func()
	// Transient is told to callers in the Endpoint.
	Transient bool
	Logger    *slog.Logger
}

// Server answers the faces of one node. Make one with Listen.
type Server struct {
	cfg      Config
	log      *slog.Logger
	http     *http.Server
	listener net.Listener
	endpoint Endpoint
	mux      *http.ServeMux
	streams  chan struct{} // one token per open event stream

	// stopping ends the event streams, which would otherwise never be idle.
	stopping context.Context
	stop     context.CancelFunc
	closing  sync.Once
	closeErr error
	stopOnce sync.Once
}

// Listen opens the local API of a home and tells how to reach it in api.json. Call
// Serve to answer, and Close in any case.
func Listen(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, log: cfg.Logger, streams: make(chan struct{}, maxStreams)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.mux = s.newMux()
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	var err error
	if s.listener, s.endpoint, err = listen(cfg.Home, s.log); err != nil {
		s.stop()
		return nil, chat.Wrap(chat.CodeHomeBroken, err, "The local API could not be opened in "+cfg.Home+".",
			"Check that you own that directory and may write to it.")
	}
	s.endpoint.PID = os.Getpid()
	s.endpoint.Transient = cfg.Transient
	s.endpoint.StartedAt = time.Now().UTC()
	if err := s.endpoint.write(cfg.Home); err != nil {
		s.listener.Close()
		s.stop()
		return nil, chat.Wrap(chat.CodeHomeBroken, err, "The file "+EndpointFile+" could not be written in "+cfg.Home+".",
			"Check that the disk has space and that you may write there.")
	}
	return s, nil
}

// Endpoint returns how to reach the server.
func (s *Server) Endpoint() Endpoint { return s.endpoint }

// Serve answers requests until Close, and then returns nil.
func (s *Server) Serve() error {
	err := s.http.Serve(sameUser{s.listener, s.log})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close stops answering: it removes api.json, ends the event streams, lets requests
// under way finish, and returns within a second whatever they do.
func (s *Server) Close() error {
	s.closing.Do(func() {
		err := os.Remove(filepath.Join(s.cfg.Home, EndpointFile))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		s.stop()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			err = errors.Join(err, s.http.Close())
		}
		// Both close the listener only if Serve had it.
		if lerr := s.listener.Close(); lerr != nil && !errors.Is(lerr, net.ErrClosed) {
			err = errors.Join(err, lerr)
		}
		s.closeErr = err
	})
	return s.closeErr
}
