package floor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// Linux has all of 127.0.0.0/8 on its loopback interface.
var hosts = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}

// awaitStage reads the program's next line, which must say this.
func awaitStage(t *testing.T, lines *bufio.Scanner, want string) Stage {
	t.Helper()
	if !lines.Scan() {
		t.Fatal("the program ended early:", lines.Err())
	}
	var s Stage
	if err := json.Unmarshal(lines.Bytes(), &s); err != nil || s.Stage != want {
		t.Fatalf("got %s, %v; want stage %q", lines.Bytes(), err, want)
	}
	return s
}

func sane(t *testing.T, what string, ds []time.Duration) {
	t.Helper()
	for _, d := range ds {
		if d <= 0 || d > 5*time.Second {
			t.Fatalf("%s of %v on the loopback interface", what, d)
		}
	}
}

func TestStreamMeasuresEveryPing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	var group errgroup.Group
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	start := func(self int) *bufio.Scanner {
		r, w := io.Pipe()
		group.Go(func() error {
			defer w.Close()
			return Stream(ctx, w, hosts[:2], self, 20, 200, time.Millisecond)
		})
		return bufio.NewScanner(r)
	}
	awaitStage(t, start(0), Listening)
	pinger := start(1)
	awaitStage(t, pinger, Connected)
	r := awaitStage(t, pinger, Done).Result
	if r.Received != 20 || len(r.OneWay) != 20 || len(r.RoundTrip) != 20 {
		t.Fatalf("got %+v", r)
	}
	sane(t, "one way", r.OneWay)
	sane(t, "round trip", r.RoundTrip)
}

func TestGossipReachesEveryNode(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	begin := make(chan struct{})
	var group errgroup.Group
	t.Cleanup(func() {
		cancel()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
	var nodes []*bufio.Scanner
	for self := range hosts {
		r, w := io.Pipe()
		group.Go(func() error {
			defer w.Close()
			return Gossip(ctx, w, begin, hosts, self, 2, 50, 200, time.Millisecond)
		})
		lines := bufio.NewScanner(r)
		awaitStage(t, lines, Listening)
		nodes = append(nodes, lines)
	}
	for _, lines := range nodes {
		awaitStage(t, lines, Connected)
	}
	close(begin)
	for i, lines := range nodes {
		r := awaitStage(t, lines, Done).Result
		want := 100
		if i < 2 {
			want = 50
		}
		if r.Received != want || len(r.OneWay) != want || !r.Ended.After(r.Began) {
			t.Errorf("node %d received %d from others, want %d", i, r.Received, want)
		}
		sane(t, "one way", r.OneWay)
	}
}
