package sim

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"earshot/chat"
)

// unreadable counts the messages of a room that can't be read.
func (d *desk) unreadable(room chat.RoomID) int {
	d.t.Helper()
	list, err := d.Rooms(d.ctx)
	d.must(err)
	for i := range list {
		if list[i].RoomID == room {
			return list[i].Unreadable
		}
	}
	return 0
}

// cloned reports whether somebody is told that a device speaks from two places.
func (d *desk) cloned() bool {
	d.t.Helper()
	me, err := d.Me(d.ctx)
	d.must(err)
	return slices.ContainsFunc(me.Warnings, func(e chat.Error) bool { return e.Code == chat.CodeCloned })
}

// twin copies the home of a device that has left, as a copied machine would be: the copy
// does not know that it is one. It returns how the copy enters.
func (o *Office) twin(t *testing.T, of *desk, home, name string) func() *desk {
	t.Helper()
	of.must(os.CopyFS(o.Home(name), os.DirFS(o.Home(home))))
	of.must(filepath.WalkDir(o.Home(name), func(p string, f fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case f.IsDir():
			return os.Chmod(p, 0o700)
		}
		return os.Chmod(p, 0o600)
	}))
	of.must(os.Remove(filepath.Join(o.Home(name), "place")))
	return func() *desk {
		n, err := o.enter(of.ctx, name, "")
		of.must(err)
		return watch(t, of.ctx, n)
	}
}

// Receipts name a log and a number: of a log that is forked, what somebody holds of one
// way must not pass for the other.
func TestAMessageOfAForkedLogMustNotPassForDelivered(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	room := ann.create("cellar", "")
	ann.brings(room, ben, cleo)
	before := ann.tells(room, "before")
	ann.reaches(before, delivered(2, 2))
	for _, d := range []*desk{ann, ben, cleo} {
		o.leave(d)
	}
	twinEnters := o.twin(t, ann, "Ann", "Twin")
	twin := twinEnters()
	lost := twin.tells(room, "of the copy")
	o.leave(twin)
	ann, ben, cleo = enter("Ann"), enter("Ben"), enter("Cleo")
	for _, text := range []string{"a1", "a2", "a3"} { // with more numbers than the copy has used
		ann.tells(room, text)
	}
	last := ann.tells(room, "a4")
	ann.reaches(last, delivered(2, 2))
	cleo.reaches(cleo.tells(room, "noted"), delivered(2, 2)) // so she has Ben's word, up to there
	o.leave(ann)
	o.leave(ben)
	twin = twinEnters()
	twin.reaches(lost, delivered(1, 2))
	cleo.reads(room, "of the copy")
	if d := twin.detail(lost); len(d.Recipients) != 2 || d.Recipients[0].Name != "Ben" || d.Recipients[0].Devices[0].Holds || !d.Recipients[1].Devices[0].Holds {
		t.Errorf("recipients %+v", d.Recipients)
	}
	twin.reaches(before, delivered(2, 2)) // what they have in common is where it was
	ben = enter("Ben")
	twin.reaches(lost, delivered(2, 2))
	ben.reads(room, "of the copy")
	anew := twin.tells(room, "anew")
	twin.reaches(anew, delivered(2, 2))
}

// Two copies of one home speak, each to others, and nobody ever hears both at a time.
// All that both say reaches everybody, whoever saw what of it, and who saw nothing.
func TestAllThatTwoCopiesOfAHomeSayReachesEverybody(t *testing.T) {
	for name, c := range map[string]struct {
		sealed    bool
		one, two  int // messages
		seesFirst int // of the second copy's, by somebody who leaves then
		few       bool
	}{
		"open, as many each":     {false, 20, 20, 5, false},
		"open, more of one":      {false, 20, 7, 3, false},
		"sealed, as many each":   {true, 20, 20, 5, false},
		"sealed, more of one":    {true, 8, 20, 5, false},
		"open, one message each": {false, 1, 1, 0, false},
		// Without anybody who has seen where they part.
		"two who heard as many": {false, 20, 20, 0, true},
		"two, one heard more":   {false, 9, 20, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, enter := newOffice(t)
			names := []string{"Ann", "Ben", "Cleo", "Dora", "Finn"}
			if c.few {
				names = names[:3]
			}
			desks := map[string]*desk{}
			come := func(names ...string) {
				for _, name := range names {
					desks[name] = enter(name)
				}
			}
			leave := func(names ...string) {
				for _, name := range names {
					o.leave(desks[name])
					delete(desks, name)
				}
			}
			come(names...)
			room := lobby
			if c.sealed {
				var others []*desk
				for _, name := range names[1:] {
					befriend(desks["Ann"], desks[name])
					others = append(others, desks[name])
				}
				room = desks["Ann"].create("cellar", "")
				desks["Ann"].brings(room, others...)
			}
			var said []string
			speak := func(d *desk, who string, from, to int, listeners ...string) {
				for i := from; i < to; i++ {
					said = append(said, fmt.Sprint(who, " ", i))
					d.tells(room, said[len(said)-1])
				}
				for _, name := range listeners {
					desks[name].reads(room, said[len(said)-1])
				}
			}
			speak(desks["Ann"], "before", 0, 1, names[1:]...)
			ann := desks["Ann"]
			leave(names...)
			twinEnters := o.twin(t, ann, "Ann", "Twin")

			come("Cleo")
			twin := twinEnters()
			if c.seesFirst > 0 {
				come("Finn")
				speak(twin, "copy", 0, c.seesFirst, "Cleo", "Finn")
				leave("Finn")
			}
			speak(twin, "copy", c.seesFirst, c.two, "Cleo")
			o.leave(twin)
			leave("Cleo")
			come("Ann", "Ben")
			speak(desks["Ann"], "original", 0, c.one, "Ben")
			leave("Ann", "Ben")

			var order []chat.EntryID
			complete := func(d *desk, but string) {
				t.Helper()
				var want []string
				for _, text := range said {
					if but == "" || !strings.HasPrefix(text, but) {
						want = append(want, text)
					}
				}
				slices.Sort(want)
				d.until("shows all once, and says what it can't read", func() bool {
					return slices.Equal(slices.Sorted(slices.Values(d.texts(room))), want) && d.unreadable(room) == len(said)-len(want)
				})
				var ids []chat.EntryID
				for _, m := range d.all(room) {
					ids = append(ids, m.ID)
				}
				if order == nil {
					order = ids
				}
				if !slices.Equal(ids, slices.DeleteFunc(slices.Clone(order), func(id chat.EntryID) bool { return !slices.Contains(ids, id) })) {
					t.Errorf("%s shows another order than others", d.Name())
				}
			}
			// A copy of a device is given no keys by the other, who takes it for itself.
			closed := map[bool][2]string{true: {"copy", "original"}}[c.sealed]
			come(names[1:]...)
			for _, name := range names[1:] {
				complete(desks[name], "")
				desks[name].until("knows", desks[name].cloned)
			}
			come("Ann")
			complete(desks["Ann"], closed[0])
			leave("Ann")
			twin = twinEnters()
			complete(twin, closed[1])
			if twin.until("knows", twin.cloned); c.sealed { // all have it, by their own word
				for _, m := range twin.all(room) {
					if strings.HasPrefix(m.Text, "copy") {
						twin.reaches(m, delivered(4, 4))
					}
				}
			}
			o.leave(twin)
			leave(names[1:]...)
			come(names...)
			speak(desks["Ann"], "after", 0, 1, names[1:]...)
			order = nil
			for _, name := range names[1:] {
				complete(desks[name], "")
			}
			complete(desks["Ann"], closed[0])
		})
	}
}
