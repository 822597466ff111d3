package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"earshot/chat"
	"earshot/node"
	"earshot/node/api"
	"earshot/node/api/client"
	"earshot/node/keyring"
)

const (
	// attachTimeout is how long a command waits for another that holds the home
	// to answer or to end: a start takes well under a second, and a command that
	// passes a message on up to stay.
	attachTimeout = 8 * time.Second
	// attachRetry is how often it looks.
	attachRetry = 25 * time.Millisecond
	// stopTimeout bounds ending a node that this process runs; with the second
	// that its API may take, a daemon ends within its promise of two.
	stopTimeout = time.Second
)

// running is a node as the commands see it.
type running interface {
	api.Backend
	Close(ctx context.Context) error
	Done() <-chan struct{}
	// Adopted reports whether it ended because the home is another person's now,
	// whose node can be started.
	Adopted() bool
}

// starter starts a node; tests bring their own.
type starter func(ctx context.Context, cfg node.Config) (running, error)

func startNode(ctx context.Context, cfg node.Config) (running, error) {
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return nil, err // not a running that holds a nil *node.Node
	}
	return n, nil
}

// app is what one command line needs.
type app struct {
	in    io.Reader
	p     *printer
	opt   options
	start starter
	keys  keyring.System // the operating system's; nil for none
	// desktop returns the one that a lasting node runs on; nil for none.
	desktop func(*slog.Logger) node.Desktop
	home    string
	log     *slog.Logger

	pending chan reply // where the answer to a question will come, nil without one
}

// verb carries out one command, given the arguments behind it.
type verb func(ctx context.Context, a *app, args []string) error

// cobra makes a verb what the flag parser calls once it knows the flags.
func (a *app) cobra(run verb) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		a.p.json = a.opt.json
		if a.home, err = keyring.Home(a.opt.home); err != nil {
			return err
		}
		return run(cmd.Context(), a, args)
	}
}

// need says what a command wants of the node that is started for it.
type need struct {
	// network says that a node must speak with others, not only with the disk.
	network bool
	// lasting says that the command goes on until it is stopped. It does not
	// lean on a node that ends with a short command, and when the node of
	// another process ends, it starts its own.
	lasting bool
	// alone says that it is no use when another process has a lasting node.
	alone bool
	// stop is called when a face asks the node to end; nil refuses that.
	stop func()
}

// session is a command's way to a node, and that node if it runs in this process.
type session struct {
	*client.Client
	app  *app
	need need

	mu     sync.Mutex
	own    *ownNode
	opened bool // has reached a node once; now a terminal UI may have the screen
	closed bool
}

// ownNode is a node that runs in this process and answers on the home's socket.
type ownNode struct {
	node   running
	server *api.Server
	served chan error
	ended  chan struct{} // closed when the node has ended and its server answers no more
}

// open returns a session with the node that runs on the home or, if none does,
// with one that it starts in this process. Two commands at once on a home without
// a node both succeed: one becomes the node, the other waits for it to answer.
func (a *app) open(ctx context.Context, need need) (*session, error) {
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	s := &session{app: a, need: need}
	c, err := s.reach(ctx)
	if err != nil {
		s.Close()
		return nil, err
	}
	s.Client = c
	s.mu.Lock()
	s.opened = true
	s.mu.Unlock()
	c.OnLost(func(ctx context.Context) error {
		c, err := s.reach(ctx)
		if err == nil {
			c.Close()
		}
		return err
	})
	if s.mine() == nil && (a.opt.name != "" || a.opt.port != 0 || len(a.opt.interfaces) > 0 || a.opt.offline) {
		a.p.note("A node runs on this home already: --name, --port, --interface and --offline say how to start one, and change nothing.")
	}
	return s, nil
}

// reach connects to a node that answers, having started it if need be.
func (s *session) reach(ctx context.Context) (*client.Client, error) {
	late := time.Now().Add(attachTimeout)
	for {
		c, err := client.Open(ctx, s.app.home)
		switch {
		case err == nil:
			e, _ := c.Endpoint()
			if s.mine() != nil || !s.need.alone && (!s.need.lasting || !e.Transient) {
				return c, nil
			}
			c.Close()
			if !e.Transient {
				return nil, chat.Errorf(chat.CodeHomeLocked, "A node runs on %s already (process %d). Stop it with `earshot stop`, or by ending that process.", s.app.home, e.PID)
			}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case chat.CodeOf(err) == chat.CodeUnreachable, chat.CodeOf(err) == chat.CodeStopping:
			err = s.startOwn(ctx)
			if err == nil {
				continue
			}
			// Whoever holds the home may be about to answer, or to end.
			if chat.CodeOf(err) != chat.CodeHomeLocked || time.Now().After(late) {
				return nil, err
			}
		default:
			return nil, err
		}
		if time.Now().After(late) {
			return nil, chat.Errorf(chat.CodeUnreachable, "Another command uses %s and does not end. Try again when it has.", s.app.home)
		}
		select {
		case <-time.After(attachRetry):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// startOwn starts a node in this process.
func (s *session) startOwn(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return chat.Errorf(chat.CodeStopping, "The command is ending. Run it again.")
	}
	o := &s.app.opt
	name := o.name
	if s.own != nil { // it answers no more, so it has ended
		_ = s.own.close()
		s.own, name = nil, "" // the home remembers it, or has another one by now
	}
	unlock, err := s.app.unlock()
	if err != nil {
		return err
	}
	if s.opened {
		unlock.Ask, unlock.Notify = nil, nil
	}
	cfg := node.Config{
		Home: s.app.home, Unlock: unlock, Name: name, Port: o.port, Interfaces: o.interfaces,
		Offline: o.offline || !s.need.network, Version: version(), Logger: s.app.log,
	}
	if s.need.lasting && s.app.desktop != nil { // a short command is over before anybody looks up
		cfg.Desktop = s.app.desktop(s.app.log)
	}
	n, err := s.app.start(ctx, cfg)
	if err != nil {
		return err
	}
	server, err := api.Listen(api.Config{
		Home: s.app.home, Backend: n, Version: version(), Logger: s.app.log,
		Stop: s.need.stop, Transient: !s.need.lasting,
	})
	if err != nil {
		return errors.Join(err, closeNode(n))
	}
	own := &ownNode{node: n, server: server, served: make(chan error, 1), ended: make(chan struct{})}
	go func() { own.served <- server.Serve() }() // ends with own.close
	go func() {                                  // so does this
		defer close(own.ended)
		<-n.Done()
		_ = server.Close() // own.close says what failed
	}()
	s.own = own
	return nil
}

// mine returns the node of this process, nil if another process has it.
func (s *session) mine() *ownNode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own
}

// Close ends the session, and the node if it is this process's.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.Client != nil {
		s.Client.Close()
	}
	if s.own == nil {
		return nil
	}
	err := s.own.close()
	s.own = nil
	return err
}

// close answers no more, then ends the node. The node holds the home's lock, so
// nobody starts another one before this one's socket is gone.
func (o *ownNode) close() error {
	serverErr := o.server.Close()
	err := errors.Join(serverErr, <-o.served, closeNode(o.node))
	<-o.ended
	return err
}

func closeNode(n running) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return n.Close(ctx)
}
