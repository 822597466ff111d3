package mdns

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"earshot/discovery"
)

// The tests that speak on a network run in namespaces of their own: TestMain replaces the whole test process by one in
// a new network and mount namespace, so that no packet can reach a real interface and nothing is left behind. Further
// "hosts" are namespaces made inside it, each with a process of this same binary in it.

const (
	envInside = "EARSHOT_TEST_INSIDE" // set in the replaced process
	envNode   = "EARSHOT_TEST_NODE"   // set for a node process: its nodeConfig
)

func TestMain(m *testing.M) {
	if raw := os.Getenv(envNode); raw != "" {
		nodeMain(raw)
		return
	}
	fuzzing := slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.fuzz") })
	if os.Getenv(envInside) == "" && !fuzzing {
		enterNamespaces() // returns only if that is impossible
	}
	os.Exit(m.Run())
}

// enterNamespaces replaces this process by one in fresh namespaces, as root or through a user namespace.
func enterNamespaces() {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return
	}
	flags := []string{"--net", "--mount"}
	if os.Geteuid() != 0 {
		flags = append(flags, "--map-root-user")
	}
	// ip-netns(8) keeps its names under /run.
	script := []string{"sh", "-c", `mount -t tmpfs tmpfs /run && ip link set lo up && exec "$0" "$@"`}
	probe := slices.Concat(flags, script, []string{"ip", "netns", "add", "probe"})
	if exec.Command(unshare, probe...).Run() != nil {
		return
	}
	argv := slices.Concat([]string{unshare}, flags, script, os.Args)
	_ = syscall.Exec(unshare, argv, append(os.Environ(), envInside+"=1"))
}

// inside skips the test when it is not in a namespace of its own, which on CI is a failure.
func inside(t testing.TB) {
	t.Helper()
	if os.Getenv(envInside) != "" {
		return
	}
	const why = "cannot make network namespaces here: needs Linux, iproute2, util-linux, and root or unprivileged user namespaces"
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func run(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func ip(t testing.TB, format string, args ...any) {
	t.Helper()
	run(t, append([]string{"ip"}, strings.Fields(fmt.Sprintf(format, args...))...)...)
}

// uniqueName returns an interface name; the kernel takes its time to free one.
func uniqueName(prefix string) string { return fmt.Sprint(prefix, lastName.Add(1)) }

var lastName atomic.Int32

// A wire is a bridge in the test's namespace that hosts plug into. The test itself is on it as 10.7.0.254.
type wire struct {
	t     testing.TB
	name  string
	hosts []string
}

func newWire(t testing.TB) *wire {
	t.Helper()
	inside(t)
	w := &wire{t: t, name: uniqueName("wire")}
	ip(t, "link add %s type bridge mcast_snooping 0 forward_delay 0", w.name)
	ip(t, "addr add 10.7.0.254/24 dev %s", w.name)
	ip(t, "link set %s up", w.name)
	t.Cleanup(func() {
		for _, h := range w.hosts {
			exec.Command("ip", "netns", "del", h).Run() // t.Context has ended by now
		}
		exec.Command("ip", "link", "del", w.name).Run()
	})
	return w
}

// host makes a namespace and returns its unique name; plug gives it interfaces.
func (w *wire) host(name string) string {
	w.t.Helper()
	name = uniqueName(name)
	ip(w.t, "netns add %s", name)
	w.hosts = append(w.hosts, name)
	ip(w.t, "-n %s link set lo up", name)
	// Without duplicate address detection an address is usable at once, as it is a second after plugging in.
	for _, which := range []string{"default", "all"} {
		run(w.t, "ip", "netns", "exec", name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/"+which+"/accept_dad")
	}
	return name
}

// plug connects a host to the wire by an interface with the given addresses, and returns the name of the wire's end of
// the cable. "no6" among the addresses means no IPv6 at all.
func (w *wire) plug(host, iface string, addrs ...string) (port string) {
	w.t.Helper()
	port = uniqueName("port")
	ip(w.t, "link add %s type veth peer name %s netns %s", port, iface, host)
	ip(w.t, "link set %s master %s up", port, w.name)
	configure(w.t, host, iface, addrs...)
	return port
}

// lone gives a host an interface that leads nowhere.
func (w *wire) lone(host, iface string, addrs ...string) {
	w.t.Helper()
	end := uniqueName("end")
	ip(w.t, "link add %s type veth peer name %s netns %s", end, iface, host)
	ip(w.t, "link set %s up", end)
	configure(w.t, host, iface, addrs...)
}

func configure(t testing.TB, host, iface string, addrs ...string) {
	t.Helper()
	hasIPv6 := true
	for _, a := range addrs {
		if a == "no6" {
			hasIPv6 = false
			run(t, "ip", "netns", "exec", host, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/"+iface+"/disable_ipv6")
			continue
		}
		ip(t, "-n %s addr add %s dev %s", host, a, iface)
	}
	ip(t, "-n %s link set %s up multicast on", host, iface)
	// The kernel adds the link-local address a moment after the carrier is there.
	for deadline := time.Now().Add(5 * time.Second); hasIPv6; time.Sleep(5 * time.Millisecond) {
		out, err := exec.Command("ip", "-n", host, "-6", "addr", "show", "dev", iface, "scope", "link").Output()
		if err == nil && len(out) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s in %s got no link-local address", iface, host)
		}
	}
}

func (w *wire) unplug(host, iface string) {
	w.t.Helper()
	ip(w.t, "-n %s link del %s", host, iface)
}

// A nodeConfig tells a node process what to be.
type nodeConfig struct {
	Seed      byte
	Selection discovery.Selection
	Windows   []time.Duration // the last one repeats; empty: DefaultWindow
	Poll      time.Duration
}

func (c nodeConfig) source(port int, log *slog.Logger) (*Source, error) {
	cfg := Config{Peer: testPeer(c.Seed), Port: port, Selection: c.Selection, Poll: c.Poll, Log: log}
	if len(c.Windows) > 0 {
		cfg.Window = func(round, _ int) time.Duration { return c.Windows[min(round, len(c.Windows)-1)] }
	}
	return New(cfg)
}

// A nodeEvent is one line a node process prints.
type nodeEvent struct {
	Kind   string // started, as discovery.Kind, ended
	Peer   string // in base58
	Addrs  []string
	Dialed []string      // those of Addrs on which a TCP connection could be made
	After  time.Duration // since the source was started
}

// nodeMain is a process that listens on TCP and runs a source until SIGTERM.
func nodeMain(raw string) {
	var cfg nodeConfig
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	die(json.Unmarshal([]byte(raw), &cfg))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", ":0")
	die(err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := cfg.source(l.Addr().(*net.TCPAddr).Port, log)
	die(err)
	enc := json.NewEncoder(os.Stdout)
	enc.Encode(nodeEvent{Kind: "started"})
	start := time.Now()
	die(s.Run(ctx, func(ev discovery.Event) {
		out := nodeEvent{Kind: ev.Kind.String(), Peer: ev.Peer.String(), After: time.Since(start)}
		for _, a := range ev.Addrs {
			out.Addrs = append(out.Addrs, a.String())
			if dials(a) {
				out.Dialed = append(out.Dialed, a.String())
			}
		}
		enc.Encode(out)
	}))
	enc.Encode(nodeEvent{Kind: "ended"})
}

func dials(a ma.Multiaddr) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := (&manet.Dialer{}).DialContext(ctx, a)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// A node is a running node process.
type node struct {
	t      testing.TB
	cmd    *exec.Cmd
	peer   string // in base58
	events chan nodeEvent
	stderr *lockedBuffer
	once   sync.Once
}

// start runs a node on a host and returns when its source is about to run.
func (w *wire) start(host string, cfg nodeConfig) *node {
	w.t.Helper()
	raw, err := json.Marshal(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("ip", "netns", "exec", host, os.Args[0])
	cmd.Env = append(os.Environ(), envNode+"="+string(raw))
	n := &node{t: w.t, cmd: cmd, peer: testPeer(cfg.Seed).String(), events: make(chan nodeEvent, 1024), stderr: &lockedBuffer{}}
	cmd.Stderr = n.stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go n.read(stdout)
	w.t.Cleanup(func() {
		n.end(syscall.SIGTERM)
		if w.t.Failed() {
			w.t.Logf("log of %s:\n%s", host, n.stderr)
		}
	})
	n.await("started", "")
	return n
}

func (n *node) read(r io.Reader) {
	defer close(n.events)
	for dec := json.NewDecoder(bufio.NewReader(r)); ; {
		var ev nodeEvent
		if dec.Decode(&ev) != nil {
			return
		}
		n.events <- ev
	}
}

// end sends sig and waits for the process.
func (n *node) end(sig os.Signal) {
	n.once.Do(func() {
		n.cmd.Process.Signal(sig)
		for range n.events { // until its standard output closes
		}
		n.cmd.Wait()
	})
}

// awaitLog waits until the node's log has a text that many times.
func (n *node) awaitLog(text string, times int) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); strings.Count(n.stderr.String(), text) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("the log does not have %q %d times within %v", text, times, patience)
		}
	}
}

// patience is how long a test waits for what happens at once on an idle machine.
const patience = 30 * time.Second

// await returns the next event of the given kind (any, if empty) about the given peer (likewise).
func (n *node) await(kind, about string) nodeEvent {
	n.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ev, ok := <-n.events:
			if !ok {
				n.t.Fatalf("the node ended while %q was awaited\n%s", kind, n.stderr)
			}
			if (kind == "" || ev.Kind == kind) && (about == "" || ev.Peer == about) {
				return ev
			}
		case <-timeout:
			n.t.Fatalf("no event %q within %v", kind, patience)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}
