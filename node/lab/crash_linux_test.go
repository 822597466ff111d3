package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Promises about nodes that die at any instant, kept by real processes.

// all is everything that the person can read in a room, oldest first.
func (s *station) all(id string) (out []message) {
	s.t.Helper()
	lines := json.NewDecoder(strings.NewReader(s.run(s.command("history", id, "-n", "100000", "--json"))))
	for {
		var m message
		err := lines.Decode(&m)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			s.t.Fatalf("%s: earshot history printed what is not JSON: %v", s.name, err)
		}
		out = append(out, m)
	}
}

// A script says things in a room from several goroutines, one after the other each,
// whatever happens to the node: what was not confirmed is said again, under the same
// client id, once the node is back.
type script struct {
	room      string
	confirmed atomic.Int64
	pause     sync.RWMutex // held while the node is away
	post      *poster

	mu  sync.Mutex
	ids map[string]string // of what was confirmed, by text
}

// say ends when the text is confirmed. A confirmation once given must be the same ever
// after.
func (s *script) say(ctx context.Context, text string) error {
	for ctx.Err() == nil {
		s.pause.RLock()
		post := s.post
		s.pause.RUnlock()
		var m message
		err := post.do(ctx, http.MethodPost, "/rooms/"+s.room+"/messages", map[string]string{"text": text, "client_id": text}, &m)
		if refused := (*refusal)(nil); errors.As(err, &refused) && !strings.Contains(string(refused.answer), `"stopping"`) {
			return err
		}
		if err != nil {
			continue // it was killed
		}
		s.mu.Lock()
		s.ids[text] = m.ID
		s.mu.Unlock()
		s.confirmed.Add(1)
		return nil
	}
	return ctx.Err()
}

// It is killed again and again while it sends, and so is one of those who receive.
func TestKillsWhileSendingInASealedRoomLoseAndDoubleNothing(t *testing.T) {
	_, ann, bob, eve, id := three(t)
	const wanted, senders = 1000, 5
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := &script{room: id, post: ann.poster(), ids: map[string]string{}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	errs := make([]error, senders)
	var wait sync.WaitGroup
	for sender := range senders {
		wait.Go(func() {
			for i := 0; i < wanted/senders && errs[sender] == nil; i++ {
				errs[sender] = s.say(ctx, fmt.Sprintf("sender %d number %03d", sender, i))
			}
		})
	}
	begin := time.Now()
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	kills := 0
	for running := true; running; {
		// At an instant of chance, but not before something new was confirmed.
		enough := s.confirmed.Load() + 1 + random.Int64N(60)
		for s.confirmed.Load() < enough && running {
			select {
			case <-done:
				running = false
			case <-time.After(time.Duration(random.IntN(3000)) * time.Microsecond):
			}
		}
		if !running {
			break
		}
		kills++
		s.pause.Lock()
		ann.kill()
		if kills%3 == 0 {
			bob.kill()
			bob.start()
		}
		ann.start()
		s.post = ann.poster()
		s.pause.Unlock()
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages were confirmed in %v, and %d times ann was killed meanwhile", s.confirmed.Load(), time.Since(begin), kills)
	if kills < 10 {
		t.Errorf("ann was killed only %d times", kills)
	}
	want := ann.all(id)
	said := map[string]string{}
	for _, m := range want {
		if strings.HasPrefix(m.Text, "sender ") {
			if said[m.Text] != "" {
				t.Errorf("%q stands there twice", m.Text)
			}
			said[m.Text] = m.ID
		}
	}
	lost := 0
	for text, id := range s.ids {
		if said[text] != id {
			lost++
		}
	}
	if lost > 0 || len(said) != wanted {
		t.Errorf("of %d messages %d are there, and %d of those confirmed are not, or are others", wanted, len(said), lost)
	}
	begin = time.Now()
	for _, other := range []*station{bob, eve} {
		eventually(t, 60*time.Second, other.name+" reads all", func() bool { return len(other.all(id)) >= len(want) })
		t.Logf("%s had all after %v", other.name, time.Since(begin))
		if got := other.all(id); !slices.Equal(ids(got), ids(want)) || !slices.Equal(texts(got), texts(want)) {
			t.Errorf("%s reads %d messages and ann %d, or in another order", other.name, len(got), len(want))
		}
	}
}
