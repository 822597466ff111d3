package sim

import (
	"testing"
	"time"

	"earshot/chat"
	proto "earshot/chat/wire"
)

// Who is shown that somebody types, on whole nodes.

// typing accepts that somebody types in a room, or that they have stopped.
func typing(name string, in chat.RoomID, on bool) func(chat.Event) bool {
	return func(e chat.Event) bool {
		ty, ok := e.(chat.TypingEvent)
		return ok && ty.Typing == on && ty.RoomID == in && ty.From.Name == name
	}
}

func (d *desk) types(room chat.RoomID) {
	d.t.Helper()
	d.must(d.SetTyping(d.ctx, room, true))
}

func TestTypingIsSeenAndWithdrawn(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	for _, room := range []chat.RoomID{lobby, ann.chatWith(ben.id()).RoomID} {
		ann.types(room)
		ben.await("Ann typing", typing("Ann", room, true))
		ann.must(ann.SetTyping(ann.ctx, room, false))
		ben.await("Ann not typing any more", typing("Ann", room, false))
		// What is said takes it back, too.
		ann.types(room)
		ben.await("Ann typing again", typing("Ann", room, true))
		ann.tells(room, "here it is")
		ben.await("Ann having said it", typing("Ann", room, false))
		ben.reads(room, "here it is")
	}
}

func TestWhoFallsSilentDoesNotTypeForEver(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	ben.types(lobby)
	cleo.types(lobby)
	ann.await("Ben typing", typing("Ben", lobby, true))
	ann.must(o.Leave(ann.ctx, ben.Node)) // he leaves in the middle of it
	start := time.Now()
	ann.await("Ben not typing", typing("Ben", lobby, false))
	if took := time.Since(start); took >= chat.TypingExpiry {
		t.Errorf("who has left types for %v", took)
	}
	ann.await("Cleo not typing", typing("Cleo", lobby, false))
}

func TestTypingMustNotReachOrComeFromStrangers(t *testing.T) {
	s := besiege(t)
	befriend(s.ann, s.ben)
	room := s.ann.create("garden", "")
	s.ann.brings(room, s.ben)
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	// The stranger has come to know under which tag signs pass today.
	garden, open := room.Tag(time.Now()), lobby.Tag(time.Now())
	if _, err := raw.Write(frames(
		x.hello(), proto.Typing{Room: garden[:], Typing: true}, proto.Typing{Room: open[:], Typing: true},
		proto.Contact{Message: x.request("Mallory", "behind all of it")},
	)); err != nil {
		t.Fatal(err)
	}
	id := x.person()
	s.ann.never("a stranger typing", func(e chat.Event) bool {
		ty, ok := e.(chat.TypingEvent)
		return ok && ty.From.Person == id
	}, func(e chat.Event) bool {
		tray, ok := e.(chat.TrayEvent)
		return ok && len(tray.Requests) == 1
	})
	for _, in := range []chat.RoomID{room, lobby} {
		s.ann.types(in)
		s.ben.await("Ann typing", typing("Ann", in, true))
	}
	// What goes to one neighbour keeps its order.
	s.ann.must(s.ann.AcceptContact(s.ann.ctx, id))
	_ = raw.SetReadDeadline(time.Now().Add(patience))
	for {
		f, err := readFrame(raw)
		if err != nil {
			t.Fatal(err)
		}
		if ty, ok := f.(proto.Typing); ok {
			t.Errorf("a stranger was told %+v", ty)
		}
		if _, last := f.(proto.Contact); last {
			break
		}
	}
	x.vanish()
}

func TestMembersOfAPrivateRoomSeeEachOtherTypingWhoAreNoContacts(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ben, cleo)
	room := ben.create("plans", "")
	ben.brings(room, ann, cleo)
	cleo.until("Ann is in", func() bool { return cleo.has(room, ann.id()) })
	ann.until("Cleo is in", func() bool { return ann.has(room, cleo.id()) })
	ann.types(room)
	cleo.await("Ann typing", typing("Ann", room, true))
	ann.must(ann.SetTyping(ann.ctx, room, false))
	cleo.await("Ann not typing", typing("Ann", room, false))
	// In the open they are strangers.
	ann.types(lobby)
	ben.await("Ann typing", typing("Ann", lobby, true))
	ann.say("in the open")
	cleo.never("Ann typing in the open", typing("Ann", lobby, true), hearing("in the open"))
}

func TestWhoAppearsOfflineMustNotBeSeenTyping(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	ann.types(lobby)
	ben.await("Ann typing", typing("Ann", lobby, true))
	ann.chooses(chat.Offline)
	ben.await("Ann not typing", typing("Ann", lobby, false))
	ann.types(lobby)
	ann.say("not here")
	ben.never("Ann typing", typing("Ann", lobby, true), hearing("not here"))
}

func TestWhoLetsNobodySeeThemTypingMustNotBeSeen(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	ann.must(ann.SetPrivacy(ann.ctx, chat.Privacy{Nearby: chat.Everyone, Presence: chat.OnlyContacts, Typing: chat.Nobody, Read: chat.OnlyContacts}))
	ann.types(lobby)
	ann.say("done")
	ben.never("Ann typing", typing("Ann", lobby, true), hearing("done"))
}

// chooses has somebody show a state until they choose another.
func (d *desk) chooses(state chat.Availability) chat.OwnStatus {
	d.t.Helper()
	s, err := d.SetStatus(d.ctx, chat.StatusChange{State: &state})
	d.must(err)
	return s
}
