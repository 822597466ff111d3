package lab_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"earshot/node/lab"
)

// said matches one line exactly.
func said(want string) func(string) bool { return func(got string) bool { return got == want } }

// startEcho runs the echo program on the host and waits until it listens.
func startEcho(t *testing.T, h *lab.Host, address string) {
	t.Helper()
	p, err := h.Start(t.Context(), program("echo", address))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Await(within(t, 10*time.Second), said("listening")); err != nil {
		t.Fatal(err)
	}
}

// tryEcho says something from the host and wants to hear it back.
func tryEcho(from *lab.Host, address string) error {
	return from.Do(func() error {
		c, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := io.WriteString(c, "hello"); err != nil {
			return err
		}
		heard := make([]byte, 5)
		if _, err := io.ReadFull(c, heard); err != nil {
			return err
		}
		if string(heard) != "hello" {
			return fmt.Errorf("heard %q", heard)
		}
		return nil
	})
}

// awaitEcho tries until the echo is heard.
func awaitEcho(t *testing.T, from *lab.Host, address string) {
	t.Helper()
	ctx := within(t, 10*time.Second)
	for {
		err := tryEcho(from, address)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no echo from %s: %v", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestACutCutsAndAMendMends(t *testing.T) {
	l := newLab(t)
	lan, err := l.NewLAN()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := l.Join(lan, lab.Dual, "ann")
	if err != nil {
		t.Fatal(err)
	}
	ann := hosts[0]
	bob, err := l.NewHost("bob")
	if err != nil {
		t.Fatal(err)
	}
	nic, err := bob.Attach(lan, "eth0", lab.Dual)
	if err != nil {
		t.Fatal(err)
	}
	startEcho(t, bob, ":9000")

	cuts := []struct {
		name      string
		cut, mend func() error
	}{
		{"Unplug", nic.Unplug, nic.Plug},
		{"Silence", nic.Silence, nic.Plug},
		{"Disable", nic.Disable, nic.Enable},
		{"Remove", nic.Remove, nic.Create},
		{"Split", func() error { return lan.Split(nic) }, lan.Heal},
	}
	for _, addr := range nic.Addrs() {
		address := netip.AddrPortFrom(addr, 9000).String()
		for _, c := range cuts {
			t.Run(c.name+"/"+addr.String(), func(t *testing.T) {
				awaitEcho(t, ann, address)
				if err := c.cut(); err != nil {
					t.Fatal(err)
				}
				if err := tryEcho(ann, address); err == nil {
					t.Error("the echo was heard across the cut")
				}
				if err := c.mend(); err != nil {
					t.Fatal(err)
				}
				awaitEcho(t, ann, address)
			})
		}
	}
}

func TestFamilies(t *testing.T) {
	l := newLab(t)
	lan, err := l.NewLAN()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		family             lab.Family
		ipv4, ula, linkLoc bool
	}{{lab.Dual, true, true, true}, {lab.OnlyIPv4, true, false, false}, {lab.OnlyIPv6, false, true, true}} {
		hosts, err := l.Join(lan, c.family, fmt.Sprintf("host%d", c.family))
		if err != nil {
			t.Fatal(err)
		}
		var addrs []net.Addr
		if err := hosts[0].Do(func() error {
			dev, err := net.InterfaceByName("eth0")
			if err != nil {
				return err
			}
			addrs, err = dev.Addrs()
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var ipv4, ula, linkLoc bool
		for _, a := range addrs {
			p := netip.MustParsePrefix(a.String()).Addr()
			ipv4 = ipv4 || p.Is4()
			linkLoc = linkLoc || p.Is6() && p.IsLinkLocalUnicast()
			ula = ula || p.Is6() && p.IsPrivate()
		}
		if ipv4 != c.ipv4 || ula != c.ula || linkLoc != c.linkLoc {
			t.Errorf("family %d has the addresses %v", c.family, addrs)
		}
	}
}

func TestMulticastCrossesTheWireAndNotACut(t *testing.T) {
	l := newLab(t)
	lan, err := l.NewLAN()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := l.Join(lan, lab.Dual, "ann", "bob")
	if err != nil {
		t.Fatal(err)
	}
	cid, err := l.NewHost("cid")
	if err != nil {
		t.Fatal(err)
	}
	nic, err := cid.Attach(lan, "eth0", lab.Dual)
	if err != nil {
		t.Fatal(err)
	}
	const group = "224.0.0.251:5353"
	var listeners []*lab.Process
	for _, h := range []*lab.Host{hosts[1], cid} {
		p, err := h.Start(t.Context(), program("multicast", "eth0", group))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Await(within(t, 10*time.Second), said("listening")); err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, p)
	}
	say := func(what string) {
		t.Helper()
		err := hosts[0].Do(func() error {
			src, err := net.ResolveUDPAddr("udp", "10.77.0.1:0")
			if err != nil {
				return err
			}
			dst, err := net.ResolveUDPAddr("udp", group)
			if err != nil {
				return err
			}
			c, err := net.ListenUDP("udp4", src)
			if err != nil {
				return err
			}
			defer c.Close()
			// There is no route to multicast groups; the option names the adapter.
			raw, err := c.SyscallConn()
			if err != nil {
				return err
			}
			var optErr error
			if err := raw.Control(func(fd uintptr) {
				optErr = syscall.SetsockoptInet4Addr(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, [4]byte(src.IP.To4()))
			}); err != nil {
				return err
			}
			_, err = c.WriteTo([]byte(what), dst)
			return errors.Join(optErr, err)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	say("one")
	for _, p := range listeners {
		if _, err := p.Await(within(t, 5*time.Second), said("one")); err != nil {
			t.Error(err)
		}
	}
	if err := lan.Split(nic); err != nil {
		t.Fatal(err)
	}
	say("two")
	if _, err := listeners[0].Await(within(t, 5*time.Second), said("two")); err != nil {
		t.Error(err)
	}
	if err := lan.Heal(); err != nil {
		t.Fatal(err)
	}
	say("three")
	if _, err := listeners[1].Await(within(t, 5*time.Second), said("three")); err != nil {
		t.Error(err)
	}
	if strings.Contains(listeners[1].Stdout.String(), "two") {
		t.Error("multicast crossed the split")
	}
}

func TestAnAdapterToNowhereIsUpAndAnswersNobody(t *testing.T) {
	l := newLab(t)
	ann, err := l.NewHost("ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ann.AttachNowhere("docker0", netip.MustParsePrefix("172.17.0.1/16")); err != nil {
		t.Fatal(err)
	}
	if err := ann.Do(func() error {
		dev, err := net.InterfaceByName("docker0")
		if err == nil && dev.Flags&(net.FlagUp|net.FlagRunning|net.FlagMulticast) != net.FlagUp|net.FlagRunning|net.FlagMulticast {
			err = fmt.Errorf("its flags are %v", dev.Flags)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if err := tryEcho(ann, "172.17.0.2:9000"); err == nil {
		t.Error("somebody answered")
	}
	startEcho(t, ann, ":9000")
	awaitEcho(t, ann, "172.17.0.1:9000")
}

func TestALimitSlowsAndCountersCount(t *testing.T) {
	l := newLab(t)
	lan, err := l.NewLAN()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := l.Join(lan, lab.OnlyIPv4, "ann")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := l.NewHost("bob")
	if err != nil {
		t.Fatal(err)
	}
	nic, err := bob.Attach(lan, "eth0", lab.OnlyIPv4)
	if err != nil {
		t.Fatal(err)
	}
	startEcho(t, bob, ":9000")
	const size = 1 << 20
	transfer := func() (took time.Duration, counted lab.Counters) {
		t.Helper()
		before, err := nic.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if err := hosts[0].Do(func() error {
			c, err := net.DialTimeout("tcp", netip.AddrPortFrom(nic.Addrs()[0], 9000).String(), time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			begin := time.Now()
			sent := make(chan error, 1)
			go func() {
				_, err := c.Write(make([]byte, size))
				sent <- err
			}()
			_, err = io.CopyN(io.Discard, c, size)
			took = time.Since(begin)
			return errors.Join(err, <-sent)
		}); err != nil {
			t.Fatal(err)
		}
		after, err := nic.Counters()
		if err != nil {
			t.Fatal(err)
		}
		return took, after.Sub(before)
	}

	// A busy machine may be slow for once, but not every time.
	unlimited := func(when string) {
		t.Helper()
		var took time.Duration
		for range 5 {
			if took, _ = transfer(); took < 400*time.Millisecond {
				return
			}
		}
		t.Errorf("1 MiB took %v %s", took, when)
	}
	unlimited("without a limit")
	if err := nic.Limit(16_000_000); err != nil { // 1 MiB is 8.4 Mbit
		t.Fatal(err)
	}
	took, counted := transfer()
	if took < 400*time.Millisecond {
		t.Errorf("1 MiB each way took %v at 16 Mbit/s", took)
	}
	if counted.RxBytes < size || counted.TxBytes < size || counted.RxPackets == 0 || counted.TxPackets == 0 {
		t.Errorf("1 MiB each way was counted as %+v", counted)
	}
	if err := nic.Limit(0); err != nil {
		t.Fatal(err)
	}
	unlimited("after the limit was lifted")
}

func TestACaptureHoldsWhatCrossedTheWire(t *testing.T) {
	l := newLab(t)
	lan, err := l.NewLAN()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := l.Join(lan, lab.Dual, "ann", "bob")
	if err != nil {
		t.Fatal(err)
	}
	startEcho(t, hosts[1], ":9000")
	file := filepath.Join(t.TempDir(), "wire.pcap")
	capture, err := lan.Capture(file)
	if err != nil {
		t.Fatal(err)
	}
	awaitEcho(t, hosts[0], "10.77.0.2:9000")
	if err := capture.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(data, []byte("hello")); n != 2 {
		t.Errorf("the word went there and back and was captured %d times", n)
	}
	if capture.Frames() < 6 {
		t.Errorf("a TCP conversation was captured in %d frames", capture.Frames())
	}
	// A pcap file is a header of 24 bytes and then, for each frame, 16 bytes of
	// which bytes 8 to 11 are the frame's length, and the frame.
	records := 0
	for rest := data[24:]; len(rest) > 0; records++ {
		rest = rest[16+binary.LittleEndian.Uint32(rest[8:]):]
	}
	if records != capture.Frames() {
		t.Errorf("the file holds %d frames of %d", records, capture.Frames())
	}
}
