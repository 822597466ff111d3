package private

import (
	"strings"
	"testing"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/wire"
)

func TestWhatCannotBeDoneIsDeniedWithAReason(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	direct := o.befriend(o.ann, o.bob)
	must(t, o.ann.change(o.id, membership.Invite{Person: o.dan.id(), Role: membership.RoleMember}))
	o.rest()
	must(t, o.ann.change(o.id, membership.Remove{Person: o.dan.id()}))
	o.rest()
	if i := o.dan.infos[o.id]; i.Invitation != nil || i.Removed == nil {
		t.Fatalf("dan is not told that the invitation was withdrawn: %+v", i)
	}
	long := strings.Repeat("x", chat.MaxRoomName+1)
	for name, c := range map[string]struct {
		n    *node
		in   func(ref uint64) Input
		code chat.Code
	}{
		"an unknown room":          {o.ann, func(r uint64) Input { return Change{Room: chat.RoomID{1}, Body: membership.Leave{}, Ref: r} }, chat.CodeNotFound},
		"a direct chat":            {o.ann, func(r uint64) Input { return Change{Room: direct, Body: membership.Leave{}, Ref: r} }, chat.CodeDenied},
		"no change":                {o.ann, func(r uint64) Input { return Change{Room: o.id, Body: membership.Attest{}, Ref: r} }, chat.CodeUsage},
		"a change too long":        {o.bob, func(r uint64) Input { return Change{Room: o.id, Body: membership.Set{Name: &long}, Ref: r} }, chat.CodeInvalid},
		"without the role":         {o.bob, func(r uint64) Input { return Change{Room: o.id, Body: membership.Remove{Person: o.cleo.id()}, Ref: r} }, chat.CodeDenied},
		"a withdrawn invitation":   {o.dan, func(r uint64) Input { return Accept{Room: o.id, Ref: r} }, chat.CodeDenied},
		"a room one is in":         {o.bob, func(r uint64) Input { return Accept{Room: o.id, Ref: r} }, chat.CodeDenied},
		"declined too late":        {o.bob, func(r uint64) Input { return Decline{Room: o.id, Ref: r} }, chat.CodeUsage},
		"declining nothing":        {o.dan, func(r uint64) Input { return Decline{Room: chat.RoomID{1}, Ref: r} }, chat.CodeNotFound},
		"a name too long":          {o.ann, func(r uint64) Input { return Found{Name: long, History: membership.HistoryNone, Ref: r} }, chat.CodeInvalid},
		"no history setting":       {o.ann, func(r uint64) Input { return Found{Ref: r} }, chat.CodeInvalid},
		"accepting a direct chat":  {o.bob, func(r uint64) Input { return Accept{Room: direct, Ref: r} }, chat.CodeDenied},
		"talking where one is out": {o.dan, func(r uint64) Input { return Say{Room: o.id, Kind: wire.KindMessage, Plaintext: []byte("x"), Ref: r} }, chat.CodeNotJoined},
		"talking in no room": {o.dan, func(r uint64) Input {
			return Say{Room: chat.RoomID{1}, Kind: wire.KindMessage, Plaintext: []byte("x"), Ref: r}
		}, chat.CodeNotFound},
		"too much at once": {o.ann, func(r uint64) Input {
			return Say{Room: o.id, Kind: wire.KindMessage, Plaintext: make([]byte, 1<<15), Ref: r}
		}, chat.CodeTooLong},
		"what is not said": {o.ann, func(r uint64) Input { return Say{Room: o.id, Kind: wire.KindOpen, Plaintext: []byte("x"), Ref: r} }, chat.CodeUsage},
	} {
		before := len(c.n.state)
		err := c.n.try(c.in)
		if chat.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text := err.Error(); len(text) < 20 || !strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q is no advice", name, text)
		}
		if len(c.n.state) != before {
			t.Errorf("%s: something is stored", name)
		}
	}
	must(t, o.dan.try(func(r uint64) Input { return Decline{Room: o.id, Ref: r} }))
	if info, ok := o.bob.Info(o.id); !ok || len(info.Members) != 3 {
		t.Errorf("%+v %v", info, ok)
	}
	if _, ok := o.bob.Info(chat.RoomID{1}); ok {
		t.Error("there is something to show of a room that is not known")
	}
}

// Cleo announces one epoch to bob and says something else of it to ann.
func TestWhoGivesDifferentKeysIsNamedToThePerson(t *testing.T) {
	o := newOffice(t, membership.HistoryNone)
	o.cleo.mustSay(o.id, "hello")
	o.rest()
	for _, a := range o.cleo.records[o.id] {
		if a.Entry.Device != o.cleo.dev() || a.Entry.Kind != wire.KindKeyShare {
			continue
		}
		var share map[int]any
		must(t, wire.Unmarshal(a.Entry.Payload, &share))
		commit := share[3].([]byte)
		commit[0] ^= 1
		for _, en := range o.cleo.append(Append{Room: o.id, Kind: wire.KindKeyShare, Epoch: a.Entry.Epoch, Payload: wire.Marshal(share)}) {
			o.ann.take(o.id, en, o.bob, true)
		}
		break
	}
	if len(o.ann.notices) != 1 || !strings.Contains(o.ann.notices[0], o.cleo.id().Short()) {
		t.Errorf("%q", o.ann.notices)
	}
}
