package desktop

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBus is a bus with one client at a time and what a test has it answer. It is there
// where no dbus-daemon is.
type fakeBus struct {
	t        *testing.T
	listener net.Listener
	wg       sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	serial  uint32
	answers map[string]func(args []any) []any // by interface and member; nil: an error
	calls   chan busCall                      // but for those to the bus itself
}

type busCall struct {
	method string
	args   []any
}

// newBus starts a bus on a socket.
func newBus(t *testing.T, path string) *fakeBus {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBus{t: t, listener: l, conns: map[net.Conn]struct{}{}, answers: map[string]func([]any) []any{}, calls: make(chan busCall, 10_000)}
	b.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns[conn] = struct{}{}
			b.mu.Unlock()
			b.wg.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(b.end)
	return b
}

// end ends the bus, as the end of a session does.
func (b *fakeBus) end() {
	_ = b.listener.Close()
	b.mu.Lock()
	for conn := range b.conns {
		_ = conn.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// answer has a method answer this from now on.
func (b *fakeBus) answer(method string, values ...any) {
	b.reply(method, func([]any) []any { return values })
}

func (b *fakeBus) reply(method string, f func([]any) []any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[method] = f
}

func (b *fakeBus) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if _, err := in.ReadByte(); err != nil { // a zero stands before all
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "AUTH":
			answer := "REJECTED EXTERNAL\r\n"
			if strings.Contains(line, "EXTERNAL") {
				answer = "DATA\r\n"
			}
			fmt.Fprint(conn, answer)
		case "DATA":
			fmt.Fprint(conn, "OK 1234deadbeef\r\n")
		case "NEGOTIATE_UNIX_FD":
			fmt.Fprint(conn, "ERROR\r\n")
		case "BEGIN":
			b.talk(conn, in)
			return
		}
	}
}

func (b *fakeBus) talk(conn net.Conn, in *bufio.Reader) {
	for {
		msg, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		if msg.Type != dbus.TypeMethodCall {
			continue
		}
		iface, _ := msg.Headers[dbus.FieldInterface].Value().(string)
		member, _ := msg.Headers[dbus.FieldMember].Value().(string)
		method := iface + "." + member
		key := method
		if method == "org.freedesktop.DBus.Properties.Get" {
			key = "get " + msg.Body[1].(string)
		}
		b.mu.Lock()
		f := b.answers[key]
		b.mu.Unlock()
		var out []any
		switch method {
		case "org.freedesktop.DBus.Hello":
			out = []any{":1.1"}
		case "org.freedesktop.DBus.AddMatch":
			out = []any{}
		default:
			if f != nil {
				out = f(msg.Body)
			}
			select {
			case b.calls <- busCall{key, msg.Body}:
			default: // a test that does not look at them goes on for long
			}
		}
		answer := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(msg.Serial()), dbus.FieldSender: dbus.MakeVariant("org.freedesktop.DBus"),
		}, Body: out}
		if out == nil {
			answer.Type = dbus.TypeError
			answer.Headers[dbus.FieldErrorName] = dbus.MakeVariant("org.freedesktop.DBus.Error.ServiceUnknown")
		}
		b.write(conn, answer)
	}
}

// emit has a signal reach every client.
func (b *fakeBus) emit(path, iface, member string, values ...any) {
	b.mu.Lock()
	conns := make([]net.Conn, 0, len(b.conns))
	for conn := range b.conns {
		conns = append(conns, conn)
	}
	b.mu.Unlock()
	for _, conn := range conns {
		b.write(conn, &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath(path)), dbus.FieldInterface: dbus.MakeVariant(iface),
			dbus.FieldMember: dbus.MakeVariant(member), dbus.FieldSender: dbus.MakeVariant(":1.9"),
		}, Body: values})
	}
}

func (b *fakeBus) write(conn net.Conn, msg *dbus.Message) {
	if len(msg.Body) > 0 {
		msg.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(msg.Body...))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial++
	// The serial of a message can't be set from outside: it is written over.
	var sb strings.Builder
	if _, err := msg.EncodeToWithFDs(&sb, binary.LittleEndian); err != nil {
		b.t.Errorf("the fake bus can't say %v: %v", msg, err)
		return
	}
	raw := []byte(sb.String())
	binary.LittleEndian.PutUint32(raw[8:], b.serial)
	_, _ = conn.Write(raw)
}

// place is a machine of a test's: nothing runs on it yet.
type place struct {
	t   *testing.T
	dir string
	env map[string]string
	d   *Desktop
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "desk") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{t: t, dir: dir, env: map[string]string{
		"XDG_RUNTIME_DIR": dir, "HOME": dir, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=" + filepath.Join(dir, "system"),
	}}
	p.d = &Desktop{
		log: slog.New(slog.DiscardHandler), every: time.Millisecond, again: time.Millisecond,
		system: system{getenv: func(k string) string { return p.env[k] }, x11: dir, notes: newNotifications()},
	}
	t.Cleanup(p.d.end)
	return p
}

func (p *place) session() *fakeBus { return newBus(p.t, filepath.Join(p.dir, "bus")) }
func (p *place) machine() *fakeBus { return newBus(p.t, filepath.Join(p.dir, "system")) }

// watch returns what is told of whoever is there.
func (p *place) watch() *seen {
	s := &seen{t: p.t, told: make(chan Idle, 1000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.d.Watch(ctx, func(i Idle) { s.told <- i })
	}()
	p.t.Cleanup(func() { cancel(); <-done })
	return s
}

// seen is what was told of whoever is there.
type seen struct {
	t    *testing.T
	told chan Idle
}

// until waits until something is told that holds.
func (s *seen) until(what string, holds func(Idle) bool) Idle {
	s.t.Helper()
	var last Idle
	for late := time.After(30 * time.Second); ; {
		select {
		case last = <-s.told:
			if holds(last) {
				return last
			}
		case <-late:
			s.t.Fatalf("%s is not told; the last that was: %+v", what, last)
		}
	}
}
