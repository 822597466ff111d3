package sim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
	"earshot/node/keyring"
	"earshot/node/store"
)

// These are promises of sealed conversations, kept by whole nodes.

func (d *desk) id() chat.PersonID {
	me, err := d.Me(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return me.Person
}

// until waits until ok; whatever is told meanwhile is not kept.
func (d *desk) until(what string, ok func() bool) {
	d.t.Helper()
	late := time.After(patience)
	for !ok() {
		select {
		case <-d.events:
		case <-time.After(20 * time.Millisecond): // not everything that is waited for is told
		case <-late:
			d.t.Fatalf("%s: never %s", d.Name(), what)
		}
	}
}

// knows reports what a person is to this one.
func (d *desk) relation(who chat.PersonID) chat.Relation {
	list, err := d.Contacts(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, c := range list {
		if c.Person.Person == who {
			return c.Relation
		}
	}
	return chat.RelationStranger
}

// befriend makes contacts of two.
func befriend(a, b *desk) {
	a.t.Helper()
	a.sees(b.Name(), chat.Here)
	if _, err := a.AddContact(a.ctx, b.id(), "It's me"); err != nil {
		a.t.Fatal(err)
	}
	b.until("asked by "+a.Name(), func() bool { return b.relation(a.id()) == chat.RelationAsking })
	if err := b.AcceptContact(b.ctx, a.id()); err != nil {
		b.t.Fatal(err)
	}
	a.until("accepted by "+b.Name(), func() bool { return a.relation(b.id()) == chat.RelationContact })
}

// chatWith returns the direct chat with somebody, once there is one.
func (d *desk) chatWith(who chat.PersonID) chat.Room {
	d.t.Helper()
	r, err := d.DirectChat(d.ctx, who)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) tells(room chat.RoomID, text string) chat.Message {
	d.t.Helper()
	m, err := d.Send(d.ctx, room, chat.Draft{Text: text})
	if err != nil {
		d.t.Fatalf("%s: %q: %v", d.Name(), text, err)
	}
	return m
}

// texts returns what a room says, oldest first.
func (d *desk) texts(room chat.RoomID) (out []string) {
	d.t.Helper()
	page, err := d.Messages(d.ctx, room, api.Page{Limit: 500})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, m := range page {
		out = append(out, m.Text)
	}
	return out
}

func (d *desk) reads(room chat.RoomID, text string) {
	d.t.Helper()
	d.until(fmt.Sprintf("reads %q", text), func() bool { return slices.Contains(d.texts(room), text) })
}

// holds reports whether somebody who has left the office keeps anything of a room
// in their home.
func (o *Office) holds(t *testing.T, name string, room chat.RoomID) bool {
	t.Helper()
	keys, err := keyring.Load(t.Context(), o.Home(name), keyring.Options{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), o.Home(name), store.Options{Key: keys.History})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	logs, err := s.Logs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := s.Rooms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(logs, func(l store.LogRow) bool { return l.Room == room }) ||
		slices.ContainsFunc(rooms, func(r store.RoomRow) bool { return r.Room == room })
}

// leave has somebody go home.
func (o *Office) leave(d *desk) {
	d.t.Helper()
	if err := o.Leave(context.WithoutCancel(d.ctx), d.Node); err != nil {
		d.t.Fatal(err)
	}
}

func TestADirectChatReachesNobodyElse(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, eve := enter("Ann"), enter("Ben"), enter("Eve")
	eve.sees("Ann", chat.Here)
	befriend(ann, ben)
	room := ann.chatWith(ben.id())
	if room.Room != "@Ben" || room.Kind != chat.RoomDirect || room.Open || room.Members != 2 {
		t.Errorf("Ann's chat is %+v", room)
	}
	ann.tells(room.RoomID, "For your eyes")
	ben.reads(room.RoomID, "For your eyes")
	ben.tells(room.RoomID, "I see")
	ann.reads(room.RoomID, "I see")
	if again := ben.chatWith(ann.id()); again.RoomID != room.RoomID || again.Room != "@Ann" {
		t.Errorf("Ben's chat is %+v", again)
	}
	ann.say("Hello, all") // what was before has gone as far as it goes
	eve.hears("Hello, all")
	facts, err := eve.Facts(eve.ctx, 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		if m, ok := f.(chat.MessageEvent); ok && m.RoomID != lobby {
			t.Errorf("Eve was told %q", m.Text)
		}
	}
	o.leave(eve)
	if o.holds(t, "Eve", room.RoomID) {
		t.Error("Eve's home holds something of it")
	}
}

func TestAStrangerIsSentNothing(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	if _, err := ann.DirectChat(ann.ctx, ben.id()); chat.CodeOf(err) != chat.CodeNotContact {
		t.Errorf("a chat with a stranger: %v", err)
	}
	befriend(ann, ben)
	room := ann.chatWith(ben.id())
	if err := ann.ForgetContact(ann.ctx, ben.id()); err != nil {
		t.Fatal(err)
	}
	if _, err := ann.Send(ann.ctx, room.RoomID, chat.Draft{Text: "Gone"}); err == nil {
		t.Error("somebody who was forgotten was sent something")
	}
	// What was said can still be read.
	r, err := ann.FindRoom(ann.ctx, "@Ben")
	if err != nil || r.RoomID != room.RoomID || !r.Left || r.Ended != "Ben is no contact any more." {
		t.Errorf("what was said is in %+v (%v)", r, err)
	}
}

func TestARestartLosesNothingOfADirectChat(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "before")
	ben.reads(room, "before")
	o.leave(ben)
	ann.tells(room, "while Ben is away")
	o.leave(ann)
	ben = enter("Ben")
	ben.tells(room, "while Ann is away")
	ann = enter("Ann")
	ben.reads(room, "while Ben is away")
	ann.reads(room, "while Ann is away")
	ann.tells(room, "after")
	ben.reads(room, "after")
	for _, d := range []*desk{ann, ben} {
		if got := d.texts(room); len(got) != 4 {
			t.Errorf("%s has %q", d.Name(), got)
		}
	}
}

func TestTheSameActionTwiceIsOneSealedMessage(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	first, err := ann.Send(ann.ctx, room, chat.Draft{Text: "once", ClientID: "client-1"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := ann.Send(ann.ctx, room, chat.Draft{Text: "once", ClientID: "client-1"})
	if err != nil || again.ID != first.ID || again.Text != "once" || !again.Mine {
		t.Errorf("the retry made %+v (%v), not %v", again, err, first.ID)
	}
	ann.tells(room, "last")
	ben.reads(room, "last")
	if got := ben.texts(room); !slices.Equal(got, []string{"once", "last"}) {
		t.Errorf("Ben has %q", got)
	}
}

func TestARestoredBackupReadsWhatWasSaidSince(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "before")
	ben.reads(room, "before")
	ben.tells(room, "so it is")
	ann.reads(room, "so it is")
	var backup bytes.Buffer
	if err := ben.Backup(ben.ctx, "swordfish", &backup); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		ann.tells(room, fmt.Sprint("since ", i))
		ben.reads(room, fmt.Sprint("since ", i))
		ben.tells(room, fmt.Sprint("heard ", i))
		ann.reads(room, fmt.Sprint("heard ", i))
	}
	o.leave(ben)
	if err := os.RemoveAll(o.Home("Ben")); err != nil {
		t.Fatal(err)
	}
	ann.tells(room, "while Ben has lost it all")
	given := keyring.Options{Given: []byte("swordfish")}
	if _, err := keyring.Restore(ben.ctx, o.Home("Ben"), &backup, given); err != nil {
		t.Fatal(err)
	}
	if err := keyring.RemovePassphrase(ben.ctx, o.Home("Ben"), given); err != nil {
		t.Fatal(err)
	}
	ben = enter("Ben")
	ann.tells(room, "welcome back")
	for i := range 5 {
		ben.reads(room, fmt.Sprint("since ", i))
	}
	ben.reads(room, "while Ben has lost it all")
	ben.reads(room, "welcome back")
	ben.tells(room, "thank you")
	ann.reads(room, "thank you")
	// What he said himself since then, too, for his keys had not moved on.
	if got := ben.texts(room); len(got) != 2+10+3 {
		t.Errorf("Ben has %q", got)
	}
}
