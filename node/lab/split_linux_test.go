package lab_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"earshot/node/lab"
)

// Two times three hosts go on by themselves, in the open and in a private room, and
// when the wire is whole again everybody holds everything, in one order.
func TestASplitOfTwoTimesThreeHeals(t *testing.T) {
	w := newWorld(t)
	var all []*station
	for _, name := range []string{"ann", "bob", "cid", "dan", "eve", "fay"} {
		all = append(all, w.station(name, lab.Dual))
	}
	left, right := all[:3], all[3:]
	meet(15*time.Second, all...)
	id := all[0].create("bridge", "all")
	for _, s := range all[1:] {
		befriend(all[0], s)
		all[0].takeIn(id, s)
	}
	all[0].says(id, "together")
	for _, s := range all {
		s.comesToRead(id, "together", 15*time.Second)
	}

	if err := w.lan.Split(right[0].nic, right[1].nic, right[2].nic); err != nil {
		t.Fatal(err)
	}
	want := []string{"together"}
	apart := func(when string) {
		for _, side := range [][]*station{left, right} {
			for _, s := range side {
				text := s.name + ", " + when
				s.send(text + ", in the open")
				s.says(id, text)
				want = append(want, text)
			}
			for _, s := range side {
				for _, other := range side {
					s.comesToRead(id, other.name+", "+when, 15*time.Second)
				}
			}
		}
	}
	apart("not knowing yet")
	for _, s := range left {
		for _, other := range right {
			s.sees(other, false, 20*time.Second)
			other.sees(s, false, 20*time.Second)
		}
	}
	apart("without the others")

	if err := w.lan.Heal(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	meet(20*time.Second, all...)
	t.Logf("all saw all %v after the wire was whole again", time.Since(begin))
	eventually(t, 15*time.Second, "everybody has everything", func() bool {
		for _, s := range all {
			if len(s.history()) != 12 || len(s.reads(id)) != len(want) {
				return false
			}
		}
		return true
	})
	t.Logf("all held everything %v after the wire was whole again", time.Since(begin))
	agree(all...)
	first := all[0].reads(id)
	for _, s := range all {
		got := s.reads(id)
		if !slices.Equal(got, first) {
			t.Errorf("%s shows the room in another order than %s", s.name, all[0].name)
		}
		for _, text := range want {
			if !slices.Contains(got, text) {
				t.Errorf("%s does not read %q", s.name, text)
			}
		}
	}
}

// A laptop sleeps, again and again, for longer and shorter than others take to notice.
// What is said to it in the meantime it reads when it wakes, and what its person says
// at that moment is heard.
func TestALaptopThatNapsMissesNothing(t *testing.T) {
	w := newWorld(t)
	ann := w.station("ann", lab.Dual)
	bob := w.station("bob", lab.Dual)
	meet(5*time.Second, ann, bob)
	befriend(ann, bob)
	id := ann.direct(bob)
	ann.says(id, "good night")
	bob.comesToRead(id, "good night", 10*time.Second)
	want := []string{"good night"}
	for nap, long := range []time.Duration{200 * time.Millisecond, 2 * time.Second, 0} {
		if err := bob.daemon.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := bob.nic.Silence(); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint("during nap ", nap)
		ann.says(id, text)
		ann.send(text)
		if long > 0 {
			time.Sleep(long) // the nap itself; there is nothing to await
		} else {
			ann.sees(bob, false, 20*time.Second)
		}
		if err := bob.nic.Plug(); err != nil {
			t.Fatal(err)
		}
		if err := bob.daemon.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		awake := fmt.Sprint("awake after nap ", nap)
		bob.says(id, awake)
		bob.send(awake)
		bob.comesToRead(id, text, 20*time.Second)
		ann.comesToRead(id, awake, 20*time.Second)
		t.Logf("both had caught up %v after nap %d", time.Since(begin), nap)
		want = append(want, text, awake)
	}
	eventually(t, 15*time.Second, "both hold all of the open room", func() bool {
		return len(ann.history()) == 6 && len(bob.history()) == 6
	})
	agree(ann, bob)
	for _, s := range []*station{ann, bob} {
		got := s.reads(id)
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s reads %q and not %q", s.name, got, want)
		}
	}
}
