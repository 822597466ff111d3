package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Limits of one laboratory, so that addresses and names stay short and unique.
const (
	maxLANs = 200 // the third byte of 10.77.LAN.NIC
	maxNICs = 250 // the fourth byte
)

// A Lab is a set of LANs and hosts. Its methods, and those of everything it
// makes, may be called from any goroutine.
type Lab struct {
	dir  string   // holds the hosts' homes; removed by Close
	lock *os.File // locked for as long as the run lives: what a sweep looks at
	core *netns   // where the bridges and the far ends of all adapters are

	mu       sync.Mutex
	lans     []*LAN
	hosts    []*Host
	captures []*Capture
	ports    int
	closed   bool
}

// New makes an empty laboratory, and removes what earlier, dead runs left in
// the temporary directory. Close it when done.
func New(ctx context.Context) (*Lab, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := Available(); err != nil {
		return nil, err
	}
	sweep(os.TempDir())
	dir, lock, err := makeDir(os.TempDir())
	if err != nil {
		return nil, err
	}
	core, err := newNetns("switch")
	if err != nil {
		return nil, errors.Join(err, lock.Close(), os.RemoveAll(dir))
	}
	l := &Lab{dir: dir, lock: lock, core: core}
	// The bridges only forward. With addresses of their own they would speak too.
	if err := core.set("ipv6/conf/default/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// dirPrefix begins the name of every run's directory. It is short because a
// Unix socket somewhere below may have a path of 107 bytes at most.
const dirPrefix = "earlab-"

// makeDir makes this run's directory and locks it.
func makeDir(parent string) (string, *os.File, error) {
	for {
		dir, err := os.MkdirTemp(parent, dirPrefix+strconv.Itoa(os.Getpid())+"-")
		if err != nil {
			return "", nil, err
		}
		lock, err := os.Create(filepath.Join(dir, "lock"))
		if err != nil {
			return "", nil, errors.Join(err, os.RemoveAll(dir))
		}
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			return "", nil, errors.Join(err, lock.Close(), os.RemoveAll(dir))
		}
		if _, err := os.Stat(lock.Name()); err == nil {
			return dir, lock, nil
		}
		// Another run's sweep took the lock first and removed the directory.
		_ = lock.Close()
	}
}

// sweep removes the directories of runs that are no longer alive. A lock tells
// better than a process id, which may belong to somebody else by now. What
// cannot be removed stays: it is in nobody's way.
func sweep(parent string) {
	locks, err := filepath.Glob(filepath.Join(parent, dirPrefix+"*", "lock"))
	if err != nil {
		return
	}
	for _, name := range locks {
		lock, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(name))
		}
		_ = lock.Close()
	}
}

// Dir is the laboratory's temporary directory, which Close removes.
func (l *Lab) Dir() string { return l.dir }

// Close kills every process still running, takes the networks away and removes
// the temporary directory. Closing again does nothing.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	hosts, captures := l.hosts, l.captures
	l.mu.Unlock()

	var errs []error
	for _, c := range captures {
		errs = append(errs, c.Close())
	}
	inodes := map[uint64]bool{l.core.inode: true}
	for _, h := range hosts {
		h.killAll()
		inodes[h.ns.inode] = true
	}
	killStrays(inodes)
	for _, h := range hosts {
		errs = append(errs, h.ns.close())
	}
	errs = append(errs, l.core.close(), os.RemoveAll(l.dir), l.lock.Close())
	return errors.Join(errs...)
}

// killStrays kills what processes of the laboratory started and left behind:
// everything that is in one of its namespaces.
func killStrays(inodes map[uint64]bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		link, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/net"))
		if err != nil {
			continue // it has ended, or is none of ours
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(link, "net:["), "]"), 10, 64)
		if err == nil && inodes[inode] {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// NewHost makes a host called name, with no network but its loopback. The name
// is also its host name and the name of its directory: letters, digits and
// hyphens.
func (l *Lab) NewHost(name string) (*Host, error) {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return nil, fmt.Errorf("%q is no name for a host: use letters, digits and hyphens", name)
	}
	dir := filepath.Join(l.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	ns, err := newNetns(name)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	h := &Host{Name: name, lab: l, ns: ns, dir: dir}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errors.Join(errClosed, ns.close())
	}
	l.hosts = append(l.hosts, h)
	l.mu.Unlock()
	return h, nil
}

// Join makes one host for each name and gives it an adapter eth0 on the LAN.
func (l *Lab) Join(lan *LAN, family Family, names ...string) ([]*Host, error) {
	hosts := make([]*Host, 0, len(names))
	for _, name := range names {
		h, err := l.NewHost(name)
		if err != nil {
			return nil, err
		}
		if _, err := h.Attach(lan, "eth0", family); err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// nextPort gives the far end of an adapter a name that is free in the core.
func (l *Lab) nextPort() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports++
	return "p" + strconv.Itoa(l.ports)
}

// A LAN is one Ethernet segment with its own IPv4 and IPv6 prefixes. It is made
// of two bridges: everybody is plugged into the first, until Split moves some
// to the second.
type LAN struct {
	lab     *Lab
	index   int
	bridges [2]string

	mu   sync.Mutex
	nics []*NIC // everyone who ever was on it; the position gives the address
}

// NewLAN makes an empty LAN with the prefixes 10.77.N.0/24 and fd77:0:0:N::/64,
// counting N from 0.
func (l *Lab) NewLAN() (*LAN, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lans) == maxLANs {
		return nil, fmt.Errorf("a laboratory has at most %d LANs", maxLANs)
	}
	lan := &LAN{lab: l, index: len(l.lans)}
	var lines []string
	for i := range lan.bridges {
		lan.bridges[i] = fmt.Sprintf("lan%d%c", lan.index, 'a'+i)
		lines = append(lines,
			"link add "+lan.bridges[i]+" type bridge stp_state 0 mcast_snooping 0",
			"link set "+lan.bridges[i]+" up")
	}
	if err := l.core.ip(lines); err != nil {
		return nil, err
	}
	l.lans = append(l.lans, lan)
	return lan, nil
}

// Prefix4 is the LAN's IPv4 prefix.
func (lan *LAN) Prefix4() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(lan.index), 0}), 24)
}

// Prefix6 is the LAN's IPv6 prefix, from the unique local addresses.
func (lan *LAN) Prefix6() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 7: byte(lan.index)}), 64)
}

// Split divides the LAN in two: the adapters named here on one side, all others
// on the other. No adapter loses its carrier, as when the cable between two
// switches is pulled.
func (lan *LAN) Split(away ...*NIC) error {
	side := make(map[*NIC]int, len(away))
	for _, n := range away {
		if n.lan != lan {
			return fmt.Errorf("adapter %s of host %s is not on this LAN", n.Name, n.host.Name)
		}
		side[n] = 1
	}
	lan.mu.Lock()
	nics := lan.nics
	lan.mu.Unlock()
	for _, n := range nics {
		if err := n.update(func(w *wire) error { w.side = side[n]; return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Heal ends a Split.
func (lan *LAN) Heal() error { return lan.Split() }
