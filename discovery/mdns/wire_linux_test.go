package mdns

import (
	"context"
	"log/slog"
	"math"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"earshot/discovery"
)

// listen returns all mDNS messages that reach the test's own place on the wire, until the test ends.
func (w *wire) listen() <-chan *dns.Msg {
	w.t.Helper()
	ifi, err := net.InterfaceByName(w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := net.ListenMulticastUDP("udp4", ifi, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		w.t.Fatal(err)
	}
	out, done := make(chan *dns.Msg, 4096), make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65536)
		for {
			n, from, err := c.ReadFromUDP(buf)
			if err != nil {
				return
			}
			m := new(dns.Msg)
			if err := m.Unpack(buf[:n]); err != nil {
				w.t.Errorf("malformed packet from %v: %v", from, err)
				continue
			}
			if ours := from.IP.Equal(net.IPv4(10, 7, 0, 254)); !ours && n > 1200 {
				w.t.Errorf("packet of %d bytes from %v", n, from)
			}
			out <- m
		}
	}()
	w.t.Cleanup(func() { c.Close(); <-done })
	return out
}

// say sends a message to the wire from the test's own place on it.
func (w *wire) say(m *dns.Msg) {
	w.t.Helper()
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 7, 0, 254)}, &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	raw, err := m.Pack()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := c.Write(raw); err != nil {
		w.t.Fatal(err)
	}
}

func question() *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(DefaultService+".local.", dns.TypePTR)
	m.RecursionDesired = false
	return m
}

// awaitMsg returns the next message for which ok holds.
func awaitMsg(t *testing.T, msgs <-chan *dns.Msg, what string, ok func(*dns.Msg) bool) *dns.Msg {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case m := <-msgs:
			if ok(m) {
				return m
			}
		case <-timeout:
			t.Fatalf("no %s within 5 s", what)
		}
	}
}

// What a listener on the LAN learns is the instance, the port, the addresses and the peer id, and that is all.
func TestAnswerSaysNothingMore(t *testing.T) {
	w := newWire(t)
	a := w.host("a")
	w.plug(a, "eth0", "10.7.0.1/24")
	msgs := w.listen()
	n := w.start(a, nodeConfig{Seed: 1})
	answer := awaitMsg(t, msgs, "answer", func(m *dns.Msg) bool { return m.Response && len(m.Answer) == 1 })
	var kinds []string
	var instance string
	for _, rr := range slices.Concat(answer.Answer, answer.Ns, answer.Extra) {
		kinds = append(kinds, dns.TypeToString[rr.Header().Rrtype])
		switch rr := rr.(type) {
		case *dns.PTR:
			instance = strings.TrimSuffix(rr.Ptr, "."+DefaultService+".local.")
			if !validInstance(instance) {
				t.Errorf("instance %q", rr.Ptr)
			}
		case *dns.SRV:
			if rr.Target != instance+".local." {
				t.Errorf("host name %q", rr.Target)
			}
		case *dns.TXT:
			if !slices.Equal(rr.Txt, []string{"v=1", "p=" + n.peer}) {
				t.Errorf("text %q", rr.Txt)
			}
		case *dns.A:
			if rr.A.String() != "10.7.0.1" {
				t.Errorf("address %v", rr.A)
			}
		}
	}
	answer.Compress = true
	t.Logf("an answer has %d bytes", answer.Len())
	if !slices.Equal(kinds, []string{"PTR", "SRV", "TXT", "A", "AAAA"}) {
		t.Errorf("records %v", kinds)
	}
}

func TestGoodbye(t *testing.T) {
	w := newWire(t)
	a := w.host("a")
	w.plug(a, "eth0", "10.7.0.1/24")
	msgs := w.listen()
	n := w.start(a, nodeConfig{Seed: 1})
	awaitMsg(t, msgs, "answer", func(m *dns.Msg) bool { return m.Response })
	began := time.Now()
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n.await("ended", "")
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("ending took %v", d)
	}
	awaitMsg(t, msgs, "goodbye", func(m *dns.Msg) bool {
		return m.Response && len(m.Answer) > 0 && !slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Ttl != 0 })
	})
}

// A window asks once, however long it is: each question makes everybody answer.
func TestOneQuestionPerWindow(t *testing.T) {
	w := newWire(t)
	a := w.host("a")
	w.plug(a, "eth0", "10.7.0.1/24")
	msgs := w.listen()
	w.start(a, nodeConfig{Seed: 1, Windows: []time.Duration{7 * time.Second}})
	questions, over := 0, time.After(6200*time.Millisecond)
	for {
		select {
		case m := <-msgs:
			if !m.Response && len(m.Question) == 1 && m.Question[0].Name == DefaultService+".local." {
				questions++
			}
			continue
		case <-over:
		}
		break
	}
	if questions != 1 {
		t.Errorf("%d questions in a window of 7 s, when zeroconf would repeat its own after 2 to 6 s", questions)
	}
}

// An open window hears what others asked for and what is announced unasked, so a window of minutes does no harm.
func TestOpenWindowHearsUnasked(t *testing.T) {
	w := newWire(t)
	a := w.host("a")
	w.plug(a, "eth0", "10.7.0.1/24")
	msgs := w.listen()
	n := w.start(a, nodeConfig{Seed: 1, Windows: []time.Duration{time.Hour}})
	awaitMsg(t, msgs, "answer to its own question", func(m *dns.Msg) bool { return m.Response })
	announced := new(dns.Msg)
	announced.Response = true
	announced.Answer = records(t, strings.Repeat("x", instanceLen), testPeer(2).String(), "10.7.0.77")
	w.say(announced)
	n.await("found", testPeer(2).String())
}

func records(t *testing.T, instance, peer string, addrs ...string) []dns.RR {
	t.Helper()
	name := instance + "." + DefaultService + ".local."
	lines := []string{
		DefaultService + ".local. 120 IN PTR " + name,
		name + " 120 IN SRV 0 0 9327 " + instance + ".local.",
		name + ` 120 IN TXT "v=1" "p=` + peer + `"`,
	}
	for _, a := range addrs {
		lines = append(lines, instance+".local. 120 IN A "+a)
	}
	var out []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// runHere runs a source in the test's own namespace until stop is called.
func runHere(t *testing.T, cfg Config, out func(discovery.Event)) (stop func()) {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, out) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// Who is not to be seen hears others, and nothing that names it goes out.
func TestWhoDoesNotAnnounceMustNotBeOnTheWire(t *testing.T) {
	w := newWire(t)
	a := w.host("a")
	w.plug(a, "eth0", "10.7.0.1/24")
	msgs := w.listen()
	self := testPeer(9)
	s, err := New(Config{Peer: self, Port: 9327, Selection: discovery.Selection{Pinned: []string{w.name}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Announce(false)
	found := make(chan discovery.Event, 64)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(ev discovery.Event) { found <- ev }) }()
	n := w.start(a, nodeConfig{Seed: 1})
	select {
	case ev := <-found:
		if ev.Peer.String() != n.peer {
			t.Errorf("it found %v", ev.Peer)
		}
	case <-time.After(10 * time.Second):
		t.Error("it finds nobody")
	}
	w.say(question())
	awaitMsg(t, msgs, "the other's answer", func(m *dns.Msg) bool {
		text := m.String()
		if strings.Contains(text, self.String()) || strings.Contains(text, s.instance) {
			t.Errorf("it said %s", text)
		}
		return strings.Contains(text, n.peer)
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// Let be seen again, it is.
	s.Announce(true)
	ctx, cancel = context.WithCancel(t.Context())
	go func() { ended <- s.Run(ctx, func(discovery.Event) {}) }()
	awaitMsg(t, msgs, "the announcement", func(m *dns.Msg) bool { return strings.Contains(m.String(), self.String()) })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// zeroconf's announcing goroutine sleeps on after its server was shut down, without a socket.
var probing = goleak.IgnoreAnyFunction("github.com/grandcat/zeroconf.(*Server).probe")

func TestGoroutinesAreFlatAfterManyWindows(t *testing.T) {
	before := goleak.IgnoreCurrent()
	w := newWire(t)
	rounds := make(chan int)
	ctx, cancel := context.WithCancel(context.Background())
	stop := runHere(t, Config{
		Peer: testPeer(1), Port: 9327, Selection: discovery.Selection{Pinned: []string{w.name}},
		Window: func(round, _ int) time.Duration {
			select {
			case rounds <- round:
			case <-ctx.Done():
			}
			return 20 * time.Millisecond
		},
	}, func(discovery.Event) {})
	// Windows overlap for a moment while one closes, so the fewest of late ones
	// are compared: what leaks is always there, and a goroutine a window is 100.
	early, late := 0, math.MaxInt
	for round := range rounds {
		switch n := runtime.NumGoroutine(); {
		case round > 110:
		case round > 100:
			late = min(late, n)
			continue
		case round > 2 && round <= 12:
			early = max(early, n)
			continue
		default:
			continue
		}
		break
	}
	cancel()
	stop()
	if late > early {
		t.Errorf("at most %d goroutines in the first windows, at least %d after 100", early, late)
	}
	goleak.VerifyNone(t, before, probing)
}

func TestEndsWithoutNetwork(t *testing.T) {
	inside(t)
	before := goleak.IgnoreCurrent()
	stop := runHere(t, Config{Peer: testPeer(1), Port: 9327, Selection: discovery.Selection{Pinned: []string{"none0"}}}, func(ev discovery.Event) {
		t.Errorf("event %+v", ev)
	})
	stop()
	goleak.VerifyNone(t, before, probing)
}

// Somebody sends records with absurdly many addresses, which zeroconf would keep until the window ends. The window ends.
func TestAbsurdRecordEndsTheWindow(t *testing.T) {
	w := newWire(t)
	lines := make(chan string, 256)
	log := slog.New(slog.NewTextHandler(lineWriter(lines), nil))
	found := make(chan discovery.Event, 16)
	rounds := make(chan int, 16)
	runHere(t, Config{
		Peer: testPeer(1), Port: 9327, Selection: discovery.Selection{Pinned: []string{w.name}}, Log: log,
		Window: func(round, _ int) time.Duration { rounds <- round; return time.Hour },
	}, func(ev discovery.Event) { found <- ev })
	msgs := w.listen()
	<-rounds
	w.say(question())
	awaitMsg(t, msgs, "answer", func(m *dns.Msg) bool { return m.Response })
	absurd := new(dns.Msg)
	absurd.Response = true
	absurd.Compress = true
	var addrs []string
	for i := range absurdAddrs + 1 {
		addrs = append(addrs, net.IPv4(10, 9, byte(i>>8), byte(i)).String())
	}
	absurd.Answer = records(t, strings.Repeat("x", instanceLen), testPeer(2).String(), addrs...)
	w.say(absurd)
	for line := range lines {
		if strings.Contains(line, "flooded=true") {
			break
		}
	}
	if round := <-rounds; round != 1 {
		t.Errorf("window %d follows", round)
	}
	honest := new(dns.Msg)
	honest.Response = true
	honest.Answer = records(t, strings.Repeat("y", instanceLen), testPeer(3).String(), "10.7.0.3")
	for { // the next window may not be open yet
		w.say(honest)
		select {
		case ev := <-found:
			if ev.Peer != testPeer(3) {
				t.Errorf("event %+v", ev)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A rescan ends a long window early, though not at once.
func TestRescan(t *testing.T) {
	w := newWire(t)
	rounds := make(chan int, 16)
	s, err := New(Config{
		Peer: testPeer(1), Port: 9327, Selection: discovery.Selection{Pinned: []string{w.name}},
		Window: func(round, _ int) time.Duration { rounds <- round; return time.Hour },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.minRescan = time.Second
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, func(discovery.Event) {}) }()
	defer func() { cancel(); <-done }()
	<-rounds
	began := time.Now()
	for range 10 {
		s.Rescan()
	}
	<-rounds
	if d := time.Since(began); d < 900*time.Millisecond || d > 30*time.Second {
		t.Errorf("the next window came after %v", d)
	}
}

type lineWriter chan<- string

func (l lineWriter) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
