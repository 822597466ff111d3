package desktop

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// answering starts something that listens on a socket and answers as serve does.
func answering(t *testing.T, path string, serve func(net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			wg.Go(func() { defer conn.Close(); serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// xSetup is what an X server with one screen begins with; root is 0x1234.
func xSetup() []byte {
	body := make([]byte, 32)
	binary.LittleEndian.PutUint16(body[16:], 5) // of its vendor's name
	body[20], body[21] = 1, 2                   // a screen and two formats
	body = append(body, "Vendo\x00\x00\x00"...)
	body = append(body, make([]byte, 16)...)
	body = binary.LittleEndian.AppendUint32(body, 0x1234)
	body = append(body, make([]byte, 36)...)
	head := make([]byte, 8)
	head[0] = 1
	binary.LittleEndian.PutUint16(head[2:], 11)
	binary.LittleEndian.PutUint16(head[6:], uint16(len(body)/4))
	return append(head, body...)
}

// serveX is an X server that nobody has touched for idle milliseconds.
func serveX(t *testing.T, cookie string, extension bool, idle func() uint32) func(net.Conn) {
	return func(conn net.Conn) {
		head := make([]byte, 12)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		name, data := int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
		auth := make([]byte, (name+3)/4*4+(data+3)/4*4)
		if _, err := io.ReadFull(conn, auth); err != nil {
			return
		}
		if !bytes.HasSuffix(auth, []byte(cookie)) {
			_, _ = conn.Write([]byte{0, 2, 11, 0, 0, 0, 1, 0, 'n', 'o', 0, 0})
			return
		}
		_, _ = conn.Write(xSetup())
		for {
			req := make([]byte, 4)
			if _, err := io.ReadFull(conn, req); err != nil {
				return
			}
			rest := make([]byte, 4*int(binary.LittleEndian.Uint16(req[2:]))-4)
			if _, err := io.ReadFull(conn, rest); err != nil {
				return
			}
			reply := make([]byte, 32)
			reply[0] = 1
			switch {
			case req[0] == 98 && string(rest[4:]) == "MIT-SCREEN-SAVER":
				if extension {
					reply[8], reply[9] = 1, 140
				}
			case req[0] == 140 && req[1] == 1 && binary.LittleEndian.Uint32(rest) == 0x1234:
				event := make([]byte, 32) // which nobody has asked for
				event[0] = 34
				_, _ = conn.Write(event)
				binary.LittleEndian.PutUint32(reply[16:], idle())
			default:
				t.Errorf("the client asks for %d.%d %q", req[0], req[1], rest)
				return
			}
			_, _ = conn.Write(reply)
		}
	}
}

// xauthority returns an entry of an .Xauthority file.
func xauthority(family uint16, address, number, name, data string) []byte {
	b := binary.BigEndian.AppendUint16(nil, family)
	for _, s := range []string{address, number, name, data} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return b
}

func TestX11TellsWhoIsThere(t *testing.T) {
	p := newPlace(t)
	p.env["DISPLAY"] = ":5.0"
	cookie := strings.Repeat("c", 16)
	host, _ := os.Hostname()
	file := append(xauthority(256, "elsewhere", "5", cookieName, "wrong"), xauthority(256, host, "5", cookieName, cookie)...)
	if err := os.WriteFile(filepath.Join(p.dir, ".Xauthority"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	idle := uint32(500)
	answering(t, filepath.Join(p.dir, "X5"), serveX(t, cookie, true, func() uint32 { mu.Lock(); defer mu.Unlock(); return idle }))
	seen := p.watch()
	seen.until("somebody", func(i Idle) bool { return i.By == "x11" && i.Since.IsZero() })
	mu.Lock()
	idle = uint32(10 * time.Minute / time.Millisecond)
	mu.Unlock()
	seen.until("nobody", func(i Idle) bool { return time.Since(i.Since).Round(time.Minute) == 10*time.Minute })
}

func TestAnXServerThatDoesNotTellIsNotAsked(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"no extension": serveX(t, "", false, func() uint32 { return 0 }),
		"no cookie":    serveX(t, "secret", true, func() uint32 { return 0 }),
		"no screen": func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 12))
			_, _ = conn.Write(append([]byte{1, 0, 11, 0, 0, 0, 8, 0}, make([]byte, 32)...))
		},
		"nothing": func(net.Conn) {},
	} {
		p := newPlace(t)
		p.env["DISPLAY"] = ":5"
		answering(t, filepath.Join(p.dir, "X5"), serve)
		if a, err := p.d.openX11(t.Context()); err == nil {
			a.close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnXServerElsewhereIsNotAsked(t *testing.T) {
	for display, want := range map[string]string{":0": "0", ":1.0": "1", "unix:2": "2", "localhost:10.0": "", "10.0.0.1:0": "", "": "", ":": "", ":x": "", ":../../x": ""} {
		if got, err := localDisplay(display); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", display, got, err)
		}
	}
}

func FuzzAnXauthorityFileIsReadOrNot(f *testing.F) {
	f.Add(xauthority(256, "host", "5", cookieName, "1234567890123456"))
	f.Add(xauthority(65535, "", "", cookieName, "1234567890123456")[:12])
	f.Add([]byte{1, 0, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		if cookie := cookieOf(b, "host", "5"); len(cookie) > len(b) {
			t.Errorf("a cookie of %d bytes in %d", len(cookie), len(b))
		}
	})
}

// wlServer is a Wayland compositor of a test's.
type wlServer struct {
	version uint32 // of ext_idle_notifier_v1; 0 for none
	ready   chan net.Conn
	bound   chan string
}

func (s wlServer) serve(conn net.Conn) {
	global := func(name uint32, iface string, version uint32) []byte {
		return wlMessage(wlRegistry, 0, wlUint(name), wlString(iface), wlUint(version))
	}
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		object, word := binary.NativeEndian.Uint32(head), binary.NativeEndian.Uint32(head[4:])
		args := make([]byte, word>>16-8)
		if _, err := io.ReadFull(conn, args); err != nil {
			return
		}
		switch opcode := word & 0xFFFF; {
		case object == wlDisplay && opcode == 1:
			out := append(global(1, "wl_compositor", 6), global(2, "wl_seat", 9)...)
			if s.version > 0 {
				out = append(out, global(3, "ext_idle_notifier_v1", s.version)...)
			}
			for _, b := range out { // in pieces, as a socket may deliver
				_, _ = conn.Write([]byte{b})
			}
		case object == wlDisplay && opcode == 0:
			id := binary.NativeEndian.Uint32(args)
			_, _ = conn.Write(wlMessage(id, 0, wlUint(77)))
			if id == wlSecondSync {
				s.ready <- conn
			}
		case object == wlRegistry:
			s.bound <- string(bytes.Trim(args[8:len(args)-8], "\x00"))
		case object == wlNotifier:
			s.bound <- map[uint32]string{1: "idle", 2: "input idle"}[opcode]
		}
	}
}

func newWayland(version uint32) wlServer {
	return wlServer{version, make(chan net.Conn, 10), make(chan string, 100)}
}

func TestWaylandTellsWhoIsThere(t *testing.T) {
	for version, asks := range map[uint32]string{1: "idle", 2: "input idle"} {
		p := newPlace(t)
		s := newWayland(version)
		answering(t, filepath.Join(p.dir, "wayland-1"), s.serve) // whose name this process was not told
		seen := p.watch()
		seen.until("somebody", func(i Idle) bool { return i.By == "wayland" && i.Since.IsZero() })
		for _, want := range []string{"wl_seat", "ext_idle_notifier_v1", asks} {
			if got := <-s.bound; got != want {
				t.Errorf("version %d: bound %q, not %q", version, got, want)
			}
		}
		conn := <-s.ready
		_, _ = conn.Write(wlMessage(wlNotification, 0))
		i := seen.until("nobody", func(i Idle) bool { return !i.Since.IsZero() })
		if ago := time.Since(i.Since); ago < Rest || ago > Rest+30*time.Second {
			t.Errorf("nobody is there for %v", ago)
		}
		_, _ = conn.Write(wlMessage(wlNotification, 1))
		seen.until("somebody", func(i Idle) bool { return i.Since.IsZero() })
		_, _ = conn.Write(wlMessage(wlDisplay, 0, wlUint(6), wlUint(1), wlString("no more")))
		<-s.ready // it is asked anew
	}
}

func TestACompositorThatDoesNotTellIsNotAsked(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"no protocol": newWayland(0).serve,
		"too short": func(conn net.Conn) {
			_, _ = conn.Write([]byte{1, 0, 0, 0, 0, 0, 4, 0, 9, 9, 9, 9})
			_, _ = io.Copy(io.Discard, conn)
		},
		"refuses": func(conn net.Conn) {
			_, _ = conn.Write(wlMessage(wlDisplay, 0, wlUint(1), wlUint(1), wlString("no")))
			_, _ = io.Copy(io.Discard, conn)
		},
		"no end": func(conn net.Conn) {
			for {
				if _, err := conn.Write(bytes.Repeat(wlMessage(wlRegistry, 1, wlUint(1)), 300)); err != nil {
					return
				}
			}
		},
		"nothing": func(net.Conn) {},
	} {
		p := newPlace(t)
		answering(t, filepath.Join(p.dir, "wayland-0"), serve)
		if a, err := p.d.openWayland(t.Context()); err == nil {
			a.close()
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzAGlobalIsUnderstoodOrNot(f *testing.F) {
	f.Add(append(append(wlUint(7), wlString("wl_seat")...), wlUint(9)...))
	f.Add(append(append(wlUint(7), 0xFF, 0xFF, 0xFF, 0xFF), wlUint(9)...))
	f.Fuzz(func(t *testing.T, args []byte) {
		var c compositor
		c.offered(args)
		if c.seat.version != 0 && !bytes.Contains(args, []byte("wl_seat")) {
			t.Errorf("a seat in %q", args)
		}
	})
}
