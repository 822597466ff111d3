package node_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node"
	"earshot/node/api"
	"earshot/node/sim"
)

// until waits until ok.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never %s", what)
		}
	}
}

func id(t *testing.T, n *node.Node) chat.PersonID {
	t.Helper()
	me, err := n.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return me.Person
}

// related reports whether there is a relation with somebody.
func related(t *testing.T, n *node.Node, who chat.PersonID, relation chat.Relation) bool {
	t.Helper()
	list, err := n.Contacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(list, func(c chat.Contact) bool { return c.Person.Person == who && c.Relation == relation })
}

func texts(t *testing.T, n *node.Node, room chat.RoomID) (out []string) {
	t.Helper()
	page, err := n.Messages(t.Context(), room, api.Page{Limit: api.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range page {
		out = append(out, m.Text)
	}
	return out
}

// pair has two people enter an office who are contacts, and returns their chat.
func pair(t *testing.T, dir string) (ann, ben *node.Node, room chat.RoomID) {
	t.Helper()
	o := sim.NewOffice(dir, nil)
	t.Cleanup(func() {
		if err := o.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	enter := func(name string) *node.Node {
		n, err := o.Enter(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ann, ben = enter("Ann"), enter("Ben")
	return ann, ben, befriend(t, ann, ben)
}

// befriend makes two people contacts who are here, and returns their chat.
func befriend(t *testing.T, ann, ben *node.Node) (room chat.RoomID) {
	t.Helper()
	until(t, "met", func() bool {
		people, err := ann.People(t.Context())
		return err == nil && slices.ContainsFunc(people, func(p chat.Person) bool { return p.Person == id(t, ben) && p.Presence == chat.Here })
	})
	if _, err := ann.AddContact(t.Context(), id(t, ben), ""); err != nil {
		t.Fatal(err)
	}
	until(t, "asked", func() bool { return related(t, ben, id(t, ann), chat.RelationAsking) })
	if err := ben.AcceptContact(t.Context(), id(t, ann)); err != nil {
		t.Fatal(err)
	}
	until(t, "accepted", func() bool { return related(t, ann, id(t, ben), chat.RelationContact) })
	r, err := ann.DirectChat(t.Context(), id(t, ben))
	if err != nil {
		t.Fatal(err)
	}
	return r.RoomID
}

// sends says something, again and again while the disk is full.
func sends(t *testing.T, n *node.Node, room chat.RoomID, text string) {
	t.Helper()
	until(t, "stored", func() bool {
		_, err := n.Send(t.Context(), room, chat.Draft{Text: text})
		if err != nil && chat.CodeOf(err) != chat.CodeDiskFull {
			t.Fatal(err)
		}
		return err == nil
	})
}

func TestWhatCouldNotBeStoredIsReadOnceTheDiskTakesIt(t *testing.T) {
	ann, ben, room := pair(t, t.TempDir())
	full := chat.Errorf(chat.CodeDiskFull, "The disk is full. Make room, and send it again.")
	var want []string
	for i := range 60 {
		switch {
		case i%10 == 3: // while keys come, or a message, or both
			ben.RefuseNext(t, full)
		case i%10 == 7: // and so that the next message has new keys
			ann.RefuseNext(t, full)
		}
		text := fmt.Sprint("message ", i)
		want = append(want, text)
		sends(t, ann, room, text)
	}
	until(t, "read by Ben", func() bool { return len(texts(t, ben, room)) == len(want) })
	if got := texts(t, ben, room); !slices.Equal(got, want) {
		t.Errorf("Ben has %q", got)
	}
	if r, err := ben.FindRoom(t.Context(), "@Ann"); err != nil || r.Unreadable != 0 || r.Unread != len(want) {
		t.Errorf("Ben's chat is %+v (%v)", r, err)
	}
}
