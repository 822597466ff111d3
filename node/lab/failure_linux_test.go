package lab_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"earshot/node/lab"
)

func TestSIGTERMStopsWithinTwoSeconds(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	sent := ann.poster().sendMany(t, 200, func(i int) string { return fmt.Sprintf("busy %d", i) })
	took := ann.stop()
	t.Logf("it took %v", took)
	if took > 2*time.Second {
		t.Errorf("SIGTERM took %v", took)
	}
	if code, err := ann.daemon.Wait(t.Context()); code != 0 || err != nil {
		t.Errorf("exit code %d, %v\n%s", code, err, ann.daemon.Stderr.String())
	}
	// What was confirmed before is kept.
	ann.start()
	ann.holds(sent)
}

func TestKillDuringSendsLosesNoConfirmedMessage(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	var confirmed []string
	for round := range 3 {
		var mu sync.Mutex
		inRound := 0
		enough := make(chan struct{})
		killed := make(chan struct{})
		var wait sync.WaitGroup
		// Half the senders are scripts and half are faces that stay.
		post := ann.poster()
		for sender := range 6 {
			wait.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-killed:
						return
					default:
					}
					text := fmt.Sprintf("round %d sender %d number %d", round, sender, i)
					var id string
					if sender%2 == 0 {
						r, err := ann.host.Run(t.Context(), ann.command("send", lobby, text))
						if err != nil || r.Code != 0 {
							return // it was not confirmed
						}
						id = strings.TrimSpace(r.Stdout)
					} else {
						var err error
						if id, err = post.send(t.Context(), text); err != nil {
							return
						}
					}
					mu.Lock()
					confirmed = append(confirmed, id)
					if inRound++; inRound == 100 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(20 * time.Second):
			t.Error("100 messages were not confirmed within 20 s")
		}
		ann.kill()
		close(killed)
		wait.Wait()
		ann.start()
		ann.holds(confirmed)
	}
	t.Logf("%d messages were confirmed", len(confirmed))
	meet(10*time.Second, ann, bob)
	eventually(t, 15*time.Second, "bob has what ann has", func() bool { return len(bob.history()) == len(ann.history()) })
	bob.holds(confirmed)
	agree(ann, bob)
}

// A machine that has other work, too, may take twice the time; `go run ./cmd/dev bench`
// measures it.
func TestADepartedPeerIsShownGone(t *testing.T) {
	depart := func(t *testing.T, limit time.Duration, leave func(bob *station)) {
		w := newWorld(t)
		ann, bob, cat := w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cat", lab.Dual)
		meet(soon, ann, bob, cat)
		begin := time.Now()
		leave(bob)
		for _, s := range []*station{ann, cat} {
			took := s.sees(bob, false, soon).Sub(begin)
			t.Logf("%s saw it after %v", s.name, took)
			if took > 2*limit {
				t.Errorf("it took %v and is to take %v", took, limit)
			}
		}
	}
	t.Run("after a clean exit at once", func(t *testing.T) {
		depart(t, time.Second, func(bob *station) { bob.stop() })
	})
	t.Run("after kill -9 within 5 s", func(t *testing.T) {
		depart(t, 5*time.Second, func(bob *station) { bob.kill() })
	})
	t.Run("after its cable was pulled within 15 s", func(t *testing.T) {
		depart(t, 15*time.Second, func(bob *station) {
			if err := bob.nic.Unplug(); err != nil {
				bob.t.Fatal(err)
			}
		})
	})
}

func TestACrashedNodeComesBackOnAnotherPort(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	old := bob.port
	bob.kill()
	ann.send("said while bob was down")
	startEcho(t, bob.host, fmt.Sprintf(":%d", old)) // somebody else takes the port
	bob.start()
	if bob.port == old || bob.port == 0 {
		t.Fatalf("bob listens on port %d, which is taken", bob.port)
	}
	// Who is back so soon was never gone to see.
	meet(10*time.Second, ann, bob)
	eventually(t, 30*time.Second, "bob reads what was said", func() bool { return len(bob.history()) == 1 })
	bob.send("back again")
	ann.hears("back again", 10*time.Second)
	agree(ann, bob)
}

func TestAnUnpluggedLinkHeals(t *testing.T) {
	pull := func(t *testing.T, cut func(*lab.NIC) error) {
		w := newWorld(t)
		ann := w.station("ann", lab.Dual)
		bob := w.station("bob", lab.Dual)
		meet(5*time.Second, ann, bob)
		if err := cut(bob.nic); err != nil {
			t.Fatal(err)
		}
		ann.send("ann, while the link is cut")
		bob.send("bob, while the link is cut")
		ann.sees(bob, false, 17*time.Second)
		bob.sees(ann, false, 17*time.Second)
		if err := bob.nic.Plug(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		meet(15*time.Second, ann, bob)
		_, at := bob.hears("ann, while the link is cut", 5*time.Second)
		ann.hears("bob, while the link is cut", 5*time.Second)
		t.Logf("healed %v after the link was back", at.Sub(begin))
		agree(ann, bob)
	}
	t.Run("unplugged at the switch", func(t *testing.T) { pull(t, (*lab.NIC).Unplug) })
	t.Run("unplugged where the host cannot tell", func(t *testing.T) {
		if !*long {
			t.Skip("takes half a minute; run with -lab.long")
		}
		pull(t, (*lab.NIC).Silence)
	})
}

func TestAPartitionHeals(t *testing.T) {
	partition := func(t *testing.T, hold, patience time.Duration) {
		w := newWorld(t)
		all := []*station{w.station("ann", lab.Dual), w.station("bob", lab.Dual), w.station("cid", lab.Dual), w.station("dan", lab.Dual)}
		left, right := all[:2], all[2:]
		meet(5*time.Second, all...)
		if err := w.lan.Split(right[0].nic, right[1].nic); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for _, side := range [][]*station{left, right} {
			side[0].send("only " + side[0].name + "'s side hears this")
			side[1].hears("only "+side[0].name+"'s side hears this", 2*time.Second)
		}
		for _, s := range left {
			for _, other := range right {
				s.sees(other, false, 17*time.Second)
				other.sees(s, false, 17*time.Second)
			}
		}
		time.Sleep(hold - time.Since(begin)) // the partition itself lasts; there is nothing to await
		if err := w.lan.Heal(); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		meet(patience, all...)
		t.Logf("all saw all %v after the wire was whole again", time.Since(begin))
		eventually(t, 5*time.Second, "everybody has both messages", func() bool {
			for _, s := range all {
				if len(s.history()) != 2 {
					return false
				}
			}
			return true
		})
		agree(all...)
	}
	t.Run("noticed just now", func(t *testing.T) { partition(t, 0, 15*time.Second) })
	t.Run("for three minutes", func(t *testing.T) {
		if !*long {
			t.Skip("takes minutes; run with -lab.long")
		}
		// Dials back off while nobody answers, to half a minute for who was lost.
		partition(t, 3*time.Minute, 45*time.Second)
	})
}

func TestASleepingLaptopCatchesUp(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	// Neither the program nor the machine below it does anything.
	if err := bob.daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := bob.nic.Silence(); err != nil {
		t.Fatal(err)
	}
	ann.sees(bob, false, 15*time.Second)
	wakeAndCatchUp(t, ann, bob)
}

func TestAHangingProgramIsShownGoneAndCatchesUp(t *testing.T) {
	if !*long {
		t.Skip("takes a minute and a half; run with -lab.long")
	}
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	if err := bob.daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ann.sees(bob, false, 100*time.Second)
	wakeAndCatchUp(t, ann, bob)
}

// wakeAndCatchUp has ann say something while bob hears nothing, and wakes him.
func wakeAndCatchUp(t *testing.T, ann, bob *station) {
	t.Helper()
	sent := ann.poster().sendMany(t, 100, func(i int) string { return fmt.Sprintf("while bob sleeps %d", i) })
	if err := bob.nic.Plug(); err != nil {
		t.Fatal(err)
	}
	if err := bob.daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	ann.sees(bob, true, 15*time.Second)
	eventually(t, 10*time.Second, "bob has what was said", func() bool { return len(bob.history()) == len(sent) })
	t.Logf("bob had caught up %v after he woke", time.Since(begin))
	bob.holds(sent)
	agree(ann, bob)
}
