package api

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestPeerUser(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	uid, known, err := peerUser(c.(*net.UnixConn))
	if err != nil || !known || uid != os.Getuid() {
		t.Fatalf("peerUser = %d, %v, %v; want %d", uid, known, err, os.Getuid())
	}
}
