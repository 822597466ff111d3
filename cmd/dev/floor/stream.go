package floor

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

const pingProtocol = "/floor/ping/1"

// Stream is one end of a ping-pong over one bare stream between two hosts:
// number 0 answers until ctx ends, number 1 sends count pings of size bytes,
// one every interval.
func Stream(ctx context.Context, out io.Writer, hosts []string, self, count, size int, interval time.Duration) error {
	if len(hosts) != 2 || size < 16 {
		return errors.New("a ping-pong needs two hosts and 16 bytes")
	}
	h, err := newHost(hosts, self)
	if err != nil {
		return err
	}
	defer h.Close()
	if self == 0 {
		h.SetStreamHandler(pingProtocol, func(s network.Stream) { answer(s, size) })
		if err := emit(out, Stage{Stage: Listening}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	id, err := connect(ctx, h, hosts, 0)
	if err != nil {
		return err
	}
	s, err := h.NewStream(ctx, id, pingProtocol)
	if err != nil {
		return err
	}
	if err := emit(out, Stage{Stage: Connected}); err != nil {
		return err
	}
	var r Result
	ping := make([]byte, size)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for range count {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		sent := time.Now()
		if _, err := s.Write(ping); err != nil {
			return err
		}
		if _, err := io.ReadFull(s, ping); err != nil {
			return err
		}
		r.RoundTrip = append(r.RoundTrip, time.Since(sent))
		// The answer carries when the ping was received, by the same clock.
		arrived := time.Unix(0, int64(binary.BigEndian.Uint64(ping)))
		r.OneWay = append(r.OneWay, arrived.Sub(sent.Round(0)))
		r.Received++
	}
	return emit(out, Stage{Stage: Done, Result: &r})
}

// answer sends every ping back with the time it was received.
func answer(s network.Stream, size int) {
	defer s.Close()
	ping := make([]byte, size)
	for {
		if _, err := io.ReadFull(s, ping); err != nil {
			return
		}
		binary.BigEndian.PutUint64(ping, uint64(time.Now().UnixNano()))
		if _, err := s.Write(ping); err != nil {
			return
		}
	}
}
