package room

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// shows hands a page to a member and returns what it shows of it.
func (m *member) shows(now time.Time, page ...wire.Entry) (out []string) {
	m.t.Helper()
	for _, ef := range m.Handle(now, Ahead{Room: lobby, Entries: page, From: deviceOf("relay")}) {
		switch ef := ef.(type) {
		case Show:
			m.noted(now, ef)
			for i := range ef.Records {
				out = append(out, ef.Records[i].Said.Text)
			}
		case Refuse:
			m.refuse = append(m.refuse, ef)
		default:
			m.t.Fatalf("%T", ef)
		}
	}
	return out
}

// noted says that all of it is shown.
func (m *member) noted(now time.Time, show Show) {
	in := Shown{Room: show.Room}
	for i := range show.Records {
		e := &show.Records[i].Entry
		in.Places = append(in.Places, Early{Log: e.Log, Device: e.Device, Person: show.Records[i].Person, Seq: e.Seq, ID: e.ID})
	}
	m.Handle(now, in)
}

func TestWhatComesAheadIsShownOnceAndHeldInItsTurn(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "one")
	for _, text := range []string{"two", "three", "four"} {
		said = append(said, alice.says(noon, text)...)
	}
	root := bob.Root(lobby)
	want(t, "shown", bob.shows(noon, said[0], said[3], said[4]), []string{"three", "four"})
	want(t, "again", len(bob.shows(noon, said[0], said[3])), 0)
	want(t, "nothing is held", bob.Root(lobby), root)
	gaps := bob.Gaps(lobby)
	if len(gaps) != 1 || gaps[0].Count != 3 || gaps[0].Want != 5 || gaps[0].Device != deviceOf("alice") || gaps[0].Person != personOf("alice") || gaps[0].Before != said[3].ID {
		t.Fatalf("%+v", gaps)
	}
	bob.fetches(noon, said...)
	want(t, "all in its turn", bob.texts(), []string{"one", "two", "three", "four"})
	want(t, "nothing is missing", len(bob.Gaps(lobby)), 0)
	want(t, "what is held is not shown", len(bob.shows(noon, said...)), 0)
}

func TestWhatComesAheadIsCheckedLikeAnythingElse(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	open := said[0]
	other := join(t, "carol")
	theirs := other.says(noon, "carol's")
	resign := func(change func(*wire.Header), key ed25519.PrivateKey, payload []byte) wire.Entry {
		h := said[2].Header
		change(&h)
		en, err := wire.Sign(key, h, payload)
		if err != nil {
			t.Fatal(err)
		}
		return en
	}
	message := wire.Marshal(wire.Message{Text: "lies"})
	stolenOpen, err := wire.Sign(keyOf("mallory"), open.Header, open.Payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string][]wire.Entry{
		"of a log that nothing is known of":   {said[2]},
		"of a log that comes behind it":       {said[2], open},
		"of a log opened by another":          {theirs[0], said[2]},
		"in another's log":                    {open, resign(func(*wire.Header) {}, keyOf("mallory"), message)},
		"in a log without its certificate":    {stolenOpen, resign(func(*wire.Header) {}, keyOf("mallory"), message)},
		"that is no message":                  {open, resign(func(*wire.Header) {}, keyOf("alice"), []byte{0xff})},
		"of the far future":                   {open, resign(func(h *wire.Header) { h.HLC = chat.HLCOf(noon.Add(48 * time.Hour)) }, keyOf("alice"), message)},
		"older than its log":                  {open, resign(func(h *wire.Header) { h.HLC = open.HLC }, keyOf("alice"), message)},
		"of a kind that is not for people":    {open, resign(func(h *wire.Header) { h.Kind = wire.KindPrekey }, keyOf("alice"), message)},
		"whose payload was removed":           {open, {Header: said[2].Header, ID: said[2].ID, Head: said[2].Head, Sig: said[2].Sig}},
		"of another room, and so all with it": {open, said[2], resign(func(h *wire.Header) { h.Ref = chat.OpenRoom("#other").Ref(h.Log) }, keyOf("alice"), message)},
	} {
		fresh := join(t, "bob")
		if got := fresh.shows(noon, page...); len(got) != 0 {
			t.Errorf("%s: shown %q", name, got)
		}
	}
	want(t, "who passes it on is to blame", func() chat.DeviceID {
		bob.shows(noon, resign(func(h *wire.Header) { h.Ref = chat.RoomRef{9} }, keyOf("alice"), message))
		return bob.refuse[0].From
	}(), deviceOf("relay"))
	want(t, "an honest page", bob.shows(noon, open, said[2]), []string{"two"})
}

func TestInASealedRoomOnlyMembersAreShownAhead(t *testing.T) {
	members := map[chat.PersonID]bool{}
	cfg := configOf("bob")
	cfg.Writer = func(_ chat.RoomID, p chat.PersonID) bool { return members[p] }
	bob := New(cfg)
	bob.Handle(noon, Enter{Room: lobby, Sealed: true})
	alice := New(configOf("alice"))
	alice.Handle(noon, Enter{Room: lobby, Sealed: true})
	var said []wire.Entry
	for i := range 3 {
		kind := wire.KindMessage
		if i == 0 {
			kind = wire.KindKeyShare
		}
		for _, ef := range alice.Handle(noon, Append{Room: lobby, Kind: kind, Epoch: 7, Payload: []byte{1}}) {
			said = append(said, entries(ef.(Commit).Records)...)
		}
	}
	page := Ahead{Room: lobby, Entries: []wire.Entry{said[0], said[1], said[3]}}
	want(t, "an outsider's", len(bob.Handle(noon, page)), 0)
	members[personOf("alice")] = true
	effects := bob.Handle(noon, page)
	if len(effects) != 1 {
		t.Fatalf("%v", effects)
	}
	show := effects[0].(Show)
	if len(show.Records) != 1 || show.Records[0].Entry.ID != said[3].ID || show.Records[0].Said.Text != "" || show.Records[0].Name != "" || len(show.Shares) != 1 || show.Shares[0].ID != said[1].ID {
		t.Fatalf("%+v", show)
	}
}

func TestWhatWaitsForItsPredecessorIsShownAfter3Seconds(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := append(alice.says(noon, "one"), alice.says(noon, "two")...)
	bob.fetches(noon, said[0])
	bob.hears(noon, said[2])
	show := func(now time.Time) (n int) {
		for _, ef := range bob.Handle(now, Tick{}) {
			if s, ok := ef.(Show); ok {
				bob.noted(now, s)
				n += len(s.Records)
			}
		}
		return n
	}
	want(t, "not at once", show(noon.Add(chat.HoldDeps-1)), 0)
	want(t, "then", show(noon.Add(chat.HoldDeps)), 1)
	want(t, "once", show(noon.Add(chat.HoldDeps+time.Second)), 0)
	want(t, "one is missing", bob.Gaps(lobby)[0].Count, 1)
	bob.fetches(noon.Add(time.Minute/2), said[1])
	want(t, "both in their turn", bob.texts(), []string{"one", "two"})
}

func TestWhatIsShownAheadIsBoundedAndSurvivesARestart(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	said := alice.says(noon, "0")
	for range chat.MaxEarly + 10 {
		said = append(said, alice.says(noon, "more")...)
	}
	bob.fetches(noon, said[0])
	n := 0
	for page := range slices.Chunk(said[2:], chat.MaxBatch) {
		n += len(bob.shows(noon, page...))
	}
	want(t, "shown", n, chat.MaxEarly)
	again := New(configOf("bob"))
	again.Handle(noon, Enter{Room: lobby})
	logs := bob.Frontier(lobby)
	again.Handle(noon, Restore{Room: lobby, Logs: logs, Early: []Early{
		{Log: said[5].Log, Device: deviceOf("alice"), Person: personOf("alice"), Seq: said[5].Seq, ID: said[5].ID},
	}})
	if gaps := again.Gaps(lobby); len(gaps) != 1 || gaps[0].Count != 4 || gaps[0].Before != said[5].ID {
		t.Fatalf("%+v", gaps)
	}
	again.Handle(noon, Recall{Room: lobby, Claims: []Claim{{Log: chat.LogID{7}, Seq: 3, By: deviceOf("alice"), Entry: said[5].ID}}})
	if gaps := again.Gaps(lobby); len(gaps) != 2 {
		t.Fatalf("%+v", gaps)
	}
}
