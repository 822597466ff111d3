package sim

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/node/api"
)

// shown returns what is shown of a room, without what differs between devices.
func (d *desk) shown(room chat.RoomID) []chat.Message {
	d.t.Helper()
	page, err := d.Messages(d.ctx, room, api.Page{Limit: 500})
	if err != nil {
		d.t.Fatal(err)
	}
	for i := range page {
		m := &page[i]
		m.Mine, m.ReceivedAt, m.State, m.Room, m.From.Name, m.Late, m.MentionsMe = false, time.Time{}, nil, "", "", false, false
		if m.Removed != nil {
			m.Removed.By.Name = ""
		}
		for j := range m.Reactions {
			m.Reactions[j].Mine = false
		}
	}
	return page
}

// agrees waits until two show the same in a room.
func (d *desk) agrees(with *desk, room chat.RoomID) {
	d.t.Helper()
	d.until("shows what "+with.Name()+" shows", func() bool { return reflect.DeepEqual(d.shown(room), with.shown(room)) })
}

// message returns how a message is shown.
func (d *desk) message(id chat.EntryID) chat.Message {
	d.t.Helper()
	m, err := d.Message(d.ctx, id)
	if err != nil {
		d.t.Fatal(err)
	}
	return m.Message
}

func (d *desk) edits(id chat.EntryID, text string) {
	d.t.Helper()
	if m, err := d.Edit(d.ctx, id, text); err != nil || m.Text != text || m.EditedAt.IsZero() {
		d.t.Fatalf("%s edits it to %+v, %v", d.Name(), m, err)
	}
}

func (d *desk) removes(id chat.EntryID) {
	d.t.Helper()
	if m, err := d.Delete(d.ctx, id); err != nil || m.Text != "" || m.Removed == nil || m.Removed.By.Person != d.id() || m.Removed.By.Name != d.Name() {
		d.t.Fatalf("%s removes it: %+v, %v", d.Name(), m, err)
	}
}

func (d *desk) reacts(id chat.EntryID, sign string, on bool) {
	d.t.Helper()
	m, err := d.React(d.ctx, id, sign, on)
	is := slices.ContainsFunc(m.Reactions, func(r chat.Reaction) bool { return r.Sign == sign && r.Mine })
	if err != nil || is != on {
		d.t.Fatalf("%s reacts: %+v, %v", d.Name(), m, err)
	}
}

// In open rooms and in sealed ones, what two do to their messages on both sides of a
// split is one when it heals, and a restart keeps it.
func TestEditsRemovalsAndReactionsMeetWhenASplitHeals(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	private := ann.create("garden", "")
	ann.brings(private, ben)
	rooms := []chat.RoomID{lobby, ann.chatWith(ben.id()).RoomID, private}
	said := map[chat.RoomID][]chat.EntryID{}
	for _, room := range rooms {
		for i := range 3 {
			said[room] = append(said[room], ann.tells(room, fmt.Sprint("Ann ", i)).ID)
			ben.reads(room, fmt.Sprint("Ann ", i))
			said[room] = append(said[room], ben.tells(room, fmt.Sprint("Ben ", i)).ID)
			ann.reads(room, fmt.Sprint("Ben ", i))
		}
	}
	a, b := netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")
	o.Net.Cut([]netip.Addr{a}, []netip.Addr{b})
	ann.sees("Ben", chat.Gone)
	for _, room := range rooms {
		of := said[room] // Ann's and Ben's in turn
		ann.edits(of[0], "Ann has thought again")
		ann.edits(of[0], "and again")
		ann.removes(of[2])
		ann.reacts(of[1], "👍", true)
		ann.reacts(of[3], "🎉", true)
		ann.reacts(of[3], "🎉", false)
		ben.reacts(of[0], "❤️", true)
		ben.reacts(of[2], "❤️", true) // which Ann has removed
		ben.edits(of[3], "Ben has, too")
		ben.removes(of[5])
		ben.tells(room, "an answer")
	}
	o.Net.Heal()
	check := func() {
		t.Helper()
		for _, room := range rooms {
			ann.agrees(ben, room)
			page := ann.shown(room)
			if len(page) != 7 || page[0].Text != "and again" || len(page[0].Reactions) != 1 || page[2].Removed == nil || page[2].Reactions != nil ||
				len(page[1].Reactions) != 1 || page[3].Text != "Ben has, too" || page[3].Reactions != nil || page[5].Removed == nil {
				t.Errorf("shown is %+v", page)
			}
		}
	}
	ann.until("hears what Ben said", func() bool {
		return !slices.ContainsFunc(rooms, func(r chat.RoomID) bool { return len(ann.shown(r)) != 7 })
	})
	check()
	m, err := ben.Message(ben.ctx, said[private][0])
	if err != nil || len(m.Revisions) != 2 || m.Revisions[0].Text != "Ann 0" || m.Revisions[1].Text != "Ann has thought again" {
		t.Errorf("it said %+v before (%v)", m.Revisions, err)
	}
	ann.until("knows that it is removed on both devices", func() bool {
		m, err := ann.Message(ann.ctx, said[private][2])
		return err == nil && m.RemovedOn == 2 && m.RemovedOf == 2 && m.Revisions == nil
	})
	o.leave(ben)
	o.leave(ann)
	ann, ben = enter("Ann"), enter("Ben")
	check()
}

// A face hears of every change, and after a restart too.
func TestChangesOfMessagesAreFacts(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	ben.sees("Ann", chat.Here)
	m := ann.say("hello")
	ben.hears("hello")
	changed := func(d *desk, what string, ok func(chat.Message) bool) chat.Cursor {
		t.Helper()
		ev := d.await(what, func(ev chat.Event) bool {
			e, is := ev.(chat.MessageChangedEvent)
			return is && e.ID == m.ID && ok(e.Message)
		})
		return ev.(chat.MessageChangedEvent).Cursor
	}
	ben.reacts(m.ID, "👋", true)
	changed(ann, "Ben's reaction", func(m chat.Message) bool { return len(m.Reactions) == 1 && !m.Reactions[0].Mine })
	ann.edits(m.ID, "hello, all")
	before := changed(ben, "the edit", func(m chat.Message) bool { return m.Text == "hello, all" && m.Reactions[0].Mine })
	ann.removes(m.ID)
	after := changed(ben, "the removal", func(m chat.Message) bool { return m.Removed != nil && m.Removed.By.Name == "Ann" })
	ben.await("that it is not unread", func(ev chat.Event) bool {
		e, ok := ev.(chat.ReadEvent)
		return ok && e.RoomID == lobby && e.Unread == 0
	})
	if after <= before {
		t.Errorf("the removal is %d, after %d", after, before)
	}
	o.leave(ben)
	ben = enter("Ben")
	facts, err := ben.Facts(ben.ctx, before, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(facts) == 0 {
		t.Fatal("no facts")
	}
	if e, ok := facts[0].(chat.MessageChangedEvent); !ok || e.Cursor != after || e.Removed == nil || e.Text != "" {
		t.Errorf("facts are %+v", facts)
	}
}

// Nobody but its author changes a message, and nobody but they and the admins of a
// private room removes it.
func TestOthersMustNotChangeWhatSomebodySaid(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	befriend(ben, cleo)
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo)
	ben.until("sees Cleo there", func() bool { return ben.has(room, cleo.id()) })
	hers := cleo.tells(room, "by Cleo")
	ann.reads(room, "by Cleo")
	ben.reads(room, "by Cleo")
	if _, err := ben.Edit(ben.ctx, hers.ID, "by Ben"); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("Ben edits it: %v", err)
	}
	if _, err := ben.Delete(ben.ctx, hers.ID); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("Ben removes it: %v", err)
	}
	ann.removes(hers.ID) // who is its owner
	for _, d := range []*desk{ben, cleo} {
		d.until("sees that it is removed", func() bool {
			m := d.message(hers.ID)
			return m.Removed != nil && m.Removed.By.Person == ann.id() && m.Text == ""
		})
	}
	open := cleo.say("in the lobby")
	ann.hears("in the lobby")
	if _, err := ann.Delete(ann.ctx, open.ID); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("Ann removes it: %v", err)
	}
	// An admin from now on.
	if err := ann.SetRole(ann.ctx, room, ben.id(), chat.RoleAdmin); err != nil {
		t.Fatal(err)
	}
	second := cleo.tells(room, "once more")
	ann.reads(room, "once more")
	ben.reads(room, "once more")
	ben.until("is an admin", func() bool { _, err := ben.Delete(ben.ctx, second.ID); return err == nil })
	for _, d := range []*desk{ann, cleo} {
		d.until("sees that it is removed", func() bool { return d.message(second.ID).Removed != nil })
	}
}

// What is said in a room where messages disappear is gone everywhere when its time has
// come, also where nobody was there to see it.
func TestMessagesDisappearOnAllDevices(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	private := ann.create("garden", "")
	ann.brings(private, ben)
	direct := ann.chatWith(ben.id()).RoomID
	const after = 3 * time.Second
	for _, room := range []chat.RoomID{direct, private} {
		ann.tells(room, "stays")
		ben.reads(room, "stays")
		if err := ann.SetDisappear(ann.ctx, room, after); err != nil {
			t.Fatal(err)
		}
		r, err := ann.FindRoom(ann.ctx, room.String())
		if err != nil || r.DisappearAfter != 3 {
			t.Errorf("the room is %+v (%v)", r, err)
		}
		ben.until("knows that messages disappear", func() bool {
			r, err := ben.FindRoom(ben.ctx, room.String())
			return err == nil && r.DisappearAfter == 3
		})
		hers, his := ann.tells(room, "hers"), ben.tells(room, "his")
		for _, m := range []chat.Message{hers, his} {
			if !m.ExpiresAt.Equal(m.SentAt.Add(after)) {
				t.Errorf("it disappears at %v, and was sent at %v", m.ExpiresAt, m.SentAt)
			}
		}
		ann.until("sees them go", func() bool { return slices.Equal(ann.texts(room), []string{"stays"}) })
		ben.until("sees them go", func() bool { return slices.Equal(ben.texts(room), []string{"stays"}) })
	}
	// While Ben is away.
	o.leave(ben)
	last := ann.tells(private, "nobody there")
	if last.ExpiresAt.IsZero() {
		t.Error("it stays")
	}
	o.leave(ann)
	time.Sleep(time.Until(last.ExpiresAt))
	ann, ben = enter("Ann"), enter("Ben")
	for _, d := range []*desk{ann, ben} {
		// The sweep begins with the node, and takes its time.
		d.until("has swept", func() bool { return slices.Equal(d.texts(private), []string{"stays"}) })
	}
	// Nothing of them comes back, and nothing is missed.
	ben.tells(private, "hello again")
	ann.reads(private, "hello again")
	for _, d := range []*desk{ann, ben} {
		if missing, err := d.Missing(d.ctx, private); err != nil || len(missing) != 0 {
			t.Errorf("%s misses %+v (%v)", d.Name(), missing, err)
		}
	}
	// Everything is kept for two seconds.
	if err := ann.SetRetention(ann.ctx, direct, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*desk{ann, ben} {
		d.until("keeps nothing", func() bool { return len(d.texts(direct)) == 0 })
	}
	if err := ann.SetRetention(ann.ctx, lobby, time.Hour); chat.CodeOf(err) != chat.CodeUsage {
		t.Errorf("in an open room: %v", err)
	}
}

func TestAnswersAndMentionsArriveWhole(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	for _, room := range []chat.RoomID{lobby, ann.chatWith(ben.id()).RoomID} {
		first := ben.tells(room, "a question")
		ann.reads(room, "a question")
		sent, err := ann.Send(ann.ctx, room, chat.Draft{Text: "@ben: an answer", ReplyTo: &first.ID, ClientID: "answer " + room.String()})
		if err != nil || *sent.ReplyTo != first.ID || !slices.Equal(sent.Mentions, []chat.PersonID{ben.id()}) || sent.MentionsMe {
			t.Fatalf("sent is %+v (%v)", sent, err)
		}
		again, err := ann.Send(ann.ctx, room, chat.Draft{Text: "@ben: an answer", ReplyTo: &first.ID, ClientID: "answer " + room.String()})
		if err != nil || again.ID != sent.ID || *again.ReplyTo != first.ID || !slices.Equal(again.Mentions, sent.Mentions) {
			t.Errorf("sent again is %+v (%v)", again, err)
		}
		ev := ben.await("the answer", func(ev chat.Event) bool { e, ok := ev.(chat.MessageEvent); return ok && e.ID == sent.ID }).(chat.MessageEvent)
		if *ev.ReplyTo != first.ID || !ev.MentionsMe {
			t.Errorf("told is %+v", ev)
		}
		if m := ben.message(sent.ID); *m.ReplyTo != first.ID || !m.MentionsMe {
			t.Errorf("read is %+v", m)
		}
		if r, err := ben.FindRoom(ben.ctx, room.String()); err != nil || r.Mentions != 1 {
			t.Errorf("the room is %+v (%v)", r, err)
		}
		if err := ben.MarkRead(ben.ctx, room, sent.ID); err != nil {
			t.Fatal(err)
		}
		if r, err := ben.FindRoom(ben.ctx, room.String()); err != nil || r.Mentions != 0 {
			t.Errorf("the room is %+v (%v)", r, err)
		}
	}
}
