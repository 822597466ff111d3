package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"earshot/chat"
)

// Relations between people on whole nodes. Each test of an attack is named after
// what must not happen.

func (d *desk) me() chat.PersonID {
	d.t.Helper()
	me, err := d.Me(d.ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	return me.Person
}

// relation returns what somebody is to d.
func (d *desk) relation(to *desk) chat.Relation {
	d.t.Helper()
	p, err := d.FindPerson(d.ctx, to.me().String())
	if err != nil {
		d.t.Fatal(err)
	}
	return p.Relation
}

// becomes waits until somebody is something to d.
func (d *desk) becomes(to *desk, r chat.Relation) {
	d.t.Helper()
	id := to.me()
	if d.relation(to) == r {
		return
	}
	d.await(fmt.Sprintf("%s becoming %s", to.Name(), r), func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Person.Person == id && c.Relation == r
	})
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%s: %v", d.Name(), err)
	}
}

func (d *desk) fails(code chat.Code, err error, words ...string) {
	d.t.Helper()
	if chat.CodeOf(err) != code {
		d.t.Fatalf("%s: %v, and not %s", d.Name(), err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			d.t.Errorf("%q does not say %q", err, w)
		}
	}
}

// befriend makes contacts of two who are here.
func befriend(a, b *desk) {
	a.t.Helper()
	a.sees(b.Name(), chat.Here)
	b.sees(a.Name(), chat.Here)
	_, err := a.AddContact(a.ctx, b.me(), "")
	a.must(err)
	b.becomes(a, chat.RelationAsking)
	b.must(b.AcceptContact(b.ctx, a.me()))
	a.becomes(b, chat.RelationContact)
	b.becomes(a, chat.RelationContact)
}

func TestARequestReachesTheTrayAndIsAccepted(t *testing.T) {
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	got, err := ann.AddContact(ann.ctx, ben.me(), "It's me, from the third floor. See http://evil.example")
	ann.must(err)
	if got.Relation != chat.RelationRequested || got.Person.Person != ben.me() || got.Name != "Ben" {
		t.Errorf("Ann was told %+v", got)
	}
	tray := ben.await("the tray", func(e chat.Event) bool {
		ev, ok := e.(chat.TrayEvent)
		return ok && len(ev.Requests) == 1
	}).(chat.TrayEvent).Requests[0]
	if tray.Person.Person != ann.me() || tray.Name != "Ann" || tray.Relation != chat.RelationAsking || strings.Contains(tray.Note, "http://") || !strings.Contains(tray.Note, "third floor") {
		t.Errorf("the tray holds %+v", tray)
	}
	ann.await("that it has arrived", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationRequested && !c.Waiting
	})
	ben.must(ben.AcceptContact(ben.ctx, ann.me()))
	ann.becomes(ben, chat.RelationContact)
	ben.await("the answer's arrival", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationContact && !c.Waiting
	})
	list, err := ben.Contacts(ben.ctx)
	if err != nil || len(list) != 1 || list[0].Name != "Ann" {
		t.Errorf("Ben's contacts are %+v (%v)", list, err)
	}
	// Names are addresses now, and only theirs.
	p, err := ben.FindPerson(ben.ctx, "ann")
	if err != nil || p.Person != ann.me() || p.Relation != chat.RelationContact {
		t.Errorf("Ben finds %+v (%v)", p, err)
	}
}

func TestANameFindsNoStranger(t *testing.T) {
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	_, err := ann.FindPerson(ann.ctx, "Ben")
	ann.fails(chat.CodeNotFound, err)
	for _, id := range []string{ben.me().String(), ben.me().Short(), strings.ToLower(ben.me().Short())} {
		p, err := ann.FindPerson(ann.ctx, id)
		if err != nil || p.Person != ben.me() || p.Relation != chat.RelationStranger || p.Name != "Ben" {
			t.Errorf("%s finds %+v (%v)", id, p, err)
		}
	}
	_, err = ann.FindPerson(ann.ctx, ben.me().String()[:5])
	ann.fails(chat.CodeNotFound, err)
}

func TestTwoOfOneNameAreToldApartAndNeverMistaken(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	// His name, with a Cyrillic е.
	n, err := o.Enter(ann.ctx, "Bеn")
	if err != nil {
		t.Fatal(err)
	}
	other := watch(t, ann.ctx, n)
	ann.await("the other Ben with an id behind the name", func(e chat.Event) bool {
		p, ok := e.(chat.PersonEvent)
		return ok && p.Person.Person == other.me() && strings.Contains(p.Name, other.me().Short())
	})
	ann.await("Ben with an id behind the name", func(e chat.Event) bool {
		p, ok := e.(chat.PersonEvent)
		return ok && p.Person.Person == ben.me() && strings.Contains(p.Name, ben.me().Short())
	})
	_, err = other.AddContact(other.ctx, ann.me(), "")
	other.must(err)
	ann.becomes(other, chat.RelationAsking)
	p, err := ann.FindPerson(ann.ctx, "Ben") // only one of them is a contact
	if err != nil || p.Person != ben.me() {
		t.Errorf("Ann finds %+v (%v)", p, err)
	}
	ann.must(ann.AcceptContact(ann.ctx, other.me()))
	_, err = ann.FindPerson(ann.ctx, "Ben")
	ann.fails(chat.CodeAmbiguous, err, ben.me().Short(), other.me().Short())
	m := ben.say("who am I")
	e := ann.hears("who am I")
	if !strings.Contains(e.From.Name, ben.me().Short()) || e.From.Person != m.From.Person {
		t.Errorf("Ann reads a message by %+v", e.From)
	}
}

func TestWhoIsDeclinedIsNotTold(t *testing.T) {
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	_, err := ann.AddContact(ann.ctx, ben.me(), "please")
	ann.must(err)
	ben.becomes(ann, chat.RelationAsking)
	ann.await("its arrival", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationRequested && !c.Waiting
	})
	ben.must(ben.DeclineContact(ben.ctx, ann.me()))
	ben.becomes(ann, chat.RelationStranger)
	if r := ann.relation(ben); r != chat.RelationRequested {
		t.Errorf("to Ann, Ben is %s", r)
	}
	// What she says again gets the same answer.
	ann.must(ann.ForgetContact(ann.ctx, ben.me()))
	_, err = ann.AddContact(ann.ctx, ben.me(), "please, please")
	ann.must(err)
	ann.await("its arrival again", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationRequested && !c.Waiting
	})
	if r := ben.relation(ann); r != chat.RelationStranger {
		t.Errorf("to Ben, Ann is %s", r)
	}
}

func TestARequestWaitsForWhoIsAway(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	ben.sees("Ann", chat.Here)
	id := ben.me()
	ann.must(o.Leave(ann.ctx, ben.Node))
	ann.sees("Ben", chat.Gone)
	got, err := ann.AddContact(ann.ctx, id, "for later")
	ann.must(err)
	if !got.Waiting {
		t.Errorf("%+v does not wait", got)
	}
	// It survives Ann's restart too.
	ann.must(o.Leave(context.Background(), ann.Node))
	ann = enter("Ann")
	ben = enter("Ben")
	ben.becomes(ann, chat.RelationAsking)
}

func TestARestartKeepsEveryRelation(t *testing.T) {
	o, enter := newOffice(t)
	ann, ben, cleo, dora, eve := enter("Ann"), enter("Ben"), enter("Cleo"), enter("Dora"), enter("Eve")
	befriend(ann, ben)
	befriend(ann, eve)
	for _, d := range []*desk{cleo, dora} {
		ann.sees(d.Name(), chat.Here)
		d.sees("Ann", chat.Here)
	}
	ann.must(ann.BlockPerson(ann.ctx, cleo.me()))
	_, err := dora.AddContact(dora.ctx, ann.me(), "hi")
	dora.must(err)
	ann.becomes(dora, chat.RelationAsking)
	number, err := ann.Verification(ann.ctx, eve.me())
	ann.must(err)
	ann.must(ann.MarkVerified(ann.ctx, eve.me(), number.Number))
	ann.must(ann.SetPrivacy(ann.ctx, chat.Privacy{Nearby: chat.OnlyContacts, Presence: chat.Nobody, Read: chat.Everyone}))
	before, err := ann.Contacts(ann.ctx)
	ann.must(err)
	ann.must(o.Leave(ann.ctx, ann.Node))
	again := enter("Ann")
	after, err := again.Contacts(again.ctx)
	again.must(err)
	if len(after) != 4 || len(before) != 4 {
		t.Fatalf("%d relations before, %d after", len(before), len(after))
	}
	for i := range after {
		b, a := before[i], after[i]
		if a.Person.Person != b.Person.Person || a.Relation != b.Relation || a.Note != b.Note || !a.Since.Equal(b.Since.Truncate(1000)) || a.Name != b.Name {
			t.Errorf("%+v became %+v", b, a)
		}
	}
	p, err := again.Privacy(again.ctx)
	if err != nil || p != (chat.Privacy{Nearby: chat.OnlyContacts, Presence: chat.Nobody, Read: chat.Everyone}) {
		t.Errorf("the settings are %+v (%v)", p, err)
	}
	same, err := again.Verification(again.ctx, eve.me())
	if err != nil || same.Number != number.Number { // she need not be here for that
		t.Errorf("%+v, and before %+v (%v)", same, number, err)
	}
}
