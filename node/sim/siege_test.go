package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"earshot/chat"
	"earshot/chat/identity"
	proto "earshot/chat/wire"
	"earshot/node/host"
)

// These tests put strangers who mean ill on a LAN with two honest nodes. Each is
// named after what must not happen. A stranger is a bare host with a valid
// identity of its own: it can do whatever its bytes can do.

const (
	peerProtocol protocol.ID = "/earshot/peer/1"
	syncProtocol protocol.ID = "/earshot/sync/1"
)

// siege is an office of two honest nodes, and what they were like in peace.
type siege struct {
	*Office
	t          *testing.T
	ann, ben   *desk
	lines      *lines
	goroutines int
	heap       uint64
	words      int
	strangers  int
}

// lines keeps what nodes log for a person to read.
type lines struct {
	mu   sync.Mutex
	said []string
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.said = append(l.said, text)
	return nil
}
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

func besiege(t *testing.T) *siege {
	t.Helper()
	s := &siege{t: t, lines: &lines{}}
	s.Office = NewOffice(t.TempDir(), slog.New(s.lines))
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(func() {
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	})
	enter := func(name string) *desk {
		n, err := s.Enter(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return watch(t, ctx, n)
	}
	s.ann, s.ben = enter("Ann"), enter("Ben")
	s.ann.sees("Ben", chat.Here)
	s.ben.sees("Ann", chat.Here)
	s.talk(patience)
	s.goroutines, s.heap = level()
	return s
}

// each runs an attack as a test of its own, in the same siege: what an attack leaves
// behind shows in the next one, too.
func (s *siege) each(name string, attack func()) {
	all := s.t
	all.Run(name, func(t *testing.T) {
		desks := []*desk{s.ann, s.ben}
		s.t = t
		for _, d := range desks {
			d.t = t
		}
		defer func() {
			s.t = all
			for _, d := range desks {
				d.t = all
			}
		}()
		s.lines.mu.Lock()
		s.lines.said = nil
		s.lines.mu.Unlock()
		attack()
	})
}

// level returns how many goroutines run and how many bytes are held.
func level() (goroutines int, heap uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// talk has the honest two say something to each other, each way within limit on a
// machine that has nothing else to do.
func (s *siege) talk(limit time.Duration) {
	s.t.Helper()
	for _, way := range [][2]*desk{{s.ann, s.ben}, {s.ben, s.ann}} {
		s.words++
		text := fmt.Sprint("word ", s.words)
		start := time.Now()
		way[0].say(text)
		way[1].hears(text)
		inTime(s.t, fmt.Sprintf("%q", text), time.Since(start), limit)
	}
}

// withstood fails the test unless everything is as it was before: the honest talk,
// little was logged, and nothing is held for strangers that have gone.
func (s *siege) withstood() {
	s.t.Helper()
	s.talk(time.Second)
	s.lines.mu.Lock()
	if n := len(s.lines.said); n > 8 {
		s.t.Errorf("%d lines were logged: %q", n, s.lines.said)
	}
	s.lines.mu.Unlock()
	s.until("the goroutines are gone", func() bool { n, _ := level(); return n <= s.goroutines+12 })
	if _, heap := level(); heap > s.heap+48<<20 {
		s.t.Errorf("%d MiB are held", (heap-s.heap)>>20)
	}
}

// until polls what has no event to wait for: a connection that somebody else's
// library closes, a counter.
func (s *siege) until(what string, ok func() bool) {
	s.t.Helper()
	for late := time.Now().Add(patience); !ok(); {
		if time.Now().After(late) {
			s.t.Fatalf("it never came that %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stranger is who means ill.
type stranger struct {
	*host.Host
	*siege
	key, root ed25519.PrivateKey
	cert      identity.Certificate
	victim    chat.DeviceID
	refused   uint64 // what Ann had refused when it came
	addr      ma.Multiaddr
	stop      func() // ends what runs on the host, if not nil
	gone      sync.Once
	left      atomic.Bool // it has said goodbye as a device, see leaves
}

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	return key
}

func deviceOf(key ed25519.PrivateKey) chat.DeviceID {
	return chat.DeviceID(key.Public().(ed25519.PublicKey))
}

// stranger comes to the LAN, connected to Ann. prepare, if it is not nil, sets up
// its host before it listens.
func (s *siege) stranger(prepare func(*stranger)) *stranger {
	s.t.Helper()
	s.strangers++
	listen := ma.StringCast(fmt.Sprintf("/ip4/10.66.%d.%d/tcp/%d", s.strangers/250, s.strangers%250+1, host.DefaultPort))
	x := &stranger{siege: s, key: newKey(), root: newKey()}
	var err error
	if x.cert, err = identity.Sign(x.root, deviceOf(x.key), time.Now(), ""); err != nil {
		s.t.Fatal(err)
	}
	if x.Host, err = host.New(host.Config{Key: x.key, ListenAddrs: []ma.Multiaddr{listen}, Transport: s.Net.Transport()}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(x.vanish)
	if prepare != nil {
		prepare(x)
	}
	if err := x.Listen(); err != nil {
		s.t.Fatal(err)
	}
	me, _ := s.ann.Me(s.ann.ctx)
	x.victim, x.addr = me.Device, ma.StringCast(me.Addresses[0])
	x.refused = s.ann.Refused()
	if err := x.dial(); err != nil {
		s.t.Fatal(err)
	}
	return x
}

func (x *stranger) dial() error {
	return x.Dial(x.ann.ctx, x.victim, []ma.Multiaddr{x.addr})
}

// vanish takes the stranger off the LAN.
func (x *stranger) vanish() {
	x.gone.Do(func() {
		if x.stop != nil {
			x.stop()
		}
		gone, cancel := context.WithCancel(context.Background())
		cancel() // it does not linger
		if err := x.Host.Close(gone); err != nil {
			x.t.Error(err)
		}
	})
}

// open opens a stream to Ann, below all framing.
func (x *stranger) open(p protocol.ID) network.Stream {
	x.t.Helper()
	raw, err := x.Libp2p().NewStream(x.ann.ctx, host.PeerID(x.victim), p)
	if err != nil {
		x.t.Fatal(err)
	}
	return raw
}

// openAndSend opens a stream and sends; that it fails half way is no news, for
// whoever is attacked hangs up.
func (x *stranger) openAndSend(p protocol.ID, data ...[]byte) {
	raw, err := x.Libp2p().NewStream(x.ann.ctx, host.PeerID(x.victim), p)
	if err != nil {
		return
	}
	for _, b := range data {
		if _, err := raw.Write(b); err != nil {
			return
		}
	}
}

func frame(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
}

func frames(f ...proto.Frame) []byte {
	var out []byte
	for _, f := range f {
		out = append(out, frame(proto.EncodeFrame(f))...)
	}
	return out
}

func (x *stranger) hello() proto.Hello {
	return proto.Hello{Certificate: x.cert.Bytes(), Name: "Mallory", Now: uint64(chat.HLCOf(time.Now())), Agent: "evil 1"}
}

// connected reports whether Ann still has a connection to the stranger.
func (x *stranger) connected() bool { return x.Connected(x.victim) }

// cutOff fails the test unless Ann hangs up on the stranger, has counted why, and
// does not let it back.
func (x *stranger) cutOff() {
	x.t.Helper()
	x.until("the stranger is cut off", func() bool { return !x.connected() })
	if n := x.ann.Refused() - x.refused; n < 5 {
		x.t.Errorf("%d refusals were counted", n)
	}
	// A dial may seem to succeed before the other side has hung up.
	_ = x.dial()
	x.until("the stranger is turned away", func() bool { return !x.connected() })
}

// again does something until Ann hangs up.
func (x *stranger) again(f func()) {
	x.t.Helper()
	x.until("what is done again and again is noticed", func() bool {
		if x.connected() {
			f()
		}
		return !x.connected()
	})
}

func garbage(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
