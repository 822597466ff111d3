package stream

import (
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
)

const pingSize = 200 // bytes: a short message with its envelope

// BenchmarkFloor is what a bare go-libp2p stream needs for there and back: 200
// bytes over loopback with Noise and yamux.
func BenchmarkFloor(b *testing.B) {
	client, server := pair(b, Options{}, nil)
	server.SetStreamHandler(testProtocol, func(s network.Stream) {
		buf := make([]byte, pingSize)
		for {
			if _, err := io.ReadFull(s, buf); err != nil {
				return
			}
			if _, err := s.Write(buf); err != nil {
				return
			}
		}
	})
	s, err := client.NewStream(b.Context(), server.ID(), testProtocol)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Reset()
	buf := make([]byte, pingSize)
	for b.Loop() {
		if _, err := s.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(s, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPingPong is the same with frames and a Stream on both sides.
func BenchmarkPingPong(b *testing.B) {
	client, server := pair(b, Options{}, echo)
	s := open(b, client, server, Options{})
	frame := make([]byte, pingSize)
	for b.Loop() {
		send(b, s, frame)
		if _, err := s.Receive(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkThroughput sends one way as fast as Send lets it.
func BenchmarkThroughput(b *testing.B) {
	received := make(chan struct{})
	client, server := pair(b, Options{}, func(s *Stream) {
		defer close(received)
		for {
			if _, err := s.Receive(); err != nil {
				return
			}
		}
	})
	s := open(b, client, server, Options{})
	frame := make([]byte, pingSize)
	b.SetBytes(pingSize)
	for b.Loop() {
		send(b, s, frame)
	}
	if err := s.CloseSend(b.Context()); err != nil {
		b.Fatal(err)
	}
	<-received
}
