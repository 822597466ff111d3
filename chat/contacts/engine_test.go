package contacts

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

func TestARequestIsAcceptedAndBothAreContacts(t *testing.T) {
	a, b, _ := pair(t)
	carry(a, b, a.must(Add{Person: b.id(), Note: "Ann from the 3rd floor"}))
	a.is(b, Requested)
	b.is(a, Asking)
	for _, err := range []error{a.MaySend(b.id()), b.MaySend(a.id())} {
		if chat.CodeOf(err) != chat.CodeDenied || strings.Contains(err.Error(), "earshot add") {
			t.Errorf("what to do next: %v", err)
		}
	}
	if len(b.tray) != 1 || b.tray[0].Note != "Ann from the 3rd floor" || b.tray[0].Name != "Ann" || b.tray[0].Person != a.id() {
		t.Errorf("%+v", b.tray)
	}
	carry(b, a, b.must(Accept{Person: a.id()}))
	a.is(b, Contact)
	b.is(a, Contact)
	a.must(Verify{Person: b.id()})
	a.is(b, Verified)
	if got := a.Contacts(); len(got) != 1 || got[0] != (Named{b.id(), "Bob"}) || a.MaySend(b.id()) != nil {
		t.Errorf("%v", got)
	}
	if a.Record(b.id()).Message != nil || b.Record(a.id()).Message != nil || !a.NextTick().IsZero() {
		t.Error("something waits that was delivered")
	}
}

func TestTwoWhoAskEachOtherAreContactsAtOnce(t *testing.T) {
	a, b, _ := pair(t)
	fromA, fromB := a.must(Add{Person: b.id()}), b.must(Add{Person: a.id()})
	carry(a, b, fromA) // crosses fromB
	carry(b, a, fromB)
	a.is(b, Contact)
	b.is(a, Contact)
	if len(a.tray)+len(b.tray) != 0 {
		t.Error("asked although both had asked")
	}
	// The same when one of the two requests is lost.
	a, b, _ = pair(t)
	a.must(Add{Person: b.id()})
	carry(b, a, b.must(Add{Person: a.id()}))
	a.is(b, Contact)
	b.is(a, Contact)
	// And adding who waits in the tray is accepting.
	a, b, _ = pair(t)
	carry(a, b, a.must(Add{Person: b.id()}))
	carry(b, a, b.must(Add{Person: a.id()}))
	a.is(b, Contact)
	b.is(a, Contact)
}

func TestAFloodOfStrangersFillsNoMoreThanTheTray(t *testing.T) {
	now := clock()
	b := newNode(t, now, 3, "Bob")
	var strangers []Receive
	for i := range 2000 {
		strangers = append(strangers, stranger(b.id(), i))
	}
	for i := range 10_000 {
		in := strangers[i%len(strangers)]
		b.do(in)
		b.do(Met{Person: in.From, Device: in.Device, Name: "Eve"})
		if i < len(strangers) { // and some who are met only
			b.do(Met{Person: personID(fmt.Sprint(i)), Device: in.Device, Name: "Eve"})
			b.do(Met{Person: personID(fmt.Sprint("more", i)), Device: in.Device, Name: "Eve"})
		}
	}
	if len(b.Tray()) != MaxTray || len(b.people) != MaxTray || len(b.rates) > maxRates || len(b.here) > maxHere {
		t.Errorf("tray %d, people %d, rates %d, here %d", len(b.Tray()), len(b.people), len(b.rates), len(b.here))
	}
	if len(b.sends) != 0 {
		t.Error("strangers were answered")
	}
	// Who comes later finds no place, until the oldest is too old.
	late := stranger(b.id(), 600)
	b.do(late)
	if b.Relation(late.From) != Stranger {
		t.Error("there was a place in a full tray")
	}
	*now = now.Add(TrayLife)
	b.do(late)
	if b.Relation(late.From) != Asking || len(b.Tray()) != MaxTray {
		t.Error("a stale tray keeps everybody out")
	}
}

func TestAFullTrayCostsNoSignature(t *testing.T) {
	now := clock()
	b := newNode(t, now, 3, "Bob")
	for i := range MaxTray {
		b.do(stranger(b.id(), i))
	}
	in := stranger(b.id(), 99)
	in.Message[len(in.Message)-1] ^= 1 // a bad signature is not even looked at
	if b.do(in); len(b.refusals) != 0 {
		t.Error("checked although there is no place")
	}
	b.must(Decline{Person: b.Tray()[0].Person})
	if b.do(in); len(b.refusals) != 1 || b.refusals[0].From != in.Device {
		t.Error("a bad signature was taken")
	}
}

func TestADeviceIsHeardThreeTimesAnHour(t *testing.T) {
	a, b, now := pair(t)
	ask := func() []Send { return a.must(Add{Person: b.id()}) }
	var last []Send
	for range rateLimit {
		last = ask()
		carry(a, b, last)
		b.must(Decline{Person: a.id()})
		b.stored = map[chat.PersonID]Record{}
		b.do(Restore{}) // as if nothing had been declined
		*now = now.Add(askAgain / 2)
		a.must(Forget{Person: b.id()})
	}
	*now = noon.Add(rateTime - 1)
	carry(a, b, ask())
	b.is(a, Stranger)
	*now = noon.Add(rateTime)
	carry(a, b, last)
	b.is(a, Asking)
	// Many devices are counted, not all: the one heard longest ago is forgotten.
	for i := range maxRates + 10 {
		*now = now.Add(time.Second)
		b.rateOf(chat.DeviceID{byte(i), byte(i >> 8)}).allow(*now)
	}
	if len(b.rates) != maxRates || b.rates[a.cert.Device] != nil || b.rates[chat.DeviceID{9}] != nil {
		t.Errorf("%d counted", len(b.rates))
	}
}

func TestARequestIsNoConversation(t *testing.T) {
	a, b, now := pair(t)
	carry(a, b, a.must(Add{Person: b.id(), Note: "first"}))
	a.cannot(chat.CodeBusy, Add{Person: b.id(), Note: "second"})
	*now = now.Add(askAgain)
	second := a.must(Add{Person: b.id(), Note: "second"})
	carry(a, b, second)
	if got := b.Tray()[0].Note; got != "first" {
		t.Errorf("the note became %q", got)
	}
	a.name = "Ann the Great"
	meet(a, b)
	if got := b.Tray()[0].Name; got != "Ann" {
		t.Errorf("the name became %q", got)
	}
	// The answer is to the second, the only one that a still knows.
	carry(b, a, b.must(Accept{Person: a.id()}))
	a.is(b, Contact)
}

func TestANoteIsNoLink(t *testing.T) {
	for in, want := range map[string]string{
		"see https://evil.example/x":    "see https: //evil.example/x",
		"HTTP://x and WWW.evil.com":     "HTTP: //x and WWW .evil.com",
		"mailto:eve@evil.com":           "mailto :eve@evil.com",
		"two\nlines\tand  spaces":       "two lines and spaces",
		"\x1b]8;;http://x\x07click\x1b": "]8;;http: //xclick",
		"hello":                         "hello",
	} {
		if got := plainNote(in); got != want || plainNote(got) != got {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	a, b, _ := pair(t)
	a.cannot(chat.CodeTooLong, Add{Person: b.id(), Note: strings.Repeat("ä", MaxNote+1)})
	a.cannot(chat.CodeTooLong, Add{Person: b.id(), Note: strings.Repeat("x", 100_000)})
	carry(a, b, a.must(Add{Person: b.id(), Note: strings.Repeat("😀", MaxNote)}))
	if len(b.tray) != 1 || len(b.tray[0].Note) != 4*MaxNote {
		t.Error("the longest note does not arrive")
	}
}

func TestADeclinedPersonIsNotShownForAWhile(t *testing.T) {
	a, b, now := pair(t)
	carry(a, b, a.must(Add{Person: b.id()}))
	if sends := b.must(Decline{Person: a.id()}); len(sends) != 0 {
		t.Error("declining is told")
	}
	a.is(b, Requested)
	for range 3 {
		*now = now.Add(askAgain)
		carry(a, b, a.must(Add{Person: b.id()}))
		b.is(a, Stranger)
	}
	*now = noon.Add(DeclineLife)
	carry(a, b, a.must(Add{Person: b.id()}))
	b.is(a, Asking)
	// Asking oneself takes it back.
	b.must(Decline{Person: a.id()})
	carry(b, a, b.must(Add{Person: a.id()}))
	a.is(b, Contact)
	// Those who are remembered are bounded.
	for i := range maxRemembered + 5 {
		*now = now.Add(time.Minute)
		in := stranger(b.id(), i)
		b.do(in)
		b.must(Decline{Person: in.From})
	}
	if b.remembered != maxRemembered || b.people[stranger(b.id(), 0).From] != nil {
		t.Errorf("%d remembered", b.remembered)
	}
}

func TestABlockedPersonSeesWhatAnAbsentOneShows(t *testing.T) {
	for name, before := range map[string]func(a, b *node){
		"a stranger":     func(a, b *node) {},
		"who asks":       func(a, b *node) { carry(a, b, a.must(Add{Person: b.id()})) },
		"who was asked":  func(a, b *node) { carry(b, a, b.must(Add{Person: a.id()})) },
		"asked too late": func(a, b *node) { part(a, b); b.must(Add{Person: a.id()}) },
		"a contact": func(a, b *node) {
			carry(a, b, a.must(Add{Person: b.id()}))
			carry(b, a, b.must(Accept{Person: a.id()}))
			b.must(Verify{Person: a.id()})
		},
	} {
		a, b, now := pair(t)
		before(a, b)
		b.must(Block{Person: a.id()})
		b.must(Block{Person: a.id()})
		b.is(a, Blocked)
		b.sends, b.refusals, b.effects = nil, nil, 0
		part(a, b)
		meet(a, b)
		for range 5 {
			*now = now.Add(time.Hour)
			for _, kind := range []Kind{KindRequest, KindAccepted, KindWithdrawn} {
				id := b.id()
				m := body{Kind: kind, Certificate: a.cert.Bytes(), To: id[:]}
				if m.Nonce = make([]byte, NonceSize); kind != KindRequest {
					m.Nonce, m.Request = nil, make([]byte, 32)
				}
				if kind == KindAccepted {
					m.Chat = m.Certificate[:32]
				}
				b.do(Receive{From: a.id(), Device: a.cert.Device, Message: sign(keyOf(2), m)})
			}
			b.do(Receive{From: a.id(), Device: a.cert.Device, Message: []byte("noise")})
			b.do(Tick{})
		}
		if b.effects != 0 {
			t.Errorf("%s: a blocked person caused %d effects, and %d sends", name, b.effects, len(b.sends))
		}
		for what := range Reach(reaches) {
			if b.May(a.id(), what, open()) {
				t.Errorf("%s: %d reaches", name, what)
			}
		}
		b.cannot(chat.CodeDenied, Add{Person: a.id()})
		b.cannot(chat.CodeUsage, Forget{Person: a.id()})
		if chat.CodeOf(b.MaySend(a.id())) != chat.CodeDenied {
			t.Error("a blocked person can be sent to")
		}
		b.must(Unblock{Person: a.id()})
		b.is(a, Stranger)
		*now = now.Add(rateTime)
		carry(a, b, []Send{{Person: b.id(), Device: b.cert.Device, Message: requestOf(a, b)}})
		b.is(a, Asking)
	}
}

// requestOf returns a fresh request's bytes.
func requestOf(a, b *node) []byte {
	to := b.id()
	return sign(a.cfg.Key, body{Kind: KindRequest, Certificate: a.cert.Bytes(), To: to[:], Nonce: make([]byte, NonceSize), Name: a.name})
}

func TestARequestWaitsUntilTheyAreMet(t *testing.T) {
	now := clock()
	a, b := newNode(t, now, 1, "Ann"), newNode(t, now, 3, "Bob")
	if sends := a.must(Add{Person: b.id(), Note: "hi"}); len(sends) != 0 || !a.NextTick().IsZero() {
		t.Fatal("sent to nobody")
	}
	// A restart does not lose it.
	a2 := newNode(t, now, 1, "Ann")
	a2.stored = maps.Clone(a.stored)
	a2.do(Restore{Records: a.Records()})
	meet(a2, b)
	b.is(a2, Asking)

	// What does not arrive is sent again, later and later, and not for ever.
	met := Met{Person: b.id(), Device: b.cert.Device, Name: "Bob"}
	a.do(met)
	var times []time.Time
	times = append(times, *now)
	for range 200 {
		next := a.NextTick()
		if next.IsZero() {
			break
		}
		*now = next.Add(-time.Second)
		if sends := append(a.do(Tick{}), a.do(met)...); len(sends) != 0 {
			t.Fatal("sent before its time")
		}
		*now = next
		if sends := a.do(Tick{}); len(sends) != 1 {
			t.Fatalf("%d sent when due", len(sends))
		}
		times = append(times, *now)
	}
	if len(times) != maxTries {
		t.Errorf("%d tries", len(times))
	}
	for i := rateLimit; i < len(times); i++ {
		if times[i].Sub(times[i-rateLimit]) < rateTime {
			t.Errorf("tries %d to %d are more than the other side reads", i-rateLimit, i)
		}
	}
	if gap := times[len(times)-1].Sub(times[len(times)-2]); gap != maxRetry {
		t.Errorf("the last gap is %s", gap)
	}
	a.is(b, Requested)
	a.do(Delivered{Person: b.id(), ID: MessageID{1}}) // of something else
	if a.Record(b.id()).Message == nil {
		t.Error("another's delivery counts")
	}
}

func TestAnAnswerWaitsToo(t *testing.T) {
	a, b, now := pair(t)
	carry(a, b, a.must(Add{Person: b.id()}))
	part(a, b)
	if sends := b.must(Accept{Person: a.id()}); len(sends) != 0 {
		t.Error("sent to nobody")
	}
	a.is(b, Requested)
	*now = now.Add(time.Hour)
	meet(a, b)
	a.is(b, Contact)
	// Who lost it asks again, and is answered.
	a2 := newNode(t, now, 1, "Ann")
	part(a, b)
	meet(a2, b)
	carry(a2, b, a2.must(Add{Person: b.id()}))
	a2.is(b, Contact)
	b.is(a2, Contact)
}

func TestAnAnswerCountsOnlyForTheRequestThatStands(t *testing.T) {
	a, b, now := pair(t)
	carry(a, b, a.must(Add{Person: b.id()}))
	accepted := b.must(Accept{Person: a.id()})
	yes := Receive{From: b.id(), Device: b.cert.Device, Message: accepted[0].Message}
	a.must(Forget{Person: b.id()})
	a.do(yes) // too late
	a.is(b, Stranger)
	*now = now.Add(askAgain)
	a.must(Add{Person: b.id()})
	a.do(yes) // to the first request, not to this one
	a.is(b, Requested)
	// Nobody can answer in another's place.
	eve := newNode(t, now, 9, "Eve")
	a.do(Receive{From: eve.id(), Device: eve.cert.Device, Message: sign(eve.cfg.Key, body{
		Kind: KindAccepted, Certificate: eve.cert.Bytes(), To: yes.From[:], Request: make([]byte, 32), Chat: eve.cert.Bytes()[:32],
	})})
	a.is(b, Requested)
	a.is(eve, Stranger)
	if len(a.refusals) != 1 { // it was addressed to b
		t.Errorf("%d refusals", len(a.refusals))
	}
}

func TestARequestBearsTheNameOfItsTime(t *testing.T) {
	a, b, now := pair(t)
	first := a.must(Add{Person: b.id()})
	a.do(Rename{Name: " Ann\u202e the 2nd\n"})
	*now = now.Add(askAgain)
	second := a.must(Add{Person: b.id()})
	for i, want := range []string{"Ann", "Ann the 2nd"} {
		m, err := DecodeMessage([][]Send{first, second}[i][0].Message)
		if err != nil || m.Name != want {
			t.Errorf("%q %v, want %q", m.Name, err, want)
		}
	}
}

func TestAWithdrawnRequestLeavesTheTray(t *testing.T) {
	a, b, _ := pair(t)
	carry(a, b, a.must(Add{Person: b.id()}))
	carry(a, b, a.must(Forget{Person: b.id()}))
	a.is(b, Stranger)
	b.is(a, Stranger)
	if len(b.tray) != 0 {
		t.Error("it is still shown")
	}
	// Only the one that stands, and only while it asks.
	a, b, _ = friends(t)
	id := b.id()
	standing := b.Record(a.id()).Request
	b.do(Receive{From: a.id(), Device: a.cert.Device, Message: sign(keyOf(2), body{
		Kind: KindWithdrawn, Certificate: a.cert.Bytes(), To: id[:], Request: standing[:],
	})})
	b.is(a, Contact)
}

func TestWhatMakesNoSenseIsDenied(t *testing.T) {
	a, b, _ := pair(t)
	for _, in := range []Input{Accept{Person: b.id()}, Decline{Person: b.id()}, Unblock{Person: b.id()}, Forget{Person: b.id()}} {
		a.cannot(chat.CodeNotFound, in)
	}
	a.cannot(chat.CodeUsage, Add{Person: a.id()})
	a.cannot(chat.CodeUsage, Block{Person: a.id()})
	a.cannot(chat.CodeDenied, Verify{Person: b.id()})
	a.cannot(chat.CodeUsage, Decide{Verified: b.id(), Claimant: b.id()})
	if chat.CodeOf(a.MaySend(b.id())) != chat.CodeDenied || a.MaySend(a.id()) != nil {
		t.Error("a stranger can be written to, or oneself can't")
	}
	f, g, _ := friends(t)
	f.cannot(chat.CodeUsage, Add{Person: g.id()})
	f.must(Verify{Person: g.id()})
	f.must(Verify{Person: g.id()})
	f.must(Forget{Person: g.id()})
	f.is(g, Stranger)
	// What they sent before still finds nobody.
	if f.May(g.id(), ReachMessage, Privacy{}) {
		t.Error("a forgotten person's messages reach")
	}
}

func TestTheNumberOfPeopleIsBounded(t *testing.T) {
	now := clock()
	a := New(newNode(t, now, 1, "Ann").cfg)
	for i := range 2 * MaxPeople {
		a.people[personID(fmt.Sprint(i))] = &entry{Record: Record{Person: personID(fmt.Sprint(i)), Relation: Blocked}}
	}
	for _, in := range []Input{Add{Person: personID("x")}, Block{Person: personID("x")}} {
		out := a.Handle(*now, in)
		if len(out) != 1 || chat.CodeOf(out[0].(Deny).Err) != chat.CodeBusy {
			t.Errorf("%T: %v", in, out)
		}
	}
	if out := a.Handle(*now, stranger(a.me, 1)); len(out) != 0 {
		t.Errorf("%v", out)
	}
}
