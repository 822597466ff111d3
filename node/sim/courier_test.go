package sim

import (
	"bytes"
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
	m := ann.tells(room, "and more")
	cat.holdsEnvelopes(1)
	ann.reaches(m, chat.MessageState{State: chat.StateHeld, Of: 1, Held: 1})
	o.leave(ann)

	ben = enter("Ben")
	ben.reads(room, "and more")
	if got := ben.texts(room); !slices.Equal(got, []string{"Before", "While you were away", "and more"}) {
		t.Errorf("Ben reads %q", got)
	}
	cat.holdsEnvelopes(0)

	// Ann and Ben do not meet, and Ann is told all the same.
	o.leave(ben)
	ann = enter("Ann")
	ann.reaches(m, chat.MessageState{State: chat.StateDelivered, Of: 1, Delivered: 1})
}

func TestWhatWasRemovedIsNotLeftWithOthers(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cat := enter("Ann"), enter("Ben"), enter("Cat")
	befriend(ann, ben)
	befriend(ann, cat)
	room := ann.chatWith(ben.id()).RoomID
	ann.tells(room, "Before")
	ben.reads(room, "Before")
	o.leave(ben)
	m := ann.tells(room, "not for you")
	cat.holdsEnvelopes(1)
	if _, err := ann.Delete(ann.ctx, m.ID); err != nil {
		t.Fatal(err)
	}
	cat.holdsEnvelopes(0)
}

func TestAKeeperAndAnotherBringItOnce(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cat, kim := enter("Ann"), enter("Ben"), enter("Cat"), enter("Kim")
	befriend(ann, ben)
	befriend(ann, cat)
	befriend(ann, kim)
	if k, err := kim.SetKeeper(kim.ctx, true, 0); err != nil || !k.On || k.Space != 1<<30 {
		t.Fatalf("Kim is %+v: %v", k, err)
	}
	room := ann.chatWith(ben.id()).RoomID
	o.leave(ben)
	m := ann.tells(room, "While you were away")
	cat.holdsEnvelopes(1)
	kim.holdsEnvelopes(1)
	ann.until("told who holds it", func() bool {
		kinds := map[string]string{}
		for _, h := range ann.detail(m).Holders {
			kinds[h.Name] = h.Kind
		}
		return kinds["Cat"] == "contact" && kinds["Kim"] == "keeper"
	})
	o.leave(ann)
	// Whoever holds it has it after a restart, and Kim still is a keeper.
	o.leave(kim)
	kim = enter("Kim")
	if k, err := kim.Keeper(kim.ctx); err != nil || !k.On || k.Held != 1 {
		t.Errorf("after a restart Kim is %+v: %v", k, err)
	}
	ben = enter("Ben") // who knows neither of them
	ben.reads(room, "While you were away")
	cat.holdsEnvelopes(0)
	kim.holdsEnvelopes(0)
	if n := ben.count(room, "While you were away"); n != 1 {
		t.Errorf("Ben is shown it %d times", n)
	}
}

func TestAPrivateRoomIsBroughtByAKeeperWhoIsNotInIt(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, kim := enter("Ann"), enter("Ben"), enter("Kim")
	befriend(ann, ben)
	befriend(ann, kim)
	if _, err := kim.SetKeeper(kim.ctx, true, 1<<20); err != nil {
		t.Fatal(err)
	}
	room := ann.create("garden", chat.HistoryAll)
	ann.brings(room, ben)
	ann.tells(room, "Before")
	ben.reads(room, "Before")
	o.leave(ben)
	ann.tells(room, "The roses are out")
	kim.holdsEnvelopes(1)
	o.leave(ann)
	ben = enter("Ben")
	ben.reads(room, "The roses are out")
	kim.holdsEnvelopes(1) // for whoever else may be away
	o.leave(kim)
	if o.holds(t, "Kim", room) {
		t.Error("Kim's home tells of the room")
	}
}

func TestWhoHasShownThemselvesToNobodyMustNotAnnounceWhatTheyHold(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cat := enter("Ann"), enter("Ben"), enter("Cat")
	befriend(ann, ben)
	befriend(ann, cat)
	room := ann.chatWith(ben.id()).RoomID
	o.leave(ben)
	ann.tells(room, "While you were away")
	cat.holdsEnvelopes(1)
	o.leave(ann)
	p, err := cat.Privacy(cat.ctx)
	cat.must(err)
	p.Nearby = chat.OnlyContacts // and Ben is none of Cat's
	cat.must(cat.SetPrivacy(cat.ctx, p))
	ben = enter("Ben")
	dan := enter("Dan")
	befriend(dan, ben) // time in which all else happens
	cat.holdsEnvelopes(1)
	if n := ben.count(room, "While you were away"); n != 0 {
		t.Error("Cat has told Ben that she is here")
	}
	p.Nearby = chat.Everyone
	cat.must(cat.SetPrivacy(cat.ctx, p))
	ben.reads(room, "While you were away")
}

func TestNothingIsLeftWithABlockedPersonNorForThem(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cat, dan := enter("Ann"), enter("Ben"), enter("Cat"), enter("Dan")
	befriend(ann, ben)
	befriend(ann, cat)
	befriend(ann, dan)
	room, other := ann.chatWith(ben.id()).RoomID, ann.chatWith(dan.id()).RoomID
	o.leave(ben)
	o.leave(dan)
	ann.tells(room, "For Ben")
	ann.tells(other, "For Dan")
	ann.must(ann.BlockPerson(ann.ctx, dan.id()))
	cat.holdsEnvelopes(1) // Ben's
	cat.must(cat.BlockPerson(cat.ctx, ann.id()))
	cat.holdsEnvelopes(0)
}

func TestEntriesAreCarriedToWhomNoNetworkReaches(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	ann.reaches(ann.tells(room, "Before"), chat.MessageState{State: chat.StateDelivered, Of: 1, Delivered: 1})
	o.leave(ben)
	m := ann.tells(room, "By hand")
	ann.tells(room, "and by foot")

	var stick bytes.Buffer
	out, err := ann.CarryOut(ann.ctx, &stick)
	if err != nil || out.Messages != 2 || out.Rooms != 1 || out.Held != 0 {
		t.Fatalf("carried out: %+v, %v", out, err)
	}
	for _, words := range []string{"By hand", "and by foot", "Ann", "Ben"} {
		if bytes.Contains(stick.Bytes(), []byte(words)) {
			t.Errorf("whoever finds the stick reads %q", words)
		}
	}
	if h := ann.detail(m).Holders; len(h) != 1 || h[0].Kind != "carried" {
		t.Errorf("Ann is told that %+v hold it", h)
	}
	// A third, who is nobody's contact here, takes it along, and out again.
	o.leave(ann)
	cat := enter("Cat")
	if in, err := cat.CarryIn(cat.ctx, bytes.NewReader(stick.Bytes())); err != nil || in.Held != 1 || in.Entries != 0 {
		t.Fatalf("carried in by Cat: %+v, %v", in, err)
	}
	var second bytes.Buffer
	if out, err := cat.CarryOut(cat.ctx, &second); err != nil || out.Held != 1 || out.Entries != 0 {
		t.Fatalf("carried on: %+v, %v", out, err)
	}
	o.leave(cat)
	ben = enter("Ben")
	in, err := ben.CarryIn(ben.ctx, bytes.NewReader(second.Bytes()))
	if err != nil || in.Messages != 2 || in.Rooms != 1 {
		t.Fatalf("carried in by Ben: %+v, %v", in, err)
	}
	if got := ben.texts(room); !slices.Equal(got, []string{"Before", "By hand", "and by foot"}) {
		t.Errorf("Ben reads %q", got)
	}
	if in, err := ben.CarryIn(ben.ctx, bytes.NewReader(stick.Bytes())); err != nil || in.Entries != 0 || in.Held != 0 {
		t.Errorf("carried in twice: %+v, %v", in, err)
	}
	// And the word that it has come goes the same way.
	var third bytes.Buffer
	if _, err := ben.CarryOut(ben.ctx, &third); err != nil {
		t.Fatal(err)
	}
	o.leave(ben)
	ann = enter("Ann")
	if in, err := ann.CarryIn(ann.ctx, bytes.NewReader(third.Bytes())); err != nil || in != (chat.Carried{}) {
		t.Errorf("carried in by Ann: %+v, %v", in, err)
	}
	ann.reaches(m, chat.MessageState{State: chat.StateDelivered, Of: 1, Delivered: 1})
}

func TestADamagedFileIsSaidAndWhatWasWholeIsTaken(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cat := enter("Ann"), enter("Ben"), enter("Cat")
	befriend(ann, ben)
	befriend(ann, cat)
	o.leave(ben)
	o.leave(cat)
	ann.tells(ann.chatWith(ben.id()).RoomID, "To Ben")
	ann.tells(ann.chatWith(cat.id()).RoomID, "To Cat")
	var stick bytes.Buffer
	if out, err := ann.CarryOut(ann.ctx, &stick); err != nil || out.Rooms != 2 {
		t.Fatalf("carried out: %+v, %v", out, err)
	}
	dan := enter("Dan")
	whole := stick.Bytes()
	changed := func(at int, b byte) []byte {
		out := bytes.Clone(whole)
		out[at] ^= b
		return out
	}
	for what, b := range map[string][]byte{
		"nothing":              nil,
		"another file":         []byte("PK\x03\x04 is the beginning of many files"),
		"half of the magic":    whole[:7],
		"a future version":     changed(len("EARSHOT CARRY "), 3),
		"most of it":           whole[:len(whole)-40],
		"a huge frame":         changed(len("EARSHOT CARRY 1\n"), 0x7f),
		"a frame of no length": append(bytes.Clone(whole[:16]), 0, 0, 0, 0),
	} {
		in, err := dan.CarryIn(dan.ctx, bytes.NewReader(b))
		if chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %+v, %v", what, in, err)
		}
	}
	dan.holdsEnvelopes(1) // the first was whole in what was too short
	in, err := dan.CarryIn(dan.ctx, bytes.NewReader(changed(len(whole)-200, 1)))
	if err != nil || in.Refused != 1 || in.Held != 0 {
		t.Errorf("one damaged envelope: %+v, %v", in, err)
	}
	if in, err := dan.CarryIn(dan.ctx, bytes.NewReader(whole[:len(whole)-8])); chat.CodeOf(err) != chat.CodeInvalid || in.Held != 1 {
		t.Errorf("all but the end: %+v, %v", in, err)
	}
	dan.holdsEnvelopes(2)
	if in, err := dan.CarryIn(dan.ctx, bytes.NewReader(whole)); err != nil || in.Held+in.Refused != 0 {
		t.Errorf("the whole file: %+v, %v", in, err)
	}
}
