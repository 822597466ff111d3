package chattest

import (
	"bytes"
	"flag"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seeds = flag.Uint64("chattest.seeds", 200, "how many schedules to play")
	seed  = flag.Uint64("chattest.seed", 0, "play only this seed's schedule, and write its trace to standard error")
)

// playAll plays schedules on all cores and returns what came of them, by seed.
func playAll(configs []Config) []Result {
	out := make([]Result, len(configs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				out[i] = Run(configs[i])
			}
		})
	}
	for i := range configs {
		next <- i
	}
	close(next)
	wg.Wait()
	return out
}

func TestEverybodyHoldsTheSameInTheEnd(t *testing.T) {
	if *seed != 0 {
		cfg := Schedule(*seed)
		cfg.Trace = os.Stderr
		if r := Run(cfg); r.Err != nil {
			t.Error(r.Err)
		}
		return
	}
	n := *seeds
	if testing.Short() {
		n = min(n, 40)
	}
	var configs []Config
	for s := uint64(1); s <= n; s++ {
		configs = append(configs, Schedule(s))
	}
	results := playAll(configs)
	var healed []time.Duration
	messages, sessions := 0, 0
	for i, r := range results {
		if r.Err != nil {
			t.Errorf("seed %d: %v\nreplay: go run ./cmd/dev schedules -seed %d -n 1 -v", i+1, r.Err, i+1)
		}
		if r.Messages < 10 {
			t.Errorf("seed %d: only %d entries were made", i+1, r.Messages)
		}
		healed = append(healed, r.Healed)
		messages += r.Messages
		sessions += r.Sessions
	}
	slices.Sort(healed)
	t.Logf("%d schedules, %d entries, %d sessions; healed within: median %v, worst %v",
		n, messages, sessions, healed[len(healed)/2], healed[len(healed)-1])
	for i, again := range playAll(configs[:min(len(configs), 20)]) {
		if again.Trace != results[i].Trace || again.Events != results[i].Events {
			t.Errorf("seed %d does not replay: %d and %d events", i+1, results[i].Events, again.Events)
		}
	}
}

// A simulation that can't fail proves nothing: each defect must be seen.
func TestTheSimulationSeesWhatIsBroken(t *testing.T) {
	for name, c := range map[string]struct {
		broken Config
		says   string
	}{
		"no catch-up":             {Config{NoCatchUp: true}, "do not agree"},
		"a forgetful store":       {Config{ForgetfulStore: true}, ""},
		"no deduplication":        {Config{NoDedup: true}, "twice"},
		"keys that are not kept":  {Config{ForgetfulKeys: true}, ""},
		"rooms named to all":      {Config{NoSecrets: true}, "which was never in it"},
		"entries not verified":    {Config{Gullible: true, Liar: true}, ""},
		"the order of arrival":    {Config{OrderOfArrival: true}, "shows another order"},
		"removed members are fed": {Config{DeafToRemoval: true}, ""},
		"payloads not asked for":  {Config{Incurious: true, Liar: true}, "does not read"},
		"held before stored":      {Config{Boastful: true}, "it never got beyond"},
		"states not compared":     {Config{Incomparable: true}, "believes that"},
		"anybody may remove":      {Config{Obedient: true}, "for somebody who may not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := 0
			for s := uint64(1); s <= 100 && seen < 3; s++ {
				cfg := c.broken
				cfg.Seed, cfg.Heal, cfg.Devices = s, 2*time.Minute, 3+int(s)%5
				if err := Run(cfg).Err; err != nil && strings.Contains(err.Error(), c.says) {
					seen++
				}
			}
			if seen < 3 {
				t.Errorf("noticed in %d of 100 schedules", seen)
			}
		})
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
