package api

import (
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// listen opens the socket of a home, or a loopback port with a token where it
// can't have one. The caller holds the home's lock, so a socket that is already
// there was left by a node that crashed.
func listen(home string, log *slog.Logger) (net.Listener, Endpoint, error) {
	if l, e, err := listenUnix(home); err == nil {
		return l, e, nil
	} else if runtime.GOOS != "windows" {
		log.Info("local api uses a loopback port instead of a socket", "why", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if l, err = net.Listen("tcp", "[::1]:0"); err != nil {
			return nil, Endpoint{}, err
		}
	}
	return l, Endpoint{Network: "tcp", Address: l.Addr().String(), Token: rand.Text()}, nil
}

func listenUnix(home string) (net.Listener, Endpoint, error) {
	path, err := filepath.Abs(filepath.Join(home, SocketFile))
	switch {
	case err != nil:
		return nil, Endpoint{}, err
	case runtime.GOOS == "windows": // file modes do not guard its sockets
		return nil, Endpoint{}, &net.OpError{Op: "listen", Net: "unix", Err: os.ErrInvalid}
	case len(path) > maxSocketPath:
		return nil, Endpoint{}, &net.OpError{Op: "listen", Net: "unix", Err: os.ErrInvalid}
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, Endpoint{}, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, Endpoint{}, err
	}
	// The home itself is closed to others (0700), so nobody slips in before this.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, Endpoint{}, err
	}
	return l, Endpoint{Network: "unix", Address: path}, nil
}

// sameUser refuses connections whose other end runs as somebody else.
type sameUser struct {
	net.Listener
	log *slog.Logger
}

func (l sameUser) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		u, ok := c.(*net.UnixConn)
		if !ok {
			return c, nil
		}
		uid, known, err := peerUser(u)
		// Root could read the home anyway.
		if err == nil && (!known || uid == os.Getuid() || uid == 0) {
			return c, nil
		}
		l.log.Warn("local api refused another user", "uid", uid, "err", err)
		c.Close()
	}
}
