package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"earshot/chat"
)

const (
	// EndpointFile and SocketFile are names inside a home.
	EndpointFile = "api.json"
	SocketFile   = "api.sock"

	// maxSocketPath is the longest path, in bytes, that fits sun_path with its
	// final zero on every system: 104 bytes on macOS and the BSDs, 108 on Linux.
	maxSocketPath = 103
	// maxEndpointFile bounds what is read of api.json, in bytes.
	maxEndpointFile = 16 << 10
)

// Endpoint says how to reach the node that runs on a home.
type Endpoint struct {
	// Network and Address are as for net.Dial: "unix" or "tcp".
	Network string `json:"network"`
	Address string `json:"address"`
	// Token is what requests over TCP carry.
	Token string `json:"token,omitempty"`
	PID   int    `json:"pid"`
	// Transient says that the node ends with the short command it serves: what
	// lives longer had better wait for the end and start its own.
	Transient bool      `json:"transient,omitempty"`
	StartedAt time.Time `json:"started_at"`
}

// String returns the endpoint for a person or a log, without its token.
func (e Endpoint) String() string { return e.Network + ":" + e.Address }

// ReadEndpoint returns what the newest node on a home left behind. That it did
// does not mean that it still runs: who dials finds out. The error has
// chat.CodeUnreachable if there is no such file, or it can't be understood.
func ReadEndpoint(home string) (Endpoint, error) {
	f, err := os.Open(filepath.Join(home, EndpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Endpoint{}, chat.Wrap(chat.CodeUnreachable, err, "No Earshot node runs on "+home+".",
			"Start one with `earshot daemon`, or `earshot` for the terminal UI.")
	}
	if err != nil {
		return Endpoint{}, chat.Wrap(chat.CodeUnreachable, err, "The file that says how to reach the node can't be read.",
			"Check who owns "+filepath.Join(home, EndpointFile)+".")
	}
	defer f.Close()
	var e Endpoint
	b, err := io.ReadAll(io.LimitReader(f, maxEndpointFile))
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err == nil && e.Network != "unix" && e.Network != "tcp" {
		err = fmt.Errorf("unknown network %q", e.Network)
	}
	if err != nil {
		return Endpoint{}, chat.Wrap(chat.CodeUnreachable, err, "The file that says how to reach the node is damaged.",
			"Restart the node on "+home+".")
	}
	return e, nil
}

// write replaces api.json in one step, readable by its owner only.
func (e Endpoint) write(home string) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(home, EndpointFile+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(home, EndpointFile))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
