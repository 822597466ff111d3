package sim

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"earshot/chat"
)

// Relations between people on whole nodes. Each test of an attack is named after
// what must not happen.

// becomes waits until somebody is something to d.
func (d *desk) becomes(to *desk, r chat.Relation) {
	d.t.Helper()
	id := to.id()
	if d.relation(to.id()) == r {
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

func TestARequestReachesTheTrayAndIsAccepted(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	got, err := ann.AddContact(ann.ctx, ben.id(), "It's me, from the third floor. See http://evil.example")
	ann.must(err)
	if got.Relation != chat.RelationRequested || got.Person.Person != ben.id() || got.Name != "Ben" {
		t.Errorf("Ann was told %+v", got)
	}
	tray := ben.await("the tray", func(e chat.Event) bool {
		ev, ok := e.(chat.TrayEvent)
		return ok && len(ev.Requests) == 1
	}).(chat.TrayEvent).Requests[0]
	if tray.Person.Person != ann.id() || tray.Name != "Ann" || tray.Relation != chat.RelationAsking || strings.Contains(tray.Note, "http://") || !strings.Contains(tray.Note, "third floor") {
		t.Errorf("the tray holds %+v", tray)
	}
	ann.await("that it has arrived", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationRequested && !c.Waiting
	})
	_, err = ben.FindPerson(ben.ctx, "Ann") // a name is no address yet
	ben.fails(chat.CodeNotContact, err, "earshot accept "+ann.id().Short())
	ben.must(ben.AcceptContact(ben.ctx, ann.id()))
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
	if err != nil || p.Person != ann.id() || p.Relation != chat.RelationContact {
		t.Errorf("Ben finds %+v (%v)", p, err)
	}
}

func TestANameFindsNoStranger(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	_, err := ann.FindPerson(ann.ctx, "Ben")
	ann.fails(chat.CodeNotFound, err)
	for _, id := range []string{ben.id().String(), ben.id().Short(), strings.ToLower(ben.id().Short())} {
		p, err := ann.FindPerson(ann.ctx, id)
		if err != nil || p.Person != ben.id() || p.Relation != chat.RelationStranger || p.Name != "Ben" {
			t.Errorf("%s finds %+v (%v)", id, p, err)
		}
	}
	_, err = ann.FindPerson(ann.ctx, ben.id().String()[:5])
	ann.fails(chat.CodeNotFound, err)
}

func TestTwoOfOneNameAreToldApartAndNeverMistaken(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	// His name, with a Cyrillic е.
	n, err := o.Enter(ann.ctx, "Bеn")
	if err != nil {
		t.Fatal(err)
	}
	other := watch(t, ann.ctx, n)
	told := map[chat.PersonID]bool{}
	ann.await("both with an id behind the name", func(e chat.Event) bool {
		if p, ok := e.(chat.PersonEvent); ok && strings.Contains(p.Name, p.Person.Person.Short()) {
			told[p.Person.Person] = true
		}
		return told[other.id()] && told[ben.id()]
	})
	_, err = other.AddContact(other.ctx, ann.id(), "")
	other.must(err)
	ann.becomes(other, chat.RelationAsking)
	p, err := ann.FindPerson(ann.ctx, "Ben") // only one of them is a contact
	if err != nil || p.Person != ben.id() {
		t.Errorf("Ann finds %+v (%v)", p, err)
	}
	ann.must(ann.AcceptContact(ann.ctx, other.id()))
	_, err = ann.FindPerson(ann.ctx, "Ben")
	ann.fails(chat.CodeAmbiguous, err, ben.id().Short(), other.id().Short())
	m := ben.say("who am I")
	e := ann.hears("who am I")
	if !strings.Contains(e.From.Name, ben.id().Short()) || e.From.Person != m.From.Person {
		t.Errorf("Ann reads a message by %+v", e.From)
	}
}

func TestWhoIsDeclinedIsNotTold(t *testing.T) {
	t.Parallel()
	_, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	_, err := ann.AddContact(ann.ctx, ben.id(), "please")
	ann.must(err)
	ben.becomes(ann, chat.RelationAsking)
	ann.await("its arrival", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationRequested && !c.Waiting
	})
	ben.must(ben.DeclineContact(ben.ctx, ann.id()))
	ben.becomes(ann, chat.RelationStranger)
	if r := ann.relation(ben.id()); r != chat.RelationRequested {
		t.Errorf("to Ann, Ben is %s", r)
	}
	// What she says again gets the same answer.
	ann.must(ann.ForgetContact(ann.ctx, ben.id()))
	_, err = ann.AddContact(ann.ctx, ben.id(), "please, please")
	ann.must(err)
	ann.await("its arrival again", func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Relation == chat.RelationRequested && !c.Waiting
	})
	if r := ben.relation(ann.id()); r != chat.RelationStranger {
		t.Errorf("to Ben, Ann is %s", r)
	}
}

func TestARequestWaitsForWhoIsAway(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	ann.sees("Ben", chat.Here)
	ben.sees("Ann", chat.Here)
	id := ben.id()
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
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo, dora, eve := enter("Ann"), enter("Ben"), enter("Cleo"), enter("Dora"), enter("Eve")
	befriend(ann, ben)
	befriend(ann, eve)
	for _, d := range []*desk{cleo, dora} {
		ann.sees(d.Name(), chat.Here)
		d.sees("Ann", chat.Here)
	}
	ann.must(ann.BlockPerson(ann.ctx, cleo.id()))
	_, err := dora.AddContact(dora.ctx, ann.id(), "hi")
	dora.must(err)
	ann.becomes(dora, chat.RelationAsking)
	number, err := ann.Verification(ann.ctx, eve.id())
	ann.must(err)
	ann.must(ann.MarkVerified(ann.ctx, eve.id(), number.Number))
	settings := chat.Privacy{Nearby: chat.OnlyContacts, Presence: chat.Nobody, Typing: chat.OnlyContacts, Read: chat.Everyone}
	ann.must(ann.SetPrivacy(ann.ctx, settings))
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
	if err != nil || !reflect.DeepEqual(p, settings) {
		t.Errorf("the settings are %+v (%v)", p, err)
	}
	same, err := again.Verification(again.ctx, eve.id())
	if err != nil || same.Number != number.Number { // she need not be here for that
		t.Errorf("%+v, and before %+v (%v)", same, number, err)
	}
}
