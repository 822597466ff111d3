package sim

import (
	"slices"
	"strings"
	"testing"

	"earshot/chat"
)

// Two people find out that nobody sits between them, on whole nodes.

// verifying waits until a comparison with somebody is in a state.
func (d *desk) verifying(with *desk, state chat.VerificationState) chat.Verification {
	d.t.Helper()
	id := with.id()
	return d.await("verification "+string(state), func(e chat.Event) bool {
		v, ok := e.(chat.VerificationEvent)
		return ok && v.Person == id && v.State == state
	}).(chat.VerificationEvent).Verification
}

func (d *desk) verify(with *desk) chat.Verification {
	d.t.Helper()
	v, err := d.StartVerification(d.ctx, with.id())
	d.must(err)
	return v
}

// comparing brings two contacts to where both have the symbols before them.
func comparing(ann, ben *desk) {
	ann.t.Helper()
	if v := ann.verify(ben); v.State != chat.VerificationWaiting || v.Symbols != nil {
		ann.t.Errorf("Ann begins with %+v", v)
	}
	ben.verifying(ann, chat.VerificationAsked)
	ben.verify(ann)
	a, b := ann.verifying(ben, chat.VerificationCompare), ben.verifying(ann, chat.VerificationCompare)
	if len(a.Symbols) != 7 || !slices.Equal(a.Symbols, b.Symbols) {
		ann.t.Errorf("Ann sees %q, Ben %q", a.Symbols, b.Symbols)
	}
	if a.Number == "" || a.Number != b.Number || a.QR == b.QR {
		ann.t.Errorf("Ann sees %+v, Ben %+v", a, b)
	}
}

func friends(t *testing.T) (o *Office, ann, ben *desk, enter func(string) *desk) {
	t.Helper()
	o, enter = newOffice(t)
	ann, ben = enter("Ann"), enter("Ben")
	befriend(ann, ben)
	ben.sees("Ann", chat.Here)
	return o, ann, ben, enter
}

func TestTwoWhoSeeTheSameSymbolsAreVerified(t *testing.T) {
	t.Parallel()
	_, ann, ben, _ := friends(t)
	comparing(ann, ben)
	ann.must(ann.SayVerification(ann.ctx, ben.id(), true))
	ann.verifying(ben, chat.VerificationSaid)
	if r := ann.relation(ben.id()); r != chat.RelationContact {
		t.Errorf("before Ben has spoken he is %s", r)
	}
	ben.must(ben.SayVerification(ben.ctx, ann.id(), true))
	for _, pair := range [][2]*desk{{ann, ben}, {ben, ann}} {
		pair[0].verifying(pair[1], chat.VerificationVerified)
		if r := pair[0].relation(pair[1].id()); r != chat.RelationVerified {
			t.Errorf("to %s, %s is %s", pair[0].Name(), pair[1].Name(), r)
		}
	}
}

func TestOneWhoSeesOtherSymbolsMustEndItForBoth(t *testing.T) {
	t.Parallel()
	_, ann, ben, _ := friends(t)
	comparing(ann, ben)
	ann.must(ann.SayVerification(ann.ctx, ben.id(), true))
	ben.must(ben.SayVerification(ben.ctx, ann.id(), false))
	for _, pair := range [][2]*desk{{ann, ben}, {ben, ann}} {
		v := pair[0].verifying(pair[1], chat.VerificationDifferent)
		if !strings.Contains(v.Reason, "somebody may sit between you") || v.Symbols != nil {
			t.Errorf("%s is told %+v", pair[0].Name(), v)
		}
		if r := pair[0].relation(pair[1].id()); r != chat.RelationContact {
			t.Errorf("to %s, %s is %s", pair[0].Name(), pair[1].Name(), r)
		}
		pair[0].fails(chat.CodeUsage, pair[0].SayVerification(pair[0].ctx, pair[1].id(), true))
	}
}

func TestTwoWhoBeginAtOnceHoldOneComparison(t *testing.T) {
	t.Parallel()
	_, ann, ben, _ := friends(t)
	for range 5 {
		begun := make(chan error, 1)
		id := ann.id()
		go func() { _, err := ben.StartVerification(ben.ctx, id); begun <- err }()
		ann.verify(ben)
		ann.must(<-begun)
		// Whoever's first message crossed the other's, both come to the same symbols.
		a, b := ann.symbols(ben), ben.symbols(ann)
		if !slices.Equal(a, b) {
			t.Errorf("Ann sees %q, Ben %q", a, b)
		}
		ann.must(ann.CancelVerification(ann.ctx, ben.id()))
		v := ben.verifying(ann, chat.VerificationEnded)
		if !strings.Contains(v.Reason, "called it off") {
			t.Errorf("Ben is told %+v", v)
		}
	}
}

// symbols waits for the symbols, taking part when asked.
func (d *desk) symbols(with *desk) (out []string) {
	d.t.Helper()
	d.until("symbols", func() bool {
		v, err := d.Verification(d.ctx, with.id())
		d.must(err)
		if v.State == chat.VerificationAsked {
			d.verify(with)
		}
		out = v.Symbols
		return v.State == chat.VerificationCompare
	})
	return out
}

func TestARestartMustEndAComparisonAndANewOneWorks(t *testing.T) {
	t.Parallel()
	o, ann, ben, enter := friends(t)
	comparing(ann, ben)
	o.leave(ben)
	v := ann.verifying(ben, chat.VerificationEnded)
	if !strings.Contains(v.Reason, "lost") {
		t.Errorf("Ann is told %+v", v)
	}
	away := ann.verify(ben)
	if away.State != chat.VerificationEnded || !strings.Contains(away.Reason, "not here") || len(away.Number) != 71 || !strings.HasPrefix(away.QR, "EARSHOT:PERSON:1:"+ann.id().String()+":") {
		t.Errorf("of somebody away Ann is told %+v", away)
	}
	ben = enter("Ben")
	ben.sees("Ann", chat.Here)
	ann.sees("Ben", chat.Here)
	comparing(ann, ben)
}

func TestAStrangerMustNotStartAVerification(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	_, err := ann.StartVerification(ann.ctx, ben.id())
	ann.fails(chat.CodeNotContact, err, "earshot add")
	ann.fails(chat.CodeNotContact, ann.MarkVerified(ann.ctx, ben.id(), strings.Repeat("1", 60)))
	_, err = ann.Verification(ann.ctx, ben.id())
	ann.fails(chat.CodeNotContact, err)
}

func TestOnlyTheirTrueNumberOrCodeVerifies(t *testing.T) {
	t.Parallel()
	_, ann, ben, enter := friends(t)
	cleo := enter("Cleo")
	befriend(ann, cleo)
	befriend(ben, cleo)
	evidence := func(d, of *desk) chat.Verification {
		v, err := d.Verification(d.ctx, of.id())
		d.must(err)
		return v
	}
	bens, cleos := evidence(ben, ann), evidence(cleo, ann)
	if bens.State != "" || evidence(ann, ben).Number != bens.Number {
		t.Errorf("Ben shows %+v", bens)
	}
	other := strings.Map(func(r rune) rune { // another digit at the end of each group
		if r == '7' {
			return '8'
		}
		return '7'
	}, bens.Number[len(bens.Number)-1:])
	for name, c := range map[string]struct {
		evidence string
		code     chat.Code
		word     string
	}{
		"one digit wrong":         {bens.Number[:len(bens.Number)-1] + other, chat.CodeDenied, "somebody may sit between you"},
		"the number with another": {cleos.Number, chat.CodeDenied, "not the same"},
		"the code of another":     {cleos.QR, chat.CodeDenied, "somebody else"},
		"one's own code":          {evidence(ann, ben).QR, chat.CodeDenied, "somebody else"},
		"another key":             {bens.QR[:len(bens.QR)-1] + "0", chat.CodeUsage, "damaged"},
		"59 digits":               {bens.Number[1:], chat.CodeUsage, "60 digits"},
		"nothing":                 {"", chat.CodeUsage, "60 digits"},
		"a half of a code":        {bens.QR[:40], chat.CodeUsage, "damaged"},
	} {
		if name == "another key" && strings.HasSuffix(bens.QR, "0") {
			c.evidence = bens.QR[:len(bens.QR)-1] + "1"
		}
		err := ann.MarkVerified(ann.ctx, ben.id(), c.evidence)
		if chat.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := ann.relation(ben.id()); r != chat.RelationContact {
		t.Fatalf("Ben is %s", r)
	}
	ann.must(ann.MarkVerified(ann.ctx, ben.id(), " "+strings.ReplaceAll(bens.Number, " ", "-")+"\n"))
	ann.must(ann.MarkVerified(ann.ctx, cleo.id(), strings.ToLower(cleos.QR)))
	for _, d := range []*desk{ben, cleo} {
		if r := ann.relation(d.id()); r != chat.RelationVerified {
			t.Errorf("%s is %s", d.Name(), r)
		}
	}
}

func TestASecondKeyUnderAVerifiedNameMustStopSending(t *testing.T) {
	t.Parallel()
	o, ann, ben, enter := friends(t)
	number, err := ann.Verification(ann.ctx, ben.id())
	ann.must(err)
	ann.must(ann.MarkVerified(ann.ctx, ben.id(), number.Number))
	room := ann.chatWith(ben.id())
	o.leave(ben)
	ann.sees("Ben", chat.Gone)
	// Ben with another home: another root key under his name.
	n, err := o.Enter(ann.ctx, "Ben ")
	if err != nil {
		t.Fatal(err)
	}
	other := watch(t, ann.ctx, n)
	ann.await("the warning", func(e chat.Event) bool {
		w, ok := e.(chat.WarningEvent)
		return ok && w.Warning.Code == chat.CodeHeld && strings.Contains(w.Warning.Text, other.id().Short())
	})
	_, err = ann.Send(ann.ctx, room.RoomID, chat.Draft{Text: "are you Ben?"})
	ann.fails(chat.CodeHeld, err, other.id().Short())
	_, err = ann.AddContact(ann.ctx, other.id(), "")
	ann.fails(chat.CodeDenied, err)
	me, _ := ann.Me(ann.ctx)
	if len(me.Warnings) != 1 || me.Warnings[0].Code != chat.CodeHeld {
		t.Errorf("Ann is told %+v", me.Warnings)
	}
	// It is somebody else of that name: what was held up goes on.
	ann.must(ann.DecideClaim(ann.ctx, ben.id(), other.id(), false))
	ann.tells(room.RoomID, "so you are not Ben")
	if me, _ := ann.Me(ann.ctx); len(me.Warnings) != 0 {
		t.Errorf("Ann is still told %+v", me.Warnings)
	}
	ben = enter("Ben")
	ben.sees("Ann", chat.Here)
	ben.reads(ben.chatWith(ann.id()).RoomID, "so you are not Ben")
}
