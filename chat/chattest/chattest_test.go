package chattest

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	seeds = flag.Uint64("chattest.seeds", 50, "how many seeds to play")
	seed  = flag.Uint64("chattest.seed", 0, "play only this seed, and write its trace to standard error")
)

func TestEverybodyHoldsTheSameInTheEnd(t *testing.T) {
	if *seed != 0 {
		if r := Run(Config{Seed: *seed, Trace: os.Stderr}); r.Err != nil {
			t.Error(r.Err)
		}
		return
	}
	var healed []time.Duration
	messages, sessions := 0, 0
	for s := uint64(1); s <= *seeds; s++ {
		first, again := Run(Config{Seed: s}), Run(Config{Seed: s})
		if first.Trace != again.Trace || first.Events != again.Events {
			t.Errorf("seed %d does not replay: %d and %d events", s, first.Events, again.Events)
		}
		if first.Err != nil {
			t.Errorf("seed %d: %v\nreplay: go test ./chat/chattest -run EverybodyHolds -chattest.seed %d", s, first.Err, s)
		}
		if first.Messages < 30 {
			t.Errorf("seed %d: only %d entries were made", s, first.Messages)
		}
		healed = append(healed, first.Healed)
		messages += first.Messages
		sessions += first.Sessions
	}
	slices.Sort(healed)
	t.Logf("%d seeds, %d entries, %d sessions; healed within: median %v, worst %v",
		*seeds, messages, sessions, healed[len(healed)/2], healed[len(healed)-1])
}

// A simulation that can't fail proves nothing: each defect must be seen.
func TestTheSimulationSeesWhatIsBroken(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"no catch-up":       {Config{NoCatchUp: true, Heal: 2 * time.Minute}, "do not agree"},
		"a forgetful store": {Config{ForgetfulStore: true, Heal: 2 * time.Minute}, ""},
		"no deduplication":  {Config{NoDedup: true, Heal: 2 * time.Minute}, "twice"},
	} {
		seen := 0
		for s := uint64(1); s <= 25; s++ {
			c.cfg.Seed = s
			if err := Run(c.cfg).Err; err != nil && strings.Contains(err.Error(), c.says) {
				seen++
			}
		}
		if seen < 3 {
			t.Errorf("%s: noticed in %d of 25 seeds", name, seen)
		}
	}
}

func TestAnotherSeedIsAnotherStory(t *testing.T) {
	if Run(Config{Seed: 1}).Trace == Run(Config{Seed: 2}).Trace {
		t.Error("two seeds give one trace")
	}
}

func TestTheTraceIsWhatIsHashed(t *testing.T) {
	var a, b bytes.Buffer
	ra, rb := Run(Config{Seed: 3, Trace: &a}), Run(Config{Seed: 3, Trace: &b})
	if !bytes.Equal(a.Bytes(), b.Bytes()) || ra.Trace != rb.Trace {
		t.Error("the same seed gives two traces")
	}
	if n := bytes.Count(a.Bytes(), []byte("\n")); n != ra.Events {
		t.Errorf("%d lines for %d events", n, ra.Events)
	}
}
