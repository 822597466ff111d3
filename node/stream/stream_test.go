package stream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"earshot/chat"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const testProtocol protocol.ID = "/earshot/test/1"

// pair returns two connected hosts on loopback, where the second one serves
// testProtocol with handler.
func pair(t testing.TB, o Options, handler func(*Stream)) (client, server host.Host) {
	t.Helper()
	hosts := make([]host.Host, 2)
	for i := range hosts {
		h, err := libp2p.New(
			libp2p.NoListenAddrs,
			libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()),
			libp2p.Security(noise.ID, noise.New),
			libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ForceReachabilityPrivate(), libp2p.DisableIdentifyAddressDiscovery())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		hosts[i] = h
	}
	if handler != nil {
		Handle(hosts[1], testProtocol, o, handler)
	}
	for _, h := range hosts {
		if err := h.Network().Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
			t.Fatal(err)
		}
	}
	if err := hosts[0].Connect(t.Context(), peer.AddrInfo{ID: hosts[1].ID(), Addrs: hosts[1].Addrs()}); err != nil {
		t.Fatal(err)
	}
	return hosts[0], hosts[1]
}

func open(t testing.TB, from, to host.Host, o Options) *Stream {
	t.Helper()
	s, err := Open(t.Context(), from, to.ID(), testProtocol, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Reset(ReasonDone) })
	return s
}

func send(t testing.TB, s *Stream, frame []byte) {
	t.Helper()
	if err := s.Send(t.Context(), frame); err != nil {
		t.Fatal(err)
	}
}

// echo sends back what it receives, until the other side closes its half.
func echo(s *Stream) {
	for {
		frame, err := s.Receive()
		if err != nil {
			return
		}
		if s.Send(context.Background(), frame) != nil {
			return
		}
	}
}

func TestRequestAndReply(t *testing.T) {
	client, server := pair(t, Options{}, echo)
	s := open(t, client, server, Options{})
	sizes := []int{1, 200, 4 << 10, batch - headerSize, batch, chat.MaxFrame}
	for i, n := range sizes {
		send(t, s, bytes.Repeat([]byte{byte(i + 1)}, n))
	}
	for i, n := range sizes {
		got, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, bytes.Repeat([]byte{byte(i + 1)}, n)) {
			t.Fatalf("reply %d has %d bytes, want %d of %d", i, len(got), n, i+1)
		}
	}
	if s.Inbound() || s.Peer() != server.ID() {
		t.Errorf("inbound %v, peer %s", s.Inbound(), s.Peer())
	}
}

// After CloseSend the other side reads the rest and a clean end, and can answer.
func TestHalfClose(t *testing.T) {
	client, server := pair(t, Options{}, func(s *Stream) {
		total := 0
		for {
			frame, err := s.Receive()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Errorf("receiving: %v", err)
				return
			}
			total += len(frame)
		}
		if err := s.Send(context.Background(), fmt.Append(nil, total)); err != nil {
			t.Error(err)
		}
	})
	s := open(t, client, server, Options{Queue: 8})
	for range 100 {
		send(t, s, make([]byte, 1000))
	}
	if err := s.CloseSend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), []byte{1}); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after CloseSend = %v, want ErrClosed", err)
	}
	got, err := s.Receive()
	if err != nil || string(got) != "100000" {
		t.Fatalf("answer %q, %v, want 100000", got, err)
	}
	if _, err := s.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("Receive at the end = %v, want io.EOF", err)
	}
}

// A peer that reads nothing costs a bounded queue and never blocks TrySend.
func TestTrySendNeverBlocks(t *testing.T) {
	quit := make(chan struct{})
	client, server := pair(t, Options{}, func(*Stream) { <-quit })
	defer close(quit)
	s := open(t, client, server, Options{Queue: 4})
	frame := make([]byte, chat.MaxFrame)
	full := false
	for range 1000 { // 64 MB, above yamux's and the kernel's buffers
		if !s.TrySend(frame) {
			full = true
			break
		}
		// Give the writer its chance: only a queue it cannot drain is full.
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := s.Send(ctx, frame)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			full = true
			break
		}
	}
	if !full {
		t.Fatal("a peer that reads nothing takes frames without end")
	}
	if len(s.slots) != 4 {
		t.Errorf("%d frames are queued, want 4", len(s.slots))
	}
	if s.TrySend([]byte{1}) {
		t.Error("TrySend took a frame into a full queue")
	}
}

func TestForbiddenLengthsAreNotSent(t *testing.T) {
	client, server := pair(t, Options{}, echo)
	s := open(t, client, server, Options{})
	for _, n := range []int{0, chat.MaxFrame + 1} {
		if err := s.Send(t.Context(), make([]byte, n)); !errors.Is(err, ErrFrame) {
			t.Errorf("Send of %d bytes = %v, want ErrFrame", n, err)
		}
		if s.TrySend(make([]byte, n)) {
			t.Errorf("TrySend took %d bytes", n)
		}
	}
}

// A length above the bound resets the stream and tells the stranger why.
func TestOversizeFromAStrangerIsAProtocolViolation(t *testing.T) {
	result := make(chan error, 1)
	client, server := pair(t, Options{}, func(s *Stream) {
		_, err := s.Receive()
		result <- err
	})
	raw, err := client.NewStream(t.Context(), server.ID(), testProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Write(binary.BigEndian.AppendUint32(nil, 1<<31)); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrFrame) {
		t.Errorf("Receive = %v, want ErrFrame", err)
	}
	_, err = io.ReadAll(raw)
	if why, ok := ReasonOf(err); !ok || why != ReasonProtocol {
		t.Errorf("the stranger sees %v (%v, %v), want ReasonProtocol", err, why, ok)
	}
}

func TestResetTellsTheReason(t *testing.T) {
	client, server := pair(t, Options{}, func(s *Stream) {
		if _, err := s.Receive(); err != nil {
			t.Error(err)
		}
		s.Reset(ReasonRate)
		s.Reset(ReasonRate)
		if err := s.Send(context.Background(), []byte{1}); !errors.Is(err, ErrClosed) {
			t.Errorf("Send after Reset = %v, want ErrClosed", err)
		}
	})
	s := open(t, client, server, Options{})
	send(t, s, []byte("hello"))
	_, err := s.Receive()
	if why, ok := ReasonOf(err); !ok || why != ReasonRate {
		t.Fatalf("Receive = %v (%v, %v), want ReasonRate", err, why, ok)
	}
}

func TestIdleStreamTimesOut(t *testing.T) {
	result := make(chan error, 1)
	client, server := pair(t, Options{Idle: 50 * time.Millisecond}, func(s *Stream) {
		if _, err := s.Receive(); err != nil {
			t.Error(err)
		}
		_, err := s.Receive()
		result <- err
	})
	s := open(t, client, server, Options{})
	send(t, s, []byte("the only frame"))
	var timeout interface{ Timeout() bool }
	if err := <-result; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("Receive = %v, want a timeout", err)
	}
}

func TestOpenDoesNotDial(t *testing.T) {
	client, server := pair(t, Options{}, echo)
	if err := client.Network().ClosePeer(server.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), client, server.ID(), testProtocol, Options{}); !errors.Is(err, ErrNotConnected) {
		t.Fatalf("Open = %v, want ErrNotConnected", err)
	}
}

func TestOpenOfUnknownProtocolFails(t *testing.T) {
	client, server := pair(t, Options{}, nil)
	if s, err := Open(t.Context(), client, server.ID(), testProtocol, Options{}); err == nil {
		s.Reset(ReasonDone)
		t.Fatal("opened a protocol that nobody serves")
	}
}

// A connection that dies ends both directions of its streams.
func TestDeadConnectionEndsTheStream(t *testing.T) {
	client, server := pair(t, Options{}, echo)
	s := open(t, client, server, Options{})
	send(t, s, []byte("hello"))
	if _, err := s.Receive(); err != nil {
		t.Fatal(err)
	}
	if err := server.Network().ClosePeer(client.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(); err == nil {
		t.Error("Receive succeeds on a dead connection")
	}
	for s.Send(t.Context(), []byte("into the void")) == nil {
		if client.Network().Connectedness(server.ID()) == network.Connected {
			continue
		}
		select {
		case <-s.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("the writer outlives the connection")
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 1, 42})
	f.Add([]byte{0, 0, 0, 2, 42})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 1, 0, 0})
	f.Add([]byte{0, 1, 0, 1})
	f.Add(appendFrame(appendFrame(nil, []byte("one")), []byte("two")))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), 16)
		var out []byte
		for {
			announced := 0
			frame, err := readFrame(r, func(n int) error { announced = n; return nil })
			if err != nil {
				if announced > chat.MaxFrame {
					t.Fatalf("was about to allocate %d bytes", announced)
				}
				break
			}
			if len(frame) == 0 || len(frame) != announced || len(frame) > chat.MaxFrame {
				t.Fatalf("a frame of %d bytes, %d announced", len(frame), announced)
			}
			out = appendFrame(out, frame)
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatal("frames read differ from the bytes that held them")
		}
	})
}
