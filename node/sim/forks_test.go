package sim

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"earshot/chat"
	"earshot/node/api"
)

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

// The one who was away hears that a log is forked before anything of it comes.
func TestWhoWasAwayGetsTheBranchThatOthersHold(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	ann.say("before")
	ben.hears("before")
	cleo.hears("before")
	o.leave(cleo)
	o.leave(ann)
	o.leave(ben)
	twinEnters := o.twin(t, ann, "Ann", "Twin")
	twin := twinEnters()
	twin.say("t1")
	o.leave(twin)
	ann, ben = enter("Ann"), enter("Ben")
	said := []string{"a1", "a2", "a3"} // longer than the copy's, or nobody sees that they differ
	for _, text := range said {
		ann.say(text)
	}
	ben.hears("a3")
	o.leave(ann)
	twin = twinEnters()
	ben.until("the fork is seen", func() bool { return ben.cloned() && twin.cloned() })
	o.leave(twin)
	o.leave(ben) // what is known of it lasts
	ben = enter("Ben")
	cleo = enter("Cleo")
	cleo.until("what Ben holds has come", func() bool {
		page, err := cleo.Messages(cleo.ctx, lobby, api.Page{Limit: 50})
		cleo.must(err)
		var got []string
		for _, m := range page {
			if slices.Contains(said, m.Text) {
				got = append(got, m.Text)
			}
		}
		return slices.Equal(got, said)
	})
	cleo.until("and the fork is known", cleo.cloned)
}

// Receipts name a log and a number, not which of two copies wrote it.
func TestAMessageOfAForkedLogMustNotPassForDelivered(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "before")
	ben.reads(room, "before")
	o.leave(ann)
	o.leave(ben)
	twinEnters := o.twin(t, ann, "Ann", "Twin")
	twin := twinEnters()
	lost := twin.tells(room, "of the copy")
	for _, text := range []string{"t2", "t3", "t4"} { // of two that are equally long nobody sees that they differ
		twin.tells(room, text)
	}
	o.leave(twin)
	ann, ben = enter("Ann"), enter("Ben")
	kept := ann.tells(room, "of the original")
	ann.reaches(kept, delivered(1, 1))
	o.leave(ann)
	twin = twinEnters()
	twin.until("the fork is seen", func() bool { return ben.cloned() && twin.cloned() })
	twin.until("nothing counts", func() bool { return twin.state(lost) == chat.MessageState{State: chat.StateHere, Of: 1} })
	d := twin.detail(lost)
	if len(d.Recipients) != 1 || d.Recipients[0].State != chat.StateHere || d.Recipients[0].Why == "" || d.Recipients[0].Devices[0].Holds {
		t.Errorf("recipients %+v", d.Recipients)
	}
	// What is said anew counts.
	anew := twin.tells(room, "anew")
	twin.reaches(anew, delivered(1, 1))
	if got := twin.state(lost); got.State != chat.StateHere {
		t.Errorf("then it passes for %+v", got)
	}
}
