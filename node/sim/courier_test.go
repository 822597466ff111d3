package sim

import (
	"slices"
	"testing"

	"earshot/chat"
)

// These are promises about people who are away, kept by whole nodes.

// leftWith waits until somebody else holds this many envelopes.
func (d *desk) holdsEnvelopes(n int) {
	d.t.Helper()
	d.until("holds envelopes", func() bool {
		k, err := d.Keeper(d.ctx)
		if err != nil {
			d.t.Fatal(err)
		}
		return k.Held == n
	})
}

func (d *desk) count(room chat.RoomID, text string) (n int) {
	for _, said := range d.texts(room) {
		if said == text {
			n++
		}
	}
	return n
}

func TestAThirdBringsWhatItsAuthorLeftBehind(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cat := enter("Ann"), enter("Ben"), enter("Cat")
	befriend(ann, ben)
	befriend(ann, cat)
	befriend(cat, ben)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "Before")
	ben.reads(room, "Before")
	o.leave(ben)
	ann.tells(room, "While you were away")
	ann.tells(room, "and more")
	cat.holdsEnvelopes(1)
	o.leave(ann)

	ben = enter("Ben")
	ben.reads(room, "and more")
	if got := ben.texts(room); !slices.Equal(got, []string{"Before", "While you were away", "and more"}) {
		t.Errorf("Ben reads %q", got)
	}
	cat.holdsEnvelopes(0)
}
