package sim

import (
	"fmt"
	"testing"

	"earshot/chat"
)

// What calls whole nodes' people, and what does not.

// called waits until somebody is called to a room, or with gone no longer.
func (d *desk) called(room chat.RoomID, gone bool) chat.AlertEvent {
	d.t.Helper()
	return d.await(fmt.Sprintf("an alert (gone: %v)", gone), func(e chat.Event) bool {
		a, ok := e.(chat.AlertEvent)
		return ok && a.RoomID == room && a.Gone == gone
	}).(chat.AlertEvent)
}

func TestAReadOnOneDeviceTakesTheAlertBackOnTheOther(t *testing.T) {
	t.Parallel()
	o, ann, ben, enter := friends(t)
	phone := join(o, enter, ann)
	room := ann.chatWith(ben.id()).RoomID
	phone.until("in the chat", func() bool {
		return phone.relation(ben.id()) == chat.RelationContact && phone.chatWith(ben.id()).RoomID == room
	})
	m := ben.tells(room, "Hello, both of you")
	for _, d := range []*desk{ann, phone} {
		if a := d.called(room, false); a.From.Person != ben.id() || a.Text != m.Text || a.Count != 1 || a.Silent {
			t.Errorf("%s is told %+v", d.Name(), a)
		}
	}
	ann.readTo(m)
	ann.called(room, true)
	phone.called(room, true)
}

func TestAStrangersMentionMustNotAlert(t *testing.T) {
	t.Parallel()
	_, ann, ben, enter := friends(t)
	eve := enter("Eve")
	eve.sees("Ann", chat.Here)
	ann.sees("Eve", chat.Here)
	if m := eve.say("@Ann look at this"); !ann.hears(m.Text).MentionsMe {
		t.Error("Eve's message does not call Ann, so it proves nothing")
	}
	ben.sees("Ann", chat.Here)
	m := ben.say("@Ann lunch?")
	if a := ann.called(lobby, false); a.From.Person != ben.id() || a.Text != m.Text || !a.Mention || a.Count != 1 {
		t.Errorf("Ann is told %+v", a)
	}
}
